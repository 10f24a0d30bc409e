/*
 * Which node of the host a region's pages lie on: the policy, and whether the node can do it.
 *
 * The system calls are made bare. libnuma would be one library more to load at every start, for
 * wrappers of three calls; what else it knows (topology, distances) is told by the host layer.
 *
 * Files under /sys decide one thing here: a node that cannot hold the region is refused before the
 * kernel is made to try, since for ordinary pages its way of saying no is the OOM killer. What
 * cannot be read refuses nothing.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_NODES   1024 /* MAX_NUMNODES is 1 << NODES_SHIFT, and that 10 at most */
#define LONG_BITS   (8 * sizeof(unsigned long))
#define NODES_SYSFS "/sys/devices/system/node"

/* The kernel takes one bit less than it is told. */
#define MASK_BITS (MAX_NODES + 1UL)
struct node_mask {
	unsigned long words[MAX_NODES / LONG_BITS + 1];
};

static struct node_mask mask_of(uint32_t node)
{
	struct node_mask mask = {0};

	mask.words[node / LONG_BITS] = 1UL << (node % LONG_BITS);
	return mask;
}

/* "0-1" of a file, without its newline. */
static const char *node_list(const char *path, char *buf, size_t buf_size)
{
	axas_read_text(path, buf, buf_size);
	buf[strcspn(buf, "\n")] = '\0';
	return *buf ? buf : "unknown";
}

/* A number in kB of the node's meminfo ("Node 0 MemTotal:  123 kB"), in bytes. */
static uint64_t meminfo_bytes(const char *meminfo, const char *field)
{
	const char *at = strstr(meminfo, field);

	return at ? strtoull(at + strlen(field), NULL, 10) * AX_KIB : 0;
}

static int no_node(const struct axas_region_config *config, const char *why, int errnum,
		   struct ax_error *err)
{
	char list[128];

	ax_error_set(err, AX_ERROR_MEMORY_ALLOCATION, errnum,
		     "region \"%s\" cannot lie on host node %u: %s", config->name, config->node,
		     why);
	ax_error_hint(err, "Nodes with memory: %s.",
		      node_list(NODES_SYSFS "/has_memory", list, sizeof(list)));
	return -errnum;
}

/* Free pages of the node's part of the pool and those it may make on demand; -1: not told. */
static long long pool_left(uint32_t node, uint64_t page_kib)
{
	long long left = axas_pool_number(node, page_kib, "free_hugepages");
	long long more = axas_pool_number(AXAS_ALL_NODES, page_kib, "nr_overcommit_hugepages");
	long long made = axas_pool_number(AXAS_ALL_NODES, page_kib, "surplus_hugepages");

	return left < 0 || more <= made ? left : left + more - made;
}

int axas_node_pool_error(const struct axas_region_config *config, uint64_t page_size_bytes,
			 struct ax_error *err)
{
	const uint64_t page_kib = page_size_bytes / AX_KIB;
	const long long needed = (long long)(config->size_bytes / page_size_bytes);
	const long long total = axas_pool_number(config->node, page_kib, "nr_hugepages");
	const long long left = axas_pool_number(config->node, page_kib, "free_hugepages");
	char page[32], other[64] = "";

	ax_format_size(page_size_bytes, page, sizeof(page));
	ax_error_set(
		err, AX_ERROR_MEMORY_ALLOCATION, ENOMEM,
		"region \"%s\" needs %lld huge pages of %s on host node %u, which has %lld free "
		"of %lld",
		config->name, needed, page, config->node, left < 0 ? 0 : left,
		total < 0 ? 0 : total);
	for (uint32_t node = 0; !*other && node < MAX_NODES; node++) {
		/* Holes in the numbering are rare, and short. */
		if (node > config->node + 64)
			break;
		if (node != config->node && pool_left(node, page_kib) >= needed)
			snprintf(other, sizeof(other), ", use node %u, which has enough,", node);
	}
	ax_error_hint(
		err,
		"As root: echo %lld > " NODES_SYSFS "/node%u/hugepages/hugepages-%llukB/"
		"nr_hugepages (read it back: fragmented memory yields fewer)%s or use smaller "
		"pages.",
		(total < 0 ? 0 : total) + needed - (left < 0 ? 0 : left), config->node,
		(unsigned long long)page_kib, *other ? other : ",");
	return -ENOMEM;
}

/* Whether ordinary pages are enough: now if they are to come now, or ever. */
static int check_memory(const struct axas_region_config *config, const char *meminfo,
			struct ax_error *err)
{
	const uint64_t total = meminfo_bytes(meminfo, " MemTotal:");
	uint64_t most = total;
	char wanted[32], has[32];

	if (config->populate) {
		/* Page cache and caches of the kernel go when they must. */
		const uint64_t reserve = axas_node_reserve(total);

		most = meminfo_bytes(meminfo, " MemFree:") +
		       meminfo_bytes(meminfo, " Active(file):") +
		       meminfo_bytes(meminfo, " Inactive(file):") +
		       meminfo_bytes(meminfo, " SReclaimable:");
		most = most > reserve ? most - reserve : 0;
	}
	if (config->size_bytes <= most)
		return 0;
	ax_format_size(config->size_bytes, wanted, sizeof(wanted));
	ax_format_size(ax_align_down(most, AX_MIB), has, sizeof(has));
	ax_error_set(err, AX_ERROR_MEMORY_ALLOCATION, ENOMEM,
		     "region \"%s\" needs %s in pages of 4K on host node %u, which has %s%s",
		     config->name, wanted, config->node, has, most == total ? "" : " available");
	ax_error_hint(err, "Spread the memory over several nodes, choose a node with more, or give "
			   "the guest less.");
	return -ENOMEM;
}

