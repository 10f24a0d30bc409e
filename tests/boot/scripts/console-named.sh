# A virtio console of named ports only, beside the serial port: the first is a byte channel like the
# others, which the guest finds by its name, and echoes what its other end sends.
# architectures: x86_64 aarch64
. scripts/lib.inc
start -c 1 -m 256M --console "socket,path=$WORK/first,name=org.axvm.first" \
	--console null,name=org.axvm.second \
	--append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_console'
log_in
# What udev's rule does in a guest that has udev.
say 'cd /sys/class/virtio-ports; mkdir /dev/virtio-ports'
say 'for p in *; do ln -s ../$p /dev/virtio-ports/$(cat $p/name); done; cd'
say 'echo first=$(readlink /dev/virtio-ports/org.axvm.first)'
wait_for 'first=../vport[0-9]+p0' 30
say 'echo second=$(readlink /dev/virtio-ports/org.axvm.second)'
wait_for 'second=../vport[0-9]+p1' 30
say 'exec 3<>/dev/virtio-ports/org.axvm.first; echo opened=$((1 + 1))'
wait_for 'opened=2' 30
./axload rtt "unix:$WORK/first" bytes=4096 ops=64 >"$WORK/rtt" 2>&1 &
client=$!
say 'dd bs=16 count=1 <&3 >/dev/null 2>&1; cat <&3 >&3; exec 3>&-; echo ended=$((1 + 1))'
wait_for 'ended=2' 120
wait "$client" || die "the client: $(cat "$WORK/rtt")"
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
[ ! -e "$WORK/first" ] || die "the socket is still there"
