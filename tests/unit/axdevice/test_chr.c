/*
 * The character backend: a bounded ring, order, wake-ups, readers that go away, kinds of
 * descriptors, and input that waits for its device.
 */
#include "helpers.h"
#include "chr_priv.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sink {
	pthread_mutex_t lock;
	size_t room;
	uint8_t bytes[65536];
	size_t count;
	_Atomic int can_send_calls;
	struct axchr *chr;
};

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
	assert_true(count <= sink->room && sink->count + count <= sizeof(sink->bytes));
	memcpy(sink->bytes + sink->count, bytes, count);
	sink->count += count;
	sink->room -= count;
	pthread_mutex_unlock(&sink->lock);
}

static void sink_can_send(void *ctx)
{
	((struct sink *)ctx)->can_send_calls++;
}

static size_t sink_count(struct sink *sink)
{
	size_t count;

	pthread_mutex_lock(&sink->lock);
	count = sink->count;
	pthread_mutex_unlock(&sink->lock);
	return count;
}

static void sink_allow(struct sink *sink, size_t room)
{
	pthread_mutex_lock(&sink->lock);
	sink->room += room;
	pthread_mutex_unlock(&sink->lock);
	axchr_resume_input(sink->chr);
}

/* A console with its sink; the loop is not started. */
struct rig {
	struct loop_thread lt;
	struct axchr *chr;
	struct sink *sink;
};

static void setup(struct rig *rig, struct axchr_config config)
{
	loop_create(&rig->lt);
	assert_int_equal(axchr_create(&config, rig->lt.loop, &rig->chr, NULL), 0);
	rig->sink = calloc(1, sizeof(*rig->sink));
	pthread_mutex_init(&rig->sink->lock, NULL);
	rig->sink->chr = rig->chr;
	axchr_bind(rig->chr,
		   &(struct axchr_device){sink_room, sink_receive, sink_can_send, rig->sink});
}

static void teardown(struct rig *rig)
{
	loop_stop(&rig->lt);
	axchr_destroy(rig->chr);
	loop_destroy(&rig->lt);
	free(rig->sink);
}

static size_t send_text(struct axchr *chr, const char *text)
{
	return axchr_send(chr, (const uint8_t *)text, strlen(text));
}

static size_t tapped;

static void tap(void *ctx, const uint8_t *bytes, size_t count)
{
	(void)ctx;
	(void)bytes;
	__atomic_fetch_add(&tapped, count, __ATOMIC_SEQ_CST);
}

static void test_bounded(void **state)
{
	static uint8_t chunk[5000];
	struct rig rig;
	size_t taken = 0;
	int out[2], flags;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	tapped = 0;
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1], .output_tap = tap});
	uint64_t before = axchr_wakeups(rig.chr);
	/* The loop does not run: exactly the ring is taken, and it is told once. */
	for (int i = 0; i < 20; i++)
		taken += axchr_send(rig.chr, chunk, sizeof(chunk));
	assert_int_equal(taken, 64 * 1024);
	assert_int_equal(axchr_wakeups(rig.chr), before + 1);
	/* It runs, nobody reads: pipe and ring fill, further bytes are refused, nothing blocks. */
	loop_start(&rig.lt);
	WAIT_FOR(rig.sink->can_send_calls > 0);
	for (int i = 0; i < 1000; i++) {
		taken += axchr_send(rig.chr, chunk, sizeof(chunk));
		if (i % 100 == 0)
			nap();
	}
	assert_true(taken <= 64 * 1024 + 1024 * 1024);
	assert_int_equal(axchr_send(rig.chr, chunk, 1), 0);
	/* The tap has seen everything although the reader has not. */
	WAIT_FOR(__atomic_load_n(&tapped, __ATOMIC_SEQ_CST) == taken);
	int calls = rig.sink->can_send_calls;
	for (size_t got = 0; got < taken;) {
		ssize_t n = read(out[0], chunk, sizeof(chunk));

		assert_true(n > 0);
		got += (size_t)n;
	}
	WAIT_FOR(rig.sink->can_send_calls > calls);
	/* The description we were given is as blocking as it was. */
	flags = fcntl(out[1], F_GETFL);
	assert_int_equal(flags & O_NONBLOCK, 0);
	teardown(&rig);
	close(out[0]);
	close(out[1]);
}

#define SENDERS  4
#define MESSAGES 500

struct sender {
	struct axchr *chr;
	int id;
};

