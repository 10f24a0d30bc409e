/*
 * virtio-blk overlays: what one does against a model, what is left of it when the power fails at
 * any moment, and every way in which its file can be wrong (docs/overlay.md).
 *
 * The power fails like this: all that was in the file at its last fdatasync is there, and of what
 * was written since, any sectors or none. fdatasync and pwritev2 are ours here, so that we know.
 */
#include "blk_driver.h"
#include <endian.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define OK_       VIRTIO_BLK_S_OK
#define IOERR_    VIRTIO_BLK_S_IOERR
#define F_DISCARD (1ULL << VIRTIO_BLK_F_DISCARD)
#define F_ZEROES  (1ULL << VIRTIO_BLK_F_WRITE_ZEROES)
#define CLUSTER   4096u
#define PER       (CLUSTER / 512)
#define DISK      (700u + 3) /* sectors; the last cluster is not whole */
#define DATA      8192u      /* where it begins in the file: header and one page of bitmap */
#define FILE_SIZE (DATA + DISK * 512)

static struct ax_error err;
static char overlay[64], crashed[64];
static uint8_t synced[FILE_SIZE];
static unsigned syncs;
static int watched_fd = -1; /* a descriptor of ours for the overlay */

static bool is_watched(int fd)
{
	struct stat a, b;

	return watched_fd >= 0 && fstat(fd, &a) == 0 && fstat(watched_fd, &b) == 0 &&
	       a.st_ino == b.st_ino;
}

static void now_synced(off_t at, size_t bytes)
{
	assert_int_equal(pread(watched_fd, synced + at, bytes, at), bytes);
}

static unsigned crash_in; /* so many calls from now; 0: never */
static bool crash_taken;
static void make_crashed(unsigned keep);

/* The power fails in the middle of a request. */
static void count_down(void)
{
	if (crash_in && !--crash_in) {
		make_crashed((unsigned)rand() % 101);
		crash_taken = true;
	}
}

