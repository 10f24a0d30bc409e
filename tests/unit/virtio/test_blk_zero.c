/*
 * virtio-blk DISCARD and WRITE_ZEROES: what is offered, every rule of Spec 5.2.6 about ranges and
 * flags, what the image holds afterwards, and that its size never changes.
 */
#include "blk_driver.h"
#include <sys/mman.h>

#define OK_       VIRTIO_BLK_S_OK
#define IOERR_    VIRTIO_BLK_S_IOERR
#define UNSUPP    VIRTIO_BLK_S_UNSUPP
#define DISCARD   VIRTIO_BLK_T_DISCARD
#define ZEROES    VIRTIO_BLK_T_WRITE_ZEROES
#define F_DISCARD (1ULL << VIRTIO_BLK_F_DISCARD)
#define F_ZEROES  (1ULL << VIRTIO_BLK_F_WRITE_ZEROES)
#define UNMAP     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

static uint8_t disk[SECTORS * 512];

static void fill_disk(void)
{
	for (size_t i = 0; i < sizeof(disk); i++)
		disk[i] = (uint8_t)(i * 31 + i / 512 + 1) | 1;
	assert_int_equal(pwrite(image_fd, disk, sizeof(disk), 0), sizeof(disk));
}

static int setup(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	machine_init(&m);
	image_create(SECTORS * 512);
	fill_disk();
	blk_up(&config, F_FLUSH | F_DISCARD | F_ZEROES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_down();
	image_remove();
	machine_finish(&m);
	return 0;
}

static uint8_t ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *list,
		      uint32_t bytes)
{
	const struct buffer b[] = {
		{HEADER_GPA, 16, false}, {DATA_GPA, bytes, false}, {STATUS_GPA, 1, true}};
	uint8_t *status = guest(&m, STATUS_GPA, 1);

	put_header(HEADER_GPA, type, 0);
	assert_int_equal(axas_write(m.memory, DATA_GPA, list, bytes), 0);
	*status = NO_STATUS;
	assert_int_equal(submit(b, 3), 1);
	return *status;
}

static uint8_t range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes one = {sector, sectors, flags};

	return ranges(type, &one, sizeof(one));
}

static void expect_disk(void)
{
	static uint8_t now[sizeof(disk)];
	struct stat st;

	assert_int_equal(fstat(image_fd, &st), 0);
	assert_int_equal(st.st_size, sizeof(disk));
	assert_int_equal(pread(image_fd, now, sizeof(now), 0), sizeof(now));
	assert_memory_equal(now, disk, sizeof(disk));
}

static uint64_t field(size_t offset, unsigned width)
{
	uint64_t value = 0;

	reg_access(dev, 0x100 + offset, width, false, &value);
	return value;
}
#define FIELD(name)                                     \
	field(offsetof(struct virtio_blk_config, name), \
	      sizeof(((struct virtio_blk_config *)0)->name))

static void test_offer(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	assert_true(offered(dev) & F_DISCARD);
	assert_true(offered(dev) & F_ZEROES);
	assert_true(FIELD(max_discard_sectors) >= 2048);
	assert_true(FIELD(max_discard_seg) >= 1);
	assert_true(FIELD(discard_sector_alignment) >= 1);
	assert_true(FIELD(max_write_zeroes_sectors) >= 2048);
	assert_true(FIELD(max_write_zeroes_seg) >= 1);
	assert_int_equal(FIELD(write_zeroes_may_unmap), 1);
	blk_down();
	config.no_discard = true;
	blk_up(&config, F_FLUSH);
	assert_false(offered(dev) & (F_DISCARD | F_ZEROES));
	assert_int_equal(range(DISCARD, 0, 8, 0), UNSUPP);
	assert_int_equal(range(ZEROES, 0, 8, 0), UNSUPP);
	expect_disk();
	blk_down();
	config = blk_config(true);
	blk_up(&config, F_FLUSH);
	assert_false(offered(dev) & (F_DISCARD | F_ZEROES));
	assert_int_equal(range(ZEROES, 0, 8, 0), UNSUPP);
	expect_disk();
}

/* What was not negotiated is not known (5.2.6.2 counts it among the unsupported). */
static void test_not_negotiated(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1 | F_FLUSH | F_DISCARD);
	ring_init(&ring, &m, RING_GPA, QUEUE);
	start_queue(dev, &ring);
	assert_int_equal(range(ZEROES, 0, 8, 0), UNSUPP);
	assert_int_equal(range(DISCARD, 0, 8, 0), OK_);
}

static void test_zeroes(void **state)
{
	struct virtio_blk_discard_write_zeroes list[5] = {
		{0, 1, 0}, {7, 20, UNMAP}, {100, 0, 0}, {SECTORS - 9, 9, UNMAP}, {50, 13, 0}};

	(void)state;
	for (unsigned i = 0; i < AX_ARRAY_LEN(list); i++)
		memset(disk + list[i].sector * 512, 0, list[i].num_sectors * 512);
	assert_int_equal(ranges(ZEROES, list, sizeof(list)), OK_);
	expect_disk();
	memset(disk, 0, sizeof(disk));
	assert_int_equal(range(ZEROES, 0, SECTORS, 0), OK_);
	expect_disk();
	assert_int_equal(range(ZEROES, SECTORS, 0, 0), OK_);
	/* Also for a driver that takes the device for write-through. */
	fill_disk();
	negotiate(dev, F_VERSION_1 | F_ZEROES);
	ring_init(&ring, &m, RING_GPA, QUEUE);
	start_queue(dev, &ring);
	assert_int_equal(range(ZEROES, 8, 8, UNMAP), OK_);
	memset(disk + 8 * 512, 0, 8 * 512);
	expect_disk();
}

