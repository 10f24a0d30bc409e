#!/bin/sh
# VMs on a host with two nodes (of ten CPUs, where nothing else is said): starts them, moves what a plan has put in its place, asks for
# what cannot be, and leaves in /out what `judge` compares, a directory for each step. Runs in the lab,
# as root; the steps follow each other, since what one VM holds the next cannot have.
# STEPS: which of them.
# shellcheck disable=SC2317,SC2086 # steps are called by name, options are words
set -u
out=/out
axvm=./axvm
pools=/sys/devices/system/node

say() { echo "vms: $*"; }

# plan NAME OPTIONS...: what a VM that is started now is to run by.
plan() {
	name=$1
	shift
	mkdir -p "$out/$name"
	$axvm plan "$@" --json >"$out/$name/plan.json" 2>"$out/$name/no-plan" ||
		say "$name: $(cat "$out/$name/no-plan")"
}

# launch NAME OPTIONS...: a VM in the background.
launch() {
	name=$1
	shift
	mkdir -p "$out/$name"
	: >"$out/$name/console"
	$axvm run --kernel guest/vmlinuz --initrd guest/initramfs --name "$name" --no-metrics "$@" \
		</dev/null >"$out/$name/console" 2>&1 &
	echo $! >"$out/$name/pid"
}
report='quiet axtest=topology,idle'

# stalled NAME: it lives, and has said nothing for long. With several CPUs QEMU's processors lose an
# interrupt at times (tools/lab/README.md): this lab has hung like one whose init is silent, and ends
# like one, so that it is tried again.
stalled() {
	say "$1 has stalled"
	tail -n 5 "$out/$1/console"
	poweroff -f
	sleep 60
}

# await NAME PATTERN: until its console shows it. It may take long on a loaded machine.
await() {
	size='' quiet=0
	pid=$(cat "$out/$1/pid")
	until grep -q -e "$2" "$out/$1/console"; do
		if ! kill -0 "$pid" 2>/dev/null; then
			say "$1: '$2' did not appear"
			tail -n 5 "$out/$1/console"
			return 1
		fi
		before=$size size=$(wc -c <"$out/$1/console")
		[ "$size" = "$before" ] && quiet=$((quiet + 1)) || quiet=0
		[ $quiet -lt 400 ] || stalled "$1"
		usleep 300000
	done
}
reported() { await "$1" 'AXTEST idle ready'; }
# The kernel's first line is a notice: loglevel=6 prints it, quiet does not.
begun() { await "$1" 'Linux version'; }

# snapshot NAME [AS]: what the kernel tells of it now.
snapshot() {
	into=$out/${2:-$1}
	pid=$(cat "$out/$1/pid")
	mkdir -p "$into"
	(cd "/proc/$pid/task" && grep -s . ./*/comm | sed 's,^\./,,') >"$into/comms"
	(cd "/proc/$pid/task" && grep -s '^Cpus_allowed_list' ./*/status | sed 's,^\./,,') >"$into/affinities"
	cat "/proc/$pid"/task/*/stat >"$into/stats" 2>/dev/null
	cat "/proc/$pid/numa_maps" >"$into/numa_maps"
	grep -E '^[0-9a-f]+-|^(AnonHugePages|ShmemPmdMapped):' "/proc/$pid/smaps" >"$into/smaps"
	cat /proc/locks >"$into/locks"
	(cd /run/axvm && ls -i) >"$into/entries"
	cp /run/axvm/*.vm "$into/" 2>/dev/null
}

# look NAME [AS]: the same, and what AxVM says of it, which may have too little time to answer at once.
look() {
	snapshot "$@"
	for tries in 1 2 3 4 5; do
		$axvm top "$1" --json --count 1 --interval 200ms >"$into/top" && break
		say "top did not answer $tries times"
	done
}

# kill_vm NAME: it ends at once, and nothing of it is left.
kill_vm() {
	pid=$(cat "$out/$1/pid")
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
}

# settled NAME all|none: until all of its threads may run on every CPU, or none may.
settled() {
	pid=$(cat "$out/$1/pid") tries=100
	while [ $tries -gt 0 ]; do
		free=$(grep -lsx 'Cpus_allowed_list:[[:space:]]*0-19' "/proc/$pid"/task/*/status | wc -l)
		case $2 in
		all) [ "$free" != "$(echo "/proc/$pid"/task/* | wc -w)" ] || return ;;
		none) [ "$free" != 0 ] || return ;;
		esac
		usleep 300000
		tries=$((tries - 1))
	done
}

