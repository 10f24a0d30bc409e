/*
 * Requests that wait for one another, on whichever loops they are: who ends a wait hands the
 * request to its own loop. On the same loop that is the end of the round, on another a post.
 */
#include "blk.h"
#include <errno.h>

static struct blk_list take_woken(struct blk_queue *queue)
{
	struct blk_list woken;

	pthread_mutex_lock(&queue->wake_lock);
	woken = queue->woken;
	queue->woken = (struct blk_list){0};
	pthread_mutex_unlock(&queue->wake_lock);
	return woken;
}

/* A call that was deferred, or a post. */
static void resume_all(void *ctx)
{
	struct blk_list woken = take_woken(ctx);
	struct blk_request *request;

	while ((request = axvirtio_blk_list_take(&woken)))
		request->resume(request);
}

/* Its loop has ended, and with it the VM: nobody will see the answer, but others may wait for what
 * it has, and the gate for it. */
static void abandon(struct blk_queue *here, struct blk_request *request)
{
	struct blk_queue *queue = request->queue;

	if (request->leads)
		axvirtio_blk_end_commit(here, request, -ESHUTDOWN);
	axvirtio_blk_end_claim(here, request, false);
	axvirtio_release(&queue->blk->device, queue->index);
}

void axvirtio_blk_wake(struct blk_queue *here, struct blk_request *request)
{
	struct blk_queue *queue = request->queue;
	struct blk_list lost;

	pthread_mutex_lock(&queue->wake_lock);
	axvirtio_blk_list_add(&queue->woken, request);
	pthread_mutex_unlock(&queue->wake_lock);
	if (queue->loop == here->loop) {
		ax_loop_defer(queue->loop, &queue->wake_here);
		return;
	}
	if (ax_loop_post_own(queue->loop, &queue->wake_there) == 0)
		return;
	lost = take_woken(queue);
	while ((request = axvirtio_blk_list_take(&lost)))
		abandon(here, request);
}

void axvirtio_blk_wake_init(struct blk_queue *queue)
{
	pthread_mutex_init(&queue->wake_lock, NULL);
	queue->wake_here = (struct ax_deferred){.fn = resume_all, .ctx = queue};
	queue->wake_there = (struct ax_post){.fn = resume_all, .arg = queue};
}
