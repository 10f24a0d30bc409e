/* KVM's binary statistics from files we write: the good one, and every way to be malformed. */
#include <stdio.h>
#include "fake.h"

#define NAME_SIZE 16u
#define COUNT     3u

/* struct kvm_stats_desc with its name, which the kernel's header leaves open. */
struct desc {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset, bucket_size;
	char name[NAME_SIZE];
};
_Static_assert(offsetof(struct desc, name) == sizeof(struct kvm_stats_desc), "the kernel's layout");

struct image {
	struct kvm_stats_header header;
	char id[8];
	struct desc descs[COUNT];
	uint64_t data[4];
};

static struct image good(void)
{
	struct image image = {
		.header =
			{
				.name_size = NAME_SIZE,
				.num_desc = COUNT,
				.id_offset = offsetof(struct image, id),
				.desc_offset = offsetof(struct image, descs),
				.data_offset = offsetof(struct image, data),
			},
		.data = {11, 22, 33, 44},
	};
	static const char *const names[COUNT] = {"exits", "blocking", "histogram"};

	for (unsigned i = 0; i < COUNT; i++) {
		image.descs[i].size = i == 2 ? 2 : 1;
		image.descs[i].offset = i * 8;
		snprintf(image.descs[i].name, sizeof(image.descs[i].name), "%s", names[i]);
	}
	return image;
}

static int parse(const struct image *image, size_t size, struct axkvm_stats **ret,
		 struct ax_error *err)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_int_equal(write(fd, image, size), size);
	int rc = axkvm_stats_parse(fd, ret, err);
	if (rc < 0)
		close(fd);
	return rc;
}

static void reads(void **state)
{
	struct image image = good();
	struct axkvm_stats *stats = NULL;
	struct ax_error err = {0};
	uint64_t value = 7;

	(void)state;
	assert_int_equal(parse(&image, sizeof(image), &stats, &err), 0);
	assert_string_equal(axkvm_stats_name(stats, 0), "exits");
	assert_string_equal(axkvm_stats_name(stats, 2), "histogram");
	assert_null(axkvm_stats_name(stats, 3));
	assert_int_equal(axkvm_stats_read(stats, "blocking", &value), 0);
	assert_int_equal(value, 22);
	assert_int_equal(axkvm_stats_read(stats, "histogram", &value), 0);
	assert_int_equal(value, 33);
	assert_int_equal(axkvm_stats_read(stats, "nothing", &value), -ENOENT);
	assert_int_equal(value, 33);
	axkvm_stats_close(stats);
	axkvm_stats_close(NULL);
}

static void refuse(const struct image *image, size_t size)
{
	struct axkvm_stats *stats = NULL;
	struct ax_error err = {0};

	assert_true(parse(image, size, &stats, &err) < 0);
	assert_true(err.message[0]);
	assert_null(stats);
}

static void malformed(void **state)
{
	struct image image = good();
	struct axkvm_stats *stats = NULL;
	uint64_t value = 7;

	(void)state;
	refuse(&image, 0);
	refuse(&image, sizeof(image.header) - 1);
	refuse(&image, offsetof(struct image, descs) + 40);
	image.header.num_desc = 0;
	refuse(&image, sizeof(image));
	image.header.num_desc = UINT32_MAX;
	refuse(&image, sizeof(image));
	image = good();
	image.header.name_size = 0;
	refuse(&image, sizeof(image));
	image.header.name_size = UINT32_MAX;
	refuse(&image, sizeof(image));
	image = good();
	image.header.desc_offset = UINT32_MAX;
	refuse(&image, sizeof(image));
	image = good();
	memset(image.descs[1].name, 'x', NAME_SIZE);
	refuse(&image, sizeof(image));
	image = good();
	image.descs[0].size = 0;
	refuse(&image, sizeof(image));
	/* Values past the end are an error when they are read. */
	image = good();
	image.descs[0].offset = UINT32_MAX;
	assert_int_equal(parse(&image, sizeof(image), &stats, NULL), 0);
	assert_true(axkvm_stats_read(stats, "exits", &value) < 0);
	assert_int_equal(value, 7);
	axkvm_stats_close(stats);
}

static void no_statistics(void **state)
{
	struct axkvm_stats *stats = NULL;
	struct ax_error err = {0};
	int fd = memfd_create("no kvm", MFD_CLOEXEC);

	(void)state;
	assert_true(axkvm_stats_open(fd, &stats, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_UNSUPPORTED);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(malformed),
		cmocka_unit_test(no_statistics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
