/*
 * Memory on a planned node, as far as a machine with one node shows it: policy and refusals.
 * That pages really lie where they are bound is seen with two nodes, in tests/place.
 */
#include "common.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BASE  0x40000000ULL
#define BOUND (MPOL_BIND | MPOL_F_STATIC_NODES) /* and not MPOL_F_NUMA_BALANCING */

static const enum axas_backing small_page_backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};

static void populated_memory_is_counted_on_its_node(void **state)
{
	(void)state;
	skip_without_numa();
	for (size_t b = 0; b < AX_ARRAY_LEN(small_page_backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = on_node(0, BASE, 4 * AX_MIB);
		struct axas_region_info info;
		struct axas_placement found;
		int node = -1;

		config.backing = small_page_backings[b];
		config.populate = true;
		map_ok(as, &config);
		assert_int_equal(axas_regions(as, &info, 1), 1);
		assert_true(info.bound);
		assert_int_equal(info.node, 0);
		assert_int_equal(policy_at(info.hva, &node), BOUND);
		assert_int_equal(node, 0);
		found = placement(as, BASE, 4 * AX_MIB, 0);
		assert_int_equal(found.mapped_bytes, 4 * AX_MIB);
		assert_int_equal(found.looked_bytes, 4 * AX_MIB);
		assert_int_equal(found.on_node[0], 4 * AX_MIB);
		assert_int_equal(found.absent_bytes, 0);
		assert_int_equal(found.astray_bytes, 0);
		axas_destroy(as);
	}
}

static void a_zeroed_config_means_no_node(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, AX_MIB);
	struct axas_region_info info;
	int node = 0;

	(void)state;
	skip_without_numa();
	config.node = 63; /* says nothing without `bind` */
	map_ok(as, &config);
	assert_int_equal(axas_regions(as, &info, 1), 1);
	assert_false(info.bound);
	assert_int_equal(policy_at(info.hva, &node), MPOL_DEFAULT);
	axas_destroy(as);
}

static void refused(const struct axas_region_config *config, int rc, const char *const *words)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct ax_error err = {0};
	size_t before = count_mappings();

	assert_int_equal(axas_map(as, config, &err), rc);
	for (; *words; words++) {
		if (!strstr(err.message, *words) && !strstr(err.hint, *words))
			fail_msg("no \"%s\" in: %s (%s)", *words, err.message, err.hint);
	}
	assert_int_equal(axas_total_bytes(as), 0);
	assert_int_equal(recorder.calls, 0);
	assert_in_range(count_mappings(), 1, before);
	axas_destroy(as);
}

static void a_node_that_does_not_exist_is_refused(void **state)
{
	static const uint32_t nodes[] = {63, 1023, 1024, UINT32_MAX};

	(void)state;
	skip_without_numa();
	for (size_t i = 0; i < AX_ARRAY_LEN(nodes); i++) {
		struct axas_region_config config = on_node(nodes[i], BASE, AX_MIB);
		char name[32];

		snprintf(name, sizeof(name), "node %u:", nodes[i]);
		refused(&config, -EINVAL,
			(const char *[]){"\"test\"", name, "no such node", "Nodes with memory: 0",
					 NULL});
	}
}

static void a_file_cannot_be_bound(void **state)
{
	struct axas_region_config config = on_node(0, BASE, 4 * PAGE);
	int fd = temp_file(4 * PAGE);

	(void)state;
	config.backing = AXAS_BACKING_FILE;
	config.fd = fd;
	refused(&config, -ENOTSUP, (const char *[]){"node 0", "file", "tmpfs", NULL});
	close(fd);
}

static uint64_t node_0_memory(void)
{
	FILE *file = fopen("/sys/devices/system/node/node0/meminfo", "re");
	unsigned long long kib = 0;

	if (file && fscanf(file, "Node 0 MemTotal: %llu", &kib) != 1)
		kib = 0;
	if (file)
		fclose(file);
	return kib * AX_KIB;
}

static int map_too_much(const void *arg)
{
	const uint64_t total = ax_align_up(node_0_memory(), 2 * AX_MIB);
	struct axas_region_config config = on_node(0, BASE, total + AX_GIB);
	struct rlimit limit;
	struct ax_error err = {0};
	struct axas *as = NULL;

	(void)arg;
	CHECK(total > 0);
	/* Should nothing refuse it, this does, and not the OOM killer. */
	limit.rlim_cur = limit.rlim_max = (rlim_t)status_bytes("VmSize") + total - 64 * AX_MIB;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(axas_create(0, NULL, &as, NULL) == 0);
	/* More than the node has, even if it comes page by page. */
	CHECK(axas_map(as, &config, &err) == -ENOMEM);
	CHECK(strstr(err.message, "host node 0") && strstr(err.message, "pages of 4K"));
	CHECK(err.kind == AX_ERROR_MEMORY_ALLOCATION && *err.hint);
	/* As much as it has in all, now: the kernel alone needs some. */
	config.populate = true;
	config.size_bytes = ax_align_down(total, 2 * AX_MIB);
	CHECK(axas_map(as, &config, &err) == -ENOMEM);
	CHECK(strstr(err.message, "host node 0") && strstr(err.message, "available"));
	CHECK(axas_total_bytes(as) == 0);
	axas_destroy(as);
	return 0;
}

static void more_than_the_node_has_is_refused(void **state)
{
	(void)state;
	skip_without_numa();
	in_child(map_too_much, NULL);
}

