/*
 * virtio-net on a real tap interface, in a network namespace of its own: frames against a packet
 * socket, the host's IP stack as a peer, offloads as negotiated, several queue pairs on two I/O
 * threads (worth running under TSan), and what can be wrong with an interface. Skipped where there
 * is no /dev/net/tun or no namespace to be had.
 */
#include "net_driver.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define TAP   "axtest0"
#define BASE  (NET_F(MAC) | NET_F(STATUS))
#define MERGE (BASE | NET_F(MRG_RXBUF))

static const char *why_not; /* NULL: tests can run */
static bool sysfs_is_ours;  /* it shows this namespace's interfaces */
static int control;         /* a socket for ioctls */
static uint8_t message[80000];

static void find_out(void)
{
	int fd;

	if (access("/dev/net/tun", F_OK) < 0)
		why_not = "no /dev/net/tun";
	else if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		why_not = "no network namespace";
	fd = why_not ? -1 : open("/dev/net/tun", O_RDWR);
	if (!why_not && fd < 0)
		why_not = "/dev/net/tun cannot be opened";
	if (fd >= 0)
		close(fd);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sysfs_is_ours = !why_not && unshare(CLONE_NEWNS) == 0 &&
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			mount("sysfs", "/sys", "sysfs", 0, NULL) == 0;
}

#define NEED_TAP()                                      \
	do {                                            \
		(void)state;                            \
		if (why_not) {                          \
			print_message("%s\n", why_not); \
			skip();                         \
		}                                       \
	} while (0)

/* ---- the host's side ------------------------------------------------------------------------- */

static struct ifreq request(void)
{
	struct ifreq ifr = {0};

	strcpy(ifr.ifr_name, TAP);
	return ifr;
}

