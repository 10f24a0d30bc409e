# Two guests on a switch of ours, one on each transport: ping, and streams both ways whose bytes are
# compared.
# architectures: x86_64
. scripts/lib.inc
rm -f "$WORK/switch"
./axvm switch "$WORK/switch" >"$WORK/switch.out" 2>&1 &
switch=$!
server=
trap 'kill $switch $server 2>/dev/null' EXIT
tries=0
until [ -S "$WORK/switch" ]; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || { echo "no switch: $(head -n 1 "$WORK/switch.out")"; exit 1; }
	usleep 100000
done
./axvm run --name first -c 1 -m 256M --kernel guest/6.12-io/vmlinuz --initrd guest/6.12-io/initramfs \
	--net "switch,socket=$WORK/switch" --transport pci \
	--append 'loglevel=5 axtest=serve axmod=virtio_pci,virtio_net axip=192.168.78.1' </dev/null >"$WORK/first" 2>&1 &
server=$!
start --name second -c 1 -m 256M --initrd guest/6.1-io/initramfs --net "switch,socket=$WORK/switch" \
	--transport mmio --append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_net'
log_in
tries=0
until grep -q 'axload serves' "$WORK/first"; do
	tries=$((tries + 1))
	[ $tries -lt 90 ] || die "the first guest: $(tail -n 1 "$WORK/first")"
	sleep 1
done
say 'ip link set eth0 up; ip addr add 192.168.78.2/24 dev eth0; ping -c 5 192.168.78.1; echo pinged=$?'
wait_for '^pinged=0' 60
say 'axload rtt tcp:192.168.78.1:7000 ops=50 && axload send tcp:192.168.78.1:7000 bytes=64k verify &&
 axload send tcp:192.168.78.1:7000 bytes=2m jobs=2 verify && axload recv tcp:192.168.78.1:7000 bytes=2m jobs=2 verify; echo streams=$?'
wait_for '^streams=' 120
grep -q '^streams=0' "$WORK/out" || die "$(grep axload: "$WORK/out" | tail -n 1)"
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
# The switch goes on when a guest has gone.
kill -0 $switch 2>/dev/null || die "the switch ended: $(tail -n 1 "$WORK/switch.out")"
kill -TERM $server
wait $server || die "the first guest's monitor ended with $?"
