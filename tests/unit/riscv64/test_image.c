/*
 * The loader: where an Image goes and what it needs, every malformed one refused, initrds, command
 * lines, flat images.
 */
#include "helpers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DTB (RV64_RAM_GPA + 510 * AX_MIB) /* with 512 MiB */

static void where_it_goes(void **state)
{
	static const struct {
		uint64_t text_offset, image_size, entry;
	} rows[] = {
		{0x200000, 0x20000, BASE},
		{0, 0x20000, RV64_RAM_GPA},
		{0x400000, 0x20000, BASE + 0x200000},
		{0, 0, BASE}, /* the header says nothing */
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		static const uint32_t harts[] = {4, 2};
		struct rv64_start start;
		struct machine m;
		uint8_t bytes[IMAGE_BYTES];
		machine_init(&m);
		m.rig.config.hardware_ids = harts;
		machine_map(&m);
		machine_image(&m, rows[i].text_offset, rows[i].image_size, 0);
		if (machine_load(&m, &start) < 0)
			fail_msg("%s", m.rig.err.message);
		assert_int_equal(start.pc, rows[i].entry);
		assert_int_equal(start.a0, 4);
		assert_int_equal(start.a1, DTB);
		assert_int_equal(axas_read(m.rig.memory, start.pc, bytes, sizeof(bytes)), 0);
		assert_memory_equal(bytes, "MZ", 2);
		assert_memory_equal(bytes + 0x38, "RSC\x05", 4);
		assert_int_equal(bytes[IMAGE_BYTES - 1], 0xa5);
		rig_finish(&m.rig);
	}
}

static void malformed(void **state)
{
	static const struct {
		uint64_t text_offset, image_size, flags;
		const char *text;
	} rows[] = {
		{BASE - RV64_RAM_GPA, 0x20000, 1, "big-endian"},
		{BASE - RV64_RAM_GPA, IMAGE_BYTES - 1, 0, "image_size 0x1fff"},
		{BASE - RV64_RAM_GPA, 1ULL << 31, 0, "image_size 0x80000000"},
		{BASE - RV64_RAM_GPA, UINT64_MAX, 0, "image_size 0xffffffffffffffff"},
		{0x1001, 0x20000, 0, "text_offset 0x1001"},
		{0x1000, 0x20000, 0, "multiple of 2 MiB"},
		{1ULL << 30, 0x20000, 0, "text_offset 0x40000000"},
		{UINT64_MAX & ~0xfffULL, 0x20000, 0, "text_offset"},
		/* Fits the header's limits, but not this machine. */
		{BASE - RV64_RAM_GPA, 600 * AX_MIB, 0, "raise --memory to at least 604M"},
	};
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		machine_image(&m, rows[i].text_offset, rows[i].image_size, rows[i].flags);
		assert_refused(&m, AX_ERROR_BOOT_IMAGE, rows[i].text);
	}
	rig_finish(&m.rig);
}

static void no_image_at_all(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		{"", 0, "is empty"},
		{"x", 1, "a riscv64 Image"},
		{"\x1f\x8b\x08", 3, "gzip"},
		{"\x7f"
		 "ELF",
		 4, "a riscv64 Image"},
	};
	uint8_t arm[64] = "MZ";
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		rig_kernel(&m.rig, rows[i].bytes, rows[i].len);
		assert_refused(&m, AX_ERROR_BOOT_IMAGE, rows[i].text);
	}
	memcpy(arm + 0x38, "ARM\x64", 4);
	rig_kernel(&m.rig, arm, sizeof(arm));
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "a riscv64 Image");
	machine_image(&m, 0x200000, 0x20000, 0);
	m.rig.boot.protocol = AXARCH_BOOT_PVH;
	assert_refused(&m, AX_ERROR_CONFIGURATION, "linux64 or flat");
	rig_finish(&m.rig);
}

static void initrd_below_the_tree(void **state)
{
	struct rv64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	machine_image(&m, 0x200000, 0x20000, 0);
	rig_initrd(&m.rig, 5 * AX_MIB + 1);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	const uint64_t gpa = DTB - 5 * AX_MIB - 4096;
	struct axfdt *fdt = machine_tree(&m);
	assert_int_equal(cells_at(fdt, "/chosen", "linux,initrd-start", 0), gpa);
	assert_int_equal(cells_at(fdt, "/chosen", "linux,initrd-end", 0), gpa + 5 * AX_MIB + 1);
	char magic[6];
	assert_int_equal(axas_read(m.rig.memory, gpa, magic, sizeof(magic)), 0);
	assert_memory_equal(magic, "070701", 6);
	axfdt_destroy(fdt);

	rig_initrd(&m.rig, 508 * AX_MIB);
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "raise --memory");
	rig_finish(&m.rig);
}

