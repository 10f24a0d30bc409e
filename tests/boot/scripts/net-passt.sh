# A guest behind passt, without any privilege for the card: an address by DHCP, and streams to this
# machine, which passt calls by the gateway's address.
# architectures: x86_64
. scripts/lib.inc
command -v passt >/dev/null || { echo "no passt here"; exit 1; }
grep -q '^nobody:' /etc/passwd || echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>/etc/passwd
# passt copies addresses of an interface that has a default route.
ip link add axpasst type dummy 2>/dev/null || ip tuntap add axpasst mode tap 2>/dev/null || tunctl -t axpasst >/dev/null
ip addr add 10.11.12.13/24 dev axpasst
ip link set axpasst up
ip route add default via 10.11.12.1 dev axpasst
./axload serve tcp:any:7000 >/dev/null &
server=$!
trap 'kill $server 2>/dev/null; ip link del axpasst' EXIT
start -c 1 -m 256M --initrd guest/6.1-io/initramfs --net passt --append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_net'
log_in
say 'ip link set eth0 up; udhcpc -i eth0 -n -q -s /bin/true; echo dhcp=$?'
wait_for '^dhcp=0' 60
grep -q '10.11.12.13' "$WORK/out" || die "DHCP gave another address"
say 'ip addr add 10.11.12.13/24 dev eth0; axload rtt tcp:10.11.12.1:7000 ops=20 && axload send tcp:10.11.12.1:7000 bytes=1m verify && axload recv tcp:10.11.12.1:7000 bytes=1m verify; echo streams=$?'
wait_for '^streams=' 120
grep -q '^streams=0' "$WORK/out" || die "$(grep axload: "$WORK/out" | tail -n 1)"
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
