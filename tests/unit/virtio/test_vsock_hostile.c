/*
 * virtio-vsock against guests and host programs that mean no good (must-test 5): packets that are
 * wrong in every field, credit that is not kept to, more connections than there can be, clients
 * that say nothing or nonsense, and what stands at the socket's path before and after.
 */
#include "vsock_driver.h"
#include <sys/resource.h>

#define WAIT_S 5 /* how long a greeting, an answer or an end may take */

/* ---- the guest ------------------------------------------------------------------------------- */

static void test_strangers(void **state)
{
	static const uint16_t ops[] = {0, 2, 4, 5, 6, 7, 8, 99, 0xffff};
	struct virtio_vsock_hdr hdr;
	struct packet p;

	(void)state;
	up();
	/* To a connection that is not there anything but REQUEST is answered RST, but RST itself.
	 */
	for (size_t i = 0; i < AX_ARRAY_LEN(ops); i++) {
		send_op(ops[i], 7000, 1025, 0);
		expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
		expect_silence();
	}
	send_op(VIRTIO_VSOCK_OP_RST, 7000, 1025, 0);
	expect_silence();
	/* Unknown types are answered RST (5.10.6.4), of that type; SEQPACKET was not offered. */
	for (uint16_t type = 0; type < 4; type++) {
		hdr = header(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025);
		hdr.type = type;
		send_packet(&hdr, NULL, 0);
		assert_true(next_packet(&p));
		assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_RST);
		assert_int_equal(p.hdr.type, type);
		expect_silence();
	}
	/* In somebody else's name: dropped. */
	hdr = header(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025);
	hdr.src_cid = CID + 1;
	send_packet(&hdr, NULL, 0);
	hdr.src_cid = CID | 1ULL << 32;
	send_packet(&hdr, NULL, 0);
	expect_silence();
	/* To another guest or nobody: refused, as if from there. */
	hdr = header(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025);
	hdr.dst_cid = 9;
	send_packet(&hdr, NULL, 0);
	assert_true(next_packet(&p));
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(p.hdr.src_cid, 9);
	expect_silence();
	/* A chain that is no header: given back, and life goes on. */
	for (uint32_t len = 0; len < HDR; len += 11) {
		const struct buffer b = {TX_BUF, len, false};
		uint32_t id, written;

		offer_chain(&tx, &b, 1);
		wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, TX_QUEUE);
		assert_true(settle());
		assert_true(take_used(&tx, &id, &written));
	}
	expect_silence();
	assert_false(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	down();
}

/* Each of these ends its connection by RST, both sides of it. */
static void test_connection_broken(void **state)
{
	static uint8_t bulk[65536];
	struct virtio_vsock_hdr hdr;
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	for (unsigned how = 0; how < 7; how++) {
		uint32_t len = 0;

		fd = guest_opens(listener, 7000, 1025);
		hdr = header(VIRTIO_VSOCK_OP_RW, 7000, 1025);
		switch (how) {
		case 0: /* more than there is (must-test 5: header length against buffer) */
			hdr.len = 101;
			len = 100;
			break;
		case 1:
			hdr.len = 0xffffffff;
			len = 100;
			break;
		case 2: /* the same ports again */
			hdr.op = VIRTIO_VSOCK_OP_REQUEST;
			break;
		case 3:
			hdr.op = VIRTIO_VSOCK_OP_RESPONSE;
			break;
		case 4:
			hdr.op = 77;
			break;
		case 5: /* it took more than it was sent */
			hdr.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
			hdr.fwd_cnt = 1;
			break;
		case 6:
			hdr.len = 5;
			hdr.fwd_cnt = 0x7fffffff;
			len = 5;
			break;
		}
		send_packet(&hdr, bulk, len);
		expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
		expect_silence();
		expect_closed(fd);
		close(fd);
	}
	/* Surplus of the buffer is not payload. */
	fd = guest_opens(listener, 7000, 1025);
	hdr = header(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	hdr.len = 3;
	send_packet(&hdr, "abcdef", 6);
	expect_text(fd, "abc");
	hdr.len = 0;
	send_packet(&hdr, "abcdef", 6);
	hdr.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	hdr.len = 77;
	send_packet(&hdr, "abcdef", 6);
	expect_silence();
	close(fd);
	close(listener);
	down();
}

/* A guest that sends more than it has credit for, however little it is. */
static void test_credit_overrun(void **state)
{
	static uint8_t bulk[65536];
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	uint32_t sent = 0, fwd = 0, alloc;
	int listener, fd, other;
	struct packet p;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025, 0);
	alloc = expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1025).hdr.buf_alloc;
	fd = accept(listener, NULL, NULL);
	other = guest_opens(listener, 7000, 1026);
	do {
		const uint32_t room = alloc - (sent - fwd);

		hdr.len = room < sizeof(bulk) ? room : sizeof(bulk);
		send_packet(&hdr, bulk, hdr.len);
		sent += hdr.len;
		while (next_packet(&p))
			fwd = p.hdr.fwd_cnt;
	} while (sent - fwd < alloc);
	/* All of the credit is used, which is fine. One byte more is not. */
	expect_silence();
	hdr.len = 1;
	send_packet(&hdr, bulk, 1);
	expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
	expect_silence();
	guest_writes(7000, 1026, "not concerned");
	expect_text(other, "not concerned");
	close(fd);
	close(other);
	close(listener);
	down();
}

