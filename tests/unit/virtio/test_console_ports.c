/*
 * virtio-console with several ports: the handshake of MULTIPORT (5.3.6.2), messages that make no
 * sense, drivers with few or small control buffers, and drivers that do not know it at all.
 */
#include "console_driver.h"
#include <stdio.h>
#include <sys/un.h>

#define EVENT(name) VIRTIO_CONSOLE_##name

static struct axvirtio_console_port ports[AXVIRTIO_CONSOLE_MAX_PORTS];

/* A nameless console, a channel, another console. */
static void up(uint64_t features)
{
	memset(ports, 0, sizeof(ports));
	ports[0].is_console = true;
	ports[1].name = "org.example.agent.0";
	ports[2].is_console = true;
	console_up(ports, 3, 80, 25);
	drive(features);
	settle();
}

/* Hear what there is, and give the buffers back. */
static void hear_all(void)
{
	struct told message;
	unsigned count = 0;
	uint32_t more;

	while (heard(&message, &more))
		count++;
	offer_buffers(CONTROL_IN, count, BUFFER);
	settle();
}

static void handshake(void)
{
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0xffffffff, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 3; i++) {
		tell(i, EVENT(PORT_READY), 1);
		tell(i, EVENT(PORT_OPEN), 1);
	}
	hear_all();
	expect_silence();
}

static void expect_input(unsigned port, const char *text)
{
	char got[BUFFER] = "";

	assert_int_equal(take_buffer(rx_of(port), got, sizeof(got)),
			 text[0] ? (int64_t)strlen(text) : -1);
	assert_string_equal(got, text);
}

static void type(unsigned port, const char *text)
{
	assert_int_equal(send(peer[port], text, strlen(text), 0), strlen(text));
	settle();
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void test_handshake(void **state)
{
	static const uint16_t columns_rows[] = {80, 25};

	(void)state;
	up(F_MULTIPORT | F_SIZE);
	assert_int_equal(offered(dev) & 0xffffff, F_SIZE | F_EMERG | F_MULTIPORT);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, tx_of(2));
	assert_true(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX) >= RING_SIZE);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, tx_of(2) + 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	settle();
	expect_silence();
	tell(0xffffffff, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 3; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	expect_silence();
	tell(1, EVENT(PORT_READY), 1);
	expect_message(1, EVENT(PORT_NAME), 1, "org.example.agent.0", 19);
	expect_message(1, EVENT(PORT_OPEN), 1, "", 0);
	expect_silence();
	tell(0, EVENT(PORT_READY), 1);
	expect_message(0, EVENT(CONSOLE_PORT), 1, "", 0);
	expect_message(0, EVENT(PORT_OPEN), 1, "", 0);
	expect_message(0, EVENT(RESIZE), 0, columns_rows, 4);
	expect_silence();
	tell(2, EVENT(PORT_READY), 1);
	expect_message(2, EVENT(CONSOLE_PORT), 1, "", 0);
	expect_message(2, EVENT(PORT_OPEN), 1, "", 0);
	expect_silence();
	/* Said again, nothing is new. */
	tell(0xffffffff, EVENT(DEVICE_READY), 1);
	tell(1, EVENT(PORT_READY), 1);
	expect_silence();
	assert_int_equal(stats().errors, 0);
}

static void test_bytes(void **state)
{
	(void)state;
	up(F_MULTIPORT);
	handshake();
	for (unsigned i = 0; i < 3; i++)
		offer_buffers(rx_of(i), 4, BUFFER);
	for (unsigned i = 0; i < 3; i++) {
		char text[2] = {(char)('a' + i), 0};

		transmit(tx_of(i), text, 1);
		settle();
		expect_peer(i, text, 1);
		text[0] = (char)('A' + i);
		type(i, text);
		expect_input(i, text);
	}
	for (unsigned i = 0; i < 3; i++)
		expect_input(i, "");
}

