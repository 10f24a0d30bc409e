/*
 * The switch between guests: who hears what, frames of every size, ports that do not listen, go
 * away, or lie about who they are, and the table by itself on a clock of the test's own.
 */
#include "../test.h"
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "axdevice/virtio/net_switch.h"

#define BROADCAST 0xffffffffffffULL
#define MAC(n)    (0x0000000000000002ULL | (uint64_t)(n) << 8) /* locally administered */
#define HEADER    12U
#define LARGEST   (HEADER + 65536 + 64)

static struct ax_loop *loop;
static struct axnet_switch *sw;
static uint8_t buffer[LARGEST + 100];

static void up(void)
{
	struct ax_error err = {0};

	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &loop, &err), 0);
	assert_int_equal(axnet_switch_create(loop, &sw, &err), 0);
}

static void run(void)
{
	while (ax_loop_step(loop))
		;
}

static void down(void)
{
	axnet_switch_destroy(sw);
	ax_loop_destroy(loop);
}

static int add(void)
{
	struct ax_error err = {0};
	int fd = -1;

	if (axnet_switch_add_port(sw, &fd, &err) < 0)
		fail_msg("%s", err.message);
	run();
	return fd;
}

static struct axnet_switch_stats stats(void)
{
	struct axnet_switch_stats s;

	axnet_switch_get_stats(sw, &s);
	return s;
}

/* A message of `len` bytes in all; its number stands behind the addresses. */
static void make(uint8_t *p, uint64_t to, uint64_t from, uint32_t number, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + number);
	for (unsigned i = 0; i < 6; i++) {
		p[HEADER + i] = (uint8_t)(to >> 8 * i);
		p[HEADER + 6 + i] = (uint8_t)(from >> 8 * i);
	}
	memcpy(p + HEADER + 14, &number, sizeof(number));
}

static bool put(int fd, uint64_t to, uint64_t from, uint32_t number, size_t len)
{
	make(buffer, to, from, number, len);
	return send(fd, buffer, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* Sent by one, and forwarded. */
static void say(int fd, uint64_t to, uint64_t from, uint32_t number)
{
	assert_true(put(fd, to, from, number, 100));
	run();
}

/* The next message's number; -1: none, -2: hung up. */
static int64_t hear(int fd)
{
	uint32_t number;
	const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < (ssize_t)(HEADER + 18))
		return n == 0 ? -2 : -1;
	memcpy(&number, buffer + HEADER + 14, sizeof(number));
	return number;
}

static void test_learning(void **state)
{
	int a, b, c;

	(void)state;
	up();
	a = add();
	b = add();
	c = add();
	assert_int_equal(stats().ports, 3);
	say(a, BROADCAST, MAC(1), 1);
	assert_int_equal(hear(a), -1);
	assert_int_equal(hear(b), 1);
	assert_int_equal(hear(c), 1);
	/* Unknown: flooded. Known: for one alone. */
	say(a, MAC(2), MAC(1), 2);
	assert_int_equal(hear(b), 2);
	assert_int_equal(hear(c), 2);
	say(b, MAC(1), MAC(2), 3);
	say(a, MAC(2), MAC(1), 4);
	assert_int_equal(hear(a), 3);
	assert_int_equal(hear(b), 4);
	assert_int_equal(hear(c), -1);
	/* Groups are never learned, and always for everybody. */
	say(c, 0x000001005e000001 & 0xffffffffffffULL, MAC(3), 5);
	assert_int_equal(hear(a), 5);
	assert_int_equal(hear(b), 5);
	/* To oneself: nobody's business. */
	say(a, MAC(1), MAC(1), 6);
	assert_int_equal(hear(a), -1);
	assert_int_equal(hear(b), -1);
	assert_int_equal(hear(c), -1);
	/* It has moved. */
	say(c, BROADCAST, MAC(2), 7);
	assert_int_equal(hear(a), 7);
	assert_int_equal(hear(b), 7);
	say(a, MAC(2), MAC(1), 8);
	assert_int_equal(hear(b), -1);
	assert_int_equal(hear(c), 8);
	assert_int_equal(stats().frames, 8);
	assert_int_equal(stats().bytes, 8 * (100 - HEADER));
	assert_int_equal(stats().flooded, 4);
	assert_int_equal(stats().dropped, 0);
	close(a);
	close(b);
	close(c);
	down();
}

/* From the smallest to the largest, with the header as it was. */
static void test_sizes(void **state)
{
	static const size_t good[] = {HEADER + 18, 60, 1526, 65535, 65536, 65550, LARGEST};
	static const size_t bad[] = {1, 11, 12, 13, 25, LARGEST + 1, LARGEST + 100};
	static uint8_t expected[LARGEST];
	int a, b;

	(void)state;
	up();
	a = add();
	b = add();
	for (size_t i = 0; i < AX_ARRAY_LEN(good); i++) {
		make(expected, BROADCAST, MAC(1), (uint32_t)i, good[i]);
		assert_int_equal(send(a, expected, good[i], MSG_DONTWAIT), good[i]);
		run();
		assert_int_equal(recv(b, buffer, sizeof(buffer), MSG_DONTWAIT), good[i]);
		assert_memory_equal(buffer, expected, good[i]);
	}
	memset(buffer, 2, sizeof(buffer));
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		assert_int_equal(send(a, buffer, bad[i], MSG_DONTWAIT), bad[i]);
		run();
		assert_int_equal(hear(b), -1);
		assert_int_equal(stats().dropped, i + 1);
	}
	/* Nothing at all is not the end. */
	assert_int_equal(send(a, buffer, 0, MSG_DONTWAIT), 0);
	run();
	assert_int_equal(stats().dropped, AX_ARRAY_LEN(bad) + 1);
	/* No station has a group's address, or none. */
	say(a, BROADCAST, BROADCAST, 1);
	say(a, BROADCAST, 0, 1);
	assert_int_equal(hear(b), -1);
	say(a, BROADCAST, MAC(1), 9);
	assert_int_equal(hear(b), 9);
	assert_int_equal(stats().ports, 2);
	close(a);
	close(b);
	down();
}

