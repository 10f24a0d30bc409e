# From SIGINT to the end of the process, of an idle guest; part of bench/stop.
#   stop.sh CPUS...
# shellcheck shell=sh
. inside/lib.sh
[ "$WHERE" = lab ] && unit='virtual ms of the lab' || unit=ms

stopped() { # WHO: sets total_ns
	can_trace && trace_on 4096 && event kvm/kvm_hypercall 'nr == 0xbe01'
	vm "$1" ./clock -d 15000 "$work/clock"
	if can_trace; then
		trace_end
		grep -q kvm_hypercall "$work/trace" || fail "$1: the guest had not reached its init"
	fi
	read -r total_ns status <"$work/clock"
	[ "$status" = 0 ] || fail "$1 ended with status $status"
}

linux tiny idle
header "stop ($unit from SIGINT to the end of the process; idle guest)"
for cpus; do
	stopped axvm
	a=$total_ns
	stopped qemu
	row "$cpus vCPUs" "$a" "$total_ns" 1000000
done
