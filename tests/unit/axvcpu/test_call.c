/*
 * Functions executed on a vCPU's thread, and what an exit handler may do to its own vCPU.
 */
#include "fake.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

struct call_result {
	pthread_t thread;
	enum axvcpu_state state;
};

static int note_caller(struct axvcpu *vcpu, void *arg, struct ax_error *err)
{
	struct call_result *result = arg;

	result->thread = pthread_self();
	result->state = axvcpu_state(vcpu);
	return ax_error_set(err, AX_ERROR_IO, ENXIO, "from there");
}

static void test_call(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, &owner, 0);
	struct call_result result;
	struct ax_error err = {0};
	char text[40];

	(void)state;
	assert_int_equal(axvcpu_call(vcpu, note_caller, &result, &err), -ENXIO);
	assert_true(pthread_equal(result.thread, pthread_self()));
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	wait_until(atomic_load(&fake.blocking));
	assert_int_equal(axvcpu_call(vcpu, note_caller, &result, &err), -ENXIO);
	assert_string_equal(err.message, "from there");
	assert_true(pthread_equal(result.thread, fake.run_thread));
	assert_int_equal(result.state, AXVCPU_READY);
	axvcpu_dump(vcpu, text, sizeof(text)); /* of a running vCPU */
	assert_string_equal(text, "entry 0");
	assert_true(pthread_equal(fake.register_thread, fake.run_thread));
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	assert_int_equal(axvcpu_call(vcpu, note_caller, &result, &err), -ENXIO);
	assert_int_equal(result.state, AXVCPU_BLOCKED);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_BLOCKED);
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	assert_int_equal(axvcpu_call(vcpu, note_caller, &result, &err), -ENXIO);
	assert_true(pthread_equal(result.thread, pthread_self()));
	axvcpu_destroy(vcpu);
}

/* Is it up? Asked where register accesses happen; without the hook the answer is yes. */
static void test_online(void **state)
{
	struct fake fake = {0};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, &owner, 0);
	struct axvcpu_ops without = fake_ops;
	struct axvcpu_config config = {.ops = &without, .impl = &fake};
	struct axvcpu *other;
	bool online = false;

	(void)state;
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_online(vcpu, &online, NULL), 0);
	assert_true(online);
	fake.is_down = true;
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	wait_until(atomic_load(&fake.blocking));
	assert_int_equal(axvcpu_online(vcpu, &online, NULL), 0); /* of a running vCPU */
	assert_false(online);
	assert_true(pthread_equal(fake.register_thread, fake.run_thread));
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	fake.failing = FAKE_REGISTER;
	online = true;
	assert_true(axvcpu_online(vcpu, &online, NULL) < 0);
	assert_true(online);
	axvcpu_destroy(vcpu);

	without.online = NULL;
	assert_int_equal(axvcpu_create(&config, &other, NULL), 0);
	assert_int_equal(axvcpu_setup(other, NULL), 0);
	assert_int_equal(axvcpu_online(other, &online, NULL), 0);
	assert_true(online);
	axvcpu_destroy(other);
}

/* What a handler may do to its own vCPU. */
static void meddle(struct owner *owner, struct axvcpu *vcpu, struct axvcpu_exit *exit)
{
	struct call_result result;

	(void)owner;
	exit->hypercall.ret = (uint64_t)axvcpu_set_return_value(vcpu, 5, NULL);
	exit->hypercall.ret |= (uint64_t)axvcpu_set_entry(vcpu, 6, NULL);
	exit->hypercall.ret |= axvcpu_pause(vcpu, NULL) == -EDEADLK ? 0 : 1;
	axvcpu_call(vcpu, note_caller, &result, NULL);
	axvcpu_kick(vcpu);
	axvcpu_request_pause(vcpu);
	axvcpu_resume(vcpu, NULL);
	owner->last_errno = (int)exit->hypercall.ret;
	axvcpu_request_stop(vcpu);
}

static void test_handler_on_its_own_vcpu(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_HYPERCALL}};
	struct fake fake = {.exits = exits, .exit_count = 1, .repeat = true};
	struct owner owner = {.inside = meddle};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);

	(void)state;
	axvcpu_join(vcpu);
	assert_int_equal(owner.last_errno, 0);
	assert_int_equal(owner.total, 1);
	assert_int_equal(fake.return_value, 5);
	assert_int_equal(fake.entry, 6);
	axvcpu_destroy(vcpu);
}

static _Atomic bool in_handler, leave_handler;

static void linger(struct owner *owner, struct axvcpu *vcpu, struct axvcpu_exit *exit)
{
	(void)owner;
	(void)vcpu;
	(void)exit;
	atomic_store(&in_handler, true);
	while (!atomic_load(&leave_handler))
		sched_yield();
}

/* Between two runs but not paused: registers are the thread's own business, whoever asks. */
static void test_registers_of_a_busy_thread(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_HYPERCALL}};
	struct fake fake = {.exits = exits, .exit_count = 1};
	struct owner owner = {.inside = linger};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);
	struct ax_error err = {0};
	uint64_t value;

	(void)state;
	wait_until(atomic_load(&in_handler));
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_READY);
	assert_int_equal(axvcpu_set_gpr(vcpu, 1, 2, &err), -EBADFD);
	assert_int_equal(err.kind, AX_ERROR_INVALID_STATE);
	assert_non_null(strstr(err.hint, "pause"));
	assert_int_equal(axvcpu_get_gpr(vcpu, 1, &value, NULL), -EBADFD);
	assert_int_equal(axvcpu_set_entry(vcpu, 1, NULL), -EBADFD);
	assert_int_equal(axvcpu_set_return_value(vcpu, 1, NULL), -EBADFD);
	atomic_store(&leave_handler, true);
	axvcpu_destroy(vcpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_online),
		cmocka_unit_test(test_handler_on_its_own_vcpu),
		cmocka_unit_test(test_registers_of_a_busy_thread),
	};

	return cmocka_run_group_tests_name("axvcpu-call", tests, NULL, NULL);
}
