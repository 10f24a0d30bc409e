# What is left to do when the guest runs: faults of the monitor and of the guest that writes to each
# of its pages, memory populated before and not; part of bench/populate.
# shellcheck shell=sh
. inside/lib.sh
thp=/sys/kernel/mm/transparent_hugepage/enabled
echo 260 >/proc/sys/vm/nr_hugepages

# touched WHO PAGES POPULATE(no|yes): a guest of 512 MiB that writes from 16 MiB to the end; appends
# "PAGES POPULATE WHO FAULTS EXITS NESTED USER" to the data.
touched() {
	echo madvise >$thp
	case $1 in
	axvm)
		case $2 in 4k) pages=anon ;; thp) pages=thp ;; 2m) pages=hugetlb-2M ;; esac
		set -- "$@" ./axvm run --kernel touch.elf --memory 512M --serial none --no-rng --quiet --memory-backing "$pages"
		[ "$3" = no ] || set -- "$@" --populate
		;;
	qemu)
		case $2 in
		4k) echo never >$thp && ram="memory-backend-ram" ;;
		thp) ram="memory-backend-ram" ;;
		2m) ram="memory-backend-memfd,hugetlb=on,hugetlbsize=2M" ;;
		esac
		[ "$3" = no ] || ram=$ram,prealloc=on
		set -- "$@" qemu-system-x86_64 -accel kvm,kernel-irqchip=on -cpu host -m 512M \
			-M microvm,rtc=off,pit=off,pic=off,isa-serial=off,ioapic2=off,x-option-roms=off,memory-backend=ram \
			-object "$ram,id=ram,size=512M" -nodefaults -no-user-config -display none -no-reboot \
			-device isa-debug-exit,iobase=0x604,iosize=2 -kernel touch.elf
		;;
	esac
	who=$1 page=$2 populate=$3
	shift 3
	timeout -s KILL 100 ./watch -c "$work/spans" "$@" </dev/null >"$work/out" 2>&1
	awk -v key="$page $populate $who" '
		$1 == "end" { for (i = 3; i < NF; i += 2) n[$i] = $(i + 1); print key, n["faults"], n["exits"], n["npf"], n["user"] }
		' "$work/spans" >>"$work/data"
}

for page in 4k thp 2m; do
	for populate in no yes; do
		for who in axvm qemu; do touched $who "$page" "$populate"; done
	done
done
printf '\n%s\n%-6s %-9s %10s %10s %10s %10s %10s %10s\n%16s' "a guest that writes to 496 of its 512 MiB, from exec to end; $WHERE" \
	pages populated AxVM '' '' QEMU '' '' ''
for who in 1 2; do printf ' %10s %10s %10s' faults nested exits; done
echo
awk '{ key = $1 " " $2; if ($3 == "axvm") printf "%-6s %-9s", $1, $2; printf " %10d %10d %10d", $4, $6, $5; if ($3 == "qemu") printf "\n" }' "$work/data"
