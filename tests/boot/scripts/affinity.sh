# --cpu-affinity: every vCPU's thread has its one CPU; a CPU that is not there is refused by name
# before anything is made.
# architectures: x86_64
. scripts/lib.inc
first=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
start -c 2 -m 256M --cpu-affinity "$first,$first" --append 'loglevel=5 axtest=idle'
wait_for 'AXTEST idle ready' 120
pinned=0
for task in /proc/"$pid"/task/*; do
	case $(cat "$task/comm") in vcpu*) ;; *) continue ;; esac
	[ "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status")" = "$first" ] ||
		die "$(cat "$task/comm") may run elsewhere"
	pinned=$((pinned + 1))
done
[ $pinned = 2 ] || die "$pinned vCPU threads"
kill -TERM "$pid"
wait_end 20
./axvm run --kernel guest/6.1/vmlinuz -c 2 -m 256M --cpu-affinity "$first,7777" </dev/null >"$WORK/out" 2>&1
status=$?
pid=
[ $status = 2 ] || die "a missing CPU: exit status $status"
grep -q 'CPU 7777' "$WORK/out" || die "its message: $(head -n 1 "$WORK/out")"
! grep -q 'Linux version' "$WORK/out" || die "the guest had started"
