# Requests to a raw disk, and a database on one; part of bench/io.
#   io-disk.sh PAIRS JOBS UNIT CPUS MS MACHINE...
# JOBS is a list of jobs/, with CPUS vCPUs and queues on a disk that takes MS milliseconds for a request.
# shellcheck shell=sh
. inside/lib.sh
. inside/io.lib
pairs=$1 jobs=$2 unit=$3 cpus=$4
memory_disk "$5"
shift 5
axvm_devices="--disk $disk,direct,queues=$cpus"
qemu_devices="-object iothread,id=io -drive if=none,id=d,format=raw,file=$disk,cache=none,aio=${AIO:-io_uring}
	-device virtio-blk-@,drive=d,iothread=io,num-queues=$cpus"
compare "$jobs ($cpus vCPUs and queues, direct I/O, QEMU's aio=${AIO:-io_uring})" "$unit" "$pairs" "$@"
[ "$jobs" != sqlite ] || exit 0
printf '\n%-34s %-10s %9s %9s\n' 'without a guest' '' "$unit/s" "$unit/CPU s"
while read -r program line <&3; do
	read -r name <&4
	# shellcheck disable=SC2046 # words are wanted
	"./$program" $(echo "$line" | sed "s,/dev/vda,$disk,") | awk -v name="$name" '
		{ printf "%-34s %-10s %9d %9d\n", name, "", $6 / $8 * 1e6, $6 / $10 * 1e6 }'
done 3<"jobs/$jobs" 4<"jobs/$jobs.names"
