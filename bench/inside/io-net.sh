# Packets through a tap of this machine, moved by the monitor itself; part of bench/io.
#   io-net.sh PAIRS CPUS MACHINE...
# shellcheck shell=sh
. inside/lib.sh
. inside/io.lib
pairs=$1 cpus=$2 jobs=net
shift 2
tunctl -t axbench0 >/dev/null || fail "no tap"
ip addr add 192.168.77.1/24 dev axbench0
ip link set axbench0 up
./axload serve tcp:any:7000 >/dev/null &
while :; do ./axload udp-count 7001; done >/dev/null &
axvm_devices='--net tap=axbench0,mac=52:54:00:12:34:56'
qemu_devices='-netdev tap,id=n,ifname=axbench0,script=no,downscript=no,vhost=off -device virtio-net-@,netdev=n'
compare "net ($cpus vCPU, tap; an operation of a stream is a KiB)" ops "$pairs" "$@"