/* What is discarded is given back to the host; what is not, stays. */
static void test_discard(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(fstat(image_fd, &before), 0);
	assert_int_equal(range(DISCARD, 1024, 512, 0), OK_);
	assert_int_equal(fstat(image_fd, &after), 0);
	assert_true(after.st_blocks <= before.st_blocks - 512);
	memset(disk + 1024 * 512, 0, 512 * 512); /* so says our file system, not the spec */
	expect_disk();
}

static void test_rules(void **state)
{
	static struct virtio_blk_discard_write_zeroes many[300];
	const uint32_t max_d = (uint32_t)FIELD(max_discard_sectors);
	const uint32_t max_z = (uint32_t)FIELD(max_write_zeroes_sectors);
	const uint32_t seg = (uint32_t)FIELD(max_discard_seg);
	struct virtio_blk_discard_write_zeroes two[] = {{0, 8, 0}, {SECTORS, 1, 0}};

	(void)state;
	/* Unknown flags, and unmap for discard: UNSUPP. */
	assert_int_equal(range(DISCARD, 0, 8, UNMAP), UNSUPP);
	for (unsigned bit = 1; bit < 32; bit++) {
		assert_int_equal(range(DISCARD, 0, 8, 1U << bit), UNSUPP);
		assert_int_equal(range(ZEROES, 0, 8, 1U << bit | UNMAP), UNSUPP);
	}
	for (unsigned i = 0; i < 2; i++) {
		const uint32_t type = i ? ZEROES : DISCARD;

		assert_int_equal(range(type, SECTORS, 1, 0), IOERR_);
		assert_int_equal(range(type, SECTORS - 1, 2, 0), IOERR_);
		assert_int_equal(range(type, ~0ULL, 1, 0), IOERR_);
		assert_int_equal(range(type, ~0ULL, ~0U, 0), IOERR_);
		assert_int_equal(range(type, 1ULL << 55, 8, 0), IOERR_); /* times 512 wraps */
		assert_int_equal(range(type, 1, (i ? max_z : max_d) + 1, 0), IOERR_);
		/* All or nothing: a bad range behind a good one. */
		assert_int_equal(ranges(type, two, sizeof(two)), IOERR_);
		/* No list, half a list, too long a list. */
		assert_int_equal(ranges(type, many, 0), IOERR_);
		assert_int_equal(ranges(type, many, 15), IOERR_);
		assert_int_equal(ranges(type, many, 17), IOERR_);
		assert_int_equal(ranges(type, many, 16 * seg), OK_);
		assert_int_equal(ranges(type, many, 16 * (seg + 1)), IOERR_);
		assert_int_equal(ranges(type, many, sizeof(many)), IOERR_);
	}
	expect_disk();
	assert_int_equal(stats().malformed, 0);
}

static void test_truncated(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(ftruncate(image_fd, 4096), 0);
	assert_int_equal(range(ZEROES, 100, 8, 0), IOERR_);
	assert_int_equal(range(DISCARD, 100, 8, 0), IOERR_);
	assert_int_equal(fstat(image_fd, &st), 0);
	assert_int_equal(st.st_size, 4096);
}

/* A host that knows no zero ranges (tmpfs): they are written, and kept allocated. */
static void test_written_out(void **state)
{
	const int shm = memfd_create("image", MFD_CLOEXEC);
	struct axvirtio_blk_config config = blk_config(false);
	struct stat st;

	(void)state;
	blk_down();
	assert_int_equal(pwrite(shm, disk, sizeof(disk), 0), sizeof(disk));
	config.fd = shm;
	blk_up(&config, F_FLUSH | F_DISCARD | F_ZEROES);
	assert_true(fstat(shm, &st) == 0 && st.st_blocks == SECTORS);
	memset(disk + 3 * 512, 0, 1500 * 512);
	assert_int_equal(range(ZEROES, 3, 1500, 0), OK_);
	assert_int_equal(range(ZEROES, 3, 1500, 0), OK_);
	assert_true(fstat(shm, &st) == 0 && st.st_blocks == SECTORS);
	assert_int_equal(pwrite(image_fd, disk, sizeof(disk), 0), sizeof(disk));
	assert_int_equal(range(ZEROES, 1600, 400, UNMAP), OK_);
	assert_true(fstat(shm, &st) == 0 && st.st_blocks < SECTORS);
	memset(disk + 1600 * 512, 0, 400 * 512);
	for (unsigned i = 0; i < SECTORS; i += 64) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, i, DATA_GPA, 64 * 512), OK_);
		assert_memory_equal(guest(&m, DATA_GPA, 64 * 512), disk + i * 512, 64 * 512);
	}
	close(shm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_offer), T(test_not_negotiated), T(test_zeroes),      T(test_discard),
		T(test_rules), T(test_truncated),      T(test_written_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
