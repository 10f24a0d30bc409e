/*
 * The fake VM: its table, plan, lines, doorbells and platform devices.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

static const struct axarch *generic(void)
{
	return axarch_by_name("generic");
}

static void test_table(void **state)
{
	struct axarch_fact facts[8];

	(void)state;
	assert_ptr_equal(generic(), &axarch_generic);
	assert_false(axarch_generic.ident());
	assert_int_equal(axarch_generic.probe(NULL, NULL), 0);
	assert_int_equal(axarch_generic.probe("/dev/kvm", NULL), 0);
	size_t count = axarch_generic.facts(NULL, facts, AX_ARRAY_LEN(facts));
	assert_true(count > 0 && count <= AX_ARRAY_LEN(facts));
	for (size_t i = 0; i < count; i++)
		assert_true(facts[i].name && facts[i].what);
	for (size_t i = 0; i < offsetof(struct axarch, unfinished) / sizeof(void *); i++) {
		void *entry;
		memcpy(&entry, (const char *)&axarch_generic + i * sizeof(entry), sizeof(entry));
		assert_non_null(entry);
	}
	assert_false(axarch_generic.unfinished);
}

static void test_plan(void **state)
{
	static const struct {
		uint64_t bytes, low, high;
	} good[] = {
		{AXAS_PAGE_SIZE, AXAS_PAGE_SIZE, 0},
		{512 * AX_MIB, 512 * AX_MIB, 0},
		{3 * AX_GIB, 3 * AX_GIB, 0},
		{3 * AX_GIB + AXAS_PAGE_SIZE, 3 * AX_GIB, AXAS_PAGE_SIZE},
		{64 * AX_GIB, 3 * AX_GIB, 61 * AX_GIB},
	};
	static const uint64_t bad[] = {0, 1, 4095, 4097, 64 * AX_GIB + 4096, UINT64_MAX};
	static const uint32_t bad_counts[] = {0, 256, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(good); i++) {
		struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = good[i].bytes};
		struct axarch_plan plan = {0};
		assert_int_equal(generic()->plan(&config, &plan, NULL), 0);
		assert_int_equal(plan.memory_count, good[i].high ? 2 : 1);
		assert_int_equal(plan.memory[0].gpa, 0);
		assert_int_equal(plan.memory[0].size_bytes, good[i].low);
		if (good[i].high) {
			assert_int_equal(plan.memory[1].gpa, 4 * AX_GIB);
			assert_int_equal(plan.memory[1].size_bytes, good[i].high);
		}
		assert_int_equal(plan.layout.count, plan.memory_count + 4);
		assert_true(plan.pci.ecam_gpa >= 3 * AX_GIB);
		assert_int_equal(plan.device_count, 32);
		assert_true(plan.device_gpa >= 3 * AX_GIB);
		for (uint32_t slot = 1; slot < plan.device_count; slot++)
			assert_int_equal(plan.device_gsi[slot], plan.device_gsi[0] + slot);
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(bad) + AX_ARRAY_LEN(bad_counts); i++) {
		bool memory = i < AX_ARRAY_LEN(bad);
		struct axarch_vm_config config = {
			.vcpu_count = memory ? 1 : bad_counts[i - AX_ARRAY_LEN(bad)],
			.memory_bytes = memory ? bad[i] : AX_MIB};
		struct axarch_plan plan = {.device_count = 77};
		struct ax_error err = {0};
		assert_true(generic()->plan(&config, &plan, &err) < 0);
		assert_true(err.message[0]);
		assert_int_equal(plan.device_count, 77);
	}
}

static void test_lines(void **state)
{
	struct machine machine;
	struct axirq_chip chip;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;

	(void)state;
	machine_create(&machine, 1);
	machine.arch->vm_irq_chip(machine.vm, &chip);
	assert_int_equal(chip.set_level(chip.ctx, 5, true), 0);
	assert_int_equal(chip.set_level(chip.ctx, 5, true), 0);
	assert_true(generic_vm_irq_level(machine.vm, 5));
	assert_int_equal(generic_vm_irq_edges(machine.vm, 5), 1);
	assert_int_equal(chip.set_level(chip.ctx, 5, false), 0);
	assert_int_equal(chip.set_level(chip.ctx, chip.gsi_count, true), -ERANGE);
	assert_int_equal(chip.assign_fd(chip.ctx, 6, fd, NULL), 0);
	assert_int_equal(chip.assign_fd(chip.ctx, 6, fd, NULL), -EEXIST);
	assert_true(chip.assign_fd(chip.ctx, 7, -1, NULL) < 0);
	assert_true(generic_vm_irq_has_fd(machine.vm, 6));
	assert_int_equal(generic_vm_irq_edges(machine.vm, 6), 0);
	assert_int_equal(write(fd, &one, 8), 8);
	assert_int_equal(generic_vm_irq_edges(machine.vm, 6), 1);
	assert_int_equal(generic_vm_irq_edges(machine.vm, 6), 1);
	assert_int_equal(chip.release_fd(chip.ctx, 7, fd), -ENOENT);
	assert_int_equal(chip.release_fd(chip.ctx, 6, fd), 0);
	assert_int_equal(chip.release_fd(chip.ctx, 6, fd), -ENOENT);
	assert_false(generic_vm_irq_has_fd(machine.vm, 6));
	assert_int_equal(chip.assign_fd(chip.ctx, 6, fd, NULL), 0); /* left to vm_destroy */
	close(fd);
	machine_destroy(&machine);
}

