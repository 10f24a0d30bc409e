# From SIGINT to the end of the process, of an idle guest; part of bench/stop.
#   stop.sh PAIRS CPUS...
# shellcheck shell=sh
. inside/lib.sh
pairs=$1
shift

# stopped WHO: one run; appends its nanoseconds to $work/times.WHO. Its init's mark in the trace
# tells that the guest is up; then it gets two seconds to fall asleep.
stopped() {
	rm -f "$work/clock"
	trace_on 4096
	event kvm/kvm_hypercall 'nr == 0xbe01'
	vm "$1" exec ./clock -s "$work/clock" &
	pid=$!
	tries=0
	until grep -q 'nr 0xbe01' "$tracing/trace"; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] || { kill "$pid" && fail "$1: the guest did not reach its init"; }
		sleep 1
	done
	sleep 2
	kill -USR1 "$pid"
	wait "$pid"
	trace_off
	read -r total_ns status <"$work/clock"
	[ "$status" = 0 ] || fail "$1 ended with status $status"
	echo "$total_ns" >>"$work/times.$1"
}

can_trace || { echo "SKIP stop: it takes root and tracefs to see that a guest is up"; exit 0; }
linux tiny idle
header "stop (ms from SIGINT to the end of the process, medians of $pairs pairs; idle guest; $WHERE)"
for cpus; do
	rm -f "$work"/times.*
	pair=0
	while [ "$pair" -lt "$pairs" ]; do
		stopped axvm
		stopped qemu
		pair=$((pair + 1))
	done
	row "$cpus vCPUs" "$(median <"$work/times.axvm")" "$(median <"$work/times.qemu")" 1000000
done
