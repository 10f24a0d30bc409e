/*
 * The immutable region table and how readers and the one writer share it.
 *
 * A reader enters (counts itself in its CPU's stripe), loads the table pointer, works, leaves. A
 * writer publishes a new table and keeps the old one on a list until every stripe has been seen
 * with as many leavers as comers: then nobody can still hold it. Old tables are therefore
 * bounded in practice rather than kept until destroy, which matters because a guest can cause
 * maps and unmaps (IVC channels) as often as it likes. The comers double as the statistics.
 */
#include "internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Retired tables that may wait for readers before a writer stands aside to let them leave. */
#define RETIRED_PATIENCE 16
#define YIELDS_MAX       64

struct axas_visitor axas_enter(const struct axas *as, enum axas_visit visit)
{
	struct axas_visitor visitor = {.visit = visit};
	int cpu = sched_getcpu();

	visitor.stripe = &as->stripes[cpu < 0 ? 0 : cpu % AXAS_STRIPES];
	/* Sequentially consistent with the load below and with publish + quiescent: a writer that
	 * does not see this comer has published before the load, so the load sees the new table. */
	atomic_fetch_add(&visitor.stripe->entered[visit], 1);
	visitor.table = atomic_load(&as->table);
	return visitor;
}

int axas_leave(const struct axas_visitor *visitor, int rc)
{
	if (rc < 0)
		atomic_fetch_add_explicit(&visitor->stripe->faulted[visitor->visit], 1,
					  memory_order_relaxed);
	atomic_fetch_add_explicit(&visitor->stripe->left, 1, memory_order_release);
	return rc;
}

void axas_count_also(const struct axas_visitor *visitor, enum axas_visit visit)
{
	/* Comer before leaver: the stripe must never look emptier than it is. */
	atomic_fetch_add(&visitor->stripe->entered[visit], 1);
	atomic_fetch_add_explicit(&visitor->stripe->left, 1, memory_order_release);
}

void axas_get_stats(const struct axas *as, struct axas_stats *ret_stats)
{
	struct axas_stats stats = {0};

	for (size_t i = 0; i < AXAS_STRIPES; i++) {
		struct axas_stripe *s = &as->stripes[i];
		uint64_t faulted[AXAS_VISIT_COUNT];
		/* Faults first: a call that is under way must not make a difference negative. */
		for (int v = 0; v < AXAS_VISIT_COUNT; v++) {
			faulted[v] = atomic_load(&s->faulted[v]);
			stats.faults += faulted[v];
		}
		stats.reads += atomic_load(&s->entered[AXAS_VISIT_READ]) - faulted[AXAS_VISIT_READ];
		stats.writes +=
			atomic_load(&s->entered[AXAS_VISIT_WRITE]) - faulted[AXAS_VISIT_WRITE];
	}
	*ret_stats = stats;
}

struct axas_table *axas_table_new(size_t capacity)
{
	size_t spans = capacity * sizeof(struct axas_span);
	struct axas_table *table;

	table = calloc(1, sizeof(*table) + spans + capacity * sizeof(struct axas_region));
	if (!table)
		return NULL;
	table->capacity = capacity;
	table->regions = (struct axas_region *)((char *)table->spans + spans);
	return table;
}

/* Callers push in gpa order. */
void axas_table_push(struct axas_table *table, const struct axas_region *region)
{
	struct axas_span *span = &table->spans[table->count];

	table->regions[table->count] = *region;
	span->gpa = region->info.gpa;
	span->size_bytes = region->info.size_bytes;
	span->hva = region->info.hva;
	span->access = region->info.flags & AXAS_RW;
	if (region->backing->host_writable)
		span->access |= AXAS_SPAN_HOST_WRITE;
	table->total_bytes += region->info.size_bytes;
	table->count++;
}

bool axas_table_find(const struct axas_table *table, uint64_t gpa, size_t *ret_index)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (table->spans[mid].gpa <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || gpa - table->spans[low - 1].gpa >= table->spans[low - 1].size_bytes)
		return false;
	*ret_index = low - 1;
	return true;
}

bool axas_table_covers(const struct axas_table *table, uint64_t gpa, uint64_t len, uint32_t access,
		       size_t *ret_first)
{
	size_t first, i;

	if (!axas_table_find(table, gpa, &first))
		return false;
	/* Nothing here adds gpa and len: only what remains of each span is compared, so a sum
	 * past 2^64 cannot arise. Spans end at or below the address space's limit. */
	for (i = first;; i++) {
		const struct axas_span *span = &table->spans[i];
		uint64_t remaining = span->size_bytes - (gpa - span->gpa);

		if ((span->access & access) != access)
			return false;
		if (len <= remaining)
			break;
		len -= remaining;
		gpa += remaining;
		if (i + 1 == table->count || table->spans[i + 1].gpa != gpa)
			return false;
	}
	*ret_first = first;
	return true;
}

struct axas_table *axas_table_current(const struct axas *as)
{
	return atomic_load(&as->table);
}

static bool quiescent(struct axas_stripe *stripe)
{
	/* Leavers first. Both only grow and leavers never exceed comers, so equality means that
	 * the stripe was empty at the moment the leavers were read. */
	uint64_t left = atomic_load(&stripe->left), entered = 0;

	for (int v = 0; v < AXAS_VISIT_COUNT; v++)
		entered += atomic_load(&stripe->entered[v]);
	return left == entered;
}

static void reclaim(struct axas *as)
{
	size_t waiting = 0, yields = 0;

	for (const struct axas_table *t = as->retired; t; t = t->next_retired)
		waiting++;
	for (size_t i = 0; i < AXAS_STRIPES; i++) {
		while (!quiescent(&as->stripes[i])) {
			/* Visits are short, but one may be reading a boot image from a slow disk:
			 * then the list simply waits for a later writer. */
			if (waiting < RETIRED_PATIENCE || yields++ == YIELDS_MAX)
				return;
			sched_yield();
		}
	}
	while (as->retired) {
		struct axas_table *table = as->retired;
		as->retired = table->next_retired;
		free(table);
	}
}

void axas_table_publish(struct axas *as, struct axas_table *next)
{
	atomic_store(&as->table, next);
}

/* `table` must no longer be the published one. */
void axas_table_retire(struct axas *as, struct axas_table *table)
{
	table->next_retired = as->retired;
	as->retired = table;
	reclaim(as);
}
