/*
 * Locking: what the kernel counts, what a partial range does, and the error that names the limit.
 */
#include "common.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define BASE 0x40000000ULL

/* Sanitizers replace mlock by nothing; then there is nothing to see here. */
static void skip_unless_locking_is_real(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long long before = status_bytes("VmLck");
	bool real;

	assert_true(page != MAP_FAILED);
	real = mlock(page, PAGE) == 0 && status_bytes("VmLck") > before;
	munmap(page, PAGE);
	if (!real) {
		print_message("skipped: mlock does nothing here (sanitizer or RLIMIT_MEMLOCK)\n");
		skip();
	}
}

static void lock_counts_and_unlock_takes_back(void **state)
{
	struct axas *as;
	struct axas_region_config config = region(BASE, AX_MIB);
	struct axas_region_info info;
	long long before;

	(void)state;
	skip_unless_locking_is_real();
	as = new_space(NULL);
	before = status_bytes("VmLck");
	map_ok(as, &config);
	/* Part of it, all of it. */
	assert_int_equal(axas_lock(as, BASE + PAGE, 2 * PAGE, NULL), 0);
	assert_int_equal(status_bytes("VmLck") - before, 2 * PAGE);
	assert_int_equal(resident_bytes(host_of(as, BASE), AX_MIB), 2 * PAGE);
	assert_int_equal(axas_regions(as, &info, 1), 1);
	assert_false(info.locked);
	assert_int_equal(axas_lock(as, BASE, AX_MIB, NULL), 0);
	assert_int_equal(status_bytes("VmLck") - before, AX_MIB);
	assert_int_equal(resident_bytes(host_of(as, BASE), AX_MIB), AX_MIB);
	assert_int_equal(axas_regions(as, &info, 1), 1);
	assert_true(info.locked);
	assert_int_equal(axas_unlock(as, BASE, PAGE, NULL), 0);
	assert_int_equal(axas_regions(as, &info, 1), 1);
	assert_false(info.locked);
	assert_int_equal(axas_unlock(as, BASE, AX_MIB, NULL), 0);
	assert_int_equal(status_bytes("VmLck") - before, 0);
	/* At map time; unmapping unlocks; a locked lazy region stays lazy. */
	config = region(BASE + AX_MIB, AX_MIB);
	config.lock = true;
	map_ok(as, &config);
	assert_int_equal(status_bytes("VmLck") - before, AX_MIB);
	assert_int_equal(resident_bytes(host_of(as, BASE + AX_MIB), AX_MIB), 0);
	assert_int_equal(axas_unmap(as, BASE + AX_MIB, AX_MIB / 2, NULL), 0);
	assert_int_equal(status_bytes("VmLck") - before, AX_MIB / 2);
	axas_destroy(as);
	assert_int_equal(status_bytes("VmLck") - before, 0);
}

/* In a child without privileges and with a limit of 64 KiB. Returns 0 or the failing line. */
static int lock_without_privilege(const void *arg)
{
	struct rlimit limit = {.rlim_cur = 64 * AX_KIB, .rlim_max = 64 * AX_KIB};
	struct axas_region_config config = region(BASE, AX_MIB);
	struct ax_error err = {0};
	struct axas *as = NULL;
	struct recorder recorder = {0};
	struct axas_mapper mapper = recorder_mapper(&recorder);

	(void)arg;
	CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	CHECK(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
	CHECK(axas_create(0, &mapper, &as, NULL) == 0);
	config.lock = true;
	CHECK(axas_map(as, &config, &err) < 0);
	CHECK(strstr(err.message, "RLIMIT_MEMLOCK is 64K"));
	CHECK(strstr(err.hint, "ulimit -l"));
	CHECK(axas_total_bytes(as) == 0 && recorder.calls == 0);
	config.lock = false;
	CHECK(axas_map(as, &config, NULL) == 0);
	CHECK(axas_lock(as, BASE, AX_MIB, &err) < 0);
	CHECK(ax_error_is_recoverable(&err));
	CHECK(strstr(err.message, "RLIMIT_MEMLOCK"));
	CHECK(axas_lock(as, BASE, 8 * PAGE, NULL) == 0);
	/* The first region fits, the second does not: the first is let go again. */
	config = region(BASE + AX_MIB, 4 * PAGE);
	CHECK(axas_map(as, &config, NULL) == 0);
	CHECK(axas_unlock(as, BASE, 8 * PAGE, NULL) == 0);
	CHECK(axas_lock(as, BASE + AX_MIB - 14 * PAGE, 18 * PAGE, NULL) < 0);
	CHECK(status_bytes("VmLck") == 0);
	/* One that was locked before stays so. */
	config = region(BASE + AX_MIB + 4 * PAGE, 14 * PAGE);
	CHECK(axas_map(as, &config, NULL) == 0);
	CHECK(axas_lock(as, BASE + AX_MIB, 4 * PAGE, NULL) == 0);
	CHECK(axas_lock(as, BASE + AX_MIB, 18 * PAGE, NULL) < 0);
	CHECK(status_bytes("VmLck") == 4 * PAGE);
	axas_destroy(as);
	return 0;
}

static void lock_over_the_limit_names_it(void **state)
{
	(void)state;
	skip_unless_locking_is_real();
	in_child(lock_without_privilege, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_counts_and_unlock_takes_back),
		cmocka_unit_test(lock_over_the_limit_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
