/*
 * What the configuration says of a disk is what the guest's driver finds: features, queues, serial
 * number, the base of an overlay and the rate limits; and what only the host sees, direct I/O.
 */
#include "device.h"

#include "../virtio/blk_driver.h"

#include <dirent.h>

#define DATA_BYTES 512u

static struct rig rig;

/* A VM with one disk on the image; `options` follow its path. */
static void up(const char *options, const char *const *more)
{
	char disk[128];
	const char *words[8] = {"--disk", disk, "--transport=mmio"};
	size_t count = 3;

	snprintf(disk, sizeof(disk), "%s%s", image, options);
	for (; more && *more; more++)
		words[count++] = *more;
	rig_init(&rig, words);
	build(&rig);
	dev = find(&rig, "disk0");
	device = axvirtio_of(dev);
	m = machine_of(&rig);
}

static void drive(void)
{
	ring_init(&ring, &m, RING_GPA, QUEUE);
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

static int setup(void **state)
{
	(void)state;
	image_create((off_t)SECTORS * 512);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_finish(&rig);
	image_remove();
	return 0;
}

/* ---- what is offered ------------------------------------------------------------------------- */

static void test_plain(void **state)
{
	(void)state;
	up("", NULL);
	assert_int_equal(read_config(dev, 0, 8), SECTORS);
	assert_false(offers(dev, VIRTIO_BLK_F_RO));
	assert_false(offers(dev, VIRTIO_BLK_F_MQ));
	assert_true(offers(dev, VIRTIO_BLK_F_DISCARD));
	assert_true(offers(dev, VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(queues_of(dev), 1);
}

static void test_read_only(void **state)
{
	(void)state;
	up(",ro", NULL);
	assert_true(offers(dev, VIRTIO_BLK_F_RO));
}

static void test_no_discard(void **state)
{
	(void)state;
	up(",discard=off", NULL);
	assert_false(offers(dev, VIRTIO_BLK_F_DISCARD));
	assert_false(offers(dev, VIRTIO_BLK_F_WRITE_ZEROES));
}

static void test_queues(void **state)
{
	(void)state;
	up(",queues=3", NULL);
	assert_true(offers(dev, VIRTIO_BLK_F_MQ));
	assert_int_equal(read_config(dev, offsetof(struct virtio_blk_config, num_queues), 2), 3);
	assert_int_equal(queues_of(dev), 3);
}

/* Left open, it is one for each CPU where each can have an interrupt of its own. */
static void test_queues_left_open(void **state)
{
	static const struct {
		const char *options, *transport, *cpus;
		unsigned queues;
	} cases[] = {
		{"", "--transport=pci", "-c3", 3},
		{"", "--transport=pci", "-c40", AXVIRTIO_BLK_MAX_QUEUES},
		{",queues=2", "--transport=pci", "-c3", 2},
		{"", "--transport=mmio", "-c3", 1},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		up(cases[i].options, WORDS(cases[i].transport, cases[i].cpus));
		assert_int_equal(device->queue_count, cases[i].queues);
		rig_finish(&rig);
	}
}

/* ---- what it does ---------------------------------------------------------------------------- */

static void expect_serial(const char *text)
{
	char got[AXVIRTIO_BLK_SERIAL_BYTES + 1] = "";

	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, AXVIRTIO_BLK_SERIAL_BYTES),
			 VIRTIO_BLK_S_OK);
	memcpy(got, guest(&m, DATA_GPA, AXVIRTIO_BLK_SERIAL_BYTES), AXVIRTIO_BLK_SERIAL_BYTES);
	assert_string_equal(got, text);
}

static void test_serial(void **state)
{
	(void)state;
	up(",serial=WD-1234", NULL);
	drive();
	expect_serial("WD-1234");
	rig_finish(&rig);
	up("", NULL);
	drive();
	expect_serial("disk0");
}

static void test_base(void **state)
{
	struct ax_error err = {0};
	char overlay[64], options[96];

	(void)state;
	assert_int_equal(pwrite(image_fd, "of the base", 12, 512), 12);
	snprintf(overlay, sizeof(overlay), "%s.overlay", image);
	assert_int_equal(axvirtio_blk_make_overlay(overlay, image, &err), 0);
	snprintf(options, sizeof(options), ".overlay,base=%s", image);
	up(options, NULL);
	unlink(overlay);
	assert_int_equal(read_config(dev, 0, 8), SECTORS);
	drive();
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1, DATA_GPA, DATA_BYTES), VIRTIO_BLK_S_OK);
	assert_string_equal(guest(&m, DATA_GPA, 12), "of the base");
}

/* Is the image open for direct I/O? */
static bool is_direct(void)
{
	char path[300], target[300];
	DIR *fds = opendir("/proc/self/fd");
	struct dirent *entry;
	bool direct = false, found = false;

	assert_non_null(fds);
	while ((entry = readdir(fds))) {
		ssize_t n;
		int fd = atoi(entry->d_name);

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (fd == image_fd || strcmp(target, image) != 0)
			continue;
		found = true;
		direct = fcntl(fd, F_GETFL) & O_DIRECT;
	}
	closedir(fds);
	assert_true(found);
	return direct;
}

static void test_direct(void **state)
{
	const int fd = open(image, O_RDONLY | O_DIRECT | O_CLOEXEC);

	(void)state;
	up("", NULL);
	assert_false(is_direct());
	if (fd < 0)
		skip(); /* not on this file system */
	close(fd);
	rig_finish(&rig);
	up(",direct", NULL);
	assert_true(is_direct());
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* How many of 40 reads of a sector are answered at once. */
static unsigned reads_at_once(const char *options)
{
	const struct buffer b[] = {
		{HEADER_GPA, 16, false}, {DATA_GPA, DATA_BYTES, true}, {STATUS_GPA, 1, true}};
	uint32_t id, len;
	unsigned count = 0;

	up(options, NULL);
	drive();
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 0);
	for (unsigned i = 0; i < 40; i++)
		offer_chain(&ring, b, 3);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (axvirtio_poll(device))
		;
	while (take_used(&ring, &id, &len))
		count++;
	return count;
}

static void test_limits(void **state)
{
	/* Each of the four numbers. */
	static const struct {
		const char *options;
		unsigned burst;
	} cases[] = {
		{"", 40},
		{",ops=1,ops_burst=5", 5},
		{",bw=1K,bw_burst=2K", 4},
		{",bw=1K,bw_burst=8K,ops=1,ops_burst=6", 6},
		{",bw=1K,bw_burst=3K,ops=1,ops_burst=12", 6},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const uint64_t since_ns = ax_clock_ns();

		expect_burst(reads_at_once(cases[i].options), cases[i].burst, 2, since_ns);
		rig_finish(&rig);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),  TEST(test_read_only),        TEST(test_no_discard),
		TEST(test_queues), TEST(test_queues_left_open), TEST(test_serial),
		TEST(test_base),   TEST(test_direct),           TEST(test_limits),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
