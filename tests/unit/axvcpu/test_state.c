/*
 * The state machine: every pair of operation and state against an expectation written down by
 * hand here, the moves an embedder makes, and what becomes of a vCPU whose hooks fail.
 */
#include "fake.h"

#include "internal.h"

#include <errno.h>
#include <string.h>

/* Where each operation leads from Invalid, Created, Free, Ready, Running, Blocked: the first letter
 * of the state (L for Blocked), '.' when it is refused. */
static const struct {
	enum axvcpu_op op;
	const char *name, *leads_to;
} expected[] = {
	{AXVCPU_OP_SETUP, "setup", ".F...."},
	{AXVCPU_OP_BIND, "bind", "..R..."},
	{AXVCPU_OP_UNBIND, "unbind", "...F.."},
	{AXVCPU_OP_RUN, "run", "...U.."},
	{AXVCPU_OP_LEAVE, "leave", "....R."},
	{AXVCPU_OP_PARK, "park", "...L.."},
	{AXVCPU_OP_UNPARK, "unpark", ".....R"},
	{AXVCPU_OP_FAIL, "fail", "IIIIII"},
	{AXVCPU_OP_START, "start", "..F..."},
	{AXVCPU_OP_PAUSE, "pause", "..FRUL"},
	{AXVCPU_OP_RESUME, "resume", "..FRUL"},
	{AXVCPU_OP_SET_ENTRY, "set_entry", "..FR.L"},
	{AXVCPU_OP_SET_GPR, "set_gpr", "..FR.L"},
	{AXVCPU_OP_GET_GPR, "get_gpr", "..FR.L"},
	{AXVCPU_OP_SET_RETURN_VALUE, "set_return_value", "..FR.L"},
	{AXVCPU_OP_INJECT, "inject", "..FRUL"},
};
static const char letters[] = "ICFRUL";

static void check_refusal(int rc, const struct ax_error *err, const char *op,
			  enum axvcpu_state state)
{
	assert_int_equal(rc, -EBADFD);
	assert_int_equal(err->kind, AX_ERROR_INVALID_STATE);
	assert_int_equal(err->sys_errno, EBADFD);
	assert_non_null(strstr(err->message, op));
	assert_non_null(strstr(err->message, axvcpu_state_name(state)));
}

static void test_every_pair(void **state)
{
	(void)state;
	assert_int_equal(AX_ARRAY_LEN(expected), AXVCPU_OP_COUNT);
	for (size_t i = 0; i < AX_ARRAY_LEN(expected); i++) {
		for (int from = 0; from < AXVCPU_STATE_COUNT; from++) {
			struct fake fake = {0};
			struct ax_error err = {0};
			struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 3);
			char to = expected[i].leads_to[from];

			atomic_store(&vcpu->state, from);
			int checked = axvcpu_check(vcpu, expected[i].op, NULL);
			int rc = axvcpu_move(vcpu, expected[i].op, &err);
			assert_int_equal(checked, rc);
			if (to == '.') {
				check_refusal(rc, &err, expected[i].name, from);
				assert_int_equal(atomic_load(&vcpu->state), from);
			} else {
				assert_int_equal(rc, 0);
				assert_int_equal(letters[atomic_load(&vcpu->state)], to);
			}
			axvcpu_destroy(vcpu);
		}
	}
}

typedef int public_op_fn(struct axvcpu *vcpu, struct ax_error *err);

static int op_run(struct axvcpu *vcpu, struct ax_error *err)
{
	struct axvcpu_exit exit;

	return axvcpu_run(vcpu, &exit, err);
}
static int op_set_entry(struct axvcpu *vcpu, struct ax_error *err)
{
	return axvcpu_set_entry(vcpu, 1, err);
}
static int op_set_gpr(struct axvcpu *vcpu, struct ax_error *err)
{
	return axvcpu_set_gpr(vcpu, 0, 1, err);
}
static int op_get_gpr(struct axvcpu *vcpu, struct ax_error *err)
{
	uint64_t value;

	return axvcpu_get_gpr(vcpu, 0, &value, err);
}
static int op_set_return_value(struct axvcpu *vcpu, struct ax_error *err)
{
	return axvcpu_set_return_value(vcpu, 1, err);
}
static int op_inject(struct axvcpu *vcpu, struct ax_error *err)
{
	const struct axvcpu_irq irq = {.vector = 32};

	return axvcpu_inject(vcpu, &irq, err);
}
static int op_start(struct axvcpu *vcpu, struct ax_error *err)
{
	return axvcpu_start(vcpu, false, err);
}

