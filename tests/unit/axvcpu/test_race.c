/*
 * Several threads pause, resume, kick, call, inject and read one vCPU at random while it runs;
 * then it is stopped. Of use under ThreadSanitizer above all; without it, a lost kick or wake-up
 * shows as a hang. AXVM_TEST_ROUNDS lengthens it.
 */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MEDDLERS 4

struct arena {
	struct axvcpu *vcpu;
	_Atomic bool bad;
	int steps;
	unsigned seed;
};

static int no_work(struct axvcpu *vcpu, void *arg, struct ax_error *err)
{
	(void)vcpu;
	(void)arg;
	(void)err;
	return 0;
}

/* 0, or one of the answers a race may give. */
static bool fine(int rc)
{
	return rc == 0 || rc == -EBADFD || rc == -ECANCELED;
}

static void *meddle(void *arg)
{
	struct arena *arena = arg;
	struct axvcpu *vcpu = arena->vcpu;
	unsigned seed = arena->seed;
	const struct axvcpu_irq irq = {.vector = 40};
	struct axvcpu_stats stats;
	uint64_t value;
	char text[64];

	for (int i = 0; i < arena->steps; i++) {
		int rc = 0;

		switch (rand_r(&seed) % 10) {
		case 0:
		case 1:
			rc = axvcpu_pause(vcpu, NULL);
			break;
		case 2:
			axvcpu_request_pause(vcpu);
			rc = axvcpu_resume(vcpu, NULL);
			break;
		case 3:
			rc = axvcpu_resume(vcpu, NULL);
			break;
		case 4:
			axvcpu_kick(vcpu);
			break;
		case 5:
			rc = axvcpu_call(vcpu, no_work, NULL, NULL);
			break;
		case 6:
			rc = axvcpu_inject(vcpu, &irq, NULL);
			break;
		case 7:
			rc = axvcpu_get_gpr(vcpu, 0, &value, NULL);
			break;
		case 8:
			axvcpu_dump(vcpu, text, sizeof(text));
			break;
		default:
			axvcpu_get_stats(vcpu, &stats);
			(void)axvcpu_state(vcpu);
			(void)axvcpu_tid(vcpu);
		}
		if (!fine(rc))
			atomic_store(&arena->bad, true);
	}
	return NULL;
}

static void play(unsigned seed, bool exits_often)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_MMIO_READ},
						   {.kind = AXVCPU_EXIT_NOTHING}};
	struct fake fake = {.exits = exits, .exit_count = 2, .repeat = exits_often};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, seed % 2);
	struct arena arenas[MEDDLERS];
	pthread_t threads[MEDDLERS];

	for (unsigned i = 0; i < MEDDLERS; i++) {
		arenas[i] = (struct arena){.vcpu = vcpu, .steps = 300, .seed = seed * 31 + i};
		assert_int_equal(pthread_create(&threads[i], NULL, meddle, &arenas[i]), 0);
	}
	if (seed % 3 == 0) { /* stop in the middle of it, or at its end */
		usleep(seed % 7 * 500);
		axvcpu_request_stop(vcpu);
	}
	if (seed % 4 == 0) {
		usleep(seed % 7 * 300);
		axvcpu_expire(vcpu);
	}
	for (unsigned i = 0; i < MEDDLERS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(arenas[i].bad);
	}
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	struct axvcpu_stats stats;
	axvcpu_get_stats(vcpu, &stats);
	assert_int_equal(sum_by_kind(&stats), stats.exits);
	assert_int_equal(stats.runs, stats.exits);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	axvcpu_destroy(vcpu);
}

static void test_race(void **state)
{
	const char *text = getenv("AXVM_TEST_ROUNDS");
	unsigned rounds = text ? (unsigned)atoi(text) : 24;

	(void)state;
	for (unsigned seed = 0; seed < rounds; seed++)
		play(seed, seed / 2 % 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests_name("axvcpu-race", tests, NULL, NULL);
}
