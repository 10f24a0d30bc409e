# The balloon: what the guest is asked for at the start is gone for it and never held by the monitor;
# memory that the guest has used and freed goes back to the host; and the guest that runs out gets
# its memory back from the balloon.
# architectures: x86_64 aarch64
. scripts/lib.inc
rss_mb() { awk '$1 == "VmRSS:" { print int($2 / 1024) }' "/proc/$pid/status"; }
guest_mb() { # FIELD: of /proc/meminfo in the guest
	n=$((${n:-0} + 1))
	say "echo $1-$n=\$((\$(sed -n 's/^$1: *\\([0-9]*\\).*/\\1/p' /proc/meminfo) / 1024))"
	wait_for "^$1-$n=" 30
	value=$(tr -d '\r' <"$WORK/out" | sed -n "s/^$1-$n=//p")
}
for transport in mmio pci; do
	[ $transport = mmio ] || [ "$(uname -m)" = x86_64 ] || break
	start -c 1 -m 512M --transport $transport --balloon --balloon-size 192M \
		--append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_balloon'
	log_in
	asked=0
	until guest_mb MemFree && [ "$value" -lt 280 ]; do
		asked=$((asked + 1))
		[ $asked -lt 30 ] || die "$transport: with a balloon of 192 MiB the guest still has $value MiB free"
		sleep 1
	done
	small=$value
	held=$(rss_mb)
	[ "$held" -lt 280 ] || die "$transport: the monitor holds $held MiB with the balloon full"

	# Free page reporting: what was used and is free again.
	say 'dd if=/dev/zero of=/tmp/used bs=1M count=120 2>/dev/null; echo used=$?'
	wait_for '^used=0' 60
	full=$(rss_mb)
	[ "$full" -ge $((held + 60)) ] || die "$transport: 120 MiB more in use, and $held MiB became $full"
	say 'rm /tmp/used; echo freed=$?'
	wait_for '^freed=0' 30
	tries=0
	until [ "$(rss_mb)" -lt $((full - 60)) ]; do
		tries=$((tries + 1))
		[ $tries -lt 40 ] || die "$transport: 120 MiB are free again, and $full MiB are still $(rss_mb)"
		sleep 1
	done
	echo "$transport: free in the guest $small MiB, held $held, in use $full, free again $(rss_mb)" >&2

	# More than is free without the balloon's: it deflates instead of a victim being killed.
	say "mount -o remount,size=90% /tmp; dd if=/dev/zero of=/tmp/much bs=1M count=$((small + 60)) 2>/dev/null; echo much=\$?"
	wait_for '^much=' 120
	grep -q '^much=0' "$WORK/out" || die "$transport: the guest did not get its memory back"
	say 'ls -l /tmp/much; poweroff -f'
	wait_end 60
	[ "$status" = 0 ] || die "$transport: exit status $status"
	! grep -qE 'Out of memory|Killed process' "$WORK/out" || die "$transport: somebody was killed for memory"
done
