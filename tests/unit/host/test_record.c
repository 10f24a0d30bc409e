/*
 * Recorded hosts: those that are shipped are what their README says, what is saved comes back
 * exactly, and each thing that can be wrong with a file is told with its place.
 */
#include "../test.h"
#include "same.h"

#include <axvm/host.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct axhost_facts load(const char *name)
{
	struct axhost_facts facts;
	struct ax_error err = {0};
	char path[512];

	snprintf(path, sizeof(path), RECORDINGS "/%s.json", name);
	if (axhost_load(path, &facts, &err))
		fail_msg("%s", err.message);
	return facts;
}

static char *read_file(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *file = fopen(path, "re");

	assert_non_null(text);
	assert_non_null(file);
	assert_true(fread(text, 1, 65535, file) < 65535);
	fclose(file);
	return text;
}

static void test_recordings(void **state)
{
	static const struct {
		const char *name;
		uint32_t model, packages, cores, llcs, cpus, nodes, llc_mib;
		uint64_t memory_gib;
	} machines[] = {
		{"e5-2680v2-1s", 62, 1, 10, 1, 20, 1, 25, 64},
		{"e5-2680v2-2s", 62, 2, 20, 2, 40, 2, 25, 128},
		{"e5-2697v2-2s", 62, 2, 24, 2, 48, 2, 30, 256},
		{"e5-2670-2s", 45, 2, 16, 2, 32, 2, 20, 64},
		{"e5-2690v3-2s", 63, 2, 24, 2, 48, 2, 30, 128},
		{"epyc-7543-nps4", 1, 1, 32, 8, 64, 4, 32, 256},
		{"epyc-7702-2s", 49, 2, 128, 32, 256, 2, 16, 512},
		{"i7-1165g7", 140, 1, 4, 1, 8, 1, 12, 16},
		{"odd-nodes", 63, 2, 24, 4, 47, 5, 15, 184},
	};

	(void)state;
	for (size_t m = 0; m < AX_ARRAY_LEN(machines); m++) {
		struct axhost_facts f = load(machines[m].name);
		uint32_t packages = 0, cores = 0, llcs = 0, siblings[128] = {0};

		print_message("%s\n", machines[m].name);
		for (size_t i = 0; i < f.cpu_count; i++) {
			if (!f.cpus[i].online)
				continue;
			packages += f.cpus[i].package == packages;
			cores += f.cpus[i].core == cores;
			llcs += f.cpus[i].llc == llcs;
			siblings[f.cpus[i].core]++;
		}
		assert_int_equal(f.model, machines[m].model);
		assert_int_equal(packages, machines[m].packages);
		assert_int_equal(cores, machines[m].cores);
		assert_int_equal(llcs, machines[m].llcs);
		assert_int_equal(f.cpus_online, machines[m].cpus);
		assert_int_equal(f.nodes_online, machines[m].nodes);
		assert_int_equal(f.caches[f.cache_count - 1].size_bytes,
				 machines[m].llc_mib * AX_MIB);
		/* Some is the kernel's own. */
		assert_true(f.memory_bytes < machines[m].memory_gib * AX_GIB);
		assert_true(f.memory_bytes > machines[m].memory_gib * AX_GIB * 97 / 100);
		for (uint32_t c = 0; c < cores; c++)
			assert_true(siblings[c] == 2 || !strcmp(machines[m].name, "odd-nodes"));
		axhost_free(&f);
	}
}

/* First threads of socket 0, of socket 1, then the siblings. */
static void test_linux_numbering(void **state)
{
	struct axhost_facts f = load("e5-2680v2-2s");

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(f.cpus[i].id, i);
		assert_int_equal(f.cpus[i].package, i % 20 / 10);
		assert_int_equal(f.cpus[i].node, i % 20 / 10);
		assert_int_equal(f.cpus[i].core, i % 20);
	}
	assert_int_equal(f.pools[0].page_size_bytes, 2 * AX_MIB);
	assert_int_equal(f.pools[0].total, f.nodes[0].pools[0].total + f.nodes[1].pools[0].total);
	assert_true(f.pools[0].total > 0);
	axhost_free(&f);
}

