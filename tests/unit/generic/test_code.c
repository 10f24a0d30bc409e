/*
 * Flat images: loading them through the table, and every instruction of the byte code.
 */
#include "machine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define W16(v) (uint8_t)(v), (uint8_t)((v) >> 8)
#define W32(v) W16(v), W16((v) >> 16)
#define W64(v) W32(v), W32((uint64_t)(v) >> 32)

static int image(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, len, 0), 0);
	return fd;
}

static int load(struct machine *machine, const void *bytes, size_t len, struct ax_error *err)
{
	const struct axarch_machine description = {0};
	int fd = image(bytes, len);
	const struct axarch_boot boot = {
		.kernel_fd = fd,
		.kernel_name = "image",
		.initrd_fd = -1,
		.cmdline = "quiet",
		.protocol = AXARCH_BOOT_FLAT,
		.load_gpa = 0x8000,
	};
	int rc = machine->arch->load(machine->vm, machine->memory, &boot, &description, err);

	close(fd);
	return rc;
}

static void play(struct machine *machine, const void *bytes, size_t len)
{
	machine_create(machine, 1);
	assert_int_equal(load(machine, bytes, len, NULL), 0);
	assert_string_equal(generic_vm_cmdline(machine->vm), "quiet");
	machine_start(machine);
	machine_join(machine);
}

static void test_hello(void **state)
{
	static const uint8_t code[] = {
		GENERIC_OP_NOP, GENERIC_OP_SAY, 6, 'h', 'e', 'l', 'l', 'o', '\n', GENERIC_OP_SAY, 0,
		GENERIC_OP_OFF,
	};
	struct machine machine;

	(void)state;
	play(&machine, code, sizeof(code));
	assert_string_equal(machine.text, "hello\n");
	assert_int_equal(machine.last.kind, AXVCPU_EXIT_SYSTEM_DOWN);
	assert_int_equal(machine.last.system.event, AXVCPU_SYSTEM_POWEROFF);
	machine_destroy(&machine);
}

static void test_arithmetic_and_access(void **state)
{
	static const uint8_t code[] = {
		GENERIC_OP_MOV,
		2,
		W64(3), /* three rounds of: */
		GENERIC_OP_OUT,
		1,
		W16(GENERIC_SERIAL_PORT),
		2,
		GENERIC_OP_ADD,
		2,
		W64(UINT64_MAX), /* one less */
		GENERIC_OP_JNZ,
		2,
		W16(-19),
		GENERIC_OP_LOAD,
		4,
		W64(0xd0000000),
		3, /* MMIO */
		GENERIC_OP_STORE,
		4,
		W64(0x1000),
		3, /* memory */
		GENERIC_OP_LOAD,
		2,
		W64(0x1000),
		4,
		GENERIC_OP_STORE,
		1,
		W64(0xd0000004),
		4,
		GENERIC_OP_IN,
		2,
		W16(0x70),
		5,
		GENERIC_OP_MOV,
		0,
		W64(10),
		GENERIC_OP_MOV,
		1,
		W64(5),
		GENERIC_OP_HCALL,
		GENERIC_OP_RDSR,
		6,
		W32(0x1b),
		GENERIC_OP_WRSR,
		6,
		W32(0x1c),
		GENERIC_OP_JMP,
		W16(1),
		GENERIC_OP_CRASH, /* jumped over */
		GENERIC_OP_RESET,
	};
	struct machine machine;
	uint64_t value;
	uint32_t word;

	(void)state;
	play(&machine, code, sizeof(code));
	assert_string_equal(machine.text, "\3\2\1");
	assert_int_equal(axas_read_u32(machine.memory, 0x1000, &word), 0);
	assert_int_equal(word, 0x55667788);
	static const struct {
		unsigned gpr;
		uint64_t value;
	} expected[] = {{0, 15},     {2, 0},      {3, 0x55667788},
			{4, 0x7788}, {5, 0x7788}, {6, 0x1122334455667788}};
	for (size_t i = 0; i < AX_ARRAY_LEN(expected); i++) {
		assert_int_equal(axvcpu_get_gpr(machine.vcpu[0], expected[i].gpr, &value, NULL), 0);
		assert_int_equal(value, expected[i].value);
	}
	assert_int_equal(machine.seen[AXVCPU_EXIT_MMIO_READ], 1);
	assert_int_equal(machine.seen[AXVCPU_EXIT_MMIO_WRITE], 1);
	assert_int_equal(machine.seen[AXVCPU_EXIT_SYSREG_WRITE], 1);
	assert_int_equal(machine.last.system.event, AXVCPU_SYSTEM_RESET);
	machine_destroy(&machine);
}

static void test_bad_instructions(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
	} cases[] = {
		{{0}, 1},
		{{0xff}, 1},
		{{GENERIC_OP_MOV, 16}, 10},
		{{GENERIC_OP_OUT, 8}, 5},
		{{GENERIC_OP_OUT, 3}, 5},
		{{GENERIC_OP_LOAD, 0}, 11},
		{{GENERIC_OP_RDSR, 200}, 6},
		{{GENERIC_OP_JMP, 0, 0x70}, 3}, /* to zeroes */
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct machine machine;
		play(&machine, cases[i].bytes, cases[i].len);
		assert_int_equal(machine.last.kind, AXVCPU_EXIT_INTERNAL_ERROR);
		bool jumped = cases[i].bytes[0] == GENERIC_OP_JMP;
		assert_int_equal(machine.last.failure.reason, jumped ? 0 : cases[i].bytes[0]);
		assert_int_equal(machine.last.failure.detail[0], jumped ? 0xf003 : 0x8000);
		machine_destroy(&machine);
	}
}

