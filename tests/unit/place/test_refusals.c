/*
 * What is impossible is refused with what is missing and where, and the advice works: every hint
 * is read as a user would, followed, and must give a plan.
 */
#include "hosts.h"

#include <errno.h>
#include <stdio.h>

/* One change of a request, "max_nodes=2". */
static void change(struct axplace_request *request, const char *key, const char *value)
{
	uint64_t bytes;

	if (!strcmp(key, "vcpus")) {
		request->vcpus = (uint32_t)strtoul(value, NULL, 10);
	} else if (!strcmp(key, "memory")) {
		assert_int_equal(ax_parse_size(value, 1, &bytes), 0);
		request->memory_bytes = bytes;
	} else if (!strcmp(key, "max_nodes")) {
		request->max_nodes = (uint32_t)strtoul(value, NULL, 10);
	} else if (!strcmp(key, "cores") && !strcmp(value, "auto")) {
		request->cores = AXPLACE_CORES_AUTO;
	} else if (!strcmp(key, "backing_is_must") && !strcmp(value, "no")) {
		request->backing_is_must = false;
	} else if (!strcmp(key, "pins") && !strcmp(value, "none")) {
		request->pin_count = 0;
	} else if (!strcmp(key, "nodes") && !strcmp(value, "all")) {
		request->node_count = 0;
	} else if (!strcmp(key, "keep_free") && !strcmp(value, "none")) {
		request->keep_free_count = 0;
	} else if (!strcmp(key, "whole_nodes") && !strcmp(value, "no")) {
		request->whole_nodes = false;
	} else if (!strcmp(key, "may_overcommit") && !strcmp(value, "yes")) {
		request->may_overcommit = true;
	} else {
		fail_msg("advice that nobody understands: %s=%s", key, value);
	}
}

static void must_plan(const struct axhost_facts *facts, const struct axplace_request *request,
		      const struct axplace_held *held, const char *advice)
{
	const struct axprof *profile = profile_by_name("generic");
	struct axplace_plan *plan = NULL;
	struct ax_error err = {0};
	const char *wrong;

	if (axplace_make(facts, profile, request, held, &plan, &err))
		fail_msg("advice '%s' does not work: %s", advice, err.message);
	wrong = plan_wrong(facts, profile, request, held, plan);
	if (wrong)
		fail_msg("advice '%s' gives a bad plan: %s", advice, wrong);
	axplace_free(plan);
}

/* "echo N > /sys/devices/system/node/nodeX/hugepages/hugepages-YkB/nr_hugepages" as root would. */
static void make_pages(struct axhost_facts *facts, const char *hint)
{
	unsigned long long pages, kib;
	unsigned node;

	for (; (hint = strstr(hint, "echo ")); hint++) {
		struct axhost_page_pool *pool = NULL;
		struct axhost_node *n = NULL;

		assert_int_equal(sscanf(hint,
					"echo %llu > /sys/devices/system/node/node%u/hugepages/"
					"hugepages-%llukB/nr_hugepages",
					&pages, &node, &kib),
				 3);
		for (size_t i = 0; i < facts->node_count; i++)
			if (facts->nodes[i].id == node)
				n = &facts->nodes[i];
		for (size_t i = 0; n && i < n->pool_count; i++)
			if (n->pools[i].page_size_bytes == kib * 1024)
				pool = &n->pools[i];
		if (!n || !pool) {
			fail_msg("nothing to be made: %s", hint);
			return;
		}
		assert_true(pages > pool->total);
		assert_true((pages - pool->total) * kib * 1024 <= n->memory_free_bytes);
		n->memory_free_bytes -= (pages - pool->total) * kib * 1024;
		pool->free += pages - pool->total;
		pool->total = pages;
	}
}

