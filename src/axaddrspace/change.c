/*
 * Changes to the table: builds the next one (with, without, other flags) and carries it out.
 *
 * The mapper's slots are the difference between two tables, so every change - map, unmap in the
 * middle of a region, protect over several - is one comparison, and undoing it is the same
 * comparison backwards. What becomes of the host memory is space.c's affair.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define LAYER "axaddrspace"

/* ---- slots ----------------------------------------------------------------------------------- */

/* Marks the numbers in use; the lowest free one is handed out next. */
struct slots {
	bool *used;
	size_t count, next;
};

static int slots_init(struct slots *slots, const struct axas_table *old, size_t extra)
{
	slots->next = 0;
	slots->count = old->count + extra;
	slots->used = calloc(slots->count, sizeof(*slots->used));
	if (!slots->used)
		return -ENOMEM;
	/* A number past count is never handed out: there are free ones below. */
	for (size_t i = 0; i < old->count; i++) {
		if (old->regions[i].slot < slots->count)
			slots->used[old->regions[i].slot] = true;
	}
	return 0;
}

static uint32_t slots_take(struct slots *slots)
{
	while (slots->used[slots->next])
		slots->next++;
	slots->used[slots->next] = true;
	return (uint32_t)slots->next;
}

/* ---- the next table -------------------------------------------------------------------------- */

static uint64_t end_of(const struct axas_region *region)
{
	return region->info.gpa + region->info.size_bytes;
}

static struct axas_region piece(const struct axas_region *region, uint64_t gpa, uint64_t end)
{
	struct axas_region part = *region;

	part.info.hva = (char *)region->info.hva + (gpa - region->info.gpa);
	part.info.gpa = gpa;
	part.info.size_bytes = end - gpa;
	return part;
}

struct axas_table *axas_change_with(const struct axas_table *old, struct axas_region *region)
{
	struct axas_table *next = axas_table_new(old->count + 1);
	struct slots slots;
	size_t i = 0;

	if (!next || slots_init(&slots, old, 1) < 0) {
		free(next);
		return NULL;
	}
	region->slot = slots_take(&slots);
	free(slots.used);
	while (i < old->count && old->regions[i].info.gpa < region->info.gpa)
		axas_table_push(next, &old->regions[i++]);
	axas_table_push(next, region);
	while (i < old->count)
		axas_table_push(next, &old->regions[i++]);
	return next;
}

/*
 * Copy `old`, cutting regions at the ends of the range. `keep` false drops what lies inside,
 * true gives it `access`. A region whose access is right already is not cut: each cut makes the
 * guest lose the slot for a moment. The first piece keeps the slot number.
 */
static struct axas_table *cut(const struct axas_table *old, uint64_t gpa, uint64_t size_bytes,
			      bool keep, uint32_t access)
{
	uint64_t end = gpa + size_bytes;
	struct axas_table *next = axas_table_new(old->count + 2);
	struct slots slots;

	if (!next || slots_init(&slots, old, 2) < 0) {
		free(next);
		return NULL;
	}
	for (size_t i = 0; i < old->count; i++) {
		const struct axas_region *region = &old->regions[i];
		uint64_t low = gpa > region->info.gpa ? gpa : region->info.gpa;
		uint64_t high = end < end_of(region) ? end : end_of(region);
		struct axas_region part;
		bool first = true;

		if (low >= high || (keep && (region->info.flags & AXAS_RW) == access)) {
			axas_table_push(next, region);
			continue;
		}
		if (low > region->info.gpa) {
			part = piece(region, region->info.gpa, low);
			axas_table_push(next, &part);
			first = false;
		}
		if (keep) {
			part = piece(region, low, high);
			part.info.flags = (part.info.flags & ~(uint32_t)AXAS_RW) | access;
			if (!first)
				part.slot = slots_take(&slots);
			axas_table_push(next, &part);
			first = false;
		}
		if (high < end_of(region)) {
			part = piece(region, high, end_of(region));
			if (!first)
				part.slot = slots_take(&slots);
			axas_table_push(next, &part);
		}
	}
	free(slots.used);
	return next;
}

struct axas_table *axas_change_without(const struct axas_table *old, uint64_t gpa,
				       uint64_t size_bytes)
{
	return cut(old, gpa, size_bytes, false, 0);
}

struct axas_table *axas_change_flags(const struct axas_table *old, uint64_t gpa,
				     uint64_t size_bytes, uint32_t flags)
{
	return cut(old, gpa, size_bytes, true, flags & AXAS_RW);
}

