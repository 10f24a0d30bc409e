/*
 * What a device costs after many lives of its driver, and after many of its own: resets with chains
 * outstanding, each followed by the whole initialisation of Spec 3.1.1, and creation and
 * destruction without any goodbye. Descriptors, threads and heap are the same before and after,
 * nothing is written after a reset, and the device still works. Every class, on both transports,
 * and on an I/O thread.
 */
#include "driver.h"

#include "../axdevice/msi_chip.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_vsock.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ECAM_GPA    0xd0200000ULL
#define BARS_GPA    0xd1000000ULL
#define RINGS_GPA   0x10000ULL
#define BALLOON_GPA 0x80000ULL
#define BUF_GPA     RAM1_GPA
#define QUEUES      18U
#define POISONED    6U /* queues whose buffers are looked at */
#define ENTRIES     16U
#define BUFFER      1024U
#define POISON      0xa5
#define WARM_UP     20U
#define PORT        1024U /* where the host listens for vsock */
/* Less than a smallest allocation for each of a test's rounds. */
#define HEAP_SLACK 1024U

/* ---- the classes: what each stands on and what its driver offers ----------------------------- */

static struct machine m;
static struct axvirtio *device;
static struct ax_error err;
static struct ring ring[QUEUES];
static bool on_pci, threaded;
static struct ax_loop *loop;
static char directory[] = "/tmp/axvm-cycles-XXXXXX", path[80];
static int far_fd = -1, near_fd = -1;
static struct axchr *chr;

static uint64_t buffer_gpa(unsigned queue, unsigned slot)
{
	return BUF_GPA + ((uint64_t)queue * ENTRIES + slot) * BUFFER;
}

/* As many buffers as the ring takes. */
static void offer_all(unsigned queue, bool write, uint32_t len)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct buffer b = {buffer_gpa(queue, i), len, write};

		offer_chain(&ring[queue], &b, 1);
	}
}

static void put_content(unsigned queue, unsigned slot, const void *bytes, size_t len)
{
	memcpy(guest(&m, buffer_gpa(queue, slot), BUFFER), bytes, len);
}

static int make_blk(void)
{
	return axvirtio_blk_create(
		"disk0", &(struct axvirtio_blk_config){.path = path, .fd = -1, .queues = 1},
		&device, &err);
}

static void fill_blk(void)
{
	for (unsigned i = 0; i < ENTRIES / 3; i++) {
		const struct virtio_blk_outhdr header = {
			.type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, .sector = i};
		const struct buffer b[] = {{buffer_gpa(0, 3 * i), sizeof(header), false},
					   {buffer_gpa(0, 3 * i + 1), 512, i % 2 == 0},
					   {buffer_gpa(0, 3 * i + 2), 1, true}};

		put_content(0, 3 * i, &header, sizeof(header));
		offer_chain(&ring[0], b, 3);
	}
}

static void make_pair(int type)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds), 0);
	near_fd = fds[0];
	far_fd = fds[1];
}

static int make_net(void)
{
	int r;

	make_pair(SOCK_SEQPACKET);
	r = axvirtio_net_create(
		"net0",
		&(struct axvirtio_net_config){.backend = AXVIRTIO_NET_PACKET, .fd = near_fd},
		&device, &err);
	close(near_fd);
	near_fd = -1;
	return r;
}

static void fill_net(void)
{
	static const uint8_t packet[12 + 60];

	for (unsigned i = 0; i < ENTRIES; i++)
		put_content(1, i, packet, sizeof(packet));
	offer_all(0, true, BUFFER);
	offer_all(1, false, sizeof(packet));
	for (unsigned i = 0; i < 8; i++)
		(void)!send(far_fd, packet, sizeof(packet), 0);
}

static int make_console(void)
{
	struct axvirtio_console_port port = {.name = "one", .is_console = true};

	make_pair(SOCK_STREAM);
	assert_int_equal(axchr_create(&(struct axchr_config){.in_fd = near_fd, .out_fd = near_fd},
				      loop, &chr, &err),
			 0);
	port.chr = chr;
	return axvirtio_console_create(
		"console0", &(struct axvirtio_console_config){.ports = &port, .port_count = 1},
		&device, &err);
}

