# From exec to the guest's first instruction and to its init; part of bench/boot.
#   boot.sh PAIRS [KERNEL]...    with CLOCK=real in a lab that does not count instructions
# shellcheck shell=sh
. inside/lib.sh
pairs=$1
shift
[ "${CLOCK:-}" = real ] || limit=15

# traced WHO: one run; sets entry_us, end_us (both since exec) and total_ns.
traced() {
	trace_on 4096
	event kvm/kvm_pio 'port == 0x604'
	event kvm/kvm_hypercall 'nr == 0xbe01'
	# Once per KVM_RUN: the first one is the guest's start, and there are few.
	event kvm/kvm_fpu 'load == 1'
	clocked "$1"
	trace_end
	# shellcheck disable=SC2046 # numbers
	set -- $(stamps sched_process_exec kvm_fpu 'kvm_pio|kvm_hypercall')
	entry_us=$(($2 - $1)) end_us=$(($3 - $1))
}

# collect WHO: one run; appends each figure to its file.
collect() {
	if ! can_trace; then
		clocked "$1"
	else
		traced "$1"
		echo "$entry_us" >>"$work/entry.$1"
		echo "$end_us" >>"$work/end.$1"
	fi
	echo "$total_ns" >>"$work/total.$1"
}

# medians NAME FILE [PEER [DIVISOR]]: the row of one figure.
medians() {
	[ ! -f "$work/$2.axvm" ] ||
		row "$1" "$(median <"$work/$2.axvm")" "$(median <"$work/$2.${3:-qemu}")" "${4:-1000}"
}

# compare NAME END_NAME: one row per moment, with the current guest.
compare() {
	rm -f "$work"/entry.* "$work"/end.* "$work"/total.*
	pair=0
	while [ "$pair" -lt "$pairs" ]; do
		collect axvm
		collect qemu
		# Where nothing can be traced, a firmware tells when QEMU's guest starts.
		[ -n "$initrd" ] || can_trace || collect qemu-firmware
		pair=$((pair + 1))
	done
	medians "$1: exec to the first guest instruction" entry
	medians "$1: exec to $2" end
	[ ! -f "$work/total.qemu-firmware" ] ||
		medians "$1: exec to the end of the process, QEMU's in firmware" total qemu-firmware 1000000
	if [ -z "$initrd" ] || ! can_trace; then
		medians "$1: exec to the end of the process" total qemu 1000000
	fi
}

if [ "$WHERE" = lab ] && [ "${CLOCK:-}" != real ]; then
	unit='virtual ms of the lab, 1 ms = 125 000 instructions'
else
	unit="ms of the $WHERE's clock, medians of $pairs pairs"
fi
header "boot ($unit; 1 vCPU, $memory)"
if [ "${CLOCK:-}" != real ]; then
	payload first
	compare payload "the kernel's first instruction"
fi
for guest; do
	linux "$guest"
	compare "Linux $guest" "the guest's init"
done
for guest; do
	linux "$guest"
	printf '\nwhere the time of Linux %s goes (axvm run --timeline)\n' "$guest"
	axvm_options=--timeline
	clocked axvm
	sed -n '/timeline/,/^$/{/^ /p}' "$work/out"
done
