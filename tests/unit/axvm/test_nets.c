/*
 * What the configuration says of a network card is what the guest's driver finds: address, MTU,
 * offloads, queue pairs and the rate limits of each direction, on a socket that the owner gave; and
 * what becomes of that descriptor.
 */
#include "device.h"

#include "../virtio/net_driver.h"

#include <net/if.h>
#include <sched.h>

#define OFFLOADS (NET_F(CSUM) | NET_F(HOST_TSO4) | NET_F(GUEST_CSUM) | NET_F(GUEST_TSO4))
#define FRAMES   24
#define BYTES    100u /* of a frame */

static struct rig rig;

static void take_net0(void)
{
	build(&rig);
	dev = find(&rig, "net0");
	device = axvirtio_of(dev);
	m = machine_of(&rig);
}

/* A card on a socket, as a switch would give it; far_fd is the other end. */
static void up(const char *options, const char *name)
{
	char net[128], vm_name[64];
	int fds[2];

	snprintf(net, sizeof(net), "switch,socket=/nowhere%s", options);
	snprintf(vm_name, sizeof(vm_name), "--name=%s", name);
	rig_init(&rig, WORDS("--transport=mmio", "--net", net, vm_name));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	rig.options.net_fds = &fds[0];
	rig.options.net_fd_count = 1;
	take_net0();
	rig.options.net_fds = NULL;
	close(fds[0]); /* it was duplicated */
	far_fd = fds[1];
}

static void down(void)
{
	rig_finish(&rig);
	close(far_fd);
}

static uint64_t mac(void)
{
	return read_config(dev, 0, 4) | read_config(dev, 4, 2) << 32;
}

/* ---- what is offered ------------------------------------------------------------------------- */

static void test_plain(void **state)
{
	struct holdings before;

	(void)state;
	holdings_read(&before);
	up("", "vm");
	assert_int_equal(offered(dev) & OFFLOADS, OFFLOADS);
	assert_false(offers(dev, VIRTIO_NET_F_MTU));
	assert_false(offers(dev, VIRTIO_NET_F_MQ));
	assert_int_equal(queues_of(dev), 3);
	down();
	holdings_check(&before); /* the owner's descriptor is the owner's */
}

static void test_said(void **state)
{
	(void)state;
	up(",mac=52:54:00:12:34:56,mtu=9000,offload=off", "vm");
	assert_int_equal(mac(), 0x563412005452);
	assert_true(offers(dev, VIRTIO_NET_F_MTU));
	assert_int_equal(read_config(dev, offsetof(struct virtio_net_config, mtu), 2), 9000);
	assert_int_equal(offered(dev) & OFFLOADS, 0);
	down();
}

static uint64_t mac_of(const char *name)
{
	uint64_t address;

	up("", name);
	address = mac();
	assert_int_equal(address & 3, 2); /* locally administered, of one card (IEEE 802) */
	down();
	return address;
}

/* The address is the name's, from run to run; of VMs without a name each has another. */
static void test_address(void **state)
{
	const uint64_t one = mac_of("one");
	struct rig first;
	uint64_t unnamed;
	int first_fd;

	(void)state;
	assert_int_equal(mac_of("one"), one);
	assert_int_not_equal(mac_of("two"), one);
	up("", "vm");
	unnamed = mac();
	first = rig;
	first_fd = far_fd;
	up("", "vm");
	assert_int_not_equal(mac(), unnamed);
	down();
	rig_finish(&first);
	close(first_fd);
}

/* A program that the VM's process starts has nothing of its network. */
static void test_close_on_exec(void **state)
{
	(void)state;
	up("", "vm");
	for (int fd = 3; fd < 256; fd++) {
		const int flags = fcntl(fd, F_GETFD);
		int type = 0;
		socklen_t length = sizeof(type);

		if (flags >= 0 && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) &&
		    type == SOCK_SEQPACKET)
			assert_true(flags & FD_CLOEXEC);
	}
	down();
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void drive(void)
{
	net_start(NET_F(MAC), 1, 64);
	poll_all();
}

static unsigned sent_at_once(void)
{
	uint8_t got[256];
	unsigned count = 0;

	for (unsigned i = 0; i < FRAMES; i++) {
		const struct buffer b = {TX_GPA, HDR + BYTES, false};

		put_packet(TX_GPA, &plain, BYTES, 1);
		offer_chain(&tx[0], &b, 1);
	}
	kick(1);
	poll_all();
	while (far_read(got, sizeof(got)) > 0)
		count++;
	return count;
}

static unsigned received_at_once(void)
{
	uint32_t id, len;
	unsigned count = 0;

	for (unsigned i = 0; i < FRAMES; i++)
		far_write(&plain, BYTES, 1);
	offer_rx(FRAMES, 2048);
	poll_all();
	while (take_used(&rx[0], &id, &len))
		count++;
	return count;
}

/* Frames come in batches of up to four, of which the last may overdraw. */
static void expect_received(unsigned burst, uint64_t since_ns)
{
	const unsigned count = received_at_once();

	expect_burst(count < burst || count >= burst + 4 ? count : burst, burst, 11, since_ns);
}

static void test_limits(void **state)
{
	static const struct {
		const char *options;
		unsigned tx, rx;
	} cases[] = {
		{"", FRAMES, FRAMES},
		{",tx_ops=1,tx_ops_burst=5", 5, FRAMES},
		{",tx_bw=1K,tx_bw_burst=1K", 11, FRAMES},
		{",rx_ops=1,rx_ops_burst=8", FRAMES, 8},
		{",rx_bw=1K,rx_bw_burst=1K", FRAMES, 11},
		{",rx_ops=1,rx_ops_burst=12,tx_ops=1,tx_ops_burst=3", 3, 12},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const uint64_t since_ns = ax_clock_ns();

		up(cases[i].options, "vm");
		drive();
		expect_burst(sent_at_once(), cases[i].tx, 11, since_ns);
		expect_received(cases[i].rx, since_ns);
		down();
	}
}

/* ---- taps ------------------------------------------------------------------------------------ */

static void up_on_tap(const char *options, const char *transport)
{
	char net[64];

	snprintf(net, sizeof(net), "tap=axvm-unit%s", options);
	rig_init(&rig, WORDS("--transport", transport, "--net", net));
}

static bool can_have_taps(void)
{
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static void test_tap(void **state)
{
	(void)state;
	if (!can_have_taps())
		skip();
	up_on_tap(",queues=3", "mmio");
	take_net0();
	assert_int_not_equal(if_nametoindex("axvm-unit"), 0);
	assert_true(offers(dev, VIRTIO_NET_F_MQ));
	assert_int_equal(
		read_config(dev, offsetof(struct virtio_net_config, max_virtqueue_pairs), 2), 3);
	assert_int_equal(queues_of(dev), 7);
	rig_finish(&rig);
	/* Where there is no vhost it is missed, and where there is it is open. */
	up_on_tap(",vhost", "pci");
	if (rig_create(&rig))
		assert_non_null(strstr(rig.err.message, "vhost"));
	else
		assert_true(access("/dev/vhost-net", F_OK) == 0);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),   cmocka_unit_test(test_said),
		cmocka_unit_test(test_address), cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_limits),  cmocka_unit_test(test_tap),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