static void test_refused_sysreg(void **state)
{
	static const uint8_t code[] = {GENERIC_OP_RDSR, 2, W32(1), GENERIC_OP_OFF};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	machine.refuse_sysregs = true;
	assert_int_equal(load(&machine, code, sizeof(code), NULL), 0);
	machine_start(&machine);
	machine_join(&machine);
	assert_int_equal(machine.last.system.event, AXVCPU_SYSTEM_TRIPLE_FAULT);
	machine_destroy(&machine);
}

/* vCPU 0 waits for an interrupt and ends the machine; the others end, spin or wait. */
static void test_several(void **state)
{
	static const uint8_t code[] = {
		GENERIC_OP_JNZ,
		1,
		W16(2), /* the index is in r1 */
		GENERIC_OP_HALT,
		GENERIC_OP_CRASH,
		GENERIC_OP_ADD,
		1,
		W64(UINT64_MAX),
		GENERIC_OP_JNZ,
		1,
		W16(1),
		GENERIC_OP_DOWN,
		GENERIC_OP_SPIN,
	};
	const struct axvcpu_irq irq = {.vector = 60};
	struct machine machine;

	(void)state;
	machine_create(&machine, 3);
	assert_int_equal(load(&machine, code, sizeof(code), NULL), 0);
	machine_start(&machine);
	wait_until(machine.seen[AXVCPU_EXIT_CPU_DOWN] == 1);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_BLOCKED);
	wait_until(axvcpu_state(machine.vcpu[2]) == AXVCPU_RUNNING);
	assert_int_equal(axvcpu_inject(machine.vcpu[0], &irq, NULL), 0);
	wait_until(machine.seen[AXVCPU_EXIT_SYSTEM_DOWN] == 1);
	assert_int_equal(axvcpu_pause(machine.vcpu[2], NULL), 0);
	/* The one that ended itself is down, and halted for good when started again. */
	axvcpu_join(machine.vcpu[1]);
	for (uint32_t i = 0; i < 3; i++) {
		bool online = i == 1;

		assert_int_equal(axvcpu_online(machine.vcpu[i], &online, NULL), 0);
		assert_int_equal(online, i != 1);
	}
	assert_int_equal(axvcpu_start(machine.vcpu[1], false, NULL), 0);
	wait_until(axvcpu_state(machine.vcpu[1]) == AXVCPU_BLOCKED);
	machine_destroy(&machine);
}

static void test_endless_loop_is_stopped(void **state)
{
	static const uint8_t code[] = {GENERIC_OP_JMP, W16(-3)};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	assert_int_equal(load(&machine, code, sizeof(code), NULL), 0);
	machine_start(&machine);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_RUNNING);
	assert_int_equal(axvcpu_pause(machine.vcpu[0], NULL), 0);
	machine_destroy(&machine);
}

static void test_refused_images(void **state)
{
	static const enum axarch_boot_protocol others[] = {AXARCH_BOOT_LINUX64, AXARCH_BOOT_LINUX32,
							   AXARCH_BOOT_PVH};
	static const uint8_t code[] = {GENERIC_OP_OFF};
	const struct axarch_machine description = {0};
	struct axarch_boot boot = {.kernel_fd = -1, .initrd_fd = -1, .cmdline = "x=1"};
	struct ax_error err = {0};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	/* Nothing to load. */
	assert_int_equal(machine.arch->load(machine.vm, machine.memory, &boot, &description, NULL),
			 0);
	assert_string_equal(generic_vm_cmdline(machine.vm), "x=1");
	assert_int_equal(load(&machine, code, 0, &err), -ENOEXEC);
	assert_int_equal(err.kind, AX_ERROR_BOOT_IMAGE);
	assert_string_equal(generic_vm_cmdline(machine.vm), "x=1");
	generic_vm_set_fault(machine.vm, GENERIC_HOOK_LOAD, 1, AX_ERROR_NONE);
	assert_int_equal(load(&machine, code, 1, &err), -EIO);

	int fd = image(code, sizeof(code));
	boot.initrd_fd = fd;
	assert_int_equal(machine.arch->load(machine.vm, machine.memory, &boot, &description, &err),
			 -ENOTSUP);
	boot.initrd_fd = -1;
	boot.kernel_fd = fd;
	for (size_t i = 0; i < AX_ARRAY_LEN(others); i++) {
		boot.protocol = others[i];
		assert_int_equal(
			machine.arch->load(machine.vm, machine.memory, &boot, &description, &err),
			-ENOTSUP);
		assert_int_equal(err.kind, AX_ERROR_UNSUPPORTED);
	}
	boot.protocol = AXARCH_BOOT_FLAT;
	boot.load_gpa = MACHINE_RAM;
	assert_true(machine.arch->load(machine.vm, machine.memory, &boot, &description, &err) < 0);
	boot.protocol = AXARCH_BOOT_AUTO; /* its own address */
	assert_int_equal(machine.arch->load(machine.vm, machine.memory, &boot, &description, NULL),
			 0);
	close(fd);
	machine_start(&machine);
	machine_join(&machine);
	assert_int_equal(machine.last.kind, AXVCPU_EXIT_SYSTEM_DOWN);
	machine_destroy(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_arithmetic_and_access),
		cmocka_unit_test(test_bad_instructions),
		cmocka_unit_test(test_refused_sysreg),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_endless_loop_is_stopped),
		cmocka_unit_test(test_refused_images),
	};

	return cmocka_run_group_tests_name("generic-code", tests, NULL, NULL);
}
