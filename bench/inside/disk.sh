# What a random 4 KiB read of a raw disk costs, everything counted; part of bench/disk.
# shellcheck shell=sh
. inside/lib.sh
[ "$WHERE" = lab ] && unit='instructions of guest, KVM, monitor and host kernel' || unit='ns'
per_ns=1000
[ "$WHERE" = lab ] && per_ns=125

queued() { # WHO: sets one and many
	trace_on 4096
	event kvm/kvm_hypercall 'nr >= 0xbe02'
	clocked "$1"
	trace_end
	! grep -q 'nr 0xbeff' "$work/trace" || fail "$1: the guest could not read its disk"
	# shellcheck disable=SC2046 # numbers
	set -- $(stamps 'nr 0xbe02' 'nr 0xbe03' 'nr 0xbe04')
	one=$((($2 - $1) * per_ns / 2048)) many=$((($3 - $2) * per_ns / 2048))
}

truncate -s 64M "$work/disk"
dd if=/dev/urandom of="$work/disk" bs=1M count=64 2>/dev/null
disk=$work/disk
linux tiny queue
queued axvm
a_one=$one a_many=$many
queued qemu
header "disk ($unit for each 4 KiB random read; raw file in memory, 1 vCPU)"
row 'one by one' "$a_one" "$one" 1 %d
row '32 in flight' "$a_many" "$many" 1 %d
