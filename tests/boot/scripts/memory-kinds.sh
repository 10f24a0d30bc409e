# What stands behind a running guest's memory: huge pages by request, all or only touched pages,
# locked ones, and the huge-page pool with and without pages.
. scripts/lib.inc
pool=/sys/kernel/mm/hugepages

# smaps FIELD: KiB of the monitor, summed. The largest for a page size.
smaps() { awk -v f="$1:" '$1 == f { n += $2 } END { print n + 0 }' "/proc/$pid/smaps"; }
largest() { awk -v f="$1:" '$1 == f && $2 > n { n = $2 } END { print n + 0 }' "/proc/$pid/smaps"; }
status_kib() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/status"; }

idle() {
	start -c 1 "$@" --append axtest=idle
	wait_for 'AXTEST idle ready' 120
}

stop() {
	kill -TERM "$pid"
	wait_end 20
	[ "$status" = 0 ] || die "$1: exit status $status"
}

# refused SIZE BACKING WHAT: no pool, so a clear error with the way out.
refused() {
	./axvm run --kernel guest/6.1/vmlinuz -m "$1" --memory-backing "$2" </dev/null >"$WORK/out" 2>&1
	status=$?
	pid=
	[ "$status" = 30 ] || die "$2 without a pool: exit status $status"
	grep -q "needs .* huge pages of $3, the pool has 0" "$WORK/out" || die "$2: $(head -n 1 "$WORK/out")"
	grep -q 'hint: .*echo [0-9]* > /.*nr_hugepages' "$WORK/out" || die "$2: no hint"
}

idle -m 256M
[ ! -d /sys/kernel/mm/transparent_hugepage ] || grep -q '^VmFlags:.* hg ' "/proc/$pid/smaps" ||
	die "no memory of the guest is marked for huge pages"
[ "$(smaps AnonHugePages)" -gt 0 ] || grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled ||
	die "no transparent huge page behind the guest"
stop thp

idle -m 512M --memory-backing anon
lazy=$(status_kib RssShmem)
{ [ "$lazy" -gt 10000 ] && [ "$lazy" -lt 400000 ]; } || die "lazy memory: $lazy KiB are resident"
[ "$(status_kib VmLck)" = 0 ] || die "something is locked"
stop lazy

idle -m 512M --memory-backing anon --populate
[ "$(status_kib RssShmem)" -ge 524288 ] || die "populated: only $(status_kib RssShmem) KiB are resident"
stop populated

idle -m 256M --memory-backing anon --lock
[ "$(status_kib VmLck)" = 262144 ] || die "locked: VmLck is $(status_kib VmLck) KiB"
stop locked

# A pool that others use is not ours to change.
[ "$(cat $pool/hugepages-2048kB/nr_hugepages)" = 0 ] || exit 0
[ -w $pool/hugepages-2048kB/nr_hugepages ] || exit 0
refused 256M hugetlb-2M 2M
echo 140 >$pool/hugepages-2048kB/nr_hugepages
if [ "$(cat $pool/hugepages-2048kB/nr_hugepages)" -ge 128 ]; then
	idle -m 256M --memory-backing hugetlb-2M
	[ "$(largest KernelPageSize)" = 2048 ] || die "2M: pages of $(largest KernelPageSize) KiB"
	[ "$(smaps Shared_Hugetlb)" -gt 0 ] || [ "$(smaps Private_Hugetlb)" -gt 0 ] || die "2M: none is used"
	stop 2M
else
	echo "this host has no memory for 128 pages of 2M"
	exit 1
fi
echo 0 >$pool/hugepages-2048kB/nr_hugepages
[ -d $pool/hugepages-1048576kB ] || exit 0
refused 1G hugetlb-1G 1G
echo 1 >$pool/hugepages-1048576kB/nr_hugepages
if [ "$(cat $pool/hugepages-1048576kB/nr_hugepages)" = 1 ]; then
	idle -m 1G --memory-backing hugetlb-1G
	[ "$(largest KernelPageSize)" = 1048576 ] || die "1G: pages of $(largest KernelPageSize) KiB"
	stop 1G
	echo 0 >$pool/hugepages-1048576kB/nr_hugepages
else
	[ ! -e /.lab/settings ] || { echo "the lab gives no page of 1G"; exit 1; }
fi
