/*
 * Why a VM stops. The first reason wins and is kept with the vCPU, the error and its registers;
 * a panic that the guest has told of, or its console, is recognised when it then ends.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int exit_status; /* -1: as the error's kind says */
} reasons[AXVM_STOP_REASON_COUNT] = {
	[AXVM_STOP_NONE] = {"none", 1},
	[AXVM_STOP_CLEAN] = {"clean", 0},
	[AXVM_STOP_SYSTEM_DOWN] = {"system-down", 0},
	[AXVM_STOP_RESET] = {"reset", 10},
	[AXVM_STOP_PANIC] = {"panic", 11},
	[AXVM_STOP_FORCED] = {"forced", 0},
	[AXVM_STOP_LIMIT] = {"limit", 13},
	[AXVM_STOP_FAULT] = {"fault", 12},
	[AXVM_STOP_HOST] = {"host-error", -1},
};

const char *axvm_stop_reason_name(enum axvm_stop_reason reason)
{
	return (unsigned)reason < AXVM_STOP_REASON_COUNT ? reasons[reason].name : "?";
}

int axvm_stop_exit_status(enum axvm_stop_reason reason, const struct ax_error *error)
{
	int status = (unsigned)reason < AXVM_STOP_REASON_COUNT ? reasons[reason].exit_status : 1;

	return status >= 0 ? status : ax_error_kind_exit_status(error->kind);
}

void axvm_stop_with(struct axvm *vm, enum axvm_stop_reason reason, struct axvcpu *vcpu,
		    const struct ax_error *error)
{
	uint64_t one = 1;

	if (error && error->kind != AX_ERROR_NONE)
		atomic_fetch_add(&vm->errors, 1);
	/* Reason, report and state change as one: whoever sees the reason finds the others done. */
	pthread_mutex_lock(&vm->stop_lock);
	if (atomic_load(&vm->stop_reason) != AXVM_STOP_NONE) {
		pthread_mutex_unlock(&vm->stop_lock);
		return;
	}
	vm->stop_info.reason = reason;
	vm->stop_info.vcpu = vcpu ? axvcpu_index(vcpu) : UINT32_MAX;
	if (error && error->kind != AX_ERROR_NONE)
		vm->stop_info.error = *error;
	if (vcpu && (reason == AXVM_STOP_FAULT || reason == AXVM_STOP_HOST))
		axvcpu_dump(vcpu, vm->stop_info.registers, sizeof(vm->stop_info.registers));
	/* Refused where there is nothing to leave: a VM that has failed. */
	(void)axvm_move(vm, VM_OP_STOP, NULL);
	atomic_store(&vm->stop_reason, (int)reason);
	pthread_mutex_unlock(&vm->stop_lock);
	/* Every vCPU, the caller's too: one that stopped must not leave others halted for ever. */
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_request_stop(vm->vcpus[i]);
	if (write(vm->stop_fd, &one, sizeof(one)) < 0)
		ax_log(AX_LOG_ERROR, "axvm", "cannot tell the owner that %s stops: %s",
		       vm->config->name, strerror(errno));
}

void axvm_request_stop(struct axvm *vm, enum axvm_stop_reason reason)
{
	axvm_stop_with(vm, reason, NULL, NULL);
}

bool axvm_report(struct axvm *vm, const struct ax_error *error)
{
	if (ax_error_requires_shutdown(error)) {
		axvm_stop_with(vm, AXVM_STOP_HOST, NULL, error);
		return true;
	}
	atomic_fetch_add(&vm->errors, 1);
	ax_log(AX_LOG_WARN, "axvm", "%s: %s", vm->config->name, error->message);
	return false;
}

int axvm_stop_fd(const struct axvm *vm)
{
	return vm->stop_fd;
}

void axvm_on_power(void *ctx, enum axdev_power_event event)
{
	static const enum axvm_stop_reason by_event[] = {
		[AXDEV_POWER_OFF] = AXVM_STOP_SYSTEM_DOWN,
		[AXDEV_POWER_RESET] = AXVM_STOP_RESET,
	};
	struct axvm *vm = ctx;

	if (event != AXDEV_POWER_PANIC)
		axvm_stop_with(vm, by_event[event], NULL, NULL);
	else if (!atomic_exchange(&vm->panic_told, true)) /* nobody gets that time twice */
		(void)ax_loop_post_own(vm->io_loops[0], &vm->panic_post);
}

