/* See chr_rig.h. */
#include "chr_rig.h"

#include <stdlib.h>
#include <string.h>

static size_t sink_room(void *ctx)
{
	struct sink *sink = ctx;
	size_t room;

	pthread_mutex_lock(&sink->lock);
	room = sink->room;
	pthread_mutex_unlock(&sink->lock);
	return room;
}

static void sink_receive(void *ctx, const uint8_t *bytes, size_t count)
{
	struct sink *sink = ctx;

	pthread_mutex_lock(&sink->lock);
	if (count > sink->room || sink->count + count > sizeof(sink->bytes)) {
		sink->overfed = true;
		count = 0;
	}
	memcpy(sink->bytes + sink->count, bytes, count);
	sink->count += count;
	sink->room -= count;
	pthread_mutex_unlock(&sink->lock);
}

static void sink_can_send(void *ctx)
{
	((struct sink *)ctx)->can_send_calls++;
}

size_t sink_count(struct sink *sink)
{
	size_t count;

	pthread_mutex_lock(&sink->lock);
	count = sink->count;
	pthread_mutex_unlock(&sink->lock);
	return count;
}

void sink_allow(struct sink *sink, size_t room)
{
	pthread_mutex_lock(&sink->lock);
	sink->room += room;
	pthread_mutex_unlock(&sink->lock);
	axchr_resume_input(sink->chr);
}

void chr_rig_setup(struct rig *rig, struct axchr_config config)
{
	loop_create(&rig->lt);
	assert_int_equal(axchr_create(&config, rig->lt.loop, &rig->chr, NULL), 0);
	rig->sink = calloc(1, sizeof(*rig->sink));
	pthread_mutex_init(&rig->sink->lock, NULL);
	rig->sink->chr = rig->chr;
	axchr_bind(rig->chr,
		   &(struct axchr_device){sink_room, sink_receive, sink_can_send, rig->sink});
}

void chr_rig_teardown(struct rig *rig)
{
	loop_stop(&rig->lt);
	assert_false(rig->sink->overfed);
	axchr_destroy(rig->chr);
	loop_destroy(&rig->lt);
	free(rig->sink);
}

void naps(int count)
{
	while (count-- > 0)
		nap();
}

static uint64_t wakeups_of(const struct ax_loop *loop)
{
	struct ax_loop_stats stats;

	ax_loop_get_stats(loop, &stats);
	return stats.wakeups;
}

/* Its thread may have waited long for a CPU to do what there was to do; a loop that is busy never
 * rests. */
void assert_idle(struct rig *rig)
{
	const uint64_t end_ns = ax_clock_ns() + 20000000000ULL;
	uint64_t before, after = wakeups_of(rig->lt.loop);

	do {
		before = after;
		naps(100);
		after = wakeups_of(rig->lt.loop);
	} while (after != before && ax_clock_ns() < end_ns);
	assert_int_equal(after, before);
}