/* The same through the public functions, for a vCPU that has no thread. */
static void test_public_refusals(void **state)
{
	static const struct {
		const char *name;
		public_op_fn *fn;
		const char *legal; /* letters of states it is legal in */
	} ops[] = {
		{"setup", axvcpu_setup, "C"},
		{"bind", axvcpu_bind, "F"},
		{"unbind", axvcpu_unbind, "R"},
		{"run", op_run, "R"},
		{"start", op_start, "F"},
		{"pause", axvcpu_pause, ""}, /* needs a thread */
		{"resume", axvcpu_resume, ""},
		{"set_entry", op_set_entry, "FRL"},
		{"set_gpr", op_set_gpr, "FRL"},
		{"get_gpr", op_get_gpr, "FRL"},
		{"set_return_value", op_set_return_value, "FRL"},
		{"inject", op_inject, "FRUL"},
	};
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_IDLE}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(ops); i++) {
		for (int from = 0; from < AXVCPU_STATE_COUNT; from++) {
			struct fake fake = {.exits = exits, .exit_count = 1};
			struct owner owner = {0};
			struct ax_error err = {0};
			struct axvcpu *vcpu = fake_vcpu(&fake, &owner, 3);

			atomic_store(&vcpu->state, from);
			int rc = ops[i].fn(vcpu, &err);
			if (strchr(ops[i].legal, letters[from])) {
				assert_int_equal(rc, 0);
			} else {
				check_refusal(rc, &err, ops[i].name, from);
				assert_int_equal(axvcpu_state(vcpu), from);
			}
			axvcpu_request_stop(vcpu);
			axvcpu_join(vcpu);
			axvcpu_destroy(vcpu);
			assert_int_equal(fake.destroyed, 1);
		}
	}
}

static void test_creation(void **state)
{
	struct fake fake = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 2);

	(void)state;
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_CREATED);
	assert_int_equal(axvcpu_index(vcpu), 2);
	assert_int_equal(axvcpu_hardware_id(vcpu), 102);
	assert_ptr_equal(axvcpu_impl(vcpu), &fake);
	assert_int_equal(axvcpu_tid(vcpu), 0);
	axvcpu_destroy(vcpu);
	assert_int_equal(fake.destroyed, 1);
	axvcpu_destroy(NULL);
}

static void test_creation_failure(void **state)
{
	struct axvcpu *const untouched = (struct axvcpu *)(uintptr_t)0x10;
	struct fake fake = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(fake_ops) / sizeof(void *); i++) {
		static const size_t optional[] = {
			offsetof(struct axvcpu_ops, bind), offsetof(struct axvcpu_ops, unbind),
			offsetof(struct axvcpu_ops, halted), offsetof(struct axvcpu_ops, online)};
		struct axvcpu_ops ops = fake_ops;
		struct axvcpu_config config = {.ops = &ops, .impl = &fake};
		struct axvcpu *vcpu = untouched;
		struct ax_error err = {0};
		bool may_miss = false;

		memset((char *)&ops + i * sizeof(void *), 0, sizeof(void *));
		for (size_t j = 0; j < AX_ARRAY_LEN(optional); j++)
			may_miss |= optional[j] == i * sizeof(void *);
		int rc = axvcpu_create(&config, &vcpu, &err);
		if (may_miss) {
			assert_int_equal(rc, 0);
			axvcpu_destroy(vcpu);
			atomic_store(&fake.destroyed, 0);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_int_equal(err.kind, AX_ERROR_VCPU_CREATION);
		assert_ptr_equal(vcpu, untouched);
	}
	struct axvcpu_config config = {.impl = &fake};
	struct axvcpu *vcpu = untouched;
	assert_int_equal(axvcpu_create(&config, &vcpu, NULL), -EINVAL);
	assert_int_equal(fake.destroyed, 0); /* still the caller's */
}

