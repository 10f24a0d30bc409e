# Shared by the parts that run where the KVM is, in the directory that was staged: the command lines
# of the two monitors and the tracing of KVM. Sourced, by sh and by busybox.
# shellcheck shell=sh
work=$(mktemp -d)
tracing=/sys/kernel/tracing
kernel='' initrd='' words='' cpus=1 memory=256M disk='' rtc=off
# Seconds after which a guest hangs: the lab's own, slower on a loaded machine, unless they are counted.
limit=60

finish() {
	[ ! -w "$tracing/tracing_on" ] || trace_off
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# linux KERNEL [WHAT]: the next guests are this kernel, and its init does WHAT (guest/init.c).
linux() {
	# Debian's kernels wait a second for a clock that is not there, 40000 exits long.
	case $1 in tiny) rtc=off ;; *) rtc=on ;; esac
	kernel=$1/vmlinuz initrd=$1/initrd words="quiet console=null panic=-1 pci=off reboot=t bench=${2:-end}"
}

# payload first|idle: the next guests are the kernel that ends at once, or halts at once.
payload() { kernel=$1.elf initrd='' words=''; }

# vm axvm|qemu|qemu-firmware PREFIX...: runs the guest to its end under PREFIX. Neither monitor has a
# serial port or a random number device, and both know the same end, port 0x604.
vm() {
	who=$1
	shift
	case $who in
	axvm)
		set -- "$@" ./axvm run --kernel "$kernel" --memory "$memory" --cpus "$cpus" --serial none --no-rng
		[ -z "$initrd" ] || set -- "$@" --initrd "$initrd" --cmdline "$words"
		[ -z "$disk" ] || set -- "$@" --disk "$disk"
		# shellcheck disable=SC2086 # options are words
		set -- "$@" ${axvm_options:---quiet}
		;;
	qemu*)
		# Without arch-capabilities it starts on a paravirtual KVM too.
		set -- "$@" qemu-system-x86_64 -accel kvm,kernel-irqchip=on -cpu host,-arch-capabilities -m "$memory" -smp "$cpus" \
			-M "microvm,rtc=$rtc,pit=off,pic=off,isa-serial=off,ioapic2=off,x-option-roms=off" \
			-nodefaults -no-user-config -display none -no-reboot \
			-device isa-debug-exit,iobase=0x604,iosize=2 -kernel "$kernel"
		[ "$who" != qemu-firmware ] || set -- "$@" -bios first.fw
		[ -z "$initrd" ] || set -- "$@" -initrd "$initrd" -append "$words"
		[ -z "$disk" ] || set -- "$@" -object iothread,id=io -device virtio-blk-device,drive=disk,iothread=io \
			-drive "if=none,id=disk,format=raw,file=$disk"
		;;
	esac
	"$@" </dev/null >"$work/out" 2>&1
}

# clocked WHO: one run; sets total_ns. A run that did not end by the port or a triple fault failed.
# Linux under a hypervisor under TCG hangs at times, whatever the monitor: then once more.
clocked() {
	for try in 1 2 3; do
		rm -f "$work/clock"
		vm "$1" timeout -s KILL "$limit" ./clock "$work/clock"
		[ ! -s "$work/clock" ] || break
		echo "$1: no end after $limit s, try $try of 3" >&2
		sleep 1
		! can_trace || echo >"$tracing/trace"
	done
	[ -s "$work/clock" ] || fail "$1 did not end"
	# shellcheck disable=SC2034 # for the callers
	read -r total_ns status <"$work/clock"
	case $1:$status in
	axvm:0 | axvm:12 | qemu*:0 | qemu*:1) ;;
	*) fail "$1 ended with status $status" ;;
	esac
}

fail() {
	tail -n 20 "$work/out" | sed 's/^/  | /'
	echo "FAIL $*"
	exit 1
}

# ---- tracing: KVM's own account, the same for every monitor

can_trace() { [ -w "$tracing/events/kvm/kvm_entry/enable" ]; }

event() { # SYSTEM/NAME [FILTER]
	echo "${2:-0}" >"$tracing/events/$1/filter"
	echo 1 >"$tracing/events/$1/enable"
}

trace_off() {
	echo 0 >"$tracing/tracing_on"
	echo 0 >"$tracing/events/enable"
}

# trace_on SIZE_KB: empties the buffer; the monitors' own starts are always in it.
trace_on() {
	trace_off
	echo mono >"$tracing/trace_clock"
	echo "$1" >"$tracing/buffer_size_kb"
	echo >"$tracing/trace"
	event sched/sched_process_exec 'filename ~ "*axvm" || filename ~ "*qemu-system*"'
	echo 1 >"$tracing/tracing_on"
}

# stamps EXPRESSION...: microseconds of the first line of $work/trace that matches each.
stamps() {
	for expression; do
		awk -v e="$expression" '$0 ~ e {
			match($0, /[0-9]+\.[0-9]+: /)
			printf "%d ", substr($0, RSTART, RLENGTH - 2) * 1000000
			exit
		}' "$work/trace"
	done
}

# trace_end: stops and leaves the trace in $work/trace.
trace_end() {
	echo 0 >"$tracing/tracing_on"
	cp "$tracing/trace" "$work/trace"
	trace_off
}

# ---- tables

# row NAME AXVM QEMU UNIT_DIVISOR FORMAT: one line with the ratio of the two.
row() {
	awk -v name="$1" -v a="$2" -v q="$3" -v d="${4:-1}" -v f="${5:-%.2f}" 'BEGIN {
		printf "%-58s %10s %10s %9s\n", name, sprintf(f, a / d), sprintf(f, q / d),
			a ? sprintf("%.2f", q / a) : "-"
	}'
}

header() { printf '\n%s\n%-58s %10s %10s %9s\n' "$1" '' AxVM "QEMU" 'QEMU/AxVM'; }

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