/* Follows all advice of the hint; returns how much there was. Changes the facts. */
static size_t follow(struct axhost_facts *facts, const struct axplace_request *request,
		     const struct axplace_held *held, const char *hint)
{
	const char *list = strstr(hint, "would work: ");
	char text[384], *next;
	size_t count = 0;

	snprintf(text, sizeof(text), "%s", list ? list + strlen("would work: ") : "");
	for (char *one = text; *one; one = next) {
		struct axplace_request changed = *request;
		char whole[sizeof(text)], *part, *rest;

		next = strstr(one, ", or ");
		if (next) {
			*next = '\0';
			next += strlen(", or ");
		} else {
			next = one + strlen(one);
		}
		snprintf(whole, sizeof(whole), "%s", one);
		for (part = one; part; part = rest) {
			char *equals = strchr(part, '=');

			rest = strstr(part, " with ");
			if (rest) {
				*rest = '\0';
				rest += strlen(" with ");
			}
			assert_non_null(equals);
			*equals = '\0';
			change(&changed, part, equals + 1);
		}
		must_plan(facts, &changed, held, whole);
		count++;
	}
	if (strstr(hint, "echo ")) {
		make_pages(facts, hint);
		must_plan(facts, request, held, hint);
		count++;
	}
	return count;
}

/* What is told to have no way out has none: the least that a VM may have, without any limit. */
static void must_be_hopeless(const struct scene *s, const struct axprof *profile)
{
	const uint64_t bytes = ax_align_up(16 * MIB, granule_of(s->request.backing));
	const struct axplace_request least = {
		.vcpus = 1,
		.memory_bytes = s->request.memory_bytes < bytes ? s->request.memory_bytes : bytes,
		.backing = s->request.backing,
	};
	struct axplace_plan *plan = NULL;

	if (!axplace_make(&s->facts, profile, &least, &s->held, &plan, NULL))
		fail_msg("there is a way out");
	axplace_free(plan);
}

static void test_random_advice(void **state)
{
	const struct axprof *profile = profile_by_name("generic");
	size_t advice = 0, refused = 0, commands = 0;

	(void)state;
	for (uint64_t number = 1; number <= 4000; number++) {
		struct prng prng = {number * UINT64_C(0x9e3779b97f4a7c15)};
		struct axplace_plan *plan = NULL;
		struct ax_error err = {0};
		struct scene s;
		int r;

		scene_random(&prng, number % 4 != 0, &s);
		r = axplace_make(&s.facts, profile, &s.request, &s.held, &plan, &err);
		if (r && r != -EINVAL) {
			refused++;
			commands += strstr(err.hint, "echo ") != NULL;
			if (!strncmp(err.hint, "nothing smaller", 15))
				must_be_hopeless(&s, profile);
			advice += follow(&s.facts, &s.request, &s.held, err.hint);
		}
		axplace_free(plan);
		scene_free(&s);
	}
	assert_true(refused > 1000 && commands > 20);
	assert_true(advice > refused);
}

static int refuse(const struct axhost_facts *facts, const struct axplace_request *request,
		  const struct axplace_held *held, struct ax_error *ret_err)
{
	struct axplace_plan *plan = NULL;
	int r;

	*ret_err = (struct ax_error){0};
	r = axplace_make(facts, profile_by_name("generic"), request, held, &plan, ret_err);
	assert_null(plan);
	assert_true(r < 0);
	assert_int_equal(ret_err->kind, AX_ERROR_CONFIGURATION);
	assert_int_equal(ret_err->sys_errno, -r);
	return r;
}

static void test_memory_of_one_node(void **state)
{
	struct axhost_facts facts = host_make(2, 10, 2, 64 * GIB);
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	s.request = (struct axplace_request){.vcpus = 4, .memory_bytes = 100 * GIB, .max_nodes = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.message, "placement: 100G of memory for 4 vCPUs are not free on at "
					 "most 1 node: node 0 has 64448M, node 1 has 64448M");
	assert_string_equal(err.hint, "would work: max_nodes=2, or memory=61G");
	assert_int_equal(follow(&facts, &s.request, NULL, err.hint), 2);

	s.request.memory_bytes = 200 * GIB;
	s.request.max_nodes = 0;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.hint, "would work: memory=122G");
	scene_free(&s);
}