static void test_bsp(void **state)
{
	(void)state;
	for (uint32_t index = 0; index < 3; index++) {
		struct fake fake = {0};
		struct axvcpu *vcpu = fake_vcpu(&fake, NULL, index);
		assert_int_equal(axvcpu_is_bsp(vcpu), index == 0);
		axvcpu_destroy(vcpu);
	}
}

static void test_lifecycle(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_HALT},
						   {.kind = AXVCPU_EXIT_NOTHING}};
	struct fake fake = {.exits = exits, .exit_count = 2};
	struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 0);
	struct axvcpu_exit exit;

	(void)state;
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), -EBADFD);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	assert_int_equal(axvcpu_setup(vcpu, NULL), -EBADFD);
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), -EBADFD); /* without bind */
	assert_int_equal(axvcpu_bind(vcpu, NULL), 0);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_READY);
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HALT);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_READY);
	assert_int_equal(axvcpu_unbind(vcpu, NULL), 0);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	assert_int_equal(axvcpu_bind(vcpu, NULL), 0);
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_NOTHING);
	/* A kick before the run makes it return at once, and is used up by that. */
	axvcpu_kick(vcpu);
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_EXTERNAL_INTERRUPT);
	assert_false(fake.immediate_exit);
	axvcpu_destroy(vcpu);
}

static void test_failing_hooks(void **state)
{
	static const struct {
		enum fake_hook hook;
		const char *name;
		public_op_fn *fn;
		enum axvcpu_state from, to;
	} cases[] = {
		{FAKE_SETUP, "setup", axvcpu_setup, AXVCPU_CREATED, AXVCPU_INVALID},
		{FAKE_BIND, "bind", axvcpu_bind, AXVCPU_FREE, AXVCPU_INVALID},
		{FAKE_UNBIND, "unbind", axvcpu_unbind, AXVCPU_READY, AXVCPU_INVALID},
		{FAKE_RUN, "run", op_run, AXVCPU_READY, AXVCPU_INVALID},
		/* Not moves: the vCPU is as it was. */
		{FAKE_INJECT, "fail", op_inject, AXVCPU_FREE, AXVCPU_FREE},
		{FAKE_REGISTER, "fail", op_set_entry, AXVCPU_READY, AXVCPU_READY},
		{FAKE_REGISTER, "fail", op_set_gpr, AXVCPU_READY, AXVCPU_READY},
		{FAKE_REGISTER, "fail", op_get_gpr, AXVCPU_FREE, AXVCPU_FREE},
		{FAKE_REGISTER, "fail", op_set_return_value, AXVCPU_FREE, AXVCPU_FREE},
	};

	(void)state;
	for (size_t i = 0; i < 2 * AX_ARRAY_LEN(cases); i++) {
		size_t c = i / 2;
		struct fake fake = {.failing = cases[c].hook, .fail_silently = i % 2};
		struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 0);
		struct ax_error err = {0};

		atomic_store(&vcpu->state, cases[c].from);
		assert_int_equal(cases[c].fn(vcpu, &err), -EIO);
		assert_int_equal(axvcpu_state(vcpu), cases[c].to);
		if (cases[c].to == AXVCPU_INVALID) {
			assert_non_null(strstr(err.message, "vCPU 0 of VM 7"));
			assert_non_null(strstr(err.message, cases[c].name));
			assert_int_equal(err.kind, fake.fail_silently ? AX_ERROR_VCPU_RUNTIME
								      : AX_ERROR_REGISTER_ACCESS);
		}
		axvcpu_destroy(vcpu);
	}
}

static void test_registers(void **state)
{
	struct fake fake = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 0);
	struct ax_error err = {0};
	uint64_t value = 5;
	char text[40];

	(void)state;
	assert_int_equal(axvcpu_get_gpr(vcpu, 0, &value, NULL), -EBADFD);
	assert_int_equal(value, 5);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_set_entry(vcpu, 0xabc, NULL), 0);
	assert_int_equal(fake.entry, 0xabc);
	assert_int_equal(axvcpu_set_gpr(vcpu, 2, 77, NULL), 0);
	assert_int_equal(axvcpu_get_gpr(vcpu, 2, &value, NULL), 0);
	assert_int_equal(value, 77);
	assert_int_equal(axvcpu_set_gpr(vcpu, 4, 1, &err), -EINVAL);
	assert_int_equal(axvcpu_set_return_value(vcpu, 9, NULL), 0);
	assert_int_equal(fake.return_value, 9);
	axvcpu_dump(vcpu, text, sizeof(text));
	assert_string_equal(text, "entry abc");
	axvcpu_dump(vcpu, text, 0);
	axvcpu_destroy(vcpu);
}

