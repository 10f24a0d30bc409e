# Vsock to a program of this machine: AxVM to a Unix socket, QEMU by vhost-vsock, whose kernel thread
# counts as the monitor's; part of bench/io.
#   io-vsock.sh PAIRS CPUS MACHINE...
# shellcheck shell=sh
. inside/lib.sh
. inside/io.lib
pairs=$1 cpus=$2 jobs=vsock
shift 2
modprobe vhost_vsock
./axload serve "unix:$work/vsock_7000" >/dev/null &
./axload serve vsock:any:7000 >/dev/null &
axvm_devices="--vsock $work/vsock"
qemu_devices='-device vhost-vsock-@,guest-cid=5'
compare "vsock ($cpus vCPU; an operation of a stream is a KiB)" ops "$pairs" "$@"
