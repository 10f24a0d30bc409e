/*
 * The serial console of a VM: what the guest prints comes out in order and whole, a panic that
 * only the console tells of is recognised when the guest then ends, and input gets in (P7).
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say(struct generic_guest *guest, const char *text)
{
	for (; *text; text++) {
		while (!(generic_guest_in(guest, GENERIC_SERIAL_PORT + 5, 1) & 0x20))
			generic_guest_relax(guest); /* THR not empty yet */
		generic_guest_out(guest, GENERIC_SERIAL_PORT, 1, (uint8_t)*text);
	}
}

static void say_it(struct generic_guest *guest, void *ctx)
{
	say(guest, ctx);
}

static enum axvm_stop_reason end_after(const char *text, struct generic_step last)
{
	struct generic_step steps[] = {
		{.kind = GENERIC_STEP_PROGRAM, .program = say_it, .ctx = (void *)(uintptr_t)text},
		last,
	};
	struct axvm_stop_info info;
	struct rig rig;

	rig_init(&rig, WORDS("--serial=stdio"));
	rig_script(&rig, 0, steps, 2);
	rig_boot(&rig);
	info = rig_end(&rig);
	if (info.reason == AXVM_STOP_PANIC) { /* the reset was how it ended, not why */
		assert_int_equal(info.error.kind, AX_ERROR_NONE);
		assert_string_equal(info.registers, "");
		assert_int_equal(axvm_stop_exit_status(info.reason, &info.error), 11);
	}
	rig_finish(&rig);
	return info.reason;
}

static void test_panic_text(void **state)
{
	static const char panic[] = "[ 1.5] Kernel panic - not syncing: VFS: no root\r\n";
	const struct generic_step reset = STEP_OUT(GENERIC_RESET_PORT, 1, 0xfe);
	const struct generic_step triple = STEP_EVENT(AXVCPU_SYSTEM_TRIPLE_FAULT);
	const struct generic_step off = STEP_OFF;

	(void)state;
	assert_int_equal(end_after(panic, reset), AXVM_STOP_PANIC);
	assert_int_equal(end_after(panic, triple), AXVM_STOP_PANIC);
	assert_int_equal(end_after("KKernel panic - not syncing", reset), AXVM_STOP_PANIC);
	assert_int_equal(end_after("Kernel panKernel panic - not syncing", reset), AXVM_STOP_PANIC);
	/* A guest that merely talks of one and goes on is no panic when it powers off. */
	assert_int_equal(end_after(panic, off), AXVM_STOP_SYSTEM_DOWN);
	assert_int_equal(end_after("Kernel panic - not synchron", reset), AXVM_STOP_RESET);
	assert_int_equal(end_after("Kernel panic", triple), AXVM_STOP_FAULT);
	assert_int_equal(end_after("", reset), AXVM_STOP_RESET);
}

struct tapped {
	char text[8192];
	size_t count;
};

static void tap(void *ctx, const uint8_t *bytes, size_t count)
{
	struct tapped *tapped = ctx;

	for (size_t i = 0; i < count && tapped->count < sizeof(tapped->text); i++)
		tapped->text[tapped->count++] = (char)bytes[i];
}

static void say_lines(struct generic_guest *guest, void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 100; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d of this guest\n", i);
		say(guest, line);
	}
}

/* The owner's own tap still sees everything, and so does the descriptor, up to the last byte. */
static void test_output(void **state)
{
	struct tapped tapped = {.count = 0};
	char wanted[8192], got[8192];
	size_t used = 0;
	ssize_t n;
	int fds[2];
	struct rig rig;

	(void)state;
	for (int i = 0; i < 100; i++)
		used += (size_t)snprintf(wanted + used, sizeof(wanted) - used,
					 "line %d of this guest\n", i);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	rig_init(&rig, WORDS("--serial=stdio"));
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_PROGRAM, .program = say_lines}, STEP_OFF);
	rig.options.console.out_fd = fds[1];
	rig.options.console.output_tap = tap;
	rig.options.console.ctx = &tapped;
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	n = read(fds[0], got, sizeof(got));
	assert_int_equal(n, used);
	assert_memory_equal(got, wanted, used);
	assert_int_equal(tapped.count, used);
	assert_memory_equal(tapped.text, wanted, used);
	rig_finish(&rig);
	/* Not ours to close. */
	assert_true(fcntl(fds[0], F_GETFD) >= 0 && fcntl(fds[1], F_GETFD) >= 0);
	close(fds[0]);
	close(fds[1]);
}

