# Guest memory from the huge-page pools: with pages they are used, without there is a clear error.
# architectures: x86_64
. scripts/memory.inc
pool=/sys/kernel/mm/hugepages

# refused SIZE BACKING WHAT: no pool, so a clear error with the way out.
refused() {
	./axvm run --kernel guest/6.1/vmlinuz -m "$1" --memory-backing "$2" </dev/null >"$WORK/out" 2>&1
	status=$?
	pid=
	[ "$status" = 30 ] || die "$2 without a pool: exit status $status"
	grep -q "needs .* huge pages of $3, the pool has 0" "$WORK/out" || die "$2: $(head -n 1 "$WORK/out")"
	grep -q 'hint: .*echo [0-9]* > /.*nr_hugepages' "$WORK/out" || die "$2: no hint"
}

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