static void test_cpus(void **state)
{
	struct axhost_facts facts = host_make(2, 4, 2, 8 * GIB);
	const uint32_t pins[] = {0, 1, 99}, free_cpus[] = {16}, nodes[] = {0}, held_cpus[] = {1, 9};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 2};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	s.request = (struct axplace_request){
		.vcpus = 3, .memory_bytes = GIB, .pins = pins, .pin_count = 3};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EINVAL);
	assert_string_equal(err.message, "placement: CPU 99, where vCPU 2 is to run, is not there");
	assert_string_equal(err.hint, "this host has CPUs up to 15");
	s.request.pin_count = 2;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EINVAL);
	s.request.vcpus = 2;
	assert_int_equal(refuse(&facts, &s.request, &held, &err), -ENOSPC);
	assert_non_null(
		strstr(err.message, "CPU 1, where vCPU 1 is to run, is held by another VM"));

	s.request = (struct axplace_request){
		.vcpus = 2, .memory_bytes = GIB, .keep_free = free_cpus, .keep_free_count = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.message, "CPU 16"));

	s.request = (struct axplace_request){
		.vcpus = 5, .memory_bytes = GIB, .cores = AXPLACE_CORES_OWN, .max_nodes = 1};
	assert_int_equal(refuse(&facts, &s.request, &held, &err), -ENOSPC);
	assert_string_equal(
		err.message,
		"placement: 5 vCPUs with a core each do not fit on at most 1 node: usable "
		"CPUs: node 0 has 6 in 3 cores, node 1 has 8 in 4 cores; 2 held by other "
		"VMs");
	assert_string_equal(err.hint, "would work: max_nodes=2, or cores=auto, or vcpus=4");
	assert_int_equal(follow(&facts, &s.request, &held, err.hint), 3);

	s.request = (struct axplace_request){
		.vcpus = 12, .memory_bytes = GIB, .nodes = nodes, .node_count = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOSPC);
	assert_string_equal(err.hint, "would work: nodes=all, or may_overcommit=yes, or vcpus=8");
	scene_free(&s);
}

static void test_pages(void **state)
{
	struct axhost_facts facts = host_make(2, 4, 2, 8 * GIB);
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	host_pool(&facts, 0, 2 * MIB, 100);
	facts.nodes[0].pools[0].free = 60;
	host_pool(&facts, 1, 2 * MIB, 0);
	s.request = (struct axplace_request){.vcpus = 2,
					     .memory_bytes = GIB,
					     .backing = AXAS_BACKING_HUGETLB_2M,
					     .backing_is_must = true,
					     .max_nodes = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.message,
			    "placement: 1G of memory (512 pages of 2M) for 2 vCPUs are not free on "
			    "at most 1 node: node 0 has 60 pages of 2M, node 1 has 0 pages of 2M");
	assert_string_equal(err.hint,
			    "echo 552 > /sys/devices/system/node/node0/hugepages/"
			    "hugepages-2048kB/nr_hugepages; would work: backing_is_must=no, or "
			    "memory=120M");
	assert_int_equal(follow(&facts, &s.request, NULL, err.hint), 3);
	s.request.memory_bytes = GIB + MIB;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EINVAL);
	assert_string_equal(err.hint, "memory=1026M would do");
	scene_free(&s);
}

/* Less memory than any VM has is no advice. */
static void test_least_memory(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	s.request = (struct axplace_request){.vcpus = 2,
					     .memory_bytes = 64 * MIB,
					     .backing = AXAS_BACKING_HUGETLB_2M,
					     .backing_is_must = true};
	host_pool(&facts, 0, 2 * MIB, 7);
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_null(strstr(err.hint, "memory="));
	facts.nodes[0].pools[0].total = facts.nodes[0].pools[0].free = 8;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_non_null(strstr(err.hint, "memory=16M"));
	/* Nor when there are too few CPUs as well. */
	s.request.vcpus = 20;
	facts.nodes[0].pools[0].total = facts.nodes[0].pools[0].free = 7;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOSPC);
	assert_null(strstr(err.hint, "memory="));
	scene_free(&s);
}

