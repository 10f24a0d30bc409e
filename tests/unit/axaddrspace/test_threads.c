/*
 * Readers without locks against a writer that maps, unmaps, protects and locks: an answer is
 * always one of the two states, never a torn one, and the thread sanitizer has nothing to say.
 */
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define FIXED   0x10000ULL /* never changes */
#define MOVING  0x20000ULL /* the writer's */
#define ROUNDS  1000
#define READERS 3

struct shared {
	struct axas *as;
	atomic_bool stop;
	_Atomic uint64_t calls, broken;
};

/* `broken` counts answers that no state of the space could have given. */
static void *reader(void *arg)
{
	struct shared *s = arg;
	uint64_t calls = 0, broken = 0;

	while (!atomic_load(&s->stop)) {
		uint64_t value = 0, limit = 0;
		uint8_t buf[3 * AXAS_PAGE_SIZE];
		struct iovec iov[8];
		struct axas_region_info info[8];
		void *hva = NULL;
		int rc;

		broken += axas_read_u64(s->as, FIXED, &value) != 0 || value != 0x1122334455667788;
		/* Memory that comes and goes: zero while it is there. */
		memset(buf, 0, sizeof(buf));
		rc = axas_read(s->as, MOVING + PAGE / 2, buf, sizeof(buf));
		broken += rc != 0 && rc != -EFAULT;
		for (size_t i = 0; i < sizeof(buf); i += 512)
			broken += buf[i] != 0;
		rc = axas_translate(s->as, MOVING + PAGE, &hva, &limit);
		broken += rc == 0 && (limit > 7 * PAGE || limit % PAGE);
		/* A pointer is good memory even when its region is gone by now. */
		if (rc == 0)
			(void)__atomic_load_n((uint8_t *)hva, __ATOMIC_RELAXED);
		rc = axas_iovec(s->as, MOVING, 8 * PAGE, AXAS_READ, iov, 8);
		if (rc > 0) {
			uint64_t sum = 0;
			for (int i = 0; i < rc; i++)
				sum += iov[i].iov_len;
			broken += sum != 8 * PAGE;
		}
		broken += axas_regions(s->as, info, 8) < 1 || info[0].gpa != FIXED;
		broken += axas_total_bytes(s->as) < PAGE;
		calls += 3;
	}
	atomic_fetch_add(&s->calls, calls);
	atomic_fetch_add(&s->broken, broken);
	return NULL;
}

static void readers_see_whole_states_only(void **state)
{
	struct shared s = {0};
	struct axas_region_config config = region(FIXED, PAGE);
	struct axas_stats stats;
	pthread_t threads[READERS];

	(void)state;
	s.as = new_space(NULL);
	map_ok(s.as, &config);
	assert_int_equal(axas_write_u64(s.as, FIXED, 0x1122334455667788), 0);
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
	config = region(MOVING, 8 * PAGE);
	for (int i = 0; i < ROUNDS; i++) {
		config.backing = i & 1 ? AXAS_BACKING_ANON : AXAS_BACKING_THP;
		map_ok(s.as, &config);
		assert_int_equal(axas_protect(s.as, MOVING + PAGE, 2 * PAGE, AXAS_READ, NULL), 0);
		assert_int_equal(axas_protect(s.as, MOVING, 8 * PAGE, AXAS_RW, NULL), 0);
		if (i % 64 == 0) {
			assert_int_equal(axas_lock(s.as, MOVING, PAGE, NULL), 0);
			assert_int_equal(axas_unlock(s.as, MOVING, PAGE, NULL), 0);
		}
		assert_int_equal(axas_unmap(s.as, MOVING + 3 * PAGE, PAGE, NULL), 0);
		assert_int_equal(axas_unmap(s.as, MOVING, 3 * PAGE, NULL), 0);
		assert_int_equal(axas_unmap(s.as, MOVING + 4 * PAGE, 4 * PAGE, NULL), 0);
	}
	atomic_store(&s.stop, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.broken, 0);
	axas_get_stats(s.as, &stats);
	/* Exact, from however many threads: FIXED once, MOVING read and iovec once a loop, each a
	 * read or a fault; translate a fault or nothing. */
	assert_true(stats.reads + stats.faults >= s.calls);
	assert_true(stats.reads + stats.faults <= s.calls + s.calls / 3);
	axas_destroy(s.as);
}

struct counting {
	struct axas *as;
	uint64_t gpa;
	int failures;
};

