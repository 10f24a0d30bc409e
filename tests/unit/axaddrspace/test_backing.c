/*
 * Host memory behind regions: when it becomes resident and when it goes, transparent huge pages,
 * the huge-page pool with and without pages. What this host cannot show is skipped with the reason.
 */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE 0x40000000ULL

static const enum axas_backing small_page_backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};

static void lazy_memory_comes_on_touch(void **state)
{
	(void)state;
	for (size_t b = 0; b < AX_ARRAY_LEN(small_page_backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(BASE, AX_MIB);
		char *hva;

		config.backing = small_page_backings[b];
		map_ok(as, &config);
		hva = host_of(as, BASE);
		assert_int_equal(resident_bytes(hva, AX_MIB), 0);
		assert_int_equal(axas_write_u8(as, BASE + 10 * PAGE + 5, 1), 0);
		assert_int_equal(resident_bytes(hva, AX_MIB), PAGE);
		assert_int_equal(axas_fill(as, BASE + 100 * PAGE, 1, 10 * PAGE), 0);
		assert_int_equal(resident_bytes(hva, AX_MIB), 11 * PAGE);
		axas_destroy(as);
	}
}

static void populated_memory_is_there_at_once(void **state)
{
	(void)state;
	for (size_t b = 0; b < AX_ARRAY_LEN(small_page_backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(BASE, 4 * AX_MIB);

		config.backing = small_page_backings[b];
		config.populate = true;
		map_ok(as, &config);
		assert_int_equal(resident_bytes(host_of(as, BASE), 4 * AX_MIB), 4 * AX_MIB);
		assert_int_equal(smaps_bytes(host_of(as, BASE), "Rss"), 4 * AX_MIB);
		axas_destroy(as);
	}
}

/* Bytes that the guest memory files of this process hold, mapped or not. */
static long long memfd_bytes(void)
{
	long long sum = 0;

	for (int fd = 0; fd < 256; fd++) {
		char link[32], name[64] = "";
		struct stat st;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, name, sizeof(name) - 1) > 0 &&
		    strstr(name, "memfd:axvm-guest-memory") && fstat(fd, &st) == 0)
			sum += (long long)st.st_blocks * 512;
	}
	return sum;
}

static void unmap_gives_memory_back_at_once(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 16 * AX_MIB);
	long long before = status_bytes("RssShmem"), after;

	(void)state;
	config.populate = true;
	map_ok(as, &config);
	assert_true(status_bytes("RssShmem") >= before + (long long)(15 * AX_MIB));
	assert_int_equal(memfd_bytes(), 16 * AX_MIB);
	assert_int_equal(axas_unmap(as, BASE + 4 * AX_MIB, 8 * AX_MIB, NULL), 0);
	after = status_bytes("RssShmem");
	assert_true(after >= before + (long long)(7 * AX_MIB));
	assert_true(after <= before + (long long)(9 * AX_MIB));
	assert_int_equal(memfd_bytes(), 8 * AX_MIB);
	axas_destroy(as);
}

static void thp_is_aligned_and_hinted(void **state)
{
	struct axas *as = new_space(NULL);
	/* A gpa off the 2 MiB grid: the host address must be off it by the same amount. */
	struct axas_region_config config = region(BASE + 5 * PAGE, 16 * AX_MIB);
	char *hva;

	(void)state;
	config.backing = AXAS_BACKING_THP;
	map_ok(as, &config);
	hva = host_of(as, BASE + 5 * PAGE);
	assert_int_equal((uintptr_t)hva % (2 * AX_MIB), 5 * PAGE);
	/* The hint itself shows also where the kernel has huge pages for all or for none. */
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		assert_true(smaps_flag(hva, "hg"));
	assert_int_equal(axas_fill(as, BASE + 5 * PAGE, 1, 16 * AX_MIB), 0);
	if (smaps_bytes(hva, "THPeligible") <= 0) {
		axas_destroy(as);
		print_message("transparent huge pages are off on this host: only accepted\n");
		return;
	}
	assert_true(smaps_bytes(hva, "AnonHugePages") > 0);
	axas_destroy(as);
}

