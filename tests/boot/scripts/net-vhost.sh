# A tap whose packets the host's kernel moves: ping and streams whose bytes are compared, both ways,
# with one pair and with two; iperf3; a driver that goes and comes, and one that keeps the device from
# memory for a while. Without vhost_net it says what is missing.
# architectures: x86_64
. scripts/net.inc
address() {
	say 'ip link set eth0 up; ip addr add 192.168.77.2/24 dev eth0; echo up=$?'
	wait_for '^up=0' 30
}
# pinged NAME: both ways.
pinged() {
	say "ping -c 5 192.168.77.1; echo $1=\$?"
	wait_for "^$1=0" 60
	ping -c 5 192.168.77.2 >"$load" || die "$1: the guest does not answer"
}
modprobe vhost_net || die "no vhost_net here"
mv /dev/vhost-net /dev/vhost-net.away
./axvm run --kernel guest/6.1/vmlinuz -m 256M --transport pci --net tap=axtap0,vhost >"$WORK/out" 2>&1 </dev/null
status=$?
mv /dev/vhost-net.away /dev/vhost-net
[ $status != 0 ] || die "it runs without /dev/vhost-net"
grep -q 'modprobe vhost_net' "$WORK/out" || die "it does not say what is missing: $(tail -n 1 "$WORK/out")"
for queues in 1 2; do
	start -c 2 -m 256M --initrd guest/6.1-io/initramfs --transport pci \
		--net tap=axtap0,mac=52:54:00:aa:bb:cc,vhost,queues=$queues \
		--append 'loglevel=5 axtest=login axmod=virtio_pci,virtio_net'
	boot_up
	address
	pinged first
	workers=$(cat /proc/[0-9]*/comm "/proc/$pid"/task/*/comm 2>/dev/null | grep -c "^vhost-$pid\$" || true)
	[ "$workers" = "$queues" ] || die "$workers workers of vhost for $queues pairs"
	say 'axload send tcp:192.168.77.1:7000 bytes=64k verify &&
 axload send tcp:192.168.77.1:7000 bytes=4m jobs=4 verify && axload recv tcp:192.168.77.1:7000 bytes=4m jobs=4 verify; echo streams=$?'
	wait_for '^streams=' 120
	grep -q '^streams=0' "$WORK/out" || die "$queues: $(grep axload: "$WORK/out" | tail -n 1)"
	if [ $queues = 2 ]; then
		for way in '' -R; do
			served
			say "iperf3 -c 192.168.77.1 -t 2 -f m $way; echo iperf$way=\$?"
			wait_for "^iperf$way=" 60
			grep -q "^iperf$way=0" "$WORK/out" || die "$queues: iperf3 $way"
			wait $! || die "$queues: iperf3 here: $(tail -n 1 "$WORK/iperf3")"
		done
		grep -E 'receiver' "$WORK/out" | sed "s/^/$queues pairs, $workers workers: /" >&2
	else
		# No bus master, no access: nothing arrives for a second, and then it goes on where it was.
		say 'c=$(readlink -f /sys/class/net/eth0/device/..)
 set_command() { exec 3<>"$c/config"; dd bs=4 count=1 <&3 >/dev/null; printf "$1" >&3; exec 3>&-; }
 set_command "\002"; ping -c 2 -W 1 192.168.77.1; echo deaf=$?; set_command "\006"; echo master=$?'
		wait_for '^master=0' 30
		grep -q '^deaf=1' "$WORK/out" || die "$queues: it works without being bus master"
		pinged master-again
	fi
	# Not even a driver that has gone loses its queues: the next one begins at their beginning.
	say 'cd /sys/bus/virtio/drivers/virtio_net; dev=$(ls | grep virtio); echo $dev >unbind; echo $dev >bind; cd /; echo rebound=$?'
	wait_for '^rebound=0' 30
	say 'ip link set eth0 up; ip addr add 192.168.77.2/24 dev eth0; echo again=$?'
	wait_for '^again=0' 30
	pinged second
	say 'poweroff -f'
	wait_end 60
	[ "$status" = 0 ] || die "$queues: exit status $status"
done
