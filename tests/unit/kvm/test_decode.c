/* struct kvm_run -> struct axvcpu_exit, one case for each exit, with a KVM that plays them. */
#include "fake.h"

static struct kvm_run next; /* what the next KVM_RUN leaves in the run page, but for its data */
static int next_errno;

static int play(struct kvm_run *run)
{
	uint8_t immediate_exit = run->immediate_exit;

	memcpy(run, &next, sizeof(next));
	run->immediate_exit = immediate_exit;
	return next_errno ? failing(next_errno) : 0;
}

static void start(struct fixture *f, uint32_t reason)
{
	fixture_create(f);
	fake.run = play;
	memset(&next, 0, sizeof(next));
	next.exit_reason = reason;
	next_errno = 0;
}

static struct axvcpu_exit run(struct fixture *f)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_NOTHING};

	assert_int_equal(axkvm_vcpu_run(f->vcpu, &exit, NULL, NULL, &f->err), 0);
	return exit;
}

static void io(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_IO);
	next.io.direction = KVM_EXIT_IO_OUT;
	next.io.size = 2;
	next.io.port = 0x3f8;
	next.io.count = 7;
	next.io.data_offset = 4096;
	struct axvcpu_exit exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_IO_WRITE);
	assert_int_equal(exit.io.port, 0x3f8);
	assert_int_equal(exit.io.width, 2);
	assert_int_equal(exit.io.count, 7);
	assert_ptr_equal(exit.io.data, (char *)fake.page + 4096);
	next.io.direction = KVM_EXIT_IO_IN;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_IO_READ);
	/* Data that would lie outside the mapping. */
	next.io.data_offset = 3 * 4096 - 13;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_INTERNAL_ERROR);
	next.io.data_offset = UINT64_MAX;
	exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_INTERNAL_ERROR);
	assert_int_equal(exit.failure.reason, KVM_EXIT_IO);
	fixture_destroy(&f);
}

static void mmio(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_MMIO);
	next.mmio.phys_addr = 0xd0000050;
	next.mmio.len = 4;
	next.mmio.is_write = 1;
	struct axvcpu_exit exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_MMIO_WRITE);
	assert_int_equal(exit.mmio.gpa, 0xd0000050);
	assert_int_equal(exit.mmio.width, 4);
	assert_ptr_equal(exit.mmio.data, fake.page->mmio.data);
	next.mmio.is_write = 0;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_MMIO_READ);
	next.mmio.len = 9;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_INTERNAL_ERROR);
	fixture_destroy(&f);
}

/* The answer goes back with the next entry, or with a completion that does not enter. */
static void sysreg(void **state)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_NOTHING};
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_X86_RDMSR);
	next.msr.index = 0x1234;
	next.msr.data = 99;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_SYSREG_READ);
	assert_int_equal(exit.sysreg.reg, 0x1234);
	assert_int_equal(exit.sysreg.value, 0);
	assert_true(exit.sysreg.inject_fault); /* unless somebody answers */
	exit.sysreg.value = 0x5566;
	exit.sysreg.inject_fault = false;
	next_errno = EINTR;
	next.msr.data = 0; /* play() overwrites the page after the answer was put there */
	assert_int_equal(axkvm_vcpu_complete(f.vcpu, &f.err), 0);
	assert_null(f.vcpu->answer);

	next_errno = 0;
	next.exit_reason = KVM_EXIT_X86_WRMSR;
	next.msr.data = 77;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_SYSREG_WRITE);
	assert_int_equal(exit.sysreg.value, 77);

	next.exit_reason = KVM_EXIT_HYPERCALL;
	memset(&next.hypercall, 0, sizeof(next.hypercall));
	next.hypercall.nr = 12;
	next.hypercall.args[5] = 6;
	exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HYPERCALL);
	assert_int_equal(exit.hypercall.nr, 12);
	assert_int_equal(exit.hypercall.args[5], 6);
	f.vcpu->answer = NULL; /* it was run()'s own */
	fixture_destroy(&f);
}

