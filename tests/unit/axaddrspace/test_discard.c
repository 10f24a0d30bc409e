/*
 * Pages given back: really gone from the host, zero afterwards, and never more than was asked for
 * nor memory of a kind that must stay.
 */
#include "common.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define BASE 0x40000000ULL

static uint64_t count_bytes(const uint8_t *p, uint64_t size_bytes, uint8_t value)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < size_bytes; i++)
		count += p[i] == value;
	return count;
}

static void pages_are_freed_and_come_back_as_zero(void **state)
{
	static const enum axas_backing backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};

	(void)state;
	for (size_t b = 0; b < AX_ARRAY_LEN(backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(BASE, 4 * AX_MIB);
		uint8_t *p;

		config.backing = backings[b];
		map_ok(as, &config);
		p = host_of(as, BASE);
		assert_int_equal(axas_fill(as, BASE, 7, 4 * AX_MIB), 0);
		assert_int_equal(resident_bytes(p, 4 * AX_MIB), 4 * AX_MIB);
		assert_int_equal(axas_discard(as, BASE + 2 * PAGE, AX_MIB), AX_MIB);
		assert_int_equal(resident_bytes(p, 4 * AX_MIB), 3 * AX_MIB);
		assert_int_equal(count_bytes(p, 2 * PAGE, 7), 2 * PAGE);
		assert_int_equal(count_bytes(p + 2 * PAGE + AX_MIB, AX_MIB, 7), AX_MIB);
		assert_int_equal(count_bytes(p + 2 * PAGE, AX_MIB, 0), AX_MIB);
		memset(p + 2 * PAGE, 9, AX_MIB);
		assert_int_equal(count_bytes(p, 4 * AX_MIB, 9), AX_MIB);
		/* Twice is as once, and by host address as by the guest's. */
		assert_int_equal(axas_discard_host(as, p + 2 * PAGE, AX_MIB), AX_MIB);
		assert_int_equal(axas_discard_host(as, p + 2 * PAGE, AX_MIB), AX_MIB);
		assert_int_equal(resident_bytes(p, 4 * AX_MIB), 3 * AX_MIB);
		axas_destroy(as);
	}
}

