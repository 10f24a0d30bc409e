# Killing the monitor in the middle of writes loses nothing that the guest was told is durable: it
# writes numbered blocks and says each number after its fsync.
# architectures: x86_64
. scripts/lib.inc
for transport in mmio pci; do
	truncate -s 64M "$WORK/disk.img"
	start -c 2 -m 256M --initrd guest/6.1-io/initramfs --disk "$WORK/disk.img" --transport $transport \
		--append 'loglevel=5 axtest=login'
	log_in
	say 'axload journal /dev/vda blocks=16000'
	wait_for '^journal 200' 120
	kill -9 "$pid"
	wait "$pid"
	# The last line may be half a line.
	last=$(tr -d '\r' <"$WORK/out" | sed '$d' | sed -n 's/^journal //p' | tail -n 1)
	[ "$last" -ge 199 ] || die "$transport: the last durable block is '$last'"
	./axload journal "$WORK/disk.img" check="$last" >"$WORK/check" 2>&1 ||
		die "$transport: of $last durable blocks: $(cat "$WORK/check")"
	echo "$transport: $last blocks are there" >&2
	rm "$WORK/disk.img"
done
