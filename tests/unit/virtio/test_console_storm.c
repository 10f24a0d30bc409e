/*
 * virtio-console on a real I/O thread: resets, suspends and resizes on the vCPU's thread while
 * bytes, control messages and clients come and go on their own. Worth running under
 * ThreadSanitizer.
 */
#include "console_driver.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/un.h>

#define ROUNDS 600

static struct axvirtio_console_port ports[2];
static char directory[] = "/tmp/axvm-console-XXXXXX", path[64];
static pthread_t io_thread, peer_thread, client_thread;
static _Atomic bool done;

static void *run_loop(void *arg)
{
	(void)arg;
	ax_loop_run(loop, NULL);
	return NULL;
}

/* The terminal: types all the time, reads now and then. */
static void *run_peer(void *arg)
{
	uint8_t bytes[3000];

	(void)arg;
	for (unsigned i = 0; !done; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		(void)!send(peer[0], bytes, 1 + i % sizeof(bytes), 0);
		if (i % 3 == 0)
			(void)!recv(peer[0], bytes, sizeof(bytes), 0);
		usleep(i % 5 * 20);
	}
	return NULL;
}

/* Clients of the second port, each for a moment. */
static void *run_clients(void *arg)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint8_t bytes[2000] = {0};

	(void)arg;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (unsigned i = 0; !done; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			(void)!send(fd, bytes, i % sizeof(bytes), MSG_NOSIGNAL);
			usleep(i % 7 * 50);
			(void)!recv(fd, bytes, sizeof(bytes), 0);
		}
		close(fd);
	}
	return NULL;
}

static void start(void)
{
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/port", directory);
	ports[0].is_console = true;
	ports[1].name = "channel";
	backend_up(1, path);
	console_up(ports, 2, 80, 24);
	done = false;
	assert_int_equal(pthread_create(&io_thread, NULL, run_loop, NULL), 0);
	assert_int_equal(pthread_create(&peer_thread, NULL, run_peer, NULL), 0);
	assert_int_equal(pthread_create(&client_thread, NULL, run_clients, NULL), 0);
}

static void stop(void)
{
	done = true;
	pthread_join(peer_thread, NULL);
	pthread_join(client_thread, NULL);
	ax_loop_stop(loop);
	pthread_join(io_thread, NULL);
}

static void message(uint32_t id, uint16_t event)
{
	const struct virtio_console_control control = {id, event, 1};

	transmit(CONTROL_OUT, &control, sizeof(control));
}

static void test_storm(void **state)
{
	static const uint8_t bytes[BUFFER] = {0};
	uint64_t requests = 0;

	(void)state;
	start();
	/* On a busy machine a round may end before the device has had a turn. */
	for (unsigned round = 0; round < ROUNDS || requests <= ROUNDS; round++) {
		uint64_t now;

		drive(F_SIZE | (round & 1 ? F_MULTIPORT : 0) | (round & 2 ? F_EVENT_IDX : 0));
		offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
		for (unsigned port = 0; port < 2; port++)
			offer_buffers(rx_of(port), RING_SIZE, BUFFER);
		message(0, VIRTIO_CONSOLE_DEVICE_READY);
		usleep(round % 8 * 20);
		for (uint32_t port = 0; port < 2; port++) {
			message(port, VIRTIO_CONSOLE_PORT_READY);
			message(port, VIRTIO_CONSOLE_PORT_OPEN);
			for (unsigned i = 0; i < 8; i++)
				transmit(tx_of(port), bytes, BUFFER);
		}
		axvirtio_console_resize(device, (uint16_t)round, 24);
		if (round % 7 == 0) {
			assert_int_equal(dev->ops->suspend(dev, NULL), 0);
			axvirtio_console_resize(device, (uint16_t)round, 25);
			assert_int_equal(dev->ops->resume(dev, NULL), 0);
		}
		usleep(round % 5 * 30);
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		/* The memory is ours again: plain writes, so that TSan would see a late device. */
		memset(guest(&m, buffer_gpa(0, 0), RING_SIZE * BUFFER), 0xa5, RING_SIZE * BUFFER);
		memset(ring[0].used, 0xa5, 4 + 8 * RING_SIZE);
		now = stats().requests;
		assert_true(now >= requests);
		requests = now;
		assert_int_equal(((uint8_t *)ring[0].used)[2], 0xa5);
	}
	stop();
	print_message("%llu buffers used\n", (unsigned long long)requests);
	assert_int_equal(stats().malformed, 0);
	teardown(NULL);
	assert_int_equal(rmdir(directory), 0);
	setup(NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_storm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