/* What is no whole page, no memory, or only partly memory. */
static void odd_ranges_touch_nothing_else(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config low = region(BASE, 4 * PAGE);
	struct axas_region_config next = region(BASE + 4 * PAGE, 4 * PAGE);
	struct axas_region_config high = region(BASE + 16 * PAGE, 4 * PAGE);
	uint8_t *p;

	(void)state;
	map_ok(as, &low);
	map_ok(as, &next);
	map_ok(as, &high);
	assert_int_equal(axas_fill(as, BASE, 7, 8 * PAGE), 0);
	assert_int_equal(axas_fill(as, BASE + 16 * PAGE, 7, 4 * PAGE), 0);
	assert_int_equal(axas_discard(as, BASE, 0), 0);
	assert_int_equal(axas_discard(as, BASE + 1, PAGE), 0);
	assert_int_equal(axas_discard(as, BASE, PAGE - 1), 0);
	assert_int_equal(axas_discard(as, 0, BASE), 0);
	assert_int_equal(axas_discard(as, BASE + 8 * PAGE, 8 * PAGE), 0);
	assert_int_equal(axas_discard(as, UINT64_MAX - PAGE + 1, PAGE), 0);
	assert_int_equal(axas_discard(as, BASE, UINT64_MAX), 0);
	assert_int_equal(axas_discard(as, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(axas_discard_host(as, host_of(as, BASE), UINT64_MAX), 0);
	assert_int_equal(axas_discard_host(as, &low, sizeof(low)), 0);
	p = host_of(as, BASE);
	assert_int_equal(count_bytes(p, 4 * PAGE, 7), 4 * PAGE);
	/* Unaligned ends: whole pages inside. */
	assert_int_equal(axas_discard(as, BASE + PAGE - 1, PAGE + 2), PAGE);
	assert_int_equal(count_bytes(p, PAGE, 7), PAGE);
	assert_int_equal(count_bytes(p + PAGE, PAGE, 0), PAGE);
	assert_int_equal(count_bytes(p + 2 * PAGE, 2 * PAGE, 7), 2 * PAGE);
	/* Over two regions and a hole into a third. */
	assert_int_equal(axas_discard(as, BASE + 2 * PAGE, 15 * PAGE), 7 * PAGE);
	assert_int_equal(count_bytes(host_of(as, BASE + 4 * PAGE), 4 * PAGE, 0), 4 * PAGE);
	assert_int_equal(count_bytes(host_of(as, BASE + 16 * PAGE), PAGE, 0), PAGE);
	assert_int_equal(count_bytes(host_of(as, BASE + 17 * PAGE), 3 * PAGE, 7), 3 * PAGE);
	/* What is unmapped is nobody's, also by the address it had. */
	assert_int_equal(axas_unmap(as, BASE, PAGE, NULL), 0);
	p[0] = 5;
	assert_int_equal(axas_discard(as, BASE, PAGE), 0);
	assert_int_equal(axas_discard_host(as, p, PAGE), 0);
	assert_int_equal(p[0], 5);
	axas_destroy(as);
}

static void what_must_stay_stays(void **state)
{
	int fd = temp_file(4 * PAGE);
	struct axas *as = new_space(NULL);
	struct axas_region_config file = region(BASE, 4 * PAGE);
	struct axas_region_config rom = region(BASE + AX_MIB, 4 * PAGE);
	uint8_t byte = 0;

	(void)state;
	file.type = AXAS_MAP_RESERVED;
	file.backing = AXAS_BACKING_FILE;
	file.fd = fd;
	map_ok(as, &file);
	map_ok(as, &rom);
	assert_int_equal(axas_fill(as, rom.gpa, 7, 4 * PAGE), 0);
	assert_int_equal(axas_protect(as, rom.gpa, 2 * PAGE, AXAS_READ, NULL), 0);
	assert_int_equal(axas_discard(as, BASE, 4 * PAGE), 0);
	assert_int_equal(pread(fd, &byte, 1, PAGE + 1), 1);
	assert_int_equal(byte, temp_file_byte(PAGE + 1));
	assert_int_equal(axas_discard(as, rom.gpa, 4 * PAGE), 2 * PAGE);
	assert_int_equal(count_bytes(host_of(as, rom.gpa), 2 * PAGE, 7), 2 * PAGE);
	assert_int_equal(axas_fill(as, rom.gpa + 2 * PAGE, 8, 2 * PAGE), 0);
	if (axas_lock(as, rom.gpa + 2 * PAGE, 2 * PAGE, NULL) == 0) {
		assert_int_equal(axas_discard(as, rom.gpa, 4 * PAGE), 0);
		assert_int_equal(count_bytes(host_of(as, rom.gpa + 2 * PAGE), 2 * PAGE, 8),
				 2 * PAGE);
		assert_int_equal(axas_unlock(as, rom.gpa + 2 * PAGE, 2 * PAGE, NULL), 0);
	}
	assert_int_equal(axas_discard(as, rom.gpa, 4 * PAGE), 2 * PAGE);
	axas_destroy(as);
	close(fd);
}

static void huge_pages_go_whole(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 4 * AX_MIB);
	uint8_t *p;

	(void)state;
	config.backing = AXAS_BACKING_HUGETLB_2M;
	if (axas_map(as, &config, NULL) < 0) {
		axas_destroy(as);
		print_message("skipped: fewer than two free 2 MiB pages in this host's pool\n");
		skip();
	}
	p = host_of(as, BASE);
	assert_int_equal(axas_fill(as, BASE, 7, 4 * AX_MIB), 0);
	assert_int_equal(axas_discard(as, BASE, 2 * AX_MIB - PAGE), 0);
	assert_int_equal(axas_discard(as, BASE + PAGE, 2 * AX_MIB), 0);
	assert_int_equal(count_bytes(p, 4 * AX_MIB, 7), 4 * AX_MIB);
	assert_int_equal(axas_discard(as, BASE + PAGE, 4 * AX_MIB), 2 * AX_MIB);
	assert_int_equal(count_bytes(p, 2 * AX_MIB, 7), 2 * AX_MIB);
	assert_int_equal(count_bytes(p + 2 * AX_MIB, 2 * AX_MIB, 0), 2 * AX_MIB);
	axas_destroy(as);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct shared {
	struct axas *as;
	atomic_bool stop;
};

static void *discard_always(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop))
		axas_discard(s->as, BASE, 16 * PAGE);
	return NULL;
}

/* Maps that come and go under it, and a reader of a pointer whose page is taken again and again. */
static void any_thread_at_any_time(void **state)
{
	struct shared shared = {.as = new_space(NULL)};
	struct axas_region_config fixed = region(BASE, 4 * PAGE);
	struct axas_region_config moving = region(BASE + 8 * PAGE, 8 * PAGE);
	struct axas_region_config other = region(BASE + 64 * PAGE, 8 * PAGE);
	pthread_t thread;
	uint8_t *p;

	(void)state;
	map_ok(shared.as, &fixed);
	map_ok(shared.as, &other);
	assert_int_equal(axas_fill(shared.as, other.gpa, 3, other.size_bytes), 0);
	p = host_of(shared.as, BASE);
	assert_int_equal(pthread_create(&thread, NULL, discard_always, &shared), 0);
	for (unsigned i = 0; i < 500; i++) {
		const uint8_t old = __atomic_exchange_n(p, 1, __ATOMIC_RELAXED);

		assert_true(old <= 1);
		map_ok(shared.as, &moving);
		assert_int_equal(axas_fill(shared.as, moving.gpa, 2, moving.size_bytes), 0);
		assert_int_equal(axas_unmap(shared.as, moving.gpa, moving.size_bytes, NULL), 0);
	}
	atomic_store(&shared.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(count_bytes(host_of(shared.as, other.gpa), 8 * PAGE, 3), 8 * PAGE);
	axas_destroy(shared.as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_freed_and_come_back_as_zero),
		cmocka_unit_test(odd_ranges_touch_nothing_else),
		cmocka_unit_test(what_must_stay_stays),
		cmocka_unit_test(huge_pages_go_whole),
		cmocka_unit_test(any_thread_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