# tid NAME THREAD: the id of the VM's thread of that name.
tid() {
	pid=$(cat "$out/$1/pid")
	(cd "/proc/$pid/task" && grep -lx -e "$2" ./*/comm | cut -d/ -f2)
}

# refused NAME COMMAND...: its exit status and what it says; then each way that its hint calls possible.
refused() {
	name=$1
	shift
	mkdir -p "$out/$name"
	timeout 60 "$@" </dev/null >"$out/$name/said" 2>&1
	echo $? >"$out/$name/status"
	sed -n 's/.*would work: //p' "$out/$name/said" | sed 's/, or /\n/g' >"$out/$name/ways"
}

# follow NAME OPTIONS...: the ways that a refusal of these OPTIONS tells are planned; those that are
# possible come into "worked".
follow() {
	name=$1
	shift
	while read -r way; do
		words=" $*"
		echo "$way" | sed 's/ with /\n/g' >"$out/$name/parts"
		while read -r part; do
			case $part in
			--*) words="$words $part" ;;
			'no --'*) words=$(echo "$words" | sed "s/ ${part#no } [^ ]*//") ;;
			'smaller pages by --memory-backing') words="$words --memory-backing thp" ;;
			*) words="$words $part-is-not-understood" ;;
			esac
		done <"$out/$name/parts"
		$axvm plan $words --table >"$out/$name/followed" 2>&1 && echo "$way" >>"$out/$name/worked"
	done <"$out/$name/ways"
	:
}

# ---- one VM over both nodes; then somebody moves what is planned ---------------------------------

spanning='-c 16 -m 512M'
span() {
	plan spanning $spanning
	launch spanning $spanning --append "$report"
	reported spanning || { kill_vm spanning; return; }
	look spanning
	thread=$(tid spanning 'vcpu 3')
	was=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$thread/status")
	taskset -pc 19 "$thread" >/dev/null
	look spanning moved-vcpu
	taskset -pc "$was" "$thread" >/dev/null
	thread=$(tid spanning 'io 0')
	was=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$thread/status")
	taskset -pc 0-19 "$thread" >/dev/null
	look spanning moved-io
	taskset -pc "$was" "$thread" >/dev/null
	look spanning put-back
	migratepages "$(cat $out/spanning/pid)" 1 0
	look spanning moved-memory
	kill_vm spanning
	plan killed $spanning
}

# ---- the same on another architecture, whose lab is smaller --------------------------------------

foreign() {
	plan foreign -c 4 -m 512M
	launch foreign -c 4 -m 512M --append "$report"
	reported foreign && snapshot foreign
	kill_vm foreign
}

# ---- two VMs at once, and a third ----------------------------------------------------------------