static long long pool(const char *size, const char *file)
{
	char path[128];
	FILE *f;
	long long n = -1;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%s/%s", size, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static void hugetlb_without_pool_is_a_clear_error(void **state)
{
	static const struct {
		enum axas_backing backing;
		const char *size, *hint;
		uint64_t page;
	} rows[] = {
		{AXAS_BACKING_HUGETLB_2M, "2048kB", "/proc/sys/vm/nr_hugepages", 2 * AX_MIB},
		{AXAS_BACKING_HUGETLB_1G, "1048576kB", "hugepages-1048576kB/nr_hugepages", AX_GIB},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct recorder recorder = {0};
		struct axas *as = new_space(&recorder);
		long long total = pool(rows[i].size, "nr_hugepages");
		uint64_t pages = (total < 0 ? 0 : (uint64_t)total) + 3;
		struct axas_region_config config = region(BASE, pages * rows[i].page);
		struct ax_error err = {0};
		char expected[64];

		config.backing = rows[i].backing;
		assert_int_equal(axas_map(as, &config, &err), -ENOMEM);
		assert_int_equal(err.kind, AX_ERROR_MEMORY_ALLOCATION);
		snprintf(expected, sizeof(expected), "needs %llu huge pages of %s",
			 (unsigned long long)pages, i ? "1G" : "2M");
		assert_non_null(strstr(err.message, expected));
		if (total >= 0) {
			snprintf(expected, sizeof(expected), "the pool has %lld", total);
			assert_non_null(strstr(err.message, expected));
			assert_non_null(strstr(err.hint, rows[i].hint));
			assert_non_null(strstr(err.hint, "echo "));
		}
		assert_int_equal(axas_total_bytes(as), 0);
		assert_int_equal(recorder.calls, 0);
		axas_destroy(as);
	}
}

static void hugetlb_with_pool_uses_it(void **state)
{
	struct recorder recorder = {0};
	struct axas *as;
	struct axas_region_config config = region(BASE, 4 * AX_MIB);
	long long free_before = pool("2048kB", "free_hugepages");
	long long reserved_before = pool("2048kB", "resv_hugepages");
	uint8_t *p;

	(void)state;
	if (free_before - reserved_before < 2) {
		print_message("skipped: fewer than two free 2 MiB pages in this host's pool\n");
		skip();
	}
	as = new_space(&recorder);
	config.backing = AXAS_BACKING_HUGETLB_2M;
	map_ok(as, &config);
	p = host_of(as, BASE);
	assert_int_equal((uintptr_t)p % (2 * AX_MIB), 0);
	assert_int_equal(smaps_bytes(p, "KernelPageSize"), 2 * AX_MIB);
	/* Promised at map time, so that a touch cannot raise SIGBUS. */
	assert_int_equal(pool("2048kB", "resv_hugepages"), reserved_before + 2);
	assert_int_equal(axas_fill(as, BASE, 7, 4 * AX_MIB), 0);
	/* A part of a huge page leaves the guest, the page stays until the rest has gone. */
	assert_int_equal(axas_unmap(as, BASE + PAGE, PAGE, NULL), 0);
	assert_int_equal(pool("2048kB", "free_hugepages"), free_before - 2);
	assert_int_equal(p[0], 7);
	assert_int_equal(axas_unmap(as, BASE, PAGE, NULL), 0);
	assert_int_equal(axas_unmap(as, BASE + 2 * PAGE, 2 * AX_MIB - 2 * PAGE, NULL), 0);
	assert_int_equal(pool("2048kB", "free_hugepages"), free_before - 1);
	p[0] = 1; /* a late write must not need the pool */
	assert_int_equal(p[2 * AX_MIB], 7);
	assert_int_equal(axas_clear(as, NULL), 0);
	assert_int_equal(pool("2048kB", "free_hugepages"), free_before);
	memset(p, 1, 4 * AX_MIB);
	config.populate = true;
	config.lock = true;
	map_ok(as, &config);
	assert_int_equal(pool("2048kB", "free_hugepages"), free_before - 2);
	axas_destroy(as);
	assert_int_equal(pool("2048kB", "free_hugepages"), free_before);
	assert_false(recorder.inconsistent);
}

static void hugetlb_1g_with_pool_uses_it(void **state)
{
	struct axas *as;
	struct axas_region_config config = region(AX_GIB, AX_GIB);

	(void)state;
	if (pool("1048576kB", "free_hugepages") - pool("1048576kB", "resv_hugepages") < 1) {
		print_message("skipped: no free 1 GiB page in this host's pool\n");
		skip();
	}
	as = new_space(NULL);
	config.backing = AXAS_BACKING_HUGETLB_1G;
	map_ok(as, &config);
	assert_int_equal(axas_write_u8(as, AX_GIB, 1), 0);
	assert_int_equal(smaps_bytes(host_of(as, AX_GIB), "KernelPageSize"), AX_GIB);
	axas_destroy(as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lazy_memory_comes_on_touch),
		cmocka_unit_test(populated_memory_is_there_at_once),
		cmocka_unit_test(unmap_gives_memory_back_at_once),
		cmocka_unit_test(thp_is_aligned_and_hinted),
		cmocka_unit_test(hugetlb_without_pool_is_a_clear_error),
		cmocka_unit_test(hugetlb_with_pool_uses_it),
		cmocka_unit_test(hugetlb_1g_with_pool_uses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
