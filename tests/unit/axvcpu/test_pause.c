/*
 * Pause, resume, kick and injection: that a paused vCPU stands still with its last exit completed,
 * that its registers are reached on its thread, and that what was injected meanwhile comes later.
 */
#include "fake.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static struct axvcpu_stats stats_of(const struct axvcpu *vcpu)
{
	struct axvcpu_stats stats;

	axvcpu_get_stats(vcpu, &stats);
	return stats;
}

static void test_pause_resume(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_MMIO_READ}};
	struct fake fake = {.exits = exits, .exit_count = 1, .repeat = true};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);
	uint64_t value = 0;

	(void)state;
	wait_until(atomic_load(&fake.runs) > 0);
	for (int i = 0; i < 50; i++) {
		uint32_t completes = atomic_load(&fake.completes);
		assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
		assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
		assert_int_equal(axvcpu_state(vcpu), AXVCPU_BLOCKED);
		/* At most once a pause: not when the last thing was the kick. */
		assert_true(atomic_load(&fake.completes) - completes <= 1);
		uint32_t runs = atomic_load(&fake.runs);
		assert_int_equal(axvcpu_set_gpr(vcpu, 1, 40 + (uint64_t)i, NULL), 0);
		assert_true(pthread_equal(fake.register_thread, fake.run_thread));
		assert_int_equal(axvcpu_get_gpr(vcpu, 1, &value, NULL), 0);
		assert_int_equal(value, 40 + i);
		assert_int_equal(axvcpu_set_entry(vcpu, 3, NULL), 0);
		assert_int_equal(axvcpu_set_return_value(vcpu, 3, NULL), 0);
		assert_int_equal(atomic_load(&fake.runs), runs); /* it stands still */
		assert_int_equal(axvcpu_state(vcpu), AXVCPU_BLOCKED);
		assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
		assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
		wait_until(atomic_load(&fake.runs) > runs);
	}
	struct axvcpu_stats before, after;
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	before = stats_of(vcpu);
	usleep(20000);
	assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
	wait_until(stats_of(vcpu).runs > before.runs);
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	after = stats_of(vcpu);
	assert_int_equal(sum_by_kind(&after), after.exits);
	axvcpu_destroy(vcpu); /* while paused */
}

static void test_parked_time_is_nobodys(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);

	(void)state;
	wait_until(atomic_load(&fake.blocking));
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	uint64_t start = ax_clock_ns();
	struct axvcpu_stats before = stats_of(vcpu);
	usleep(100000);
	struct axvcpu_stats after = stats_of(vcpu);
	assert_int_equal(after.user_ns, before.user_ns);
	assert_int_equal(after.guest_ns, before.guest_ns);
	assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
	wait_until(stats_of(vcpu).runs > before.runs);
	uint64_t passed = ax_clock_ns() - start;
	assert_true(stats_of(vcpu).user_ns - before.user_ns <= passed - 100000000);
	axvcpu_destroy(vcpu);
}

static void test_start_paused(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, true);

	(void)state;
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_BLOCKED);
	assert_int_equal(fake.runs, 0);
	assert_int_equal(fake.completes, 0); /* there is nothing to complete */
	assert_int_equal(stats_of(vcpu).first_entry_ns, 0);
	assert_int_equal(axvcpu_set_entry(vcpu, 0x77, NULL), 0);
	assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
	wait_until(atomic_load(&fake.blocking));
	axvcpu_destroy(vcpu);

	struct fake other = {0};
	vcpu = fake_started(&other, &owner, true);
	axvcpu_request_stop(vcpu); /* stop while paused works at once */
	axvcpu_join(vcpu);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	assert_int_equal(other.runs, 0);
	axvcpu_destroy(vcpu);
}

static void test_halted_is_blocked(void **state)
{
	struct fake fake = {.say_halted = true};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);
	const struct axvcpu_irq irq = {.vector = 33};

	(void)state;
	wait_until(atomic_load(&fake.blocking));
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_BLOCKED);
	/* Halted is not paused: registers are out of reach. */
	struct ax_error err = {0};
	assert_int_equal(axvcpu_set_entry(vcpu, 1, &err), -EBADFD);
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0);
	wait_until(atomic_load(&fake.delivered) == 1);
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0);
	usleep(2000);
	assert_int_equal(fake.delivered, 1); /* later */
	assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
	wait_until(atomic_load(&fake.delivered) == 2);
	assert_int_equal(stats_of(vcpu).injected, 2);
	axvcpu_destroy(vcpu);
}

static void test_inject_before_start(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, &owner, 0);
	const struct axvcpu_irq irq = {.vector = 33};

	(void)state;
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), -EBADFD);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0);
	assert_int_equal(fake.delivered, 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	wait_until(atomic_load(&fake.delivered) == 1);
	axvcpu_destroy(vcpu);
}

static void test_kick(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t runs = atomic_load(&fake.runs);
		axvcpu_kick(vcpu);
		wait_until(atomic_load(&fake.runs) > runs);
	}
	assert_int_equal(owner.total, 0); /* kicks are not reported, but counted */
	assert_true(stats_of(vcpu).kicks >= 200);
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	struct axvcpu_stats stats = stats_of(vcpu);
	assert_true(stats.by_kind[AXVCPU_EXIT_EXTERNAL_INTERRUPT] >= 200);
	assert_int_equal(stats.by_kind[AXVCPU_EXIT_EXTERNAL_INTERRUPT], stats.exits);
	axvcpu_destroy(vcpu);
}

static void test_failing_complete(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_MMIO_READ}};
	struct fake fake = {
		.exits = exits, .exit_count = 1, .repeat = true, .failing = FAKE_COMPLETE};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);
	int rc;

	(void)state;
	/* A pause that comes right after a kick has nothing to complete. */
	do {
		uint32_t runs = atomic_load(&fake.runs);
		rc = axvcpu_pause(vcpu, NULL);
		if (rc == 0) {
			assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
			wait_until(atomic_load(&fake.runs) > runs + 3);
		}
	} while (rc == 0);
	assert_int_equal(rc, -EBADFD);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_INVALID);
	assert_int_equal(owner.seen[AXVCPU_EXIT_INTERNAL_ERROR], 1);
	axvcpu_destroy(vcpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause_resume),
		cmocka_unit_test(test_parked_time_is_nobodys),
		cmocka_unit_test(test_start_paused),
		cmocka_unit_test(test_halted_is_blocked),
		cmocka_unit_test(test_inject_before_start),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_failing_complete),
	};

	return cmocka_run_group_tests_name("axvcpu-pause", tests, NULL, NULL);
}
