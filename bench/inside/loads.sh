# Exits by cause of guests that are idle or use several CPUs; part of bench/loads.
#   loads.sh LIST RUNS CPUS[,CPUS]... MACHINE...    the jobs of jobs/LIST-CPUS
# shellcheck shell=sh
. inside/lib.sh
. inside/io.lib
list=$1 runs=$2 sizes=$(echo "$3" | tr , ' ')
shift 3
limit=400 watch_more=-c
# Only for the net, but no guest may differ from another.
tunctl -t axbench0 >/dev/null || fail "no tap"
ip addr add 192.168.77.1/24 dev axbench0
ip link set axbench0 up
./axload serve tcp:any:7000 >/dev/null &
while :; do ./axload udp-count 7001; done >/dev/null &
axvm_devices='--net tap=axbench0,mac=52:54:00:12:34:56'
qemu_devices='-netdev tap,id=n,ifname=axbench0,script=no,downscript=no,vhost=off -device virtio-net-@,netdev=n'

# pin: gives each vCPU of QEMU a CPU of its own, the first ones but two, which are the rest's.
pin() {
	until [ "$(grep -ls '^CPU .*/KVM' /proc/[0-9]*/task/[0-9]*/comm | wc -l)" -ge "$cpus" ]; do
		usleep 20000
	done
	grep -ls '' /proc/"$(pidof qemu-system-x86_64)"/task/[0-9]*/comm | while read -r comm; do
		tid=${comm%/comm} tid=${tid##*/}
		read -r name <"$comm"
		case $name in
		CPU*/KVM) index=${name#CPU } && taskset -pc "$((${index%/KVM} + 2))" "$tid" ;;
		*) taskset -pc 0,1 "$tid" ;;
		esac
	done >/dev/null
}

# sample WHO: until the monitor ends, where its vCPUs run and on which nodes the guest's pages lie;
# "WHO NODE0 NODE1 OFF VCPUS0 VCPUS1 MOVES" are added to the whereabouts: pages of the last look, of
# those the ones that are not where their mapping is bound to; samples of vCPUs; how often one had
# another CPU than the time before.
sample() {
	until pid=$(pidof axvm qemu-system-x86_64); do usleep 100000; done
	: >"$work/cpus-$1"
	: >"$work/maps-$1"
	while [ -d "/proc/$pid" ]; do
		# Empty while it starts and ends.
		cp "/proc/$pid/numa_maps" "$work/new-$1" 2>/dev/null
		[ ! -s "$work/new-$1" ] || mv "$work/new-$1" "$work/maps-$1"
		grep -lsE '^(CPU .*/KVM|vcpu)' /proc/"$pid"/task/[0-9]*/comm | while read -r comm; do
			sed 's/.*) //' "${comm%comm}stat" 2>/dev/null | awk -v who="$comm" '{ print who, $37 }'
		done >>"$work/cpus-$1"
		sleep 1
	done
	awk -v who="$1" -v half="$(sed 's/[-,].*//' /sys/devices/system/node/node1/cpulist)" '
		FILENAME ~ /maps-[^\/]*$/ {
			pages = bound = 0
			for (i = 3; i <= NF; i++) if ($i ~ /^N[0-9]+=/) {
				split(substr($i, 2), part, "=")
				at[part[1]] = part[2]; pages += part[2]
				if ($2 == "bind:" part[1]) bound += part[2]
			} else if ($i ~ /^kernelpagesize_kB=/) kb = substr($i, 19)
			# Only the guest memory is that large.
			if (pages * kb >= 32768) {
				for (n in at) node[n] += at[n] * kb / 4
				if ($2 ~ /^bind:/) off += (pages - bound) * kb / 4
			}
			split("", at)
			next
		}
		{ on[$2 < half ? 0 : 1]++; moves += ($1 in last) && last[$1] != $2; last[$1] = $2 }
		END { print who, node[0] + 0, node[1] + 0, off + 0, on[0] + 0, on[1] + 0, moves + 0 }' "$work/maps-$1" "$work/cpus-$1" >>"$work/where"
}

# The monitor appears only when it is run.
accompany() {
	[ "$who" != qemu-pinned ] || pin &
	[ ! -d /sys/devices/system/node/node1 ] || sample "$who" &
}

