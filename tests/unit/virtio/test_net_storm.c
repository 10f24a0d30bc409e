/*
 * must-test 7 for virtio-net: resets with reads armed, frames on their way in and packets on their
 * way out, on a real I/O thread and its engine, with a far end that never stops. The driver reuses
 * its memory right after each reset and checks that nothing is written to it. Run it under
 * ThreadSanitizer too.
 */
#include "net_driver.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define ROUNDS 300
#define POISON 0xa5
#define MERGE  (NET_F(MAC) | NET_F(STATUS) | NET_F(MRG_RXBUF))

static struct ax_loop *loop;
static pthread_t io_thread, far_thread;
static _Atomic bool enough;
static enum axvirtio_net_backend backend;

static void *run_loop(void *arg)
{
	(void)arg;
	ax_loop_run(loop, NULL);
	return NULL;
}

/* Sends and reads all the time. */
static void *run_far(void *arg)
{
	static uint8_t sink[65536], out[4 + HDR + 600];
	const bool stream = backend == AXVIRTIO_NET_STREAM;
	const size_t bytes = stream ? 4 + 600 : HDR + 600;
	size_t at = 0;

	(void)arg;
	if (stream)
		memcpy(out, "\0\0\x02\x58", 4);
	while (!enough) {
		const ssize_t n = write(far_fd, out + at, bytes - at);

		if (n > 0)
			at = (at + (size_t)n) % bytes;
		while (read(far_fd, sink, sizeof(sink)) > 0)
			;
	}
	return NULL;
}

static void storm(enum axvirtio_net_backend which)
{
	struct axvirtio_net_config config = {0};
	uint64_t received = 0;
	int fds[2];

	backend = config.backend = which;
	assert_int_equal(socketpair(AF_UNIX,
				    (which == AXVIRTIO_NET_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) |
					    SOCK_NONBLOCK,
				    0, fds),
			 0);
	config.fd = fds[0];
	far_fd = fds[1];
	machine_init(&m);
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, NULL), 0);
	m.services.io_loop = loop;
	assert_int_equal(axvirtio_net_create("net0", &config, &device, &err), 0);
	assert_int_equal(
		axvirtio_mmio_create("net0", WINDOW_GPA, GSI, device, &m.services, &dev, &err), 0);
	close(fds[0]);
	enough = false;
	assert_int_equal(pthread_create(&io_thread, NULL, run_loop, NULL), 0);
	assert_int_equal(pthread_create(&far_thread, NULL, run_far, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t *ram = guest(&m, RX_GPA, 0x20000);

		net_start(MERGE, 1, 64);
		offer_rx(64, round % 2 ? 2048 : 128);
		for (unsigned i = 0; i < 32; i++) {
			const struct buffer b = {TX_GPA + 0x800ULL * i, HDR + 1500, false};

			offer_chain(&tx[0], &b, 1);
			kick(1);
		}
		for (unsigned i = 0; i < round % 50; i++)
			sched_yield();
		if (round % 10 == 0) /* let one through, so that there is something to stop */
			for (unsigned i = 0; i < 5000 && !used_shown(&rx[0]); i++)
				usleep(1000);
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		received += used_shown(&rx[0]);
		memset(ram, POISON, 0x20000);
		sched_yield();
		for (unsigned i = 0; i < 0x20000; i++)
			if (ram[i] != POISON)
				fail_msg("round %u: memory written after a reset", round);
	}
	assert_true(received > 0);
	enough = true;
	pthread_join(far_thread, NULL);
	ax_loop_stop(loop);
	pthread_join(io_thread, NULL);
	assert_true(net_stats().link_up);
	dev->ops->destroy(dev);
	ax_loop_destroy(loop);
	machine_finish(&m);
	close(far_fd);
	far_fd = -1;
}

static void test_packet(void **state)
{
	(void)state;
	storm(AXVIRTIO_NET_PACKET);
}

static void test_stream(void **state)
{
	(void)state;
	storm(AXVIRTIO_NET_STREAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_stream),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("virtio-net-storm", tests, NULL, NULL);
}
