/*
 * virtio-blk: another file behind a running disk. The driver sees the new content, is told of a new
 * size and of nothing else; what failed leaves all as it was.
 */
#include "blk_driver.h"
#include <pthread.h>
#include <sched.h>

#define OK_    VIRTIO_BLK_S_OK
#define IOERR_ VIRTIO_BLK_S_IOERR

static struct ax_error err;
static char other[64];

static void make_file(const char *path, char fill, unsigned sectors)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char sector[512];

	memset(sector, fill, sizeof(sector));
	for (unsigned i = 0; i < sectors; i++)
		assert_int_equal(pwrite(fd, sector, 512, i * 512), 512);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	machine_init(&m);
	image_create(0);
	make_file(image, 'A', 64);
	snprintf(other, sizeof(other), "%s.other", image);
	make_file(other, 'B', 128);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_down();
	image_remove();
	unlink(other);
	machine_finish(&m);
	return 0;
}

static uint64_t capacity(void)
{
	uint64_t value = 0;

	reg_access(dev, 0x100, 8, false, &value);
	return value;
}

static char first_byte(uint64_t sector)
{
	assert_int_equal(request(VIRTIO_BLK_T_IN, sector, DATA_GPA, 512), OK_);
	return *(char *)guest(&m, DATA_GPA, 1);
}

static bool can_be_locked(const char *path)
{
	const int fd = open(path, O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const bool can = fcntl(fd, F_OFD_SETLK, &lock) == 0;

	close(fd);
	return can;
}

static void must_replace(const char *path)
{
	if (axvirtio_blk_replace(device, path, &err) < 0)
		fail_msg("%s", err.message);
	while (axvirtio_poll(device))
		;
}

static void test_another(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	uint64_t interrupts;

	(void)state;
	blk_up(&config, F_FLUSH);
	assert_int_equal(first_byte(3), 'A');
	interrupts = stats().config_interrupts;
	must_replace(other);
	assert_int_equal(capacity(), 128);
	assert_int_equal(stats().config_interrupts, interrupts + 1);
	assert_int_equal(first_byte(3), 'B');
	assert_int_equal(first_byte(127), 'B');
	memset(guest(&m, DATA_GPA, 512), 'C', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, DATA_GPA, 512), OK_);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
	/* The old one is free for others, the new one is not. */
	assert_true(can_be_locked(image));
	assert_false(can_be_locked(other));
	/* And back, to the smaller one. */
	must_replace(image);
	assert_int_equal(capacity(), 64);
	assert_int_equal(first_byte(5), 'A');
	assert_int_equal(request(VIRTIO_BLK_T_IN, 64, DATA_GPA, 512), IOERR_);
	assert_true(can_be_locked(other));
	/* The same size: nothing to tell. */
	make_file(other, 'D', 64);
	interrupts = stats().config_interrupts;
	must_replace(other);
	assert_int_equal(stats().config_interrupts, interrupts);
	assert_int_equal(first_byte(0), 'D');
}

/* A disk that was made larger where it lies, by name and by descriptor. */
static void test_grown(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	for (unsigned by_fd = 0; by_fd < 2; by_fd++) {
		const int fd = open(image, O_RDWR);

		make_file(image, 'A', 64);
		config.fd = by_fd ? fd : -1;
		blk_up(&config, F_FLUSH);
		assert_int_equal(truncate(image, 100 * 512), 0);
		must_replace(NULL);
		assert_int_equal(capacity(), 100);
		assert_int_equal(first_byte(63), 'A');
		assert_int_equal(first_byte(99), 0);
		assert_false(can_be_locked(image));
		/* Nothing left of it: refused, and still locked. */
		assert_int_equal(truncate(image, 100), 0);
		assert_int_equal(axvirtio_blk_replace(device, NULL, &err), -EINVAL);
		assert_int_equal(capacity(), 100);
		assert_false(can_be_locked(image));
		blk_down();
		close(fd);
		assert_true(can_be_locked(image));
	}
}

/* The name now stands for another file. */
static void test_renamed(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	blk_up(&config, F_FLUSH);
	assert_int_equal(rename(other, image), 0);
	assert_int_equal(first_byte(0), 'A');
	must_replace(NULL);
	assert_int_equal(first_byte(0), 'B');
	assert_int_equal(capacity(), 128);
}

static void test_failures(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	const int holder = open(other, O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)state;
	blk_up(&config, F_FLUSH);
	assert_int_equal(axvirtio_blk_replace(device, "/nonexistent/x", &err), -ENOENT);
	assert_non_null(strstr(err.message, "/nonexistent/x"));
	assert_int_equal(axvirtio_blk_replace(device, "/tmp", &err), -EISDIR);
	assert_int_equal(fcntl(holder, F_OFD_SETLK, &lock), 0);
	assert_int_equal(axvirtio_blk_replace(device, other, &err), -EBUSY);
	close(holder);
	assert_int_equal(capacity(), 64);
	assert_int_equal(first_byte(0), 'A');
	assert_false(can_be_locked(image));
	assert_int_equal(stats().config_interrupts, 0);
}

