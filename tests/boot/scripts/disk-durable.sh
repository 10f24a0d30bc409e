# Killing the monitor loses nothing that was flushed, and the file system is clean after.
. scripts/lib.inc
cp data.img "$WORK/disk.img"
start -c 1 -m 256M --disk "$WORK/disk.img" --append 'loglevel=5 axtest=login'
log_in
say 'mount -t ext4 /dev/vda /mnt && echo flushed-data > /mnt/kept && sync && echo synced=$((40 + 2))'
wait_for 'synced=42' 60
kill -9 "$pid"
wait "$pid"
start -c 1 -m 256M --disk "$WORK/disk.img" --append 'loglevel=5 axtest=login'
log_in
say 'mount -t ext4 /dev/vda /mnt && cat /mnt/kept; umount /mnt; echo done=$((1 + 2))'
wait_for 'done=3' 60
grep -q '^flushed-data' "$WORK/out" || die "what was flushed is gone"
say 'poweroff -f'
wait_end 60
if command -v fsck.ext4 >/dev/null; then
	fsck.ext4 -fn "$WORK/disk.img" >"$WORK/fsck" 2>&1 || die "fsck: $(tail -n 3 "$WORK/fsck" | tr '\n' ' ')"
fi
