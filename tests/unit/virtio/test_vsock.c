/*
 * virtio-vsock between a driver and host programs (Spec 5.10.6): connections both ways, streams
 * with credit, how connections close, resets and pauses.
 */
#include "vsock_driver.h"
#include <linux/virtio_ids.h>

#define RCV  VIRTIO_VSOCK_SHUTDOWN_RCV
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND

static void test_config(void **state)
{
	(void)state;
	up();
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_VSOCK);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), CID);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG + 4), 0);
	assert_int_equal(offered(dev) & 0xffffff, 0); /* neither SEQPACKET nor anything else */
	assert_int_equal(axvirtio_vsock_class.type, 0xe6);
	assert_ptr_equal(axdev_class_by_name("virtio-vsock"), &axvirtio_vsock_class);
	down();
}

static void test_guest_connects(void **state)
{
	struct packet p;
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	fd = guest_opens(listener, 7000, 1025);
	guest_writes(7000, 1025, "hello host");
	expect_text(fd, "hello host");
	host_write(fd, "hello guest");
	p = expect(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	assert_int_equal(p.len, 11);
	assert_memory_equal(p.data, "hello guest", 11);
	/* It says what has been passed on, and how much room there is. */
	assert_int_equal(p.hdr.fwd_cnt, 10);
	assert_true(p.hdr.buf_alloc >= 4096);
	expect_silence();
	close(fd);
	close(listener);
	down();
}

static void test_host_connects(void **state)
{
	struct packet p;
	uint32_t port, second;
	int fd, other, early;

	(void)state;
	up();
	fd = host_opens(52, &port);
	other = host_opens(52, &second);
	assert_int_not_equal(port, second); /* else they would be one */
	host_write(fd, "ping");
	p = expect(VIRTIO_VSOCK_OP_RW, port, 52);
	assert_memory_equal(p.data, "ping", 4);
	guest_writes(second, 52, "pong");
	expect_text(other, "pong");
	/* What follows the line at once belongs to the stream. */
	early = host_connect("CONNECT 9\nfirst words");
	assert_true(settle());
	assert_true(next_packet(&p));
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p.hdr.dst_port, 9);
	expect_silence();
	send_op(VIRTIO_VSOCK_OP_RESPONSE, p.hdr.src_port, 9, 0);
	p = expect(VIRTIO_VSOCK_OP_RW, p.hdr.src_port, 9);
	assert_int_equal(p.len, 11);
	assert_memory_equal(p.data, "first words", 11);
	close(fd);
	close(other);
	close(early);
	down();
}

static void test_refused(void **state)
{
	struct packet p;
	int fd;

	(void)state;
	up();
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7001, 1025, 0);
	expect(VIRTIO_VSOCK_OP_RST, 7001, 1025);
	fd = host_connect("CONNECT 53\n");
	assert_true(settle());
	assert_true(next_packet(&p));
	send_op(VIRTIO_VSOCK_OP_RST, p.hdr.src_port, 53, 0);
	expect_closed(fd);
	expect_silence(); /* an RST is not answered */
	close(fd);
	down();
}

/* ---- streams --------------------------------------------------------------------------------- */

struct flow {
	uint32_t sent, received; /* mod 2^32 */
	uint32_t peer_alloc, peer_fwd;
};

static uint8_t pattern(uint32_t at)
{
	return (uint8_t)(at * 2654435761U >> 24);
}

/* Megabytes from guest to host and back by an echoing host program, in chunks of any size, by a
 * guest that keeps to its credit and a host that reads when it feels like it. */
