/*
 * What waits for its turn in an event loop: operations begun, deferred calls and posts. Only posts
 * (and the wake-up they may need) come from other threads, under one lock.
 */
#include "loop_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- operations ------------------------------------------------------------------------------ */

void ax_loop_begin(struct ax_loop *loop, struct ax_op *op)
{
	op->next = NULL;
	*loop->ops_tail = op;
	loop->ops_tail = &op->next;
}

static void begin_vectored(struct ax_loop *loop, struct ax_op *op, uint8_t kind, int fd,
			   const struct iovec *iov, unsigned count, uint64_t offset, uint32_t flags)
{
	op->kind = kind;
	op->fd = fd;
	op->iov = iov;
	op->count = count;
	op->offset = offset;
	op->flags = flags;
	ax_loop_begin(loop, op);
}

void ax_op_readv(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		 unsigned count, uint64_t offset, uint32_t flags)
{
	begin_vectored(loop, op, AX_OP_READV, fd, iov, count, offset, flags);
}

void ax_op_writev(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		  unsigned count, uint64_t offset, uint32_t flags)
{
	begin_vectored(loop, op, AX_OP_WRITEV, fd, iov, count, offset, flags);
}

void ax_op_fdatasync(struct ax_loop *loop, struct ax_op *op, int fd)
{
	op->kind = AX_OP_FDATASYNC;
	op->fd = fd;
	ax_loop_begin(loop, op);
}

void ax_op_fallocate(struct ax_loop *loop, struct ax_op *op, int fd, int mode, uint64_t offset,
		     uint64_t length)
{
	op->kind = AX_OP_FALLOCATE;
	op->fd = fd;
	op->flags = (uint32_t)mode;
	op->offset = offset;
	op->length = length;
	ax_loop_begin(loop, op);
}

/* ---- kept fds -------------------------------------------------------------------------------- */

void ax_loop_keep_fd(struct ax_loop *loop, int fd)
{
	unsigned slot = AX_LOOP_KEPT;

	for (unsigned i = AX_LOOP_KEPT; i-- > 0;) {
		if (loop->kept[i] == fd)
			return;
		if (loop->kept[i] < 0)
			slot = i;
	}
	if (slot == AX_LOOP_KEPT)
		return; /* it is but a matter of speed */
	loop->kept[slot] = fd;
#ifdef AX_HAVE_IO_URING
	loop->quick[slot] = ax_loop_writes_quickly(fd);
#endif
}

void ax_loop_forget_fd(struct ax_loop *loop, int fd)
{
	for (unsigned i = 0; i < AX_LOOP_KEPT; i++) {
		if (loop->kept[i] != fd)
			continue;
		loop->kept[i] = -1;
		if (loop->engine->forget)
			loop->engine->forget(loop, i);
		return;
	}
}

/* ---- deferred -------------------------------------------------------------------------------- */

static void defer(struct ax_deferred_list *list, struct ax_deferred *deferred)
{
	deferred->queued = true;
	deferred->next = NULL;
	*list->tail = deferred;
	list->tail = &deferred->next;
}

void ax_loop_defer(struct ax_loop *loop, struct ax_deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->idle = false;
	defer(&loop->deferred, deferred);
}

void ax_loop_defer_idle(struct ax_loop *loop, struct ax_deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->idle = true;
	defer(&loop->idle, deferred);
}

void ax_loop_cancel_defer(struct ax_loop *loop, struct ax_deferred *deferred)
{
	struct ax_deferred_list *list = deferred->idle ? &loop->idle : &loop->deferred;
	struct ax_deferred **link = &list->first;

	if (!deferred->queued)
		return;
	while (*link != deferred)
		link = &(*link)->next;
	*link = deferred->next;
	if (!*link)
		list->tail = link;
	deferred->queued = false;
}

/* Those there are now; one that defers itself again has its turn in the next round, after others.
 */
bool ax_loop_run_deferred(struct ax_loop *loop, struct ax_deferred_list *list)
{
	const bool any = list->first;
	unsigned count = 0;

	for (const struct ax_deferred *d = list->first; d; d = d->next)
		count++;
	while (list->first && count--) {
		struct ax_deferred *deferred = list->first;

		ax_loop_cancel_defer(loop, deferred);
		deferred->fn(deferred->ctx);
	}
	return any;
}

/* ---- posts ----------------------------------------------------------------------------------- */

void ax_loop_wake(struct ax_loop *loop)
{
	static const uint64_t one = 1;
	ssize_t n = write(loop->wake.fd, &one, sizeof(one));

	(void)n; /* it has no reason to fail, and would take 2^64 of them to block */
}

int ax_loop_post_own(struct ax_loop *loop, struct ax_post *post)
{
	pthread_mutex_lock(&loop->post_lock);
	bool refused = loop->closed;
	bool was_empty = !loop->posts;
	if (!refused && !post->queued) {
		post->queued = true;
		post->next = NULL;
		*loop->post_tail = post;
		loop->post_tail = &post->next;
		/* Under the lock: after it the loop may run the post and be destroyed by it. */
		if (was_empty)
			ax_loop_wake(loop);
	}
	pthread_mutex_unlock(&loop->post_lock);
	return refused ? -ESHUTDOWN : 0;
}

int ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct ax_post *post = malloc(sizeof(*post));

	if (!post)
		return -ENOMEM;
	*post = (struct ax_post){.fn = fn, .arg = arg, .allocated = true};
	int rc = ax_loop_post_own(loop, post);
	if (rc < 0)
		free(post);
	return rc;
}

void ax_loop_cancel_post(struct ax_loop *loop, struct ax_post *post)
{
	pthread_mutex_lock(&loop->post_lock);
	if (post->queued) {
		struct ax_post **link = &loop->posts;

		while (*link != post)
			link = &(*link)->next;
		*link = post->next;
		if (!*link)
			loop->post_tail = link;
		post->queued = false;
	}
	pthread_mutex_unlock(&loop->post_lock);
}

/* From now on it may be posted again, or be gone. */
static void run_post(struct ax_loop *loop, struct ax_post *post)
{
	void (*fn)(void *arg) = post->fn;
	void *arg = post->arg;

	if (post->allocated) {
		free(post);
	} else {
		pthread_mutex_lock(&loop->post_lock);
		post->queued = false;
		pthread_mutex_unlock(&loop->post_lock);
	}
	fn(arg);
}

/* Runs what has been posted so far; what those functions post waits for the next round. */
void ax_loop_run_posts(struct ax_loop *loop, bool close_after)
{
	pthread_mutex_lock(&loop->post_lock);
	struct ax_post *post = loop->posts;
	loop->posts = NULL;
	loop->post_tail = &loop->posts;
	loop->closed = close_after;
	pthread_mutex_unlock(&loop->post_lock);

	while (post) {
		struct ax_post *next = post->next;
		run_post(loop, post);
		post = next;
	}
}

/* Those accepted before a run that never came. */
void ax_loop_drop_posts(struct ax_loop *loop)
{
	while (loop->posts) {
		struct ax_post *post = loop->posts;
		loop->posts = post->next;
		post->queued = false;
		if (post->allocated)
			free(post);
	}
}