static void *send_messages(void *arg)
{
	struct sender *sender = arg;

	for (int i = 0; i < MESSAGES; i++) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%d:%04d:%010d\n", sender->id, i, i * 3);

		while (!axchr_send(sender->chr, (uint8_t *)text, (size_t)n))
			nap();
	}
	return NULL;
}

static void test_order(void **state)
{
	struct rig rig;
	struct sender sender[SENDERS];
	pthread_t thread[SENDERS];
	int out[2], next[SENDERS] = {0};
	char line[64];
	FILE *file;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	loop_start(&rig.lt);
	for (int i = 0; i < SENDERS; i++) {
		sender[i] = (struct sender){rig.chr, i};
		pthread_create(&thread[i], NULL, send_messages, &sender[i]);
	}
	file = fdopen(out[0], "r");
	/* No line is torn, and each thread's lines stay in order. */
	for (int i = 0; i < SENDERS * MESSAGES; i++) {
		int id, seq, check;

		assert_non_null(fgets(line, sizeof(line), file));
		assert_int_equal(sscanf(line, "%d:%d:%d", &id, &seq, &check), 3);
		assert_int_equal(seq, next[id]++);
		assert_int_equal(check, seq * 3);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(thread[i], NULL);
	teardown(&rig);
	fclose(file);
	close(out[1]);
}

static void test_closed_reader(void **state)
{
	static uint8_t chunk[8192];
	struct rig rig;
	int out[2];
	uint64_t wakeups;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	loop_start(&rig.lt);
	/* It goes away while we wait for it to read. */
	while (axchr_send(rig.chr, chunk, sizeof(chunk)))
		nap();
	close(out[0]);
	for (int i = 0; i < 100; i++) {
		WAIT_FOR(axchr_send(rig.chr, chunk, 1) == 1);
	}
	/* And the loop does not spin on it. */
	for (int i = 0; i < 50; i++)
		nap();
	wakeups = ax_loop_wakeups(rig.lt.loop);
	for (int i = 0; i < 100; i++)
		nap();
	assert_int_equal(ax_loop_wakeups(rig.lt.loop), wakeups);
	teardown(&rig);
	/* It was gone before we came. */
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	loop_start(&rig.lt);
	for (int i = 0; i < 1000; i++)
		WAIT_FOR(axchr_send(rig.chr, chunk, sizeof(chunk)) == sizeof(chunk));
	teardown(&rig);
	close(out[1]);
}

static void test_output_kinds(void **state)
{
	char path[] = "/tmp/axchr-XXXXXX", got[16] = "";
	int pair[2], file = mkstemp(path), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct rig rig;

	(void)state;
	unlink(path);
	/* A file continues where its descriptor stands. */
	assert_int_equal(write(file, "head ", 5), 5);
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = file});
	assert_int_equal(send_text(rig.chr, "tail"), 4);
	axchr_flush(rig.chr, 1000);
	assert_int_equal(pread(file, got, sizeof(got), 0), 9);
	assert_string_equal(got, "head tail");
	teardown(&rig);
	/* A socket, as input and output at once. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	setup(&rig, (struct axchr_config){.in_fd = pair[1], .out_fd = pair[1]});
	loop_start(&rig.lt);
	send_text(rig.chr, "out");
	assert_int_equal(read(pair[0], got, 3), 3);
	assert_int_equal(write(pair[0], "in", 2), 2);
	sink_allow(rig.sink, 100);
	WAIT_FOR(sink_count(rig.sink) == 2);
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	close(pair[0]);
	for (int i = 0; i < 100; i++)
		send_text(rig.chr, "to nobody");
	teardown(&rig);
	close(pair[1]);
	/* Descriptors that always or never take bytes, none, and one that is not open. */
	int other[] = {null, full, -1, 9999};
	for (size_t i = 0; i < AX_ARRAY_LEN(other); i++) {
		setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = other[i]});
		loop_start(&rig.lt);
		for (int n = 0; n < 20000; n++)
			WAIT_FOR(send_text(rig.chr, "0123456789") == 10);
		teardown(&rig);
	}
	close(file);
	close(null);
	close(full);
}

