# fio verifies a disk of two queues that is an overlay over nothing but zeros.
. scripts/lib.inc
truncate -s 64M "$WORK/base.img"
./axvm disk overlay "$WORK/overlay.img" "$WORK/base.img" || die "cannot make an overlay"
./axvm run --kernel guest/6.1-fio/vmlinuz --initrd guest/6.1-fio/initramfs -c 2 -m 512M \
	--disk "$WORK/overlay.img,base=$WORK/base.img,queues=2" --append 'loglevel=5 axtest=fio' \
	</dev/null >"$WORK/out" 2>&1 || die "axvm ended with $?"
grep -q 'AXTEST fio ok' "$WORK/out" || die "fio did not verify"
! grep -q 'I/O error' "$WORK/out" || die "the kernel reported disk errors"