/* Linux calls pvpanic before it flushes its console: what another CPU was about to print when it
 * was halted, often the reason itself, comes only now. */
#define LAST_WORDS_NS 1000000000ULL

static void on_panic_told(void *arg)
{
	struct axvm *vm = arg;

	axvm_note_moment(vm, "kernel panic (pvpanic)");
	ax_loop_set_timer(vm->panic_grace, LAST_WORDS_NS, 0);
}

static void on_last_words(void *ctx, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	axvm_stop_with(ctx, AXVM_STOP_PANIC, NULL, NULL);
}

int axvm_await_last_words(struct axvm *vm, struct ax_error *err)
{
	vm->panic_post = (struct ax_post){.fn = on_panic_told, .arg = vm};
	return ax_loop_add_timer(vm->io_loops[0], AX_TIMER_OFF, 0, on_last_words, vm,
				 &vm->panic_grace, err);
}

/* What Linux says on its console whether or not it has a driver for pvpanic or the marks. */
static const struct console_text {
	const char *text;
	const char *moment; /* noted in the timeline once */
	bool is_panic;
} console_texts[AXVM_CONSOLE_TEXTS] = {
	{"Linux version ", "kernel's first line on the console", false},
	{" as init process", "kernel starts init (console)", false},
	{"Kernel panic - not syncing", "kernel panic (console)", true},
};

/* None of the texts' first characters occurs again in a way that a restart there would miss:
 * a mismatch begins anew with the byte that did not fit. */
static void watch_text(struct axvm *vm, size_t index, uint8_t byte)
{
	const struct console_text *watched = &console_texts[index];
	uint32_t *matched = &vm->text_matched[index];

	if (vm->text_seen[index])
		return;
	*matched = byte == (uint8_t)watched->text[*matched] ? *matched + 1
							    : byte == (uint8_t)watched->text[0];
	if (watched->text[*matched])
		return;
	vm->text_seen[index] = true;
	axvm_note_moment(vm, "%s", watched->moment);
	if (watched->is_panic)
		atomic_store(&vm->panic_seen, true);
}

void axvm_console_tap(void *ctx, const uint8_t *bytes, size_t count)
{
	struct axvm *vm = ctx;

	for (size_t i = 0; i < count; i++)
		for (size_t t = 0; t < AXVM_CONSOLE_TEXTS; t++)
			watch_text(vm, t, bytes[i]);
	if (vm->options.console.output_tap)
		vm->options.console.output_tap(vm->options.console.ctx, bytes, count);
}

size_t axvm_console_filter(void *ctx, uint8_t *bytes, size_t count)
{
	struct axvm *vm = ctx;

	return vm->options.console.input_filter(vm->options.console.ctx, bytes, count);
}

/* With all output drained: a reset or triple fault after the panic's text was the panic. After
 * pvpanic every end that the guest gave itself is. */
void axvm_settle_stop_reason(struct axvm *vm)
{
	int reason = atomic_load(&vm->stop_reason);
	bool told = atomic_load(&vm->panic_told);
	bool by_guest = reason == AXVM_STOP_RESET || reason == AXVM_STOP_FAULT ||
			(told && reason == AXVM_STOP_SYSTEM_DOWN);

	if (!by_guest || (!told && !atomic_load(&vm->panic_seen)))
		return;
	atomic_store(&vm->stop_reason, AXVM_STOP_PANIC);
	pthread_mutex_lock(&vm->stop_lock);
	vm->stop_info.reason = AXVM_STOP_PANIC;
	vm->stop_info.error = (struct ax_error){0};
	vm->stop_info.registers[0] = '\0';
	pthread_mutex_unlock(&vm->stop_lock);
}

void axvm_get_stop_info(const struct axvm *vm, struct axvm_stop_info *ret_info)
{
	struct axvm *mutable = (struct axvm *)(uintptr_t)vm; /* the lock is not part of its value */

	pthread_mutex_lock(&mutable->stop_lock);
	*ret_info = vm->stop_info;
	pthread_mutex_unlock(&mutable->stop_lock);
}
