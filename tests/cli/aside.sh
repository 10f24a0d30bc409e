# shellcheck shell=bash
# No thread of a VM that shares may run on CPUs that another has claimed, its control thread included;
# and one that has made room for another is no fault to who watches. Needs two cores.
# shellcheck disable=SC2154,SC2034,SC2086 # out, err and the like are the caller's, status and left for it

mkdir "$scratch/aside"
export AXVM_RUN_DIR=$scratch/aside
: >"$err" # what a failure shows

# start_at PLACEMENT: a VM in the background, until it runs; its process goes to $vm.
start_at() {
	"$AXVM" run --arch generic -m 16M -q -k spin --placement "$1" </dev/null >/dev/null 2>&1 &
	vm=$!
	wait_for_guest "$vm" 0
}

# io_of PID EXPRESSION: of io, the first I/O thread of that VM, as Python has it. Who asks waits a second;
# on a machine that stalls longer it asks again.
io_of() {
	local asked
	for ((asked = 0; asked < 5; asked++)); do
		"$AXVM" top "$1" --json --count 1 --interval 40ms 2>>"$err" >"$out"
		! grep -q '"vms": \?\[{' "$out" || break
	done
	python3 -IS -c '
import json, sys
io = json.load(sys.stdin)["vms"][0]["io"][0]
sys.exit(not eval(sys.argv[1]))' "$2" <"$out" 2>>"$err"
}

start_at dedicated
dedicated=$vm
claimed=$(cat "$AXVM_RUN_DIR"/*.vm | python3 -IS -c 'import json, sys; print(*json.load(sys.stdin)["cpus"])')
if [ "$(wc -w <<<"$claimed")" -ge "$(nproc)" ]; then
	skip aside "one core"
else
	start_at shared
	shared=$vm
	on_claimed=$(python3 -IS -c '
import os, sys
claimed = set(map(int, sys.argv[2:]))
for tid in map(int, os.listdir(f"/proc/{sys.argv[1]}/task")):
    if os.sched_getaffinity(tid) & claimed:
        print(open(f"/proc/{tid}/comm").read().strip())' "$shared" $claimed) # a word each
	expect aside/shared "on claimed CPUs: $on_claimed" test -z "$on_claimed"
	terminate "$shared" TERM

	# The other core is where the I/O of the first was planned.
	expect aside/as-planned "$(cat "$err")" io_of "$dedicated" 'io["planned"] and not io["astray"]'
	start_at dedicated
	for ((tries = 0; tries < 100; tries++)); do
		io_of "$dedicated" 'not io["planned"]' && break
	done
	expect aside/made-room "$(cat "$err")" io_of "$dedicated" 'not io["planned"] and not io["astray"]'
	terminate "$vm" TERM
fi
terminate "$dedicated" TERM
export AXVM_RUN_DIR=$vms
