# shellcheck shell=bash
# axvm top: VMs of the fake beside it are found, asked and told apart; what it prints is the interval's;
# and everything that can be asked wrongly, or has gone.
# shellcheck disable=SC2154,SC2034 # out, err and the like are the caller's, status and left for it

mkdir "$scratch/run"
export AXVM_RUN_DIR=$scratch/run

# start_vm NAME ARGUMENTS...: a VM in the background, until it can be asked; its process goes to $vm.
start_vm() {
	local name=$1 tries
	shift
	"$AXVM" run --arch generic -m 16M -q --placement off --name "$name" "$@" </dev/null >/dev/null 2>&1 &
	vm=$!
	for ((tries = 0; tries < 200; tries++)); do
		[ -S "$AXVM_RUN_DIR/$vm-${name//[^A-Za-z0-9._-]/_}.sock" ] && break
		sleep 0.05
	done
	# The socket is there before the VM is, and who asks waits for that a second only. The first vCPU is
	# started last; one that resets is gone too soon to be seen.
	[[ " $* " != *" spin "* ]] || wait_for_guest "$vm" 0
}

# check_answered NAME STATUS TEXT... -- ARGUMENTS...: as check. Who asks waits a second; on a machine that
# stalls longer it asks again.
check_answered() {
	local name=$1 wanted=$2 texts=() tries
	shift 2
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	for ((tries = 0; tries < 5; tries++)); do
		run_it "$AXVM" "$@"
		grep -qE 'not answer|"silent": ?[1-9]' "$out" "$err" || break
	done
	judge "$name" "$wanted" "${texts[@]}"
}

# Until that many samples are in a file: wait_for_lines FILE COUNT
wait_for_lines() {
	local tries
	for ((tries = 0; tries < 400; tries++)); do
		[ "$(wc -l <"$1")" -ge "$2" ] && return
		sleep 0.05
	done
}

# holds FILE EXPRESSION: of the samples in FILE, and s, the last of them, as Python has it.
holds() {
	python3 -IS -c '
import json, sys
samples = [json.loads(line) for line in open(sys.argv[1])]
s = samples[-1]
sys.exit(not eval(sys.argv[2]))' "$1" "$2" 2>>"$err"
}

# Until the last sample in a file is so: wait_for_sample FILE EXPRESSION
wait_for_sample() {
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		holds "$@" 2>/dev/null && return
		sleep 0.05
	done
}

check top/none-runs 1 "no VM runs" "hint: start one" -- top
check top/none-runs-json 1 "no VM runs" -- top --json --count 1
check top/help 0 "--interval TIME" "docs/top.md" -- top --help
check top/unknown-option 2 "'--jsn' is not expected" "hint:" -- top --jsn
check top/two-names 2 "'b' is not expected" -- top a b
check top/no-interval 2 "--interval wants a value" -- top --interval
for word in 0 -1 2h nan 1e99 s '' 0.001 20ms; do
	check "top/interval-$word" 2 "is no time" "hint:" -- top "--interval=$word"
done
for word in 0 -1 x 1.5 99999999999999999999 ''; do
	check "top/count-$word" 2 "is no number of samples" "hint:" -- top "--count=$word"
done
run_it env AXVM_RUN_DIR=/nowhere "$AXVM" top
judge top/no-directory 2 "/nowhere" "No such file"

cpu=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
start_vm 'first vm' -k spin -c 2 --cpu-affinity "$cpu,$cpu"
first=$vm
for ((tries = 0; tries < 100; tries++)); do # two that share a CPU: the other may be late
	[ "$("$AXVM" top "$first" --count 1 --interval 40ms 2>/dev/null | grep -cE '^ +[01] .* Running ')" != 2 ] || break
done
check_answered top/one 0 "first vm (pid $first) Running" "2 vCPUs" "STEAL%" "I/O  CPU" "node 0" -- \
	top --count 1 --interval 50ms
expect top/80-columns "a line is too long" test -z "$(grep -E '.{81}' "$out")"
expect top/vcpus "not a line for each" test "$(grep -cE '^ +[01] .* Running ' "$out")" = 2
check_answered top/by-name 0 "first vm (pid" -- top 'first vm' --count 1 --interval 50ms
check_answered top/by-pid 0 "first vm (pid" -- top "$first" --count=1 --interval=0.05
check top/not-there 1 "no VM 'second' runs" "these run: first_vm ($first)" -- top second
check_answered top/json 0 '"vms"' -- top --json --count 2 --interval 100ms
says_where top/json-on-stdout out
expect top/json-lines "not two" test "$(wc -l <"$out")" = 2
expect top/json-shape "$(cat "$out")" holds "$out" "len(s['vms']) == 1 and s['closed'] == s['silent'] == 0 and \
	s['vms'][0]['pid'] == $first and len(s['vms'][0]['vcpus']) == 2 and \
	0.05 < s['vms'][0]['interval_s'] < 20"