/* ---- carrying it out ------------------------------------------------------------------------- */

/* Whether the guest sees this very slot through `table` too. */
static bool shown_by(const struct axas_table *table, const struct axas_region *region)
{
	size_t i;

	if (!axas_table_find(table, region->info.gpa, &i))
		return false;
	const struct axas_region *other = &table->regions[i];
	return other->slot == region->slot && other->info.gpa == region->info.gpa &&
	       other->info.size_bytes == region->info.size_bytes &&
	       other->info.hva == region->info.hva &&
	       !((other->info.flags ^ region->info.flags) & AXAS_WRITE);
}

static int mapper_rc(int rc, const struct axas_region *region, const char *verb,
		     struct ax_error *err)
{
	if (!rc)
		return 0;
	/* A mapper that forgot to fill err must not turn into "no error". */
	if (err && err->kind == AX_ERROR_NONE)
		ax_error_set(err, AX_ERROR_MEMORY_SETUP, rc < 0 ? -rc : EIO, "cannot %s", verb);
	ax_error_context(err, "slot %u (\"%s\", gpa 0x%llx, 0x%llx bytes)", region->slot,
			 region->info.name, (unsigned long long)region->info.gpa,
			 (unsigned long long)region->info.size_bytes);
	return rc < 0 ? rc : -EIO;
}

static int show(const struct axas *as, const struct axas_region *region, struct ax_error *err)
{
	const struct axas_region_info *info = &region->info;

	return mapper_rc(as->mapper.map(as->mapper.ctx, region->slot, info->gpa, info->size_bytes,
					info->hva, !(info->flags & AXAS_WRITE), err),
			 region, "map", err);
}

static int hide(const struct axas *as, const struct axas_region *region, struct ax_error *err)
{
	return mapper_rc(as->mapper.unmap(as->mapper.ctx, region->slot, region->info.gpa,
					  region->info.size_bytes, err),
			 region, "unmap", err);
}

/* Hide and show what `from` and `to` do not have in common, up to the first failure. */
static int switch_slots(const struct axas *as, const struct axas_table *from, size_t from_count,
			const struct axas_table *to, size_t to_count, size_t *ret_hidden,
			size_t *ret_shown, struct ax_error *err)
{
	int rc = 0;
	size_t i, k = 0;

	for (i = 0; i < from_count; i++) {
		if (!shown_by(to, &from->regions[i])) {
			rc = hide(as, &from->regions[i], err);
			if (rc < 0)
				break;
		}
	}
	for (; !rc && k < to_count; k++) {
		if (!shown_by(from, &to->regions[k])) {
			rc = show(as, &to->regions[k], err);
			if (rc < 0)
				break;
		}
	}
	if (ret_hidden)
		*ret_hidden = i;
	if (ret_shown)
		*ret_shown = k;
	return rc;
}

int axas_change_apply(struct axas *as, struct axas_table *next, struct ax_error *err)
{
	struct axas_table *old = axas_table_current(as);
	size_t hidden = 0, shown = 0;
	struct ax_error undo = {0};
	/* Memory that comes is shown to the guest before devices can use it; memory that goes is
	 * taken from the devices before it goes from the guest. */
	bool only_adds = next->total_bytes > old->total_bytes;
	int rc = 0;

	if (err)
		*err = (struct ax_error){0};
	if (!only_adds)
		axas_table_publish(as, next);
	if (as->has_mapper)
		rc = switch_slots(as, old, old->count, next, next->count, &hidden, &shown, err);
	if (!rc) {
		if (only_adds)
			axas_table_publish(as, next);
		axas_table_retire(as, old);
		return 0;
	}
	/* The regions up to `shown` of next are there, those up to `hidden` of old are not. */
	if (switch_slots(as, next, shown, old, hidden, NULL, NULL, &undo) < 0) {
		ax_log(AX_LOG_ERROR, LAYER, "memory map could not be restored: %s", undo.message);
		/* The guest lacks memory it had: of a kind that stops the VM. */
		rc = ax_error_set(err, AX_ERROR_MEMORY_SETUP, -rc,
				  "memory map change failed and could not be undone: %s",
				  undo.message);
	}
	if (only_adds) {
		free(next); /* no reader has seen it */
	} else {
		axas_table_publish(as, old);
		axas_table_retire(as, next);
	}
	return rc;
}
