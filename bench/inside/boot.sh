# From exec to the guest's first instruction and to its init; part of bench/boot.
#   boot.sh PAIRS [KERNEL]...
# shellcheck shell=sh
. inside/lib.sh
pairs=$1 limit=15
shift

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

# compare NAME END_NAME: one row per moment, with the current guest.
compare() {
	if can_trace; then
		traced axvm
		a_entry=$entry_us a_end=$end_us a_total=$total_ns
		traced qemu
		row "$1: exec to the first guest instruction" "$a_entry" "$entry_us" 1000
		row "$1: exec to $2" "$a_end" "$end_us" 1000
		[ -n "$initrd" ] || row "$1: exec to the end of the process" "$a_total" "$total_ns" 1000000
		return
	fi
	: >"$work/axvm" && : >"$work/qemu" && : >"$work/qemu-firmware"
	pair=0
	while [ "$pair" -lt "$pairs" ]; do
		for who in axvm qemu qemu-firmware; do
			[ "$who" != qemu-firmware ] || [ -z "$initrd" ] || continue
			clocked "$who"
			echo "$total_ns" >>"$work/$who"
		done
		pair=$((pair + 1))
	done
	row "$1: exec to $2, and the process ended" "$(median <"$work/axvm")" "$(median <"$work/qemu")" 1000000
	[ -n "$initrd" ] || row "$1: the same, being QEMU's firmware" \
		"$(median <"$work/axvm")" "$(median <"$work/qemu-firmware")" 1000000
}

if [ "$WHERE" = lab ]; then
	unit='virtual ms of the lab, 1 ms = 125 000 instructions'
else
	unit="ms, medians of $pairs pairs"
fi
header "boot ($unit; 1 vCPU, $memory)"
payload first
compare payload "the kernel's first instruction"
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