/* Port 0 is what it is said to be, like any other. */
static void test_no_console(void **state)
{
	uint64_t byte = 'x';

	(void)state;
	memset(ports, 0, sizeof(ports));
	ports[0].name = "org.example.agent.0";
	ports[1].name = "org.example.agent.1";
	console_up(ports, 2, 80, 25);
	/* There is no terminal that could have a size, and nobody to read an emergency. */
	assert_int_equal(offered(dev) & 0xffffff, F_MULTIPORT);
	reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 4, true, &byte);
	settle();
	expect_peer(0, "", 0);
	drive(F_MULTIPORT);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0xffffffff, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 2; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	for (uint32_t i = 0; i < 2; i++) {
		tell(i, EVENT(PORT_READY), 1);
		expect_message(i, EVENT(PORT_NAME), 1, ports[i].name, 19);
		expect_message(i, EVENT(PORT_OPEN), 1, "", 0);
		expect_silence();
	}
	axvirtio_console_resize(device, 10, 10);
	settle();
	expect_silence();
	offer_buffers(rx_of(0), 4, BUFFER);
	type(0, "early");
	expect_input(0, "");
	tell(0, EVENT(PORT_OPEN), 1);
	expect_input(0, "early");
	transmit(tx_of(0), "answer", 6);
	settle();
	expect_peer(0, "answer", 6);
	assert_int_equal(stats().errors, 0);
}

/* Drivers drop what comes for a port that nobody there has opened, so it waits. */
static void test_input_waits_for_open(void **state)
{
	(void)state;
	up(F_MULTIPORT);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	offer_buffers(rx_of(1), 4, BUFFER);
	tell(0, EVENT(DEVICE_READY), 1);
	tell(1, EVENT(PORT_READY), 1);
	type(1, "one");
	expect_input(1, "");
	tell(1, EVENT(PORT_OPEN), 1);
	expect_input(1, "one");
	tell(1, EVENT(PORT_OPEN), 0);
	type(1, "two");
	expect_input(1, "");
	tell(1, EVENT(PORT_OPEN), 0x100);
	expect_input(1, "two");
	assert_int_equal(stats().errors, 0);
}