int fdatasync(int fd)
{
	if (!is_watched(fd))
		return (int)syscall(SYS_fdatasync, fd);
	count_down();
	syncs++;
	now_synced(0, sizeof(synced));
	return 0;
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	const ssize_t n = syscall(SYS_pwritev2, fd, iov, count, at, 0, flags);

	if (n <= 0 || !is_watched(fd))
		return n;
	count_down();
	if (flags & RWF_DSYNC)
		now_synced(at, (size_t)n);
	return n;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

/* A sector that can be told from all others: its number and a version, over and over. */
static void stamp(uint8_t *sector, uint32_t number, uint32_t version)
{
	const uint32_t both[2] = {number, version};

	for (unsigned i = 0; i < 512; i += 8)
		memcpy(sector + i, both, 8);
}

static struct axvirtio_blk_config overlay_config(const char *path)
{
	struct axvirtio_blk_config config = blk_config(false);

	config.path = path;
	config.base = image;
	return config;
}

static void make(void)
{
	unlink(overlay);
	if (axvirtio_blk_make_overlay(overlay, image, &err) < 0)
		fail_msg("%s", err.message);
	watched_fd = open(overlay, O_RDWR);
	assert_int_equal(pread(watched_fd, synced, sizeof(synced), 0), sizeof(synced));
}

static void unmake(void)
{
	close(watched_fd);
	watched_fd = -1;
}

static int setup(void **state)
{
	uint8_t sector[512];

	(void)state;
	memset(&err, 0, sizeof(err));
	machine_init(&m);
	image_create(DISK * 512);
	for (uint32_t i = 0; i < DISK; i++) {
		stamp(sector, i, 1);
		assert_int_equal(pwrite(image_fd, sector, 512, i * 512), 512);
	}
	snprintf(overlay, sizeof(overlay), "%s.overlay", image);
	snprintf(crashed, sizeof(crashed), "%s.crashed", image);
	make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_down();
	unmake();
	unlink(overlay);
	unlink(crashed);
	image_remove();
	machine_finish(&m);
	return 0;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* What a sector may be: one of the versions of a list, or zeros. */
#define MAX_VERSIONS 64
struct sector_model {
	uint32_t now; /* version; 0: zeros */
	bool maybe_zero;
	uint32_t may[MAX_VERSIONS]; /* after a failure */
	unsigned count;
};
static struct sector_model model[DISK];
static uint32_t versions;
static bool write_through;

static void model_init(void)
{
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < DISK; i++) {
		model[i].now = model[i].may[0] = 1;
		model[i].count = 1;
	}
	versions = 1;
}

static void model_durable(unsigned i)
{
	model[i].may[0] = model[i].now;
	model[i].count = 1;
	if (model[i].maybe_zero && model[i].now)
		model[i].may[model[i].count++] = 0;
}

static void model_set(unsigned i, uint32_t version)
{
	model[i].now = version;
	model[i].maybe_zero = false;
	assert_true(model[i].count < MAX_VERSIONS);
	model[i].may[model[i].count++] = version;
}

static void model_discard(unsigned i)
{
	model[i].maybe_zero = true;
	assert_true(model[i].count < MAX_VERSIONS);
	model[i].may[model[i].count++] = 0;
}

static void check_crashed(void);

/* A request has ended: what it did may be there if the power failed meanwhile, and from now on
 * (with `durable`) has to be. */
static void request_ended(bool durable)
{
	if (crash_taken)
		check_crashed();
	crash_taken = false;
	for (unsigned i = 0; i < DISK && durable; i++)
		model_durable(i);
}

static uint32_t version_of(const uint8_t *bytes, uint32_t number)
{
	static const uint8_t zero[512];
	uint8_t want[512];
	uint32_t version;

	if (memcmp(bytes, zero, 512) == 0)
		return 0;
	memcpy(&version, bytes + 4, 4);
	stamp(want, number, version);
	if (memcmp(bytes, want, 512) != 0)
		fail_msg("sector %u holds what was never written to it", number);
	return version;
}

static void check_now(unsigned first, unsigned count)
{
	const uint8_t *data = guest(&m, DATA_GPA, count * 512);

	for (unsigned i = 0; i < count; i++) {
		const uint32_t version = version_of(data + i * 512, first + i);
		const struct sector_model *s = &model[first + i];

		if (version != s->now && !(s->maybe_zero && !version))
			fail_msg("sector %u is version %u instead of %u", first + i, version,
				 s->now);
	}
}

static void check_all_now(void)
{
	for (unsigned i = 0; i < DISK; i += 100) {
		const unsigned n = DISK - i < 100 ? DISK - i : 100;

		assert_int_equal(request(VIRTIO_BLK_T_IN, i, DATA_GPA, n * 512), OK_);
		check_now(i, n);
	}
}

static uint8_t range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes one = {sector, sectors, flags};

	assert_int_equal(axas_write(m.memory, DATA_GPA, &one, sizeof(one)), 0);
	const struct buffer b[] = {
		{HEADER_GPA, 16, false}, {DATA_GPA, sizeof(one), false}, {STATUS_GPA, 1, true}};
	uint8_t *status = guest(&m, STATUS_GPA, 1);
	put_header(HEADER_GPA, type, 0);
	*status = NO_STATUS;
	assert_int_equal(submit(b, 3), 1);
	return *status;
}

static void write_sectors(unsigned first, unsigned count)
{
	uint8_t *data = guest(&m, DATA_GPA, count * 512);

	versions++;
	for (unsigned i = 0; i < count; i++)
		stamp(data + i * 512, first + i, versions);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, first, DATA_GPA, count * 512), OK_);
	for (unsigned i = 0; i < count; i++)
		model_set(first + i, versions);
	request_ended(write_through);
}

static void flush(void)
{
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
	request_ended(true);
}

static void random_op(void)
{
	const unsigned count = (unsigned)rand() % (rand() % 4 ? 9 : 60);
	const unsigned first = (unsigned)rand() % (DISK - count + 1);

	switch (rand() % 10) {
	case 0:
		flush();
		break;
	case 1:
		assert_int_equal(
			range(VIRTIO_BLK_T_WRITE_ZEROES, first, count, (unsigned)rand() & 1), OK_);
		for (unsigned i = 0; i < count; i++)
			model_set(first + i, 0);
		request_ended(write_through);
		break;
	case 2:
		assert_int_equal(range(VIRTIO_BLK_T_DISCARD, first, count, 0), OK_);
		for (unsigned i = 0; i < count; i++)
			model_discard(first + i);
		request_ended(false);
		break;
	case 3:
	case 4:
		assert_int_equal(request(VIRTIO_BLK_T_IN, first, DATA_GPA, count * 512), OK_);
		check_now(first, count);
		break;
	default:
		write_sectors(first, count);
	}
}