static void test_messages(void **state)
{
	const struct axirq_message message = {.address = 0xfee00000, .data = 0x41, .device_id = 8};
	struct axirq_message seen = {0};
	struct machine machine;
	struct axirq_chip chip;

	(void)state;
	machine_create(&machine, 1);
	machine.arch->vm_irq_chip(machine.vm, &chip);
	assert_false(generic_vm_message(machine.vm, chip.msi_first, &seen));
	assert_int_equal(chip.set_msi(chip.ctx, chip.msi_first, &message, NULL), 0);
	assert_true(generic_vm_message(machine.vm, chip.msi_first, &seen));
	assert_int_equal(seen.address, message.address);
	assert_int_equal(seen.data, message.data);
	assert_int_equal(seen.device_id, message.device_id);
	assert_int_equal(chip.set_msi(chip.ctx, chip.msi_first, NULL, NULL), 0);
	assert_false(generic_vm_message(machine.vm, chip.msi_first, &seen));
	assert_int_equal(chip.set_msi(chip.ctx, chip.msi_first - 1, &message, NULL), -ERANGE);
	assert_int_equal(chip.set_msi(chip.ctx, chip.msi_first + chip.msi_count, &message, NULL),
			 -ERANGE);
	assert_false(generic_vm_message(machine.vm, chip.msi_first + chip.msi_count, &seen));
	machine_destroy(&machine);
}

static uint64_t rung(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static void test_doorbells(void **state)
{
	int any = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const struct axdev_doorbell bells[] = {
		{.space = AXDEV_MMIO, .addr = 0xd0000050, .width = 0, .event_fd = any},
		{.space = AXDEV_PORT,
		 .addr = 0x99,
		 .width = 2,
		 .has_match = true,
		 .match = 0x101,
		 .event_fd = one},
	};
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {.gpa = 0xd0000050, .width = 4}},
		 .value = 1},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {.gpa = 0xd0000050, .width = 2}},
		 .value = 2},
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = 0x99, .width = 2}},
		 .value = 0x101},
		/* These four leave. */
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = 0x99, .width = 2}},
		 .value = 0x102},
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = 0x99, .width = 1}},
		 .value = 0x101},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {.gpa = 0xd0000054, .width = 4}}},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {.gpa = 0xd0000050, .width = 4}}},
		STEP_OFF,
	};
	const struct axdev_doorbell bad[] = {
		{.space = AXDEV_SYSREG, .addr = 1, .width = 4, .event_fd = any},
		{.space = AXDEV_PORT, .addr = 1, .width = 0, .event_fd = any},
		{.space = AXDEV_MMIO, .addr = 1, .width = 0, .has_match = true, .event_fd = any},
		{.space = AXDEV_MMIO, .addr = 1, .width = 4, .event_fd = -1},
	};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++)
		assert_true(machine.arch->assign_doorbell(machine.vm, &bad[i], NULL) < 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(bells); i++) {
		assert_int_equal(machine.arch->assign_doorbell(machine.vm, &bells[i], NULL), 0);
		assert_int_equal(machine.arch->assign_doorbell(machine.vm, &bells[i], NULL),
				 -EEXIST);
	}
	machine_play(&machine, steps, AX_ARRAY_LEN(steps));
	assert_int_equal(rung(any), 2);
	assert_int_equal(rung(one), 1);
	assert_int_equal(machine.total, 5);
	assert_int_equal(generic_vm_doorbell_hits(machine.vm), 3);
	assert_int_equal(machine.arch->release_doorbell(machine.vm, &bells[0]), 0);
	assert_int_equal(machine.arch->release_doorbell(machine.vm, &bells[0]), -ENOENT);
	assert_int_equal(generic_vm_doorbells(machine.vm), 1);
	machine_destroy(&machine);
	close(any);
	close(one);
}

/* ---- platform -------------------------------------------------------------------------------- */

struct platform_log {
	_Atomic int power;
	_Atomic uint64_t mark;
};