# count WHO: one run; appends "JOB WHO OPS US CAUSE NUMBER..." for each load to the data.
count() {
	who=$1 qemu_more='' before=accompany
	# Nobody's hand would leave the memory to chance.
	[ "$1" != qemu-pinned ] ||
		qemu_more="-object memory-backend-ram,id=ram,size=$memory,host-nodes=0,policy=bind,prealloc=on -machine memory-backend=ram"
	attempt "$1"
	said | awk -v who="$1" -v jobs="$(wc -l <"jobs/$jobs")" '
		$1 == "span" { m = $2; sub(/^span [0-9]+ /, ""); line[m] = $0 }
		$1 == "axload" && $3 == "mark" && $4 in line { print ($4 - 16) / 2 % jobs, who, $6, $8, line[$4] }
	' "$work/spans" - >>"$work/data"
}

# table: the runs and rounds of a load are added up.
table() {
	printf '%-11s %-11s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %8s %6s %6s\n' '' '' exits user \
		halt host timer ipi msr memory cpuid pause rest IPIs /s/vCPU ratio less
	awk -v names="jobs/$jobs.names" -v cpus="$cpus" -v whos="$*" '
		function per(cause) { return sum[j, who, cause] / ops[j, who] }
		BEGIN { while ((getline line < names) > 0) name[n++] = line }
		{
			ops[$1, $2] += $3; us[$1, $2] += $4
			for (i = 5; i < NF; i += 2) sum[$1, $2, $i] += $(i + 1)
		}
		END {
			for (j = 0; j < n; j++) {
				label = name[j]; first = ""
				for (w = 1; w <= split(whos, order); w++) {
					who = order[w]
					if (!ops[j, who]) continue
					all = per("exits"); less = all - per("host") - per("deadline"); ipi = per("icr") + per("pvipi")
					msr = per("msr") - per("icr") - per("deadline")
					rest = less - per("halt") - ipi - msr - per("npf") - per("cpuid") - per("pause")
					printf "%-11s %-11s %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %8.1f", label, who,
						all, per("user"), per("halt"), per("host"), per("deadline"), ipi, msr, per("npf"), per("cpuid"),
						per("pause"), rest, per("received"), sum[j, who, "exits"] / us[j, who] * 1e6 / cpus
					if (first == "") { first = who; first_all = all; first_less = less }
					else printf " %6.2f %6.2f", all / (first_all ? first_all : 1), less / (first_less ? first_less : 1)
					printf "\n"
					label = ""
				}
			}
		}' "$work/data"
}

# whereabouts MACHINE...: what the samples found.
whereabouts() {
	printf '\n%-11s %11s %11s %11s %11s %11s %11s %11s\n' '' 'pages on 0' 'on 1' 'off plan' 'vCPUs on 0' 'on 1' moves 'local'
	awk -v whos="$*" '
		{ for (i = 2; i <= NF; i++) sum[$1, i] += $i }
		END {
			for (w = 1; w <= split(whos, order); w++) {
				who = order[w]
				pages = sum[who, 2] + sum[who, 3]; looks = sum[who, 5] + sum[who, 6]
				if (pages && looks)
					printf "%-11s %11d %11d %11d %10.0f%% %10.0f%% %11d %10.0f%%\n", who, sum[who, 2], sum[who, 3], sum[who, 4],
						100 * sum[who, 5] / looks, 100 * sum[who, 6] / looks, sum[who, 7],
						100 * (sum[who, 2] * sum[who, 5] + sum[who, 3] * sum[who, 6]) / pages / looks
			}
		}' "$work/where"
}

for cpus in $sizes; do
	jobs=$list-$cpus
	: >"$work/data"
	: >"$work/where"
	run=0
	while [ "$run" -lt "$runs" ]; do
		for who; do count "$who"; done
		run=$((run + 1))
	done
	printf '\n%s\n' "loads ($list: $cpus vCPUs on $(nproc) CPUs; $runs runs of $ROUNDS rounds, for one operation); $WHERE"
	table "$@"
	# The last one looks each second.
	sleep 2
	[ ! -s "$work/where" ] || whereabouts "$@"
done