/* A driver that knows only the first two queues; those of other ports are not looked at. */
static void test_without_multiport(void **state)
{
	const struct virtio_console_control ready = {0, EVENT(DEVICE_READY), 1};

	(void)state;
	up(0);
	offer_buffers(rx_of(0), 4, BUFFER);
	offer_buffers(rx_of(1), 4, BUFFER);
	offer_buffers(CONTROL_IN, 4, BUFFER);
	transmit(0 + 1, "plain", 5);
	transmit(tx_of(1), "hidden", 6);
	transmit(CONTROL_OUT, &ready, sizeof(ready));
	settle();
	expect_peer(0, "plain", 5);
	expect_peer(1, "", 0);
	assert_int_equal(taken(CONTROL_OUT), 0);
	assert_int_equal(taken(tx_of(1)), 0);
	expect_silence();
	type(0, "in");
	expect_input(0, "in");
	type(1, "hidden");
	expect_input(1, "");
	axvirtio_console_resize(device, 10, 10);
	settle();
	expect_silence();
	assert_true(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	/* The same device, taken over by one that does know. */
	drive(F_MULTIPORT);
	settle();
	handshake();
	offer_buffers(rx_of(1), 1, BUFFER);
	settle();
	expect_input(1, "hidden");
}

/* ---- hostile messages ------------------------------------------------------------------------ */

static void test_hostile_messages(void **state)
{
	static const struct virtio_console_control nonsense[] = {
		{3, EVENT(PORT_READY), 1},
		{3, EVENT(PORT_OPEN), 1},
		{0xffffffff, EVENT(PORT_READY), 1},
		{0xffffffff, EVENT(PORT_OPEN), 0},
		{0x80000000, EVENT(PORT_OPEN), 1},
		{0, EVENT(PORT_ADD), 1},
		{0, EVENT(PORT_REMOVE), 1},
		{0, EVENT(CONSOLE_PORT), 1},
		{0, EVENT(RESIZE), 1},
		{0, EVENT(PORT_NAME), 1},
		{0, 8, 1},
		{0, 0xffff, 0xffff},
		{1, EVENT(PORT_OPEN), 1}, /* before it is ready */
	};
	const size_t count = AX_ARRAY_LEN(nonsense);
	uint8_t bytes[BUFFER] = {0};

	(void)state;
	up(F_MULTIPORT);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	offer_buffers(rx_of(1), 4, BUFFER);
	/* Before DEVICE_READY nothing counts. */
	tell(0, EVENT(PORT_READY), 1);
	tell(0, EVENT(PORT_OPEN), 1);
	assert_int_equal(stats().errors, 2);
	expect_silence();
	tell(0, EVENT(DEVICE_READY), 0);
	expect_silence();
	assert_int_equal(stats().errors, 3);
	tell(0, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 3; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	for (size_t i = 0; i < count; i++)
		tell(nonsense[i].id, nonsense[i].event, nonsense[i].value);
	assert_int_equal(stats().errors, 3 + count);
	expect_silence();
	type(1, "x");
	expect_input(1, "");
	/* Any length: short ones are nothing, what is too much is not looked at. */
	for (uint32_t n = 0; n < 8; n++) {
		const struct buffer b = {buffer_gpa(CONTROL_OUT, ring[CONTROL_OUT].free_desc), n,
					 false};

		offer_chain(&ring[CONTROL_OUT], &b, 1);
		kick(CONTROL_OUT);
		settle();
		assert_int_equal(taken(CONTROL_OUT), 1);
	}
	assert_int_equal(stats().errors, 3 + count + 8);
	memcpy(bytes, &(struct virtio_console_control){1, EVENT(PORT_READY), 1}, 8);
	memset(bytes + 8, 0xff, sizeof(bytes) - 8);
	transmit(CONTROL_OUT, bytes, sizeof(bytes));
	settle();
	assert_int_equal(taken(CONTROL_OUT), 1);
	expect_message(1, EVENT(PORT_NAME), 1, "org.example.agent.0", 19);
	expect_message(1, EVENT(PORT_OPEN), 1, "", 0);
	tell(1, EVENT(PORT_OPEN), 1);
	expect_input(1, "x");
	assert_false(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
}

/* A driver that cannot use a port hears no more of it, and the others live on. */
static void test_failed_port(void **state)
{
	(void)state;
	up(F_MULTIPORT);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 3; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	tell(0, EVENT(PORT_READY), 0);
	expect_silence();
	tell(2, EVENT(PORT_READY), 1);
	expect_message(2, EVENT(CONSOLE_PORT), 1, "", 0);
	expect_message(2, EVENT(PORT_OPEN), 1, "", 0);
	expect_silence();
}

/* ---- control buffers ------------------------------------------------------------------------- */

static void test_small_buffers(void **state)
{
	uint8_t got[BUFFER];

	(void)state;
	up(F_MULTIPORT);
	tell(0, EVENT(DEVICE_READY), 1);
	/* None, one after the other, and too small ones, which come back empty. */
	for (uint32_t i = 0; i < 3; i++) {
		expect_silence();
		offer_buffers(CONTROL_IN, 1, i == 1 ? 7 : 8);
		settle();
		if (i == 1) {
			assert_int_equal(take_buffer(CONTROL_IN, got, sizeof(got)), 0);
			offer_buffers(CONTROL_IN, 1, 8);
			settle();
		}
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	}
	tell(1, EVENT(PORT_READY), 1);
	offer_buffers(CONTROL_IN, 2, 26); /* one byte short of the name */
	settle();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(take_buffer(CONTROL_IN, got, sizeof(got)), 0);
	offer_buffers(CONTROL_IN, 2, 27);
	settle();
	expect_message(1, EVENT(PORT_NAME), 1, "org.example.agent.0", 19);
	expect_message(1, EVENT(PORT_OPEN), 1, "", 0);
}

/* However often things change while there is no buffer, only the last is told. */
static void test_nothing_is_queued(void **state)
{
	static const uint16_t last[] = {1999, 1000};

	(void)state;
	up(F_MULTIPORT | F_SIZE);
	handshake();
	/* Take the sixteen buffers away with sixteen sizes. */
	for (uint16_t i = 0; i < RING_SIZE; i++) {
		axvirtio_console_resize(device, i, 1);
		settle();
	}
	assert_int_equal(taken(CONTROL_IN), RING_SIZE);
	for (uint16_t i = 0; i < 1000; i++) {
		axvirtio_console_resize(device, (uint16_t)(1000 + i), 1000);
		settle();
	}
	expect_silence();
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	settle();
	expect_message(0, EVENT(RESIZE), 0, last, 4);
	expect_silence();
	/* Also no size at all can be told, once. */
	axvirtio_console_resize(device, 0, 0);
	settle();
	expect_message(0, EVENT(RESIZE), 0, "\0\0\0", 4);
	expect_silence();
}

/* A driver that did not take SIZE is told none. */
static void test_no_size(void **state)
{
	(void)state;
	up(F_MULTIPORT);
	handshake();
	axvirtio_console_resize(device, 1, 1);
	settle();
	expect_silence();
}

static void test_reset(void **state)
{
	(void)state;
	up(F_MULTIPORT | F_SIZE);
	for (unsigned round = 0; round < 4; round++) {
		handshake();
		offer_buffers(rx_of(1), 1, BUFFER);
		type(1, "input");
		expect_input(1, "input");
		/* Nothing of the handshake survives. */
		drive(F_MULTIPORT | (round & 1 ? F_SIZE : F_EVENT_IDX));
		settle();
		offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
		offer_buffers(rx_of(1), 1, BUFFER);
		type(1, "early");
		expect_silence();
		expect_input(1, "");
		tell(1, EVENT(PORT_OPEN), 1);
		expect_input(1, "");
		tell(0, EVENT(DEVICE_READY), 1);
		expect_message(0, EVENT(PORT_ADD), 0, "", 0);
		drive(F_MULTIPORT | F_SIZE);
		settle();
		handshake();
		offer_buffers(rx_of(1), 1, BUFFER);
		settle();
		expect_input(1, "early");
		drive(F_MULTIPORT | F_SIZE);
	}
}

/* ---- a port that is a socket ----------------------------------------------------------------- */

static int join(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	settle();
	return fd;
}

static void test_clients(void **state)
{
	char directory[] = "/tmp/axvm-console-XXXXXX", path[64];
	const uint8_t bytes[BUFFER] = {0};

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/port", directory);
	backend_up(1, path);
	up(F_MULTIPORT);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < 3; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
	tell(1, EVENT(PORT_READY), 1);
	expect_message(1, EVENT(PORT_NAME), 1, "org.example.agent.0", 19);
	expect_silence(); /* not open */
	tell(1, EVENT(PORT_OPEN), 1);
	offer_buffers(rx_of(1), 8, BUFFER);
	for (unsigned round = 0; round < 3; round++) {
		/* Nobody there: the guest gets rid of any amount at once. */
		for (unsigned i = 0; i < 300; i++) {
			transmit(tx_of(1), bytes, BUFFER);
			settle();
			assert_int_equal(taken(tx_of(1)), 1);
		}
		peer[1] = join(path);
		expect_message(1, EVENT(PORT_OPEN), 1, "", 0);
		expect_peer(1, "", 0);
		type(1, "ping");
		expect_input(1, "ping");
		transmit(tx_of(1), "pong", 4);
		settle();
		expect_peer(1, "pong", 4);
		assert_int_equal(taken(tx_of(1)), 1);
		type(1, "bye");
		close(peer[1]);
		peer[1] = -1;
		settle();
		expect_input(1, "bye");
		expect_message(1, EVENT(PORT_OPEN), 0, "", 0);
		expect_silence();
		offer_buffers(CONTROL_IN, 2, BUFFER);
		offer_buffers(rx_of(1), 2, BUFFER);
		settle();
	}
	teardown(NULL);
	assert_int_equal(rmdir(directory), 0);
	setup(NULL);
}

/* ---- creation -------------------------------------------------------------------------------- */

static void refused(struct axvirtio_console_port *port, unsigned count, int code, const char *word)
{
	const struct axvirtio_console_config config = {.ports = port, .port_count = count};
	struct axvirtio *none = NULL;

	memset(&err, 0, sizeof(err));
	assert_int_equal(axvirtio_console_create("console0", &config, &none, &err), -code);
	assert_null(none);
	assert_non_null(strstr(err.message, word));
}

static void test_bad_ports(void **state)
{
	static const char *const bad[] = {"",   ".",    "..",       "a/b",  "a b",
					  "\n", "\x7f", "\xc3\xa4", "a\tb", "/"};
	struct axvirtio_console_port port[AXVIRTIO_CONSOLE_MAX_PORTS + 1] = {{0}};
	struct axvirtio_console_config config = {.ports = port, .port_count = 2};
	char name[80];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		backend_up(i, NULL);
		port[i].chr = chr[i];
	}
	refused(port, 0, EINVAL, "0 console ports");
	refused(port, AXVIRTIO_CONSOLE_MAX_PORTS + 1, EINVAL, "9 console ports");
	refused(port, 3, EINVAL, "port 2 has no backend");
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		port[1].name = bad[i];
		refused(port, 2, EINVAL, "name of port 1");
	}
	memset(name, 'n', 65);
	name[65] = 0;
	port[1].name = name;
	refused(port, 2, EINVAL, "name of port 1");
	name[64] = 0;
	port[0].name = name;
	refused(port, 2, EEXIST, "both called");
	port[0].name = NULL;
	port[0].chr = chr[1];
	refused(port, 2, EEXIST, "one backend");
	port[0].chr = chr[0];
	assert_int_equal(axvirtio_console_create("console0", &config, &device, &err), 0);
	/* A device without its backends' loop. */
	machine_init(&m);
	assert_int_equal(
		axvirtio_mmio_create("console0", WINDOW_GPA, GSI, device, &m.services, &dev, &err),
		-EINVAL);
	assert_non_null(strstr(err.message, "another loop"));
	axvirtio_destroy(device);
	dev = NULL;
	machine_finish(&m);
}

/* Of several I/O threads the device is on its backends', wherever its turn would put it. */
static void test_loops(void **state)
{
	struct axvirtio_console_port port[2] = {{0}};
	const struct axvirtio_console_config config = {
		.place = {WINDOW_GPA, GSI, NULL}, .ports = port, .port_count = 2};
	struct ax_loop *other, *loops[2];

	(void)state;
	machine_init(&m);
	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &other, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		backend_up(i, NULL);
		port[i].chr = chr[i];
		loops[i] = i ? other : loop;
	}
	m.services.io_loop = loops[0];
	m.services.io_loops = loops;
	m.services.io_loop_count = 2;
	for (m.services.io_first = 0; m.services.io_first < 2; m.services.io_first++) {
		if (axdev_create("virtio-console", "console0", &config, sizeof(config), &m.services,
				 &dev, &err) < 0)
			fail_msg("%s", err.message);
		device = axvirtio_of(dev);
		for (unsigned i = 0; i < device->queue_count; i++)
			assert_ptr_equal(axvirtio_loop(device, i), loop);
		dev->ops->destroy(dev);
	}
	dev = NULL;
	machine_finish(&m);
	ax_loop_destroy(other);
}

