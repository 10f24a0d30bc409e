/*
 * One value at a time: what each type accepts, and that each bad value is refused by name, with
 * the value in the message, while what was set before stays.
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"1024", 1024 * AX_MIB}, {"512M", 512 * AX_MIB},  {"512MiB", 512 * AX_MIB},
		{"2g", 2 * AX_GIB},      {"20480K", 20 * AX_MIB}, {"16M", 16 * AX_MIB},
		{"64T", 64ULL << 40},
	};
	char word[64];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(good); i++) {
		const struct axcfg *config;

		snprintf(word, sizeof(word), "--memory=%s", good[i].text);
		config = config_of_words(WORDS(word));
		assert_int_equal(config->memory.size_bytes, good[i].bytes);
		axcfg_destroy(config);
	}
	refuse_words(WORDS("--memory=lots"), "--memory: 'lots' is not a size", NULL);
	refuse_words(WORDS("--memory="), "--memory: '' is not a size", NULL);
	refuse_words(WORDS("--memory=-1"), "'-1' is not a size", NULL);
	refuse_words(WORDS("--memory=1.5G"), "'1.5G' is not a size", NULL);
	refuse_words(WORDS("--memory=512MM"), "'512MM' is not a size", NULL);
	refuse_words(WORDS("--memory=15M"), "15M is out of range", "from 16M to 64T");
	refuse_words(WORDS("--memory=0"), "0 is out of range", "from 16M to 64T");
	refuse_words(WORDS("--memory=65T"), "65T is out of range", "64T");
	refuse_words(WORDS("--memory=99999999999999999999"), "too large", NULL);
	refuse_words(WORDS("--memory=16777216T"), "too large", NULL);
}

static void test_numbers(void **state)
{
	const struct axcfg *config = config_of_words(
		WORDS("--cpus=0x10", "--max-exits=18446744073709551615", "--load-gpa=4096"));

	(void)state;
	assert_int_equal(config->cpus.count, 16);
	assert_true(config->limits.max_exits == UINT64_MAX);
	assert_int_equal(config->kernel.load_gpa, 4096);
	axcfg_destroy(config);
	refuse_words(WORDS("--cpus=0"), "--cpus: 0 is out of range", "from 1 to 1024");
	refuse_words(WORDS("--cpus=1025"), "1025 is out of range", "from 1 to 1024");
	refuse_words(WORDS("--cpus=two"), "--cpus: 'two' is not a whole number", NULL);
	refuse_words(WORDS("--cpus=-1"), "'-1' is not a whole number", NULL);
	refuse_words(WORDS("--cpus=+1"), "'+1' is not a whole number", NULL);
	refuse_words(WORDS("--cpus= 1"), "' 1' is not a whole number", NULL);
	refuse_words(WORDS("--cpus=1 "), "'1 ' is not a whole number", NULL);
	refuse_words(WORDS("--cpus=1e1"), "'1e1' is not a whole number", NULL);
	refuse_words(WORDS("--cpus=0x"), "'0x' is not a whole number", NULL);
	refuse_words(WORDS("--max-exits=18446744073709551616"), "too large", NULL);
	refuse_words(WORDS("--entry=here"), "'here' is not an address", NULL);
	refuse_words(WORDS("--bits=15"), "15 is out of range", "from 16 to 64");
	refuse_words(WORDS("--bits=48"), "48 is not 16, 32 or 64", NULL);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"0", 0},
		{"10", 10000000000},
		{"10s", 10000000000},
		{"500ms", 500000000},
		{"7us", 7000},
		{"2m", 120000000000},
		{"1h", 3600000000000},
		{"18446744073s", 18446744073000000000ULL},
	};
	char word[64];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(good); i++) {
		const struct axcfg *config;

		snprintf(word, sizeof(word), "--timeout=%s", good[i].text);
		config = config_of_words(WORDS(word));
		assert_true(config->limits.timeout_ns == good[i].ns);
		axcfg_destroy(config);
	}
	refuse_words(WORDS("--timeout=soon"), "--timeout: 'soon' is not a time", NULL);
	refuse_words(WORDS("--timeout=10sec"), "'10sec' is not a time", NULL);
	refuse_words(WORDS("--timeout=1.5s"), "'1.5s' is not a time", NULL);
	refuse_words(WORDS("--timeout=-1"), "'-1' is not a time", NULL);
	refuse_words(WORDS("--timeout="), "'' is not a time", NULL);
	refuse_words(WORDS("--timeout=18446744074s"), "too large", NULL);
	refuse_words(WORDS("--timeout=99999999999999999999"), "too large", NULL);
}

static void test_booleans(void **state)
{
	static const char *const yes[] = {"true", "yes", "on", "1", "TRUE"};
	static const char *const no[] = {"false", "no", "off", "0", "False"};
	char word[64];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(yes); i++) {
		const struct axcfg *config;

		snprintf(word, sizeof(word), "--populate=%s", yes[i]);
		config = config_of_words(WORDS(word));
		assert_true(config->memory.populate);
		axcfg_destroy(config);
		snprintf(word, sizeof(word), "--rng=%s", no[i]);
		config = config_of_words(WORDS(word));
		assert_false(config->rng);
		axcfg_destroy(config);
	}
	refuse_words(WORDS("--rng=maybe"), "--rng: 'maybe' is not true or false", NULL);
	refuse_words(WORDS("--no-rng=yes"), "--no-rng takes no value", NULL);
	/* A switch does not eat the next word. */
	axcfg_destroy(config_of_words(WORDS("--rng", "kernel")));
}

