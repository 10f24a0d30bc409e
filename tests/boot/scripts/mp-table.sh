# acpi=off: CPUs and interrupts come from the MP table, devices from the command line. Needs a kernel
# that reads MP tables, which Debian's do not. Without ACPI Linux cannot power off: it reboots.
# architectures: x86_64
. scripts/lib.inc
[ -e guest/tiny/vmlinuz ] || { echo "no tiny guest"; exit 1; }
cp data.img "$WORK/disk.img"
./axvm run --kernel guest/tiny/vmlinuz --initrd guest/tiny/initramfs -c 4 -m 512M --disk "$WORK/disk.img" \
	--append "acpi=off axtest=cpus,disk,reboot axcpus=4" </dev/null >"$WORK/out" 2>&1
status=$?
pid=
[ $status = 10 ] || die "exit status $status"
grep -q 'AXTEST cpus ok' "$WORK/out" || die "CPUs are missing"
grep -q 'AXTEST disk ok' "$WORK/out" || die "the disk does not work"
