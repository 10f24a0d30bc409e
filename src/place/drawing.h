/* What the terminal picture and the SVG share: CPUs in the order of the machine, and their marks.
 */
#ifndef AXVM_PLACE_DRAWING_H
#define AXVM_PLACE_DRAWING_H

#include "text.h"

enum mark {
	MARK_FREE,
	MARK_VCPU,
	MARK_SHARED, /* a vCPU, with another vCPU or with I/O threads */
	MARK_IO,     /* I/O threads and housekeeping */
	MARK_HOUSEKEEPING,
	MARK_IDLE, /* claimed, so that it stays empty */
	MARK_HELD, /* by another VM */
	MARK_FORBIDDEN,
	MARKS
};

struct drawing {
	const struct axhost_facts *facts;
	const struct axplace_plan *plan;
	uint32_t *order; /* indices of online CPUs, by node, cache, core, id */
	size_t count;
	uint8_t *mark;  /* enum mark of each CPU index */
	uint32_t *vcpu; /* the first on each CPU index, or PLACE_NONE */
	bool seen[MARKS];
};

int axplace_drawing_init(struct drawing *d, const struct axhost_facts *facts,
			 const struct axplace_plan *plan);
void axplace_drawing_finish(struct drawing *d);
/* What a mark means, for legends. */
const char *axplace_mark_meaning(enum mark mark);
/* What stands on a thread of that mark; "" for free ones. buf holds 16 bytes. */
const char *axplace_mark_text(const struct drawing *d, uint32_t cpu, char buf[16]);
/* From order[first]: one past the last CPU of the same core, the same cache, the same node. */
size_t axplace_core_end(const struct drawing *d, size_t first);
size_t axplace_cache_end(const struct drawing *d, size_t first);
size_t axplace_node_end(const struct drawing *d, size_t first);
/* "cache 0", and of which socket where its node has several. */
void axplace_cache_title(const struct drawing *d, size_t first, char *buf, size_t buf_size);
/* "node 0, socket 0", and "memory 64G, 60G free; guest node 0: 16G in 2m pages". first ==
 * drawing's count: the node has no CPU. */
void axplace_node_title(const struct drawing *d, uint32_t node, size_t first, char *buf,
			size_t buf_size);
void axplace_node_memory(const struct drawing *d, uint32_t node, char *buf, size_t buf_size);

#endif