/* While suspended it stays suspended. */
static void test_suspended(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	blk_up(&config, F_FLUSH);
	assert_int_equal(dev->ops->suspend(dev, &err), 0);
	must_replace(other);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA_GPA, 512), NO_STATUS);
	assert_int_equal(dev->ops->resume(dev, &err), 0);
	while (axvirtio_poll(device))
		;
	assert_int_equal(*(uint8_t *)guest(&m, STATUS_GPA, 1), OK_);
	assert_int_equal(*(char *)guest(&m, DATA_GPA, 1), 'B');
}

static void test_overlay(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);
	char second[64];

	(void)state;
	unlink(other);
	snprintf(second, sizeof(second), "%s.second", image);
	assert_int_equal(axvirtio_blk_make_overlay(other, image, &err), 0);
	assert_int_equal(axvirtio_blk_make_overlay(second, image, &err), 0);
	config.path = other;
	config.base = image;
	blk_up(&config, F_FLUSH);
	memset(guest(&m, DATA_GPA, 512), 'X', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, DATA_GPA, 512), OK_);
	must_replace(NULL); /* the same: nothing happens */
	assert_int_equal(first_byte(5), 'X');
	must_replace(second);
	assert_int_equal(first_byte(5), 'A');
	must_replace(other); /* what was never flushed is there */
	assert_int_equal(first_byte(5), 'X');
	assert_int_equal(first_byte(6), 'A');
	/* A plain file is no overlay. */
	unlink(second);
	make_file(second, 'B', 200);
	assert_int_equal(axvirtio_blk_replace(device, second, &err), -EINVAL);
	assert_int_equal(first_byte(5), 'X');
	unlink(second);
}

/* ---- under load ------------------------------------------------------------------------------ */

static void *run_loop(void *arg)
{
	ax_loop_run(arg, NULL);
	return NULL;
}

/* Two files of one letter each: every request sees one of the two, whole, and each after a
 * replacement the new one. */
static void test_under_load(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	struct ax_loop *loop;
	pthread_t thread;

	(void)state;
	make_file(other, 'B', 64);
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, NULL), 0);
	m.services.io_loop = loop;
	assert_int_equal(axvirtio_blk_create("disk0", &config, &device, &err), 0);
	assert_int_equal(
		axvirtio_mmio_create("disk0", WINDOW_GPA, GSI, device, &m.services, &dev, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
	ring_init(&ring, &m, RING_GPA, QUEUE);
	negotiate(dev, F_VERSION_1 | F_FLUSH);
	start_queue(dev, &ring);
	put_header(HEADER_GPA, VIRTIO_BLK_T_IN, 0);
	for (unsigned round = 0; round < 100; round++) {
		const char old = round & 1 ? 'B' : 'A', new = round & 1 ? 'A' : 'B';
		const uint64_t give_up = ax_clock_ns() + 20ULL * 1000000000;
		uint32_t id, len;

		for (unsigned i = 0; i < 16; i++) {
			const struct buffer b[] = {{HEADER_GPA, 16, false},
						   {DATA_GPA + 0x4000 * i, 32 * 512, true},
						   {STATUS_GPA + i, 1, true}};

			offer_chain(&ring, b, 3);
			if (i == 7)
				wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
			if (i == 11 &&
			    axvirtio_blk_replace(device, old == 'A' ? other : image, &err) < 0)
				fail_msg("%s", err.message);
		}
		wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (used_shown(&ring) != ring.avail_idx) {
			assert_true(ax_clock_ns() < give_up);
			sched_yield();
		}
		while (take_used(&ring, &id, &len))
			assert_int_equal(len, 32 * 512 + 1);
		for (unsigned i = 0; i < 12; i++) {
			const char *data = guest(&m, DATA_GPA + 0x4000 * i, 0x4000);

			assert_true(data[0] == old || data[0] == new);
			assert_memory_equal(data, data + 1, 0x4000 - 1);
		}
		for (unsigned i = 12; i < 16; i++)
			assert_int_equal(*(char *)guest(&m, DATA_GPA + 0x4000 * i, 1), new);
	}
	ax_loop_stop(loop);
	pthread_join(thread, NULL);
	blk_down();
	ax_loop_destroy(loop);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_another),   T(test_grown),   T(test_renamed),    T(test_failures),
		T(test_suspended), T(test_overlay), T(test_under_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