int axas_node_check(const struct axas_region_config *config, uint64_t page_size_bytes,
		    struct ax_error *err)
{
	const uint64_t page_kib = page_size_bytes / AX_KIB;
	char path[64], meminfo[4096];
	long long left;

	snprintf(path, sizeof(path), NODES_SYSFS "/node%u/meminfo", config->node);
	if (!axas_read_text(path, meminfo, sizeof(meminfo))) {
		/* No such node, or no such file system, or a kernel whose memory is one node. */
		if (config->node && (config->node >= MAX_NODES || !access(NODES_SYSFS, F_OK)))
			return no_node(config, "there is no such node", EINVAL, err);
		return 0;
	}
	if (!meminfo_bytes(meminfo, " MemTotal:"))
		return no_node(config, "the node has no memory", ENOMEM, err);
	if (page_size_bytes == AXAS_PAGE_SIZE)
		return check_memory(config, meminfo, err);
	left = pool_left(config->node, page_kib);
	if (left >= 0 && (uint64_t)left < config->size_bytes / page_size_bytes)
		return axas_node_pool_error(config, page_size_bytes, err);
	return 0;
}

static int bind_error(const struct axas_region_config *config, int errnum, struct ax_error *err)
{
	char status[4096], why[160];
	const char *allowed;

	if (errnum == EPERM) {
		no_node(config, "mbind is forbidden", EPERM, err);
		ax_error_hint(err, "A system call filter does that: containers allow mbind with "
				   "CAP_SYS_NICE. Or leave memory to the kernel: --placement "
				   "shared.");
		return -EPERM;
	}
	if (errnum != EINVAL) {
		snprintf(why, sizeof(why), "mbind: %s", strerror(errnum));
		return no_node(config, why, errnum, err);
	}
	/* The node has memory, so it is one that we may not use. */
	axas_read_text("/proc/self/status", status, sizeof(status));
	allowed = strstr(status, "Mems_allowed_list:");
	allowed = allowed ? allowed + strlen("Mems_allowed_list:") : " unknown";
	allowed += strspn(allowed, " \t");
	snprintf(why, sizeof(why), "the cpuset allows the memory of nodes %.*s only",
		 (int)strcspn(allowed, "\n"), allowed);
	no_node(config, why, EPERM, err);
	ax_error_hint(err,
		      "Choose one of those nodes, or add node %u to cpuset.mems of the control "
		      "group.",
		      config->node);
	return -EPERM;
}

/*
 * MPOL_BIND: from this node or not at all. No MPOL_F_NUMA_BALANCING: automatic NUMA balancing
 * leaves areas with a policy of their own alone, unless that flag asks for it (since Linux 5.12;
 * the kernel's commit bda420b98505 says so, vma_policy_mof() in mm/mempolicy.c is where it looks,
 * and Documentation/admin-guide/mm/numa_memory_policy.rst has the modes). Were they not left alone,
 * each scan would also unmap the guest's pages, at the price of a second-stage fault each.
 * MPOL_F_STATIC_NODES: a change of the cpuset does not translate the number to another node.
 * MPOL_MF_STRICT: a page that is there already, and elsewhere, is an error; there should be none.
 *
 * Where the policy is kept: with the file for a memfd (so fallocate and other mappings obey it
 * too), with the mapping for anonymous memory and for the huge-page pool, whose files know none.
 * There it lasts as the mapping does, so pages that are given back and come again come from the
 * node again.
 */
int axas_node_bind(const struct axas_region_config *config, struct axas_host_memory *backing,
		   struct ax_error *err)
{
	const struct node_mask mask = mask_of(config->node);
	long rc = syscall(SYS_mbind, backing->base, backing->size_bytes,
			  MPOL_BIND | MPOL_F_STATIC_NODES, mask.words, MASK_BITS, MPOL_MF_STRICT);

	/* A kernel without NUMA has node 0, and everything lies there. */
	if (rc < 0 && (errno != ENOSYS || config->node))
		return bind_error(config, errno, err);
	backing->bound = true;
	backing->node = config->node;
	return 0;
}

bool axas_can_bind(void)
{
	/* Of no memory at all: only who forbids the call itself has something against it. */
	return syscall(SYS_mbind, NULL, 0UL, MPOL_DEFAULT, NULL, 0UL, 0U) == 0 || errno != EPERM;
}

int axas_node_fallocate(const struct axas_host_memory *backing, uint64_t offset,
			uint64_t size_bytes)
{
	struct node_mask mask, saved = {0};
	bool by_thread = backing->bound && backing->is_hugetlb;
	int mode = MPOL_DEFAULT, rc;

	/* Files of the pool have no policy; then the thread's counts. Not that of the mapping. */
	if (by_thread) {
		mask = mask_of(backing->node);
		if (syscall(SYS_get_mempolicy, &mode, saved.words, MASK_BITS, NULL, 0UL) < 0 ||
		    syscall(SYS_set_mempolicy, MPOL_BIND, mask.words, MASK_BITS) < 0)
			return -errno;
	}
	rc = fallocate(backing->fd, 0, (off_t)offset, (off_t)size_bytes) < 0 ? -errno : 0;
	if (by_thread)
		(void)syscall(SYS_set_mempolicy, mode, mode == MPOL_DEFAULT ? NULL : saved.words,
			      mode == MPOL_DEFAULT ? 0UL : MASK_BITS);
	return rc;
}