/* ---- a power failure ------------------------------------------------------------------------- */

/* Each sector as it was at the last fdatasync, or as it is. keep: percent that are as they are. */
static void make_crashed(unsigned keep)
{
	static uint8_t now[FILE_SIZE];
	const int fd = open(crashed, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(pread(watched_fd, now, sizeof(now), 0), sizeof(now));
	for (unsigned at = 0; at < FILE_SIZE; at += 512) {
		if ((unsigned)rand() % 100 >= keep)
			memcpy(now + at, synced + at, 512);
	}
	assert_int_equal(pwrite(fd, now, sizeof(now), 0), sizeof(now));
	close(fd);
}

/* Opens it as a second device would, and reads all of it through that. */
static void check_crashed(void)
{
	struct axvirtio_blk_config config = overlay_config(crashed);
	struct axvirtio *old_device = device;
	struct axdev *old_dev = dev;
	const struct ring old_ring = ring;
	struct machine old_m = m;

	machine_init(&m);
	blk_up(&config, F_FLUSH);
	for (unsigned i = 0; i < DISK; i += 100) {
		const unsigned n = DISK - i < 100 ? DISK - i : 100;
		const uint8_t *data = guest(&m, DATA_GPA, n * 512);

		assert_int_equal(request(VIRTIO_BLK_T_IN, i, DATA_GPA, n * 512), OK_);
		for (unsigned j = 0; j < n; j++) {
			const uint32_t version = version_of(data + j * 512, i + j);
			const struct sector_model *s = &model[i + j];
			unsigned k = 0;

			while (k < s->count && s->may[k] != version)
				k++;
			if (k == s->count)
				fail_msg("sector %u is version %u after the failure, not %u "
					 "(or %u more)",
					 i + j, version, s->may[0], s->count - 1);
		}
	}
	blk_down();
	machine_finish(&m);
	m = old_m;
	ring = old_ring;
	device = old_device;
	dev = old_dev;
}

static void power_fails(uint64_t features, unsigned seed)
{
	struct axvirtio_blk_config config = overlay_config(overlay);

	srand(seed);
	write_through = !(features & F_FLUSH);
	model_init();
	blk_up(&config, features | F_DISCARD | F_ZEROES);
	for (unsigned round = 0; round < 400; round++) {
		crash_in = (unsigned)rand() % 8;
		random_op();
		crash_in = 0;
		if (round % 5 == 0) {
			make_crashed(round % 15 == 0 ? 100 : (unsigned)rand() % 100);
			check_crashed();
		}
		if (round % 16 == 0)
			flush();
	}
	check_all_now();
}

static void test_power_fails(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 6; seed++) {
		power_fails(F_FLUSH, seed);
		blk_down();
		unmake();
		make();
	}
	assert_true(syncs > 0);
}

static void test_power_fails_write_through(void **state)
{
	(void)state;
	power_fails(0, 11);
}

/* Ending in order keeps what was never flushed, and the base stays what it was. */
static void test_reopen(void **state)
{
	struct axvirtio_blk_config config = overlay_config(overlay);
	uint8_t sector[512];

	(void)state;
	write_through = false;
	model_init();
	srand(3);
	for (unsigned turn = 0; turn < 10; turn++) {
		blk_up(&config, F_FLUSH | F_DISCARD | F_ZEROES);
		check_all_now();
		for (unsigned i = 0; i < 30; i++)
			random_op();
		flush();
		write_sectors(turn * 50, 3);
		blk_down();
	}
	for (uint32_t i = 0; i < DISK; i++) {
		assert_int_equal(pread(image_fd, sector, 512, i * 512), 512);
		assert_int_equal(version_of(sector, i), 1);
	}
	/* To look only. */
	config.read_only = true;
	blk_up(&config, F_FLUSH);
	check_all_now();
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA_GPA, 512), IOERR_);
}