expect top/json-affinity "$(cat "$out")" holds "$out" "all(v['allowed'] == v['planned'] == str(v['cpu']) and \
	not v['astray'] for v in s['vms'][0]['vcpus'])"
expect top/json-unknown "$(cat "$out")" holds "$out" "all(v['kvm']['exits'] == 0 and \
	v['kvm']['irq_exits'] is None for v in s['vms'][0]['vcpus'])"
# Every key is in the manual page of keys.
python3 -IS -c '
import json, sys
def keys(value):
    for v in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from keys(v)
    if isinstance(value, dict):
        yield from value
known = open(sys.argv[2]).read() + open(sys.argv[3]).read()
print(*sorted({k for k in keys(json.loads(open(sys.argv[1]).readline())) if k not in known and k != "0"}))' \
	"$out" "$root/docs/top.md" "$root/include/axvm/live.h" >"$scratch/keys"
expect top/json-keys-documented "not in docs/top.md: $(cat "$scratch/keys")" test -z "$(tr -d '\n' <"$scratch/keys")"
for ((tries = 0; tries < 5; tries++)); do
	run_it "$AXVM" top --json --count 10 --interval 40ms
	grep -qE '"silent": ?[1-9]' "$out" || break
done
expect top/shortest-interval "there are no rates: $(cat "$err")" holds "$out" \
	"len(samples) == 10 and all(s['vms'][0]['interval_s'] for s in samples)"
for word in --json --quiet; do
	{
		"$AXVM" top "$word" --interval 50ms 2>"$err"
		echo "status $?" >>"$err"
	} | head -n 1 >"$out"
	expect "top/pipe-that-ends-$word" "no line, or it complains: $(cat "$err")" \
		test "$(wc -l <"$out") $(cat "$err")" = "1 status 0"
done

# A thread that was moved is seen.
if [ "$(nproc)" -gt 1 ]; then
	taskset -acp "$(taskset -cp $$ | sed 's/.*: //')" "$first" >/dev/null 2>&1
	check_answered top/astray 0 "!" "may run elsewhere than planned" -- top --count 1 --interval 50ms
fi

start_vm second -k spin
second=$vm
check_answered top/list 0 "PID NAME" "first vm" "second" -- top --count 1 --interval 50ms
check_answered top/list-one 0 "second (pid $second)" -- top second --count 1 --interval 50ms
start_vm second -k spin
# By their pids, which begin anew at times.
low=$((second < vm ? second : vm))
check_answered top/name-twice 2 "2 VMs are called 'second'" \
	"by its pid: $low (user $(id -u)), $((second + vm - low)) (user $(id -u))" -- top second --count 1
terminate "$vm" TERM

# One that hangs holds up the others for a moment only.
kill -STOP "$second"
check top/one-hangs 0 "first vm" "1 more did not answer" -- top --count 1 --interval 50ms
# Nor does it keep us from ending.
"$AXVM" top --json --interval 40ms >"$out" 2>"$err" &
watcher=$!
wait_for_lines "$out" 2
terminate "$watcher" TERM
judge top/one-hangs-and-we-end 0
check top/hanging-alone 1 "it does not answer" "hint:" -- top second --count 1
kill -CONT "$second"

# One that was seen and hangs has not ended: it is silent until it comes back.
"$AXVM" top second --json --interval 40ms >"$out" 2>"$err" &
watcher=$!
wait_for_sample "$out" "len(s['vms']) == 1"
kill -STOP "$second"
wait_for_sample "$out" "not s['vms'] and s['silent'] == 1"
kill -CONT "$second"
wait_for_sample "$out" "len(s['vms']) == 1 and not s['silent']"
terminate "$watcher" TERM
judge top/hangs-and-comes-back 0
expect top/hangs-and-comes-back-seen "$(tail -n 3 "$out")" holds "$out" \
	"len(s['vms']) == 1 and any(not x['vms'] and x['silent'] == 1 for x in samples)"

# A VM that ends while it is watched, and one that is killed: its socket goes with the next look.
"$AXVM" top second --interval 50ms >"$out" 2>"$err" &
watcher=$!
wait_for_lines "$out" 1
kill -KILL "$second"
wait "$second" 2>/dev/null
wait "$watcher"
status=$? left=
judge top/ends-with-its-vm 0 "second has ended"
check_answered top/after-a-kill 0 "first vm (pid" -- top --count 1 --interval 50ms
expect top/stale-socket "it is still there" test ! -e "$AXVM_RUN_DIR/$second-second.sock"
terminate "$first" TERM
expect top/nothing-left "$(ls -A "$AXVM_RUN_DIR")" test -z "$(ls -A "$AXVM_RUN_DIR")"

