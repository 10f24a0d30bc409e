# Our counters against KVM's own after a whole boot: no exit is lost or counted twice, each cause
# agrees, and an idle guest costs almost nothing and shows its CPUs as halted, not as exits.
# architectures: x86_64
. scripts/lib.inc
cp data.img "$WORK/disk.img"
start -c 2 -m 256M --disk "$WORK/disk.img" --append 'loglevel=5 axtest=disk,idle'
wait_for 'AXTEST idle ready' 120
sleep 2
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
before=$(ticks)
sleep 10
after=$(ticks)
kill -TERM "$pid"
wait_end 20
[ "$status" = 0 ] || die "exit status $status"
value() { awk -v n="$1" '$1 == n { v = $2 } END { print v + 0 }' "$WORK/out"; }
sum=0
for name in io_exits mmio_exits sysreg_exits halt_exits interrupt_exits fault_exits other_exits; do
	sum=$((sum + $(value $name)))
done
[ "$sum" = "$(value vcpu_exits)" ] || die "the causes make $sum exits, not $(value vcpu_exits)"
for name in vcpu_runs io_exits mmio_exits kicks memory_reads memory_writes io_wakeups io_requests io_bytes irqs_raised; do
	[ "$(value $name)" -gt 0 ] || die "$name is not fed"
done
[ "$(value kvm_exits)" -gt 0 ] || die "KVM's statistics are not read"
[ "$(value kvm_halt_exits)" -gt 0 ] || die "KVM counts no halts"
ours=$(($(value vcpu_exits) - $(value interrupt_exits)))
[ "$(value kvm_exits)" -ge $ours ] || die "KVM made $(value kvm_exits) exits, we count $ours"
[ "$(value kvm_io_exits)" -ge "$(value io_exits)" ] ||
	die "KVM saw $(value kvm_io_exits) port accesses, we count $(value io_exits)"
[ "$(value kvm_mmio_exits)" = "$(value mmio_exits)" ] ||
	die "KVM handed out $(value kvm_mmio_exits) MMIO accesses, we count $(value mmio_exits)"
[ "$(value halt_exits)" = 0 ] || die "halts came to userspace"
# 10 s are 1000 ticks. Under emulation a wake-up costs much more than on a processor.
limit=20
[ ! -e /.lab/settings ] || limit=150
[ $((after - before)) -le $limit ] || die "an idle guest took $((after - before)) of 1000 ticks"
echo "idle: $((after - before)) of 1000 ticks" >&2
