/*
 * The exceptions to the ring, done at once, a few a round. Streams that it cannot do without
 * waiting (taps before Linux 6.4 know no RWF_NOWAIT), and small buffered writes to kept files. Most
 * file systems do not take such a write without waiting, so the kernel would give it to a worker:
 * tens of microseconds for a copy into the page cache that takes one. Where it proves slow (dirty
 * pages are throttled, a block must be read first) workers do it for a while.
 */
#include "loop_ring.h"

#include <fcntl.h>
#include <sys/stat.h>

#define QUICK_BYTES (64 * AX_KIB)
#define ROUND_NS    50000ULL  /* no more begin in a round after this */
#define QUICK_NS    200000ULL /* what nobody else on the thread minds */
#define REST_FACTOR 32        /* after two that took longer: so they take a thirtieth at most */

bool ax_loop_writes_quickly(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & (O_DIRECT | O_SYNC | O_DSYNC)) && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static bool is_small(const struct ax_op *op)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < op->count && bytes <= QUICK_BYTES; i++)
		bytes += op->iov[i].iov_len;
	return bytes <= QUICK_BYTES;
}

static bool is_quick(const struct ax_loop *loop, const struct ax_op *op)
{
	const bool stream = op->offset == AX_OP_NO_OFFSET;

	if (op->kind > AX_OP_WRITEV)
		return false;
	if (!stream && (op->kind != AX_OP_WRITEV || op->flags || !is_small(op)))
		return false;
	for (unsigned i = 0; i < AX_LOOP_KEPT; i++)
		if (loop->kept[i] == op->fd)
			return stream ? loop->ring->plain[i] : loop->quick[i];
	return false;
}

/* One may have lost its CPU for a while; two in a row have waited. */
static void judge(struct ax_ring *ring, uint64_t end_ns, uint64_t took_ns)
{
	const bool slow = took_ns > QUICK_NS;

	if (slow && ring->was_slow)
		ring->rest_until_ns = end_ns + REST_FACTOR * took_ns;
	ring->was_slow = slow;
}

bool ax_ring_run_quick(struct ax_loop *loop, bool *ret_more)
{
	uint64_t start_ns = 0, now_ns = 0;

	*ret_more = false;
	while (loop->ops && is_quick(loop, loop->ops)) {
		struct ax_op *op = loop->ops;

		if (!now_ns)
			start_ns = now_ns = ax_clock_ns();
		if (now_ns < loop->ring->rest_until_ns && op->offset != AX_OP_NO_OFFSET)
			break;
		*ret_more = now_ns - start_ns > ROUND_NS;
		if (*ret_more)
			break;
		const int32_t result = ax_loop_perform(loop, op);
		const uint64_t end_ns = ax_clock_ns();
		if (op->offset != AX_OP_NO_OFFSET)
			judge(loop->ring, end_ns, end_ns - now_ns);
		loop->ops = op->next;
		if (!loop->ops)
			loop->ops_tail = &loop->ops;
		ax_counter_add(&loop->ops_done, 1);
		op->fn(op, result);
		now_ns = ax_clock_ns();
	}
	return start_ns != 0;
}
