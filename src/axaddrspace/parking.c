/*
 * What becomes of memory that is unmapped: it is given back, its addresses are kept.
 *
 * An address range that was ever handed out stays mapped until axas_destroy. What is unmapped
 * is "parked": private anonymous memory takes its place in one step and the pages behind it are
 * punched out of the memfd, so a late pointer meets memory that nobody else sees - also with
 * hugetlb, where touching a punched page again could find the pool empty and raise SIGBUS, and
 * with files, which a late writer must not change.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAYER "axaddrspace"

/* Replace [low, high) by memory that nobody else sees, then empty what was there. */
static void park(const struct axas_host_memory *backing, char *low, char *high)
{
	uint64_t size_bytes = (uint64_t)(high - low);
	/* The bare system call: to a thread sanitizer mmap counts as a write to the range, and a
	 * reader that is still copying from it is exactly the case this is for. */
	long rc = syscall(SYS_mmap, low, size_bytes, PROT_READ | PROT_WRITE,
			  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);

	if (rc == -1) {
		/* Too many mappings, say. The old mapping serves; only hugetlb keeps its pages,
		 * for a punched huge page may not come back. */
		ax_log(AX_LOG_WARN, LAYER, "unmapped memory could not be replaced: %s",
		       strerror(errno));
		if (backing->is_hugetlb)
			return;
		if (backing->owns_pages && backing->fd < 0)
			madvise(low, size_bytes, MADV_DONTNEED);
	}
	if (backing->owns_pages && backing->fd >= 0 &&
	    fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(low - backing->base), (off_t)size_bytes) < 0)
		ax_log(AX_LOG_WARN, LAYER, "unmapped memory stays allocated: %s", strerror(errno));
}

/* Whether a region still uses part of the host page at hva. */
static bool page_in_use(const struct axas_table *table, const struct axas_host_memory *backing,
			const char *hva)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct axas_region *region = &table->regions[i];
		const char *start = region->info.hva;
		if (region->backing == backing && start < hva + backing->page_size_bytes &&
		    start + region->info.size_bytes > hva)
			return true;
	}
	return false;
}

static bool backing_in_use(const struct axas_table *table, const struct axas_host_memory *backing)
{
	for (size_t i = 0; i < table->count; i++) {
		if (table->regions[i].backing == backing)
			return true;
	}
	return false;
}

/* The kernel places mappings side by side, so the list of parked ranges stays short. */
static void remember_parked(struct axas *as, struct axas_host_memory *range)
{
	struct axas_host_memory **link = &as->parked;

	while (*link) {
		struct axas_host_memory *other = *link;
		bool below = other->base + other->size_bytes == range->base;
		bool above = range->base + range->size_bytes == other->base;

		if (below || above) {
			range->base = below ? other->base : range->base;
			range->size_bytes += other->size_bytes;
			*link = other->next;
			free(other);
			link = &as->parked; /* the grown range may touch another one now */
			continue;
		}
		link = &other->next;
	}
	range->next = as->parked;
	as->parked = range;
}

void axas_backing_release(const struct axas_host_memory *backing, const struct axas_table *table,
			  const char *hva, uint64_t size_bytes)
{
	uint64_t page = backing->page_size_bytes;
	uint64_t low = ax_align_down((uint64_t)(hva - backing->base), page);
	uint64_t high = ax_align_up((uint64_t)(hva - backing->base) + size_bytes, page);

	/* A huge page goes only as a whole, with the last 4 KiB of it. */
	if (page_in_use(table, backing, backing->base + low))
		low += page;
	if (low < high && page_in_use(table, backing, backing->base + high - page))
		high -= page;
	if (low < high)
		park(backing, backing->base + low, backing->base + high);
}

void axas_backing_sweep(struct axas *as, const struct axas_table *table)
{
	struct axas_host_memory **link = &as->backings;

	while (*link) {
		struct axas_host_memory *backing = *link;
		if (backing_in_use(table, backing)) {
			link = &backing->next;
			continue;
		}
		*link = backing->next;
		if (backing->fd >= 0)
			close(backing->fd);
		backing->fd = -1;
		remember_parked(as, backing);
	}
}
