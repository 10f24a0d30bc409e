/*
 * virtio-blk and its image: read-only, sizes, locks, truncation, full disks, no guessing of
 * formats, direct I/O, descriptors in place of paths.
 */
#include "blk_driver.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <signal.h>

#define OK_    VIRTIO_BLK_S_OK
#define IOERR_ VIRTIO_BLK_S_IOERR

static struct ax_error err;

static int setup(void **state)
{
	(void)state;
	machine_init(&m);
	image_create(SECTORS * 512);
	memset(&err, 0, sizeof(err));
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

static void expect_refused(const struct axvirtio_blk_config *config, int code, const char *part)
{
	struct axvirtio *none = NULL;

	memset(&err, 0, sizeof(err));
	assert_int_equal(axvirtio_blk_create("disk0", config, &none, &err), -code);
	assert_null(none);
	if (!strstr(err.message, part))
		fail_msg("message: %s", err.message);
	expect_same_check(config, code);
}

static void test_read_only(void **state)
{
	const struct axvirtio_blk_config config = blk_config(true);
	uint8_t byte;

	(void)state;
	assert_int_equal(pwrite(image_fd, "A", 1, 512), 1);
	blk_up(&config, F_FLUSH);
	assert_true(offered(dev) & 1 << VIRTIO_BLK_F_RO);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1, DATA_GPA, 512), OK_);
	assert_int_equal(*(uint8_t *)guest(&m, DATA_GPA, 1), 'A');
	memset(guest(&m, DATA_GPA, 512), 'B', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 1, DATA_GPA, 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
	assert_int_equal(pread(image_fd, &byte, 1, 512), 1);
	assert_int_equal(byte, 'A');
}

static void test_sizes(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);
	uint64_t capacity = 0;

	(void)state;
	assert_int_equal(ftruncate(image_fd, 0), 0);
	expect_refused(&config, EINVAL, "0 bytes");
	assert_true(strlen(err.hint) > 0);
	assert_int_equal(ftruncate(image_fd, 511), 0);
	expect_refused(&config, EINVAL, "511 bytes");
	assert_int_equal(ftruncate(image_fd, 1023), 0);
	assert_int_equal(axvirtio_blk_check(&config, &err), 0);
	blk_up(&config, 0);
	reg_access(dev, 0x100, 8, false, &capacity);
	assert_int_equal(capacity, 1);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1, DATA_GPA, 512), IOERR_);
	blk_down();
	config.path = "/nonexistent/disk.raw";
	expect_refused(&config, ENOENT, "/nonexistent/disk.raw");
	config.path = "/tmp";
	expect_refused(&config, EISDIR, "/tmp");
	config.read_only = true;
	expect_refused(&config, ENOTBLK, "neither");
	config.path = "/dev/null";
	expect_refused(&config, ENOTBLK, "neither");
	config.path = NULL;
	expect_refused(&config, EINVAL, "neither a path");
}

/* must-test 8: a qcow2 header is data like any other, also when the guest wrote it itself. */
static void test_no_format_guessing(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	const char evil[] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\1\0\0\0\0\x0b/etc/passwd";
	uint64_t capacity = 0;

	(void)state;
	blk_up(&config, 0);
	memset(guest(&m, DATA_GPA, 512), 0, 512);
	assert_int_equal(axas_write(m.memory, DATA_GPA, evil, sizeof(evil)), 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA_GPA, 512), OK_);
	blk_down();
	blk_up(&config, 0);
	reg_access(dev, 0x100, 8, false, &capacity);
	assert_int_equal(capacity, SECTORS);
	memset(guest(&m, DATA_GPA, 512), 0, 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA_GPA, 512), OK_);
	assert_memory_equal(guest(&m, DATA_GPA, 512), evil, sizeof(evil));
}

static void test_locks(void **state)
{
	struct axvirtio_blk_config rw = blk_config(false), ro = blk_config(true);
	struct axvirtio *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(axvirtio_blk_create("a", &rw, &a, &err), 0);
	expect_refused(&rw, EBUSY, "in use by another process");
	assert_true(strlen(err.hint) > 0);
	expect_refused(&ro, EBUSY, "in use by another process");
	axvirtio_destroy(a);
	assert_int_equal(axvirtio_blk_create("a", &ro, &a, &err), 0);
	assert_int_equal(axvirtio_blk_create("b", &ro, &b, &err), 0);
	expect_refused(&rw, EBUSY, "in use by another process");
	axvirtio_destroy(a);
	axvirtio_destroy(b);
	/* A borrowed descriptor outlives the device; its lock must not. */
	rw.fd = image_fd;
	assert_int_equal(axvirtio_blk_create("a", &rw, &a, &err), 0);
	rw.fd = -1;
	expect_refused(&rw, EBUSY, "in use by another process");
	axvirtio_destroy(a);
	assert_int_equal(axvirtio_blk_create("a", &rw, &a, &err), 0);
	axvirtio_destroy(a);
	/* A descriptor that cannot do what is asked of it. */
	rw.fd = open(image, O_RDONLY);
	expect_refused(&rw, EBADF, "does not allow");
	close(rw.fd);
	rw.fd = 9999;
	expect_refused(&rw, EBADF, "cannot open");
	assert_int_equal(fcntl(image_fd, F_GETFD) >= 0, 1);
}

