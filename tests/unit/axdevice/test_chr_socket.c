/*
 * The character backend on a Unix socket: clients that come, wait, end their sending and go, with a
 * device or a reader that is slow meanwhile, and the socket's place in the file system. One thread:
 * the loop is stepped.
 */
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct ax_loop *loop;
static struct axchr *chr;
static struct ax_error err;
static char directory[64], path[96];

/* A device that takes as much as it may. */
static struct {
	size_t room, count;
	unsigned changes, can_sends;
	uint8_t bytes[4 << 20];
} device;

static size_t take(void *dev, const uint8_t *bytes, size_t count)
{
	const size_t n = count < device.room ? count : device.room;

	(void)dev;
	memcpy(device.bytes + device.count, bytes, n);
	device.count += n;
	device.room -= n;
	return n;
}

static void can_send(void *dev)
{
	(void)dev;
	device.can_sends++;
}

static void open_changed(void *dev)
{
	(void)dev;
	device.changes++;
}

static void allow(size_t room)
{
	device.room = room;
	axchr_resume_input(chr);
}

/* All there is to do; a loop that never comes to rest is a failure. */
static void settle(void)
{
	unsigned steps = 0;

	while (ax_loop_step(loop))
		assert_true(++steps < 100000);
}

static int setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	snprintf(directory, sizeof(directory), "/tmp/axchr-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/port", directory);
	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &loop, NULL), 0);
	return 0;
}

static void make(void)
{
	const struct axchr_config config = {.in_fd = -1, .out_fd = -1, .socket_path = path};

	if (axchr_create(&config, loop, &chr, &err) < 0)
		fail_msg("%s", err.message);
	axchr_bind(chr, &(struct axchr_device){
				.take = take, .can_send = can_send, .open_changed = open_changed});
	settle();
}

static int teardown(void **state)
{
	(void)state;
	axchr_destroy(chr);
	chr = NULL;
	ax_loop_destroy(loop);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static int client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	settle();
	return fd;
}

static void send_text(const char *text)
{
	assert_int_equal(axchr_send(chr, (const uint8_t *)text, strlen(text)), strlen(text));
	settle();
}

static void expect(int fd, const char *text)
{
	char got[256] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_int_equal(n, strlen(text) ? (ssize_t)strlen(text) : -1);
	assert_string_equal(got, text);
}

static void test_client(void **state)
{
	static uint8_t much[300000];
	struct stat st;
	int fd;

	(void)state;
	make();
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(axchr_is_open(chr));
	/* Nobody is there: all is taken, nothing is kept. */
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(axchr_send(chr, much, 30000), 30000);
		settle();
	}
	fd = client();
	assert_true(axchr_is_open(chr));
	assert_int_equal(device.changes, 1);
	expect(fd, "");
	send_text("to the client");
	expect(fd, "to the client");
	device.room = 100;
	assert_int_equal(send(fd, "\0\xff\r\n\x03", 5, 0), 5);
	settle();
	assert_int_equal(device.count, 5);
	assert_memory_equal(device.bytes, "\0\xff\r\n\x03", 5);
	close(fd);
	settle();
	assert_false(axchr_is_open(chr));
	assert_int_equal(device.changes, 2);
	send_text("to nobody");
	fd = client();
	send_text("again");
	expect(fd, "again");
	close(fd);
}

/* The second waits until the first has gone and all it sent was taken. */
static void test_turns(void **state)
{
	int first, second;

	(void)state;
	make();
	first = client();
	second = client();
	send_text("one");
	expect(first, "one");
	expect(second, "");
	assert_int_equal(send(second, "second", 6, 0), 6);
	assert_int_equal(send(first, "first", 5, 0), 5);
	close(first);
	settle();
	assert_int_equal(device.changes, 1);
	allow(3);
	settle();
	assert_int_equal(device.changes, 1);
	allow(3);
	settle();
	assert_int_equal(device.changes, 3);
	assert_true(axchr_is_open(chr));
	assert_memory_equal(device.bytes, "firsts", 6);
	send_text("two");
	expect(second, "two");
	allow(100);
	settle();
	assert_memory_equal(device.bytes, "firstsecond", 11);
	close(second);
}

