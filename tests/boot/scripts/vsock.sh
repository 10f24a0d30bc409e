# --vsock: programs of the guest and of the host connect to each other both ways; streams, round trips
# and refusals; the socket is there for its owner only and goes with the VM.
# architectures: x86_64 aarch64
. scripts/lib.inc
pid=
socket=$WORK/vsock
(cd "$WORK" && cpio -id usr/bin/axload) <guest/6.1-io/initramfs 2>/dev/null
load=$WORK/usr/bin/axload
[ -x "$load" ] || die "the initramfs has no axload"
rm -f "$socket"*
"$load" serve "unix:${socket}_7000" >/dev/null &
server=$!
trap 'kill $server 2>/dev/null' EXIT

start -c 2 -m 256M --initrd guest/6.1-io/initramfs --vsock "$socket" --vsock-cid 77 --append 'loglevel=5 axtest=vsock'
wait_for 'axload serves|AXTEST vsock FAIL' 150
! grep -q 'AXTEST vsock FAIL' "$WORK/out" || die "$(grep 'AXTEST vsock' "$WORK/out")"
[ -S "$socket" ] || die "there is no socket $socket"
case $(ls -l "$socket") in srw-------*) ;; *) die "the socket's mode: $(ls -l "$socket")" ;; esac

# ask WHAT...: the host's program, whose complaints are the reason.
ask() {
	"$load" "$@" >"$WORK/load" 2>&1 || die "$*: $(tail -n 1 "$WORK/load")"
}
ask rtt "hybrid:$socket:5000" ops=200
ask send "hybrid:$socket:5000" bytes=4m jobs=2 verify
ask recv "hybrid:$socket:5000" bytes=4m jobs=2 verify
for _ in 1 2 3 4 5 6 7 8 9 10; do ask rtt "hybrid:$socket:5000" ops=1 bytes=5000; done
! "$load" rtt "hybrid:$socket:5001" ops=1 >"$WORK/load" 2>&1 || die "port 5001 accepts"
grep -q 'refused' "$WORK/load" || die "port 5001: $(cat "$WORK/load")"

say through
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
grep -q 'AXTEST vsock ok' "$WORK/out" || die "$(grep 'AXTEST vsock' "$WORK/out")"
[ ! -e "$socket" ] || die "$socket was left behind"