static void test_echo(void **state)
{
	const uint32_t total = 8U << 20;
	struct flow out = {0}, in = {0};
	static uint8_t chunk[65536], echo[65536];
	uint32_t echo_bytes = 0, echo_at = 0, stalls = 0, idle = 0;
	int listener, fd;
	struct packet p;

	(void)state;
	srand(7);
	up();
	listener = host_listen(7000, 4);
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025, 0);
	p = expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1025);
	out.peer_alloc = p.hdr.buf_alloc;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (in.received < total) {
		const uint32_t room = out.peer_alloc - (out.sent - out.peer_fwd);
		uint32_t n = 1 + (uint32_t)rand() % (rand() % 8 ? 3000 : sizeof(chunk));
		bool any = false;

		n = n < room ? n : room;
		n = n < total - out.sent ? n : total - out.sent;
		stalls += !room;
		if (n) {
			struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, 7000, 1025);

			for (uint32_t i = 0; i < n; i++)
				chunk[i] = pattern(out.sent + i);
			hdr.len = n;
			hdr.fwd_cnt = in.received;
			send_packet(&hdr, chunk, n);
			out.sent += n;
			any = true;
		}
		/* The host program: not at every turn, and not all at once. */
		if (echo_at == echo_bytes && (!n || rand() % 4 == 0)) {
			const ssize_t got =
				recv(fd, echo, 1 + (size_t)rand() % sizeof(echo), MSG_DONTWAIT);

			echo_at = 0;
			echo_bytes = got > 0 ? (uint32_t)got : 0;
		}
		if (echo_at < echo_bytes) {
			const ssize_t put = send(fd, echo + echo_at, echo_bytes - echo_at,
						 MSG_DONTWAIT | MSG_NOSIGNAL);

			echo_at += put > 0 ? (uint32_t)put : 0;
			any = any || put > 0;
		}
		assert_true(settle());
		while (next_packet(&p)) {
			any = true;
			out.peer_alloc = p.hdr.buf_alloc;
			out.peer_fwd = p.hdr.fwd_cnt;
			assert_true(out.sent - out.peer_fwd <= out.peer_alloc);
			for (uint32_t i = 0; i < p.len; i++)
				if (p.data[i] != pattern(in.received + i))
					fail_msg("byte %u is wrong", in.received + i);
			in.received += p.len;
			/* Never more in flight than the guest has room for. */
			assert_true(in.received - in.peer_fwd <= MY_CREDIT);
			if (p.hdr.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST || rand() % 8 == 0) {
				struct virtio_vsock_hdr hdr =
					header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7000, 1025);

				hdr.fwd_cnt = in.peer_fwd = in.received;
				send_packet(&hdr, NULL, 0);
			}
			assert_true(settle());
		}
		if (n)
			in.peer_fwd = in.received;
		idle = any ? 0 : idle + 1;
		if (idle > 1000)
			fail_msg("stuck after %u of %u bytes", in.received, out.sent);
	}
	assert_int_equal(in.received, total);
	assert_true(stalls > 0);
	close(fd);
	close(listener);
	down();
}

/* Without credit nothing is sent but one question, and nothing spins (must-test 5). */
static void test_no_credit(void **state)
{
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025);
	int listener, fd;
	struct packet p;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	hdr.buf_alloc = 100;
	hdr.fwd_cnt = 0;
	send_packet(&hdr, NULL, 0);
	expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1025);
	fd = accept(listener, NULL, NULL);
	for (unsigned i = 0; i < 250; i++)
		host_write(fd, "x");
	p = expect(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	assert_int_equal(p.len, 100);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7000, 1025);
	expect_silence();
	hdr.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	hdr.fwd_cnt = 60;
	send_packet(&hdr, NULL, 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 60);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7000, 1025);
	hdr.fwd_cnt = 160;
	send_packet(&hdr, NULL, 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 90);
	expect_silence();
	/* And it answers when it is asked itself. */
	guest_writes(7000, 1025, "12345");
	send_op(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7000, 1025, 0);
	/* that had fwd_cnt 0 again: 250 in flight of MY_CREDIT, still legal */
	assert_int_equal(expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7000, 1025).hdr.fwd_cnt, 5);
	close(fd);
	close(listener);
	down();
}

/* Write as much as the host program's not reading and the credit allow. Returns how much. */
static uint32_t fill_up(uint32_t guest_port, uint32_t alloc)
{
	static uint8_t bulk[65536];
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, 7000, guest_port);
	uint32_t sent = 0, fwd = 0;
	struct packet p;

	while (sent - fwd < alloc) {
		const uint32_t room = alloc - (sent - fwd);

		hdr.len = room < sizeof(bulk) ? room : sizeof(bulk);
		for (uint32_t i = 0; i < hdr.len; i++)
			bulk[i] = pattern(sent + i);
		send_packet(&hdr, bulk, hdr.len);
		sent += hdr.len;
		assert_true(sent < 64U << 20); /* the socket's and our room are bounded */
		while (next_packet(&p)) {
			assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			fwd = p.hdr.fwd_cnt;
		}
	}
	return sent;
}