two() {
	plan first -c 8 -m 256M
	plan second -c 8 -m 320M
	# A disk that flushes: the kernel's threads for that must stay off the vCPUs' CPUs, too.
	truncate -s 16M disk
	launch first -c 8 -m 256M --disk disk --append 'quiet axtest=topology,flush,idle'
	launch second -c 8 -m 320M --append "$report"
	if ! reported first || ! reported second; then
		kill_vm first
		kill_vm second
		return
	fi
	snapshot first
	snapshot second
	launch third -c 6 -m 128M --append 'loglevel=6 axtest=idle'
	begun third && snapshot third
	kill_vm third
	refused third-dedicated $axvm run --kernel guest/vmlinuz -c 6 -m 128M --placement dedicated
	follow third-dedicated -c 6 -m 128M --placement dedicated
	plan overcommitted -c 6 -m 128M --overcommit
	launch overcommitted -c 6 -m 128M --overcommit --append 'loglevel=6 axtest=idle'
	begun overcommitted && snapshot overcommitted
	kill_vm overcommitted
	# Who came first planned alone, and has what both were to have then; the other planned beside it.
	cpus=$(tr -d ' \n' <$out/second/plan.json | sed 's/.*"claims":\(\[[0-9,]*\]\).*/\1/')
	if grep -qF "\"cpus\":$cpus" "$(grep -ls '"second"' /run/axvm/*.vm)"; then
		later=first options='-c 8 -m 256M'
	else
		later=second options='-c 8 -m 320M'
	fi
	echo $later >$out/later
	kill_vm $later
	plan $later $options
	kill_vm first 2>/dev/null
	kill_vm second 2>/dev/null
}

# ---- one with as many vCPUs as there are cores ---------------------------------------------------

whole() {
	plan whole -c 20 -m 512M
	launch whole -c 20 -m 512M --append "$report"
	if reported whole; then
		snapshot whole
		plan beside -c 4 -m 128M
		launch beside -c 4 -m 128M --append 'loglevel=6 axtest=idle'
		begun beside
		settled whole none
		snapshot beside
		snapshot whole whole-beside
		kill_vm beside
	fi
	kill_vm whole
}

# ---- one that shares, and others that come and go while it runs ----------------------------------

late() {
	launch sharing -c 2 -m 128M --placement shared --append 'loglevel=6 axtest=idle'
	begun sharing && snapshot sharing sharing-alone
	plan late -c 4 -m 128M
	launch late -c 4 -m 128M --append 'loglevel=6 axtest=idle'
	begun late
	settled sharing none
	snapshot late
	snapshot sharing
	kill_vm late
	settled sharing all
	snapshot sharing sharing-again
	kill_vm sharing
}

# ---- huge pages of a node ------------------------------------------------------------------------

pages() {
	echo 0 >$pools/node0/hugepages/hugepages-2048kB/nr_hugepages
	echo 70 >$pools/node1/hugepages/hugepages-2048kB/nr_hugepages
	huge='-c 4 -m 128M --memory-backing hugetlb-2M'
	plan huge $huge
	launch huge $huge --append 'loglevel=6 axtest=idle'
	begun huge && snapshot huge
	kill_vm huge
	# Such pages are taken at once, whatever is said of others; what is left is free.
	echo 140 >$pools/node1/hugepages/hugepages-2048kB/nr_hugepages
	launch huge-lazy $huge --no-prefault --append 'loglevel=6 axtest=idle'
	begun huge-lazy && plan huge-beside $huge --nodes 1
	kill_vm huge-lazy
	refused huge-empty $axvm run --kernel guest/vmlinuz $huge --nodes 0
	# The command that the hint begins with, and again.
	sed -n 's/.*\(echo [0-9]* > [^ ,;]*nr_hugepages\).*/\1/p' $out/huge-empty/said >$out/huge-empty/remedy
	# shellcheck source=/dev/null
	. $out/huge-empty/remedy
	plan huge-made $huge --nodes 0
	echo 0 >$pools/node0/hugepages/hugepages-2048kB/nr_hugepages
	follow huge-empty $huge --nodes 0
	echo 0 >$pools/node1/hugepages/hugepages-2048kB/nr_hugepages
}

# ---- the impossible ------------------------------------------------------------------------------