static void test_order(void **state)
{
	uint32_t sent = 0, heard = 0;
	int a, b;
	int64_t n;

	(void)state;
	up();
	a = add();
	b = add();
	say(b, BROADCAST, MAC(2), 0);
	assert_int_equal(hear(a), 0);
	while (heard < 20000) {
		for (unsigned i = 0; i < 100 && sent < 20000; i++) {
			if (!put(a, MAC(2), MAC(1), sent, sent % 50 ? 100 : 65000))
				break;
			sent++;
		}
		for (unsigned i = 0; i < 5; i++)
			ax_loop_step(loop);
		while ((n = hear(b)) >= 0) {
			assert_int_equal(n, heard);
			heard++;
		}
	}
	assert_int_equal(stats().dropped, 0);
	close(a);
	close(b);
	down();
}

/* A port that does not read costs its own frames, not the sender's time or the others' frames. */
static void test_full_port(void **state)
{
	uint64_t kept = 0;
	int a, b, c;

	(void)state;
	up();
	a = add();
	b = add();
	c = add();
	say(b, BROADCAST, MAC(2), 0);
	say(c, BROADCAST, MAC(3), 0);
	hear(a);
	hear(a);
	hear(b);
	hear(c);
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_true(put(a, MAC(3), MAC(1), i, LARGEST));
		say(a, MAC(2), MAC(1), i);
		assert_int_equal(hear(b), i);
	}
	assert_true(stats().dropped > 0);
	while (hear(c) == (int64_t)kept + 1)
		kept++;
	/* Several frames of a segmentation offload fit, and the rest was counted. */
	assert_true(kept >= 3);
	assert_int_equal(kept + stats().dropped, 1000);
	say(a, MAC(3), MAC(1), 77);
	assert_int_equal(hear(c), 77);
	close(a);
	close(b);
	close(c);
	down();
}

