/*
 * virtio-vsock on an I/O thread, by each engine of the event loop: a driver that resets the device
 * in the midst of everything, and a host program that echoes. After a reset the driver's memory is
 * its own again (2.4.2), and nothing of an old driver's connections reaches a new one. Worth
 * running under ThreadSanitizer.
 */
#include "vsock_driver.h"
#include <pthread.h>
#include <sched.h>

#define ROUNDS 150
#define CONNS  4
#define POISON 0xa5

static struct ax_loop *loop;
static pthread_t io_thread, host_thread;
static int listener, stop_pipe[2];

static void *run_loop(void *arg)
{
	(void)arg;
	ax_loop_run(loop, NULL);
	return NULL;
}

/* Echoes on all connections until the pipe is closed. */
static void *run_host(void *arg)
{
	struct pollfd polled[2 + 64] = {{stop_pipe[0], POLLIN, 0}, {listener, POLLIN, 0}};
	nfds_t count = 2;
	char bytes[4096];

	(void)arg;
	while (poll(polled, count, -1) > 0 && !polled[0].revents) {
		if (polled[1].revents && count < AX_ARRAY_LEN(polled)) {
			const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

			if (fd >= 0)
				polled[count++] = (struct pollfd){fd, POLLIN, 0};
		}
		for (nfds_t i = 2; i < count; i++) {
			ssize_t n;

			if (!polled[i].revents)
				continue;
			n = recv(polled[i].fd, bytes, sizeof(bytes), 0);
			if (n > 0)
				n = send(polled[i].fd, bytes, (size_t)n, MSG_NOSIGNAL);
			if (n <= 0 && !(n < 0 && errno == EAGAIN)) {
				close(polled[i].fd);
				polled[i--] = polled[--count];
			}
		}
	}
	while (count-- > 2)
		close(polled[count].fd);
	return NULL;
}

static bool wait_packet(struct packet *p)
{
	const uint64_t until = ax_clock_ns() + 20000000000ULL;

	while (!next_packet(p)) {
		if (ax_clock_ns() > until)
			return false;
		sched_yield();
	}
	return true;
}

/* TX_SIZE / 2 packets at most are under way: each has a place of its own. */
static void send_from(unsigned place, const struct virtio_vsock_hdr *hdr, const void *data,
		      uint32_t len)
{
	const uint64_t gpa = TX_BUF + place % (TX_SIZE / 2) * 2048ULL;
	const struct buffer b[] = {{gpa, HDR, false}, {gpa + HDR, len, false}};
	uint32_t id, written;

	while ((uint16_t)(tx.avail_idx - tx.used_idx) >= TX_SIZE / 2)
		if (!take_used(&tx, &id, &written))
			sched_yield();
	memcpy(guest(&m, gpa, HDR), hdr, HDR);
	if (len)
		memcpy(guest(&m, gpa + HDR, len), data, len);
	offer_chain(&tx, b, len ? 2 : 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, TX_QUEUE);
}

static void one_round(unsigned round)
{
	static const uint8_t text[1500] = "to be echoed";
	const uint32_t first_port = 10000 + round * CONNS;
	const unsigned messages = (unsigned)rand() % 40;
	uint8_t *memory;
	uint32_t got[CONNS] = {0}, sent[CONNS] = {0};
	unsigned place = 0, answers = 0;
	struct packet p;

	memset(guest(&m, RX_BUF, RX_SIZE * RX_BYTES), 0, RX_SIZE * RX_BYTES);
	start_driver(RX_SIZE);
	for (unsigned i = 0; i < CONNS; i++) {
		struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_REQUEST, 7000, first_port + i);

		send_from(place++, &hdr, NULL, 0);
	}
	while (answers < CONNS) {
		assert_true(wait_packet(&p));
		assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_RESPONSE);
		answers++;
	}
	for (unsigned i = 0; i < messages; i++) {
		struct virtio_vsock_hdr hdr =
			header(VIRTIO_VSOCK_OP_RW, 7000, first_port + i % CONNS);

		hdr.len = sizeof(text);
		hdr.fwd_cnt = got[i % CONNS];
		sent[i % CONNS] += hdr.len;
		send_from(place++, &hdr, text, hdr.len);
		while (next_packet(&p)) {
			/* Of this driver's connections, not an older one's. */
			assert_true(p.hdr.dst_port - first_port < CONNS);
			assert_int_not_equal(p.hdr.op, VIRTIO_VSOCK_OP_RST);
			got[p.hdr.dst_port - first_port] += p.len;
		}
	}
	if (round % 4 == 0)
		for (unsigned i = 0; i < CONNS; i++)
			while (got[i] < sent[i]) {
				assert_true(wait_packet(&p));
				got[p.hdr.dst_port - first_port] += p.len;
			}
	if (round % 3 == 0) {
		assert_int_equal(dev->ops->suspend(dev, &err), 0);
		assert_int_equal(dev->ops->resume(dev, &err), 0);
	}
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	memory = guest(&m, RX_BUF, RX_SIZE * RX_BYTES);
	memset(memory, POISON, RX_SIZE * RX_BYTES);
	for (unsigned i = 0; i < 20; i++)
		sched_yield();
	for (size_t i = 0; i < RX_SIZE * RX_BYTES; i++)
		assert_int_equal(memory[i], POISON);
}

static void storm(enum ax_loop_engine engine)
{
	const struct axvirtio_vsock_config config = {.cid = CID, .path = path};
	unsigned files;

	srand(3);
	make_directory();
	files = open_files();
	machine_init(&m);
	assert_int_equal(ax_loop_create(engine, &loop, &err), 0);
	m.services.io_loop = loop;
	if (axvirtio_vsock_create("vsock0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("vsock0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	listener = host_listen(7000, 64);
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pipe2(stop_pipe, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&io_thread, NULL, run_loop, NULL), 0);
	assert_int_equal(pthread_create(&host_thread, NULL, run_host, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++)
		one_round(round);
	close(stop_pipe[1]);
	pthread_join(host_thread, NULL);
	ax_loop_stop(loop);
	pthread_join(io_thread, NULL);
	dev->ops->destroy(dev);
	ax_loop_destroy(loop);
	close(stop_pipe[0]);
	close(listener);
	machine_finish(&m);
	assert_int_equal(open_files(), files);
	remove_directory();
}

static void test_epoll(void **state)
{
	(void)state;
	storm(AX_LOOP_EPOLL);
}

static void test_best(void **state)
{
	(void)state;
	storm(AX_LOOP_AUTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoll),
		cmocka_unit_test(test_best),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
