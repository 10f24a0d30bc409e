/*
 * Levels, the sink and its replacement under fire, one line a call, and the rate limit.
 */
#include "../test.h"

#include <axvm/base.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct capture {
	unsigned int lines;
	enum ax_log_level level;
	char layer[32];
	char line[2048];
};

static void capture_sink(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	struct capture *capture = ctx;

	capture->lines++;
	capture->level = level;
	snprintf(capture->layer, sizeof(capture->layer), "%s", layer);
	snprintf(capture->line, sizeof(capture->line), "%s", line);
}

static int reset_log(void **state)
{
	(void)state;
	ax_log_set_sink(NULL, NULL);
	ax_log_set_level(AX_LOG_WARN);
	return 0;
}

static void without_a_sink_nothing_is_enabled(void **state)
{
	(void)state;
	assert_false(ax_log_enabled(AX_LOG_ERROR));
	ax_log(AX_LOG_ERROR, "base", "dropped %d", 1);
}

static void levels_filter(void **state)
{
	(void)state;
	for (int set = AX_LOG_ERROR; set <= AX_LOG_TRACE; set++) {
		for (int level = AX_LOG_ERROR; level <= AX_LOG_TRACE; level++) {
			struct capture capture = {0};
			ax_log_set_sink(capture_sink, &capture);
			ax_log_set_level(set);
			ax_log(level, "base", "n=%d", level);
			assert_int_equal(ax_log_enabled(level), level <= set);
			assert_int_equal(capture.lines, level <= set);
			if (capture.lines)
				assert_int_equal(capture.level, level);
		}
	}
}

static void default_level_is_warn(void **state)
{
	struct capture capture = {0};

	(void)state;
	ax_log_set_sink(capture_sink, &capture);
	assert_true(ax_log_enabled(AX_LOG_WARN));
	assert_false(ax_log_enabled(AX_LOG_INFO));
}

static void one_call_is_one_clean_line(void **state)
{
	struct capture capture = {0};
	char text[4096];

	(void)state;
	ax_log_set_sink(capture_sink, &capture);
	ax_log(AX_LOG_ERROR, "kvm", "a %s b\n", "two\nlines\x1b[31m");
	assert_int_equal(capture.lines, 1);
	assert_string_equal(capture.layer, "kvm");
	assert_string_equal(capture.line, "a two?lines?[31m b");
	ax_log(AX_LOG_ERROR, "kvm", "tab\tand \xc3\xa4 stay\r\n\n");
	assert_string_equal(capture.line, "tab\tand \xc3\xa4 stay");
	ax_log(AX_LOG_ERROR, "kvm", "%s", "");
	assert_string_equal(capture.line, "");

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ax_log(AX_LOG_ERROR, "kvm", "%s", text);
	assert_int_equal(capture.lines, 4);
	assert_int_equal(strlen(capture.line), 1023);
}

static void nested_sink(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	(void)level;
	(void)line;
	unsigned int *depth = ctx;
	if (++*depth < 3)
		ax_log(AX_LOG_ERROR, layer, "from the sink");
}

static void a_sink_may_log(void **state)
{
	unsigned int depth = 0;

	(void)state;
	ax_log_set_sink(nested_sink, &depth);
	ax_log(AX_LOG_ERROR, "base", "first");
	assert_int_equal(depth, 3);
}

struct counting {
	_Atomic unsigned int lines;
	_Atomic bool gone;
	_Atomic unsigned int late; /* calls after set_sink had returned */
};

static void counting_sink(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	struct counting *counting = ctx;

	(void)level;
	(void)layer;
	(void)line;
	atomic_fetch_add(&counting->lines, 1);
	if (atomic_load(&counting->gone))
		atomic_fetch_add(&counting->late, 1);
}

static void *log_many(void *arg)
{
	_Atomic bool *stop = arg;

	for (unsigned int i = 0; !atomic_load(stop); i++)
		ax_log(AX_LOG_ERROR, "base", "line %u", i);
	return NULL;
}

/* The sink is swapped while others log: an old sink is never called after the swap. */
static void sinks_are_replaced_under_fire(void **state)
{
	struct counting a = {0};
	_Atomic bool stop = false;
	pthread_t threads[3];
	unsigned int total = 0;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, &stop), 0);
	for (int round = 0; round < 50; round++) {
		atomic_store(&a.gone, false);
		ax_log_set_sink(counting_sink, &a);
		ax_log(AX_LOG_ERROR, "base", "round %d", round);
		ax_log_set_level(round % 2 ? AX_LOG_TRACE : AX_LOG_WARN);
		ax_log_set_sink(NULL, NULL);
		atomic_store(&a.gone, true);
		total++;
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&a.lines) >= total);
	assert_int_equal(atomic_load(&a.late), 0);
}

