/*
 * The VM's state machine: the whole table of moves, every operation of the interface in every
 * state, and the names by which other systems call the states (L1, L2; docs/states.md).
 */
#include "rig.h"

#include "axvm/vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_moves(void **state)
{
	static const struct {
		enum vm_operation operation;
		enum axvm_state from, to;
	} legal[] = {
		{VM_OP_LOADED, AXVM_LOADING, AXVM_LOADED},
		{VM_OP_START, AXVM_LOADED, AXVM_RUNNING},
		{VM_OP_PAUSE, AXVM_RUNNING, AXVM_SUSPENDING},
		{VM_OP_PAUSED, AXVM_SUSPENDING, AXVM_SUSPENDED},
		{VM_OP_RESUME, AXVM_SUSPENDED, AXVM_RUNNING},
		{VM_OP_STOP, AXVM_LOADED, AXVM_STOPPING},
		{VM_OP_STOP, AXVM_RUNNING, AXVM_STOPPING},
		{VM_OP_STOP, AXVM_SUSPENDING, AXVM_STOPPING},
		{VM_OP_STOP, AXVM_SUSPENDED, AXVM_STOPPING},
		{VM_OP_STOPPED, AXVM_STOPPING, AXVM_STOPPED},
		{VM_OP_FAIL, AXVM_LOADING, AXVM_FAILED},
		{VM_OP_FAIL, AXVM_LOADED, AXVM_FAILED},
		{VM_OP_FAIL, AXVM_RUNNING, AXVM_FAILED},
		{VM_OP_FAIL, AXVM_SUSPENDING, AXVM_FAILED},
		{VM_OP_FAIL, AXVM_SUSPENDED, AXVM_FAILED},
		{VM_OP_FAIL, AXVM_STOPPING, AXVM_FAILED},
	};
	struct axvm *vm = calloc(1, sizeof(*vm));

	(void)state;
	assert_non_null(vm);
	for (int operation = 0; operation < VM_OP_COUNT; operation++) {
		for (int from = 0; from < AXVM_STATE_COUNT; from++) {
			struct ax_error err = {0};
			int to = -1, rc;

			for (size_t i = 0; i < AX_ARRAY_LEN(legal); i++)
				if ((int)legal[i].operation == operation &&
				    (int)legal[i].from == from)
					to = (int)legal[i].to;
			atomic_store(&vm->state, from);
			rc = axvm_move(vm, (enum vm_operation)operation, &err);
			if (to >= 0) {
				assert_int_equal(rc, 0);
				assert_int_equal(axvm_state(vm), to);
				continue;
			}
			assert_int_equal(rc, -EBADFD);
			assert_int_equal(err.kind, AX_ERROR_INVALID_STATE);
			assert_non_null(strstr(err.message, axvm_state_name((enum axvm_state)from,
									    AXVM_NAMING_AXVM)));
			assert_int_equal(axvm_state(vm), from);
		}
	}
	free(vm);
}

static void test_names(void **state)
{
	static const char *const wanted[AXVM_STATE_COUNT][AXVM_NAMING_COUNT] = {
		{"Loading", "Created", "Loading", "Uninit", "STOPPED"},
		{"Loaded", "Initialized", "Loaded", "Inited", "STOPPED"},
		{"Running", "Running", "Running", "Running", "RUNNING"},
		{"Suspending", "Running", "Running", "Switching", "RUNNING"},
		{"Suspended", "Paused", "Suspended", "Running", "PAUSED"},
		{"Stopping", "Running", "Stopping", "Stopping", "RUNNING"},
		{"Stopped", "Stopped", "Stopped", "Stopped", "STOPPED"},
		{"Failed", "Failed", "Stopped", "Stopped", "STOPPED"},
	};

	(void)state;
	for (int s = 0; s < AXVM_STATE_COUNT; s++)
		for (int n = 0; n < AXVM_NAMING_COUNT; n++)
			assert_string_equal(
				axvm_state_name((enum axvm_state)s, (enum axvm_naming)n),
				wanted[s][n]);
	assert_string_equal(axvm_state_name(AXVM_STATE_COUNT, AXVM_NAMING_AXVM), "?");
	assert_string_equal(axvm_state_name(AXVM_LOADED, AXVM_NAMING_COUNT), "?");
}

/* A VM of two vCPUs, brought into a state by the operations that lead there. */
static void enter(struct rig *rig, enum axvm_state wanted)
{
	static const struct generic_step spin[] = {STEP_SPIN};
	static const struct generic_step fails[] = {{.kind = GENERIC_STEP_FAIL}};

	rig_init(rig, WORDS("-c", "2"));
	rig_script(rig, 0, wanted == AXVM_FAILED ? fails : spin, 1);
	rig_script(rig, 1, spin, 1);
	assert_int_equal(rig_create(rig), 0);
	assert_int_equal(axvm_state(rig->vm), AXVM_LOADED);
	if (wanted == AXVM_LOADED)
		return;
	if (wanted == AXVM_LOADING) { /* nobody outside ever sees one: it is being made */
		atomic_store(&rig->vm->state, AXVM_LOADING);
		return;
	}
	assert_int_equal(axvm_start(rig->vm, &rig->err), 0);
	if (wanted == AXVM_FAILED) {
		rig_end(rig);
		return;
	}
	assert_int_equal(axvm_state(rig->vm), AXVM_RUNNING);
	if (wanted == AXVM_SUSPENDED)
		assert_int_equal(axvm_pause(rig->vm, &rig->err), 0);
	else if (wanted == AXVM_SUSPENDING)
		assert_int_equal(axvm_move(rig->vm, VM_OP_PAUSE, &rig->err), 0);
	else if (wanted == AXVM_STOPPING)
		axvm_request_stop(rig->vm, AXVM_STOP_CLEAN);
	else if (wanted == AXVM_STOPPED)
		assert_int_equal(axvm_stop(rig->vm, AXVM_STOP_CLEAN, &rig->err), 0);
	assert_int_equal(axvm_state(rig->vm), wanted);
}

