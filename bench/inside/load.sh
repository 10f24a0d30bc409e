# What loading a real kernel costs before the guest's first instruction; part of bench/boot, for a
# KVM that may be unable to run that kernel: the guest is stopped as soon as it has started.
#   load.sh RUNS KERNEL
# shellcheck shell=sh
. inside/lib.sh
linux "$2"
axvm_options='--max-exits 1 --timeout 200ms --timeline'
run=0
while [ "$run" -lt "$1" ]; do
	vm axvm timeout 20 || true
	cp "$work/out" "$work/out.axvm"
	sed -n 's/^ *\([0-9.]*\) .* first guest instruction$/\1/p' "$work/out" >>"$work/first"
	# Its firmware ends it: kernel and initrd have been read by then, though not yet copied to the guest.
	vm qemu-firmware ./clock "$work/clock" || true
	awk '{ print $1 / 1000000 }' "$work/clock" >>"$work/peer"
	run=$((run + 1))
done
header "loading Linux $2 (ms from exec to the first guest instruction, medians of $1 pairs)"
row "AxVM by its timeline, QEMU to its firmware's end" "$(median <"$work/first")" "$(median <"$work/peer")"
printf '\nwhere the time of the last one went (axvm run --timeline)\n'
sed -n '/timeline/,/^$/{/^ /p}' "$work/out.axvm"