static void test_names(void **state)
{
	static const char *const states[] = {"Invalid", "Created", "Free",
					     "Ready",   "Running", "Blocked"};
	static const char *const exits[] = {
		"Nothing",         "Hypercall",     "MmioRead",
		"MmioWrite",       "SysRegRead",    "SysRegWrite",
		"IoRead",          "IoWrite",       "ExternalInterrupt",
		"NestedPageFault", "Halt",          "CpuUp",
		"CpuDown",         "SystemDown",    "FailEntry",
		"SendIpi",         "Idle",          "PreemptionTimer",
		"InterruptEnd",    "InternalError",
	};

	(void)state;
	assert_int_equal(AX_ARRAY_LEN(states), AXVCPU_STATE_COUNT);
	for (int i = 0; i < AXVCPU_STATE_COUNT; i++)
		assert_string_equal(axvcpu_state_name(i), states[i]);
	assert_int_equal(AX_ARRAY_LEN(exits), AXVCPU_EXIT_KIND_COUNT);
	for (int i = 0; i < AXVCPU_EXIT_KIND_COUNT; i++)
		assert_string_equal(axvcpu_exit_name(i), exits[i]);
	assert_string_equal(axvcpu_state_name(99), "unknown");
	assert_string_equal(axvcpu_exit_name(99), "unknown");
}

static void test_stats(void **state)
{
	struct axvcpu_exit exits[AXVCPU_EXIT_KIND_COUNT] = {0};
	struct fake fake = {.exits = exits, .exit_count = AXVCPU_EXIT_KIND_COUNT};
	struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 0);
	struct axvcpu_stats stats;
	struct axvcpu_exit exit;

	(void)state;
	for (int i = 0; i < AXVCPU_EXIT_KIND_COUNT; i++)
		exits[i].kind = i;
	axvcpu_get_stats(vcpu, &stats);
	assert_int_equal(stats.first_entry_ns, 0);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_bind(vcpu, NULL), 0);
	uint64_t before = ax_clock_ns();
	for (int i = 0; i < AXVCPU_EXIT_KIND_COUNT; i++) {
		assert_int_equal(axvcpu_run(vcpu, &exit, NULL), 0);
		assert_int_equal(exit.kind, i);
	}
	fake.failing = FAKE_RUN;
	assert_int_equal(axvcpu_run(vcpu, &exit, NULL), -EIO);
	assert_int_equal(exit.kind, AXVCPU_EXIT_INTERNAL_ERROR);
	axvcpu_get_stats(vcpu, &stats);
	assert_int_equal(stats.runs, AXVCPU_EXIT_KIND_COUNT + 1);
	assert_int_equal(stats.exits, AXVCPU_EXIT_KIND_COUNT + 1);
	assert_int_equal(sum_by_kind(&stats), stats.exits);
	for (int i = 0; i < AXVCPU_EXIT_KIND_COUNT; i++)
		assert_int_equal(stats.by_kind[i], i == AXVCPU_EXIT_INTERNAL_ERROR ? 2 : 1);
	assert_true(stats.first_entry_ns >= before);
	assert_true(stats.guest_ns + stats.user_ns <= ax_clock_ns() - stats.first_entry_ns);
	axvcpu_destroy(vcpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair),    cmocka_unit_test(test_public_refusals),
		cmocka_unit_test(test_creation),      cmocka_unit_test(test_creation_failure),
		cmocka_unit_test(test_bsp),           cmocka_unit_test(test_lifecycle),
		cmocka_unit_test(test_failing_hooks), cmocka_unit_test(test_registers),
		cmocka_unit_test(test_names),         cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests_name("axvcpu-state", tests, NULL, NULL);
}
