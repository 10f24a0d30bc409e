/*
 * Bringing pages: of a range by the caller, of a new backing by threads on the CPUs of its node.
 *
 * Bringing a page is mostly zeroing it, so a CPU beside the memory does it fastest, and several do
 * it faster than one up to the node's bandwidth. Where the pages come from was decided before
 * (node.c).
 */
#include "internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* What a thread brings at a time: small enough that all end together and an error stops them soon,
 * large enough that a slice costs much more than taking it. Whole huge pages, of whichever size. */
#define SLICE_BYTES (16 * AX_MIB)

/* For kernels before 5.14. Nobody else can see the memory yet or the pages keep their value. */
static int touch_pages(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes)
{
	/* Allocating through the file fails cleanly where a touch would raise SIGBUS. */
	if (backing->owns_pages && backing->fd >= 0) {
		int rc = axas_node_fallocate(backing, (uint64_t)(hva - backing->base), size_bytes);
		if (rc < 0)
			return rc;
	}
	for (uint64_t i = 0; i < size_bytes; i += backing->page_size_bytes) {
		uint8_t *byte = (uint8_t *)hva + i;
		if (backing->host_writable && !backing->is_private)
			__atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);
		else
			(void)__atomic_load_n(byte, __ATOMIC_RELAXED);
	}
	return 0;
}

static int bring(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes)
{
	bool by_write = backing->host_writable && !backing->is_private;
	int rc;

	do {
		rc = madvise(hva, size_bytes, by_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	} while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc == 0)
		return 0;
	rc = -errno;
	if (rc == -EINVAL && backing->is_special)
		return 0; /* the driver has mapped it whole, and touching it may have effects */
	if (rc == -EINVAL)
		rc = touch_pages(backing, hva, size_bytes);
	return rc == -EFAULT ? -ENOMEM : rc;
}

static int bring_error(uint64_t size_bytes, int rc, enum ax_error_kind kind, struct ax_error *err)
{
	char size[32];

	return ax_error_set(err, kind, -rc, "cannot populate %s of guest memory: %s",
			    ax_format_size(size_bytes, size, sizeof(size)), strerror(-rc));
}

int axas_backing_populate(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes,
			  enum ax_error_kind kind, struct ax_error *err)
{
	int rc = bring(backing, hva, size_bytes);

	return rc < 0 ? bring_error(size_bytes, rc, kind, err) : 0;
}

/* ---- many threads ---------------------------------------------------------------------------- */

struct work {
	const struct axas_host_memory *backing;
	int (*on_populated)(void *ctx, uint64_t bytes);
	void *ctx;
	uint64_t first_bytes; /* of slice 0, which ends on a multiple of slice_bytes of addresses */
	uint64_t slice_bytes;
	uint64_t slices;
	_Atomic uint64_t next;
	_Atomic int error; /* the first one; the others stop */
};

/* Slices end where huge pages do, also in memory that begins off their grid: two threads in one
 * transparent huge page would both zero it, for nothing. */
static struct work divide(const struct axas_host_memory *backing)
{
	struct work work = {.backing = backing, .slice_bytes = SLICE_BYTES};
	uint64_t head;

	if (work.slice_bytes < backing->page_size_bytes)
		work.slice_bytes = backing->page_size_bytes;
	head = (uintptr_t)backing->base & (work.slice_bytes - 1);
	work.first_bytes = work.slice_bytes - head;
	work.slices = 1;
	if (work.first_bytes < backing->size_bytes)
		work.slices += (backing->size_bytes - work.first_bytes + work.slice_bytes - 1) /
			       work.slice_bytes;
	return work;
}

static void bring_slices(void *arg)
{
	struct work *work = arg;
	const struct axas_host_memory *backing = work->backing;

	while (!work->error) {
		const uint64_t slice = work->next++;
		uint64_t low, high;
		int rc, none = 0;

		if (slice >= work->slices)
			return;
		low = slice ? work->first_bytes + (slice - 1) * work->slice_bytes : 0;
		high = work->first_bytes + slice * work->slice_bytes;
		if (high > backing->size_bytes)
			high = backing->size_bytes;
		rc = bring(backing, backing->base + low, high - low);
		if (!rc && work->on_populated && work->on_populated(work->ctx, high - low))
			rc = -ECANCELED;
		if (rc < 0)
			atomic_compare_exchange_strong(&work->error, &none, rc);
	}
}

static int populate_parallel(const struct axas_region_config *config, struct work *work,
			     struct ax_error *err)
{
	size_t count = config->populate_cpu_count, started = 0;
	struct ax_thread **threads;
	int rc = 0;

	if (count > work->slices)
		count = (size_t)work->slices;
	threads = calloc(count, sizeof(struct ax_thread *));
	if (!threads)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for threads");
	while (!rc && started < count) {
		const uint32_t id = config->populate_cpus[started];
		const int cpu = id > INT32_MAX ? INT32_MAX : (int)id;
		char name[16];
		const struct ax_thread_config thread = {.name = name, .cpus = &cpu, .cpu_count = 1};

		snprintf(name, sizeof(name), "populate %u", (unsigned int)started % 1000U);
		rc = ax_thread_start(&thread, bring_slices, work, &threads[started], err);
		if (!rc)
			started++;
		else
			work->error = rc; /* what has begun is for nothing */
	}
	while (started)
		ax_thread_join(threads[--started]);
	free(threads);
	return rc;
}

int axas_backing_populate_new(const struct axas_region_config *config,
			      const struct axas_host_memory *backing, struct ax_error *err)
{
	struct work work = divide(backing);
	int rc;

	work.on_populated = config->on_populated;
	work.ctx = config->ctx;
	/* A device's pages are its driver's, who may count on one caller. */
	if (config->populate_cpu_count && !backing->is_special) {
		rc = populate_parallel(config, &work, err);
		if (rc < 0)
			return ax_error_context(err, "populating region \"%s\"", config->name);
	} else {
		bring_slices(&work);
	}
	rc = work.error;
	if ((rc == -ENOMEM || rc == -ENOSPC) && backing->bound && backing->is_hugetlb)
		return axas_node_pool_error(config, backing->page_size_bytes, err);
	return rc < 0 ? bring_error(config->size_bytes, rc, AX_ERROR_MEMORY_ALLOCATION, err) : 0;
}