static void on_power(void *ctx, enum axdev_power_event event)
{
	atomic_store(&((struct platform_log *)ctx)->power, (int)event + 1);
}

static void on_mark(void *ctx, uint64_t code)
{
	atomic_store(&((struct platform_log *)ctx)->mark, code);
}

static uint64_t on_hypercall(void *ctx, uint64_t nr, const uint64_t args[6])
{
	(void)ctx;
	return nr * args[0];
}

static void test_platform(void **state)
{
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE,
			  .io = {.port = GENERIC_MARK_PORT, .width = 1}},
		 .value = 0x42},
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE,
			  .io = {.port = GENERIC_POWER_PORT, .width = 2}},
		 .value = 0x2000},
		{.exit = {.kind = AXVCPU_EXIT_IO_READ,
			  .io = {.port = GENERIC_MARK_PORT, .width = 1}}},
		STEP_OFF,
	};
	struct platform_log log = {0};
	struct machine machine;
	struct generic_answer answer;

	(void)state;
	machine_create(&machine, 1);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &machine.bus, NULL), 0);
	const struct axdev_services services = {.memory = machine.memory};
	const struct axarch_platform platform = {
		.bus = machine.bus,
		.services = &services,
		.on_power = on_power,
		.on_mark = on_mark,
		.on_hypercall = on_hypercall,
		.ctx = &log,
	};
	assert_int_equal(machine.arch->platform_attach(machine.vm, &platform, NULL), 0);
	assert_int_equal(axbus_devices(machine.bus, NULL, 0), 3);
	/* A second time the names are taken: nothing of it stays. */
	assert_true(machine.arch->platform_attach(machine.vm, &platform, NULL) < 0);
	assert_int_equal(axbus_devices(machine.bus, NULL, 0), 3);
	machine_play(&machine, steps, AX_ARRAY_LEN(steps));
	assert_int_equal(log.mark, 0x42);
	assert_int_equal(log.power, AXDEV_POWER_OFF + 1);
	assert_true(generic_vm_answer(machine.vm, 0, 2, &answer));
	assert_int_equal(answer.value, 0x42); /* a read gives the last code */
	struct axbus *bus = machine.bus;
	machine_destroy(&machine);
	axbus_destroy(bus);
}

/* The plan's pieces lie on the nodes given, and the VM keeps what it was told. */
static void test_topology(void **state)
{
	uint64_t bytes[] = {AX_GIB, 3 * AX_GIB};
	uint32_t nodes[] = {1, 0};
	const uint8_t distances[] = {10, 20, 20, 10};
	const struct axarch_topology topology = {.node_count = 2,
						 .node_bytes = bytes,
						 .vcpu_nodes = nodes,
						 .distances = distances,
						 .threads_per_core = 1};
	struct axarch_vm_config config = {
		.vcpu_count = 2, .memory_bytes = 4 * AX_GIB, .topology = &topology};
	struct axarch_plan plan = {0}, flat = {0};
	struct axarch_vm *vm = NULL;

	(void)state;
	assert_int_equal(generic()->plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.memory_count, 3);
	assert_int_equal(plan.memory[0].node, 0);
	assert_int_equal(plan.memory[1].gpa, AX_GIB);
	assert_int_equal(plan.memory[1].size_bytes, 2 * AX_GIB);
	assert_int_equal(plan.memory[1].node, 1);
	assert_int_equal(plan.memory[2].gpa, 4 * AX_GIB);
	assert_int_equal(plan.memory[2].node, 1);
	assert_int_equal(generic()->vm_create(&config, &plan, &vm, NULL), 0);
	nodes[0] = 77;
	assert_int_equal(generic_vm_topology(vm)->node_count, 2);
	assert_int_equal(generic_vm_topology(vm)->vcpu_nodes[0], 1);
	assert_int_equal(generic_vm_topology(vm)->distances[1], 20);
	generic()->vm_destroy(vm);
	assert_true(generic()->plan(&config, &plan, NULL) < 0);

	/* Without: what it was. */
	config.topology = NULL;
	assert_int_equal(generic()->plan(&config, &flat, NULL), 0);
	assert_int_equal(flat.memory_count, 2);
	assert_int_equal(flat.layout.count, plan.layout.count);
	assert_int_equal(generic()->vm_create(&config, &flat, &vm, NULL), 0);
	assert_null(generic_vm_topology(vm));
	generic()->vm_destroy(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),    cmocka_unit_test(test_plan),
		cmocka_unit_test(test_topology), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_messages), cmocka_unit_test(test_doorbells),
		cmocka_unit_test(test_platform),
	};

	return cmocka_run_group_tests_name("generic-vm", tests, NULL, NULL);
}
