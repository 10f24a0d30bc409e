/*
 * virtio-blk requests: data integrity in random framings, limits, errors, and every malformed
 * request answered in the protocol. Images and their trouble are test_blk_image.c.
 */
#include "blk_driver.h"

#define OK_    VIRTIO_BLK_S_OK
#define IOERR_ VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

static int setup(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	machine_init(&m);
	image_create(SECTORS * 512);
	blk_up(&config, F_FLUSH | F_INDIRECT);
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

static uint64_t config_field(size_t offset, unsigned width)
{
	uint64_t value = 0;

	reg_access(dev, 0x100 + offset, width, false, &value);
	return value;
}

static void test_config(void **state)
{
	const uint64_t features = offered(dev);

	(void)state;
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(config_field(offsetof(struct virtio_blk_config, capacity), 8), SECTORS);
	assert_int_equal(config_field(offsetof(struct virtio_blk_config, size_max), 4), 1 << 20);
	assert_int_equal(config_field(offsetof(struct virtio_blk_config, seg_max), 4), QUEUE - 2);
	assert_int_equal(config_field(offsetof(struct virtio_blk_config, blk_size), 4), 512);
	assert_true(features & 1 << VIRTIO_BLK_F_SIZE_MAX && features & 1 << VIRTIO_BLK_F_SEG_MAX);
	assert_true(features & 1 << VIRTIO_BLK_F_BLK_SIZE && features & F_FLUSH);
	assert_false(features & 1 << VIRTIO_BLK_F_RO);
	assert_false(features & (1 << VIRTIO_BLK_F_MQ | 1 << VIRTIO_BLK_F_CONFIG_WCE |
				 1 << VIRTIO_BLK_F_SECURE_ERASE));
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE);
}

/* Cut bytes of guest memory at gpa into `parts` buffers at random places. */
static unsigned split(struct buffer *b, uint64_t gpa, uint32_t bytes, unsigned parts, bool write)
{
	unsigned count = 0;

	while (bytes && count + 1 < parts) {
		const uint32_t cut = (uint32_t)rand() % (bytes + 1);

		b[count++] = (struct buffer){gpa, cut, write}; /* may be empty */
		gpa += cut;
		bytes -= cut;
	}
	b[count++] = (struct buffer){gpa, bytes, write};
	return count;
}

/* Random reads and writes in random framings against a copy of the disk. */
static void test_integrity(void **state)
{
	static uint8_t model[SECTORS * 512];
	struct buffer b[80];

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 3000; round++) {
		const bool write = rand() & 1;
		const uint32_t sectors = (uint32_t)rand() % 64;
		const uint64_t sector = (uint64_t)rand() % (SECTORS - sectors);
		const uint32_t bytes = sectors * 512;
		/* Sometimes across the two regions of RAM. */
		const uint64_t data = rand() & 1 ? DATA_GPA + (uint64_t)rand() % 64
						 : RAM1_GPA - (uint64_t)rand() % 40000;
		uint8_t *status = guest(&m, STATUS_GPA, 1);
		uint8_t buf[64 * 512];
		unsigned n;
		int64_t len;

		put_header(HEADER_GPA, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, sector);
		*status = NO_STATUS;
		n = split(b, HEADER_GPA, 16, 1 + (unsigned)rand() % 5, false);
		n += split(b + n, data, bytes, 1 + (unsigned)rand() % 20, !write);
		b[n++] = (struct buffer){STATUS_GPA, 1, true};
		for (uint32_t i = 0; i < bytes; i++)
			buf[i] = (uint8_t)rand();
		assert_int_equal(axas_write(m.memory, data, buf, bytes), 0);
		if (write)
			memcpy(model + sector * 512, buf, bytes);
		len = submit(b, n);
		assert_int_equal(len, write ? 1 : bytes + 1);
		assert_int_equal(*status, OK_);
		if (write)
			continue;
		assert_int_equal(axas_read(m.memory, data, buf, bytes), 0);
		assert_memory_equal(buf, model + sector * 512, bytes);
	}
	assert_int_equal(stats().requests, 3000);
	assert_int_equal(stats().errors, 0);
	assert_int_equal(stats().malformed, 0);
	/* And the file itself has it, byte for byte. */
	static uint8_t file[SECTORS * 512];
	assert_int_equal(pread(image_fd, file, sizeof(file), 0), sizeof(file));
	assert_memory_equal(file, model, sizeof(file));
}

