# --on-reboot restart: the guest that reboots comes back, from a fresh machine.
. scripts/lib.inc
start -c 2 -m 256M --on-reboot restart --append 'loglevel=5 axtest=reboot'
tries=1200
until [ "$(grep -c 'AXTEST reboot ok' "$WORK/out")" -ge 2 ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || die "it did not come back"
	kill -0 "$pid" 2>/dev/null || die "axvm ended"
	usleep 100000 2>/dev/null || sleep 0.1
done
kill -TERM "$pid"
wait_end 20
[ "$status" = 0 ] || die "exit status $status"
