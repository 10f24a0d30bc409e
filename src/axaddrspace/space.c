/*
 * The address space as its owner sees it: create, destroy, map, unmap, protect, clear.
 *
 * Puts the pieces together under the writer lock: requests are judged in check.c, tables made and
 * exchanged in change.c and table.c, host memory is backing.c's. Readers never come here.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GPA_LIMIT_DEFAULT (1ULL << 52)

int axas_create(uint64_t gpa_limit, const struct axas_mapper *mapper, struct axas **ret_as,
		struct ax_error *err)
{
	struct axas *as;

	if (!gpa_limit)
		gpa_limit = GPA_LIMIT_DEFAULT;
	if (gpa_limit % AXAS_PAGE_SIZE)
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "guest-physical limit 0x%llx is not a multiple of a page",
				    (unsigned long long)gpa_limit);
	as = calloc(1, sizeof(*as));
	if (!as)
		goto no_memory;
	as->stripes = aligned_alloc(alignof(struct axas_stripe),
				    AXAS_STRIPES * sizeof(struct axas_stripe));
	as->table = axas_table_new(0);
	if (!as->stripes || !axas_table_current(as))
		goto no_memory;
	memset(as->stripes, 0, AXAS_STRIPES * sizeof(struct axas_stripe));
	as->gpa_limit = gpa_limit;
	as->has_mapper = mapper != NULL;
	if (mapper)
		as->mapper = *mapper;
	pthread_mutex_init(&as->lock, NULL);
	*ret_as = as;
	return 0;

no_memory:
	if (as) {
		free(axas_table_current(as));
		free(as->stripes);
	}
	free(as);
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an address space");
}

static void destroy_list(struct axas_host_memory *list)
{
	while (list) {
		struct axas_host_memory *next = list->next;
		axas_backing_destroy(list);
		list = next;
	}
}

void axas_destroy(struct axas *as)
{
	const struct axas_table *table;

	if (!as)
		return;
	/* The guest's slots go first: none may point at memory that is given back. Unlike in
	 * axas_clear there is no way back, so one that refuses does not stop the others. */
	table = axas_table_current(as);
	for (size_t i = 0; as->has_mapper && i < table->count; i++) {
		const struct axas_region *region = &table->regions[i];
		as->mapper.unmap(as->mapper.ctx, region->slot, region->info.gpa,
				 region->info.size_bytes, NULL);
	}
	destroy_list(as->backings);
	destroy_list(as->parked);
	while (as->retired) {
		struct axas_table *next = as->retired->next_retired;
		free(as->retired);
		as->retired = next;
	}
	free(axas_table_current(as));
	free(as->stripes);
	pthread_mutex_destroy(&as->lock);
	free(as);
}

static int no_table(struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the memory map");
}

static int map_locked(struct axas *as, const struct axas_region_config *config,
		      struct ax_error *err)
{
	struct axas_table *old = axas_table_current(as), *next;
	struct axas_host_memory *backing = NULL;
	struct axas_region region = {0};
	int rc = axas_check_free(old, config, err);

	if (rc < 0)
		return rc;
	rc = axas_backing_create(config, &backing, err);
	if (rc < 0)
		return rc;
	region.backing = backing;
	region.info.gpa = config->gpa;
	region.info.size_bytes = config->size_bytes;
	region.info.type = config->type;
	region.info.backing = config->backing;
	region.info.flags = config->flags;
	region.info.page_size_bytes = backing->page_size_bytes;
	region.info.hva = backing->base;
	region.info.locked = config->lock;
	region.info.bound = backing->bound;
	region.info.node = backing->node;
	strncpy(region.info.name, config->name, sizeof(region.info.name) - 1);
	next = axas_change_with(old, &region);
	rc = next ? axas_change_apply(as, next, err) : no_table(err);
	if (rc < 0) {
		axas_backing_destroy(backing);
		return rc;
	}
	backing->next = as->backings;
	as->backings = backing;
	return 0;
}

int axas_map(struct axas *as, const struct axas_region_config *config, struct ax_error *err)
{
	struct axas_region_config named = *config;
	int rc;

	if (!named.name || !*named.name)
		named.name = "memory";
	rc = axas_check_config(as, &named, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&as->lock);
	rc = map_locked(as, &named, err);
	pthread_mutex_unlock(&as->lock);
	return rc;
}

static int unmap_locked(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	struct axas_table *old = axas_table_current(as), *next;
	struct axas_region *gone;
	size_t gone_count = 0;
	int rc;

	/* What goes is noted before the change, which may free the old table. */
	gone = calloc(old->count + 1, sizeof(*gone));
	next = axas_change_without(old, gpa, size_bytes);
	if (!gone || !next) {
		free(gone);
		free(next);
		return no_table(err);
	}
	for (size_t i = 0; i < old->count; i++) {
		const struct axas_region *region = &old->regions[i];
		uint64_t start = region->info.gpa, end = start + region->info.size_bytes;
		uint64_t low = gpa > start ? gpa : start;
		uint64_t high = gpa + size_bytes < end ? gpa + size_bytes : end;
		if (low >= high)
			continue;
		gone[gone_count] = *region;
		gone[gone_count].info.hva = (char *)region->info.hva + (low - start);
		gone[gone_count++].info.size_bytes = high - low;
	}
	rc = axas_change_apply(as, next, err);
	for (size_t i = 0; !rc && i < gone_count; i++)
		axas_backing_release(gone[i].backing, next, gone[i].info.hva,
				     gone[i].info.size_bytes);
	if (!rc)
		axas_backing_sweep(as, next);
	free(gone);
	return rc;
}

int axas_unmap(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	int rc;

	pthread_mutex_lock(&as->lock);
	rc = axas_check_mapped(as, "unmap", gpa, size_bytes, err);
	if (!rc)
		rc = unmap_locked(as, gpa, size_bytes, err);
	pthread_mutex_unlock(&as->lock);
	return rc;
}

int axas_clear(struct axas *as, struct ax_error *err)
{
	int rc;

	pthread_mutex_lock(&as->lock);
	rc = unmap_locked(as, 0, as->gpa_limit, err);
	pthread_mutex_unlock(&as->lock);
	return rc;
}

static int protect_locked(struct axas *as, uint64_t gpa, uint64_t size_bytes, uint32_t flags,
			  struct ax_error *err)
{
	struct axas_table *old = axas_table_current(as), *next;

	for (size_t i = 0; flags & AXAS_WRITE && i < old->count; i++) {
		const struct axas_region *region = &old->regions[i];
		if (region->info.gpa < gpa + size_bytes &&
		    region->info.gpa + region->info.size_bytes > gpa &&
		    !region->backing->guest_writable)
			return ax_error_set(err, AX_ERROR_UNSUPPORTED, EACCES,
					    "region \"%s\" was mapped from its file read-only and "
					    "cannot become writable",
					    region->info.name);
	}
	next = axas_change_flags(old, gpa, size_bytes, flags);
	return next ? axas_change_apply(as, next, err) : no_table(err);
}

int axas_protect(struct axas *as, uint64_t gpa, uint64_t size_bytes, uint32_t flags,
		 struct ax_error *err)
{
	int rc = axas_check_flags("protect", flags, err);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&as->lock);
	rc = axas_check_mapped(as, "protect", gpa, size_bytes, err);
	if (!rc)
		rc = protect_locked(as, gpa, size_bytes, flags, err);
	pthread_mutex_unlock(&as->lock);
	return rc;
}
