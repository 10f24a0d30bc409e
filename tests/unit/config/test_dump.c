/*
 * A dump is a file: read back it gives the same configuration and the same dump, for every option
 * and for values at the edges of their types.
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dump_of(const struct axcfg *config)
{
	struct ax_error err = {0};
	char *text = NULL;

	if (axcfg_dump(config, &text, &err))
		fail_msg("%s", err.message);
	assert_non_null(text);
	return text;
}

static void check_round_trip(const struct axcfg *config)
{
	char *text = dump_of(config), *again;
	char path[256];
	const struct axcfg_option *row;
	const struct axcfg *back;

	snprintf(path, sizeof(path), "%s", scratch_file("dump.json", text, strlen(text)));
	back = config_of_words(WORDS("--config", path));
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		char one[8192], two[8192];

		value_text(row, config, one, sizeof(one));
		value_text(row, back, two, sizeof(two));
		if (strcmp(one, two))
			fail_msg("%s was %s and became %s", row->key, one, two);
	}
	again = dump_of(back);
	assert_string_equal(text, again);
	axcfg_destroy(back);
	axcfg_destroy(config);
	free(again);
	free(text);
}

static void test_defaults(void **state)
{
	(void)state;
	check_round_trip(config_of_words(WORDS("kernel")));
}

static void test_everything(void **state)
{
	(void)state;
	check_round_trip(config_of_words(WORDS(
		"--kernel=a \"quoted\" \\path", "--initrd=i", "--cmdline=a=\"b c\" \xc3\xa9\t",
		"--append=", "--protocol=pvh", "--load-gpa=0xfffffffffffff000",
		"--entry=18446744073709551615", "--bits=16", "--cpus=4",
		"--cpu-ids=0,4294967295,7-8", "--cpu-affinity=3,3,3,65535", "--memory=1536M",
		"--memory-backing=hugetlb-2M", "--populate", "--lock",
		"--region=gpa=0x100000000,size=12K,ro",
		"--region=gpa=0x200000000,size=1G,type=reserved,path=/dev/shm/x",
		"--disk=a,,b,serial=12345678901234567890,ro", "--disk=c,direct", "--no-rng",
		"--serial=file", "--serial-path=/tmp/out", "--no-acpi", "--no-mp-table", "--no-pit",
		"--gic=3", "--uart=pl011", "--dtb=d", "--announce=both", "--unclaimed=fault",
		"--name=\xe2\x82\xac", "--profile=generic", "--arch=generic",
		"--kvm-device=/dev/other", "--timeout=1500us", "--max-exits=18446744073709551615",
		"--on-reboot=restart", "--no-metrics", "--timeline")));
}

static void test_edges(void **state)
{
	static const char *const words[] = {
		"--max-exits=9223372036854775807",
		"--max-exits=9223372036854775808",
		"--timeout=18446744073709551us",
		"--timeout=1us",
		"--timeout=3h",
		"--memory=16M",
		"--memory=20484K",
		"--memory=64T",
		"--region=gpa=0,size=16777215T",
		"--region=gpa=0x1000,size=4K",
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(words); i++)
		check_round_trip(config_of_words(WORDS(words[i])));
}

/* Everything there is stands in the dump, set or at its default. */
static void test_complete(void **state)
{
	const struct axcfg *config =
		config_of_words(WORDS("-k", "k", "-i", "i", "--cmdline", "c", "--append", "a",
				      "--serial", "file", "--serial-path", "p", "--dtb", "d"));
	const struct axcfg_option *row;
	char *text = dump_of(config);

	(void)state;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		const char *dot = strchr(row->key, '.');
		char quoted[64];

		snprintf(quoted, sizeof(quoted), "\"%s\":", dot ? dot + 1 : row->key);
		if (!strstr(text, quoted))
			fail_msg("%s is not in the dump", row->key);
	}
	axcfg_destroy(config);
	free(text);
}

/* A command line may hold any bytes, JSON may not: it is said, not left out. */
static void test_not_utf8(void **state)
{
	static const struct {
		const char *word, *key;
	} cases[] = {
		{"--cmdline=a\xff", "kernel.cmdline"},
		{"--kernel=\xc0\x80", "kernel.path"},
		{"--disk=\xed\xa0\x80", "disks"},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const struct axcfg *config = config_of_words(WORDS(cases[i].word));
		struct ax_error err = {0};
		char *text = NULL;

		assert_int_equal(axcfg_dump(config, &text, &err), -EILSEQ);
		assert_null(text);
		assert_non_null(strstr(err.message, cases[i].key));
		assert_non_null(strstr(err.message, "UTF-8"));
		axcfg_destroy(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_everything),
		cmocka_unit_test(test_edges),    cmocka_unit_test(test_complete),
		cmocka_unit_test(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, scratch_start, scratch_finish);
}