static void panic_on(struct generic_guest *guest, void *ctx)
{
	(void)ctx;
	for (;;)
		generic_guest_out(guest, GENERIC_PANIC_PORT, 1, 1);
}

/* What Linux prints after it has called pvpanic, and how it may go on: resets, halts, hangs; and
 * one that will not stop telling. */
static void test_last_words(void **state)
{
	static const struct generic_step last[] = {
		STEP_OUT(GENERIC_RESET_PORT, 1, 0xfe),
		STEP_EVENT(AXVCPU_SYSTEM_TRIPLE_FAULT),
		STEP_OFF,
		{.kind = GENERIC_STEP_SPIN},
		{.kind = GENERIC_STEP_PROGRAM, .program = panic_on},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(last); i++) {
		const struct generic_step steps[] = {
			STEP_OUT(GENERIC_PANIC_PORT, 1, 1),
			{.kind = GENERIC_STEP_PROGRAM,
			 .program = say_it,
			 .ctx = (void *)(uintptr_t) "not syncing"},
			last[i],
		};
		struct tapped tapped = {.count = 0};
		struct axvm_stop_info info;
		struct rig rig;

		rig_init(&rig, WORDS("--serial=stdio"));
		rig_script(&rig, 0, steps, AX_ARRAY_LEN(steps));
		rig.options.console.output_tap = tap;
		rig.options.console.ctx = &tapped;
		info = rig_play(&rig, AXVM_STOP_PANIC);
		assert_int_equal(info.error.kind, AX_ERROR_NONE);
		assert_string_equal(info.registers, "");
		assert_int_equal(tapped.count, strlen("not syncing"));
		assert_memory_equal(tapped.text, "not syncing", tapped.count);
		rig_finish(&rig);
	}
}

static size_t upper(void *ctx, uint8_t *bytes, size_t count)
{
	(void)ctx;
	for (size_t i = 0; i < count; i++)
		if (bytes[i] >= 'a' && bytes[i] <= 'z')
			bytes[i] = (uint8_t)(bytes[i] - 'a' + 'A');
	return count;
}

/* Reads a line and powers off if it is the right one, else panics. */
static void listen(struct generic_guest *guest, void *ctx)
{
	static const char wanted[] = "LOGIN\n";

	(void)ctx;
	generic_guest_out(guest, GENERIC_SERIAL_PORT + 1, 1, 1); /* IER: received data */
	for (size_t i = 0; wanted[i]; i++) {
		while (!(generic_guest_in(guest, GENERIC_SERIAL_PORT + 5, 1) & 1))
			generic_guest_relax(guest);
		if (generic_guest_in(guest, GENERIC_SERIAL_PORT, 1) != (uint8_t)wanted[i])
			generic_guest_out(guest, GENERIC_PANIC_PORT, 1, 1);
	}
	generic_guest_out(guest, GENERIC_POWER_PORT, 2, 0x2000);
}

static void test_input(void **state)
{
	struct rig rig;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	rig_init(&rig, WORDS("--serial=stdio"));
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_PROGRAM, .program = listen});
	rig.options.console.in_fd = fds[0];
	rig.options.console.input_filter = upper;
	assert_int_equal(write(fds[1], "login\n", 6), 6);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	rig_finish(&rig);
	close(fds[0]);
	close(fds[1]);
}

/* No options at all, or all zero: nobody's standard input is touched, output goes nowhere. */
static void test_zero_options(void **state)
{
	static const struct axvm_options zero;
	struct rig rig;

	(void)state;
	for (int i = 0; i < 2; i++) {
		rig_init(&rig, WORDS("--serial=stdio", "--arch=generic"));
		assert_int_equal(axvm_create(rig.config, i ? &zero : NULL, &rig.vm, &rig.err), 0);
		rig_finish(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_panic_text),   cmocka_unit_test(test_output),
		cmocka_unit_test(test_last_words),   cmocka_unit_test(test_input),
		cmocka_unit_test(test_zero_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