static void test_flush(void **state)
{
	static uint8_t chunk[65536];
	struct rig rig;
	int out[2];
	size_t got = 0;
	uint64_t start;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	send_text(rig.chr, "bye");
	axchr_flush(rig.chr, 1000);
	assert_int_equal(read(out[0], chunk, sizeof(chunk)), 3);
	/* A stuck reader costs the time that was given, not more. */
	for (int i = 0; i < 20; i++) {
		axchr_send(rig.chr, chunk, sizeof(chunk));
		axchr_flush(rig.chr, 1);
	}
	start = ax_clock_ns();
	axchr_flush(rig.chr, 50);
	assert_in_range(ax_clock_ns() - start, 40000000, 2000000000);
	(void)got;
	teardown(&rig);
	close(out[0]);
	close(out[1]);
}

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
	uint64_t wakeups;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(2 + i % 251);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	setup(&rig,
	      (struct axchr_config){
		      .in_fd = in[0], .out_fd = -1, .input_filter = drop_escape, .ctx = &escapes});
	loop_start(&rig.lt);
	/* A device that takes nothing: escape keys are seen all the same. */
	assert_int_equal(write(in[1], "\1\1", 2), 2);
	WAIT_FOR(escapes == 2);
	assert_int_equal(write(in[1], data, sizeof(data)), sizeof(data));
	for (int i = 0; i < 50; i++)
		nap();
	/* It is full and the writer hangs up: no busy loop, nothing lost. */
	close(in[1]);
	for (int i = 0; i < 20; i++)
		nap();
	wakeups = ax_loop_wakeups(rig.lt.loop);
	for (int i = 0; i < 100; i++)
		nap();
	assert_int_equal(ax_loop_wakeups(rig.lt.loop), wakeups);
	assert_int_equal(sink_count(rig.sink), 0);
	for (size_t want = 0; want < sizeof(data);) {
		size_t room = want % 97 + 1;

		want = want + room < sizeof(data) ? want + room : sizeof(data);
		sink_allow(rig.sink, room);
		WAIT_FOR(sink_count(rig.sink) >= want);
	}
	assert_memory_equal(rig.sink->bytes, data, sizeof(data));
	/* After the end of file the loop sleeps. */
	for (int i = 0; i < 50; i++)
		nap();
	wakeups = ax_loop_wakeups(rig.lt.loop);
	for (int i = 0; i < 100; i++)
		nap();
	assert_int_equal(ax_loop_wakeups(rig.lt.loop), wakeups);
	assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	teardown(&rig);
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
	setup(&rig, (struct axchr_config){.in_fd = file, .out_fd = -1});
	loop_start(&rig.lt);
	for (size_t i = 0; i < sizeof(data); i += 500)
		sink_allow(rig.sink, 500);
	WAIT_FOR(sink_count(rig.sink) == sizeof(data));
	assert_memory_equal(rig.sink->bytes, data, sizeof(data));
	teardown(&rig);
	setup(&rig, (struct axchr_config){.in_fd = null, .out_fd = null});
	sink_allow(rig.sink, 10);
	loop_start(&rig.lt);
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(sink_count(rig.sink), 0);
	teardown(&rig);
	close(file);
	close(null);
}

/* A terminal: output through the slave, which stays blocking, and a master as our descriptor. */
static void test_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	static uint8_t chunk[4096];
	char got[8];
	struct rig rig;

	(void)state;
	if (master < 0)
		skip();
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	setup(&rig, (struct axchr_config){.in_fd = slave, .out_fd = slave});
	sink_allow(rig.sink, 100);
	loop_start(&rig.lt);
	send_text(rig.chr, "abc");
	assert_int_equal(read(master, got, 3), 3);
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(write(master, "xy\n", 3), 3);
	WAIT_FOR(sink_count(rig.sink) == 3);
	/* Stuck: nobody reads the master. */
	memset(chunk, 'z', sizeof(chunk));
	for (int i = 0; i < 200; i++)
		axchr_send(rig.chr, chunk, sizeof(chunk));
	assert_int_equal(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
	close(slave);
	teardown(&rig); /* the loop stops although output is stuck */
	/* The master itself cannot be reopened: bytes go by readiness. */
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = master});
	loop_start(&rig.lt);
	send_text(rig.chr, "in\n");
	assert_int_equal(read(slave, got, sizeof(got)), 3);
	for (int i = 0; i < 200; i++)
		axchr_send(rig.chr, chunk, sizeof(chunk));
	assert_int_equal(fcntl(master, F_GETFL) & O_NONBLOCK, 0);
	teardown(&rig);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),       cmocka_unit_test(test_order),
		cmocka_unit_test(test_closed_reader), cmocka_unit_test(test_output_kinds),
		cmocka_unit_test(test_flush),         cmocka_unit_test(test_input_back_pressure),
		cmocka_unit_test(test_input_kinds),   cmocka_unit_test(test_terminal),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice chr", tests, NULL, NULL);
}
