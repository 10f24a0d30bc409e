# axvm top beside an idle guest: it is found, its threads are where they may be, its CPUs halt and
# leave the guest for no other reason than that, its memory is near, and nothing stays behind. On x86
# the IPIs of a root that has tracefs are a number.
. scripts/lib.inc
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
start -c 2 -m 256M --append 'loglevel=5 axtest=idle'
wait_for 'AXTEST idle ready' 120
sleep 2
# The VM is given a second to answer, which is too little at times on a loaded machine.
sampled() {
	for _ in 1 2 3 4 5; do
		./axvm top --json --count 2 --interval 3s >"$WORK/samples" 2>"$WORK/err" &&
			[ "$(grep -c '"tid"' "$WORK/samples")" = 2 ] && return
	done
	return 1
}
sampled || die "not two samples with a VM: $(cat "$WORK/samples" "$WORK/err")"
tail -n 1 "$WORK/samples" | sed 's/[][,{}]/\n/g' >"$WORK/words"
values() { sed -n "s/^\"$1\"://p" "$WORK/words"; }
# above KEY: how many of its values are above 0.
above() { values "$1" | awk '$1 + 0 > 0 { n++ } END { print n + 0 }'; }
[ "$(values pid)" = "$pid" ] || die "pid $(values pid), not $pid"
[ "$(values state | sort -u | tr -d '\n')" != "" ] || die "no states"
[ "$(values guest_node | wc -l)" -ge 2 ] || die "not two vCPUs"
for tid in $(values tid); do
	[ -d "/proc/$pid/task/$tid" ] || die "thread $tid is not the VM's"
done
# In the order of the threads: what is allowed is what the kernel says, and the CPU is one of that.
values tid >"$WORK/tids"
values allowed | tr -d '"' >"$WORK/allowed"
while read -r tid <&3 && read -r list <&4; do
	real=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$pid/task/$tid/status")
	[ "$list" = "$(echo "$real" | cut -d, -f1)" ] || die "thread $tid may be on $real, not $list"
done 3<"$WORK/tids" 4<"$WORK/allowed"
last=$(($(grep -c ^processor /proc/cpuinfo) - 1))
for cpu in $(values cpu | sed 1d); do # the first is the VM's CPU time
	[ "$cpu" -le $last ] || die "on CPU $cpu of $last"
done
! values astray | grep -q true || die "a thread is astray"
# Sums of the VM, and each vCPU's: the guest's clock ticks on one of them at least.
[ "$(above halts)" = 1 ] || die "an idle guest does not halt: $(values halts)"
[ "$(above halt_exits)" -ge 1 ] || die "no vCPU halts"
[ "$(above exits)" -ge 2 ] || die "no vCPU leaves the guest"
awk -v exits="$(values exits | head -n 1)" -v halts="$(values halts)" \
	'BEGIN { exit !(exits >= halts) }' || die "more halts than exits"
values run | awk '$1 == "null" || $1 > 0.9 { bad = 1 } END { exit bad }' ||
	die "an idle guest runs: $(values run | tr '\n' ' ')"
! values steal | grep -q null || die "steal is not known"
# A kernel without nodes does not say where pages lie.
[ "$(above present_bytes)" = 2 ] || [ ! -d /sys/devices/system/node ] || die "no memory is there"
[ "$(above remote_bytes)" = 0 ] || [ -d /sys/devices/system/node/node1 ] || die "remote memory on one node"
case $(uname -m) in
x86_64)
	[ ! -d /sys/kernel/tracing/events/kvm ] || ! values ipis | grep -q null || die "IPIs are not counted"
	;;
esac
# For people, and by its name.
for _ in 1 2 3 4 5; do ./axvm top vm --count 1 --interval 1s >"$WORK/table" 2>&1 && break; done
grep -q "^vm (pid $pid) Running" "$WORK/table" || die "the table: $(head -n 3 "$WORK/table")"
cat "$WORK/table" >&2
kill -TERM "$pid"
wait_end 20
[ "$status" = 0 ] || die "exit status $status"
for left in /run/axvm/"$pid"-*; do
	[ ! -e "$left" ] || die "still there: $left"
done
if ./axvm top --count 1 >"$WORK/table" 2>&1; then die "a VM that has ended is seen"; fi
grep -q 'no VM runs' "$WORK/table" || die "without a VM: $(cat "$WORK/table")"