# start_fake NAME BEHAVIOUR...: a VM that is none (top_vm.py); its process goes to $vm.
start_fake() {
	local tries
	python3 -IS "$here/top_vm.py" "$AXVM_RUN_DIR" "$@" &
	vm=$!
	for ((tries = 0; tries < 400; tries++)); do
		compgen -G "$AXVM_RUN_DIR/$vm-$1*.sock" >/dev/null && return
		sleep 0.05
	done
}

# stop_fake: the one that was started last.
stop_fake() {
	kill "$vm"
	wait "$vm" 2>/dev/null
	rm "$AXVM_RUN_DIR/$vm-"*.sock
}

# One whose looks are all the same has no rates.
start_fake still still
check_answered top/no-rates 0 "DEVICE" "blk0" -- top --count 1 --interval 50ms
expect top/no-rates-no-numbers "$(cat "$out")" test "$(awk '/^blk0/ { $1 = ""; print }' "$out")" = " - - - - - - -"
stop_fake

# One that drops those who ask, as it does when they are too many, is asked again, and has not ended.
start_fake crowded drops 3
check_answered top/dropped 0 "crowded (pid $vm)" -- top --count 3 --interval 50ms
stop_fake

# A name with the pid of another process is no VM's, and does not keep that from being asked by its
# pid.
start_vm real -k spin
true_pid=$vm
start_fake false still
mv "$AXVM_RUN_DIR/$vm-false.sock" "$AXVM_RUN_DIR/$true_pid-false.sock"
check top/false-pid 0 "real (pid $true_pid)" "1 more did not answer" -- top "$true_pid" --count 1 --interval 50ms
check top/false-name 1 "is not of process $vm, which listens there" "hint: that is no VM" -- top false
mv "$AXVM_RUN_DIR/$true_pid-false.sock" "$AXVM_RUN_DIR/$vm-false.sock"
stop_fake
terminate "$true_pid" TERM

# One that is started anew is the same VM, also for who looks between two of its lives.
start_vm again -k reset --on-reboot restart
check top/restarts 0 -- top again --json --count 20 --interval 50ms
terminate "$vm" TERM
judge top/restarts-ends 0

# Any number that hang hold up the others no longer than one, and every one of them is asked: with
# more connections than a shell gives descriptors, too.
start_fake silent silent 100
silent=$vm
for ((tries = 0; tries < 400; tries++)); do
	[ -S "$AXVM_RUN_DIR/$vm-silent99.sock" ] && break
	sleep 0.05
done
start_vm living -k spin # its pid is higher: it is asked last
# shellcheck disable=SC2016 # the other shell's arguments
run_it bash -c 'ulimit -Sn 32; exec "$@"' - "$AXVM" top --json --count 1 --interval 50ms
judge top/many-hang 0
expect top/many-hang-in-time "$(cut -c -200 "$out")" holds "$out" \
	"s['silent'] == 100 and s['vms'][0]['interval_s'] < 20"
check top/many-are-counted 1 "no VM 'nobody' runs" "silent0 ($silent), silent1 ($silent)," "more" -- top nobody
# Those that are named, and the number of the others: how many fit depends on the length of a pid.
expect top/many-fit "$(cat "$err")" test "$(sed -nE 's/.*hint: these run: ([^,]*(, [^,]*)*) and ([89][0-9]) more$/\1 \3/p' "$err" |
	awk '{ print gsub(/\([0-9]+\)/, "") + $NF }')" = 101
terminate "$vm" TERM
vm=$silent
stop_fake

# A name that another user has led to somebody's socket gets no word from us.
if [ "$(id -u)" = 0 ]; then
	python3 -IS - "$AXVM_RUN_DIR" <<'END' &
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "/1-trap.sock")
listener.listen(1)
os.chown(sys.argv[1] + "/1-trap.sock", 65534, 65534)
client, _ = listener.accept()
sys.exit(1 if client.recv(1) else 0)
END
	trap=$!
	for ((tries = 0; tries < 100; tries++)); do
		# Bound, listening and given away, in this order.
		[ "$(stat -c %u "$AXVM_RUN_DIR/1-trap.sock" 2>/dev/null)" = 65534 ] && break
		sleep 0.05
	done
	check top/trap 1 "is user 65534's, and user 0 listens there" "hint:" -- top --count 1
	wait "$trap"
	expect top/trap-heard-nothing "it was told something" test $? = 0
	rm "$AXVM_RUN_DIR/1-trap.sock"
fi

# A VM runs where no socket can be made, too.
run_it env AXVM_RUN_DIR=/nowhere "$AXVM" "${fake[@]}" -k off --placement off
judge top/no-socket-no-problem 0
run_it env AXVM_RUN_DIR=/nowhere "$AXVM" "${fake[@]}" -k off --placement off -v
judge top/no-socket-is-logged 0 "will not see this VM"
export AXVM_RUN_DIR=$vms