/* What has to be copied up first takes longer than what stands behind it in the queue. */
static void test_out_of_order(void **state)
{
	const struct axvirtio_blk_config config = overlay_config(overlay);
	const unsigned order[] = {1, 0, 2};
	uint16_t heads[3];
	uint32_t id, len;

	(void)state;
	blk_up(&config, F_FLUSH);
	put_header(HEADER_GPA, VIRTIO_BLK_T_OUT, 13);
	put_header(HEADER_GPA + 16, VIRTIO_BLK_T_IN, 100);
	put_header(HEADER_GPA + 32, VIRTIO_BLK_T_OUT, 14); /* the same cluster: it waits */
	for (unsigned i = 0; i < 3; i++) {
		const struct buffer b[] = {{HEADER_GPA + 16 * i, 16, false},
					   {DATA_GPA + 512 * i, 512, i == 1},
					   {STATUS_GPA + i, 1, true}};

		stamp(guest(&m, DATA_GPA + 512 * i, 512), i == 2 ? 14 : 13, 5);
		heads[i] = offer_chain(&ring, b, 3);
	}
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (axvirtio_poll(device))
		;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(take_used(&ring, &id, &len));
		assert_int_equal(id, heads[order[i]]);
		assert_int_equal(((uint8_t *)guest(&m, STATUS_GPA, 3))[i], OK_);
	}
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, DATA_GPA, CLUSTER), OK_);
	for (uint32_t i = 8; i < 16; i++)
		assert_int_equal(version_of(guest(&m, DATA_GPA + 512 * (i - 8), 512), i),
				 i == 13 || i == 14 ? 5 : 1);
}

/* Direct I/O copies and splits in whole blocks, from buffers of any alignment. */
static void test_direct(void **state)
{
	struct axvirtio_blk_config config = overlay_config(overlay);
	struct axvirtio *probe;

	(void)state;
	config.direct = true;
	if (axvirtio_blk_create("probe", &config, &probe, &err) < 0) {
		print_message("no direct I/O here: %s\n", err.message);
		return;
	}
	axvirtio_destroy(probe);
	write_through = false;
	model_init();
	blk_up(&config, F_FLUSH | F_DISCARD | F_ZEROES);
	for (unsigned i = 0; i < 200; i++)
		random_op();
	check_all_now();
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2, DATA_GPA + 1, 60 * 512), OK_);
	memmove(guest(&m, DATA_GPA, 60 * 512), guest(&m, DATA_GPA + 1, 60 * 512), 60 * 512);
	check_now(2, 60);
}

/* ---- a file is what somebody made of it ------------------------------------------------------ */

/* Who only looks is told the same, and finds what create finds. */
static void expect_same_check(const struct axvirtio_blk_config *config, int code)
{
	struct ax_error checked = {0};

	assert_int_equal(axvirtio_blk_check(config, &checked), -code);
	if (!config->path)
		return; /* that one is named after its device */
	assert_string_equal(checked.message, err.message);
	assert_string_equal(checked.hint, err.hint);
}

static void expect_refused(const char *path, int code, const char *part)
{
	const struct axvirtio_blk_config config = overlay_config(path);
	struct axvirtio *none = NULL;

	memset(&err, 0, sizeof(err));
	assert_int_equal(axvirtio_blk_create("disk0", &config, &none, &err), -code);
	assert_null(none);
	if (!strstr(err.message, part))
		fail_msg("message: %s", err.message);
	expect_same_check(&config, code);
}

static void expect_fine(void)
{
	const struct axvirtio_blk_config config = overlay_config(overlay);
	struct axvirtio *fine = NULL;

	if (axvirtio_blk_create("disk0", &config, &fine, &err) < 0)
		fail_msg("%s", err.message);
	axvirtio_destroy(fine);
	assert_int_equal(axvirtio_blk_check(&config, &err), 0);
}

