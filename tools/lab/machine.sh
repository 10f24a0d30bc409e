# shellcheck shell=bash
# One run of the lab's machine, whatever its architecture, from start to
# sentinel. What differs is in machine-ARCH.sh, which defines
#   lab_kernel, lab_modules   the kernel it boots, and the modules that go in
#   default_cpus              without --cpus
#   kvm_modules               one word or more for modprobe, a module and its parameters
#   firmware_end              a pattern of the last line that the firmware prints; empty if silent
#   hang_commands, hang_pattern   what to ask the monitor about a CPU that hangs
#   machine_command           adds machine, CPU and bus to the array qemu; sets bus
#                             (virtio's, device or pci) and append (kernel command line)
# The why of each option: README.md.

# qemu_command: fills the array qemu from the options of the run.
qemu_command() {
	local kdir bus=device threading=single append=''
	kdir=$(kernel_dir "$lab_kernel")
	[ "$cpus" -eq 1 ] || threading=multi
	[ -z "$thread" ] || threading=$thread
	qemu=("qemu-system-$arch" -nodefaults -no-user-config -display none -no-reboot
		-accel "tcg,thread=$threading" -m "$memory")
	machine_command
	[ "$icount" = no ] || qemu+=(-icount "shift=3,sleep=off" -seed 1 -rtc "base=2026-01-01T00:00:00,clock=vm")
	append+=" panic=-1 nokaslr random.trust_cpu=on quiet loglevel=3"
	# A lab that hangs shows as a soft lockup long before the timeout.
	[ "$cpus" -eq 1 ] || append+=" softlockup_panic=1"
	qemu+=(-kernel "$kdir/vmlinuz" -initrd "$initrd" -append "${append# } $extra_append")
	[ -z "$disk" ] || qemu+=(-drive "file=$disk,if=none,id=payload,format=raw,cache=unsafe"
		-device "virtio-blk-$bus,drive=payload,serial=axpayload")
	[ -z "$out_disk" ] || qemu+=(-drive "file=$out_disk,if=none,id=out,format=raw,cache=unsafe"
		-device "virtio-blk-$bus,drive=out,serial=axout")
}

# two_nodes: CPUs and memory for --numa, half of them on each node.
two_nodes() {
	local half=$((memory / 2))
	qemu+=(-smp "$cpus,sockets=2,cores=$((cpus / 2)),threads=1"
		-object "memory-backend-ram,id=m0,size=${half}M" -object "memory-backend-ram,id=m1,size=${half}M"
		-numa node,nodeid=0,memdev=m0 -numa node,nodeid=1,memdev=m1
		-numa cpu,node-id=0,socket-id=0 -numa cpu,node-id=1,socket-id=1 -numa dist,src=0,dst=1,val=21)
}

# take_slot: waits until fewer labs run than this machine has CPUs, since a lab
# that gets no CPU time hits its timeout. The lock goes with the process.
take_slot() {
	local slots=${AXVM_LAB_SLOTS:-$(nproc)} slot waited=no
	[ "$slots" -gt 0 ] || return 0
	mkdir -p "$AXVM_CACHE/lab/slots"
	while :; do
		for ((slot = 0; slot < slots; slot++)); do
			exec {slot_fd}>"$AXVM_CACHE/lab/slots/$slot"
			if flock -n "$slot_fd"; then return 0; fi
			exec {slot_fd}>&-
		done
		[ "$waited" = yes ] || say "waiting: $slots labs run already"
		waited=yes
		sleep 0.3
	done
}

# watch_heart PID: ends a lab that hangs. The lab's init sends a byte every few seconds, so a lab
# that says nothing at all does not live; what its CPU was doing goes to standard error.
watch_heart() {
	local pid=$1 raw=$SCRATCH/raw
	while sleep 2 && kill -0 "$pid" 2>/dev/null; do
		[ -s "$raw" ] || continue
		[ $(($(date +%s) - $(stat -c %Y "$raw"))) -ge "$silence" ] || continue
		say "the lab has been silent for $silence s: it hangs"
		# The monitor answers while the CPU does not.
		(timeout 2 cat "$SCRATCH/mon.out" | grep -aE "$hang_pattern" >&2) &
		printf '%s\n' "${hang_commands[@]}" >"$SCRATCH/mon.in"
		wait $!
		kill "$pid"
	done
}

# run_once: boots, streams the console, sets rc. Returns 1 when the lab hung or
# died before the command ended.
run_once() {
	local log=$SCRATCH/console fifo=$SCRATCH/fifo status=0 reader watcher=''
	rm -f "$fifo" "$SCRATCH"/mon.{in,out} "$SCRATCH/raw"
	mkfifo "$fifo" "$SCRATCH"/mon.{in,out}
	sed -u ${firmware_end:+-e "1,/$firmware_end/d"} -e 's/\x05//g' -e 's/\r*$//' -e '/^LAB rc=[0-9]*$/,${/^LAB rc=/!d}' <"$fifo" | tee "$log" &
	reader=$!
	timeout --foreground -k 5 "$timeout" "${qemu[@]}" \
		-chardev "stdio,id=con,signal=off,logfile=$SCRATCH/raw" -serial chardev:con \
		-chardev "pipe,id=mon,path=$SCRATCH/mon" -mon chardev=mon \
		</dev/null >"$fifo" 2>"$SCRATCH/qemu.err" &
	qemu_pid=$!
	if [ "$icount" = no ]; then
		watch_heart "$qemu_pid" &
		watcher=$!
	fi
	wait "$qemu_pid" || status=$?
	qemu_pid=''
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
	wait "$reader" || true
	[ -z "$log_file" ] || cp "$log" "$log_file"
	rc=$(sed -n 's/^LAB rc=\([0-9]*\)$/\1/p' "$log" | tail -1)
	[ -z "$rc" ] || return 0
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		say "timeout: no end of the command in $timeout s"
		rc=124
	else
		say "the lab ended before the command did (QEMU's exit status $status)"
		cat "$SCRATCH/qemu.err" >&2
		rc=125
	fi
	return 1
}