/* RX buffers that hold no header, or nothing else, are an error of the driver's (5.10.6.1). */
static void test_tiny_buffers(void **state)
{
	static const uint32_t sizes[] = {0, 1, HDR - 1, HDR};
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	for (size_t i = 0; i < AX_ARRAY_LEN(sizes); i++) {
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		start_driver(1);
		keep_buffers = true;
		send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025, 0);
		expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1025);
		fd = accept(listener, NULL, NULL);
		host_write(fd, "data");
		assert_true(settle());
		set_desc(&rx, 7, RX_BUF, sizes[i], VRING_DESC_F_WRITE, 0);
		offer(&rx, 7);
		wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, RX_QUEUE);
		assert_true(settle());
		assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
		close(fd);
		assert_true(settle());
	}
	/* In as many pieces as there can be it is none. */
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	start_driver(0);
	for (unsigned i = 0; i < RX_SIZE; i++)
		set_desc(&rx, i, RX_BUF + i * 2, 2, VRING_DESC_F_WRITE | (i < 31 ? 1 : 0),
			 (uint16_t)(i + 1));
	offer(&rx, 0);
	keep_buffers = true;
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7999, 1025, 0);
	expect(VIRTIO_VSOCK_OP_RST, 7999, 1025);
	down();
}

/* More connections than there can be: the rest is refused, and it heals. */
static void test_exhaustion(void **state)
{
	unsigned accepted = 0, refused = 0, files = open_files(), port;
	int listener, fd;
	struct packet p;
	uint32_t host_port;

	(void)state;
	up();
	listener = host_listen(7000, 4096);
	for (port = 0; port < 3000; port++) {
		send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, port, 0);
		assert_true(next_packet(&p));
		accepted += p.hdr.op == VIRTIO_VSOCK_OP_RESPONSE;
		refused += p.hdr.op == VIRTIO_VSOCK_OP_RST;
	}
	assert_int_equal(accepted + refused, 3000);
	assert_true(accepted >= 256 && accepted <= 1024);
	assert_true(open_files() < files + accepted + 16);
	/* A host program gets no connection now, and the device does not spin about it. */
	fd = host_connect("CONNECT 52\n");
	expect_silence();
	for (port = 0; port < 3000; port++) {
		send_op(VIRTIO_VSOCK_OP_RST, 7000, port, 0);
		if (next_packet(&p)) /* the host program's turn */
			break;
	}
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	host_port = p.hdr.src_port;
	send_op(VIRTIO_VSOCK_OP_RST, host_port, 52, 0);
	expect_closed(fd);
	close(fd);
	for (; port < 3000; port++)
		send_op(VIRTIO_VSOCK_OP_RST, 7000, port, 0);
	close(listener);
	expect_silence();
	assert_true(open_files() < files + 16);
	/* And 100,000 that nobody listens for. */
	for (unsigned i = 0; i < 100000; i++) {
		send_op(VIRTIO_VSOCK_OP_REQUEST, 7001, i, 0);
		expect(VIRTIO_VSOCK_OP_RST, 7001, i);
	}
	assert_true(open_files() < files + 16);
	down();
}