/* Others were promised more pages than are free: those have to be made too. */
static void test_promised_pages(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	const struct axplace_held_memory promised = {0, 2 * MIB, 40 * MIB};
	const struct axplace_held held = {.memory = &promised, .memory_count = 1};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	host_pool(&facts, 0, 2 * MIB, 10);
	s.request = (struct axplace_request){.vcpus = 2,
					     .memory_bytes = 64 * MIB,
					     .backing = AXAS_BACKING_HUGETLB_2M,
					     .backing_is_must = true};
	assert_int_equal(refuse(&facts, &s.request, &held, &err), -ENOMEM);
	assert_non_null(strstr(err.hint, "echo 52 > "));
	assert_int_equal(follow(&facts, &s.request, &held, err.hint), 2);
	scene_free(&s);
}

static void test_cpuset(void **state)
{
	struct axhost_facts facts = host_make(2, 4, 2, 8 * GIB);
	const uint32_t pins[] = {2, 3};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	for (uint32_t i = 2; i < 16; i++)
		facts.cpus[i].allowed = false;
	s.request = (struct axplace_request){.vcpus = 4, .memory_bytes = GIB};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EPERM);
	assert_string_equal(
		err.message,
		"placement: the cpuset or affinity mask forbids it: 4 vCPUs do not fit: "
		"usable CPUs: node 0 has 2 in 2 cores, node 1 has 0 in 0 cores; 14 outside "
		"of the cpuset");
	assert_string_equal(err.hint, "would work: may_overcommit=yes, or vcpus=2");
	assert_int_equal(follow(&facts, &s.request, NULL, err.hint), 2);
	s.request = (struct axplace_request){
		.vcpus = 2, .memory_bytes = GIB, .pins = pins, .pin_count = 2};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EPERM);

	facts.nodes[0].allowed = facts.nodes[1].allowed = false;
	s.request = (struct axplace_request){.vcpus = 2, .memory_bytes = GIB};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -EPERM);
	assert_string_equal(err.message,
			    "placement: the cpuset forbids it: 1G of memory for 2 vCPUs are not "
			    "free: node 0 may not be used, node 1 may not be used");
	scene_free(&s);
}

/* Two limits, either of which is one too many; and what no change can help. */
static void test_several_changes(void **state)
{
	struct axhost_facts facts = host_make(2, 4, 2, 8 * GIB);
	const uint32_t nodes[] = {1}, held_cpus[] = {0};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 1};
	uint32_t pins[20];
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	for (uint32_t v = 0; v < AX_ARRAY_LEN(pins); v++)
		pins[v] = 4 + v % 4;
	facts.nodes[1].memory_free_bytes = 0;
	s.request = (struct axplace_request){.vcpus = 2,
					     .memory_bytes = GIB,
					     .backing = AXAS_BACKING_HUGETLB_2M,
					     .backing_is_must = true,
					     .nodes = nodes,
					     .node_count = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.hint, "would work: backing_is_must=no with nodes=all");
	assert_int_equal(follow(&facts, &s.request, NULL, err.hint), 1);
	/* Then still too many vCPUs. */
	s.request.vcpus = 20;
	s.request.backing_is_must = false;
	s.request.memory_bytes = 16 * GIB;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOSPC);
	assert_string_equal(err.hint, "would work: nodes=all with vcpus=16 with memory=7808M");
	assert_int_equal(follow(&facts, &s.request, NULL, err.hint), 1);
	/* Who pins twice to a CPU wants overcommitment there, not anywhere. */
	s.request = (struct axplace_request){.vcpus = 20,
					     .memory_bytes = GIB,
					     .pins = pins,
					     .pin_count = 20,
					     .max_nodes = 1,
					     .may_overcommit = true};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.hint, "would work: max_nodes=2");
	/* Smaller pages than 2 MiB are not in the pool of those. */
	host_pool(&facts, 0, 2 * MIB, 512);
	facts.nodes[0].memory_free_bytes = 0;
	s.request = (struct axplace_request){.vcpus = 2,
					     .memory_bytes = 4 * GIB,
					     .backing = AXAS_BACKING_HUGETLB_2M,
					     .backing_is_must = true,
					     .nodes = nodes,
					     .node_count = 1};
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOMEM);
	assert_string_equal(err.hint, "would work: nodes=all with memory=1G");
	facts.nodes[0].pool_count = 0;
	s.request.vcpus = 20;
	s.request.backing_is_must = false;
	assert_int_equal(refuse(&facts, &s.request, NULL, &err), -ENOSPC);
	assert_string_equal(err.hint, "nothing smaller works either: change what this host offers");
	assert_int_equal(refuse(&facts, &s.request, &held, &err), -ENOSPC);
	assert_string_equal(err.hint, "nothing smaller works either: end another VM, or change "
				      "what this host offers");
	scene_free(&s);
}