static void fill_console(void)
{
	const struct virtio_console_control ready[] = {{0, VIRTIO_CONSOLE_DEVICE_READY, 1},
						       {0, VIRTIO_CONSOLE_PORT_READY, 1}};

	for (unsigned i = 0; i < ENTRIES; i++)
		put_content(3, i, &ready[i % 2], sizeof(ready[0]));
	offer_all(0, true, BUFFER);
	offer_all(1, false, BUFFER);
	offer_all(2, true, BUFFER);
	offer_all(3, false, sizeof(ready[0]));
	(void)!send(far_fd, "typed", 5, 0);
}

/* The far end is a listener, whose connections are the guest's. */
static int make_vsock(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char socket_path[100];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s-v_%u", path, PORT);
	far_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(address.sun_path);
	assert_int_equal(bind(far_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(far_fd, 4 * ENTRIES), 0);
	snprintf(socket_path, sizeof(socket_path), "%s-v", path);
	return axvirtio_vsock_create("vsock0",
				     &(struct axvirtio_vsock_config){.cid = 5, .path = socket_path},
				     &device, &err);
}

static void fill_vsock(void)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct virtio_vsock_hdr hdr = {
			.src_cid = 5,
			.dst_cid = 2,
			.src_port = 5000 + i,
			.dst_port = i % 4 ? PORT : PORT + 1, /* nobody is there */
			.type = VIRTIO_VSOCK_TYPE_STREAM,
			.op = VIRTIO_VSOCK_OP_REQUEST,
			.buf_alloc = 65536,
		};

		put_content(1, i, &hdr, sizeof(hdr));
	}
	offer_all(0, true, BUFFER);
	offer_all(1, false, sizeof(struct virtio_vsock_hdr));
	offer_all(2, true, sizeof(struct virtio_vsock_event));
}

static int make_balloon(void)
{
	return axvirtio_balloon_create(
		"balloon0",
		&(struct axvirtio_balloon_config){.size_bytes = 65536,
						  .deflate_on_oom = true,
						  .report_free_pages = true,
						  .stats_interval_ns = 10000000},
		&device, &err);
}

static void fill_balloon(void)
{
	const struct virtio_balloon_stat stat = {0};

	for (unsigned i = 0; i < ENTRIES; i++) {
		const uint32_t pfn = (uint32_t)(BALLOON_GPA >> 12) + i;

		put_content(0, i, &pfn, sizeof(pfn));
		put_content(1, i, &pfn, sizeof(pfn));
	}
	put_content(2, 0, &stat, sizeof(stat));
	offer_all(0, false, sizeof(uint32_t));
	offer_all(1, false, sizeof(uint32_t));
	offer_chain(&ring[2], &(struct buffer){buffer_gpa(2, 0), sizeof(stat), false}, 1);
}

static int make_rng(void)
{
	return axvirtio_rng_create("rng0", &(struct axvirtio_rng_config){.fd = -1}, &device, &err);
}

static void fill_rng(void)
{
	offer_all(0, true, BUFFER);
}

static const struct class
{
	const char *name;
	int (*make)(void);
	void (*fill)(void);
	unsigned answers; /* the queue that gives all chains back */
} classes[] = {
	{"blk", make_blk, fill_blk, 0},
	{"net", make_net, fill_net, 1},
	{"console", make_console, fill_console, 1},
	{"vsock", make_vsock, fill_vsock, 1},
	{"balloon", make_balloon, fill_balloon, 0},
	{"rng", make_rng, fill_rng, 0},
};
static const struct class *class;