/* A packet socket on the interface: far_fd. */
static void open_far(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	at.sll_ifindex = (int)if_nametoindex(TAP);
	far_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	assert_true(far_fd >= 0);
	assert_int_equal(bind(far_fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void set_address(const char *text)
{
	struct ifreq ifr = request();
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ifr.ifr_addr;

	in->sin_family = AF_INET;
	inet_pton(AF_INET, text, &in->sin_addr);
	assert_int_equal(ioctl(control, SIOCSIFADDR, &ifr), 0);
	inet_pton(AF_INET, "255.255.255.0", &in->sin_addr);
	assert_int_equal(ioctl(control, SIOCSIFNETMASK, &ifr), 0);
}

static void set_up(bool on)
{
	struct ifreq ifr = request();

	assert_int_equal(ioctl(control, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(on ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(control, SIOCSIFFLAGS, &ifr), 0);
}

static void delete_interface(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} del = {{sizeof(del), RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
		 {.ifi_index = (int)if_nametoindex(TAP)}};
	const int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	assert_int_equal(send(fd, &del, sizeof(del), 0), sizeof(del));
	assert_true(recv(fd, message, sizeof(message), 0) > 0);
	assert_int_equal(if_nametoindex(TAP), 0);
	close(fd);
}

static void up(uint64_t features)
{
	const struct axvirtio_net_config config = {.tap = TAP, .fd = -1};

	net_make(&config);
	open_far();
	net_start(features, 1, 64);
	poll_all();
}

/* The kernel sends frames of its own (IPv6 neighbours): look for ours. */
static bool far_sees(uint32_t bytes, unsigned seed)
{
	for (unsigned i = 0; i < 100; i++) {
		const ssize_t n = far_read(message, sizeof(message));

		if (n == (ssize_t)bytes && is_frame(message, bytes, seed))
			return true;
		if (!n)
			usleep(1000);
	}
	return false;
}

/* Wait for a frame of which `matches` says it is the one; its header in *ret_header. */
static const uint8_t *guest_sees(bool (*matches)(const uint8_t *frame, uint32_t bytes),
				 struct virtio_net_hdr_v1 *ret_header)
{
	uint32_t id, len;

	for (unsigned i = 0; i < 1000; i++) {
		poll_all();
		while (take_used(&rx[0], &id, &len)) {
			const uint64_t gpa = RX_GPA + 4096ULL * id;
			const uint8_t *frame = guest(&m, gpa + HDR, len - HDR);

			offer_rx(1, 4096);
			if (!matches(frame, len - HDR))
				continue;
			*ret_header = header_at(gpa);
			return frame;
		}
		usleep(1000);
	}
	fail_msg("the frame did not come");
	return NULL;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool is_sixth(const uint8_t *frame, uint32_t bytes)
{
	return bytes == 600 && is_frame(frame, bytes, 6);
}

static void test_both_ways(void **state)
{
	struct virtio_net_hdr_v1 header;
	struct ifreq ifr = request();

	NEED_TAP();
	up(MERGE);
	/* It was made, and is up. */
	assert_int_equal(ioctl(control, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_UP);
	offer_rx(64, 4096);
	assert_int_equal(send_packet(&plain, 60, 1), 0);
	assert_true(far_sees(60, 1));
	assert_int_equal(send_packet(&plain, 1514, 2), 0);
	assert_true(far_sees(1514, 2));
	assert_int_equal(write(far_fd, make_frame(600, 6), 600), 600);
	guest_sees(is_sixth, &header);
	assert_int_equal(header.num_buffers, 1);
	assert_int_equal(net_stats().tx_frames, 2);
	net_down();
	assert_int_equal(if_nametoindex(TAP), 0);
}

#define GUEST_MAC "\x02\x11\x22\x33\x44\x55"

static size_t put_ethernet(uint8_t *at, const void *to, uint16_t type)
{
	type = htons(type);
	memcpy(at, to, 6);
	memcpy(at + 6, GUEST_MAC, 6);
	memcpy(at + 12, &type, 2);
	return 14;
}

static bool is_arp_reply(const uint8_t *frame, uint32_t bytes)
{
	return bytes >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2;
}

static bool is_echo_reply(const uint8_t *frame, uint32_t bytes)
{
	return bytes >= 42 && frame[12] == 8 && frame[13] == 0 && frame[23] == 1 && frame[34] == 0;
}

static uint16_t internet_sum(const uint8_t *at, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void send_raw(const uint8_t *frame, uint32_t bytes)
{
	const struct buffer b = {TX_GPA, HDR + bytes, false};

	memset(guest(&m, TX_GPA, HDR), 0, HDR);
	memcpy(guest(&m, TX_GPA + HDR, bytes), frame, bytes);
	assert_int_equal(send_chain(&b, 1), 0);
}

/* The host's stack answers ARP and ping. */
static void test_ping(void **state)
{
	static const uint8_t arp[] =
		"\0\1\x08\0\6\4\0\1" GUEST_MAC "\x0a\x09\0\2\0\0\0\0\0\0\x0a\x09\0";
	static const uint8_t ip[] = "\x45\0\0\x54\0\1\0\0\x40\1\0\0\x0a\x09\0\2\x0a\x09\0\1";
	uint8_t frame[98] = {0}, host[6];
	struct virtio_net_hdr_v1 header;
	const uint8_t *got;
	uint16_t sum;

	NEED_TAP();
	up(MERGE);
	set_address("10.9.0.1");
	offer_rx(64, 4096);
	put_ethernet(frame, "\xff\xff\xff\xff\xff\xff", ETH_P_ARP);
	memcpy(frame + 14, arp, 27);
	frame[41] = 1;
	send_raw(frame, 60);
	got = guest_sees(is_arp_reply, &header);
	if (!got) {
		fail_msg("no answer to ARP");
		return;
	}
	assert_memory_equal(got, GUEST_MAC, 6);
	memcpy(host, got + 6, 6);
	put_ethernet(frame, host, ETH_P_IP);
	memcpy(frame + 14, ip, 20);
	sum = internet_sum(frame + 14, 20);
	memcpy(frame + 24, &sum, 2);
	memset(frame + 34, 0, 64);
	frame[34] = 8; /* echo request */
	frame[39] = 9;
	sum = internet_sum(frame + 34, 64);
	memcpy(frame + 36, &sum, 2);
	send_raw(frame, 98);
	got = guest_sees(is_echo_reply, &header);
	assert_memory_equal(got + 38, frame + 38, 60);
	net_down();
}

/* ---- offloads -------------------------------------------------------------------------------- */

static bool is_udp(const uint8_t *frame, uint32_t bytes)
{
	return bytes >= 42 && frame[12] == 8 && frame[13] == 0 && frame[23] == 17 &&
	       frame[36] == 0x12 && frame[37] == 0x34;
}

/* A datagram from the host: what is left of its checksum for the guest to do? */
static struct virtio_net_hdr_v1 receive_udp(uint64_t features)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(0x1234)};
	struct arpreq arp = {.arp_flags = ATF_PERM | ATF_COM};
	struct virtio_net_hdr_v1 header;
	uint8_t pseudo[600] = {0};
	const uint8_t *frame;
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	up(features);
	set_address("10.9.0.1");
	offer_rx(64, 4096);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	memcpy(&arp.arp_pa, &to, sizeof(to));
	arp.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(arp.arp_ha.sa_data, GUEST_MAC, 6);
	strcpy(arp.arp_dev, TAP);
	assert_int_equal(ioctl(control, SIOCSARP, &arp), 0);
	assert_int_equal(sendto(fd, make_frame(500, 1), 500, 0, (struct sockaddr *)&to, sizeof(to)),
			 500);
	close(fd);
	frame = guest_sees(is_udp, &header);
	if (!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		memcpy(pseudo, frame + 26, 8);
		pseudo[9] = 17;
		memcpy(pseudo + 10, frame + 38, 2);
		memcpy(pseudo + 12, frame + 34, 508);
		assert_int_equal(internet_sum(pseudo, 520), 0);
	}
	net_down();
	return header;
}

/* The host is told what the driver can take, and forgets it with the driver. */
static void test_checksum(void **state)
{
	struct virtio_net_hdr_v1 header;

	NEED_TAP();
	header = receive_udp(MERGE | NET_F(GUEST_CSUM));
	assert_true(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(header.csum_start, 34);
	assert_int_equal(header.csum_offset, 6);
	header = receive_udp(MERGE);
	assert_int_equal(header.flags, 0);
}

/* What the kernel refuses is dropped, and the next packet goes. */
static void test_refused_frames(void **state)
{
	const struct virtio_net_hdr_v1 gso = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					      .csum_start = 14,
					      .csum_offset = 0,
					      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					      .gso_size = 1,
					      .hdr_len = 14};

	NEED_TAP();
	up(BASE | NET_F(CSUM) | NET_F(HOST_TSO4));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(send_packet(&gso, 14 + 100 * i, i), 0);
	set_up(false);
	assert_int_equal(send_packet(&plain, 60, 3), 0);
	assert_true(net_stats().tx_dropped > 0);
	assert_false(needs_reset());
	set_up(true);
	while (far_read(message, sizeof(message)))
		;
	assert_int_equal(send_packet(&plain, 61, 4), 0);
	assert_true(far_sees(61, 4));
	net_down();
}

static void test_interface_goes(void **state)
{
	uint32_t id, len;

	NEED_TAP();
	up(MERGE);
	offer_rx(64, 4096);
	poll_all();
	delete_interface();
	poll_all();
	while (take_used(&rx[0], &id, &len))
		;
	assert_false(axvirtio_poll(device)); /* nothing spins */
	assert_int_equal(send_packet(&plain, 60, 3), 0);
	assert_true(net_stats().tx_dropped > 0);
	offer_rx(1, 4096);
	poll_all();
	assert_false(axvirtio_poll(device));
	assert_false(needs_reset());
	net_down();
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Who only looks is told the same as who opened it; a descriptor is not looked at. */
static void expect_same_check(const struct axvirtio_net_config *config)
{
	struct ax_error checked = {0};

	if (!sysfs_is_ours || config->fd >= 0)
		return;
	assert_int_equal(axvirtio_net_check("net0", config, &checked), -err.sys_errno);
	assert_string_equal(checked.message, err.message);
	assert_string_equal(checked.hint, err.hint);
}

static void refused(const struct axvirtio_net_config *config, const char *in_hint)
{
	struct axvirtio *none = NULL;

	err = (struct ax_error){0};
	assert_true(axvirtio_net_create("net0", config, &none, &err) < 0);
	assert_null(none);
	if (!strstr(err.hint, in_hint) && !strstr(err.message, in_hint))
		fail_msg("\"%s\" \"%s\": no \"%s\"", err.message, err.hint, in_hint);
	expect_same_check(config);
}

static void test_names(void **state)
{
	struct axvirtio_net_config config = {.fd = -1};
	static const char *const bad[] = {"", "sixteen-or-more-", "tap%d", "a/b", NULL};

	NEED_TAP();
	for (unsigned i = 0; i < AX_ARRAY_LEN(bad); i++) {
		config.tap = bad[i];
		refused(&config, "is no interface name");
	}
	config.tap = "lo";
	refused(&config, "is no tap");
	up(BASE);
	config.tap = TAP;
	refused(&config, "in use");
	config.pairs = 2;
	refused(&config, "multi_queue");
	net_down();
	/* One that is not there would be made. */
	assert_int_equal(axvirtio_net_check("net0", &config, &err), 0);
	assert_int_equal(if_nametoindex(TAP), 0);
}

/* Interfaces that stay when nobody has them. */
static void test_persistent(void **state)
{
	struct axvirtio_net_config one = {.tap = TAP, .fd = -1}, two = {.tap = TAP, .fd = -1};
	struct ifreq ifr = request();
	int fd;

	two.pairs = 2;
	NEED_TAP();
	if (!sysfs_is_ours)
		skip();
	for (unsigned several = 0; several < 2; several++) {
		fd = open("/dev/net/tun", O_RDWR);
		ifr = request();
		ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (several ? IFF_MULTI_QUEUE : 0));
		assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
		assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
		close(fd);
		set_up(true);
		assert_int_equal(axvirtio_net_check("net0", several ? &two : &one, &err), 0);
		refused(several ? &one : &two, "ip tuntap add dev NAME mode tap");
		/* Looking has left it as it was: nobody is attached, and it may be had. */
		net_make(several ? &two : &one);
		if (!several)
			refused(&one, "in use");
		net_down();
		delete_interface();
	}
	fd = open("/dev/net/tun", O_RDWR);
	ifr = request();
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	refused(&one, "is no tap");
	close(fd);
}

/* In another process: who may not is told how to get a tap. */
static void test_no_permission(void **state)
{
	const struct axvirtio_net_config config = {.tap = TAP, .fd = -1};
	struct ax_error checked = {0};
	struct axvirtio *none = NULL;
	pid_t pid;
	int status;

	NEED_TAP();
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		if (setuid(65534) < 0 || axvirtio_net_create("net0", &config, &none, &err) >= 0)
			_exit(1);
		if (axvirtio_net_check("net0", &config, &checked) != -err.sys_errno ||
		    strcmp(checked.message, err.message) != 0)
			_exit(3);
		_exit(err.kind == AX_ERROR_DEVICE && err.hint[0] ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_mtu(void **state)
{
	const struct axvirtio_net_config config = {.tap = TAP, .fd = -1, .mtu = 9000};
	struct ifreq ifr = request();

	NEED_TAP();
	net_make(&config);
	assert_true(offered(dev) & NET_F(MTU));
	assert_int_equal(ioctl(control, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 9000);
	net_start(MERGE, 1, 64);
	open_far();
	offer_rx(64, 2048);
	poll_all();
	assert_int_equal(send_packet(&plain, 9014, 1), 0);
	assert_true(far_sees(9014, 1));
	net_down();
}

/* A tap that somebody opened for us; without headers it is of no use. */
static void test_descriptor(void **state)
{
	struct axvirtio_net_config config = {.fd = -1};
	struct ifreq ifr = request();

	NEED_TAP();
	config.fd = open("/dev/net/tun", O_RDWR);
	refused(&config, "is no tap");
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	assert_int_equal(ioctl(config.fd, TUNSETIFF, &ifr), 0);
	refused(&config, "IFF_VNET_HDR");
	close(config.fd);
	config.fd = open("/dev/net/tun", O_RDWR);
	ifr = request();
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	assert_int_equal(ioctl(config.fd, TUNSETIFF, &ifr), 0);
	net_make(&config);
	close(config.fd);
	open_far();
	net_start(BASE, 1, 64);
	assert_int_equal(send_packet(&plain, 60, 5), 0);
	assert_true(far_sees(60, 5));
	net_down();
}

/* ---- several pairs --------------------------------------------------------------------------- */

#define MULTI (MERGE | NET_F(CTRL_VQ) | NET_F(MQ))

static struct ax_loop *loops[2];
static pthread_t threads[2];

static void *run_loop(void *arg)
{
	ax_loop_run(arg, NULL);
	return NULL;
}

static void up_multi(bool threaded)
{
	const struct axvirtio_net_config config = {.tap = TAP, .fd = -1, .pairs = 2};

	machine_init(&m);
	for (unsigned i = 0; threaded && i < 2; i++)
		assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loops[i], NULL), 0);
	if (threaded) {
		m.services.io_loop = loops[0];
		m.services.io_loops = loops;
		m.services.io_loop_count = 2;
	}
	if (axvirtio_net_create("net0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("net0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	open_far();
	for (unsigned i = 0; threaded && i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_loop, loops[i]), 0);
}

static void down_multi(void)
{
	for (unsigned i = 0; i < 2; i++) {
		ax_loop_stop(loops[i]);
		pthread_join(threads[i], NULL);
	}
	dev->ops->destroy(dev);
	for (unsigned i = 0; i < 2; i++)
		ax_loop_destroy(loops[i]);
	machine_finish(&m);
	close(far_fd);
	far_fd = -1;
}

static void test_pairs_command(void **state)
{
	uint16_t pairs;
	uint64_t value = 0;

	NEED_TAP();
	up_multi(false);
	assert_true(offered(dev) & NET_F(MQ));
	reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 2, false, &value);
	assert_int_equal(value, 2);
	net_start(MULTI, 2, 64);
	poll_all();
	assert_int_equal(net_stats().active_pairs, 1);
	static const struct {
		uint16_t pairs;
		int answer;
	} steps[] = {{0, VIRTIO_NET_ERR}, {3, VIRTIO_NET_ERR}, {0xffff, VIRTIO_NET_ERR},
		     {2, VIRTIO_NET_OK},  {2, VIRTIO_NET_OK},  {1, VIRTIO_NET_OK},
		     {2, VIRTIO_NET_OK}};

	for (unsigned i = 0; i < AX_ARRAY_LEN(steps); i++) {
		pairs = steps[i].pairs;
		assert_int_equal(command(4, VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), steps[i].answer);
		if (steps[i].answer == VIRTIO_NET_OK)
			assert_int_equal(net_stats().active_pairs, pairs);
		assert_false(axvirtio_poll(device));
	}
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(net_stats().active_pairs, 1);
	/* A driver without MQ has the control queue behind the first pair (5.1.2). */
	net_start(MERGE | NET_F(CTRL_VQ) | NET_F(CTRL_RX), 1, 64);
	poll_all();
	assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, 0, "\1", 1), VIRTIO_NET_OK);
	pairs = 2;
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), VIRTIO_NET_ERR);
	assert_int_equal(send_packet(&plain, 60, 5), 0);
	assert_true(far_sees(60, 5));
	net_down();
}

static void threaded_command(uint16_t pairs)
{
	const uint64_t gpa = CTRL_GPA + 0x2000;
	const struct buffer b[] = {{gpa, 4, false}, {gpa + 0x1000, 1, true}};
	uint8_t *at = guest(&m, gpa, 4);
	uint32_t id, len;

	memcpy(at, "\4\0", 2);
	memcpy(at + 2, &pairs, 2);
	offer_chain(&ctrl, b, 2);
	kick(4);
	while (!take_used(&ctrl, &id, &len))
		sched_yield();
	assert_int_equal(*(uint8_t *)guest(&m, gpa + 0x1000, 1), VIRTIO_NET_OK);
}

/* An UDP datagram of flow `port`, 60 bytes. */
static void put_flow(uint8_t *frame, uint16_t port)
{
	static const uint8_t ip[] = "\x45\0\0\x2e\0\1\0\0\x40\x11\0\0\x0a\x09\0\1\x0a\x09\0\2";
	uint16_t sum;

	memset(frame, 0, 60);
	put_ethernet(frame, GUEST_MAC, ETH_P_IP);
	memcpy(frame + 14, ip, 20);
	sum = internet_sum(frame + 14, 20);
	memcpy(frame + 24, &sum, 2);
	frame[34] = (uint8_t)(port >> 8);
	frame[35] = (uint8_t)port;
	frame[39] = 26;
}

/* Both pairs at once on two threads, numbers of pairs and resets in between. */
static void test_pairs_threads(void **state)
{
	unsigned got[2] = {0};

	NEED_TAP();
	up_multi(true);
	for (unsigned round = 0; round < 20; round++) {
		uint32_t id, len;
		unsigned sent = 0;

		net_start(MULTI, 2, 64);
		threaded_command(2);
		for (unsigned q = 0; q < 2; q++) {
			for (unsigned i = 0; i < 64; i++) {
				const struct buffer b = {RX_GPA + 0x40000ULL * q + 2048ULL * i,
							 2048, true};

				offer_chain(&rx[q], &b, 1);
			}
			kick(2 * q);
		}
		for (unsigned i = 0; i < 32; i++) {
			uint8_t frame[60];

			for (unsigned q = 0; q < 2; q++) {
				const uint64_t gpa = TX_GPA + 0x8000ULL * q + 0x100ULL * i;
				const struct buffer b = {gpa, HDR + 60, false};

				put_packet(gpa, &plain, 60, i);
				offer_chain(&tx[q], &b, 1);
				kick(2 * q + 1);
			}
			put_flow(frame, (uint16_t)(1000 + i));
			sent += write(far_fd, frame, 60) == 60;
			if (i == 16 && round % 3 == 1) {
				threaded_command(1);
				threaded_command(2);
			}
		}
		if (round % 4 == 2) { /* with all of it on its way */
			wr(dev, VIRTIO_MMIO_STATUS, 0);
			continue;
		}
		for (unsigned q = 0; q < 2; q++)
			while (used_shown(&tx[q]) < 32)
				sched_yield();
		assert_true(sent > 0);
		for (unsigned wait = 0; wait < 1000; wait++) {
			if ((unsigned)used_shown(&rx[0]) + used_shown(&rx[1]) >= sent)
				break;
			usleep(1000);
		}
		for (unsigned q = 0; q < 2; q++)
			while (take_used(&rx[q], &id, &len))
				got[q]++;
		while (far_read(message, sizeof(message)))
			;
	}
	assert_true(got[0] > 0);
	assert_true(got[1] > 0);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	down_multi();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),      cmocka_unit_test(test_ping),
		cmocka_unit_test(test_checksum),       cmocka_unit_test(test_refused_frames),
		cmocka_unit_test(test_interface_goes), cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_permission),  cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_descriptor),     cmocka_unit_test(test_pairs_command),
		cmocka_unit_test(test_pairs_threads),  cmocka_unit_test(test_persistent),
	};

	far_fd = -1;
	find_out();
	return cmocka_run_group_tests_name("virtio-net-tap", tests, NULL, NULL);
}