static void the_rate_is_limited(void **state)
{
	struct ax_ratelimit limit = AX_RATELIMIT_INIT;
	struct capture capture = {0};
	uint64_t told = 0; /* by the first line of a second window, on a machine that stalls */

	(void)state;
	ax_log_set_sink(capture_sink, &capture);
	for (int i = 0; i < 1000; i++) {
		const uint64_t dropped = limit.dropped;

		ax_log_limited(&limit, AX_LOG_WARN, "virtio", "bad index %d", i);
		told += limit.dropped < dropped ? dropped : 0;
	}
	assert_in_range(capture.lines, 5, 10);
	assert_int_equal(capture.lines + told + limit.dropped, 1000);

	/* The next window opens: as if it had begun two seconds ago. */
	uint64_t dropped = limit.dropped;
	unsigned int before = capture.lines;
	char expected[128];
	limit.window_start_ns = limit.window_start_ns - 2000000000ULL;
	ax_log_limited(&limit, AX_LOG_WARN, "virtio", "bad index %d", 7);
	assert_int_equal(capture.lines, before + 1);
	snprintf(expected, sizeof(expected), "bad index 7 (%llu similar lines dropped)",
		 (unsigned long long)dropped);
	assert_string_equal(capture.line, expected);
	assert_int_equal(limit.dropped, 0);
}

static void a_long_limited_line_keeps_the_count(void **state)
{
	struct ax_ratelimit limit = {.burst = 1, .dropped = 42};
	struct capture capture = {0};
	char text[2000];

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ax_log_set_sink(capture_sink, &capture);
	ax_log_limited(&limit, AX_LOG_WARN, "virtio", "%s", text);
	assert_int_equal(strlen(capture.line), 1023);
	assert_non_null(strstr(capture.line, "zz (42 similar lines dropped)"));
}

static void disabled_lines_cost_no_place(void **state)
{
	struct ax_ratelimit limit = AX_RATELIMIT_INIT;
	struct capture capture = {0};

	(void)state;
	ax_log_set_sink(capture_sink, &capture);
	for (int i = 0; i < 100; i++)
		ax_log_limited(&limit, AX_LOG_TRACE, "virtio", "x");
	assert_int_equal(capture.lines, 0);
	assert_int_equal(limit.dropped, 0);
	ax_log_limited(&limit, AX_LOG_WARN, "virtio", "x");
	assert_int_equal(capture.lines, 1);
}

static void a_clock_from_the_future_does_not_reset(void **state)
{
	struct ax_ratelimit limit = AX_RATELIMIT_INIT;
	struct capture capture = {0};

	(void)state;
	ax_log_set_sink(capture_sink, &capture);
	limit.window_start_ns = ax_clock_ns() + 3600ULL * 1000000000ULL;
	limit.in_window = 5;
	ax_log_limited(&limit, AX_LOG_WARN, "virtio", "x");
	assert_int_equal(capture.lines, 0);
	assert_int_equal(limit.dropped, 1);
}

struct flood {
	struct ax_ratelimit limit;
	struct counting counting;
};

static void *flood_main(void *arg)
{
	struct flood *flood = arg;

	for (int i = 0; i < 5000; i++)
		ax_log_limited(&flood->limit, AX_LOG_WARN, "virtio", "x %d", i);
	return NULL;
}

static void many_threads_share_a_limit(void **state)
{
	struct flood flood = {.limit = AX_RATELIMIT_INIT};
	pthread_t threads[4];
	uint64_t begin = ax_clock_ns();

	(void)state;
	ax_log_set_sink(counting_sink, &flood.counting);
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood_main, &flood), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	uint64_t seconds = (ax_clock_ns() - begin) / 1000000000ULL;
	assert_in_range(atomic_load(&flood.counting.lines), 5, 5 * (seconds + 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, and without a setup: the level of a program that sets none. */
		cmocka_unit_test_teardown(default_level_is_warn, reset_log),
		cmocka_unit_test_setup_teardown(without_a_sink_nothing_is_enabled, reset_log,
						reset_log),
		cmocka_unit_test_setup_teardown(levels_filter, reset_log, reset_log),
		cmocka_unit_test_setup_teardown(one_call_is_one_clean_line, reset_log, reset_log),
		cmocka_unit_test_setup_teardown(a_sink_may_log, reset_log, reset_log),
		cmocka_unit_test_setup_teardown(sinks_are_replaced_under_fire, reset_log,
						reset_log),
		cmocka_unit_test_setup_teardown(the_rate_is_limited, reset_log, reset_log),
		cmocka_unit_test_setup_teardown(a_long_limited_line_keeps_the_count, reset_log,
						reset_log),
		cmocka_unit_test_setup_teardown(disabled_lines_cost_no_place, reset_log, reset_log),
		cmocka_unit_test_setup_teardown(a_clock_from_the_future_does_not_reset, reset_log,
						reset_log),
		cmocka_unit_test_setup_teardown(many_threads_share_a_limit, reset_log, reset_log),
	};
	return cmocka_run_group_tests_name("base-log", tests, NULL, NULL);
}