static int see_answer(struct kvm_run *page)
{
	assert_int_equal(page->msr.data, 0x5566);
	assert_int_equal(page->msr.error, 1);
	page->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static void sysreg_answer(void **state)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_NOTHING};
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_X86_RDMSR);
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	exit.sysreg.value = 0x5566;
	exit.sysreg.inject_fault = true;
	fake.run = see_answer;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HALT);
	fixture_destroy(&f);
}

static int see_hypercall_answer(struct kvm_run *page)
{
	assert_int_equal(page->hypercall.ret, 0x778899);
	page->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static void hypercall_answer(void **state)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_NOTHING};
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_HYPERCALL);
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HYPERCALL);
	exit.hypercall.ret = 0x778899;
	fake.run = see_hypercall_answer;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HALT);
	fixture_destroy(&f);
}

static void system_events(void **state)
{
	static const struct {
		uint32_t type;
		enum axvcpu_system_event event;
	} rows[] = {
		{KVM_SYSTEM_EVENT_SHUTDOWN, AXVCPU_SYSTEM_POWEROFF},
		{KVM_SYSTEM_EVENT_RESET, AXVCPU_SYSTEM_RESET},
		{KVM_SYSTEM_EVENT_CRASH, AXVCPU_SYSTEM_CRASH},
	};
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_SYSTEM_EVENT);
	next.system_event.ndata = 1;
	next.system_event.data[0] = 42;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		next.system_event.type = rows[i].type;
		struct axvcpu_exit exit = run(&f);
		assert_int_equal(exit.kind, AXVCPU_EXIT_SYSTEM_DOWN);
		assert_int_equal(exit.system.event, rows[i].event);
		assert_int_equal(exit.system.detail, 42);
	}
	next.system_event.type = 77;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_INTERNAL_ERROR);
	next.exit_reason = KVM_EXIT_SHUTDOWN;
	struct axvcpu_exit exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_SYSTEM_DOWN);
	assert_int_equal(exit.system.event, AXVCPU_SYSTEM_TRIPLE_FAULT);
	fixture_destroy(&f);
}

static void failures(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_FAIL_ENTRY);
	next.fail_entry.hardware_entry_failure_reason = 0x80000021;
	next.fail_entry.cpu = 3;
	struct axvcpu_exit exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_FAIL_ENTRY);
	assert_int_equal(exit.failure.reason, 0x80000021);
	assert_int_equal(exit.failure.detail[0], 3);

	memset(&next, 0, sizeof(next));
	next.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	next.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	next.internal.ndata = 16;
	next.internal.data[0] = 10;
	next.internal.data[2] = 12;
	exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_INTERNAL_ERROR);
	assert_int_equal(exit.failure.reason, KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(exit.failure.detail[0], KVM_INTERNAL_ERROR_EMULATION);
	assert_int_equal(exit.failure.detail[1], 10);
	assert_int_equal(exit.failure.detail[3], 12);

	/* Exits nobody has a row for, known to KVM or not. */
	for (uint32_t reason = 0; reason < 64; reason++) {
		memset(&next, 0, sizeof(next));
		next.exit_reason = reason;
		exit = run(&f);
		f.vcpu->answer = NULL;
		if (reason == KVM_EXIT_UNKNOWN || reason == KVM_EXIT_DEBUG || reason > 39) {
			assert_int_equal(exit.kind, AXVCPU_EXIT_INTERNAL_ERROR);
			assert_int_equal(exit.failure.reason, reason);
		}
	}
	fixture_destroy(&f);
}

static void small_ones(void **state)
{
	static const struct {
		uint32_t reason;
		enum axvcpu_exit_kind kind;
	} rows[] = {
		{KVM_EXIT_HLT, AXVCPU_EXIT_HALT},
		{KVM_EXIT_INTR, AXVCPU_EXIT_EXTERNAL_INTERRUPT},
		{KVM_EXIT_IRQ_WINDOW_OPEN, AXVCPU_EXIT_NOTHING},
		{KVM_EXIT_SET_TPR, AXVCPU_EXIT_NOTHING},
	};
	struct fixture f;

	(void)state;
	start(&f, 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		next.exit_reason = rows[i].reason;
		assert_int_equal(run(&f).kind, rows[i].kind);
	}
	next.exit_reason = KVM_EXIT_IOAPIC_EOI;
	next.eoi.vector = 0x31;
	struct axvcpu_exit exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_INTERRUPT_END);
	assert_int_equal(exit.interrupt.vector, 0x31);
	fixture_destroy(&f);
}