/* A guest that asks and asks and takes no answers is not listened to, until it takes them. */
static void test_no_answers_taken(void **state)
{
	unsigned taken = 0, answers = 0, i;
	uint32_t id, len;
	struct packet p;

	(void)state;
	up();
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	start_driver(0);
	for (i = 0; i < 10000; i++) {
		struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, 7000, i);

		offer_packet(&hdr, NULL, 0);
		assert_true(settle());
		if (!take_used(&tx, &id, &len))
			break;
	}
	assert_true(i >= 16 && i < 10000); /* bounded: the device does not collect answers */
	taken = i;
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, TX_QUEUE);
	assert_true(settle());
	assert_false(take_used(&tx, &id, &len));
	for (unsigned b = 0; b < RX_SIZE; b++)
		give_buffer(b);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, RX_QUEUE);
	assert_true(settle());
	while (settle() && next_packet(&p)) {
		assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_RST);
		assert_int_equal(p.hdr.dst_port, answers);
		answers++;
	}
	assert_int_equal(answers, taken + 1);
	assert_true(take_used(&tx, &id, &len));
	down();
}

/* ---- host programs --------------------------------------------------------------------------- */

static void test_greetings(void **state)
{
	static const char *const wrong[] = {
		"connect 52\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT 4294967295\n",
		"CONNECT -1\n",
		"CONNECT 52 \n",
		"CONNECT  52\n",
		"CONNECT 52\r\n",
		"CONNECT 0x34\n",
		"CONNECT 99999999999999999999\n",
		"GET / HTTP/1.1\r\n\r\n",
		"\n",
		"CONNECT 00000000000000052\n",
	};
	static const char nul[] = "CONNECT 52\0\n";
	struct packet p;
	int fd;

	(void)state;
	up();
	for (size_t i = 0; i < AX_ARRAY_LEN(wrong); i++) {
		fd = host_connect(wrong[i]);
		expect_closed(fd);
		close(fd);
	}
	fd = host_connect(NULL);
	assert_int_equal(send(fd, nul, sizeof(nul) - 1, 0), sizeof(nul) - 1);
	expect_closed(fd);
	close(fd);
	/* Without end: closed when no legal line could be so long. */
	fd = host_connect("CONNECT 42949672940000000000");
	expect_closed(fd);
	close(fd);
	fd = host_connect("CONN");
	shutdown(fd, SHUT_WR);
	expect_closed(fd);
	close(fd);
	expect_silence();
	/* In pieces it is as good as in one. */
	fd = host_connect("C");
	assert_true(settle()); /* no spinning on half a line */
	host_write(fd, "ONNECT 429496729");
	assert_true(settle());
	host_write(fd, "4\n");
	assert_true(settle());
	assert_true(next_packet(&p));
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p.hdr.dst_port, 4294967294U);
	/* Who goes away before the guest has answered takes his request along. */
	close(fd);
	expect(VIRTIO_VSOCK_OP_RST, p.hdr.src_port, 4294967294U);
	send_op(VIRTIO_VSOCK_OP_RESPONSE, p.hdr.src_port, 4294967294U, 0);
	expect(VIRTIO_VSOCK_OP_RST, p.hdr.src_port, 4294967294U);
	expect_silence();
	/* Before it could even be asked the guest hears nothing of it. */
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	start_driver(0);
	fd = host_connect("CONNECT 9\n");
	assert_true(settle());
	close(fd);
	assert_true(settle());
	for (unsigned i = 0; i < RX_SIZE; i++)
		give_buffer(i);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, RX_QUEUE);
	expect_silence();
	down();
}

static void wait_seconds(double seconds)
{
	const uint64_t until = ax_clock_ns() + (uint64_t)(seconds * 1e9);

	while (ax_clock_ns() < until) {
		assert_true(settle());
		poll(NULL, 0, 20);
	}
}

/* Clients that say nothing, a guest that does not answer, one that does not end: all have a limit
 * in number or time, and with them waiting there is room for others. */
