# Resident memory of the monitors beyond guest memory; part of bench/memory.
#   memory.sh SECONDS CPUS...    time for the guest to start, and as many seconds more as vCPUs
# shellcheck shell=sh
. inside/lib.sh
. inside/resident.sh
seconds=$1
shift

if [ "$WHERE" = lab ]; then linux tiny idle; else payload idle; fi
header "memory (KiB resident beyond the guest's $memory; $WHERE, idle guest $kernel)"
for cpus; do
	resident axvm $((seconds + cpus))
	total=$total_kb anon=$anon_kb file=$file_kb private=$private_kb
	resident qemu $((seconds + cpus))
	row "$cpus vCPUs: resident" "$total" "$total_kb" 1 %d
	row "  anonymous (heap, stacks, kernel interface)" "$anon" "$anon_kb" 1 %d
	row "  of files (program, libraries)" "$file" "$file_kb" 1 %d
	row "  private to this process" "$private" "$private_kb" 1 %d
done
