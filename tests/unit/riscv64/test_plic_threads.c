/*
 * The PLIC under threads: devices pulse their lines while harts claim and complete. No interrupt
 * may be lost, and none be served twice at a time.
 */
#include "helpers.h"

#include <pthread.h>
#include <sched.h>

#define HARTS  3u
#define LINES  4u
#define PULSES 2000u

static struct rv64_plic *plic;
static _Atomic bool output_level[HARTS];
static _Atomic unsigned asked[LINES + 1]; /* pulses a device has made */
static _Atomic unsigned seen[LINES + 1];  /* up to which of them a hart has looked */
static _Atomic unsigned serving[LINES + 1];
static _Atomic bool over, twice;

static void output(void *ctx, uint32_t context, bool level)
{
	(void)ctx;
	atomic_store(&output_level[context], level);
}

/* As a device does: the work first, then the interrupt. */
static void *device(void *arg)
{
	const unsigned line = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < PULSES; i++) {
		atomic_fetch_add(&asked[line], 1);
		rv64_plic_set_level(plic, line, true);
		rv64_plic_set_level(plic, line, false);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* As a driver does: claim, look for work, complete. */
static void *hart(void *arg)
{
	const unsigned context = (unsigned)(uintptr_t)arg;
	const uint64_t claim = 0x200004 + 0x1000 * context;
	uint32_t line = 0;

	while (!atomic_load(&over)) {
		if (!atomic_load(&output_level[context])) {
			sched_yield();
			continue;
		}
		rv64_plic_read(plic, claim, &line);
		if (!line)
			continue;
		if (atomic_fetch_add(&serving[line], 1))
			atomic_store(&twice, true);
		atomic_store(&seen[line], atomic_load(&asked[line]));
		atomic_fetch_sub(&serving[line], 1);
		rv64_plic_write(plic, claim, line);
	}
	return NULL;
}

static bool all_seen(void)
{
	for (unsigned line = 1; line <= LINES; line++)
		if (atomic_load(&seen[line]) != PULSES)
			return false;
	return true;
}

static void none_is_lost(void **state)
{
	pthread_t devices[LINES], harts[HARTS];
	(void)state;

	assert_int_equal(rv64_plic_create(HARTS, output, NULL, &plic, NULL), 0);
	for (unsigned line = 1; line <= LINES; line++)
		rv64_plic_write(plic, 4 * line, line);
	for (unsigned i = 0; i < HARTS; i++)
		rv64_plic_write(plic, 0x2000 + 0x80 * i, 0x1e);
	for (unsigned i = 0; i < HARTS; i++)
		assert_int_equal(pthread_create(&harts[i], NULL, hart, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < LINES; i++)
		assert_int_equal(
			pthread_create(&devices[i], NULL, device, (void *)(uintptr_t)(i + 1)), 0);
	for (unsigned i = 0; i < LINES; i++)
		pthread_join(devices[i], NULL);
	const uint64_t until = ax_clock_ns() + 20000000000ULL;
	while (!all_seen() && ax_clock_ns() < until)
		sched_yield();
	const bool good = all_seen();
	atomic_store(&over, true);
	for (unsigned i = 0; i < HARTS; i++)
		pthread_join(harts[i], NULL);
	assert_true(good);
	assert_false(atomic_load(&twice));
	rv64_plic_destroy(plic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(none_is_lost)};
	return cmocka_run_group_tests_name("riscv64-plic-threads", tests, NULL, NULL);
}
