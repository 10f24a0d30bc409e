/*
 * The character backend's way in: input waits for its device without a busy loop, whatever kind of
 * descriptor it comes from, and escape keys do not wait.
 */
#include "chr_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static size_t drop_escape(void *ctx, uint8_t *bytes, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == 1)
			++*(_Atomic int *)ctx;
		else
			bytes[kept++] = bytes[i];
	}
	return kept;
}

static void test_input_back_pressure(void **state)
{
	static uint8_t data[30000];
	_Atomic int escapes = 0;
	struct rig rig;
	int in[2];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(2 + i % 251);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = in[0],
						  .out_fd = -1,
						  .input_filter = drop_escape,
						  .ctx = &escapes});
	loop_start(&rig.lt);
	/* A device that takes nothing: escape keys are seen all the same. */
	assert_int_equal(write(in[1], "\1\1", 2), 2);
	WAIT_FOR(escapes == 2);
	assert_int_equal(write(in[1], data, sizeof(data)), sizeof(data));
	naps(50);
	/* It is full and the writer hangs up: no busy loop, nothing lost. */
	close(in[1]);
	naps(20);
	assert_idle(&rig);
	assert_int_equal(sink_count(rig.sink), 0);
	for (size_t want = 0; want < sizeof(data);) {
		size_t room = want % 97 + 1;

		want = want + room < sizeof(data) ? want + room : sizeof(data);
		sink_allow(rig.sink, room);
		WAIT_FOR(sink_count(rig.sink) >= want);
	}
	assert_memory_equal(rig.sink->bytes, data, sizeof(data));
	/* After the end of file the loop sleeps. */
	naps(50);
	assert_idle(&rig);
	assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	chr_rig_teardown(&rig);
	close(in[0]);
}

static void test_input_kinds(void **state)
{
	char path[] = "/tmp/axchr-XXXXXX";
	int file = mkstemp(path), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	static uint8_t data[20000];
	struct rig rig;

	(void)state;
	unlink(path);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 253);
	assert_int_equal(write(file, data, sizeof(data)), sizeof(data));
	lseek(file, 0, SEEK_SET);
	/* epoll takes neither a regular file nor /dev/null. */
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = file, .out_fd = -1});
	loop_start(&rig.lt);
	for (size_t i = 0; i < sizeof(data); i += 500)
		sink_allow(rig.sink, 500);
	WAIT_FOR(sink_count(rig.sink) == sizeof(data));
	assert_memory_equal(rig.sink->bytes, data, sizeof(data));
	chr_rig_teardown(&rig);
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = null, .out_fd = null});
	sink_allow(rig.sink, 10);
	loop_start(&rig.lt);
	naps(50);
	assert_int_equal(sink_count(rig.sink), 0);
	chr_rig_teardown(&rig);
	close(file);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_back_pressure),
		cmocka_unit_test(test_input_kinds),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice chr input", tests, NULL, NULL);
}