static void test_time_limits(void **state)
{
	int silent[100], unanswered, ended, listener, fd;
	uint32_t ended_port;
	unsigned closed = 0;
	struct packet p;
	uint64_t begun_ns;
	bool eof, in_time;

	(void)state;
	up();
	ended = host_opens(52, &ended_port);
	begun_ns = ax_clock_ns();
	unanswered = host_connect("CONNECT 53\n");
	assert_true(settle());
	assert_true(next_packet(&p));
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	close(ended);
	while (expect(VIRTIO_VSOCK_OP_SHUTDOWN, ended_port, 52).hdr.flags != 3)
		;
	for (unsigned i = 0; i < AX_ARRAY_LEN(silent); i++)
		silent[i] = host_connect(NULL);
	assert_true(settle());
	listener = host_listen(7000, 1);
	fd = guest_opens(listener, 7000, 1025);
	wait_seconds(WAIT_S - 1.5);
	/* On a machine that stalls it may be late already. */
	in_time = ax_clock_ns() - begun_ns < WAIT_S * 1000000000ULL - 500000000;
	host_read(unanswered, &eof);
	assert_false(eof && in_time);
	host_read(silent[0], &eof);
	assert_false(eof && in_time);
	if (in_time)
		expect_silence();
	wait_seconds(3);
	expect_closed(unanswered);
	expect_closed(silent[0]);
	/* The ones that did not fit at first have come in and have their time. */
	for (unsigned i = 0; i < AX_ARRAY_LEN(silent); i++) {
		host_read(silent[i], &eof);
		closed += eof;
		close(silent[i]);
	}
	assert_true(closed >= 32 && closed < AX_ARRAY_LEN(silent));
	closed = 0;
	while (settle() && next_packet(&p)) {
		assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_RST);
		closed++;
	}
	assert_int_equal(closed, 2);
	/* What is open has no limit. */
	guest_writes(7000, 1025, "still here");
	expect_text(fd, "still here");
	close(unanswered);
	close(fd);
	close(listener);
	down();
}

/* A listener whose backlog is full is tried again. */
static void test_full_backlog(void **state)
{
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 0);
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 1, 0);
	expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1);
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 2, 0);
	expect_silence();
	fd = accept(listener, NULL, NULL);
	wait_seconds(0.3);
	expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 2);
	close(fd);
	close(listener);
	down();
}

/* ---- the socket's file ----------------------------------------------------------------------- */

static int create(const char *at, uint64_t cid)
{
	const struct axvirtio_vsock_config config = {.cid = cid, .path = at};

	device = NULL;
	memset(&err, 0, sizeof(err));
	return axvirtio_vsock_create("vsock0", &config, &device, &err);
}

static void test_socket_file(void **state)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sockaddr_un at;
	struct axvirtio *first;
	struct stat st;
	char file[128];
	mode_t mask;
	int fd;

	(void)state;
	make_directory();
	mask = umask(0);
	assert_int_equal(create(path, 3), 0);
	umask(mask);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Alive: in use. */
	first = device;
	assert_int_equal(create(path, 4), -EADDRINUSE);
	assert_non_null(strstr(err.message, path));
	axvirtio_destroy(first);
	assert_int_equal(lstat(path, &st), -1);
	/* Stale: replaced. */
	at = address;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(create(path, 4294967294), 0);
	/* Somebody else has put his own there meanwhile: it stays. */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	axvirtio_destroy(device);
	assert_int_equal(lstat(path, &st), 0);
	/* A file that is no socket is never removed. */
	assert_int_equal(create(path, 3), -EEXIST);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	snprintf(file, sizeof(file), "%s/none/v", directory);
	assert_int_equal(create(file, 3), -ENOENT);
	assert_true(err.hint[0]);
	memset(file, 'x', sizeof(file) - 1);
	file[sizeof(file) - 1] = '\0';
	memcpy(file, directory, strlen(directory));
	file[strlen(directory)] = '/';
	for (size_t length = 120; length > 96; length--) {
		file[length] = '\0';
		assert_int_equal(create(file, 3), -ENAMETOOLONG);
	}
	/* With the longest that is taken, the longest port fits too. */
	file[96] = '\0';
	assert_int_equal(create(file, 3), 0);
	axvirtio_destroy(device);
	assert_int_equal(create(NULL, 3), -EINVAL);
	assert_int_equal(create("", 3), -EINVAL);
	assert_int_equal(unlink(path), 0);
	for (uint64_t cid = 0; cid < 3; cid++)
		assert_int_equal(create(path, cid), -EINVAL);
	assert_int_equal(create(path, UINT32_MAX), -EINVAL);
	assert_int_equal(create(path, 1ULL << 32 | 5), -EINVAL);
	assert_int_equal(lstat(path, &st), -1);
	remove_directory();
}

static int more_files(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 4096) {
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strangers),      cmocka_unit_test(test_connection_broken),
		cmocka_unit_test(test_credit_overrun), cmocka_unit_test(test_tiny_buffers),
		cmocka_unit_test(test_exhaustion),     cmocka_unit_test(test_no_answers_taken),
		cmocka_unit_test(test_greetings),      cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_full_backlog),   cmocka_unit_test(test_socket_file),
	};
	return cmocka_run_group_tests(tests, more_files, NULL);
}
