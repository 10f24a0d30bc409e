/*
 * Locking of mapped ranges, and the listings.
 *
 * A range may cover parts of regions. Splitting them would take the guest's slots away for a
 * moment, so only the host pages are locked piece by piece, and a region counts as locked when
 * the last request that touched it locked the whole of it.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct part {
	char *hva;
	uint64_t size_bytes;
	bool whole;
};

static bool part_of(const struct axas_region *region, uint64_t gpa, uint64_t size_bytes,
		    struct part *ret_part)
{
	uint64_t start = region->info.gpa, end = start + region->info.size_bytes;
	uint64_t low = gpa > start ? gpa : start;
	uint64_t high = gpa + size_bytes < end ? gpa + size_bytes : end;

	if (low >= high)
		return false;
	ret_part->hva = (char *)region->info.hva + (low - start);
	ret_part->size_bytes = high - low;
	ret_part->whole = low == start && high == end;
	return true;
}

static int lock_parts(const struct axas_table *table, uint64_t gpa, uint64_t size_bytes,
		      struct ax_error *err)
{
	struct part part;
	int rc = 0;
	size_t i;

	for (i = 0; i < table->count; i++) {
		if (!part_of(&table->regions[i], gpa, size_bytes, &part))
			continue;
		rc = axas_backing_lock(table->regions[i].backing, part.hva, part.size_bytes, true,
				       AX_ERROR_CONFIGURATION, err);
		if (rc < 0)
			break;
	}
	/* Undo, but leave locked what was so before. */
	while (rc < 0 && i-- > 0) {
		const struct axas_region *region = &table->regions[i];
		if (!region->info.locked && part_of(region, gpa, size_bytes, &part))
			axas_backing_unlock(region->backing, part.hva, part.size_bytes);
	}
	return rc;
}

static int set_locked(struct axas *as, uint64_t gpa, uint64_t size_bytes, bool locked,
		      struct ax_error *err)
{
	struct axas_table *old = axas_table_current(as), *next;
	struct part part;
	int rc = 0;

	next = axas_table_new(old->count);
	if (!next)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the memory map");
	if (locked)
		rc = lock_parts(old, gpa, size_bytes, err);
	if (rc < 0) {
		free(next);
		return rc;
	}
	for (size_t i = 0; i < old->count; i++) {
		struct axas_region region = old->regions[i];
		if (part_of(&region, gpa, size_bytes, &part)) {
			if (!locked)
				axas_backing_unlock(region.backing, part.hva, part.size_bytes);
			region.info.locked = locked && (part.whole || region.info.locked);
		}
		axas_table_push(next, &region);
	}
	axas_table_publish(as, next);
	axas_table_retire(as, old);
	return 0;
}

static int change_locked(struct axas *as, uint64_t gpa, uint64_t size_bytes, bool locked,
			 struct ax_error *err)
{
	int rc;

	pthread_mutex_lock(&as->lock);
	rc = axas_check_mapped(as, locked ? "lock" : "unlock", gpa, size_bytes, err);
	if (!rc)
		rc = set_locked(as, gpa, size_bytes, locked, err);
	pthread_mutex_unlock(&as->lock);
	return rc;
}

int axas_lock(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	return change_locked(as, gpa, size_bytes, true, err);
}

int axas_unlock(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	return change_locked(as, gpa, size_bytes, false, err);
}

size_t axas_regions(const struct axas *as, struct axas_region_info *regions, size_t max)
{
	struct axas_visitor visitor = axas_enter(as, AXAS_VISIT_LOOKUP);
	size_t count = visitor.table->count;

	for (size_t i = 0; i < count && i < max; i++)
		regions[i] = visitor.table->regions[i].info;
	axas_leave(&visitor, 0);
	return count;
}

uint64_t axas_total_bytes(const struct axas *as)
{
	struct axas_visitor visitor = axas_enter(as, AXAS_VISIT_LOOKUP);
	uint64_t total = visitor.table->total_bytes;

	axas_leave(&visitor, 0);
	return total;
}
