/*
 * The host memory behind a region: its creation and its end.
 *
 * Files are opened in backing_file.c, nodes chosen in node.c, pages brought in populate.c; locking
 * and the explanation of an empty huge-page pool are in limits.c, and what becomes of unmapped
 * memory is told in parking.c.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define LAYER "axaddrspace"

static int memory_error(const struct axas_region_config *config, int errnum, const char *what,
			struct ax_error *err)
{
	char size[32];

	return ax_error_set(err, AX_ERROR_MEMORY_ALLOCATION, errnum,
			    "region \"%s\" (%s at gpa 0x%llx): %s: %s", config->name,
			    ax_format_size(config->size_bytes, size, sizeof(size)),
			    (unsigned long long)config->gpa, what, strerror(errnum));
}

/*
 * Address space for the region, aligned like its gpa: KVM uses large pages in the second-stage
 * tables only where gpa and host address are congruent modulo the page size.
 */
static char *reserve(uint64_t gpa, uint64_t size_bytes, uint64_t align)
{
	uint64_t total, head;
	char *raw;

	/* No more slack than is needed: ranges that come and go then lie side by side, and the
	 * list of parked ones stays short. */
	if (ax_add_overflows(size_bytes, align - AXAS_PAGE_SIZE, &total)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	raw = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return raw;
	head = (gpa - (uintptr_t)raw) & (align - 1);
	if (head)
		munmap(raw, head);
	if (total > head + size_bytes)
		munmap(raw + head + size_bytes, total - head - size_bytes);
	return raw + head;
}

static int open_memfd(const struct axas_region_config *config, struct axas_host_memory *backing,
		      struct ax_error *err)
{
	unsigned int flags = MFD_CLOEXEC;

	if (config->backing == AXAS_BACKING_HUGETLB_2M)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	else if (config->backing == AXAS_BACKING_HUGETLB_1G)
		flags |= MFD_HUGETLB | MFD_HUGE_1GB;
	/* Kernels before 6.3 do not know the flag, later ones complain when it is missing. */
	backing->fd = memfd_create("axvm-guest-memory", flags | MFD_NOEXEC_SEAL);
	if (backing->fd < 0 && errno == EINVAL)
		backing->fd = memfd_create("axvm-guest-memory", flags);
	if (backing->fd < 0 && backing->is_hugetlb)
		return axas_pool_error(config, backing->page_size_bytes, err);
	if (backing->fd < 0)
		return memory_error(config, errno, "memfd_create", err);
	if (ftruncate(backing->fd, (off_t)config->size_bytes) < 0)
		return memory_error(config, errno, "ftruncate of its memfd", err);
	return 0;
}

static int map_pages(const struct axas_region_config *config, struct axas_host_memory *backing,
		     uint64_t align, struct ax_error *err)
{
	int prot = PROT_READ | PROT_WRITE;
	int flags = MAP_FIXED;
	char *base = reserve(config->gpa, config->size_bytes, align);

	if (base == MAP_FAILED)
		return memory_error(config, errno, "reserving host addresses", err);
	backing->base = base;
	backing->size_bytes = config->size_bytes;
	if (backing->fd < 0)
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	else if (backing->is_private)
		flags |= MAP_PRIVATE | MAP_NORESERVE;
	else
		flags |= MAP_SHARED; /* hugetlb: pages are reserved from the pool right here */
	if (!backing->host_writable)
		prot = PROT_READ;
	if (mmap(base, config->size_bytes, prot, flags, backing->fd, (off_t)backing->file_offset) !=
	    MAP_FAILED)
		return 0;
	if (backing->is_private && errno == EINVAL) {
		/* DAX devices know no private mappings; then not even the monitor may write. */
		backing->is_private = false;
		backing->host_writable = false;
		if (mmap(base, config->size_bytes, PROT_READ, MAP_FIXED | MAP_SHARED, backing->fd,
			 (off_t)backing->file_offset) != MAP_FAILED)
			return 0;
	}
	if (backing->is_hugetlb && errno == ENOMEM)
		return axas_pool_error(config, backing->page_size_bytes, err);
	return memory_error(config, errno, "mmap", err);
}

static int create_in(const struct axas_region_config *config, struct axas_host_memory *backing,
		     struct ax_error *err)
{
	uint64_t align;
	int rc = 0;

	backing->fd = -1;
	backing->page_size_bytes = AXAS_PAGE_SIZE;
	backing->guest_writable = true;
	backing->host_writable = true;
	backing->owns_pages = true;
	if (config->bind)
		rc = axas_node_check(config, axas_page_size(config->backing), err);
	if (rc < 0)
		return rc;
	switch (config->backing) {
	case AXAS_BACKING_FILE:
		backing->owns_pages = false;
		rc = axas_backing_open_file(config, backing, err);
		break;
	case AXAS_BACKING_HUGETLB_2M:
	case AXAS_BACKING_HUGETLB_1G:
		backing->is_hugetlb = true;
		backing->page_size_bytes = axas_page_size(config->backing);
		rc = open_memfd(config, backing, err);
		break;
	case AXAS_BACKING_THP:
		/* Anonymous, not memfd: most hosts give huge pages to anonymous memory on
		 * request but have them switched off for shared memory. */
		break;
	case AXAS_BACKING_ANON:
		rc = open_memfd(config, backing, err);
		break;
	}
	if (rc < 0)
		return rc;
	align = backing->page_size_bytes;
	if (align < AXAS_HUGE_2M && config->size_bytes >= AXAS_HUGE_2M)
		align = AXAS_HUGE_2M;
	rc = map_pages(config, backing, align, err);
	if (rc < 0)
		return rc;
	if (config->backing == AXAS_BACKING_THP &&
	    madvise(backing->base, config->size_bytes, MADV_HUGEPAGE) < 0)
		ax_log(AX_LOG_INFO, LAYER, "region \"%s\": no transparent huge pages here: %s",
		       config->name, strerror(errno));
	/* Both before the first touch, which decides where a page lies and how large it is. */
	if (config->bind)
		rc = axas_node_bind(config, backing, err);
	if (!rc && config->lock)
		rc = axas_backing_lock(backing, backing->base, config->size_bytes, false,
				       AX_ERROR_MEMORY_SETUP, err);
	/* Pages of a node cannot be promised, only taken. */
	if (!rc && (config->populate || (config->bind && backing->is_hugetlb)))
		rc = axas_backing_populate_new(config, backing, err);
	return rc;
}

int axas_backing_create(const struct axas_region_config *config,
			struct axas_host_memory **ret_backing, struct ax_error *err)
{
	struct axas_host_memory *backing = calloc(1, sizeof(*backing));
	int rc;

	if (!backing)
		return memory_error(config, ENOMEM, "no heap", err);
	rc = create_in(config, backing, err);
	if (rc < 0) {
		axas_backing_destroy(backing);
		return rc;
	}
	*ret_backing = backing;
	return 0;
}

void axas_backing_destroy(struct axas_host_memory *backing)
{
	if (!backing)
		return;
	if (backing->base)
		munmap(backing->base, backing->size_bytes);
	if (backing->fd >= 0)
		close(backing->fd);
	free(backing);
}
