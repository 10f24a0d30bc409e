/*
 * Profiles over the recorded hosts of share/hosts: which each gets, and, with one fact of a
 * recording changed, that a profile refuses by the name of that fact alone (H2), says of what is
 * optional whether it is there (H3), and that somebody else is chosen then (G7).
 */
#include "../test.h"

#include <axvm/profile.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *profile;
	/* Optional things that this machine has: TSC scaling, APICv or AVIC, a pool of 1 GiB. */
	bool options[3];
} hosts[] = {
	{"e5-2680v2-1s", "xv2", {false, true, false}},
	{"e5-2680v2-2s", "xv2", {false, true, true}},
	{"e5-2697v2-2s", "xv2", {false, true, true}},
	{"e5-2670-2s", "generic", {false, false, false}},
	{"e5-2690v3-2s", "generic", {false, true, false}},
	{"odd-nodes", "generic", {false, true, true}},
	{"epyc-7543-nps4", "generic", {true, false, true}},
	{"epyc-7702-2s", "zen2", {true, false, true}},
	{"i7-1165g7", "generic", {true, true, false}},
};

/* The recording with `from` replaced once, which is there. */
static struct axhost_facts load(const char *name, const char *from, const char *to)
{
	static char text[65536], edited[65536 + 64];
	struct axhost_facts facts = {.family = 0};
	struct ax_error err = {0};
	char path[512];

	snprintf(path, sizeof(path), SHARE "/%s.json", name);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	assert_true(feof(file));
	fclose(file);
	const char *at = strstr(text, from);
	if (!at)
		fail_msg("%s has no %s", name, from);
	const size_t before = (size_t)(at - text);
	memcpy(edited, text, before);
	snprintf(edited + before, sizeof(edited) - before, "%s%s", to, at + strlen(from));
	if (axhost_load_text(name, edited, strlen(edited), &facts, &err) < 0)
		fail_msg("%s", err.message);
	return facts;
}

static void test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(hosts); i++) {
		struct axhost_facts facts = load(hosts[i].name, "{", "{");
		const struct axprof *profile = NULL;

		assert_int_equal(axprof_select("auto", &facts, &profile, NULL), 0);
		assert_string_equal(profile->name, hosts[i].profile);
		assert_int_equal(profile->option_count, AX_ARRAY_LEN(hosts[i].options));
		for (size_t o = 0; o < profile->option_count; o++)
			if (profile->options[o].met(&facts) != hosts[i].options[o])
				fail_msg("%s: %s", hosts[i].name, profile->options[o].name);
		axhost_free(&facts);
	}
}

static void test_refusals(void **state)
{
	static const char rome[] = "AMD family 23 model 48 to 63 (Rome)";
	static const char ivy[] = "Intel family 6 model 62 (Ivy Bridge-EP)";
	static const struct {
		const char *host, *profile, *from, *to, *missing;
	} rows[] = {
		{"e5-2680v2-2s", "xv2", "\"GenuineIntel\"", "\"CentaurHauls\"", ivy},
		{"e5-2680v2-2s", "xv2", "\"family\": 6", "\"family\": 15", ivy},
		{"e5-2680v2-2s", "xv2", "\"model\": 62", "\"model\": 58", ivy}, /* a desktop's */
		{"e5-2680v2-2s", "xv2", "\"vmx\": true", "\"vmx\": false", "VT-x"},
		{"e5-2697v2-2s", "xv2", "\"ept\": true", "\"ept\": false", "EPT"},
		{"e5-2680v2-1s", "xv2", "\"invariant_tsc\": true", "\"invariant_tsc\": false",
		 "invariant TSC"},
		{"e5-2680v2-2s", "xv2", "\"x2apic\": true", "\"x2apic\": false", "x2APIC"},
		{"epyc-7702-2s", "zen2", "\"AuthenticAMD\"", "\"HygonGenuine\"", rome},
		{"epyc-7702-2s", "zen2", "\"family\": 23", "\"family\": 25", rome},
		/* Zen+, and the Zen 2 of laptops. */
		{"epyc-7702-2s", "zen2", "\"model\": 49", "\"model\": 8", rome},
		{"epyc-7702-2s", "zen2", "\"model\": 49", "\"model\": 96", rome},
		{"epyc-7702-2s", "zen2", "\"svm\": true", "\"svm\": false", "SVM"},
		{"epyc-7702-2s", "zen2", "\"npt\": true", "\"npt\": false", "NPT"},
		{"epyc-7702-2s", "zen2", "\"invariant_tsc\": true", "\"invariant_tsc\": false",
		 "invariant TSC"},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axhost_facts facts = load(rows[i].host, rows[i].from, rows[i].to);
		const struct axprof *profile = NULL;
		struct ax_error err = {0};

		assert_int_equal(axprof_select(rows[i].profile, &facts, &profile, &err), -ENOTSUP);
		assert_null(profile);
		assert_int_equal(err.kind, AX_ERROR_PROFILE_REFUSED);
		assert_non_null(strstr(err.message, rows[i].profile));
		assert_string_equal(strstr(err.message, "lacks: ") + 7, rows[i].missing);
		assert_int_equal(axprof_select("auto", &facts, &profile, NULL), 0);
		assert_string_equal(profile->name, "generic");
		axhost_free(&facts);
	}
	/* All of those models, first and last. */
	for (unsigned model = 0x2f; model <= 0x40; model++) {
		char to[32];
		snprintf(to, sizeof(to), "\"model\": %u", model);
		struct axhost_facts facts = load("epyc-7702-2s", "\"model\": 49", to);
		const struct axprof *profile = NULL;
		const bool is_rome = model >= 0x30 && model <= 0x3f;

		assert_int_equal(axprof_select(NULL, &facts, &profile, NULL), 0);
		assert_string_equal(profile->name, is_rome ? "zen2" : "generic");
		axhost_free(&facts);
	}
}

/* What is optional stops nobody, and is told. */
static void test_options(void **state)
{
	static const struct {
		const char *from, *to;
		size_t option;
		bool there;
	} rows[] = {
		{"\"tsc_scaling\": false", "\"tsc_scaling\": true", 0, true},
		{"\"apicv\": true", "\"apicv\": false", 1, false},
		{"\"gbpages\": true", "\"gbpages\": false", 2, false},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axhost_facts facts = load("e5-2680v2-2s", rows[i].from, rows[i].to);
		const struct axprof *profile = NULL;

		assert_int_equal(axprof_select("xv2", &facts, &profile, NULL), 0);
		assert_int_equal(profile->options[rows[i].option].met(&facts), rows[i].there);
		axhost_free(&facts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
