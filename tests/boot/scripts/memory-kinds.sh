# What stands behind a running guest's memory: huge pages by request, all or only touched pages,
# locked ones.
# architectures: x86_64
. scripts/memory.inc

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
