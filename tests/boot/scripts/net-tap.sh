# A tap of this machine: ping both ways, iperf3 both ways, streams whose bytes are compared, an address
# and a packet size that were asked for, and a limit. On both transports; with two queue pairs on PCI.
# architectures: x86_64
. scripts/net.inc
for transport in mmio pci; do
	queues=1
	[ $transport = mmio ] || queues=2
	start -c 2 -m 256M --initrd guest/6.1-io/initramfs --transport $transport \
		--net tap=axtap0,mac=52:54:00:aa:bb:cc,mtu=1400,queues=$queues \
		--append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_net'
	boot_up
	say 'ip link set eth0 up; ip addr add 192.168.77.2/24 dev eth0; ip link show eth0; echo up=$?'
	wait_for '^up=0' 30
	grep -q 'mtu 1400' "$WORK/out" || die "$transport: not the mtu that was asked for"
	grep -q '52:54:00:aa:bb:cc' "$WORK/out" || die "$transport: not the address that was asked for"
	say 'ping -c 5 192.168.77.1; echo pinged=$?'
	wait_for '^pinged=0' 60
	ping -c 5 192.168.77.2 >"$load" || die "$transport: the guest does not answer"
	echo "$transport: guest to host $(sed -n 's/^round-trip/rtt/p' "$WORK/out"), host to guest $(sed -n 's/^round-trip/rtt/p' "$load")" >&2
	say 'axload rtt tcp:192.168.77.1:7000 ops=100 && axload send tcp:192.168.77.1:7000 bytes=64k verify &&
 axload send tcp:192.168.77.1:7000 bytes=4m jobs=4 verify && axload recv tcp:192.168.77.1:7000 bytes=4m jobs=4 verify; echo streams=$?'
	wait_for '^streams=' 120
	grep -q '^streams=0' "$WORK/out" || die "$transport: $(grep axload: "$WORK/out" | tail -n 1)"
	for way in '' -R; do
		served
		say "iperf3 -c 192.168.77.1 -t 2 -f m $way; echo iperf$way=\$?"
		wait_for "^iperf$way=" 60
		grep -q "^iperf$way=0" "$WORK/out" || die "$transport: iperf3 $way"
		wait $! || die "$transport: iperf3 here: $(tail -n 1 "$WORK/iperf3")"
	done
	grep -E 'receiver' "$WORK/out" | sed "s/^/$transport: /" >&2
	say 'poweroff -f'
	wait_end 60
	[ "$status" = 0 ] || die "$transport: exit status $status"
done