/* Take what the device has brought to the far end. */
static void drain(void)
{
	uint8_t bytes[4096];
	int fd;

	if (class->make == make_vsock) {
		while ((fd = accept4(far_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			close(fd);
	} else if (far_fd >= 0) {
		while (recv(far_fd, bytes, sizeof(bytes), 0) > 0)
			;
	}
}

/* ---- a driver for both transports ------------------------------------------------------------ */

static struct msi_chip chip;
static struct axbus *bus;
static struct axdev *dev;
static uint64_t common, notify;
static uint32_t stride;

static uint64_t get(uint64_t gpa, unsigned width)
{
	struct axdev_access access = {.space = AXDEV_MMIO, .width = (uint8_t)width};

	assert_int_equal(axbus_access(bus, gpa, &access), 0);
	return access.value;
}

static void put(uint64_t gpa, unsigned width, uint64_t value)
{
	struct axdev_access access = {
		.space = AXDEV_MMIO, .width = (uint8_t)width, .is_write = true, .value = value};

	assert_int_equal(axbus_access(bus, gpa, &access), 0);
}

static uint64_t cfg(uint32_t offset, unsigned width)
{
	return get(ECAM_GPA + (1 << 15) + offset, width);
}

/* 4.1.4 */
static void find_parts(void)
{
	common = notify = 0;
	for (uint32_t at = (uint32_t)cfg(PCI_CAPABILITY_LIST, 1); at;
	     at = (uint32_t)cfg(at + 1, 1)) {
		const uint64_t where = (cfg(PCI_BASE_ADDRESS_0, 4) & ~0xfULL) + cfg(at + 8, 4);

		if (cfg(at, 1) != PCI_CAP_ID_VNDR)
			continue;
		if (cfg(at + 3, 1) == VIRTIO_PCI_CAP_COMMON_CFG)
			common = where;
		if (cfg(at + 3, 1) == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			notify = where;
			stride = (uint32_t)cfg(at + 16, 4);
		}
	}
	assert_true(common && notify);
}

static void set_status(uint8_t status)
{
	if (on_pci)
		put(common + VIRTIO_PCI_COMMON_STATUS, 1, status);
	else
		put(WINDOW_GPA + VIRTIO_MMIO_STATUS, 4, status);
}

static uint8_t get_status(void)
{
	return (uint8_t)(on_pci ? get(common + VIRTIO_PCI_COMMON_STATUS, 1)
				: get(WINDOW_GPA + VIRTIO_MMIO_STATUS, 4));
}

/* All that is offered, but for `refused`. */
static void take_features(uint64_t refused)
{
	for (uint32_t word = 0; word < 2; word++) {
		const uint32_t no = (uint32_t)(refused >> 32 * word);

		if (on_pci) {
			put(common + VIRTIO_PCI_COMMON_DFSELECT, 4, word);
			put(common + VIRTIO_PCI_COMMON_GFSELECT, 4, word);
			put(common + VIRTIO_PCI_COMMON_GF, 4,
			    get(common + VIRTIO_PCI_COMMON_DF, 4) & ~no);
		} else {
			put(WINDOW_GPA + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 4, word);
			put(WINDOW_GPA + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, word);
			put(WINDOW_GPA + VIRTIO_MMIO_DRIVER_FEATURES, 4,
			    get(WINDOW_GPA + VIRTIO_MMIO_DEVICE_FEATURES, 4) & ~no);
		}
	}
}

/* false: there is none of this number. */
static bool set_queue(unsigned queue)
{
	struct axvq_setup s;

	if (on_pci)
		put(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	else
		put(WINDOW_GPA + VIRTIO_MMIO_QUEUE_SEL, 4, queue);
	if (!(on_pci ? get(common + VIRTIO_PCI_COMMON_Q_SIZE, 2)
		     : get(WINDOW_GPA + VIRTIO_MMIO_QUEUE_NUM_MAX, 4)))
		return false;
	ring_init(&ring[queue], &m, RINGS_GPA + 0x1000 * queue, ENTRIES);
	s = ring_setup(&ring[queue]);
	if (on_pci) {
		put(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, s.size);
		put(common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, s.desc_gpa);
		put(common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, s.avail_gpa);
		put(common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, s.used_gpa);
		put(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	} else {
		write_setup(dev, queue, &s);
		put(WINDOW_GPA + VIRTIO_MMIO_QUEUE_READY, 4, 1);
	}
	return true;
}

static void reset(void)
{
	set_status(0);
	while (get_status()) /* 4.1.4.3.2 */
		sched_yield();
}

/* 3.1.1, step by step. Returns the queues there are, a bit each. */
static uint32_t initialise(uint64_t refused)
{
	uint32_t queues = 0;

	reset();
	set_status(ST_ACK);
	set_status(ST_ACK | ST_DRIVER);
	take_features(refused);
	set_status(ST_ACK | ST_DRIVER | ST_FEAT);
	assert_int_equal(get_status(), ST_ACK | ST_DRIVER | ST_FEAT);
	for (unsigned i = 0; i < QUEUES; i++)
		queues |= set_queue(i) ? 1U << i : 0;
	set_status(ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
	assert_int_equal(get_status(), ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
	return queues;
}

static void fill_and_kick(uint32_t queues)
{
	class->fill();
	for (unsigned i = 0; i < QUEUES; i++) {
		if (!(queues & 1U << i))
			continue;
		if (on_pci)
			put(notify + stride * i, 2, i);
		else
			put(WINDOW_GPA + VIRTIO_MMIO_QUEUE_NOTIFY, 4, i);
	}
}

/* ---- a machine around it --------------------------------------------------------------------- */

static pthread_t io_thread;

static void *run_loop(void *arg)
{
	(void)arg;
	ax_loop_run(loop, NULL);
	return NULL;
}

/* What the device has to do now, when nobody else does it. */
static bool step(void)
{
	if (threaded)
		return false;
	return m.services.io_loop ? ax_loop_step(loop) : axvirtio_poll(device);
}

static void up(void)
{
	const struct axpci_host_config host = {ECAM_GPA, BARS_GPA, 0x100000, false};
	const struct axirq_chip ops = msi_chip_ops(&chip);
	struct axvirtio_place place = {WINDOW_GPA, GSI, NULL};

	machine_init(&m);
	axirq_domain_destroy(m.irqs);
	assert_int_equal(axirq_domain_create(&ops, &m.irqs, NULL), 0);
	m.services.irqs = m.irqs;
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &bus, NULL), 0);
	if (on_pci) {
		assert_int_equal(axdev_create("pci-host", "pci0", &host, sizeof(host), &m.services,
					      &dev, NULL),
				 0);
		assert_int_equal(axbus_attach(bus, dev, NULL), 0);
		place.pci = axpci_host_of(dev);
	}
	assert_int_equal(ax_loop_create(threaded ? AX_LOOP_AUTO : AX_LOOP_EPOLL, &loop, NULL), 0);
	/* A console is where its backends are; without a thread the others have loops of their
	 * own, which end by themselves what is in flight. */
	m.services.io_loop = threaded || class->make == make_console ? loop : NULL;
	if (class->make() < 0 ||
	    axvirtio_attach(class->name, &place, device, &m.services, &dev, &err) < 0)
		fail_msg("%s: %s", class->name, err.message);
	assert_int_equal(axbus_attach(bus, dev, NULL), 0);
	if (on_pci) {
		put(ECAM_GPA + (1 << 15) + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		find_parts();
	}
	if (threaded)
		assert_int_equal(pthread_create(&io_thread, NULL, run_loop, NULL), 0);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void down(void)
{
	if (threaded) {
		ax_loop_stop(loop);
		pthread_join(io_thread, NULL);
	}
	axbus_destroy(bus);
	axchr_destroy(chr);
	chr = NULL;
	ax_loop_destroy(loop);
	close_fd(&near_fd);
	close_fd(&far_fd);
	machine_finish(&m);
}

/* ---- what it costs --------------------------------------------------------------------------- */

struct cost {
	unsigned fds, threads;
	size_t heap;
};

static unsigned entries(const char *of)
{
	DIR *d = opendir(of);
	unsigned count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static struct cost cost(void)
{
	const struct cost now = {entries("/proc/self/fd"), entries("/proc/self/task"),
				 mallinfo2().uordblks};

	return now;
}

/* An I/O thread lets go of what a reset has left behind a little later. */
static struct cost settled_cost(void)
{
	struct cost last, now = cost();

	do {
		last = now;
		usleep(threaded ? 20000 : 0);
		now = cost();
	} while (now.fds != last.fds || now.heap != last.heap);
	return now;
}

static void expect_cost(const struct cost *before)
{
	const uint64_t end_ns = ax_clock_ns() + 5000000000ULL;
	struct cost now = cost();

	/* A joined thread's entry in /proc may outlive it by a moment: here, and in `before`. */
	while ((now.fds != before->fds || now.threads > before->threads ||
		now.heap > before->heap + HEAP_SLACK) &&
	       ax_clock_ns() < end_ns) {
		usleep(1000);
		now = cost();
	}
	if (now.fds != before->fds || now.threads > before->threads)
		fail_msg("%s: %u descriptors and %u threads, were %u and %u", class->name, now.fds,
			 now.threads, before->fds, before->threads);
	if (now.heap > before->heap + HEAP_SLACK)
		fail_msg("%s: the heap has grown from %zu to %zu bytes", class->name, before->heap,
			 now.heap);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void poison(void)
{
	memset(guest(&m, RINGS_GPA, 0x1000 * QUEUES), POISON, 0x1000 * QUEUES);
	memset(guest(&m, BUF_GPA, POISONED * ENTRIES * BUFFER), POISON,
	       POISONED * ENTRIES * BUFFER);
}

static void expect_poison(uint64_t gpa, uint32_t bytes)
{
	const uint8_t *p = guest(&m, gpa, bytes);

	/* The first is, and each is as the one before. */
	if (p[0] != POISON || memcmp(p, p + 1, bytes - 1) != 0)
		fail_msg("%s: memory written after a reset", class->name);
}

/* One life of the driver, ended at any point of the device's work. */
static void live(unsigned round)
{
	fill_and_kick(initialise(round & 1 ? F_EVENT_IDX : 0));
	if (threaded)
		usleep(round % 4 * 40);
	for (unsigned i = 0; i < round % 4; i++)
		step();
	reset();
	drain();
	poison();
	while (step())
		;
	if (threaded && round % 8 == 0)
		usleep(50);
	expect_poison(RINGS_GPA, 0x1000 * QUEUES);
	expect_poison(BUF_GPA, POISONED * ENTRIES * BUFFER);
}

/* The device has not lost anything: it gives all chains back. */
static void expect_work(void)
{
	const uint64_t end_ns = ax_clock_ns() + 20000000000ULL;
	struct axvirtio_stats stats;
	const struct ring *r = &ring[class->answers];

	fill_and_kick(initialise(0));
	while (used_shown(r) != r->avail_idx && ax_clock_ns() < end_ns) {
		if (!step())
			usleep(100);
		drain();
	}
	assert_int_equal(used_shown(r), r->avail_idx);
	assert_int_equal(axvirtio_get_stats(dev, &stats), 0);
	assert_int_equal(stats.malformed, 0);
	reset();
	drain();
	while (step())
		;
}

static void storm(unsigned rounds)
{
	for (size_t c = 0; c < AX_ARRAY_LEN(classes); c++) {
		struct cost before, alive;

		class = &classes[c];
		up();
		expect_work();
		down();
		before = cost();
		up();
		for (unsigned i = 0; i < WARM_UP; i++)
			live(i);
		expect_work();
		alive = settled_cost();
		for (unsigned i = 0; i < rounds; i++)
			live(i);
		expect_work();
		if (threaded) { /* the kernel's workers come and go with the load */
			const struct cost now = cost();

			alive.threads = now.threads;
		}
		expect_cost(&alive);
		down();
		expect_cost(&before);
	}
}

static void resets_mmio(void **state)
{
	(void)state;
	storm(1000);
}

static void resets_pci(void **state)
{
	(void)state;
	on_pci = true;
	storm(1000);
}

static void resets_mmio_threaded(void **state)
{
	(void)state;
	threaded = true;
	storm(300);
}

static void resets_pci_threaded(void **state)
{
	(void)state;
	on_pci = threaded = true;
	storm(300);
}

/* Without a reset, with chains outstanding and some in flight. */
static void lives(unsigned count)
{
	for (size_t c = 0; c < AX_ARRAY_LEN(classes); c++) {
		struct cost before = {0};

		class = &classes[c];
		for (unsigned i = 0; i < WARM_UP / 2 + count; i++) {
			if (i == WARM_UP / 2)
				before = cost();
			on_pci = i & 1;
			up();
			if (i % 8)
				fill_and_kick(initialise(0));
			for (unsigned n = 0; n < i % 4; n++)
				step();
			if (threaded)
				usleep(i % 4 * 40);
			down();
		}
		expect_cost(&before);
	}
}

static void devices(void **state)
{
	(void)state;
	lives(200);
}

static void devices_threaded(void **state)
{
	(void)state;
	threaded = true;
	lives(50);
}

static int setup(void **state)
{
	int fd;
	(void)state;

	on_pci = threaded = false;
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/it", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	char listener[100];
	(void)state;

	snprintf(listener, sizeof(listener), "%s-v_%u", path, PORT);
	unlink(listener);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(resets_mmio),         TEST(resets_pci), TEST(resets_mmio_threaded),
		TEST(resets_pci_threaded), TEST(devices),    TEST(devices_threaded),
	};
	(void)argc;

	/* What malloc keeps for each thread counts as used: without it figures can be compared. */
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
		execv("/proc/self/exe", argv);
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("virtio-cycles", tests, NULL, NULL);
}
