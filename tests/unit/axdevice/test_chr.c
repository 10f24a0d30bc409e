/*
 * The character backend's way out: a bounded ring, order, wake-ups, readers that go away, kinds of
 * descriptors. The way in is test_chr_input.c.
 */
#include "chr_rig.h"
#include "chr_priv.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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
	chr_rig_setup(&rig,
		      (struct axchr_config){.in_fd = -1, .out_fd = out[1], .output_tap = tap});
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
	/* There is room again as soon as some of it has been read. */
	int calls = rig.sink->can_send_calls;
	size_t got = 0;
	while (got < 2 * sizeof(chunk))
		got += (size_t)read(out[0], chunk, sizeof(chunk));
	WAIT_FOR(rig.sink->can_send_calls > calls);
	while (got < taken) {
		ssize_t n = read(out[0], chunk, sizeof(chunk));

		assert_true(n > 0);
		got += (size_t)n;
	}
	naps(50);
	assert_idle(&rig); /* nor does it watch a pipe it has nothing for */
	/* The description we were given is as blocking as it was. */
	flags = fcntl(out[1], F_GETFL);
	assert_int_equal(flags & O_NONBLOCK, 0);
	chr_rig_teardown(&rig);
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
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
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
	chr_rig_teardown(&rig);
	fclose(file);
	close(out[1]);
}

static void test_closed_reader(void **state)
{
	static uint8_t chunk[8192];
	struct rig rig;
	int out[2];

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	loop_start(&rig.lt);
	/* It goes away while we wait for it to read. */
	while (axchr_send(rig.chr, chunk, sizeof(chunk)))
		nap();
	close(out[0]);
	for (int i = 0; i < 100; i++) {
		WAIT_FOR(axchr_send(rig.chr, chunk, 1) == 1);
	}
	/* And the loop does not spin on it. */
	naps(50);
	assert_idle(&rig);
	chr_rig_teardown(&rig);
	/* It was gone before we came. */
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
	loop_start(&rig.lt);
	for (int i = 0; i < 1000; i++)
		WAIT_FOR(axchr_send(rig.chr, chunk, sizeof(chunk)) == sizeof(chunk));
	chr_rig_teardown(&rig);
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
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = file});
	assert_int_equal(send_text(rig.chr, "tail"), 4);
	axchr_flush(rig.chr, 1000);
	assert_int_equal(pread(file, got, sizeof(got), 0), 9);
	assert_string_equal(got, "head tail");
	chr_rig_teardown(&rig);
	/* A socket, as input and output at once. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = pair[1], .out_fd = pair[1]});
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
	chr_rig_teardown(&rig);
	close(pair[1]);
	/* Descriptors that always or never take bytes, none, and one that is not open. */
	int other[] = {null, full, -1, 9999};
	for (size_t i = 0; i < AX_ARRAY_LEN(other); i++) {
		chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = other[i]});
		loop_start(&rig.lt);
		for (int n = 0; n < 20000; n++)
			WAIT_FOR(send_text(rig.chr, "0123456789") == 10);
		chr_rig_teardown(&rig);
	}
	close(file);
	close(null);
	close(full);
}

/* A file at the limit of its size takes no more; the guest is not told, and room may come back. */
static void test_full_file(void **state)
{
	char path[] = "/tmp/axchr-XXXXXX", got[16] = "";
	const int file = mkostemp(path, O_CLOEXEC);
	struct rlimit limit, four = {.rlim_cur = 4};
	struct rig rig;

	(void)state;
	unlink(path);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	four.rlim_max = limit.rlim_max;
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = file});
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &four), 0);
	assert_int_equal(send_text(rig.chr, "0123456789"), 10);
	axchr_flush(rig.chr, 20000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(send_text(rig.chr, "again"), 5);
	axchr_flush(rig.chr, 20000);
	assert_int_equal(pread(file, got, sizeof(got), 0), 9);
	assert_string_equal(got, "0123again");
	chr_rig_teardown(&rig);
	signal(SIGXFSZ, SIG_DFL);
	close(file);
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
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = out[1]});
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
	chr_rig_teardown(&rig);
	close(out[0]);
	close(out[1]);
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
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = slave, .out_fd = slave});
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
	chr_rig_teardown(&rig); /* the loop stops although output is stuck */
	/* The master itself cannot be reopened: bytes go by readiness. */
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	chr_rig_setup(&rig, (struct axchr_config){.in_fd = -1, .out_fd = master});
	loop_start(&rig.lt);
	send_text(rig.chr, "in\n");
	assert_int_equal(read(slave, got, sizeof(got)), 3);
	for (int i = 0; i < 200; i++)
		axchr_send(rig.chr, chunk, sizeof(chunk));
	assert_int_equal(fcntl(master, F_GETFL) & O_NONBLOCK, 0);
	chr_rig_teardown(&rig);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),       cmocka_unit_test(test_order),
		cmocka_unit_test(test_closed_reader), cmocka_unit_test(test_output_kinds),
		cmocka_unit_test(test_full_file),     cmocka_unit_test(test_flush),
		cmocka_unit_test(test_terminal),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice chr", tests, NULL, NULL);
}