static void test_choices(void **state)
{
	const struct axcfg *config = config_of_words(WORDS("--serial=NONE"));

	(void)state;
	assert_int_equal(config->serial.mode, AXCFG_SERIAL_NONE);
	axcfg_destroy(config);
	refuse_words(WORDS("--serial=tcp"), "--serial: 'tcp' is not known",
		     "choose one of: auto, stdio, file, pty, none");
	refuse_words(WORDS("--serial="), "'' is not known", NULL);
	refuse_words(WORDS("--memory-backing=1G"), "'1G' is not known", "hugetlb-1G");
}

static void test_lists(void **state)
{
	static const uint64_t wanted[] = {0, 2, 4, 5, 6, 7};
	const struct axcfg *config = config_of_words(WORDS("--cpus=6", "--cpu-ids=0,2,4-7"));

	(void)state;
	assert_int_equal(config->cpus.ids.count, AX_ARRAY_LEN(wanted));
	assert_memory_equal(config->cpus.ids.values, wanted, sizeof(wanted));
	axcfg_destroy(config);
	config = config_of_words(WORDS("--cpu-ids=3", "--cpu-ids="));
	assert_int_equal(config->cpus.ids.count, 0);
	axcfg_destroy(config);
	config = config_of_words(WORDS("--cpus=1024", "--cpu-ids=0-1023"));
	assert_int_equal(config->cpus.ids.count, 1024);
	axcfg_destroy(config);
	refuse_words(WORDS("--cpu-ids=a"), "--cpu-ids: 'a' is not a list of numbers", NULL);
	refuse_words(WORDS("--cpu-ids=1,,2"), "'1,,2' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=,1"), "',1' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=1,"), "'1,' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=,"), "',' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=5-3"), "'5-3' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=1-"), "'1-' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=-1"), "'-1' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=1-2-3"), "'1-2-3' is not a list", NULL);
	refuse_words(WORDS("--cpu-ids=4294967296"), "4294967296 is out of range", NULL);
	refuse_words(WORDS("--cpu-affinity=65536"), "65536 is out of range", NULL);
	refuse_words(WORDS("--cpu-ids=0-1024"), "more than 1024 numbers", NULL);
	refuse_words(WORDS("--cpu-ids=0-1023,0"), "more than 1024 numbers", NULL);
	refuse_words(WORDS("--cpu-ids=0-4294967295"), "more than 1024 numbers", NULL);
}

static void test_strings(void **state)
{
	char long_name[64], word[80];
	const struct axcfg *config = config_of_words(WORDS("--cmdline="));

	(void)state;
	assert_string_equal(config->kernel.cmdline, "");
	axcfg_destroy(config);
	refuse_words(WORDS("--kernel="), "--kernel: '' is not a path", NULL);
	memset(long_name, 'n', sizeof(long_name));
	long_name[32] = '\0';
	snprintf(word, sizeof(word), "--name=%s", long_name);
	axcfg_destroy(config_of_words(WORDS(word)));
	long_name[32] = 'n';
	long_name[33] = '\0';
	snprintf(word, sizeof(word), "--name=%s", long_name);
	refuse_words(WORDS(word), "has 33 bytes, at most 32 are possible", NULL);
}

