/*
 * Hosts at random, with what no kernel says, too: whatever is read of them is a host that a
 * recording can hold.
 */
#include "../test.h"
#include "same.h"
#include "tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU   "/sys/devices/system/cpu/"
#define NODE  "/sys/devices/system/node/"
#define POOLS "/hugepages/hugepages-"

/* One of them in a file of that name, often none. */
AX_PRINTF(4, 5)
static void put_any(const char *root, const char *const *texts, size_t count, const char *path, ...)
{
	char full[128];
	va_list args;

	va_start(args, path);
	vsnprintf(full, sizeof(full), path, args);
	va_end(args);
	if (rand() % 4)
		tree_line(root, full, texts[(size_t)rand() % count]);
}

static void make_any_host(const char *root)
{
	static const char *const numbers[] = {
		"0",   "1",          "2",          "9",
		"64",  "300",        "4294967295", "4294967296",
		"-1",  "nonsense",   "",           "9223372036854775807",
		"32K", "1000000000", "1024",       "18446744073709551615",
	};
	static const char *const lists[] = {
		"",    "0",   "0-7",     "1-2", "0-3,6-7", "7-0",       "0,0,0",    "0,3,5,7",
		"4-5", "1-7", "3-4,1-2", "0-",  "2",       "5,6,7,8,9", "0-65535x", "0,1000",
	};
	static const char *const nodes[] = {"", "0", "0-1", "1,1023", "0-400", "1-0"};
	static const char *const types[] = {"Data", "Instruction", "Unified", ""};
	static const char *const sizes[] = {"2048", "1048576", "64", "3", "0", "9007199254740992"};
	static const char *const distances[] = {"10 20", "20 10", "10", "9 9", "10 300", "10 255"};
	char line[256], path[64];

	put_any(root, lists, AX_ARRAY_LEN(lists), CPU "present");
	put_any(root, lists, AX_ARRAY_LEN(lists), CPU "online");
	put_any(root, lists, AX_ARRAY_LEN(lists), CPU "isolated");
	put_any(root, nodes, AX_ARRAY_LEN(nodes), NODE "online");
	snprintf(line, sizeof(line),
		 "processor : 0\nvendor_id : \xff\"\\\nmodel name\t: \x01%.40s\nmodel\t: %s\n"
		 "stepping\t: %s\ncpu family\t: %s\nflags : vmx ept_ad",
		 "a name of a processor that is far too long for it", numbers[rand() % 16],
		 numbers[rand() % 16], numbers[rand() % 16]);
	tree_line(root, "/proc/cpuinfo", line);
	snprintf(line, sizeof(line), "MemTotal: %s kB\nMemAvailable: %s kB", numbers[rand() % 16],
		 numbers[rand() % 16]);
	tree_line(root, "/proc/meminfo", line);
	for (int i = 0; i < 8; i++) {
		put_any(root, lists, AX_ARRAY_LEN(lists), CPU "cpu%d/topology/core_siblings_list",
			i);
		put_any(root, lists, AX_ARRAY_LEN(lists), CPU "cpu%d/topology/thread_siblings_list",
			i);
		for (int c = 0; c < 3; c++) {
			put_any(root, numbers, AX_ARRAY_LEN(numbers),
				CPU "cpu%d/cache/index%d/level", i, c);
			put_any(root, types, AX_ARRAY_LEN(types), CPU "cpu%d/cache/index%d/type", i,
				c);
			put_any(root, numbers, AX_ARRAY_LEN(numbers),
				CPU "cpu%d/cache/index%d/size", i, c);
			put_any(root, numbers, AX_ARRAY_LEN(numbers),
				CPU "cpu%d/cache/index%d/ways_of_associativity", i, c);
			put_any(root, lists, AX_ARRAY_LEN(lists),
				CPU "cpu%d/cache/index%d/shared_cpu_list", i, c);
		}
	}
	for (int n = 0; n < 2; n++) {
		put_any(root, lists, AX_ARRAY_LEN(lists), NODE "node%d/cpulist", n);
		put_any(root, distances, AX_ARRAY_LEN(distances), NODE "node%d/distance", n);
		snprintf(line, sizeof(line),
			 "Node %d MemTotal: %s kB\nNode %d MemFree: %s kB\n"
			 "Node %d Active(file): %s kB",
			 n, numbers[rand() % 16], n, numbers[rand() % 16], n, numbers[rand() % 16]);
		snprintf(path, sizeof(path), NODE "node%d/meminfo", n);
		tree_line(root, path, line);
	}
	for (int i = 0; i < 5; i++) {
		const char *size = sizes[rand() % 6];

		put_any(root, numbers, AX_ARRAY_LEN(numbers),
			"/sys/kernel/mm" POOLS "%skB/nr_hugepages", size);
		put_any(root, numbers, AX_ARRAY_LEN(numbers),
			"/sys/kernel/mm" POOLS "%skB/free_hugepages", size);
		put_any(root, numbers, AX_ARRAY_LEN(numbers),
			NODE "node%d" POOLS "%skB/nr_hugepages", i % 2, size);
		put_any(root, numbers, AX_ARRAY_LEN(numbers),
			NODE "node%d" POOLS "%skB/free_hugepages", i % 2, size);
	}
}

static bool any_online(const struct axhost_facts *facts)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].online)
			return true;
	return false;
}

/* Whatever a kernel tells can be recorded, and the recording is read back as what was told. */
static void test_any_host(void **state)
{
	uint32_t hosts = 0;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		char root[] = "/tmp/axvm-host-XXXXXX", *text, *again;
		struct axhost_facts f, back;
		struct ax_error err = {0};

		srand(round);
		tree_make(root);
		make_any_host(root);
		axhost_read(root, &f);
		tree_remove(root);
		if (any_online(&f)) { /* who else would read it? */
			hosts++;
			assert_int_equal(axhost_save(&f, &text, &err), 0);
			if (axhost_load_text("saved", text, strlen(text), &back, &err))
				fail_msg("round %u: %s\n%.3000s", round, err.message, text);
			assert_same_facts(&back, &f);
			assert_int_equal(axhost_save(&back, &again, &err), 0);
			assert_string_equal(text, again);
			free(text);
			free(again);
			axhost_free(&back);
		}
		axhost_free(&f);
	}
	assert_in_range(hosts, 20, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_host)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
