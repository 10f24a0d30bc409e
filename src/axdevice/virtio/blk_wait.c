/*
 * Requests that wait for one another, on whichever loops they are: who ends a wait hands the
 * request to its own loop. On the same loop that is the end of the round, on another a post.
 */
#include "blk.h"
#include <errno.h>

static struct blk_list take_woken(struct blk_queue *queue, bool posted)
{
	struct blk_list woken;

	pthread_mutex_lock(&queue->wake_lock);
	woken = queue->woken;
	queue->woken = (struct blk_list){0};
	if (posted)
		queue->wake_posted = false;
	pthread_mutex_unlock(&queue->wake_lock);
	return woken;
}

static void resume_all(struct blk_list woken)
{
	struct blk_request *request;

	while ((request = axvirtio_blk_list_take(&woken)))
		request->resume(request);
}

static void on_round_end(void *ctx)
{
	resume_all(take_woken(ctx, false));
}

static void on_post(void *arg)
{
	resume_all(take_woken(arg, true));
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
	const bool same = queue->loop == here->loop;
	struct blk_list lost;
	bool post;

	pthread_mutex_lock(&queue->wake_lock);
	axvirtio_blk_list_add(&queue->woken, request);
	post = !same && !queue->wake_posted;
	if (post)
		queue->wake_posted = true;
	pthread_mutex_unlock(&queue->wake_lock);
	if (same) {
		ax_loop_defer(queue->loop, &queue->wake_here);
		return;
	}
	if (!post || ax_loop_post(queue->loop, on_post, queue) == 0)
		return;
	lost = take_woken(queue, true);
	while ((request = axvirtio_blk_list_take(&lost)))
		abandon(here, request);
}

void axvirtio_blk_wake_init(struct blk_queue *queue)
{
	pthread_mutex_init(&queue->wake_lock, NULL);
	queue->wake_here = (struct ax_deferred){.fn = on_round_end, .ctx = queue};
}
