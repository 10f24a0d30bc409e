# Start-up and resident memory with many vCPUs; part of bench/vcpus.
#   vcpus.sh PAIRS CPUS...
# shellcheck shell=sh
. inside/lib.sh
. inside/resident.sh
pairs=$1
shift

# startup: medians of exec to the end of a guest that ends with its first instruction.
startup() {
	rm -f "$work"/total.*
	pair=0
	while [ "$pair" -lt "$pairs" ]; do
		for who in axvm qemu; do
			clocked "$who"
			echo "$total_ns" >>"$work/total.$who"
		done
		pair=$((pair + 1))
	done
}

payload first
header "vCPUs: exec to the end of a payload's process (ms of the $WHERE's clock, medians of $pairs pairs)"
for cpus; do
	startup
	row "$cpus vCPUs" "$(median <"$work/total.axvm")" "$(median <"$work/total.qemu")" 1000000
done
payload idle
header "vCPUs: KiB resident beyond the guest's $memory, halted payload ($WHERE)"
for cpus; do
	resident axvm 3
	axvm_kb=$total_kb
	resident qemu 3
	row "$cpus vCPUs" "$axvm_kb" "$total_kb" 1 %d
done