/* What is too long to be told whole ends where a part does. */
static void test_long_lists(void **state)
{
	struct axhost_facts facts = host_make(64, 2, 2, 8 * GIB);
	struct axplace_request request = {.vcpus = 500, .memory_bytes = GIB};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	assert_int_equal(refuse(&facts, &request, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "cores, ..."));
	request = (struct axplace_request){.vcpus = 1, .memory_bytes = 1024 * GIB};
	assert_int_equal(refuse(&facts, &request, NULL, &err), -ENOMEM);
	assert_non_null(strstr(err.message, "M, ..."));
	scene_free(&s);
}

/* Requests that make no sense, each told apart. */
static void test_contradictions(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	const uint32_t same[] = {1, 1}, siblings[] = {1, 5}, nodes[] = {7}, one[] = {1};
	const struct {
		struct axplace_request request;
		const char *says;
	} cases[] = {
		{{.vcpus = 0, .memory_bytes = GIB}, "0 vCPUs"},
		{{.vcpus = 5000, .memory_bytes = GIB}, "5000 vCPUs"},
		{{.vcpus = 1, .memory_bytes = 0}, "4 KiB"},
		{{.vcpus = 1, .memory_bytes = 4097}, "4 KiB"},
		{{.vcpus = 1, .memory_bytes = GIB, .backing = (enum axas_backing)9}, "unknown"},
		{{.vcpus = 2, .memory_bytes = GIB, .pins = same, .pin_count = 2}, "both on CPU 1"},
		{{.vcpus = 2,
		  .memory_bytes = GIB,
		  .pins = siblings,
		  .pin_count = 2,
		  .cores = AXPLACE_CORES_OWN},
		 "of one core"},
		{{.vcpus = 1, .memory_bytes = GIB, .nodes = nodes, .node_count = 1}, "node 7"},
		{{.vcpus = 1,
		  .memory_bytes = GIB,
		  .pins = one,
		  .pin_count = 1,
		  .keep_free = one,
		  .keep_free_count = 1},
		 "kept free"},
		{{.vcpus = 1,
		  .memory_bytes = GIB,
		  .cores = AXPLACE_CORES_OWN,
		  .may_overcommit = true},
		 "several vCPUs on a CPU"},
	};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		assert_int_equal(refuse(&facts, &cases[i].request, NULL, &err), -EINVAL);
		assert_non_null(strstr(err.message, cases[i].says));
		assert_true(err.hint[0]);
	}
	scene_free(&s);
}

/* Pins on what is there, but not for us. */
static void test_pins_beside_others(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	const uint32_t pins[] = {1}, held_cpus[] = {1}, held_sibling[] = {5};
	struct axplace_request request = {
		.vcpus = 1, .memory_bytes = GIB, .pins = pins, .pin_count = 1};
	struct axplace_held held = {.cpus = held_cpus, .cpu_count = 1};
	struct scene s = {.facts = facts};
	struct ax_error err;

	(void)state;
	assert_int_equal(refuse(&facts, &request, &held, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "is held by another VM"));
	request.cores = AXPLACE_CORES_OWN;
	held.cpus = held_sibling;
	assert_int_equal(refuse(&facts, &request, &held, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "shares its core with another VM"));
	scene_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_advice),
		cmocka_unit_test(test_memory_of_one_node),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_least_memory),
		cmocka_unit_test(test_promised_pages),
		cmocka_unit_test(test_cpuset),
		cmocka_unit_test(test_several_changes),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_pins_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