/* Header, data and status sharing descriptors: one readable and one writable part. */
static void test_merged_framing(void **state)
{
	const struct buffer out[] = {{HEADER_GPA, 16 + 512, false}, {STATUS_GPA, 1, true}};
	const struct buffer in[] = {{HEADER_GPA, 16, false}, {DATA_GPA, 513, true}};
	uint8_t *data = guest(&m, DATA_GPA, 513);

	(void)state;
	put_header(HEADER_GPA, VIRTIO_BLK_T_OUT, 7);
	memset(guest(&m, HEADER_GPA + 16, 512), 0x5a, 512);
	assert_int_equal(submit(out, 2), 1);
	assert_int_equal(*(uint8_t *)guest(&m, STATUS_GPA, 1), OK_);
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 7);
	data[512] = NO_STATUS;
	assert_int_equal(submit(in, 2), 513);
	assert_int_equal(data[0], 0x5a);
	assert_int_equal(data[511], 0x5a);
	assert_int_equal(data[512], OK_);
}

/* must-test 7 */
static void test_bounds(void **state)
{
	const uint64_t far[] = {SECTORS, SECTORS + 1, 1ULL << 55,      (1ULL << 55) + 1, 1ULL << 63,
				~0ULL,   ~0ULL / 512, ~0ULL / 512 + 1, (1ULL << 55) - 1};

	(void)state;
	for (unsigned write = 0; write < 2; write++) {
		const uint32_t type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;

		for (size_t i = 0; i < AX_ARRAY_LEN(far); i++)
			assert_int_equal(request(type, far[i], DATA_GPA, 512), IOERR_);
		assert_int_equal(request(type, SECTORS - 1, DATA_GPA, 512), OK_);
		assert_int_equal(request(type, SECTORS - 1, DATA_GPA, 1024), IOERR_);
		assert_int_equal(request(type, 0, DATA_GPA, 511), IOERR_);
		assert_int_equal(request(type, 0, DATA_GPA, 513), IOERR_);
		assert_int_equal(request(type, 0, DATA_GPA, 1), IOERR_);
		assert_int_equal(request(type, SECTORS, DATA_GPA, 0), OK_);
		assert_int_equal(request(type, SECTORS + 1, DATA_GPA, 0), IOERR_);
	}
	assert_int_equal(stats().malformed, 0);
	assert_true(stats().errors > 0);
	struct stat st;
	assert_int_equal(fstat(image_fd, &st), 0);
	assert_int_equal(st.st_size, SECTORS * 512); /* nothing made it longer */
}

/* More than the limits of the device allow together holds the I/O thread for too long. */
static void test_too_large(void **state)
{
	const uint64_t big_gpa = 0x10000000, limit = (QUEUE - 2) * AX_MIB;

	(void)state;
	blk_down();
	assert_int_equal(ftruncate(image_fd, (off_t)(2 * limit)), 0); /* sparse */
	const struct axvirtio_blk_config config = blk_config(false);
	blk_up(&config, F_FLUSH);
	map_ram(&m, "big", big_gpa, 2 * limit); /* never touched */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, big_gpa, (uint32_t)limit + 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, big_gpa, (uint32_t)limit + 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, big_gpa, (uint32_t)(2 * limit)), IOERR_);
	assert_int_equal(stats().bytes, 0);
	assert_int_equal(stats().malformed, 0);
}

static void test_types(void **state)
{
	const uint32_t unknown[] = {2,  3,  5,  7,  9,          10,         11,
				    12, 13, 14, 15, 0x80000000, 0x80000001, ~0U};
	uint8_t *data = guest(&m, DATA_GPA, 64);

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(unknown); i++)
		assert_int_equal(request(unknown[i], 0, DATA_GPA, 512), UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
	/* GET_ID: 20 bytes, never more, and short buffers get what fits. */
	memset(data, 0xcc, 64);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, 20), OK_);
	assert_memory_equal(data, "serial-of-20-bytes-x", 20);
	assert_int_equal(data[20], 0xcc);
	memset(data, 0xcc, 64);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, 5), OK_);
	assert_memory_equal(data, "seria\xcc", 6);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, 64), OK_);
	assert_int_equal(data[20], 0xcc);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, 0), OK_);
}

