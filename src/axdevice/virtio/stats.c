/*
 * The counters of a virtio device as one picture, its queues added up. Any thread: each counter has
 * one writer, and none is ever waited for.
 */
#include "core.h"

static void add_queue(struct axvirtio_stats *stats, const struct core_queue_counters *c)
{
	const uint64_t depth_max = ax_counter_read(&c->depth_max);

	stats->kicks += ax_counter_read(&c->kicks);
	stats->requests += ax_counter_read(&c->requests);
	stats->errors += ax_counter_read(&c->errors);
	stats->bytes += ax_counter_read(&c->bytes);
	stats->interrupts += ax_counter_read(&c->interrupts);
	stats->interrupts_suppressed += ax_counter_read(&c->interrupts_suppressed);
	stats->batches += ax_counter_read(&c->batches);
	for (size_t i = 0; i < AXVIRTIO_BATCH_BUCKETS; i++)
		stats->batch_size[i] += ax_counter_read(&c->batch_size[i]);
	if (depth_max > stats->depth_max)
		stats->depth_max = depth_max;
}

void axvirtio_core_get_stats(const struct axvirtio_core *core, struct axvirtio_stats *ret_stats)
{
	const struct core_counters *c = &core->counters;
	struct axvirtio_stats stats = {
		.config_interrupts = ax_counter_read(&c->config_interrupts),
		.resets = ax_counter_read(&c->resets),
		.bad_register_writes = ax_counter_read(&c->bad_register_writes),
		.last_error =
			(enum axvq_error)atomic_load_explicit(&c->last_error, memory_order_relaxed),
	};

	for (unsigned i = 0; i < core->queue_count; i++)
		add_queue(&stats, &core->queue[i].counters);
	for (size_t i = 0; i < AXVQ_ERROR_COUNT; i++) {
		stats.malformed_by[i] = ax_counter_read(&c->malformed_by[i]);
		stats.malformed += stats.malformed_by[i];
	}
	*ret_stats = stats;
}
