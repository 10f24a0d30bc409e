/*
 * Which profile a host gets: the gate of xv2 over several machines, every missing thing by name
 * (H2), automatic choice, and names that are not known.
 */
#include "../test.h"

#include <axvm/profile.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct axhost_facts host(const char *name)
{
	struct axhost_facts facts;
	char root[512];

	snprintf(root, sizeof(root), HOSTS "/%s", name);
	axhost_read(root, &facts);
	assert_true(facts.cpus_online > 0);
	axhost_free(&facts); /* of the topology; profiles ask for none of it */
	return facts;
}

static const struct axprof *by_name(const char *name)
{
	const struct axprof *profile;

	for (size_t i = 0; (profile = axprof_at(i)); i++)
		if (!strcmp(profile->name, name))
			return profile;
	abort(); /* the tests below are about profiles there are */
}

static void test_accepts_ivy_bridge_ep(void **state)
{
	const struct axhost_facts facts = host("e5-2680v2");
	const struct axprof *profile = NULL;
	struct ax_error err = {0};
	char missing[256] = "untouched";

	(void)state;
	assert_int_equal(axprof_select("xv2", &facts, &profile, &err), 0);
	assert_string_equal(profile->name, "xv2");
	assert_int_equal(axprof_missing(profile, &facts, missing, sizeof(missing)), 0);
	assert_string_equal(missing, "");
}

/* Take one thing away at a time: that thing is named, and nothing else. */
static void test_names_each_missing_thing(void **state)
{
	const struct {
		const char *name;
		size_t offset;
	} items[] = {
		{"VT-x", offsetof(struct axhost_facts, vmx)},
		{"EPT", offsetof(struct axhost_facts, ept)},
		{"invariant TSC", offsetof(struct axhost_facts, invariant_tsc)},
		{"x2APIC", offsetof(struct axhost_facts, x2apic)},
	};
	const struct axprof *xv2 = by_name("xv2");

	(void)state;
	assert_int_equal(xv2->requirement_count, AX_ARRAY_LEN(items) + 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(items); i++) {
		struct axhost_facts facts = host("e5-2680v2");
		const struct axprof *profile = NULL;
		struct ax_error err = {0};
		char wanted[64];

		*((char *)&facts + items[i].offset) = false;
		assert_int_equal(axprof_select("xv2", &facts, &profile, &err), -ENOTSUP);
		assert_null(profile);
		assert_int_equal(err.kind, AX_ERROR_PROFILE_REFUSED);
		assert_int_equal(err.severity, AX_SEVERITY_FATAL);
		assert_int_equal(ax_error_kind_exit_status(err.kind), 26);
		snprintf(wanted, sizeof(wanted), "lacks: %s", items[i].name);
		assert_string_equal(strstr(err.message, "lacks:"), wanted);
		assert_non_null(strstr(err.hint, xv2->requirements[i + 1].remedy));
		assert_non_null(strstr(err.hint, "--profile auto"));
	}
}

static void test_refuses_other_processors(void **state)
{
	static const struct {
		const char *host, *missing;
	} cases[] = {
		{"epyc-7543", "Intel family 6 model 62 (Ivy Bridge-EP), VT-x, EPT"},
		{"cascadelake-guest", "Intel family 6 model 62 (Ivy Bridge-EP)"},
		{"e5-2680v2-ept0", "EPT"},
	};
	struct axhost_facts near = host("e5-2680v2");
	const struct axprof *profile = NULL;
	struct ax_error err = {0};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const struct axhost_facts facts = host(cases[i].host);

		assert_int_equal(axprof_select("xv2", &facts, &profile, &err), -ENOTSUP);
		assert_string_equal(strstr(err.message, "lacks: ") + 7, cases[i].missing);
	}
	/* Ivy Bridge of a desktop is model 58; the numbers alone are not enough either. */
	near.model = 58;
	assert_int_equal(axprof_select("xv2", &near, &profile, &err), -ENOTSUP);
	near = host("e5-2680v2");
	near.family = 15;
	assert_int_equal(axprof_select("xv2", &near, &profile, &err), -ENOTSUP);
	near = host("e5-2680v2");
	snprintf(near.vendor, sizeof(near.vendor), "AuthenticAMD");
	assert_int_equal(axprof_select("xv2", &near, &profile, &err), -ENOTSUP);
	assert_null(profile);
}