static void test_odd_nodes(void **state)
{
	struct axhost_facts f = load("odd-nodes");
	uint32_t per_node[5] = {0};

	(void)state;
	for (size_t i = 0; i < f.cpu_count; i++)
		if (f.cpus[i].online)
			per_node[f.cpus[i].node]++;
	assert_int_equal(f.nodes[1].memory_bytes, 0);
	assert_int_equal(f.nodes[1].pool_count, 0);
	assert_int_equal(f.nodes[4].id, 6);
	assert_int_equal(per_node[1], 12);
	assert_int_equal(per_node[2], 11);
	assert_int_equal(per_node[4], 0);
	assert_false(f.cpus[14].online || f.cpus[14].allowed);
	assert_int_equal(f.cpus[14].core, AXHOST_NONE);
	assert_true(f.cpus[38].online);
	assert_true(f.cpus[4].isolated && f.cpus[29].isolated);
	axhost_free(&f);
}

/* What is shipped is what would be saved. */
static void test_exact(void **state)
{
	static const char *const names[] = {
		"e5-2680v2-1s",   "e5-2680v2-2s", "e5-2697v2-2s", "e5-2670-2s", "e5-2690v3-2s",
		"epyc-7543-nps4", "epyc-7702-2s", "i7-1165g7",    "odd-nodes",
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++) {
		struct axhost_facts f = load(names[i]);
		struct ax_error err = {0};
		char path[512], *saved, *text;

		assert_int_equal(axhost_save(&f, &saved, &err), 0);
		snprintf(path, sizeof(path), RECORDINGS "/%s.json", names[i]);
		text = read_file(path);
		assert_string_equal(saved, text);
		axhost_free(&f);
		free(text);
		free(saved);
	}
}

/* What was read comes back, every fact of it. */
static void test_round_trip(void **state)
{
	static const char *const roots[] = {
		"",
		HOSTS "/e5-2680v2",
		HOSTS "/e5-2680v2-ept0",
		HOSTS "/epyc-7543",
		HOSTS "/epyc-7543-npt0",
		HOSTS "/cascadelake-guest",
		HOSTS "/neoverse-n1",
		HOSTS "/sifive-u74",
		HOSTS "/riscv-emulated",
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(roots); i++) {
		struct axhost_facts f, back;
		struct ax_error err = {0};
		char *text, *again;

		axhost_read(roots[i], &f);
		f.cpus[0].isolated = true;
		f.cpus[f.cpu_count / 2].tickless = true;
		f.nodes[0].allowed = false;
		f.cpus[f.cpu_count - 1].allowed = false;
		f.memory_limit_bytes = 12345;
		f.memory_limit_used_bytes = 23456;
		f.cpu_limit_thousandths = 1500;
		assert_int_equal(axhost_save(&f, &text, &err), 0);
		if (axhost_load_text("saved", text, strlen(text), &back, &err))
			fail_msg("%s: %s", roots[i], err.message);
		assert_int_equal(axhost_save(&back, &again, &err), 0);
		assert_string_equal(text, again);
		assert_same_facts(&back, &f);
		free(text);
		free(again);
		axhost_free(&f);
		axhost_free(&back);
	}
}

#define CPU0 "{\"id\": 0, \"package\": 0, \"core\": 0, \"llc\": 0, \"node\": 0}"
#define CPU1 "{\"id\": 1, \"package\": 0, \"core\": 0, \"llc\": 0, \"node\": 0}"
#define NODE "{\"id\": 0, \"memory_bytes\": 8192, \"memory_free_bytes\": 4096}"