static void test_short_headers(void **state)
{
	uint8_t *status = guest(&m, STATUS_GPA, 1);

	(void)state;
	for (uint32_t len = 0; len < 16; len++) {
		const struct buffer b[] = {{HEADER_GPA, len, false}, {STATUS_GPA, 1, true}};

		*status = NO_STATUS;
		assert_int_equal(submit(b, 2), 1);
		assert_int_equal(*status, IOERR_);
	}
	/* No header at all, only room for the answer. */
	const struct buffer only = {STATUS_GPA, 1, true};
	*status = NO_STATUS;
	assert_int_equal(submit(&only, 1), 1);
	assert_int_equal(*status, IOERR_);
	assert_int_equal(stats().malformed, 0);
}

static void test_no_status(void **state)
{
	const struct buffer b[] = {{HEADER_GPA, 16, false}, {STATUS_GPA, 0, true}};

	(void)state;
	put_header(HEADER_GPA, VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned count = 1; count <= 2; count++) {
		negotiate(dev, F_VERSION_1);
		ring_init(&ring, &m, RING_GPA, QUEUE);
		start_queue(dev, &ring);
		assert_int_equal(submit(b, count), -1);
		assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
		assert_int_equal(stats().malformed_by[AXVQ_PROTOCOL], count);
	}
}

/* What the VM-corrupting chains of must-test 1 do to a disk: nothing, but for NEEDS_RESET. */
static void test_bad_buffers(void **state)
{
	const struct buffer wrap[] = {
		{HEADER_GPA, 16, false}, {~0ULL - 255, 512, true}, {STATUS_GPA, 1, true}};

	(void)state;
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 0);
	assert_int_equal(submit(wrap, 3), -1);
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	assert_int_equal(stats().last_error, AXVQ_ADDRESS);
	assert_int_equal(used_shown(&ring), 0);
}

/* A whole queue of requests in one kick: one batch, one interrupt. */
static void test_batch(void **state)
{
	const unsigned before = m.pulses;

	(void)state;
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 3);
	for (unsigned i = 0; i < QUEUE / 4; i++) {
		const struct buffer b[] = {{HEADER_GPA, 16, false},
					   {DATA_GPA + 512 * i, 512, true},
					   {STATUS_GPA + i, 1, true}};
		offer_chain(&ring, b, 3);
	}
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (axvirtio_poll(device))
		;
	assert_int_equal(used_shown(&ring), QUEUE / 4);
	assert_int_equal(m.pulses, before + 1);
	assert_int_equal(stats().batches, 1);
	assert_int_equal(stats().bytes, 512 * QUEUE / 4);
	assert_int_equal(ring.used[0], 0); /* kicks are wanted again */
}

/* The largest request the limits allow, through an indirect table. */
static void test_most_segments(void **state)
{
	struct vring_desc *table = guest(&m, 0x20000, 16 * QUEUE);
	uint8_t *status = guest(&m, STATUS_GPA, 1);

	(void)state;
	for (uint16_t i = 0; i < QUEUE; i++)
		table[i] = (struct vring_desc){DATA_GPA + 2048ULL * i, 2048,
					       VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
					       (uint16_t)(i + 1)};
	table[0] = (struct vring_desc){HEADER_GPA, 16, VRING_DESC_F_NEXT, 1};
	table[QUEUE - 1] = (struct vring_desc){STATUS_GPA, 1, VRING_DESC_F_WRITE, 0};
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 0);
	*status = NO_STATUS;
	set_desc(&ring, 0, 0x20000, 16 * QUEUE, VRING_DESC_F_INDIRECT, 0);
	offer(&ring, 0);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	axvirtio_poll(device);
	assert_int_equal(*status, OK_);
	assert_int_equal(stats().bytes, 2048 * (QUEUE - 2));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_config),      T(test_integrity), T(test_merged_framing), T(test_bounds),
		T(test_too_large),   T(test_types),     T(test_short_headers),  T(test_no_status),
		T(test_bad_buffers), T(test_batch),     T(test_most_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