static long long node_0_pool(const char *size, const char *file)
{
	char path[128];
	long long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node0/hugepages/hugepages-%s/%s",
		 size, file);
	f = fopen(path, "re");
	if (f && fscanf(f, "%lld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static void a_pool_of_the_node_that_is_too_small_is_refused(void **state)
{
	static const struct {
		enum axas_backing backing;
		const char *size, *name;
		uint64_t page;
	} rows[] = {
		{AXAS_BACKING_HUGETLB_2M, "2048kB", "2M", 2 * AX_MIB},
		{AXAS_BACKING_HUGETLB_1G, "1048576kB", "1G", AX_GIB},
	};

	(void)state;
	skip_without_numa();
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		long long left = node_0_pool(rows[i].size, "free_hugepages");
		long long total = node_0_pool(rows[i].size, "nr_hugepages");
		uint64_t pages = (uint64_t)left + 3;
		struct axas_region_config config = on_node(0, BASE, pages * rows[i].page);
		char needs[64], has[64], echo[64], path[64];

		if (left < 0) {
			print_message("no pool of %s here\n", rows[i].name);
			continue;
		}
		config.backing = rows[i].backing;
		snprintf(needs, sizeof(needs), "needs %llu huge pages of %s on host node 0",
			 (unsigned long long)pages, rows[i].name);
		snprintf(has, sizeof(has), "%lld free of %lld", left, total);
		snprintf(echo, sizeof(echo), "echo %lld >", total + 3);
		snprintf(path, sizeof(path), "node0/hugepages/hugepages-%s/nr_hugepages",
			 rows[i].size);
		refused(&config, -ENOMEM, (const char *[]){needs, has, echo, path, NULL});
	}
}

static void pages_given_back_come_again_by_the_same_policy(void **state)
{
	(void)state;
	skip_without_numa();
	for (size_t b = 0; b < AX_ARRAY_LEN(small_page_backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = on_node(0, BASE, 4 * AX_MIB);
		struct axas_placement found;
		char *hva;
		int node = -1;

		config.backing = small_page_backings[b];
		config.populate = true;
		map_ok(as, &config);
		hva = host_of(as, BASE);
		assert_int_equal(axas_discard(as, BASE + AX_MIB, AX_MIB), AX_MIB);
		found = placement(as, BASE, 4 * AX_MIB, 0);
		assert_int_equal(found.absent_bytes, AX_MIB);
		assert_int_equal(found.on_node[0], 3 * AX_MIB);
		/* As a guest touches it, and as axas_lock brings it. */
		assert_int_equal(axas_fill(as, BASE + AX_MIB, 1, AX_MIB / 2), 0);
		assert_int_equal(policy_at(hva + AX_MIB, &node), BOUND);
		assert_int_equal(node, 0);
		found = placement(as, BASE, 4 * AX_MIB, 0);
		assert_int_equal(found.on_node[0], 3 * AX_MIB + AX_MIB / 2);
		/* What the guest lost for good is not the node's concern any more. */
		assert_int_equal(axas_unmap(as, BASE + 2 * AX_MIB, 2 * AX_MIB, NULL), 0);
		assert_int_equal(policy_at(hva + 2 * AX_MIB, &node), MPOL_DEFAULT);
		assert_int_equal(policy_at(hva + AX_MIB, &node), BOUND);
		axas_destroy(as);
	}
}

static int ask_when_forbidden(const void *arg)
{
	const struct refusal no_move_pages = {.nr = SYS_move_pages, .errnum = EPERM};
	const struct refusal no_mbind = {.nr = SYS_mbind, .errnum = EPERM};
	struct axas_region_config config = region(BASE, AX_MIB);
	struct axas_placement found = {.looked_bytes = 77};
	struct ax_error err = {0};
	struct axas *as = NULL;

	(void)arg;
	CHECK(axas_create(0, NULL, &as, NULL) == 0);
	CHECK(axas_map(as, &config, NULL) == 0);
	CHECK(axas_can_bind());
	if (!refuse(&no_move_pages) || !refuse(&no_mbind))
		return SKIPPED;
	CHECK(axas_placement(as, BASE, AX_MIB, 0, &found, &err) == -EPERM);
	CHECK(!axas_can_bind());
	CHECK(found.looked_bytes == 77 && err.kind == AX_ERROR_UNSUPPORTED);
	config = on_node(0, BASE + AX_MIB, AX_MIB);
	CHECK(axas_map(as, &config, &err) == -EPERM);
	CHECK(strstr(err.message, "node 0") && strstr(err.hint, "filter"));
	CHECK(axas_total_bytes(as) == AX_MIB);
	axas_destroy(as);
	return 0;
}

static void a_host_that_forbids_it_is_told(void **state)
{
	(void)state;
	in_child(ask_when_forbidden, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(populated_memory_is_counted_on_its_node),
		cmocka_unit_test(a_zeroed_config_means_no_node),
		cmocka_unit_test(a_node_that_does_not_exist_is_refused),
		cmocka_unit_test(a_file_cannot_be_bound),
		cmocka_unit_test(more_than_the_node_has_is_refused),
		cmocka_unit_test(a_pool_of_the_node_that_is_too_small_is_refused),
		cmocka_unit_test(pages_given_back_come_again_by_the_same_policy),
		cmocka_unit_test(a_host_that_forbids_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
