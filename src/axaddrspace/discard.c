/*
 * Giving pages of mapped memory back to the host, for ballooning and free page reports.
 *
 * Nothing changes in the table: the addresses stay, and so do pointers handed out. The writer's
 * lock is held, because without it a region's file might be closed, or its addresses mean
 * something else, between the look and the system call.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

/* Memory that is the guest's alone, and that nobody has asked to be kept. */
static bool may_discard(const struct axas_region *region)
{
	return region->backing->owns_pages && region->info.type != AXAS_MAP_RESERVED &&
	       region->info.flags & AXAS_WRITE && !region->info.locked;
}

/* Whole host pages of [low, high), which lies in the region; returns the bytes given back. */
static uint64_t discard_part(const struct axas_region *region, const char *low, const char *high)
{
	const struct axas_host_memory *backing = region->backing;
	const uint64_t page = backing->page_size_bytes;
	/* Both ends count from the backing's start, which is aligned to its pages; a region may
	 * begin in the middle of a huge one, whose other part is then somebody else's. */
	const uint64_t first = ax_align_up((uint64_t)(low - backing->base), page);
	const uint64_t end = ax_align_down((uint64_t)(high - backing->base), page);
	int rc;

	if (first >= end || !may_discard(region))
		return 0;
	do {
		/* MADV_DONTNEED would only take shared pages from our page tables. */
		rc = backing->fd >= 0
			     ? fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)first, (off_t)(end - first))
			     : madvise(backing->base + first, end - first, MADV_DONTNEED);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? 0 : end - first;
}

uint64_t axas_discard(struct axas *as, uint64_t gpa, uint64_t size_bytes)
{
	const struct axas_table *table;
	uint64_t end, total = 0;

	if (ax_add_overflows(gpa, size_bytes, &end))
		return 0;
	pthread_mutex_lock(&as->lock);
	table = axas_table_current(as);
	for (size_t i = 0; i < table->count; i++) {
		const struct axas_region_info *info = &table->regions[i].info;
		const char *hva = info->hva;
		const uint64_t low = gpa > info->gpa ? gpa : info->gpa;
		const uint64_t top = info->gpa + info->size_bytes;
		const uint64_t high = end < top ? end : top;

		if (low < high)
			total += discard_part(&table->regions[i], hva + (low - info->gpa),
					      hva + (high - info->gpa));
	}
	pthread_mutex_unlock(&as->lock);
	return total;
}

uint64_t axas_discard_host(struct axas *as, const void *hva, uint64_t size_bytes)
{
	const struct axas_table *table;
	uint64_t begin = (uintptr_t)hva, end, total = 0;

	if (ax_add_overflows(begin, size_bytes, &end))
		return 0;
	pthread_mutex_lock(&as->lock);
	table = axas_table_current(as);
	for (size_t i = 0; i < table->count; i++) {
		const struct axas_region_info *info = &table->regions[i].info;
		const char *base = info->hva;
		const uint64_t start = (uintptr_t)base, top = start + info->size_bytes;
		const uint64_t low = begin > start ? begin : start;
		const uint64_t high = end < top ? end : top;

		if (low < high)
			total += discard_part(&table->regions[i], base + (low - start),
					      base + (high - start));
	}
	pthread_mutex_unlock(&as->lock);
	return total;
}