static void *adder(void *arg)
{
	struct counting *c = arg;
	uint64_t v = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		c->failures += axas_read_u64(c->as, c->gpa, &v) != 0 || v != i;
		c->failures += axas_write_u64(c->as, c->gpa, i + 1) != 0;
		c->failures += axas_read_u8(c->as, 0, &(uint8_t){0}) != -EFAULT;
	}
	return NULL;
}

static void counts_are_exact_across_threads(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(FIXED, PAGE);
	struct counting c[READERS];
	pthread_t threads[READERS];
	struct axas_stats stats;

	(void)state;
	map_ok(as, &config);
	for (size_t i = 0; i < READERS; i++) {
		c[i] = (struct counting){.as = as, .gpa = FIXED + 64 * i};
		assert_int_equal(pthread_create(&threads[i], NULL, adder, &c[i]), 0);
	}
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(c[i].failures, 0);
	}
	axas_get_stats(as, &stats);
	assert_int_equal(stats.reads, READERS * 20000);
	assert_int_equal(stats.writes, READERS * 20000);
	assert_int_equal(stats.faults, READERS * 20000);
	axas_destroy(as);
}

/* What one thread writes whole, another never reads in parts. */
static void *flipper(void *arg)
{
	struct shared *s = arg;

	for (uint64_t v = 0; !atomic_load(&s->stop); v = ~v) {
		axas_write_u64(s->as, FIXED + 8, v);
		axas_write_u32(s->as, FIXED + 20, (uint32_t)v);
		axas_write_u16(s->as, FIXED + 30, (uint16_t)v);
	}
	return NULL;
}

static void aligned_integers_are_never_torn(void **state)
{
	struct shared s = {0};
	struct axas_region_config config = region(FIXED, PAGE);
	uint64_t u64 = 0, last = 0, broken = 0, changes = 0, end;
	uint32_t u32 = 0;
	uint16_t u16 = 0;
	pthread_t thread;

	(void)state;
	s.as = new_space(NULL);
	map_ok(s.as, &config);
	assert_int_equal(pthread_create(&thread, NULL, flipper, &s), 0);
	/* Changes are what a torn one shows in; a busy machine may not give many. */
	end = ax_clock_ns() + 2000000000;
	while (changes < 100000 && ax_clock_ns() < end) {
		axas_read_u64(s.as, FIXED + 8, &u64);
		axas_read_u32(s.as, FIXED + 20, &u32);
		axas_read_u16(s.as, FIXED + 30, &u16);
		changes += u64 != last;
		last = u64;
		broken += u64 != 0 && u64 != UINT64_MAX;
		broken += u32 != 0 && u32 != UINT32_MAX;
		broken += u16 != 0 && u16 != UINT16_MAX;
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(broken, 0);
	assert_true(changes > 0);
	axas_destroy(s.as);
}

struct mapping {
	struct axas *as;
	uint64_t gpa;
	int mapped, failures;
};

static void *mapper_thread(void *arg)
{
	struct mapping *m = arg;

	for (int i = 0; i < 300; i++) {
		struct axas_region_config config = {
			.gpa = m->gpa, .size_bytes = 2 * PAGE, .flags = AXAS_RW};
		int rc = axas_map(m->as, &config, NULL);
		m->mapped += rc == 0;
		m->failures += rc != 0 && rc != -EEXIST;
		rc = axas_unmap(m->as, m->gpa, 2 * PAGE, NULL);
		m->failures += rc != 0 && rc != -ENOENT;
	}
	return NULL;
}

/* Two threads contend for the same range, a third has its own. */
static void writers_take_turns(void **state)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct mapping m[READERS];
	pthread_t threads[READERS];

	(void)state;
	for (size_t i = 0; i < READERS; i++) {
		m[i] = (struct mapping){.as = as, .gpa = i < 2 ? FIXED : MOVING};
		assert_int_equal(pthread_create(&threads[i], NULL, mapper_thread, &m[i]), 0);
	}
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(m[i].failures, 0);
	}
	assert_int_equal(m[2].mapped, 300);
	assert_false(recorder.inconsistent);
	assert_int_equal(axas_clear(as, NULL), 0);
	assert_int_equal(recorder_live(&recorder), 0);
	axas_destroy(as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_states_only),
		cmocka_unit_test(counts_are_exact_across_threads),
		cmocka_unit_test(aligned_integers_are_never_torn),
		cmocka_unit_test(writers_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