/* What a host program reads to the end. */
static uint32_t read_all(int fd)
{
	static uint8_t bulk[65536];
	uint32_t got = 0;

	for (;;) {
		const ssize_t n = recv(fd, bulk, sizeof(bulk), MSG_DONTWAIT);

		if (n == 0)
			return got;
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bulk[i], pattern(got + (uint32_t)i));
		got += (uint32_t)n;
		assert_true(settle());
	}
}

/* A host program that does not read stops its own connection and no other. */
static void test_slow_reader(void **state)
{
	uint32_t sent, alloc;
	int listener, slow, quick;
	struct packet p;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7000, 1025, 0);
	alloc = expect(VIRTIO_VSOCK_OP_RESPONSE, 7000, 1025).hdr.buf_alloc;
	slow = accept(listener, NULL, NULL);
	quick = guest_opens(listener, 7000, 1026);
	sent = fill_up(1025, alloc);
	guest_writes(7000, 1026, "quick");
	expect_text(quick, "quick");
	host_write(quick, "answer");
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1026).len, 6);
	expect_silence();
	/* The guest closes: it is through with it, and what it wrote still arrives. */
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, RCV | SEND);
	expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
	assert_int_equal(read_all(slow), sent);
	expect_silence();
	close(slow);
	/* The guest only says that it is through with writing: the end comes after all it wrote. */
	slow = guest_opens(listener, 7000, 1025);
	sent = fill_up(1025, alloc);
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, SEND);
	assert_int_equal(read_all(slow), sent);
	while (settle() && next_packet(&p))
		assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	host_write(slow, "answer");
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 6);
	close(slow);
	close(quick);
	close(listener);
	down();
}

/* ---- closing --------------------------------------------------------------------------------- */

static void test_guest_half_closes(void **state)
{
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	fd = guest_opens(listener, 7000, 1025);
	guest_writes(7000, 1025, "last");
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, SEND);
	expect_text(fd, "last");
	expect_closed(fd); /* end of file; the other direction works */
	host_write(fd, "still there");
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 11);
	expect_silence();
	/* Flags add up: now both directions have ended. */
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, RCV);
	expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	close(fd);
	/* The guest reads no more, but writes. */
	fd = guest_opens(listener, 7000, 1025);
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, RCV);
	assert_true(settle());
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	guest_writes(7000, 1025, "more");
	expect_text(fd, "more");
	expect_silence();
	/* Writing after having said not to is an error. */
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, SEND);
	expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
	close(fd);
	fd = guest_opens(listener, 7000, 1025);
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025, SEND);
	guest_writes(7000, 1025, "what?");
	expect(VIRTIO_VSOCK_OP_RST, 7000, 1025);
	close(fd);
	close(listener);
	down();
}

static void test_host_half_closes(void **state)
{
	struct packet p;
	uint32_t port;
	int fd;

	(void)state;
	up();
	fd = host_opens(52, &port);
	host_write(fd, "bye");
	shutdown(fd, SHUT_WR);
	p = expect(VIRTIO_VSOCK_OP_RW, port, 52);
	assert_int_equal(p.len, 3);
	p = expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52);
	assert_int_equal(p.hdr.flags, SEND);
	expect_silence();
	guest_writes(port, 52, "answer");
	expect_text(fd, "answer");
	/* Now the guest is through too: both directions have ended. */
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52, RCV | SEND);
	expect(VIRTIO_VSOCK_OP_RST, port, 52);
	expect_closed(fd);
	close(fd);
	/* The host reads no more. */
	fd = host_opens(52, &port);
	shutdown(fd, SHUT_RD);
	guest_writes(port, 52, "nobody hears this");
	p = expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52);
	assert_int_equal(p.hdr.flags, RCV);
	host_write(fd, "but");
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, port, 52).len, 3);
	expect_silence();
	close(fd);
	p = expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52);
	assert_int_equal(p.hdr.flags, RCV | SEND);
	send_op(VIRTIO_VSOCK_OP_RST, port, 52, 0);
	expect_silence();
	down();
}

