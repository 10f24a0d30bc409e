# What a random 4 KiB read of a raw disk costs; part of bench/disk.
#   disk.sh PAIRS
# shellcheck shell=sh
. inside/lib.sh

# queued WHO: one run; appends the microseconds of each of the two loops of 2048 reads.
queued() {
	trace_on 4096
	event kvm/kvm_hypercall 'nr >= 0xbe02 && nr <= 0xbeff'
	clocked "$1"
	trace_end
	! grep -q 'nr 0xbeff' "$work/trace" || fail "$1: the guest could not read its disk"
	# shellcheck disable=SC2046 # numbers
	set -- "$1" $(stamps 'nr 0xbe02' 'nr 0xbe03' 'nr 0xbe04')
	echo $(($3 - $2)) >>"$work/one.$1"
	echo $(($4 - $3)) >>"$work/many.$1"
}

can_trace || { echo "SKIP disk: it takes root and tracefs to see the guest's marks"; exit 0; }
dd if=/dev/zero of="$work/disk" bs=1M count=64 2>/dev/null
disk=$work/disk
linux tiny queue
pair=0
while [ "$pair" -lt "$1" ]; do
	queued axvm
	queued qemu
	pair=$((pair + 1))
done
header "disk (us for each 4 KiB random read, medians of $1 pairs; raw file in memory, 1 vCPU; $WHERE)"
row 'one by one' "$(median <"$work/one.axvm")" "$(median <"$work/one.qemu")" 2048
row '32 in flight' "$(median <"$work/many.axvm")" "$(median <"$work/many.qemu")" 2048