static void errors_of_run(void **state)
{
	const uint64_t fault[3] = {0, 0x12345000, 0x1000};
	struct axvcpu_exit exit;
	struct fixture f;

	(void)state;
	start(&f, KVM_EXIT_UNKNOWN);
	next_errno = EINTR;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_EXTERNAL_INTERRUPT);
	next_errno = EAGAIN;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_NOTHING);
	next_errno = EFAULT;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), -EFAULT);
	assert_int_equal(f.err.kind, AX_ERROR_VCPU_RUNTIME);
	assert_true(f.err.hint[0]);
	next_errno = EBADF;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, NULL, NULL, &f.err), -EBADF);
	/* KVM explains the fault beside the error. */
	next_errno = EFAULT;
	next.exit_reason = KVM_EXIT_MEMORY_FAULT;
	memcpy(next.padding, fault, sizeof(fault));
	exit = run(&f);
	assert_int_equal(exit.kind, AXVCPU_EXIT_NESTED_PAGE_FAULT);
	assert_int_equal(exit.fault.gpa, 0x12345000);
	fixture_destroy(&f);
}

static int see_immediate_exit(struct kvm_run *page)
{
	if (page->immediate_exit)
		return failing(EINTR);
	page->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static void kick_and_complete(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 0);
	fake.run = see_immediate_exit;
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_HALT);
	axkvm_vcpu_kick(f.vcpu);
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_EXTERNAL_INTERRUPT);
	/* Completion borrows the flag and gives it back. */
	assert_int_equal(axkvm_vcpu_complete(f.vcpu, &f.err), 0);
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_EXTERNAL_INTERRUPT);
	axkvm_vcpu_clear_kick(f.vcpu);
	assert_int_equal(axkvm_vcpu_complete(f.vcpu, &f.err), 0);
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_HALT);

	/* The instruction has a second access: it is kept for the next run, which does not enter.
	 */
	fake.run = play;
	next.exit_reason = KVM_EXIT_MMIO;
	next.mmio.len = 8;
	unsigned runs = fake.runs;
	assert_int_equal(axkvm_vcpu_complete(f.vcpu, &f.err), 0);
	assert_int_equal(axkvm_vcpu_complete(f.vcpu, &f.err), 0);
	assert_int_equal(run(&f).kind, AXVCPU_EXIT_MMIO_READ);
	assert_int_equal(fake.runs, runs + 1);
	assert_false(axkvm_vcpu_halted(f.vcpu)); /* no statistics here */
	fixture_destroy(&f);
}

static bool take_debug(void *ctx, void *kvm_run, struct axvcpu_exit *exit)
{
	const struct kvm_run *page = kvm_run;

	++*(int *)ctx;
	if (page->exit_reason != KVM_EXIT_DEBUG)
		return false;
	exit->kind = AXVCPU_EXIT_IDLE;
	return true;
}

static void arch_first(void **state)
{
	struct axvcpu_exit exit;
	struct fixture f;
	int asked = 0;

	(void)state;
	start(&f, KVM_EXIT_DEBUG);
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, take_debug, &asked, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_IDLE);
	next.exit_reason = KVM_EXIT_HLT;
	assert_int_equal(axkvm_vcpu_run(f.vcpu, &exit, take_debug, &asked, &f.err), 0);
	assert_int_equal(exit.kind, AXVCPU_EXIT_HALT);
	assert_int_equal(asked, 2);
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io),
		cmocka_unit_test(mmio),
		cmocka_unit_test(sysreg),
		cmocka_unit_test(sysreg_answer),
		cmocka_unit_test(hypercall_answer),
		cmocka_unit_test(system_events),
		cmocka_unit_test(failures),
		cmocka_unit_test(small_ones),
		cmocka_unit_test(errors_of_run),
		cmocka_unit_test(arch_first),
		cmocka_unit_test(kick_and_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