static void *let_go(void *arg)
{
	usleep(50000);
	close(*(int *)arg);
	return NULL;
}

/* A monitor that was killed holds its lock until the kernel has taken its io_uring apart. */
static void test_lock_of_the_dead(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct axvirtio *restarted = NULL;
	pthread_t thread;
	int other = open(config.path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(other >= 0);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
	assert_int_equal(pthread_create(&thread, NULL, let_go, &other), 0);
	assert_int_equal(axvirtio_blk_create("a", &config, &restarted, &err), 0);
	pthread_join(thread, NULL);
	axvirtio_destroy(restarted);
}

static void test_truncated_under_us(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	struct stat st;

	(void)state;
	blk_up(&config, F_FLUSH);
	assert_int_equal(ftruncate(image_fd, 4 * 512 + 100), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA_GPA, 512), OK_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 4, DATA_GPA, 512), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2, DATA_GPA, 2048), IOERR_);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 100, DATA_GPA, 512), IOERR_);
	/* A write does not paper over the loss. */
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 100, DATA_GPA, 512), IOERR_);
	assert_int_equal(fstat(image_fd, &st), 0);
	assert_int_equal(st.st_size, 4 * 512 + 100);
	assert_int_equal(ftruncate(image_fd, SECTORS * 512), 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 100, DATA_GPA, 512), OK_);
	assert_int_equal(stats().errors, 4);
}

/* A host that refuses the write (here a file size limit, EFBIG): IOERR, and the VM goes on. */
static void test_host_errors(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);
	struct rlimit old, small;

	(void)state;
	blk_up(&config, F_FLUSH);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 64 * 512;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const uint8_t beyond = request(VIRTIO_BLK_T_OUT, 64, DATA_GPA, 512);
	const uint8_t across = request(VIRTIO_BLK_T_OUT, 63, DATA_GPA, 1024);
	const uint8_t below = request(VIRTIO_BLK_T_OUT, 63, DATA_GPA, 512);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(beyond, IOERR_);
	assert_int_equal(across, IOERR_); /* a short write, then the error */
	assert_int_equal(below, OK_);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 64, DATA_GPA, 512), OK_);
}

/* Without FLUSH the device is write-through (5.2.6.2): only that it works can be seen from here. */
static void test_write_through(void **state)
{
	const struct axvirtio_blk_config config = blk_config(false);

	(void)state;
	blk_up(&config, 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, DATA_GPA, 512), OK_);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA_GPA, 0), OK_);
}

static void test_direct(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);
	struct axvirtio *probe;
	uint64_t block = 0;

	(void)state;
	config.direct = true;
	if (axvirtio_blk_create("probe", &config, &probe, &err) < 0) {
		print_message("no direct I/O here: %s\n", err.message);
		assert_int_equal(err.sys_errno, EINVAL);
		return;
	}
	axvirtio_destroy(probe);
	blk_up(&config, F_FLUSH);
	reg_access(dev, 0x100 + offsetof(struct virtio_blk_config, blk_size), 4, false, &block);
	const uint32_t sectors = (uint32_t)block / 512;
	/* Aligned memory, and memory that needs the bounce buffer, in one and in two parts. */
	for (unsigned shift = 0; shift < 3; shift++) {
		const uint32_t bytes = 300 * 1024;
		uint8_t *data = guest(&m, DATA_GPA + shift, bytes);

		for (uint32_t i = 0; i < bytes; i++)
			data[i] = (uint8_t)(i * 7 + shift);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 8 * sectors, DATA_GPA + shift, bytes),
				 OK_);
		memset(data, 0, bytes);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 8 * sectors, DATA_GPA + shift, bytes),
				 OK_);
		for (uint32_t i = 0; i < bytes; i++) {
			if (data[i] != (uint8_t)(i * 7 + shift))
				fail_msg("byte %u with shift %u", i, shift);
		}
	}
	if (block > 512)
		assert_int_equal(request(VIRTIO_BLK_T_IN, 1, DATA_GPA, 512), IOERR_);
}

static void test_class(void **state)
{
	struct axvirtio_blk_config config = blk_config(false);
	struct axvirtio_mmio_info info;

	(void)state;
	assert_int_equal(axvirtio_blk_class.type, 0xe1);
	assert_int_equal(axvirtio_blk_class.config_size, sizeof(config));
	config.serial = NULL;
	assert_int_equal(axvirtio_blk_class.create("disk7", &config, &m.services, &dev, &err), 0);
	assert_int_equal(axvirtio_mmio_get_info(dev, &info), 0);
	assert_int_equal(info.device_id, 2);
	assert_string_equal(dev->name, "disk7");
	blk_down();
	/* A failure of the transport gives the image back. */
	config.place.gpa = RAM1_GPA;
	assert_int_equal(axvirtio_blk_class.create("disk7", &config, &m.services, &dev, &err),
			 -EEXIST);
	config.place.gpa = WINDOW_GPA;
	assert_int_equal(axvirtio_blk_class.create("disk7", &config, &m.services, &dev, &err), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_read_only),
		T(test_sizes),
		T(test_no_format_guessing),
		T(test_locks),
		T(test_lock_of_the_dead),
		T(test_truncated_under_us),
		T(test_host_errors),
		T(test_write_through),
		T(test_direct),
		T(test_class),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