static void put_bytes(off_t at, const void *bytes, size_t count)
{
	assert_int_equal(pwrite(watched_fd, bytes, count, at), count);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t count)
{
	uint32_t crc = 0xffffffff;

	while (count--) {
		crc ^= *bytes++;
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

static void test_header(void **state)
{
	uint8_t good[4096], bad[4096];
	uint32_t crc;

	(void)state;
	assert_int_equal(pread(watched_fd, good, sizeof(good), 0), sizeof(good));
	/* As documented. */
	assert_memory_equal(good, "AXVMOVL", 8);
	memcpy(&crc, good + 4092, 4);
	assert_int_equal(le32toh(crc), crc32_of(good, 4092));
	assert_int_equal(good[8], 1);
	expect_fine();
	/* Any byte changed: refused; by the checksum, or by what stands before it. */
	for (unsigned at = 0; at < 4096; at += at < 72 || at > 4090 ? 1 : 61) {
		memcpy(bad, good, sizeof(bad));
		bad[at] ^= 0x40;
		put_bytes(0, bad, sizeof(bad));
		expect_refused(overlay, EINVAL, "no overlay");
	}
	/* And with a checksum that is right for it: every field is checked for itself. */
	for (unsigned at = 0; at < 4092; at += at < 72 ? 1 : 61) {
		const bool of_base = at >= 48 && at < 68;

		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bad, good, sizeof(bad));
			bad[at] ^= (uint8_t)(1u << bit);
			crc = htole32(crc32_of(bad, 4092));
			memcpy(bad + 4092, &crc, 4);
			put_bytes(0, bad, sizeof(bad));
			expect_refused(overlay, of_base ? ESTALE : EINVAL,
				       of_base ? "another base" : "no overlay");
		}
	}
	put_bytes(0, good, sizeof(good));
	expect_fine();
}

static void test_bitmap(void **state)
{
	const unsigned clusters = (DISK + PER - 1) / PER;
	const uint8_t last = (uint8_t)(1u << (clusters - 1) % 8);
	const uint8_t behind = (uint8_t)(1u << clusters % 8), one = 1, none = 0;

	(void)state;
	put_bytes(4096 + (clusters - 1) / 8, &last, 1);
	expect_fine();
	put_bytes(4096 + clusters / 8, &behind, 1);
	expect_refused(overlay, EINVAL, "behind the end");
	put_bytes(4096 + clusters / 8, &none, 1);
	put_bytes(8191, &one, 1);
	expect_refused(overlay, EINVAL, "behind the end");
}

static void test_files(void **state)
{
	struct timeval times[2] = {{1000, 0}, {1000, 0}};
	struct axvirtio_blk_config config = overlay_config(overlay);
	uint64_t capacity = 0;

	(void)state;
	/* Cut short, in each of its parts. */
	assert_int_equal(ftruncate(watched_fd, FILE_SIZE - 1), 0);
	expect_refused(overlay, EINVAL, "cut short");
	assert_int_equal(ftruncate(watched_fd, 5000), 0);
	expect_refused(overlay, EINVAL, "cut short");
	assert_int_equal(ftruncate(watched_fd, 4095), 0);
	expect_refused(overlay, EINVAL, "too short");
	assert_int_equal(ftruncate(watched_fd, 0), 0);
	expect_refused(overlay, EINVAL, "too short");
	unmake();
	make();
	/* It must not be there yet; a base must be. */
	assert_int_equal(axvirtio_blk_make_overlay(overlay, image, &err), -EEXIST);
	assert_int_equal(axvirtio_blk_make_overlay(crashed, "/nonexistent/base", &err), -ENOENT);
	assert_int_equal(access(crashed, F_OK), -1);
	/* Nothing is guessed: without a base it is a disk of its own size, a plain file no overlay,
	 * and a file is not its own base. */
	config.base = NULL;
	blk_up(&config, 0);
	reg_access(dev, 0x100, 8, false, &capacity);
	assert_int_equal(capacity, FILE_SIZE / 512);
	blk_down();
	expect_refused(image, EBUSY, "is its own base");
	config = overlay_config(overlay);
	config.base = overlay;
	struct axvirtio *none = NULL;
	assert_int_equal(axvirtio_blk_create("disk0", &config, &none, &err), -EBUSY);
	assert_int_equal(link(image, crashed), 0);
	unlink(crashed);
	const int plain = open(crashed, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(plain, FILE_SIZE), 0);
	expect_refused(crashed, EINVAL, "does not begin as one");
	assert_true(strlen(err.hint) > 0);
	close(plain);
	/* A base that was written to, or is longer. */
	expect_fine();
	assert_int_equal(utimes(image, times), 0);
	expect_refused(overlay, ESTALE, "another base");
	assert_true(strlen(err.hint) > 0);
	unmake();
	make();
	expect_fine();
	assert_int_equal(ftruncate(image_fd, (DISK + 8) * 512), 0);
	expect_refused(overlay, ESTALE, "another base");
}

