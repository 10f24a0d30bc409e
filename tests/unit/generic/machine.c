/*
 * The machine of the tests. Its handler runs on vCPU threads and so never checks anything.
 */
#include "machine.h"

#include <string.h>

static void answer_port_or_mmio(struct machine *machine, struct axvcpu_exit *exit)
{
	bool port = exit->kind == AXVCPU_EXIT_IO_READ || exit->kind == AXVCPU_EXIT_IO_WRITE;
	bool is_write = exit->kind == AXVCPU_EXIT_IO_WRITE || exit->kind == AXVCPU_EXIT_MMIO_WRITE;
	uint64_t addr = port ? exit->io.port : exit->mmio.gpa;
	uint8_t width = port ? exit->io.width : exit->mmio.width;
	uint32_t count = port ? exit->io.count : 1;
	uint8_t *data = port ? exit->io.data : exit->mmio.data;

	memcpy(machine->last_bytes, data,
	       (size_t)width * count < sizeof(machine->last_bytes) ? (size_t)width * count
								   : sizeof(machine->last_bytes));
	for (uint32_t i = 0; i < count; i++, data += width) {
		struct axdev_access access = {.space = port ? AXDEV_PORT : AXDEV_MMIO,
					      .width = width,
					      .is_write = is_write,
					      .value = machine->read_value};
		if (is_write)
			memcpy(&access.value, data, width);
		if (is_write && port && addr == GENERIC_SERIAL_PORT && width == 1) {
			uint32_t at = atomic_fetch_add(&machine->text_len, 1);
			if (at < sizeof(machine->text) - 1)
				machine->text[at] = (char)access.value;
		}
		if (machine->bus)
			axbus_access(machine->bus, addr, &access);
		if (!is_write)
			memcpy(data, &access.value, width);
	}
}

static enum axvcpu_verdict on_exit_of(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				      struct ax_error *err)
{
	struct machine *machine = ctx;
	enum axvcpu_verdict verdict = AXVCPU_CONTINUE;

	(void)vcpu;
	switch (exit->kind) {
	case AXVCPU_EXIT_IO_READ:
	case AXVCPU_EXIT_IO_WRITE:
	case AXVCPU_EXIT_MMIO_READ:
	case AXVCPU_EXIT_MMIO_WRITE:
		answer_port_or_mmio(machine, exit);
		break;
	case AXVCPU_EXIT_HYPERCALL:
		exit->hypercall.ret = exit->hypercall.nr + exit->hypercall.args[0];
		break;
	case AXVCPU_EXIT_SYSREG_READ:
		exit->sysreg.value = machine->read_value;
		exit->sysreg.inject_fault = machine->refuse_sysregs;
		break;
	case AXVCPU_EXIT_SYSREG_WRITE:
		exit->sysreg.inject_fault = machine->refuse_sysregs;
		break;
	case AXVCPU_EXIT_INTERRUPT_END:
		atomic_store(&machine->ended_vector, exit->interrupt.vector);
		break;
	case AXVCPU_EXIT_SYSTEM_DOWN:
	case AXVCPU_EXIT_CPU_DOWN:
	case AXVCPU_EXIT_INTERNAL_ERROR:
	case AXVCPU_EXIT_FAIL_ENTRY:
		verdict = AXVCPU_STOP;
		break;
	default:
		break;
	}
	if (machine->vcpu_count == 1) {
		machine->last = *exit;
		machine->last_error = err->kind;
	}
	atomic_fetch_add(&machine->seen[exit->kind], 1);
	atomic_fetch_add(&machine->total, 1);
	return verdict;
}

void machine_create(struct machine *machine, uint32_t vcpu_count)
{
	const struct axarch_vm_config config = {
		.name = "test", .vcpu_count = vcpu_count, .memory_bytes = MACHINE_RAM};
	struct axas_mapper mapper;

	memset(machine, 0, sizeof(*machine));
	machine->arch = axarch_by_name("generic");
	assert_non_null(machine->arch);
	machine->read_value = 0x1122334455667788ULL;
	machine->vcpu_count = vcpu_count;
	assert_int_equal(machine->arch->plan(&config, &machine->plan, NULL), 0);
	assert_int_equal(machine->arch->vm_create(&config, &machine->plan, &machine->vm, NULL), 0);
	machine->arch->vm_mapper(machine->vm, &mapper);
	assert_int_equal(axas_create(machine->plan.gpa_limit, &mapper, &machine->memory, NULL), 0);
	for (size_t i = 0; i < machine->plan.memory_count; i++) {
		const struct axas_region_config region = {
			.name = "ram",
			.gpa = machine->plan.memory[i].gpa,
			.size_bytes = machine->plan.memory[i].size_bytes,
			.flags = AXAS_RW,
			.fd = -1,
		};
		assert_int_equal(axas_map(machine->memory, &region, NULL), 0);
	}
	for (uint32_t i = 0; i < vcpu_count; i++) {
		struct axvcpu_config vcpu = {
			.index = i, .on_exit = on_exit_of, .on_exit_ctx = machine};
		assert_int_equal(
			machine->arch->vcpu_create(machine->vm, i, &vcpu.ops, &vcpu.impl, NULL), 0);
		assert_int_equal(axvcpu_create(&vcpu, &machine->vcpu[i], NULL), 0);
	}
}

void machine_script(struct machine *machine, uint32_t vcpu, const struct generic_step *steps,
		    size_t count)
{
	assert_int_equal(generic_vm_set_script(machine->vm, vcpu, steps, count), 0);
}

void machine_start(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->vcpu_count; i++)
		assert_int_equal(axvcpu_setup(machine->vcpu[i], NULL), 0);
	for (uint32_t i = 0; i < machine->vcpu_count; i++)
		assert_int_equal(axvcpu_start(machine->vcpu[i], false, NULL), 0);
}

void machine_join(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->vcpu_count; i++) {
		wait_until(axvcpu_tid(machine->vcpu[i]) == 0);
		axvcpu_join(machine->vcpu[i]);
	}
}

void machine_destroy(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->vcpu_count; i++)
		axvcpu_destroy(machine->vcpu[i]);
	axas_destroy(machine->memory);
	assert_int_equal(generic_vm_slots(machine->vm), 0);
	machine->arch->vm_destroy(machine->vm);
}

void machine_play(struct machine *machine, const struct generic_step *steps, size_t count)
{
	machine_script(machine, 0, steps, count);
	machine_start(machine);
	machine_join(machine);
}
