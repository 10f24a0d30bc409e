/*
 * On which nodes the pages of a range lie, as the kernel tells it now: to be compared with the
 * plan.
 *
 * Reads the table as every reader does and takes no lock: addresses stay mapped whatever happens to
 * their region meanwhile. Nothing is brought or moved by the question.
 */
#include "internal.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 256

static bool is_resident(void *page)
{
	unsigned char resident = 0;

	return mincore(page, AXAS_PAGE_SIZE, &resident) == 0 && resident & 1;
}

/* A huge page of which move_pages knows nothing: kernels before 6.1 cannot look up those of 1 GiB
 * there. The other way of asking would bring a page that is absent. */
static int ask_again(void *page)
{
	int node = -1;

	if (!is_resident(page) || syscall(SYS_get_mempolicy, &node, NULL, 0UL, page,
					  (unsigned long)MPOL_F_NODE | MPOL_F_ADDR) < 0)
		return -ENOENT;
	return node;
}

static void count(struct axas_placement *placement, const struct axas_region_info *info, int node)
{
	const uint64_t bytes = info->page_size_bytes;

	placement->looked_bytes += bytes;
	if (node < 0) { /* -ENOENT, -EFAULT (the zero page), -EBUSY */
		placement->absent_bytes += bytes;
		return;
	}
	if (node < AXAS_PLACEMENT_NODES)
		placement->on_node[node] += bytes;
	else
		placement->on_higher_node += bytes;
	if (info->bound && (uint32_t)node != info->node)
		placement->astray_bytes += bytes;
}

static int look(struct axas_placement *placement, const struct axas_region_info *info, void **pages,
		size_t page_count)
{
	int nodes[BATCH];

	for (size_t i = 0; i < page_count; i++)
		nodes[i] = -ENOENT;
	if (syscall(SYS_move_pages, 0, page_count, pages, NULL, nodes, 0) < 0)
		return -errno;
	for (size_t i = 0; i < page_count; i++) {
		if (nodes[i] < 0 && info->page_size_bytes > AXAS_PAGE_SIZE)
			nodes[i] = ask_again(pages[i]);
		count(placement, info, nodes[i]);
	}
	return 0;
}

/* One page of each `step` pages. Not the first of them: memory that is interleaved by some rule
 * would look as if it lay on one node. */
static int look_at_part(struct axas_placement *placement, const struct axas_region_info *info,
			uint64_t first, uint64_t page_count, uint64_t step)
{
	uint64_t random = 0x9e3779b97f4a7c15ULL;
	void *pages[BATCH];
	size_t used = 0;
	int rc = 0;

	for (uint64_t low = 0; !rc && low < page_count; low += step) {
		const uint64_t left = page_count - low, room = left < step ? left : step;

		/* xorshift64 (Marsaglia 2003): the same pages every time. */
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		pages[used++] =
			(char *)info->hva + (first + low + random % room) * info->page_size_bytes;
		if (used == BATCH || left <= step) {
			rc = look(placement, info, pages, used);
			used = 0;
		}
	}
	return rc;
}

struct part {
	uint64_t first, pages; /* of the region */
};

/* Which pages of the region the range [gpa, end) has something of. */
static struct part part_of(const struct axas_region_info *info, uint64_t gpa, uint64_t end)
{
	const uint64_t top = info->gpa + info->size_bytes;
	const uint64_t low = gpa > info->gpa ? gpa : info->gpa, high = end < top ? end : top;
	struct part part = {0};

	if (low >= high)
		return part;
	part.first = (low - info->gpa) / info->page_size_bytes;
	part.pages =
		(high - info->gpa + info->page_size_bytes - 1) / info->page_size_bytes - part.first;
	return part;
}

int axas_placement(const struct axas *as, uint64_t gpa, uint64_t size_bytes, size_t max_pages,
		   struct axas_placement *ret_placement, struct ax_error *err)
{
	struct axas_visitor visitor = axas_enter(as, AXAS_VISIT_LOOKUP);
	const struct axas_table *table = visitor.table;
	struct axas_placement placement = {0};
	uint64_t end, step, total = 0;
	int rc = 0;

	if (ax_add_overflows(gpa, size_bytes, &end))
		end = UINT64_MAX;
	if (!max_pages)
		max_pages = AXAS_PLACEMENT_PAGES;
	for (size_t i = 0; i < table->count; i++)
		total += part_of(&table->regions[i].info, gpa, end).pages;
	step = total / max_pages + (total % max_pages != 0);
	for (size_t i = 0; !rc && i < table->count; i++) {
		const struct axas_region_info *info = &table->regions[i].info;
		const struct part part = part_of(info, gpa, end);

		placement.mapped_bytes += part.pages * info->page_size_bytes;
		rc = look_at_part(&placement, info, part.first, part.pages, step);
	}
	axas_leave(&visitor, 0);
	if (rc < 0) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, -rc,
			     "the host does not say where pages lie: move_pages: %s",
			     strerror(-rc));
		ax_error_hint(err, "A system call filter may forbid it: containers allow it with "
				   "CAP_SYS_NICE.");
		return rc;
	}
	*ret_placement = placement;
	return 0;
}