/* The tree is within reach of the kernel's first mapping, however much RAM there is. */
static void tree_in_the_first_gib(void **state)
{
	static const struct {
		uint64_t bytes, gpa;
	} rows[] = {
		{16 * AX_MIB, RV64_RAM_GPA + 14 * AX_MIB},
		{17 * AX_MIB + 4096, RV64_RAM_GPA + 14 * AX_MIB},
		{AX_GIB, RV64_RAM_GPA + 1022 * AX_MIB},
		{40 * AX_GIB, RV64_RAM_GPA + 1022 * AX_MIB},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_plan plan = {.memory = {{RV64_RAM_GPA, rows[i].bytes}},
						 .memory_count = 1};
		assert_int_equal(rv64_dtb_gpa(&plan), rows[i].gpa);
	}
}

static void command_line(void **state)
{
	static char line[1025];
	struct rv64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	machine_image(&m, 0x200000, 0x20000, 0);
	memset(line, 'a', 1024);
	m.rig.boot.cmdline = line;
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "at most 1023");
	line[1023] = '\0';
	assert_int_equal(machine_load(&m, &start), 0);

	/* Announced as x86 does it, and not in the tree. */
	m.rig.boot.cmdline = "panic=-1";
	m.rig.devices.announce = AXARCH_ANNOUNCE_CMDLINE;
	ax_log_set_level(AX_LOG_ERROR);
	assert_int_equal(machine_load(&m, &start), 0);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/chosen", "bootargs",
		    "panic=-1 virtio_mmio.device=4K@0x10100000:16 "
		    "virtio_mmio.device=4K@0x10101000:17");
	assert_false(axfdt_has(fdt, "/virtio_mmio@10100000"));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

static void flat(void **state)
{
	static const struct {
		uint64_t gpa, entry;
		enum ax_error_kind kind;
		const char *text;
	} rows[] = {
		{0, 0, AX_ERROR_BOOT_IMAGE, "do not fit into RAM"},
		{DTB, 0, AX_ERROR_BOOT_IMAGE, "overwrite the device tree"},
		{DTB - 4, 0, AX_ERROR_BOOT_IMAGE, "overwrite the device tree"},
		{RV64_RAM_GPA + 512 * AX_MIB - 4, 0, AX_ERROR_BOOT_IMAGE, "do not fit"},
		{BASE, BASE + 64, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{BASE, BASE - 4, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{BASE, BASE + 1, AX_ERROR_CONFIGURATION, "multiple of 2"},
	};
	const uint32_t code[16] = {0x10500073}; /* wfi */
	struct rv64_start start;
	struct machine m;
	uint32_t word = 0;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	m.rig.boot.protocol = AXARCH_BOOT_FLAT;
	rig_kernel(&m.rig, code, sizeof(code));
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		m.rig.boot.load_gpa = rows[i].gpa;
		m.rig.boot.entry = rows[i].entry;
		assert_refused(&m, rows[i].kind, rows[i].text);
	}
	m.rig.boot.load_gpa = RV64_RAM_GPA;
	m.rig.boot.entry = RV64_RAM_GPA + 10;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.pc, RV64_RAM_GPA + 10);
	assert_int_equal(start.a1, DTB);
	assert_int_equal(axas_read_u32(m.rig.memory, RV64_RAM_GPA, &word), 0);
	assert_int_equal(word, code[0]);
	rig_initrd(&m.rig, 4096);
	assert_refused(&m, AX_ERROR_CONFIGURATION, "takes no initrd");
	rig_finish(&m.rig);
}

/* Code that is in memory already. */
static void no_kernel(void **state)
{
	struct rv64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	m.rig.boot.load_gpa = BASE;
	m.rig.config.irq_mode = AXARCH_IRQ_NONE;
	m.info.irqchip = RV64_IRQCHIP_NONE;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.pc, BASE);
	rig_finish(&m.rig);
}

/* The kernel that tools/guest/build-tiny-kernel has put into the cache. */
static void cached_kernel(void **state)
{
	const char *base = getenv("AXVM_CACHE"), *home = getenv("HOME");
	struct rv64_start start;
	struct machine m;
	char path[1024];
	(void)state;

	snprintf(path, sizeof(path), "%s%s/kernels/riscv64/vmlinuz",
		 base   ? base
		 : home ? home
			: "",
		 base ? "" : "/.cache/axvm");
	if (access(path, R_OK) < 0) {
		print_message("no %s\n", path);
		skip();
	}
	machine_init(&m);
	machine_map(&m);
	m.rig.boot.kernel_fd = open(path, O_RDONLY | O_CLOEXEC);
	m.rig.boot.kernel_name = path;
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	assert_int_equal(start.pc, BASE);
	rig_finish(&m.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_goes),
		cmocka_unit_test(malformed),
		cmocka_unit_test(no_image_at_all),
		cmocka_unit_test(initrd_below_the_tree),
		cmocka_unit_test(tree_in_the_first_gib),
		cmocka_unit_test(command_line),
		cmocka_unit_test(flat),
		cmocka_unit_test(no_kernel),
		cmocka_unit_test(cached_kernel),
	};
	return cmocka_run_group_tests_name("riscv64-image", tests, NULL, NULL);
}