static int do_stop(struct axvm *vm, struct ax_error *err)
{
	return axvm_stop(vm, AXVM_STOP_CLEAN, err);
}

#define NO -1
#define __ AXVM_STATE_COUNT /* not asked: it waits for the guest, or nobody holds such a VM */

static void test_operations(void **state)
{
	static const struct {
		const char *name;
		int (*fn)(struct axvm *vm, struct ax_error *err);
		int to[AXVM_STATE_COUNT];
	} operations[] = {
		/* Loading, Loaded, Running, Suspending, Suspended, Stopping, Stopped, Failed */
		{"start", axvm_start, {NO, AXVM_RUNNING, NO, NO, NO, NO, NO, NO}},
		{"pause", axvm_pause, {NO, NO, AXVM_SUSPENDED, NO, NO, NO, NO, NO}},
		{"resume", axvm_resume, {NO, NO, NO, NO, AXVM_RUNNING, NO, NO, NO}},
		{"wait", axvm_wait, {NO, NO, __, __, __, AXVM_STOPPED, AXVM_STOPPED, AXVM_FAILED}},
		{"stop",
		 do_stop,
		 {__, AXVM_STOPPED, AXVM_STOPPED, AXVM_STOPPED, AXVM_STOPPED, AXVM_STOPPED,
		  AXVM_STOPPED, AXVM_FAILED}},
	};

	(void)state;
	for (size_t o = 0; o < AX_ARRAY_LEN(operations); o++) {
		for (int from = 0; from < AXVM_STATE_COUNT; from++) {
			int to = operations[o].to[from], rc;
			struct ax_error err = {0};
			struct rig rig;

			if (to == __)
				continue;
			enter(&rig, (enum axvm_state)from);
			rc = operations[o].fn(rig.vm, &err);
			if (to == NO) {
				if (rc != -EBADFD || err.kind != AX_ERROR_INVALID_STATE ||
				    (int)axvm_state(rig.vm) != from)
					fail_msg("%s in state %d: %d, %s", operations[o].name, from,
						 rc, err.message);
				assert_non_null(strstr(err.message, operations[o].name));
			} else if (rc || (int)axvm_state(rig.vm) != to) {
				fail_msg("%s in state %d: %d, %s", operations[o].name, from, rc,
					 err.message);
			}
			rig_finish(&rig); /* from wherever it is */
		}
	}
}

/* Started once, paused and resumed often, stopped once; the same vCPUs go on. */
static void test_a_life(void **state)
{
	struct rig rig;

	(void)state;
	enter(&rig, AXVM_RUNNING);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
		assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
		assert_int_equal(axvm_state(rig.vm), AXVM_RUNNING);
	}
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
	/* Stopped is stopped: a second time changes nothing, not even the reason. */
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_FORCED, &rig.err), 0);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_CLEAN);
	rig_finish(&rig);
}

static void test_loaded_vm_looks_like_its_configuration(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "3", "--name", "seen", "--cpu-ids=4,6,8", "-m", "32M"));
	assert_int_equal(rig_create(&rig), 0);
	assert_string_equal(axvm_name(rig.vm), "seen");
	assert_int_equal(axvm_vcpu_count(rig.vm), 3);
	assert_null(axvm_vcpu(rig.vm, 3));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(axvcpu_index(axvm_vcpu(rig.vm, i)), i);
		assert_int_equal(axvcpu_hardware_id(axvm_vcpu(rig.vm, i)), 4 + 2 * i);
		assert_int_equal(axvcpu_state(axvm_vcpu(rig.vm, i)), AXVCPU_FREE);
	}
	assert_non_null(axvm_memory(rig.vm));
	assert_non_null(axvm_bus(rig.vm));
	assert_true(axvm_stop_fd(rig.vm) >= 0);
	rig_finish(&rig);
}

/* Nothing to run: said before anything is started, and the VM stays as it was. */
static void test_no_kernel(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	rig.err = (struct ax_error){0};
	assert_int_equal(axvm_create(rig.config, &rig.options, &rig.vm, &rig.err), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), -EINVAL);
	assert_int_equal(rig.err.kind, AX_ERROR_CONFIGURATION);
	assert_non_null(strstr(rig.err.hint, "--kernel"));
	assert_int_equal(axvm_state(rig.vm), AXVM_LOADED);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_a_life),
		cmocka_unit_test(test_loaded_vm_looks_like_its_configuration),
		cmocka_unit_test(test_no_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