impossible() {
	set -- -c 4 -m 2G --max-nodes 1
	refused one-node $axvm run --kernel guest/vmlinuz "$@"
	follow one-node "$@"
	set -- -c 4 -m 64G --placement dedicated
	refused much-memory $axvm run --kernel guest/vmlinuz "$@"
	follow much-memory "$@"
	set -- -c 2 -m 128M --cpu-affinity 3,77
	refused no-cpu $axvm run --kernel guest/vmlinuz "$@"
	set -- -c 24 -m 128M --placement dedicated
	refused many-cpus $axvm run --kernel guest/vmlinuz "$@"
	follow many-cpus "$@"
	set -- -c 2 -m 128M --nodes 5
	refused no-node $axvm run --kernel guest/vmlinuz "$@"
}

# ---- a cpuset ------------------------------------------------------------------------------------

cpuset() {
	mkdir -p /tmp/cgroup
	mount -t cgroup2 none /tmp/cgroup
	echo +cpuset >/tmp/cgroup/cgroup.subtree_control
	mkdir -p /tmp/cgroup/half
	echo 0-4,10-14 >/tmp/cgroup/half/cpuset.cpus
	echo 0-1 >/tmp/cgroup/half/cpuset.mems
	# A member of the group.
	printf '#!/bin/sh\necho $$ >/tmp/cgroup/half/cgroup.procs && exec ./axvm "$@"\n' >member
	chmod +x member
	axvm=./member
	plan half -c 6 -m 128M
	launch half -c 6 -m 128M --append 'loglevel=6 axtest=idle'
	begun half && snapshot half
	kill_vm half
	echo 0-9 >/tmp/cgroup/half/cpuset.cpus
	echo 0 >/tmp/cgroup/half/cpuset.mems
	set -- -c 2 -m 128M --nodes 1
	refused forbidden-node $axvm run --kernel guest/vmlinuz "$@"
	follow forbidden-node "$@"
	set -- -c 2 -m 128M --cpu-affinity 2,12
	refused forbidden-cpu $axvm run --kernel guest/vmlinuz "$@"
	axvm=./axvm
}

# ---- scheduling class ----------------------------------------------------------------------------

classes() {
	plan fifo -c 2 -m 128M --placement dedicated
	launch fifo -c 2 -m 128M --placement dedicated --scheduler fifo --priority 5 --append 'loglevel=6 axtest=idle'
	begun fifo && snapshot fifo
	kill_vm fifo
	plan batch -c 2 -m 128M
	launch batch -c 2 -m 128M --scheduler batch --append 'loglevel=6 axtest=idle'
	begun batch && snapshot batch
	kill_vm batch
}

# ---- what AxVM itself says of drift ---------------------------------------------------------------

# It looks when the guest starts; its memory is moved before, while it reads the images. Where it was
# faster than this shell, another one is.
drift() {
	for attempt in 1 2 3 4 5; do
		launch drifting -c 2 -m 128M --nodes 1 --append 'loglevel=6 axtest=idle'
		pid=$(cat $out/drifting/pid)
		tries=5000
		until grep -q 'N1=32768 ' "/proc/$pid/numa_maps" || [ $tries = 0 ]; do
			tries=$((tries - 1))
		done
		kill -STOP "$pid"
		grep -qs '^vcpu ' "/proc/$pid"/task/*/comm || break
		say "drifting has started before it was stopped, $attempt times"
		kill_vm drifting
	done
	migratepages "$pid" 1 0
	kill -CONT "$pid"
	begun drifting
	kill_vm drifting
}

# ---- a container's system call filter ------------------------------------------------------------

forbidden() {
	printf '#!/bin/sh\nexec ./forbid ./axvm "$@"\n' >contained
	chmod +x contained
	axvm=./contained
	launch unbound -c 2 -m 128M --append 'loglevel=6 axtest=idle'
	begun unbound && snapshot unbound
	kill_vm unbound
	refused unbound-must $axvm run --kernel guest/vmlinuz -c 2 -m 128M --nodes 1
	axvm=./axvm
}

mkdir -p $out
for step in $STEPS; do
	say "$step at $(cut -d' ' -f1 /proc/uptime)"
	$step
done
say "done at $(cut -d' ' -f1 /proc/uptime)"
exit 0