/* The host closes: all it wrote arrives, then both flags, and the guest's RST ends it. */
static void test_host_closes(void **state)
{
	struct packet p;
	uint32_t port, got = 0;
	uint8_t bulk[30000] = {0};
	int fd;

	(void)state;
	up();
	fd = host_opens(52, &port);
	assert_int_equal(send(fd, bulk, sizeof(bulk), 0), sizeof(bulk));
	close(fd);
	while (got < sizeof(bulk))
		got += expect(VIRTIO_VSOCK_OP_RW, port, 52).len;
	p = expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52);
	if (p.hdr.flags != (RCV | SEND))
		p = expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52);
	assert_int_equal(p.hdr.flags, RCV | SEND);
	/* What was under way meanwhile is lost, quietly. */
	guest_writes(port, 52, "too late");
	expect_silence();
	send_op(VIRTIO_VSOCK_OP_RST, port, 52, 0);
	expect_silence();
	/* It is forgotten now. */
	guest_writes(port, 52, "who is there?");
	expect(VIRTIO_VSOCK_OP_RST, port, 52);
	down();
}

/* ---- descriptors and memory ------------------------------------------------------------------ */

static uint64_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages;

	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_cycles(void **state)
{
	uint64_t mapped;
	unsigned before;
	uint32_t port;
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	before = open_files();
	mapped = mapped_bytes();
	for (unsigned i = 0; i < 1000; i++) {
		fd = guest_opens(listener, 7000, 1025 + i);
		guest_writes(7000, 1025 + i, "x");
		if (i % 2) {
			send_op(VIRTIO_VSOCK_OP_SHUTDOWN, 7000, 1025 + i, RCV | SEND);
			expect(VIRTIO_VSOCK_OP_RST, 7000, 1025 + i);
		} else {
			send_op(VIRTIO_VSOCK_OP_RST, 7000, 1025 + i, 0);
		}
		close(fd);
		fd = host_opens(52, &port);
		close(fd);
		while (expect(VIRTIO_VSOCK_OP_SHUTDOWN, port, 52).hdr.flags != (RCV | SEND))
			;
		send_op(VIRTIO_VSOCK_OP_RST, port, 52, 0);
	}
	expect_silence();
	assert_int_equal(open_files(), before);
	/* 2000 connections; what a connection keeps for a slow reader is tens of KiB at least. */
	assert_true(mapped_bytes() < mapped + (16U << 20));
	close(listener);
	down();
}

/* ---- resets, pauses, missing buffers --------------------------------------------------------- */

static void test_reset(void **state)
{
	int listener, fd, client, said_nothing;
	uint32_t port;
	unsigned before;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	before = open_files();
	fd = guest_opens(listener, 7000, 1025);
	client = host_opens(52, &port);
	said_nothing = host_connect(NULL);
	assert_true(settle());
	host_write(client, "never to arrive");
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	/* Without a driver coming back, too. */
	expect_closed(fd);
	expect_closed(client);
	close(fd);
	close(client);
	start_driver(RX_SIZE);
	expect_silence();
	guest_writes(port, 52, "old");
	expect(VIRTIO_VSOCK_OP_RST, port, 52);
	/* Who had not said whom to connect to is not concerned. */
	host_write(said_nothing, "CONNECT 77\n");
	assert_true(settle());
	assert_int_equal(used_shown(&rx), 2);
	close(said_nothing);
	assert_true(settle());
	assert_int_equal(open_files(), before);
	/* A reset and a new driver at once: nothing of the old reaches it. */
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	start_driver(RX_SIZE);
	fd = guest_opens(listener, 7000, 1025);
	host_write(fd, "old words");
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	start_driver(RX_SIZE);
	expect_silence();
	expect_closed(fd);
	close(fd);
	fd = guest_opens(listener, 7000, 1025);
	guest_writes(7000, 1025, "new");
	expect_text(fd, "new");
	close(fd);
	close(listener);
	down();
}