static const char small[] =
	"{\"axvm_host\": 1, \"vendor\": \"v\", \"model_name\": \"m\", \"family\": 6, "
	"\"model\": 62, \"stepping\": 4, \"kernel_release\": \"6\", \"memory_bytes\": 8192, "
	"\"memory_available_bytes\": 4096, \"memory_limit_bytes\": 0, \"mitigations\": \"\", "
	"\"features\": {\"vmx\": true}, \"nodes\": [" NODE "], \"distances\": [[10]], "
	"\"cpus\": [" CPU0 ", " CPU1 "]}";

/* In `small`, the first `old` is `new`: refused with each of these words. */
static void test_refusals(void **state)
{
	static const struct {
		const char *old, *new, *words[3];
	} cases[] = {
		{"{\"axvm_host\": 1", "[{\"axvm_host\": 1", {"host.json:1:", "not valid JSON"}},
		{"\"axvm_host\": 1", "\"axvm_host\": 2", {"axvm_host: 2", "expected 1"}},
		{"\"axvm_host\": 1, ", "", {"axvm_host: missing", "expected 1"}},
		{"\"vendor\": \"v\"", "\"vendor\": 7", {"host.json: vendor: 7", "expected text"}},
		{"\"vendor\": \"v\"", "\"vendor\": \"sixteen bytes lo\"", {"vendor", "15 bytes"}},
		{"\"vendor\": \"v\"", "\"vendor\": \"a\\u0000b\"", {"not valid JSON"}},
		{"\"vendor\"", "\"vendr\"", {"vendr: no such key"}},
		{"\"model\": 62, ", "", {"model: missing", "expected a whole number"}},
		{"\"model\": 62", "\"model\": -1", {"model: -1", "from 0"}},
		{"\"model\": 62", "\"model\": 1.5", {"model: 1.5"}},
		{"\"model\": 62", "\"model\": 4294967296", {"model: 4294967296"}},
		{"\"model\": 62", "\"model\": 62, \"model\": 62", {"not valid JSON", "duplicate"}},
		{"\"memory_limit_bytes\"",
		 "\"cpu_limit_thousandths\": -1, \"memory_limit_bytes\"",
		 {"cpu_limit_thousandths: -1", "from 0"}},
		{"\"vmx\": true", "\"vmx\": 1", {"features.vmx: 1", "true or false"}},
		{"\"vmx\": true", "\"vmxx\": true", {"features.vmxx: no such key"}},
		{"\"features\": {\"vmx\": true}, ", "", {"features: missing"}},
		{"\"memory_available_bytes\": 4096",
		 "\"memory_available_bytes\": 9000",
		 {"memory_available_bytes: 9000", "at most", "8192"}},
		{"\"nodes\"",
		 "\"caches\": [{\"level\": 0}], \"nodes\"",
		 {"caches[0].level: 0", "from 1 to 8"}},
		{"\"nodes\"", "\"caches\": {}, \"nodes\"", {"caches: {}", "a list"}},
		{"[" NODE "]", "[]", {"nodes: []", "1 to 1024"}},
		{"[" NODE "]", "[7]", {"nodes[0]: 7", "an object"}},
		{NODE, NODE ", " NODE, {"distances", "2 rows of 2"}},
		{"[" NODE "], \"distances\": [[10]]",
		 "[" NODE ", " NODE "], \"distances\": [[10, 20], [20, 10]]",
		 {"nodes[1].id: 0", "expected more than 0"}},
		{"\"memory_free_bytes\": 4096",
		 "\"memory_free_bytes\": 9000",
		 {"nodes[0].memory_free_bytes: 9000", "at most"}},
		{"\"memory_free_bytes\": 4096",
		 "\"memory_free_bytes\": 4096, \"pools\": [{\"page_size_bytes\": 5000, \"total\": "
		 "1, \"free\": 1}]",
		 {"nodes[0].pools[0].page_size_bytes: 5000", "power of two"}},
		{"\"memory_free_bytes\": 4096",
		 "\"memory_free_bytes\": 4096, \"pools\": [{\"page_size_bytes\": 8192, \"total\": "
		 "1, \"free\": 2}]",
		 {"nodes[0].pools[0].free: 2", "at most the total"}},
		{"[[10]]", "[[10], [10]]", {"distances", "1 rows of 1"}},
		{"[[10]]", "[[10, 20]]", {"distances[0]"}},
		{"[[10]]", "[[20]]", {"distances[0][0]: 20", "expected 10"}},
		{"[[10]]", "[[9]]", {"distances[0][0]: 9", "from 10 to 255"}},
		{"\"cpus\": [" CPU0 ", " CPU1 "]", "\"cpus\": []", {"cpus: []"}},
		{"\"cpus\": [" CPU0 ", " CPU1 "]",
		 "\"cpus\": [{\"id\": 3, \"online\": false}]",
		 {"cpus: all are offline"}},
		{"\"id\": 1", "\"id\": 0", {"cpus[1].id: 0", "expected more than 0"}},
		{CPU1,
		 "{\"id\": 1, \"online\": false, \"core\": 0}",
		 {"cpus[1].core: 0", "offline"}},
		{CPU1,
		 "{\"id\": 1, \"package\": 0, \"core\": 0, \"llc\": 0}",
		 {"cpus[1].node: missing"}},
		{CPU1,
		 "{\"id\": 1, \"package\": 0, \"core\": 0, \"llc\": 0, \"node\": 1}",
		 {"cpus[1].node: 1", "the id of one of nodes"}},
		{CPU1,
		 "{\"id\": 1, \"package\": 0, \"core\": 2, \"llc\": 0, \"node\": 0}",
		 {"cpus[1].core: 2", "at most 1"}},
		{CPU1,
		 "{\"id\": 1, \"package\": 1, \"core\": 1, \"llc\": 0, \"node\": 0}",
		 {"cpus[1].package", "same llc"}},
		{CPU1,
		 "{\"id\": 1, \"package\": 0, \"core\": 0, \"llc\": 1, \"node\": 0}",
		 {"cpus[1].llc", "same core"}},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const char *at = strstr(small, cases[i].old);
		struct axhost_facts f, untouched;
		struct ax_error err = {0};
		char text[4096];

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - small), small, cases[i].new,
			 at + strlen(cases[i].old));
		memset(&f, 0x5a, sizeof(f));
		untouched = f;
		assert_int_equal(axhost_load_text("host.json", text, strlen(text), &f, &err),
				 -EINVAL);
		assert_memory_equal(&f, &untouched, sizeof(f));
		assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
		assert_non_null(strstr(err.message, "host.json"));
		for (size_t w = 0; w < 3 && cases[i].words[w]; w++)
			if (!strstr(err.message, cases[i].words[w]))
				fail_msg("'%s' lacks '%s'", err.message, cases[i].words[w]);
	}
}

static void test_small_is_fine(void **state)
{
	struct ax_error err = {0};
	struct axhost_facts f;

	(void)state;
	assert_int_equal(axhost_load_text("host.json", small, strlen(small), &f, &err), 0);
	assert_true(f.vmx && !f.ept && f.nodes[0].allowed && f.cpus[1].allowed);
	assert_int_equal(f.cpus_online, 2);
	axhost_free(&f);
}

static void test_files(void **state)
{
	struct ax_error err = {0};
	struct axhost_facts f;

	(void)state;
	assert_int_equal(axhost_load("/nonexistent/host", &f, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/nonexistent/host"));
	assert_non_null(strstr(err.hint, "--save"));
	assert_int_equal(axhost_load("/", &f, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not a regular file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),    cmocka_unit_test(test_linux_numbering),
		cmocka_unit_test(test_odd_nodes),     cmocka_unit_test(test_exact),
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_small_is_fine), cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
