/*
 * Plans for the recorded hosts, as they were looked at and found good: golden/HOST.CASE.json. When
 * a plan is meant to change, `test-place-golden --update` writes them again; the difference is what
 * a change of policy does, and is to be read. Refusals are golden too.
 */
#include "hosts.h"

#include <axvm/host.h>

#include <errno.h>
#include <stdio.h>

static bool updating;

static const char *const hosts[] = {
	"e5-2680v2-1s", "e5-2680v2-2s",   "e5-2697v2-2s", "e5-2670-2s",   "e5-2690v3-2s",
	"odd-nodes",    "epyc-7543-nps4", "i7-1165g7",    "epyc-7702-2s",
};

static const struct {
	const char *name;
	struct axplace_request request;
} cases[] = {
	{"small", {.vcpus = 4, .memory_bytes = 4 * GIB, .backing = AXAS_BACKING_THP}},
	{"eight", {.vcpus = 8, .memory_bytes = 8 * GIB, .backing = AXAS_BACKING_HUGETLB_1G}},
	{"sixteen", {.vcpus = 16, .memory_bytes = 24 * GIB, .backing = AXAS_BACKING_THP}},
	{"own16",
	 {.vcpus = 16,
	  .memory_bytes = 16 * GIB,
	  .backing = AXAS_BACKING_THP,
	  .cores = AXPLACE_CORES_OWN}},
	{"spread",
	 {.vcpus = 8,
	  .memory_bytes = 8 * GIB,
	  .backing = AXAS_BACKING_HUGETLB_2M,
	  .spread = AXPLACE_SPREAD,
	  .io_threads = 3}},
	{"smt", {.vcpus = 6, .memory_bytes = 2 * GIB, .cores = AXPLACE_CORES_SMT}},
	{"large", {.vcpus = 40, .memory_bytes = 32 * GIB, .backing = AXAS_BACKING_THP}},
	{"overcommit", {.vcpus = 100, .memory_bytes = 8 * GIB, .may_overcommit = true}},
	{"must1g",
	 {.vcpus = 2,
	  .memory_bytes = 4 * GIB,
	  .backing = AXAS_BACKING_HUGETLB_1G,
	  .backing_is_must = true,
	  .max_nodes = 1}},
};

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

static void compare(const char *host, const char *name, const char *text)
{
	char path[512], *golden;
	FILE *file;

	snprintf(path, sizeof(path), GOLDEN "/%s.%s.json", host, name);
	if (updating) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(text, file);
		assert_int_equal(fclose(file), 0);
		return;
	}
	golden = read_all(path);
	if (!golden)
		fail_msg("no %s; --update makes it", path);
	if (golden && strcmp(golden, text))
		fail_msg("%s is different now: see what --update changes in it", path);
	free(golden);
}

static void test_plans(void **state)
{
	(void)state;
	for (size_t h = 0; h < AX_ARRAY_LEN(hosts); h++) {
		const struct axprof *profile;
		struct axhost_facts facts;
		struct ax_error err = {0};
		char path[512];

		snprintf(path, sizeof(path), HOSTS "/%s.json", hosts[h]);
		if (axhost_load(path, &facts, &err))
			fail_msg("%s", err.message);
		assert_int_equal(axprof_select("auto", &facts, &profile, NULL), 0);
		for (size_t c = 0; c < AX_ARRAY_LEN(cases); c++) {
			struct axplace_plan *plan = NULL;
			char *text = NULL;

			if (axplace_make(&facts, profile, &cases[c].request, NULL, &plan, &err)) {
				assert_true(asprintf(&text,
						     "{\n \"refused\": \"%s\",\n \"hint\": \"%s\"\n"
						     "}\n",
						     err.message, err.hint) > 0);
			} else {
				const char *wrong =
					plan_wrong(&facts, profile, &cases[c].request, NULL, plan);

				if (wrong)
					fail_msg("%s %s: %s", hosts[h], cases[c].name, wrong);
				assert_int_equal(axplace_to_json(&facts, plan, &text, NULL), 0);
			}
			compare(hosts[h], cases[c].name, text);
			free(text);
			axplace_free(plan);
		}
		axhost_free(&facts);
	}
}

static double milliseconds(const struct axhost_facts *facts, const struct axplace_request *request)
{
	const struct axprof *profile = profile_by_name("generic");
	struct axplace_plan *plan = NULL;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t begin = ax_clock_ns(), took;

		assert_int_equal(axplace_make(facts, profile, request, NULL, &plan, NULL), 0);
		took = ax_clock_ns() - begin;
		best = took < best ? took : best;
		axplace_free(plan);
	}
	return (double)best / 1e6;
}

/* Times are told, and bounded where only a change of the order of growth can exceed. */
static void test_time(void **state)
{
	struct axplace_request request = {.vcpus = 16, .memory_bytes = 8 * GIB};
	struct axhost_facts facts = host_make(2, 10, 2, 64 * GIB);
	static const uint32_t shapes[][2] = {{64, 8}, {8, 64}, {1, 512}};
	double ms = milliseconds(&facts, &request);

	(void)state;
	print_message("40 threads, 16 vCPUs: %.3f ms\n", ms);
	assert_true(ms < 50);
	free(facts.cpus);
	free(facts.nodes);
	free(facts.distances);

	for (size_t i = 0; i < AX_ARRAY_LEN(shapes); i++) {
		facts = host_make(shapes[i][0], shapes[i][1], 2, 64 * GIB);
		for (request.vcpus = 16; request.vcpus <= 1024; request.vcpus *= 4) {
			ms = milliseconds(&facts, &request);
			print_message("1024 CPUs on %u nodes, %u vCPUs: %.1f ms\n", shapes[i][0],
				      request.vcpus, ms);
			assert_true(ms < 5000);
		}
		free(facts.cpus);
		free(facts.nodes);
		free(facts.distances);
	}
}

/* What is not there is found by asking for less, often: each time for every set of nodes, whose
 * CPUs are given out in turn. */
static void test_time_of_refusal(void **state)
{
	const struct axplace_request request = {
		.vcpus = AXPLACE_MAX_VCPUS, .memory_bytes = 4096 * GIB, .may_overcommit = true};
	struct axhost_facts facts = host_make(8, 8, 2, 64 * GIB);
	struct axplace_plan *plan = NULL;
	struct ax_error err = {0};
	uint64_t begin = ax_clock_ns();

	(void)state;
	assert_int_equal(
		axplace_make(&facts, profile_by_name("generic"), &request, NULL, &plan, &err),
		-ENOMEM);
	assert_non_null(strstr(err.hint, "memory=488G"));
	print_message("128 CPUs on 8 nodes, %u vCPUs refused: %.1f ms\n", request.vcpus,
		      (double)(ax_clock_ns() - begin) / 1e6);
	assert_true(ax_clock_ns() - begin < 20 * UINT64_C(1000000000));
	free(facts.cpus);
	free(facts.nodes);
	free(facts.distances);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_of_refusal),
	};

	updating = argc > 1 && !strcmp(argv[1], "--update");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
