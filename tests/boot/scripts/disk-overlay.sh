# A guest over an image that it does not change: what it flushed before its monitor was killed is
# there afterwards, and the image is what it was.
. scripts/lib.inc
cp data.img "$WORK/base.img"
chmod 400 "$WORK/base.img"
sum=$(sha256sum <"$WORK/base.img")
./axvm disk overlay "$WORK/overlay.img" "$WORK/base.img" || die "cannot make an overlay"
start -c 1 -m 256M --disk "$WORK/overlay.img,base=$WORK/base.img" --append 'loglevel=5 axtest=login'
log_in
say 'mount -t ext4 /dev/vda /mnt && echo flushed-data > /mnt/kept && sync && echo synced=$((40 + 2))'
wait_for 'synced=42' 60
kill -9 "$pid"
wait "$pid"
start -c 1 -m 256M --disk "$WORK/overlay.img,base=$WORK/base.img" --append 'loglevel=5 axtest=login'
log_in
say 'mount -t ext4 /dev/vda /mnt && cat /mnt/kept; umount /mnt; echo done=$((1 + 2))'
wait_for 'done=3' 60
grep -q '^flushed-data' "$WORK/out" || die "what was flushed is gone"
say 'poweroff -f'
wait_end 60
[ "$(sha256sum <"$WORK/base.img")" = "$sum" ] || die "the base has changed"
