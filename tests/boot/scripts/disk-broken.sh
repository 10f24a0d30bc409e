# A full file system under an image, and an image that is cut off: the guest gets I/O errors where
# there are none of its blocks, the monitor lives on, and the rest of the disk works as before.
# architectures: x86_64
. scripts/lib.inc
mkdir -p "$WORK/small"
mount -t tmpfs -o size=8m tmpfs "$WORK/small" || { echo "no tmpfs"; exit 1; }
trap 'kill -9 "$pid" 2>/dev/null; wait "$pid"; umount "$WORK/small"' EXIT
for transport in mmio pci; do
	truncate -s 32M "$WORK/small/disk.img"
	start -c 1 -m 256M --disk "$WORK/small/disk.img" --transport $transport --append 'loglevel=5 axtest=login'
	log_in
	say 'dd if=/dev/urandom of=/dev/vda bs=64k count=16 oflag=direct 2>/dev/null; echo first=$?; md5sum /tmp/none; dd if=/dev/vda bs=64k count=16 iflag=direct 2>/dev/null | md5sum'
	wait_for '^first=0' 60
	wait_for '^[0-9a-f]{32}  -' 60
	sum=$(tr -d '\r' <"$WORK/out" | sed -n 's/^\([0-9a-f]\{32\}\)  -.*/\1/p' | tail -n 1)
	say 'dd if=/dev/zero of=/dev/vda bs=64k seek=16 oflag=direct; echo full=$?'
	wait_for '^full=1' 120
	# virtio-blk has one status for all of them; Linux says I/O error.
	grep -qE 'I/O error|No space' "$WORK/out" || die "$transport: the guest saw no error"
	say 'dd if=/dev/vda bs=64k count=16 iflag=direct 2>/dev/null | md5sum; echo again=$?'
	wait_for '^again=0' 60
	[ "$(grep -c "^$sum" "$WORK/out")" = 2 ] || die "$transport: what was there before is not any more"
	truncate -s 512K "$WORK/small/disk.img"
	say 'dd if=/dev/vda of=/dev/null bs=64k skip=400 count=1 iflag=direct; echo cut=$?'
	wait_for '^cut=1' 60
	say 'dd if=/dev/vda of=/dev/null bs=64k count=8 iflag=direct; echo rest=$?'
	wait_for '^rest=0' 60
	say 'poweroff -f'
	wait_end 60
	[ "$status" = 0 ] || die "$transport: exit status $status"
	rm "$WORK/small/disk.img"
done
