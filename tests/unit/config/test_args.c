/*
 * The command line as a source: which source wins, what replaces and what adds, operands, flags of
 * the program itself, and the flags of the first AxVM with their meanings (G5).
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void test_precedence(void **state)
{
	static const char json[] = "{\"cpus\": {\"count\": 3}, \"memory\": {\"size\": \"64M\"}}";
	char path[256];
	const struct axcfg *c;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_file("vm.json", json, strlen(json)));
	/* The command line wins wherever --config stands. */
	c = config_of_words(WORDS("--cpus", "5", "--config", path));
	assert_int_equal(c->cpus.count, 5);
	assert_int_equal(c->memory.size_bytes, 64 * AX_MIB);
	assert_string_equal(c->name, "vm");
	axcfg_destroy(c);
	c = config_of_words(WORDS("--config", path, "--cpus", "5", "-c", "6"));
	assert_int_equal(c->cpus.count, 6); /* of two, the later */
	axcfg_destroy(c);
	snprintf(path, sizeof(path), "--config=%s", scratch_file("vm.json", json, strlen(json)));
	c = config_of_words(WORDS(path));
	assert_int_equal(c->cpus.count, 3);
	axcfg_destroy(c);
}

static void test_two_files(void **state)
{
	static const char one[] =
		"{\"cpus\": {\"count\": 3}, \"disks\": [\"a\"], \"name\": \"one\"}";
	static const char two[] = "{\"cpus\": {\"count\": 4}, \"disks\": [\"b\", \"c\"]}";
	char first[256], second[256];
	const struct axcfg *c;

	(void)state;
	snprintf(first, sizeof(first), "%s", scratch_file("one.json", one, strlen(one)));
	snprintf(second, sizeof(second), "%s", scratch_file("two.json", two, strlen(two)));
	c = config_of_words(WORDS("--config", first, "--config", second));
	assert_int_equal(c->cpus.count, 4);
	assert_string_equal(c->name, "one");
	assert_int_equal(c->disk_count, 2);
	assert_string_equal(c->disks[0].path, "b");
	axcfg_destroy(c);
}

static void test_lists_replace(void **state)
{
	static const char json[] =
		"{\"disks\": [\"a\", \"b\"], \"cpus\": {\"count\": 2, \"ids\": [4, 5]}}";
	char path[256];
	const struct axcfg *c;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_file("vm.json", json, strlen(json)));
	c = config_of_words(WORDS("--config", path));
	assert_int_equal(c->disk_count, 2);
	axcfg_destroy(c);
	/* The first --disk takes the file's place, the second adds. */
	c = config_of_words(WORDS("--disk", "x", "--config", path, "-d", "y", "--cpu-ids=6,7"));
	assert_int_equal(c->disk_count, 2);
	assert_string_equal(c->disks[0].path, "x");
	assert_string_equal(c->disks[1].path, "y");
	assert_int_equal(c->cpus.ids.count, 2);
	assert_int_equal(c->cpus.ids.values[0], 6);
	axcfg_destroy(c);
}

static void test_unknown_flags(void **state)
{
	(void)state;
	refuse_words(WORDS("--memroy", "512"), "--memroy is not an option",
		     "did you mean --memory?");
	refuse_words(WORDS("--no-metrix"), "--no-metrix is not an option", "axvm run --help");
	refuse_words(WORDS("--kernl=x"), "--kernl is not an option", "did you mean --kernel?");
	refuse_words(WORDS("--something-else-entirely"), "is not an option", "axvm run --help");
	refuse_words(WORDS("-x"), "-x is not an option", "axvm run --help");
}

static void test_missing_values(void **state)
{
	const struct axcfg *c = config_of_words(WORDS("--kernel=--cpus", "--cmdline", "-x --y"));

	(void)state;
	assert_string_equal(c->kernel.path, "--cpus");
	assert_string_equal(c->kernel.cmdline, "-x --y");
	axcfg_destroy(c);
	refuse_words(WORDS("--kernel"), "--kernel wants a value", "--kernel PATH");
	refuse_words(WORDS("--config"), "--config wants a value", "--config FILE");
	refuse_words(WORDS("-m"), "-m wants a value", "-m SIZE");
	/* The next option is no value, unless '=' says so. */
	refuse_words(WORDS("--kernel", "--cpus", "2"), "--kernel wants a value",
		     "write --kernel PATH, or --kernel=--cpus if that is meant");
	refuse_words(WORDS("-m", "--cpus=2"), "-m wants a value", "-m=--cpus=2");
	refuse_words(WORDS("--config", "--"), "--config wants a value", "--config FILE");
	refuse_words(WORDS("--no-kernel"), "--no-kernel is not an option", NULL);
	refuse_words(WORDS("--="), "-- is not an option", NULL);
}

