/*
 * Limits of the host that a region can run into - the huge-page pool and RLIMIT_MEMLOCK - told
 * with their numbers and the way out. Locking itself lives here too, for its errors are the point.
 *
 * The files under /sys are read only to explain a failure, never to decide anything.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

size_t axas_read_text(const char *path, char *buf, size_t buf_size)
{
	AX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	while (fd >= 0 && used < buf_size - 1) {
		ssize_t n = read(fd, buf + used, buf_size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
	return used;
}

long long axas_pool_number(uint32_t node, uint64_t page_kib, const char *file)
{
	char path[128], text[32], of_node[40] = "/sys/kernel/mm";

	if (node != AXAS_ALL_NODES)
		snprintf(of_node, sizeof(of_node), "/sys/devices/system/node/node%u", node);
	snprintf(path, sizeof(path), "%s/hugepages/hugepages-%llukB/%s", of_node,
		 (unsigned long long)page_kib, file);
	return axas_read_text(path, text, sizeof(text)) ? strtoll(text, NULL, 10) : -1;
}

int axas_pool_error(const struct axas_region_config *config, uint64_t page_size_bytes,
		    struct ax_error *err)
{
	uint64_t page_kib = page_size_bytes / AX_KIB;
	long long needed = (long long)(config->size_bytes / page_size_bytes);
	long long total = axas_pool_number(AXAS_ALL_NODES, page_kib, "nr_hugepages");
	long long free_pages = axas_pool_number(AXAS_ALL_NODES, page_kib, "free_hugepages");
	long long reserved = axas_pool_number(AXAS_ALL_NODES, page_kib, "resv_hugepages");
	char page[32];

	ax_format_size(page_size_bytes, page, sizeof(page));
	if (total < 0) {
		ax_error_set(err, AX_ERROR_MEMORY_ALLOCATION, ENOMEM,
			     "region \"%s\" needs %lld huge pages of %s, but this host has none of "
			     "that size",
			     config->name, needed, page);
		ax_error_hint(err, "Use another page size; /sys/kernel/mm/hugepages lists those "
				   "the kernel knows.");
		return -ENOMEM;
	}
	if (free_pages < 0)
		free_pages = 0;
	if (reserved < 0)
		reserved = 0;
	ax_error_set(
		err, AX_ERROR_MEMORY_ALLOCATION, ENOMEM,
		"region \"%s\" needs %lld huge pages of %s, the pool has %lld: %lld free, %lld "
		"of them promised to others",
		config->name, needed, page, total, free_pages, reserved);
	total += needed - (free_pages > reserved ? free_pages - reserved : 0);
	if (page_size_bytes == AXAS_HUGE_2M)
		ax_error_hint(err,
			      "As root: echo %lld > /proc/sys/vm/nr_hugepages (read it back: "
			      "fragmented memory yields fewer), or use smaller pages.",
			      total);
	else
		ax_error_hint(err,
			      "As root: echo %lld > /sys/kernel/mm/hugepages/hugepages-%llukB/"
			      "nr_hugepages, or boot the host with hugepagesz=%s hugepages=%lld.",
			      total, (unsigned long long)page_kib, page, total);
	return -ENOMEM;
}

static int lock_error(uint64_t size_bytes, int errnum, enum ax_error_kind kind,
		      struct ax_error *err)
{
	struct rlimit limit = {0};
	char size[32], allowed[32];

	ax_format_size(size_bytes, size, sizeof(size));
	if ((errnum != ENOMEM && errnum != EPERM && errnum != EAGAIN) ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return ax_error_set(err, kind, errnum, "cannot lock %s of guest memory: %s", size,
				    strerror(errnum));
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(allowed, sizeof(allowed), "unlimited");
	else
		ax_format_size(limit.rlim_cur, allowed, sizeof(allowed));
	ax_error_set(err, kind, errnum,
		     "cannot lock %s of guest memory: %s (RLIMIT_MEMLOCK is %s for the process)",
		     size, strerror(errnum), allowed);
	ax_error_hint(err, "Raise the limit (ulimit -l, LimitMEMLOCK= in a systemd unit), give the "
			   "program CAP_IPC_LOCK, or run without locking.");
	return -errnum;
}

/* Locked pages stay once they are there; `populate` says whether they all come now. */
int axas_backing_lock(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes,
		      bool populate, enum ax_error_kind kind, struct ax_error *err)
{
	int rc = 0;

	/* The pool's pages are never swapped, and the kernel does not count them as locked. */
	if (!backing->is_hugetlb && mlock2(hva, size_bytes, MLOCK_ONFAULT) < 0)
		return lock_error(size_bytes, errno, kind, err);
	/* Populated by our own call: a plain mlock would copy every page of a private file. */
	if (populate)
		rc = axas_backing_populate(backing, hva, size_bytes, kind, err);
	if (rc < 0)
		axas_backing_unlock(backing, hva, size_bytes);
	return rc;
}

void axas_backing_unlock(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes)
{
	if (!backing->is_hugetlb)
		munlock(hva, size_bytes);
}
