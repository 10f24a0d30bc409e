# Further memory regions of every type: fresh ones are RAM to the guest, a file is reserved, shared
# with the host in both directions, and unchanged where it is read-only.
# architectures: x86_64
. scripts/lib.inc
file=$WORK/shared.img
rom=$WORK/rom.img
{ printf 'MVxA' && dd if=/dev/zero bs=4096 count=512 2>/dev/null; } | dd of="$file" bs=4096 count=512 iflag=fullblock 2>/dev/null
cp "$file" "$rom"
./axvm run --kernel guest/6.1/vmlinuz --initrd guest/6.1/initramfs -c 1 -m 256M \
	--region gpa=0x180000000,size=64M --region gpa=0x200000000,size=64M,type=identical \
	--region "gpa=0xe0000000,size=2M,type=reserved,path=$file" \
	--region "gpa=0xe0400000,size=4K,type=reserved,ro,path=$rom" \
	--append "loglevel=5 axtest=regions,report axram=180000000-183ffffff axreserved=e0000000-e01fffff,e0400000-e0400fff axtotal_kib=270000 axfile=0xe0000000 axmagic=0x4178564D axanswer=0x79657321 axrom=0xe0400000" \
	</dev/null >"$WORK/out" 2>&1
status=$?
pid=
[ $status = 0 ] || die "exit status $status"
grep -q 'AXTEST regions ok' "$WORK/out" || die "$(grep 'AXTEST regions' "$WORK/out")"
grep -q '^200000000-203ffffff : System RAM' "$WORK/out" || die "the identical region is no RAM"
[ "$(head -c 4 "$file")" = '!sey' ] || die "the guest's word did not reach the file"
[ "$(head -c 4 "$rom")" = MVxA ] || die "the guest wrote to a read-only file"
