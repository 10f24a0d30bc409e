# Corrupt, short, huge and missing images, and memory that is too small: each is refused before the
# guest starts, with a status of its own and a message that names file and value.
. scripts/lib.inc
kernel=guest/6.1/vmlinuz
mkdir -p "$WORK/bad"
: >"$WORK/bad/empty"
head -c 60 $kernel >"$WORK/bad/short"
head -c 1000000 $kernel >"$WORK/bad/cut"
head -c 100000 /dev/urandom >"$WORK/bad/noise"
truncate -s 300M "$WORK/bad/big"
printf '/dts-v1/;\n/ { };\n' >"$WORK/bad/source.dts"

# refused STATUS PATTERN OPTIONS...
refused() {
	want=$1 pattern=$2
	shift 2
	./axvm run "$@" </dev/null >"$WORK/out" 2>&1
	status=$?
	[ "$status" = "$want" ] || { echo "$*: exit status $status, not $want"; rm -r "$WORK/bad"; exit 1; }
	grep -qE -e "$pattern" "$WORK/out" || { echo "$*: no '$pattern' in the message"; rm -r "$WORK/bad"; exit 1; }
}

refused 3 "kernel '.*empty': is empty" -k "$WORK/bad/empty"
refused 3 "kernel '.*short': is (too short|a PE|of no format)" -k "$WORK/bad/short"
# A bare Image does not say where it ends; one that is an EFI application, or a bzImage, does.
[ "$(head -c 2 $kernel)" != MZ ] || refused 3 "kernel '.*cut': is cut short" -k "$WORK/bad/cut"
refused 3 "kernel '.*noise': is of no format known here" -k "$WORK/bad/noise"
refused 3 "kernel '.*bad': is a directory" -k "$WORK/bad"
refused 3 'cannot open .*missing' -k "$WORK/bad/missing"
refused 3 "initrd '.*empty': is empty" -k $kernel -i "$WORK/bad/empty"
refused 3 "initrd '.*big': needs 300 MiB" -k $kernel -i "$WORK/bad/big" -m 128M
refused 3 "kernel '.*vmlinuz': needs " -k $kernel -m 16M
refused 2 'guest memory|memory.size|out of range' -k $kernel -m 65T
refused 2 'cpus|-c' -k $kernel -c 100000
case ${ARCH:-$(uname -m)} in
x86_64) refused 2 'not described by a device tree' -k $kernel --dtb "$WORK/bad/noise" ;;
*)
	refused 3 "device tree '.*empty': is empty" -k $kernel --dtb "$WORK/bad/empty"
	refused 3 "device tree '.*noise': " -k $kernel --dtb "$WORK/bad/noise"
	refused 3 "device tree '.*source.dts': " -k $kernel --dtb "$WORK/bad/source.dts"
	;;
esac
rm -r "$WORK/bad"
