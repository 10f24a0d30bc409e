# shellcheck shell=bash
# How a guest ends is the program's exit status: on the fake everywhere, and with payloads of a few
# bytes on real KVM in each CPU mode.

check payload/fake-poweroff 0 -- "${fake[@]}" -k off
check payload/fake-reboot 10 -- "${fake[@]}" -k reset
check payload/fake-panic 11 -- "${fake[@]}" -k crash
check payload/fake-timeout 13 "axvm: mine: vCPU 0 has run for its limit of 0.050 s" "hint:" -- \
	"${fake[@]}" -k spin --timeout 50ms --name mine
bytes marks 10 01 80 00 00 04 f8 ff
check payload/fake-max-exits 13 "axvm: mine: vCPU 0 has left the guest 20 times, its limit" -- \
	"${fake[@]}" -k marks --max-exits 20 --name mine
bytes nonsense ff
check payload/fake-fault 12 "cannot go on" "pc " -- "${fake[@]}" -k nonsense
check payload/fake-four-cpus 0 -- "${fake[@]}" -k off -c 4
check payload/summary 0 "vm stopped (system-down)" "vcpu_exits" "exits by cause" -- \
	run --arch generic -m 16M -k off
check payload/no-summary-when-quiet 0 -- run --arch generic -m 16M -k off -q
expect payload/quiet-is-quiet "it said something" test ! -s "$err"
check payload/timeline 0 "images ready" "first guest instruction" -- "${fake[@]}" -k off --timeline
bytes reads 11 01 f0 01 00 30
check payload/fake-unclaimed 0 -- "${fake[@]}" -k reads
check payload/fake-unclaimed-fault 12 "no device claims port 0x1f0" "--unclaimed ignore" -- \
	"${fake[@]}" -k reads --unclaimed fault

# A guest that reboots for ever is started anew until someone says stop, which never gets lost.
for delay in 0.5 0.51 0.53 0.57; do
	"$AXVM" "${fake[@]}" -k reset --on-reboot restart </dev/null >"$out" 2>"$err" &
	pid=$!
	wait_for_signals "$pid"
	sleep "$delay"
	terminate "$pid" TERM
	judge "payload/restarts-until-stopped-$delay" 0
done

# Signals end a VM that does not listen, at once and with a summary.
for signal in INT TERM HUP QUIT; do
	name=payload/signal-$signal
	"$AXVM" run --arch generic -m 16M -k spin -c 4 </dev/null >"$out" 2>"$err" &
	pid=$!
	wait_for_guest "$pid" 3
	begin=$(date +%s%N)
	terminate "$pid" "$signal"
	took=$((($(date +%s%N) - begin) / 1000000))
	judge "$name" 0 "stopped (clean)"
	# A second is the promise to a user; a loaded test machine gets more.
	expect "$name-time" "it took $took ms" test "$took" -lt 5000
done

# Somebody truncates the file behind memory that the guest is reading.
bytes reader 13 01 00 00 00 10 00 00 00 00 02 04 f2 ff
truncate -s 64K behind
"$AXVM" "${fake[@]}" -k reader --region gpa=0x10000000,size=64K,type=reserved,path=behind \
	</dev/null >"$out" 2>"$err" &
pid=$!
wait_for_guest "$pid" 0
truncate -s 0 behind
await "$pid"
judge payload/truncated-behind-the-guest 30 "memory behind the guest is gone (a truncated file"

if [ -n "$no_kvm" ]; then
	skip payload/kvm "$no_kvm"
	return
fi

flat() { # flat NAME STATUS BITS TEXT... -- HEX... [-- ARGUMENTS...]
	local name=$1 wanted=$2 bits=$3 texts=() hex=()
	shift 3
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		hex+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	bytes code "${hex[@]}"
	check "payload/$name-$bits" "$wanted" ${texts[@]+"${texts[@]}"} -- run -k code --protocol flat \
		--bits "$bits" --load-gpa 0x1000 --irq-mode none --serial none -m 16M "$@"
}
# mov dx, 0x604; mov (e)ax, 0x2000; out dx, ax
flat poweroff 0 16 "stopped (system-down)" -- ba 04 06 b8 00 20 ef f4
flat poweroff 0 32 "stopped (system-down)" -- 66 ba 04 06 b8 00 20 00 00 66 ef f4
flat poweroff 0 64 "stopped (system-down)" -- 66 ba 04 06 b8 00 20 00 00 66 ef f4
# lidt of a table with limit 0, at 0x1020; ud2
# (Without a stack worth the name some KVMs call it an internal error.)
# A paravirtual KVM may run on and on in real mode instead; complete ones are in the payload tests.
bytes code 0f 01 1e 20 10 0f 0b
run_it "$AXVM" run -k code --protocol flat --bits 16 --load-gpa 0x1000 --irq-mode none \
	--serial none -m 16M --timeout 10s
if [ "$status" = 13 ] && ! grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then
	skip payload/triple-fault-16 "this machine's partial KVM goes on instead of shutting down"
else
	judge payload/triple-fault-16 12 "rip"
fi
flat triple-fault 12 32 "triple fault" "rip" -- 0f 01 1d 20 10 00 00 0f 0b
flat triple-fault 12 64 "triple fault" "rip" -- 0f 01 1c 25 20 10 00 00 0f 0b
for bits in 16 32 64; do
	# mov al, 0xfe; out 0x64, al
	flat reset 10 "$bits" "stopped (reset)" -- b0 fe e6 64 f4
	# jmp .
	flat timeout 13 "$bits" "its limit of 0.100 s" "stopped (limit)" -- eb fe -- --timeout 100ms
	# out 0x80, al; jmp back
	flat max-exits 13 "$bits" "50 times, its limit" -- e6 80 eb fc -- --max-exits 50
	# hlt, and nothing that could wake it
	flat halt 0 "$bits" "stopped (system-down)" -- f4
	# in al, 0x71; cmp al, 0xff: all ones where nothing is, then power off by halt, else spin
	flat unclaimed 0 "$bits" "bus_missing" -- e4 f0 3c ff 75 fe f4 -- --timeout 5s
	flat unclaimed-fault 12 "$bits" "no device claims port 0xf0" "--unclaimed ignore" -- \
		e4 f0 f4 -- --unclaimed fault
done
# mov dx, 0x505; mov al, 1; out dx, al: pvpanic
flat panic 11 16 "stopped (panic)" -- ba 05 05 b0 01 ee f4
flat panic 11 64 "stopped (panic)" -- 66 ba 05 05 b0 01 ee f4

# The files that a shell lets a program have are no limit of vCPUs, which take two each.
bytes code 66 ba 04 06 b8 00 20 00 00 66 ef f4
# shellcheck disable=SC2016 # for that shell
run_it bash -c 'ulimit -S -n 64 && exec "$@"' bash "$AXVM" run -k code --protocol flat --bits 64 \
	--load-gpa 0x1000 --irq-mode none --serial none -m 16M -c 40
judge payload/more-vcpus-than-files 0 "stopped (system-down)"