static void test_half_close(void **state)
{
	char c;
	int fd;

	(void)state;
	make();
	fd = client();
	device.room = 100;
	assert_int_equal(send(fd, "question", 8, 0), 8);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	settle();
	assert_int_equal(device.count, 8);
	assert_true(axchr_is_open(chr));
	send_text("answer");
	expect(fd, "answer");
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	close(fd);
	settle();
	assert_false(axchr_is_open(chr));
	/* A client that reads no more, but is not gone, is only a loss of output. */
	fd = client();
	assert_int_equal(shutdown(fd, SHUT_RD), 0);
	send_text("unheard");
	send_text("unheard");
	assert_true(axchr_is_open(chr));
	assert_int_equal(send(fd, "still here", 10, 0), 10);
	settle();
	assert_int_equal(device.count, 18);
	close(fd);
	settle();
	assert_false(axchr_is_open(chr));
}

/* A flood while the device takes nothing: bounded, at rest, and nothing is lost, be the client
 * gone. */
static void test_slow_device(void **state)
{
	static uint8_t out[1 << 20];
	size_t sent = 0;
	ssize_t n;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i % 251);
	make();
	fd = client();
	while (sent < sizeof(out) && (n = send(fd, out + sent, sizeof(out) - sent, 0)) > 0) {
		sent += (size_t)n;
		settle();
	}
	assert_true(sent > 4096 && sent < sizeof(out));
	close(fd);
	settle();
	assert_int_equal(device.changes, 1);
	for (size_t want = 0; want < sent;) {
		const size_t room = 1 + want % 9973;

		want = want + room < sent ? want + room : sent;
		allow(room);
		settle();
		assert_int_equal(device.count, want);
	}
	assert_memory_equal(device.bytes, out, sent);
	assert_false(axchr_is_open(chr));
	assert_int_equal(device.changes, 2);
}

static void test_slow_reader(void **state)
{
	static uint8_t out[8192], in[8192];
	size_t sent = 0, got = 0, n;
	ssize_t r;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i % 251);
	make();
	fd = client();
	do {
		n = axchr_send(chr, out + sent % 251, 4096);
		sent += n;
		settle();
		assert_true(sent < 4u << 20);
	} while (n == 4096);
	assert_int_equal(device.can_sends, 0);
	while (got < sent) {
		r = recv(fd, in, sizeof(in), 0);
		settle();
		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(in[i], (got + (size_t)i) % 251);
		got += (size_t)r;
	}
	assert_int_equal(device.can_sends, 1);
	/* One that leaves with a full ring behind it: that is discarded, and the sender is told. */
	while (axchr_send(chr, out, 4096) == 4096)
		settle();
	close(fd);
	settle();
	assert_int_equal(device.can_sends, 2);
	assert_int_equal(device.changes, 2);
	fd = client();
	send_text("fresh");
	expect(fd, "fresh");
	close(fd);
}

static void refused(const char *at, int code)
{
	const struct axchr_config config = {.in_fd = -1, .out_fd = -1, .socket_path = at};
	struct axchr *none = NULL;

	memset(&err, 0, sizeof(err));
	assert_int_equal(axchr_create(&config, loop, &none, &err), -code);
	assert_null(none);
	assert_true(err.message[0] && err.sys_errno == code);
}

static void test_places(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char other[128], longest[200];
	struct stat st;
	int fd;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	refused(longest, ENAMETOOLONG);
	assert_non_null(strstr(err.message, "199"));
	refused("", EINVAL);
	snprintf(other, sizeof(other), "%s/none/port", directory);
	refused(other, ENOENT);
	/* What is no socket stays as it is. */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	refused(path, EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 4);
	unlink(path);
	/* Somebody listens. */
	make();
	refused(path, EADDRINUSE);
	fd = client();
	send_text("alive");
	expect(fd, "alive");
	close(fd);
	axchr_destroy(chr);
	assert_int_equal(stat(path, &st), -1);
	/* Nobody does any more. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	make();
	fd = client();
	send_text("replaced");
	expect(fd, "replaced");
	close(fd);
	/* What has taken our place is not ours to remove. */
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	axchr_destroy(chr);
	chr = NULL;
	assert_int_equal(stat(path, &st), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client),      TEST(test_turns),       TEST(test_half_close),
		TEST(test_slow_device), TEST(test_slow_reader), TEST(test_places),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice chr socket", tests, NULL, NULL);
}
