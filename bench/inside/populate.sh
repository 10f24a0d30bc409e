# Bringing memory without a guest: time, CPU time and page faults; part of bench/populate.
#   populate.sh MIB ROUNDS THREADS    by one thread and by 2, 4, 8... up to THREADS
# shellcheck shell=sh
. inside/lib.sh
mib=$1 rounds=$2 most=$3
pool=/proc/sys/vm/nr_hugepages had=$(cat /proc/sys/vm/nr_hugepages)
pages='4k thp 2m'
# In two steps: what is fragmented needs a second asking.
{ echo $((had + mib / 2 + 1)) >"$pool" && echo $((had + mib / 2 + 1)) >"$pool"; } 2>/dev/null || true
if [ "$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)" -lt $((mib / 2)) ]; then pages='4k thp'; fi
trap 'echo "$had" 2>/dev/null >"$pool"; finish' EXIT

# ways HOW...: a line for each way, "HOW PAGES CPU..."
ways() {
	for page in $pages; do
		for how; do
			# Where huge pages are asked for after mapping, MAP_POPULATE comes too early.
			[ "$how:$page" != mmap:thp ] || continue
			threads=1
			while [ "$threads" -le "$most" ]; do
				echo "$how $page" $(seq 0 $((threads - 1)))
				[ "$how" != mmap ] || break
				threads=$((threads * 2))
			done
		done
	done
}

# Another way is first in each round: it makes huge pages of what the small ones before it left.
round=0
set -- axvm madvise touch mmap
while [ "$round" -lt "$rounds" ]; do
	ways "$@" | while read -r how page cpus; do
		# shellcheck disable=SC2086 # numbers
		echo "$page $(echo "$cpus" | wc -w) $how $(./populate "$how" "$page" "$mib" $cpus)" || exit 1
	done >>"$work/data"
	first=$1 round=$((round + 1))
	shift
	set -- "$@" "$first"
done
printf '\n%s\n%-6s %7s' "populating $mib MiB, best of $rounds rounds; $(nproc) CPUs, load $(cut -d' ' -f1 /proc/loadavg)" pages threads
for how in 'axvm' 'MADV_POPULATE' 'touching' 'MAP_POPULATE'; do printf ' %22s' "$how"; done
printf '\n%14s' ''
for how in 1 2 3 4; do printf ' %7s %7s %6s' ms 'CPU ms' faults; done
echo
awk -v pages="$pages" -v most="$most" '
	{
		ms = $1 " " $2 " " $3 " ms"; cpu = $1 " " $2 " " $3 " cpu"
		if (!(ms in best) || $4 < best[ms]) best[ms] = $4
		if (!(cpu in best) || $5 < best[cpu]) best[cpu] = $5
		faults[$1 " " $2 " " $3] = $6
	}
	END {
		count = split(pages, page); whos = split("axvm madvise touch mmap", who)
		for (p = 1; p <= count; p++) for (t = 1; t <= most; t *= 2) {
			printf "%-6s %7d", page[p], t
			for (w = 1; w <= whos; w++) {
				key = page[p] " " t " " who[w]
				if (key in faults) printf " %7.0f %7.0f %6d", best[key " ms"], best[key " cpu"], faults[key]
				else printf " %7s %7s %6s", "-", "-", "-"
			}
			printf "\n"
		}
	}' "$work/data"
