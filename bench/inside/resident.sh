# How much memory of a monitor is resident beyond the guest's; sourced by memory.sh and vcpus.sh.
# shellcheck shell=sh disable=SC2154 # lib.sh's variables

# resident WHO SECONDS: after the guest has had SECONDS, sets total_kb, anon_kb, file_kb, private_kb of
# the mappings that are not the guest's memory, which is the one as large as that.
resident() {
	vm "$1" exec &
	pid=$!
	sleep "$2"
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
	# shellcheck disable=SC2034 # for the callers
	total_kb=$1 anon_kb=$2 file_kb=$3 private_kb=$4
}
