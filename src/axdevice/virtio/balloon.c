/*
 * virtio-balloon (Spec 5.5): pages that the guest gives up, or reports as unused, go back to the
 * host. Page numbers are the guest's word for anything: what may be freed is axas_discard's
 * judgement, and what it refuses is counted and otherwise forgotten, for the guest has lost
 * nothing. Pages taken back need nothing done: they are memory again when touched.
 */
#include "balloon.h"
#include <endian.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include "iov.h"

#define PAGE_BYTES  (1ULL << VIRTIO_BALLOON_PFN_SHIFT)
#define CHUNK_PFNS  256U
#define MAX_PFNS    65536U /* of a chain; drivers send a page full at most */
#define SLICE_BYTES (64 * AX_MIB)
#define REPORT_NS   20000000ULL /* how long a report may keep the loop */

#define CONFIG_ACTUAL offsetof(struct virtio_balloon_config, actual)

#define F_STATS     (1ULL << VIRTIO_BALLOON_F_STATS_VQ)
#define F_REPORTING (1ULL << VIRTIO_BALLOON_F_REPORTING)

static const uint16_t queue_max[BALLOON_QUEUES] = {BALLOON_QUEUE_SIZE, BALLOON_QUEUE_SIZE,
						   BALLOON_QUEUE_SIZE, BALLOON_QUEUE_SIZE,
						   BALLOON_QUEUE_SIZE};

/* ---- inflate --------------------------------------------------------------------------------- */

/* Page numbers that adjoin, in either direction; 0 pages: none yet. */
struct run {
	uint64_t first, count;
};

static void give_back(struct balloon *balloon, const struct run *run)
{
	const uint64_t bytes = axas_discard(balloon->device.core->memory, run->first * PAGE_BYTES,
					    run->count * PAGE_BYTES);

	ax_counter_add(&balloon->refused, run->count - bytes / PAGE_BYTES);
}

static void add_page(struct balloon *balloon, struct run *run, uint64_t pfn)
{
	if (run->count && pfn == run->first + run->count) {
		run->count++;
		return;
	}
	if (run->count && pfn + 1 == run->first) {
		run->first--;
		run->count++;
		return;
	}
	if (run->count)
		give_back(balloon, run);
	*run = (struct run){pfn, 1};
}

static int inflate_one(struct axvirtio *device, unsigned index)
{
	struct balloon *balloon = balloon_of(device);
	struct axvq_chain chain;
	struct iov_cursor in;
	struct run run = {0};
	uint32_t pfn[CHUNK_PFNS] = {0};
	uint64_t left;
	int r = axvirtio_pop(device, index, balloon->iov, BALLOON_IOV, &chain);

	if (r <= 0)
		return r;
	in = (struct iov_cursor){chain.iov, chain.readable};
	left = chain.readable_bytes / sizeof(pfn[0]);
	if (left > MAX_PFNS) {
		ax_counter_add(&balloon->refused, left - MAX_PFNS);
		left = MAX_PFNS;
	}
	while (left) {
		const size_t count = left < CHUNK_PFNS ? left : CHUNK_PFNS;

		iov_advance(&in, IOV_GATHER, pfn, count * sizeof(pfn[0]));
		for (size_t i = 0; i < count; i++)
			add_page(balloon, &run, le32toh(pfn[i]));
		left -= count;
	}
	if (run.count)
		give_back(balloon, &run);
	axvirtio_push(device, index, chain.head, 0, chain.readable_bytes);
	return 1;
}

static int deflate_one(struct axvirtio *device, unsigned index)
{
	struct axvq_chain chain;
	int r = axvirtio_pop(device, index, balloon_of(device)->iov, BALLOON_IOV, &chain);

	if (r <= 0)
		return r;
	axvirtio_push(device, index, chain.head, 0, chain.readable_bytes);
	return 1;
}

/* ---- free page reports (5.5.6.7) ------------------------------------------------------------- */

/* A report is a hint, so what takes too long is left where it is. */
static uint64_t free_reported(struct balloon *balloon, const struct iovec *iov, uint64_t end_ns)
{
	uint64_t freed = 0;

	for (size_t at = 0; at < iov->iov_len && ax_clock_ns() < end_ns; at += SLICE_BYTES) {
		const size_t rest = iov->iov_len - at;

		freed += axas_discard_host(balloon->device.core->memory,
					   (const uint8_t *)iov->iov_base + at,
					   rest < SLICE_BYTES ? rest : SLICE_BYTES);
	}
	return freed;
}

static int report_one(struct axvirtio *device, unsigned index)
{
	struct balloon *balloon = balloon_of(device);
	const uint64_t end_ns = ax_clock_ns() + REPORT_NS;
	struct axvq_chain chain;
	uint64_t freed = 0;
	int r = axvirtio_pop(device, index, balloon->iov, BALLOON_IOV, &chain);

	if (r <= 0)
		return r;
	for (uint32_t i = 0; i < chain.writable; i++)
		freed += free_reported(balloon, &chain.iov[chain.readable + i], end_ns);
	ax_counter_add(&balloon->reported_bytes, freed);
	ax_counter_add(&balloon->refused, (chain.writable_bytes - freed) / PAGE_BYTES);
	axvirtio_push(device, index, chain.head, 0, freed);
	return 1;
}

/* ---- the device ------------------------------------------------------------------------------ */