static void test_operands(void **state)
{
	const struct axcfg *c = config_of_words(WORDS("vmlinuz", "-c", "2"));

	(void)state;
	assert_string_equal(c->kernel.path, "vmlinuz");
	axcfg_destroy(c);
	c = config_of_words(WORDS("-c", "2", "--", "--kernel"));
	assert_string_equal(c->kernel.path, "--kernel");
	axcfg_destroy(c);
	refuse_words(WORDS("vmlinuz", "initrd"), "'initrd' is one word too many", "quote");
	refuse_words(WORDS("--cmdline", "console=ttyS0", "quiet", "loud"), "'loud' is one word",
		     NULL);
	/* The program's own flags are nobody's without a taker. */
	refuse_words(WORDS("-v"), "-v is not an option", NULL);
}

struct offered {
	int verbose, other;
};

static int take_extra(void *ctx, const char *flag)
{
	struct offered *offered = ctx;

	if (!strcmp(flag, "-v") || !strcmp(flag, "--verbose")) {
		offered->verbose++;
		return 0;
	}
	offered->other++;
	return -ENOENT;
}

static void test_extra_flags(void **state)
{
	const char *const words[] = {"run",       "-v",        "--cpus", "2",
				     "--verbose", "--cmdline", "-v",     NULL};
	const char *const unknown[] = {"run", "--wat", NULL};
	struct axcfg_builder *builder = builder_new();
	struct offered offered = {0};
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axcfg_builder_args(builder, 7, (char *const *)(uintptr_t)words, take_extra,
					    &offered, &err),
			 0);
	assert_int_equal(offered.verbose, 2); /* once each, the value of --cmdline never */
	assert_int_equal(offered.other, 0);
	assert_true(axcfg_builder_args(builder, 2, (char *const *)(uintptr_t)unknown, take_extra,
				       &offered, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_USAGE);
	assert_true(offered.other > 0);
	axcfg_builder_destroy(builder);
}

/* `axvm -m 1024 -c 1 -k bzImage -d disk --cmdline ... --no-metrics` as it always was. */
static void test_first_axvm(void **state)
{
	const struct axcfg *c = config_of_words(
		WORDS("-m", "2048", "-c", "4", "-k", "bzImage", "-d", "rootfs.ext4", "--cmdline",
		      "console=ttyS0 root=/dev/vda rw", "--no-metrics"));

	(void)state;
	assert_int_equal(c->memory.size_bytes, 2048 * AX_MIB); /* a bare number counts MiB */
	assert_int_equal(c->cpus.count, 4);
	assert_string_equal(c->kernel.path, "bzImage");
	assert_int_equal(c->disk_count, 1);
	assert_string_equal(c->disks[0].path, "rootfs.ext4");
	assert_false(c->disks[0].read_only);
	assert_string_equal(c->kernel.cmdline, "console=ttyS0 root=/dev/vda rw");
	assert_false(c->metrics);
	axcfg_destroy(c);
	c = config_of_words(
		WORDS("--memory", "128", "--vcpus", "2", "--kernel", "k", "--disk", "d"));
	assert_int_equal(c->memory.size_bytes, 128 * AX_MIB);
	assert_int_equal(c->cpus.count, 2);
	assert_true(c->metrics);
	axcfg_destroy(c);
}

static void test_errors_name_the_source(void **state)
{
	static const char json[] = "{\"cpus\": {\"count\": 0}}";
	char path[256], wanted[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_file("zero.json", json, strlen(json)));
	snprintf(wanted, sizeof(wanted), "%s: cpus.count: 0 is out of range", path);
	refuse_words(WORDS("--config", path), wanted, "from 1 to 1024");
	refuse_words(WORDS("-c", "0"), "-c: 0 is out of range", NULL);
	refuse_words(WORDS("--vcpus", "0"), "--vcpus: 0 is out of range", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_two_files),
		cmocka_unit_test(test_lists_replace),
		cmocka_unit_test(test_unknown_flags),
		cmocka_unit_test(test_missing_values),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_extra_flags),
		cmocka_unit_test(test_first_axvm),
		cmocka_unit_test(test_errors_name_the_source),
	};

	return cmocka_run_group_tests(tests, scratch_start, scratch_finish);
}
