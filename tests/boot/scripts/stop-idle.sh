# Ctrl-C (SIGINT) and SIGTERM stop an idle guest of four CPUs: status 0, with a summary. How long
# it takes is printed, not judged: bench/stop measures it.
. scripts/lib.inc
for signal in INT TERM; do
	start -c 4 -m 256M --append 'loglevel=5 axtest=idle'
	wait_for 'AXTEST idle ready' 120
	sleep 1
	threads=$(ls /proc/"$pid"/task | wc -l)
	[ "$threads" -le 6 ] || die "$threads threads for 4 vCPUs, one I/O and one control thread"
	kill -s "$signal" "$pid"
	wait_end 20
	[ "$status" = 0 ] || die "SIG$signal: exit status $status"
	grep -q 'stopped (clean)' "$WORK/out" || die "SIG$signal: no summary"
done