static void test_hang_up(void **state)
{
	int a, b, c;

	(void)state;
	up();
	a = add();
	b = add();
	c = add();
	say(b, BROADCAST, MAC(2), 0);
	assert_int_equal(hear(a), 0);
	assert_int_equal(hear(c), 0);
	/* What it had said before is still heard, though it has not read what it was told. */
	say(a, MAC(2), MAC(1), 1);
	for (uint32_t i = 0; i < 40; i++)
		assert_true(put(b, MAC(1), MAC(2), 100 + i, 100));
	close(b);
	run();
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(hear(a), 100 + i);
	assert_int_equal(hear(c), -1);
	assert_int_equal(stats().ports, 2);
	/* Its address is nobody's. */
	say(a, MAC(2), MAC(1), 2);
	assert_int_equal(hear(c), 2);
	/* A copy keeps a port. */
	b = dup(c);
	close(c);
	run();
	assert_int_equal(stats().ports, 2);
	say(a, BROADCAST, MAC(1), 3);
	assert_int_equal(hear(b), 3);
	/* Frames for a port that hangs up while they are on their way. */
	say(b, BROADCAST, MAC(3), 4);
	for (uint32_t i = 0; i < 64; i++)
		put(a, MAC(3), MAC(1), i, 1000);
	ax_loop_step(loop);
	close(b);
	run();
	assert_int_equal(stats().ports, 1);
	down();
	/* The switch's end is the ports'. */
	assert_int_equal(hear(a), 4);
	assert_int_equal(hear(a), -2);
	close(a);
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void test_comings_and_goings(void **state)
{
	unsigned files = open_files();
	struct ax_error err = {0};
	size_t heap;
	int fd[SWITCH_PORTS], one = -1;

	(void)state;
	up();
	close(add());
	run();
	heap = mallinfo2().uordblks;
	for (unsigned i = 0; i < 1000; i++) {
		fd[0] = add();
		fd[1] = add();
		say(fd[0], BROADCAST, MAC(i + 1), i);
		assert_int_equal(hear(fd[1]), i);
		close(fd[0]);
		close(fd[1]);
		run();
	}
	assert_int_equal(stats().ports, 0);
	assert_int_equal(mallinfo2().uordblks, heap);
	/* As many as there may be; one more is refused, and there is room again when one goes. */
	for (unsigned i = 0; i < SWITCH_PORTS; i++)
		fd[i] = add();
	assert_int_equal(axnet_switch_add_port(sw, &one, &err), -ENOSPC);
	assert_int_equal(one, -1);
	close(fd[7]);
	run();
	fd[7] = add();
	/* Floods to all of them want more operations than there are: nobody goes without. */
	for (uint32_t i = 0; i < 40; i++)
		assert_true(put(fd[0], BROADCAST, MAC(1), i, 100));
	run();
	for (unsigned p = 1; p < SWITCH_PORTS; p++) {
		for (uint32_t i = 0; i < 40; i++)
			assert_int_equal(hear(fd[p]), i);
	}
	assert_int_equal(stats().dropped, 0);
	for (unsigned i = 0; i < SWITCH_PORTS; i++)
		close(fd[i]);
	down();
	assert_int_equal(open_files(), files);
	/* Ports that no loop has ever seen. */
	up();
	assert_int_equal(axnet_switch_add_port(sw, &one, &err), 0);
	down();
	assert_int_equal(hear(one), -2);
	close(one);
	axnet_switch_destroy(NULL);
	assert_int_equal(open_files(), files);
}

/* Who makes up thirty thousand addresses does not hear what two others say to each other. */
static void test_made_up_addresses(void **state)
{
	int a, b, c;

	(void)state;
	up();
	a = add();
	b = add();
	c = add();
	say(a, BROADCAST, MAC(1), 0);
	say(b, MAC(1), MAC(2), 0);
	hear(a);
	hear(b);
	hear(c);
	for (uint64_t i = 0; i < 30000; i++) {
		if (!put(c, MAC(1),
			 (i * 0x9e3779b97f4a7c15ULL & 0xfffffffffe00ULL) | 0x100000000002, 7, 60))
			fail();
		run();
		while (hear(a) >= 0)
			;
	}
	for (uint32_t i = 0; i < 100; i++) {
		say(a, MAC(2), MAC(1), i);
		say(b, MAC(1), MAC(2), i);
		assert_int_equal(hear(b), i);
		assert_int_equal(hear(a), i);
		assert_int_equal(hear(c), -1);
	}
	close(a);
	close(b);
	close(c);
	down();
}

/* A guest that bridges two ports of a switch: what it repeats for ever does not grow. */
static void test_storm(void **state)
{
	uint64_t began_ns, most;
	int64_t n;
	int a, b, c;

	(void)state;
	up();
	a = add();
	b = add();
	c = add();
	began_ns = ax_clock_ns();
	for (uint32_t i = 0; i < 20000 && stats().dropped < 100; i++) {
		put(a, BROADCAST, MAC(1), i, 100);
		ax_loop_step(loop);
		while ((n = hear(b)) >= 0)
			put(c, BROADCAST, MAC(1), (uint32_t)n, 100);
		while ((n = hear(c)) >= 0)
			put(b, BROADCAST, MAC(1), (uint32_t)n, 100);
		while (hear(a) >= 0)
			;
	}
	run();
	/* Of each port, in copies: 16384 at once and 65536 a second. */
	most = 3 * (16384 + (ax_clock_ns() - began_ns) / 15258 + 3) / 3;
	assert_in_range(stats().flooded, 1, most);
	assert_true(stats().dropped > 0);
	close(a);
	close(b);
	close(c);
	down();
}

/* ---- the table ------------------------------------------------------------------------------- */

#define MINUTE (60 * 1000000000ULL)

static uint32_t entries_of(const struct switch_table *table, uint16_t port)
{
	uint32_t count = 0;

	for (unsigned s = 0; s < TABLE_SETS; s++) {
		for (unsigned i = 0; i < TABLE_WAYS; i++)
			count += table->entry[s][i].mac && table->entry[s][i].port == port;
	}
	assert_int_equal(table->count[port], count);
	return count;
}

static void test_table(void **state)
{
	static struct switch_table table;

	(void)state;
	axnet_table_init(&table, 0x123456789abcdef0);
	assert_int_equal(axnet_table_find(&table, MAC(1), MINUTE), TABLE_NO_PORT);
	axnet_table_learn(&table, MAC(1), 3, MINUTE);
	axnet_table_learn(&table, MAC(2), 4, 4 * MINUTE);
	assert_int_equal(axnet_table_find(&table, MAC(1), 6 * MINUTE), 3);
	assert_int_equal(axnet_table_find(&table, MAC(1), 6 * MINUTE + 1), TABLE_NO_PORT);
	axnet_table_sweep(&table, TABLE_NO_PORT, 6 * MINUTE + 1);
	assert_int_equal(entries_of(&table, 3), 0);
	assert_int_equal(entries_of(&table, 4), 1);
	axnet_table_learn(&table, MAC(2), 3, 7 * MINUTE); /* moves, and is young again */
	assert_int_equal(entries_of(&table, 4), 0);
	assert_int_equal(axnet_table_find(&table, MAC(2), 12 * MINUTE), 3);
	/* A port has so many, and takes no other's place. */
	for (uint64_t i = 0; i < 100; i++)
		axnet_table_learn(&table, MAC(1000 + i), 8, 8 * MINUTE);
	for (uint64_t i = 0; i < 200000; i++)
		axnet_table_learn(&table, MAC(100000 + i), 9, 8 * MINUTE + i);
	assert_int_equal(entries_of(&table, 9), TABLE_PER_PORT);
	assert_int_equal(entries_of(&table, 8), 100);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(axnet_table_find(&table, MAC(1000 + i), 9 * MINUTE), 8);
	axnet_table_sweep(&table, 9, 9 * MINUTE);
	assert_int_equal(entries_of(&table, 9), 0);
	assert_int_equal(entries_of(&table, 8), 100);
	/* All ports that do so: the table is full at most. */
	for (uint64_t i = 0; i < 1000000; i++)
		axnet_table_learn(&table, MAC(i), (uint16_t)(i % SWITCH_PORTS), 9 * MINUTE + i);
	for (uint16_t p = 0; p < SWITCH_PORTS; p++)
		assert_in_range(entries_of(&table, p), 1, TABLE_PER_PORT);
}

/* ---- threads --------------------------------------------------------------------------------- */

static atomic_bool enough;
static _Atomic unsigned failures;

static void *loop_thread(void *arg)
{
	if (ax_loop_run(arg, NULL) < 0)
		failures++;
	return NULL;
}

/* More ports that have something to say, always, than a ring takes at once: what was begun ends all
 * the same. */
static void test_all_talk(void **state)
{
	enum { PORTS = 250, EACH = 20 };
	struct ax_error err = {0};
	pthread_t runner;
	int fd[PORTS];

	(void)state;
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, &err), 0);
	assert_int_equal(axnet_switch_create(loop, &sw, &err), 0);
	for (unsigned i = 0; i < PORTS; i++)
		assert_int_equal(axnet_switch_add_port(sw, &fd[i], &err), 0);
	for (uint32_t i = 0; i < PORTS * EACH; i++)
		assert_true(put(fd[i % PORTS], i < 3 * PORTS ? BROADCAST : MAC(1),
				MAC(i % PORTS + 1), i, 100));
	assert_int_equal(pthread_create(&runner, NULL, loop_thread, loop), 0);
	wait_until(stats().frames == (uint64_t)PORTS * EACH);
	ax_loop_stop(loop);
	pthread_join(runner, NULL);
	assert_int_equal(failures, 0);
	for (unsigned i = 0; i < PORTS; i++)
		close(fd[i]);
	down();
}