/* The base is shared with others that only read, and nobody may write to it meanwhile. */
static void test_locks(void **state)
{
	struct axvirtio_blk_config a = overlay_config(overlay), b = overlay_config(crashed);
	struct axvirtio_blk_config rw = blk_config(false);
	struct axvirtio *first = NULL, *second = NULL, *none = NULL;

	(void)state;
	assert_int_equal(axvirtio_blk_make_overlay(crashed, image, &err), 0);
	assert_int_equal(axvirtio_blk_create("a", &a, &first, &err), 0);
	assert_int_equal(axvirtio_blk_create("b", &b, &second, &err), 0);
	assert_int_equal(axvirtio_blk_create("c", &a, &none, &err), -EBUSY);
	expect_same_check(&a, EBUSY);
	assert_int_equal(axvirtio_blk_create("d", &rw, &none, &err), -EBUSY);
	expect_same_check(&rw, EBUSY);
	axvirtio_destroy(first);
	axvirtio_destroy(second);
	assert_int_equal(axvirtio_blk_check(&a, &err), 0);
}

/* Trouble with either file: IOERR, and nothing of the cluster is shown. */
static void test_errors(void **state)
{
	struct axvirtio_blk_config config = overlay_config(overlay);

	(void)state;
	write_through = false;
	model_init();
	blk_up(&config, F_FLUSH);
	write_sectors(0, 8);
	assert_int_equal(ftruncate(image_fd, 100 * 512), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 200, DATA_GPA, 512), IOERR_);
	/* Copying up the rest of the cluster fails, so the write does, and it was not half done. */
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 201, DATA_GPA, 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 201, DATA_GPA, 512), IOERR_);
	/* A whole cluster needs no base. */
	write_sectors(208, 8);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 208, DATA_GPA, 8 * 512), OK_);
	check_now(208, 8);
	assert_int_equal(ftruncate(watched_fd, DATA + 4096), 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA_GPA, 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 208, DATA_GPA, 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA_GPA, 8 * 512), OK_);
	check_now(0, 8);
	/* So that the end finds a file as it should be. */
	assert_int_equal(ftruncate(watched_fd, FILE_SIZE), 0);
}

/* A large base has larger clusters, and a bitmap of a megabyte at most. */
static void test_large(void **state)
{
	const off_t size = 100LL << 30;
	struct axvirtio_blk_config config = overlay_config(overlay);
	struct stat st;
	uint8_t header[4096];
	uint64_t bitmap_bytes;

	(void)state;
	assert_int_equal(ftruncate(image_fd, size), 0);
	unmake();
	unlink(overlay);
	assert_int_equal(axvirtio_blk_make_overlay(overlay, image, &err), 0);
	const int fd = open(overlay, O_RDONLY);
	assert_int_equal(pread(fd, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	memcpy(&bitmap_bytes, header + 32, 8);
	assert_true(le64toh(bitmap_bytes) <= 1 << 20);
	assert_true(st.st_blocks < 64);
	blk_up(&config, F_FLUSH);
	uint8_t *data = guest(&m, DATA_GPA, 3 * 512);
	stamp(data, 7, 7);
	stamp(data + 512, 8, 8);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 15, DATA_GPA, 1024), OK_);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, (uint64_t)size / 512 - 2, DATA_GPA, 1024), OK_);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
	blk_down();
	blk_up(&config, F_FLUSH);
	for (unsigned turn = 0; turn < 2; turn++) {
		const uint64_t at = turn ? (uint64_t)size / 512 - 2 : 15;

		memset(data, 0xee, 1024);
		assert_int_equal(request(VIRTIO_BLK_T_IN, at, DATA_GPA, 1024), OK_);
		assert_int_equal(version_of(data, 7), 7);
		assert_int_equal(version_of(data + 512, 8), 8);
	}
	for (uint32_t i = 0; i < 15; i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, i, DATA_GPA, 512), OK_);
		assert_int_equal(version_of(data, i), 1);
	}
	watched_fd = open(overlay, O_RDWR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_power_fails), T(test_power_fails_write_through),
		T(test_reopen),      T(test_out_of_order),
		T(test_direct),      T(test_header),
		T(test_bitmap),      T(test_files),
		T(test_locks),       T(test_errors),
		T(test_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