static void test_pause(void **state)
{
	int listener, fd;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	fd = guest_opens(listener, 7000, 1025);
	assert_int_equal(dev->ops->suspend(dev, &err), 0);
	host_write(fd, "while away");
	assert_true(settle()); /* no spinning on what cannot be delivered */
	assert_int_equal(used_shown(&rx), rx.used_idx);
	assert_int_equal(dev->ops->resume(dev, &err), 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 10);
	host_write(fd, "and again");
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW, 7000, 1025).len, 9);
	close(fd);
	close(listener);
	down();
}

static void test_no_buffers(void **state)
{
	static const char text[] = "something that takes more than one buffer of the guest";
	static uint8_t bulk[RX_BYTES * 40];
	uint32_t got = 0, id, len;
	int listener, fd;
	struct packet p;

	(void)state;
	up();
	listener = host_listen(7000, 4);
	fd = guest_opens(listener, 7000, 1025);
	keep_buffers = true;
	assert_int_equal(send(fd, bulk, 50000, MSG_DONTWAIT), 50000);
	for (unsigned i = 0; i < 3; i++)
		host_write(fd, text);
	while (settle() && next_packet(&p))
		got += p.len;
	assert_int_equal(got, 50000 + 3 * strlen(text)); /* 13 of 32 buffers */
	assert_int_equal(send(fd, bulk, 15000, MSG_DONTWAIT), 15000);
	keep_buffers = false;
	expect(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	/* From here on there are none at all. */
	keep_buffers = true;
	for (unsigned i = 0; i < 1000 && settle(); i++) {
		send_op(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7000, 1025, 0);
		while (take_used(&rx, &id, &len))
			;
		if (used_shown(&rx) == rx.avail_idx)
			break;
	}
	assert_int_equal(used_shown(&rx), rx.avail_idx);
	host_write(fd, "late");
	send_op(VIRTIO_VSOCK_OP_REQUEST, 7999, 1, 0);
	assert_true(settle());
	assert_int_equal(used_shown(&rx), rx.used_idx);
	/* The device waits for buffers, so it has to ask to be told of them. */
	assert_false(rx.used[0] & VRING_USED_F_NO_NOTIFY);
	keep_buffers = false;
	for (unsigned i = 0; i < RX_SIZE; i++)
		give_buffer(i);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, RX_QUEUE);
	assert_true(settle());
	got = 0;
	while (next_packet(&p)) {
		if (p.hdr.op == VIRTIO_VSOCK_OP_RST)
			got |= 1;
		if (p.hdr.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST || p.len)
			got |= 2;
	}
	assert_int_equal(got, 3);
	close(fd);
	close(listener);
	down();
}

static void test_limit(void **state)
{
	static uint8_t bulk[60000];
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, 7000, 1025);
	uint64_t begun;
	uint32_t got = 0;
	int listener, fd;
	struct packet p;

	(void)state;
	limits = (struct axvirtio_limit){.bytes_per_s = 200000, .bytes_burst = 1000};
	up();
	limits = (struct axvirtio_limit){0};
	listener = host_listen(7000, 4);
	fd = guest_opens(listener, 7000, 1025);
	begun = ax_clock_ns();
	assert_int_equal(send(fd, bulk, sizeof(bulk), MSG_DONTWAIT), sizeof(bulk));
	while (got < sizeof(bulk)) {
		struct pollfd wait = {.fd = -1};

		while (settle() && next_packet(&p))
			got += p.len;
		poll(&wait, 0, 2);
	}
	/* 0.3 s by the rules; half of it is more than any unlimited way would take. */
	assert_true(ax_clock_ns() - begun > 150000000);
	begun = ax_clock_ns();
	hdr.len = 30000;
	hdr.fwd_cnt = got;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t id, written;

		offer_packet(&hdr, bulk, hdr.len);
		while (!take_used(&tx, &id, &written)) {
			struct pollfd wait = {.fd = -1};

			assert_true(settle());
			poll(&wait, 0, 2);
		}
		assert_int_equal(recv(fd, bulk, hdr.len, MSG_WAITALL), hdr.len);
	}
	assert_true(ax_clock_ns() - begun > 150000000);
	close(fd);
	close(listener);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_guest_connects),
		cmocka_unit_test(test_host_connects),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_no_credit),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_guest_half_closes),
		cmocka_unit_test(test_host_half_closes),
		cmocka_unit_test(test_host_closes),
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