/* Ports that come, say something and go, all the time. */
static void *guests(void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;
	uint8_t frame[100];

	while (!atomic_load(&enough)) {
		struct axnet_switch_stats s;
		int fd = -1;

		axnet_switch_get_stats(sw, &s);
		if (s.ports > 12 || axnet_switch_add_port(sw, &fd, NULL) < 0) {
			usleep(500); /* those before are still being closed */
			continue;
		}
		make(frame, i % 3 ? BROADCAST : MAC(i), MAC(1000 + i), i, sizeof(frame));
		for (unsigned k = 0; k < 10; k++)
			send(fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		i++;
	}
	return NULL;
}

static void with_threads(enum ax_loop_engine engine)
{
	pthread_t runner, guest[2];
	struct ax_error err = {0};
	uint32_t heard = 0;
	unsigned misses = 0;
	int a, b;

	atomic_store(&enough, false);
	assert_int_equal(ax_loop_create(engine, &loop, &err), 0);
	assert_int_equal(axnet_switch_create(loop, &sw, &err), 0);
	assert_int_equal(axnet_switch_add_port(sw, &a, &err), 0);
	assert_int_equal(axnet_switch_add_port(sw, &b, &err), 0);
	assert_int_equal(pthread_create(&runner, NULL, loop_thread, loop), 0);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&guest[i], NULL, guests, (void *)(i * 500)), 0);
	put(b, BROADCAST, 0x0000f2f2f2f2f202ULL & 0xffffffffffffULL, 1, 100);
	/* One after the other, through all of that. */
	while (heard < 200 && misses < 60) {
		struct pollfd wait = {.fd = b, .events = POLLIN};
		const uint32_t number = 0x10000000 + heard;
		int64_t n = -1;

		if (!put(a, 0xf2f2f2f2f202ULL, 0xf2f2f2f2f102ULL, number, 3000))
			misses++;
		while (n != number && poll(&wait, 1, 1000) == 1)
			n = hear(b);
		misses += n != number;
		heard += n == number;
		while (hear(a) >= 0)
			;
	}
	assert_int_equal(heard, 200);
	atomic_store(&enough, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(guest[i], NULL);
	wait_until(stats().ports == 2);
	ax_loop_stop(loop);
	pthread_join(runner, NULL);
	assert_int_equal(failures, 0);
	close(a);
	close(b);
	down();
}

static void test_threads(void **state)
{
	(void)state;
	with_threads(AX_LOOP_EPOLL);
	with_threads(AX_LOOP_AUTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learning),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full_port),
		cmocka_unit_test(test_hang_up),
		cmocka_unit_test(test_comings_and_goings),
		cmocka_unit_test(test_made_up_addresses),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all_talk),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
