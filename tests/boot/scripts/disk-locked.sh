# Two monitors on one writable image: the second is refused with the file's name.
# architectures: x86_64
. scripts/lib.inc
cp data.img "$WORK/disk.img"
start -c 1 -m 256M --disk "$WORK/disk.img" --append 'loglevel=5 axtest=idle'
wait_for 'AXTEST idle ready' 120
./axvm run --kernel guest/6.1/vmlinuz --disk "$WORK/disk.img" </dev/null >"$WORK/second" 2>&1
second=$?
kill -TERM "$pid"
wait_end 20
[ "$second" = 4 ] || die "the second axvm ended with $second: $(head -n 1 "$WORK/second")"
grep -q "$WORK/disk.img.*in use" "$WORK/second" || die "its message: $(head -n 1 "$WORK/second")"