static void test_auto(void **state)
{
	static const struct {
		const char *host, *profile;
	} cases[] = {
		{"e5-2680v2", "xv2"},
		{"e5-2680v2-ept0", "generic"},
		{"epyc-7543", "generic"},
		{"cascadelake-guest", "generic"},
	};
	const struct axhost_facts nothing = {0};
	const struct axprof *profile = NULL;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const struct axhost_facts facts = host(cases[i].host);

		assert_int_equal(axprof_select("auto", &facts, &profile, NULL), 0);
		assert_string_equal(profile->name, cases[i].profile);
		assert_int_equal(axprof_select(NULL, &facts, &profile, NULL), 0);
		assert_string_equal(profile->name, cases[i].profile);
	}
	assert_int_equal(axprof_select("auto", &nothing, &profile, NULL), 0);
	assert_string_equal(profile->name, "generic");
	assert_int_equal(axprof_select("generic", &nothing, &profile, NULL), 0);
}

static void test_unknown_name(void **state)
{
	const struct axhost_facts facts = host("e5-2680v2");
	static const char *const names[] = {"xv3", "", "XV2", "generic "};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++) {
		const struct axprof *profile = NULL;
		struct ax_error err = {0};

		assert_int_equal(axprof_select(names[i], &facts, &profile, &err), -EINVAL);
		assert_null(profile);
		assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
		assert_non_null(strstr(err.message, names[i]));
		assert_string_equal(err.hint, "choose one of: auto, xv2, zen2, generic");
	}
}

/* A list that does not fit is cut, the count stays true. */
static void test_missing_in_a_small_buffer(void **state)
{
	const struct axhost_facts nothing = {0};
	struct {
		char buf[8], guard[8];
	} small;

	(void)state;
	memset(&small, 'g', sizeof(small));
	assert_int_equal(axprof_missing(by_name("xv2"), &nothing, small.buf, sizeof(small.buf)), 5);
	assert_string_equal(small.buf, "Intel f");
	assert_memory_equal(small.guard, "gggggggg", 8);
}

static void collect(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	(void)layer;
	if (level == AX_LOG_INFO)
		snprintf(ctx, 128, "%s", line);
}

/* A profile someone insists on is said in the log. */
static void test_choice_is_logged(void **state)
{
	const struct axhost_facts facts = host("e5-2680v2");
	const struct axprof *profile;
	char line[128] = "";

	(void)state;
	ax_log_set_sink(collect, line);
	ax_log_set_level(AX_LOG_INFO);
	assert_int_equal(axprof_select("auto", &facts, &profile, NULL), 0);
	assert_string_equal(line, "");
	assert_int_equal(axprof_select("generic", &facts, &profile, NULL), 0);
	assert_non_null(strstr(line, "generic"));
	ax_log_set_sink(NULL, NULL);
	ax_log_set_level(AX_LOG_WARN);
}

static void test_table(void **state)
{
	const struct axprof *profile;
	size_t count = 0;

	(void)state;
	for (; (profile = axprof_at(count)); count++) {
		assert_true(profile->name && profile->summary);
		for (size_t r = 0; r < profile->requirement_count; r++) {
			assert_non_null(profile->requirements[r].name);
			assert_non_null(profile->requirements[r].met);
			assert_non_null(profile->requirements[r].remedy);
		}
		for (size_t o = 0; o < profile->option_count; o++) {
			assert_non_null(profile->options[o].name);
			assert_non_null(profile->options[o].met);
			assert_non_null(profile->options[o].remedy);
		}
	}
	assert_true(count >= 2);
	/* The last one fits every host, or `auto` could fail. */
	assert_int_equal(axprof_at(count - 1)->requirement_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_ivy_bridge_ep),
		cmocka_unit_test(test_names_each_missing_thing),
		cmocka_unit_test(test_refuses_other_processors),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_unknown_name),
		cmocka_unit_test(test_missing_in_a_small_buffer),
		cmocka_unit_test(test_choice_is_logged),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