static void test_items(void **state)
{
	const struct axcfg *c = config_of_words(WORDS("--disk=a,,b=c.img,ro,direct,serial=one",
						      "--disk=k=v.img", "--disk=x,ro=no"));

	(void)state;
	assert_int_equal(c->disk_count, 3);
	assert_string_equal(c->disks[0].path, "a,b=c.img");
	assert_true(c->disks[0].read_only && c->disks[0].direct);
	assert_string_equal(c->disks[0].serial, "one");
	assert_string_equal(c->disks[1].path, "k=v.img");
	assert_false(c->disks[1].read_only || c->disks[1].direct);
	assert_null(c->disks[1].serial);
	assert_string_equal(c->disks[2].path, "x");
	assert_false(c->disks[2].read_only);
	axcfg_destroy(c);
	c = config_of_words(WORDS("--region=gpa=0x40000000,size=4K,type=reserved,path=f,ro"));
	assert_int_equal(c->memory.region_count, 1);
	assert_int_equal(c->memory.regions[0].gpa, 0x40000000);
	assert_int_equal(c->memory.regions[0].size_bytes, 4096);
	assert_int_equal(c->memory.regions[0].map_type, 2); /* AXAS_MAP_RESERVED */
	assert_string_equal(c->memory.regions[0].path, "f");
	assert_true(c->memory.regions[0].read_only);
	axcfg_destroy(c);
	refuse_words(WORDS("--disk="), "--disk: '' is not a path", NULL);
	refuse_words(WORDS("--disk=a,rw"), "--disk: 'rw' is not known", "PATH[,ro]");
	refuse_words(WORDS("--disk=a,b.img"), "'b.img' is not known", "written twice");
	refuse_words(WORDS("--disk=a,size=1"), "'size' is not known", NULL);
	refuse_words(WORDS("--disk=a,ro=perhaps"), "'perhaps' is not true or false", NULL);
	refuse_words(WORDS("--disk=a,serial=123456789012345678901"), "at most 20", NULL);
	refuse_words(WORDS("--region=gpa=x,size=4K"), "'x' is not an address", NULL);
	refuse_words(WORDS("--region=gpa=0,size=1K"), "1K is out of range", "the least is 4K");
	refuse_words(WORDS("--region=gpa=0,size=4K,type=shared"), "'shared' is not known",
		     "alloc, identical, reserved");
}

static void test_too_many_items(void **state)
{
	struct axcfg_builder *builder = builder_new();
	const struct axcfg *config = NULL;
	struct ax_error err = {0};

	(void)state;
	for (int i = 0; i < AXCFG_MAX_DISKS; i++) {
		char path[16];

		snprintf(path, sizeof(path), "d%d", i);
		assert_int_equal(axcfg_builder_set(builder, "disks", path, &err), 0);
	}
	assert_int_equal(axcfg_builder_set(builder, "disks", "one-more", &err), -E2BIG);
	assert_non_null(strstr(err.message, "more than 16"));
	assert_int_equal(axcfg_builder_finish(builder, &config, &err), 0);
	assert_int_equal(config->disk_count, AXCFG_MAX_DISKS);
	axcfg_builder_destroy(builder);
	axcfg_destroy(config);
}

/* After a refusal the value set before stands. */
static void test_nothing_changes_on_error(void **state)
{
	static const struct {
		const char *key, *good, *bad;
	} cases[] = {
		{"cpus.count", "4", "0"},
		{"memory.size", "64M", "1"},
		{"kernel.entry", "0x1000", "x"},
		{"limits.timeout", "5s", "5 s"},
		{"rng", "false", "2"},
		{"serial.mode", "none", "?"},
		{"cpus.ids", "1,2,3,4", "1,2,x"},
		{"name", "mine", "a-name-that-is-much-too-long-for-it"},
		{"kernel.path", "vmlinuz", ""},
		{"disks", "a.img,ro", "b.img,serial=y,nonsense"},
	};
	struct axcfg_builder *builder = builder_new();
	const struct axcfg *c = NULL;
	struct ax_error err = {0};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		assert_int_equal(axcfg_builder_set(builder, cases[i].key, cases[i].good, &err), 0);
		if (!axcfg_builder_set(builder, cases[i].key, cases[i].bad, &err))
			fail_msg("%s took '%s'", cases[i].key, cases[i].bad);
		assert_non_null(strstr(err.message, cases[i].key));
	}
	assert_true(axcfg_builder_set(builder, "no.such", "1", &err) < 0);
	assert_int_equal(axcfg_builder_finish(builder, &c, &err), 0);
	axcfg_builder_destroy(builder);
	assert_int_equal(c->cpus.count, 4);
	assert_int_equal(c->memory.size_bytes, 64 * AX_MIB);
	assert_int_equal(c->kernel.entry, 0x1000);
	assert_true(c->limits.timeout_ns == 5000000000);
	assert_false(c->rng);
	assert_int_equal(c->serial.mode, AXCFG_SERIAL_NONE);
	assert_int_equal(c->cpus.ids.count, 4);
	assert_string_equal(c->name, "mine");
	assert_string_equal(c->kernel.path, "vmlinuz");
	assert_int_equal(c->disk_count, 1);
	assert_string_equal(c->disks[0].path, "a.img");
	axcfg_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_too_many_items),
		cmocka_unit_test(test_nothing_changes_on_error),
	};

	return cmocka_run_group_tests(tests, scratch_start, scratch_finish);
}
