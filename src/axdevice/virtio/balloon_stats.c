/*
 * The balloon's statistics queue (Spec 5.5.6.3). The driver offers one buffer full of figures, and
 * the device gives it back when it wants new ones. What the driver put into it is taken as far as
 * it makes sense; whatever its length, the buffer goes back when the time has come.
 */
#include "balloon.h"
#include <endian.h>
#include "iov.h"

/* More tags than were ever defined; what stands behind them is not looked at. */
#define MAX_ENTRIES 64U

void axvirtio_balloon_stats_init(struct balloon_stats *stats, uint64_t interval_ns)
{
	stats->interval_ns = interval_ns;
	pthread_mutex_init(&stats->lock, NULL);
	axvirtio_balloon_stats_forget(stats);
}

void axvirtio_balloon_stats_finish(struct balloon_stats *stats)
{
	pthread_mutex_destroy(&stats->lock);
}

void axvirtio_balloon_stats_forget(struct balloon_stats *stats)
{
	stats->holds = false;
	pthread_mutex_lock(&stats->lock);
	memset(stats->value, 0xff, sizeof(stats->value));
	stats->updated_ns = 0;
	pthread_mutex_unlock(&stats->lock);
}

static void take_figures(struct balloon_stats *stats, struct iov_cursor *in)
{
	uint64_t value[VIRTIO_BALLOON_S_NR];
	struct virtio_balloon_stat entry;
	bool any = false;

	memset(value, 0xff, sizeof(value));
	for (unsigned i = 0; i < MAX_ENTRIES; i++) {
		uint16_t tag;

		if (iov_advance(in, IOV_GATHER, &entry, sizeof(entry)) < sizeof(entry))
			break;
		tag = le16toh(entry.tag);
		if (tag >= VIRTIO_BALLOON_S_NR)
			continue; /* a newer driver's */
		value[tag] = le64toh(entry.val);
		any = true;
	}
	if (!any)
		return;
	pthread_mutex_lock(&stats->lock);
	memcpy(stats->value, value, sizeof(value));
	stats->updated_ns = ax_clock_ns();
	pthread_mutex_unlock(&stats->lock);
}

int axvirtio_balloon_stats_one(struct axvirtio *device, unsigned index)
{
	struct balloon *balloon = balloon_of(device);
	struct balloon_stats *stats = &balloon->stats;
	struct axvq_chain chain;
	int r;

	/* A driver has one buffer here. Further ones wait for the timer, however often it kicks. */
	if (stats->holds)
		return -EAGAIN;
	r = axvirtio_pop(device, index, balloon->iov, BALLOON_IOV, &chain);
	if (r <= 0)
		return r;
	take_figures(stats, &(struct iov_cursor){chain.iov, chain.readable});
	stats->holds = true;
	stats->head = chain.head;
	return 1;
}

static void on_timer(void *ctx, int fd, uint32_t events)
{
	struct balloon *balloon = ctx;
	struct axvirtio *device = &balloon->device;

	(void)fd;
	(void)events;
	if (!axvirtio_enter(device, BALLOON_STATS))
		return;
	if (balloon->stats.holds) {
		balloon->stats.holds = false;
		axvirtio_push(device, BALLOON_STATS, balloon->stats.head, 0, 0);
		axvirtio_serve(device, BALLOON_STATS, axvirtio_balloon_stats_one);
	}
	axvirtio_leave(device, BALLOON_STATS);
}

int axvirtio_balloon_stats_bound(struct balloon *balloon, struct ax_error *err)
{
	const uint64_t interval_ns = balloon->stats.interval_ns;

	if (!interval_ns)
		return 0;
	return ax_loop_add_timer(axvirtio_loop(&balloon->device, BALLOON_STATS), interval_ns,
				 interval_ns, on_timer, balloon, &balloon->stats.timer, err);
}

void axvirtio_balloon_stats_unbound(struct balloon *balloon)
{
	ax_loop_remove(balloon->stats.timer);
	balloon->stats.timer = NULL;
}

void axvirtio_balloon_stats_read(struct balloon_stats *stats,
				 struct axvirtio_balloon_stats *ret_stats)
{
	pthread_mutex_lock(&stats->lock);
	ret_stats->updated_ns = stats->updated_ns;
	ret_stats->swap_in = stats->value[VIRTIO_BALLOON_S_SWAP_IN];
	ret_stats->swap_out = stats->value[VIRTIO_BALLOON_S_SWAP_OUT];
	ret_stats->major_faults = stats->value[VIRTIO_BALLOON_S_MAJFLT];
	ret_stats->minor_faults = stats->value[VIRTIO_BALLOON_S_MINFLT];
	ret_stats->free_memory = stats->value[VIRTIO_BALLOON_S_MEMFREE];
	ret_stats->total_memory = stats->value[VIRTIO_BALLOON_S_MEMTOT];
	ret_stats->available_memory = stats->value[VIRTIO_BALLOON_S_AVAIL];
	ret_stats->disk_caches = stats->value[VIRTIO_BALLOON_S_CACHES];
	ret_stats->hugetlb_allocations = stats->value[VIRTIO_BALLOON_S_HTLB_PGALLOC];
	ret_stats->hugetlb_failures = stats->value[VIRTIO_BALLOON_S_HTLB_PGFAIL];
	pthread_mutex_unlock(&stats->lock);
}