static void test_long_name(void **state)
{
	char name[65];

	(void)state;
	memset(name, 'n', 64);
	name[64] = 0;
	memset(ports, 0, sizeof(ports));
	ports[0].name = name;
	ports[0].is_console = true;
	console_up(ports, 1, 0, 0);
	memset(name, 'x', 64); /* was copied */
	assert_true(offered(dev) & F_MULTIPORT);
	drive(F_MULTIPORT);
	settle();
	memset(name, 'n', 64);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0, EVENT(DEVICE_READY), 1);
	expect_message(0, EVENT(PORT_ADD), 0, "", 0);
	tell(0, EVENT(PORT_READY), 1);
	expect_message(0, EVENT(CONSOLE_PORT), 1, "", 0);
	expect_message(0, EVENT(PORT_NAME), 1, name, 64);
	expect_message(0, EVENT(PORT_OPEN), 1, "", 0);
	expect_silence();
}

/* All eight, on all eighteen queues. */
static void test_all_ports(void **state)
{
	char names[AXVIRTIO_CONSOLE_MAX_PORTS][8];

	(void)state;
	memset(ports, 0, sizeof(ports));
	for (unsigned i = 0; i < AXVIRTIO_CONSOLE_MAX_PORTS; i++) {
		snprintf(names[i], sizeof(names[i]), "port%u", i);
		ports[i].name = names[i];
	}
	console_up(ports, AXVIRTIO_CONSOLE_MAX_PORTS, 0, 0);
	drive(F_MULTIPORT | F_INDIRECT);
	settle();
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0, EVENT(DEVICE_READY), 1);
	for (unsigned i = 0; i < AXVIRTIO_CONSOLE_MAX_PORTS; i++) {
		hear_all();
		tell(i, EVENT(PORT_READY), 1);
		tell(i, EVENT(PORT_OPEN), 1);
		offer_buffers(rx_of(i), 2, BUFFER);
		type(i, names[i]);
		expect_input(i, names[i]);
		transmit(tx_of(i), names[i], 5);
		settle();
		expect_peer(i, names[i], 5);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handshake),
		TEST(test_bytes),
		TEST(test_no_console),
		TEST(test_input_waits_for_open),
		TEST(test_without_multiport),
		TEST(test_hostile_messages),
		TEST(test_failed_port),
		TEST(test_small_buffers),
		TEST(test_nothing_is_queued),
		TEST(test_no_size),
		TEST(test_reset),
		TEST(test_clients),
		TEST(test_bad_ports),
		TEST(test_loops),
		TEST(test_long_name),
		TEST(test_all_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
