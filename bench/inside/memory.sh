# Resident memory of the monitors beyond guest memory; part of bench/memory.
#   memory.sh SECONDS CPUS...    time for the guest to start, and as many seconds more as vCPUs
# shellcheck shell=sh
. inside/lib.sh
seconds=$1
shift

# measure WHO: sets total_kb, anon_kb, file_kb, private_kb of the mappings that are not the guest's
# memory, which is the one as large as that.
measure() {
	vm "$1" exec &
	pid=$!
	sleep $((seconds + cpus))
	kill -0 "$pid" 2>/dev/null || fail "$1 ended early"
	cp "/proc/$pid/smaps" "$work/smaps"
	kill -TERM "$pid"
	wait "$pid"
	# shellcheck disable=SC2046 # numbers
	set -- $(awk '
		/^[0-9a-f]+-[0-9a-f]+ / { file = $5 != 0 }
		$1 == "Size:" { guest = $2 >= 256 * 1024; guests += guest }
		guest { next }
		$1 == "Rss:" { total += $2 }
		$1 == "Anonymous:" { anon += $2 }
		$1 ~ /^Private_(Clean|Dirty):/ { private += $2 }
		END { print total, anon, total - anon, private, guests }' "$work/smaps")
	[ "$5" = 1 ] || fail "$5 mappings look like the guest's memory, not 1"
	total_kb=$1 anon_kb=$2 file_kb=$3 private_kb=$4
}

if [ "$WHERE" = lab ]; then linux tiny idle; else payload idle; fi
header "memory (KiB resident beyond the guest's $memory; $WHERE, idle guest $kernel)"
for cpus; do
	measure axvm
	total=$total_kb anon=$anon_kb file=$file_kb private=$private_kb
	measure qemu
	row "$cpus vCPUs: resident" "$total" "$total_kb" 1 %d
	row "  anonymous (heap, stacks, kernel interface)" "$anon" "$anon_kb" 1 %d
	row "  of files (program, libraries)" "$file" "$file_kb" 1 %d
	row "  private to this process" "$private" "$private_kb" 1 %d
done
