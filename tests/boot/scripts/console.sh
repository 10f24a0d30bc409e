# The virtio console in place of the serial port: a login, a paste of 4 KiB that arrives complete, and
# beside it a byte channel whose other end is a socket of the host, echoed by the guest. The channel
# is given first: the terminal is port 0, and the kernel's console, all the same.
# architectures: x86_64 aarch64
# (riscv64's hvc0 is the SBI's console, the device's is the next.)
. scripts/lib.inc
start -c 1 -m 256M --console "socket,path=$WORK/echo,name=org.axvm.echo" --console stdio \
	--append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_console'
log_in
say 'echo on=$(tty) answer=$((6 * 7))'
wait_for 'on=/dev/hvc0 answer=42' 30
line=$(printf 'abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXY')
want=$(i=0; while [ $i -lt 64 ]; do echo "$line"; i=$((i + 1)); done | md5sum | cut -d' ' -f1)
say 'stty -echo; echo ready=$((1 + 1)); head -n 64 | md5sum; stty echo'
wait_for 'ready=2' 30
i=0
while [ $i -lt 64 ]; do say "$line"; i=$((i + 1)); done
wait_for "$want" 60

# 1 MiB each way, of every value a byte has. The guest waits for the client, which begins with 16
# bytes that say what it wants, and sees it leave as an end of file.
./axload rtt "unix:$WORK/echo" bytes=4096 ops=256 >"$WORK/rtt" 2>&1 &
client=$!
say 'for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" != org.axvm.echo ] || port=$p; done'
say 'echo name=${port##*/}; exec 3<>/dev/${port##*/}'
wait_for 'name=vport[0-9]+p1' 30
say 'dd bs=16 count=1 <&3 >/dev/null 2>&1; cat <&3 >&3; exec 3>&-; echo ended=$((1 + 1))'
wait_for 'ended=2' 120
wait "$client" || die "the client: $(cat "$WORK/rtt")"
# With nobody there the guest is not held up, and the next client gets none of it.
say 'echo nobody >/dev/${port##*/} & sleep 1; kill $! 2>/dev/null; echo free=$((1 + 1))'
wait_for 'free=2' 30
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
[ ! -e "$WORK/echo" ] || die "the socket is still there"
