#!/bin/sh
# Runs the boot cases where a complete KVM is: on this host, or in the lab. Needs in this directory
# the binary axvm, the guests (guest/NAME/vmlinuz, initramfs), the disks and the file `cases`.
# ARCH says which architecture's cases are meant; default this machine's.
# Prints PASS or FAIL per case, with the console's end for a failure.
#   inside.sh [PATTERN]...    the cases whose name matches one of the shell patterns; default all
#   inside.sh --list [PATTERN]...    their names
set -u
here=$(pwd)
work=$(mktemp -d)
failed=0
# What ends a case that hangs, in seconds. The longest take 110 where nothing else runs on the host.
limit=600
list=''
[ "${1:-}" != --list ] || { list=yes; shift; }
[ $# -gt 0 ] || set -- '*'
patterns=$*
arch=${ARCH:-$(uname -m)}

# runs_here ARCHITECTURES: is this architecture among them?
runs_here() {
	case " $1 " in *" $arch "* | *" all "*) ;; *) return 1 ;; esac
}

# wanted NAME: is it to be run? With --list it is only named.
wanted() {
	set -f
	for pattern in $patterns; do
		# shellcheck disable=SC2254 # a pattern is wanted
		case $1 in $pattern)
			set +f
			[ -z "$list" ] || { echo "$1"; return 1; }
			return 0
			;;
		esac
	done
	set +f
	return 1
}

# fresh NAME SOURCE: a private copy of a disk, sparse.
fresh() { cp "$here/$2" "$work/$1" && echo "$work/$1"; }

# expand OPTIONS: @disk and friends become files of this case.
expand() {
	options=$1
	case $options in *@disk*) options=$(echo "$options" | sed "s,@disk,$(fresh disk.img data.img),") ;; esac
	case $options in *@root*) options=$(echo "$options" | sed "s,@root,$(fresh root.img root.img),") ;; esac
	case $options in *@scratch*)
		truncate -s 64M "$work/scratch.img"
		options=$(echo "$options" | sed "s,@scratch,$work/scratch.img,")
		;;
	esac
	echo "$options" | sed "s,@log,$work/serial.log,"
}

kernel_of() {
	case $1 in
	vmlinux-*) echo "guest/${1#vmlinux-}/vmlinux" ;;
	*) echo "guest/$1/vmlinuz" ;;
	esac
}

verdict() { # name why
	if [ -z "$2" ]; then
		echo "PASS $1"
	else
		failed=$((failed + 1))
		tail -n 50 "$work/out" | sed 's/^/  | /'
		echo "FAIL $1: $2"
	fi
}

# check NAME STATUS WANTED MUST MUSTNOT: judges $work/out.
check() {
	why=''
	[ "$2" = "$3" ] || why="exit status $2, not $3"
	old=$IFS
	IFS='
'
	for want in $(echo "$4" | sed 's/ *;; */\n/g'); do
		[ -n "$why" ] || grep -qE -e "$want" "$work/out" || why="'$want' did not appear"
	done
	IFS=$old
	if [ -z "$why" ] && [ -n "$5" ]; then
		bad=$(grep -m1 -E -e "$5" "$work/out")
		[ -z "$bad" ] || why="appeared: $bad"
	fi
	verdict "$1" "$why"
}

run_case() { # name guest scenarios options status must mustnot
	rm -f "$work"/*.img "$work/out" "$work/serial.log"
	guest=${2#vmlinux-}
	options=$(expand "$4")
	extra=''
	case $options in *--append*)
		extra=$(echo "$options" | sed 's/.*--append \([^ ]*\).*/\1/' | tr + ' ')
		options=$(echo "$options" | sed 's/--append [^ ]*//')
		;;
	esac
	# shellcheck disable=SC2086 # options are words
	timeout -s KILL $limit ./axvm run --kernel "$(kernel_of "$2")" --initrd "guest/$guest/initramfs" \
		--append "loglevel=5 axtest=$3 $extra" $options </dev/null >"$work/out" 2>&1
	status=$?
	[ ! -f "$work/serial.log" ] || cat "$work/serial.log" >>"$work/out"
	tr -d '\r' <"$work/out" >"$work/clean" && mv "$work/clean" "$work/out"
	check "$1" "$status" "$5" "$6" "$7"
}

# The report of complaints quotes dmesg, so the patterns see it too.
while IFS='|' read -r name architectures guest scenarios options status must mustnot; do
	case $name in '' | '#'*) continue ;; esac
	name=$(echo "$name" | tr -d ' ')
	runs_here "$architectures" || continue
	wanted "$name" || continue
	guest=$(echo "$guest" | tr -d ' ')
	if [ ! -e "$(kernel_of "$guest")" ]; then
		echo "SKIP $name: no guest $guest here"
		continue
	fi
	run_case "$name" "$guest" "$(echo "$scenarios" | tr -d ' ')" "$options" \
		"$(echo "$status" | tr -d ' ')" "$(echo "$must" | sed 's/^ *//; s/ *$//')" \
		"$(echo "$mustnot" | sed 's/^ *//; s/ *$//')"
done <cases

for script in scripts/*.sh; do
	name=$(basename "$script" .sh)
	architectures=$(sed -n 's/^# architectures: //p' "$script")
	runs_here "${architectures:-all}" || continue
	wanted "$name" || continue
	rm -f "$work"/*.img "$work/out"
	why=$(WORK=$work timeout -s KILL $limit sh "$script" 2>"$work/err") && why='' || why=${why:-"it died"}
	[ -f "$work/out" ] || cp "$work/err" "$work/out"
	verdict "$name" "$(echo "$why" | tail -n 1)"
done

rm -rf "$work"
[ "$failed" = 0 ]
