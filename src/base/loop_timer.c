/*
 * Timers of the event loop: a sorted list, whose head bounds the loop's wait. Setting one is no
 * system call, whatever the engine. A loop has a handful, so that a list is all it takes.
 */
#include "loop_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static uint64_t later(uint64_t now, uint64_t delay_ns)
{
	uint64_t at;

	return ax_add_overflows(now, delay_ns, &at) ? AX_LOOP_FOREVER : at;
}

static void link_timer(struct ax_event *timer)
{
	struct ax_event **link = &timer->loop->timers;

	while (*link && (*link)->at_ns <= timer->at_ns)
		link = &(*link)->next_timer;
	timer->next_timer = *link;
	*link = timer;
	timer->pending = true;
}

void ax_loop_unlink_timer(struct ax_event *timer)
{
	struct ax_event **link = &timer->loop->timers;

	if (!timer->pending)
		return;
	while (*link != timer)
		link = &(*link)->next_timer;
	*link = timer->next_timer;
	timer->pending = false;
}

void ax_loop_set_timer(struct ax_event *timer, uint64_t delay_ns, uint64_t interval_ns)
{
	assert(timer->kind == AX_EVENT_TIMER && !timer->removed);
	ax_loop_unlink_timer(timer);
	timer->interval_ns = interval_ns;
	if (delay_ns == AX_TIMER_OFF)
		return;
	timer->at_ns = later(ax_clock_ns(), delay_ns);
	link_timer(timer);
}

uint64_t ax_loop_timeout_ns(const struct ax_loop *loop)
{
	if (!loop->timers)
		return AX_LOOP_FOREVER;
	const uint64_t now = ax_clock_ns();
	const uint64_t at = loop->timers->at_ns;

	return at > now ? at - now : 0;
}

/* Those due now, each once: one that is set to a time past by its callback waits for the next
 * round.
 */
bool ax_loop_run_timers(struct ax_loop *loop)
{
	bool any = false;

	if (!loop->timers)
		return false;
	const uint64_t now = ax_clock_ns();
	while (loop->timers && loop->timers->at_ns <= now && ax_loop_may_call(loop)) {
		struct ax_event *timer = loop->timers;

		ax_loop_unlink_timer(timer);
		if (timer->interval_ns) { /* expirations that were missed fall together */
			const uint64_t missed = (now - timer->at_ns) / timer->interval_ns;

			timer->at_ns = later(timer->at_ns, (missed + 1) * timer->interval_ns);
			link_timer(timer);
		}
		timer->fn(timer->ctx, -1, 0);
		any = true;
	}
	return any;
}