/*
 * 5.5.2 numbers the queues 0 to 4 whether or not those before exist, while drivers (Linux among
 * them) number those that were negotiated. The two never mean different things by a number here,
 * because FREE_PAGE_HINT's queue, 3, is not offered: both are served.
 */
static void handle_queue(struct axvirtio *device, unsigned index)
{
	const uint64_t features = balloon_of(device)->features;

	if (index == 0)
		axvirtio_serve(device, index, inflate_one);
	else if (index == 1)
		axvirtio_serve(device, index, deflate_one);
	else if (index == BALLOON_STATS && features & F_STATS)
		axvirtio_serve(device, index, axvirtio_balloon_stats_one);
	else if (features & F_REPORTING)
		axvirtio_serve(device, index, report_one);
}

static unsigned queue_group(const struct axvirtio *device, unsigned index)
{
	(void)device;
	(void)index;
	return 0;
}

static int activate(struct axvirtio *device, uint64_t features)
{
	balloon_of(device)->features = features;
	return 0;
}

/* The pages of a balloon whose driver is gone are the guest's again. */
static void reset(struct axvirtio *device)
{
	struct balloon *balloon = balloon_of(device);

	balloon->features = 0;
	axvirtio_balloon_stats_forget(&balloon->stats);
	atomic_store(&balloon->actual_pages, 0);
	pthread_mutex_lock(&device->core->config_lock);
	memset(balloon->config + CONFIG_ACTUAL, 0, sizeof(uint32_t));
	pthread_mutex_unlock(&device->core->config_lock);
}

/* The driver tells how many pages it has given: `actual`, in whatever pieces it writes it. */
static void write_config(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
			 unsigned width)
{
	struct balloon *balloon = balloon_of(device);
	uint32_t actual;

	for (unsigned i = 0; i < width; i++) {
		if (offset + i >= CONFIG_ACTUAL)
			balloon->config[offset + i] = bytes[i];
	}
	memcpy(&actual, balloon->config + CONFIG_ACTUAL, sizeof(actual));
	atomic_store(&balloon->actual_pages, le32toh(actual));
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	return axvirtio_balloon_stats_bound(balloon_of(device), err);
}

static void unbound(struct axvirtio *device)
{
	axvirtio_balloon_stats_unbound(balloon_of(device));
}

static void destroy(struct axvirtio *device)
{
	struct balloon *balloon = balloon_of(device);

	axvirtio_balloon_stats_finish(&balloon->stats);
	free(balloon);
}

static const struct axvirtio_ops balloon_ops = {
	.bound = bound,
	.unbound = unbound,
	.activate = activate,
	.reset = reset,
	.handle_queue = handle_queue,
	.queue_group = queue_group,
	.write_config = write_config,
	.destroy = destroy,
};

void axvirtio_balloon_set(struct axvirtio *device, uint64_t size_bytes)
{
	struct balloon *balloon = balloon_of(device);
	const uint64_t pages = size_bytes / PAGE_BYTES;
	const uint32_t wanted = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
	const uint32_t le = htole32(wanted);

	atomic_store(&balloon->wanted_pages, wanted);
	if (device->core)
		axvirtio_update_config(device, 0, &le, sizeof(le));
	else
		memcpy(balloon->config, &le, sizeof(le));
}

void axvirtio_balloon_get_stats(const struct axvirtio *device,
				struct axvirtio_balloon_stats *ret_stats)
{
	struct balloon *balloon =
		(struct balloon *)(uintptr_t)device; /* its first member; a lock */

	*ret_stats = (struct axvirtio_balloon_stats){
		.wanted_bytes = atomic_load(&balloon->wanted_pages) * PAGE_BYTES,
		.actual_bytes = atomic_load(&balloon->actual_pages) * PAGE_BYTES,
		.reported_bytes = ax_counter_read(&balloon->reported_bytes),
		.refused = ax_counter_read(&balloon->refused),
	};
	axvirtio_balloon_stats_read(&balloon->stats, ret_stats);
}

int axvirtio_balloon_create(const char *name, const struct axvirtio_balloon_config *config,
			    struct axvirtio **ret_device, struct ax_error *err)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	axvirtio_balloon_stats_init(&balloon->stats, config->stats_interval_ns);
	balloon->device = (struct axvirtio){
		.ops = &balloon_ops,
		.class_name = "virtio-balloon",
		.device_id = VIRTIO_ID_BALLOON,
		.queue_count = config->report_free_pages   ? BALLOON_QUEUES
			       : config->stats_interval_ns ? BALLOON_STATS + 1
							   : BALLOON_STATS,
		.queue_max = queue_max,
		.config = balloon->config,
		.config_size = sizeof(balloon->config),
	};
	if (config->stats_interval_ns)
		balloon->device.features |= F_STATS;
	if (config->deflate_on_oom)
		balloon->device.features |= 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (config->report_free_pages)
		balloon->device.features |= F_REPORTING;
	axvirtio_balloon_set(&balloon->device, config->size_bytes);
	*ret_device = &balloon->device;
	return 0;
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_balloon_config *balloon = config;
	struct axvirtio *device = NULL;
	int r = axvirtio_balloon_create(name, balloon, &device, err);

	return r < 0 ? r : axvirtio_attach(name, &balloon->place, device, services, ret_dev, err);
}

const struct axdev_class axvirtio_balloon_class = {
	.name = "virtio-balloon",
	.type = AXVIRTIO_BALLOON_TYPE,
	.summary = "memory the guest gives back to the host",
	.config_size = sizeof(struct axvirtio_balloon_config),
	.create = create_class,
};
