/*
 * The loader: where an Image goes and what it needs, every malformed one refused, initrds, command
 * lines.
 */
#include "helpers.h"

#include <string.h>

#define FLAGS_ANYWHERE 0xaULL /* 4 KiB pages, placed anywhere */

static void where_it_goes(void **state)
{
	static const struct {
		uint64_t text_offset, image_size, flags, entry;
	} rows[] = {
		{0, 0x20000, FLAGS_ANYWHERE, BASE},
		{0x80000, 0x20000, 0, BASE + 0x80000},
		{0, 0, 0, BASE + 0x80000}, /* before 3.17: the header says nothing */
		{0x200000, 0x20000, FLAGS_ANYWHERE, BASE + 0x200000},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct a64_start start;
		struct machine m;
		uint8_t bytes[IMAGE_BYTES];
		machine_init(&m);
		machine_map(&m);
		machine_image(&m, rows[i].text_offset, rows[i].image_size, rows[i].flags);
		if (machine_load(&m, &start) < 0)
			fail_msg("%s", m.rig.err.message);
		assert_int_equal(start.pc, rows[i].entry);
		assert_int_equal(start.x0, A64_DTB_GPA);
		assert_int_equal(axas_read(m.rig.memory, start.pc, bytes, sizeof(bytes)), 0);
		assert_memory_equal(bytes, "MZ", 2);
		assert_memory_equal(bytes + 0x38, "ARM\x64", 4);
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
		{0, 0x20000, 1, "big-endian"},
		{0, IMAGE_BYTES - 1, FLAGS_ANYWHERE, "image_size 0x1fff"},
		{0, 1ULL << 31, FLAGS_ANYWHERE, "image_size 0x80000000"},
		{0, UINT64_MAX, FLAGS_ANYWHERE, "image_size 0xffffffffffffffff"},
		{0x1001, 0x20000, FLAGS_ANYWHERE, "text_offset 0x1001"},
		{1ULL << 30, 0x20000, FLAGS_ANYWHERE, "text_offset 0x40000000"},
		{UINT64_MAX & ~0xfffULL, 0x20000, FLAGS_ANYWHERE, "text_offset"},
		/* Fits the header's limits, but not this machine. */
		{0, 600 * AX_MIB, FLAGS_ANYWHERE, "raise --memory to at least 602M"},
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
		{"x", 1, "an arm64 Image"},
		{"\x1f\x8b\x08", 3, "gzip"},
		{"\x7f"
		 "ELF",
		 4, "an arm64 Image"},
	};
	uint8_t riscv[64] = "MZ";
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		rig_kernel(&m.rig, rows[i].bytes, rows[i].len);
		assert_refused(&m, AX_ERROR_BOOT_IMAGE, rows[i].text);
	}
	memcpy(riscv + 0x38, "RSC\x05", 4);
	rig_kernel(&m.rig, riscv, sizeof(riscv));
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "a riscv kernel Image");
	/* The magic in a file that ends before the header does. */
	rig_kernel(&m.rig, riscv, 0x3b);
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "an arm64 Image");
	machine_image(&m, 0, 0x20000, 0);
	m.rig.boot.protocol = AXARCH_BOOT_PVH;
	assert_refused(&m, AX_ERROR_CONFIGURATION, "linux64 or flat");
	rig_finish(&m.rig);
}

/* Kernels with an EFI stub say in their PE sections where the file ends. */
static void cut_short(void **state)
{
	enum { PE = 0x40, SECTION = PE + 24 };
	static const struct {
		uint32_t size, offset, at;
		bool fits;
	} rows[] = {
		{IMAGE_BYTES - 0x1000, 0x1000, PE, true},
		{IMAGE_BYTES - 0x0fff, 0x1000, PE, false},
		{UINT32_MAX, UINT32_MAX, PE, false},
		{UINT32_MAX, UINT32_MAX, UINT32_MAX, true}, /* no PE header that is understood */
	};
	uint8_t image[IMAGE_BYTES] = "MZ";
	struct a64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	memcpy(image + 0x38, "ARM\x64", 4);
	memcpy(image + PE, "PE\0\0", 4);
	image[PE + 6] = 1; /* section */
	image[0x12] = 2;   /* image_size 0x20000 */
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		memcpy(image + 0x3c, &rows[i].at, 4);
		memcpy(image + SECTION + 16, &rows[i].size, 4);
		memcpy(image + SECTION + 20, &rows[i].offset, 4);
		rig_kernel(&m.rig, image, sizeof(image));
		if (!rows[i].fits)
			assert_refused(&m, AX_ERROR_BOOT_IMAGE, "is cut short");
		else if (machine_load(&m, &start) < 0)
			fail_msg("%s", m.rig.err.message);
	}
	/* The magic is there, the header is not all there. */
	rig_kernel(&m.rig, image, 0x3c);
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "the Image header takes 64 bytes");
	rig_finish(&m.rig);
}

static void initrd_goes_to_the_top(void **state)
{
	struct a64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	machine_image(&m, 0, 0x20000, FLAGS_ANYWHERE);
	rig_initrd(&m.rig, 5 * AX_MIB + 1);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	const uint64_t gpa = A64_RAM_GPA + 507 * AX_MIB - 4096;
	struct axfdt *fdt = machine_tree(&m);
	assert_int_equal(cells_at(fdt, "/chosen", "linux,initrd-start", 0), gpa);
	assert_int_equal(cells_at(fdt, "/chosen", "linux,initrd-end", 0), gpa + 5 * AX_MIB + 1);
	char magic[6];
	assert_int_equal(axas_read(m.rig.memory, gpa, magic, sizeof(magic)), 0);
	assert_memory_equal(magic, "070701", 6);
	axfdt_destroy(fdt);

	rig_initrd(&m.rig, 511 * AX_MIB);
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "raise --memory");
	rig_finish(&m.rig);
}

/* booting.rst: in the 32 GiB window of the kernel. The map is not backed, so only planned. */
static void initrd_stays_near_the_kernel(void **state)
{
	struct a64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.config.memory_bytes = 40 * AX_GIB;
	machine_map(&m);
	machine_image(&m, 0, 0x20000, FLAGS_ANYWHERE);
	rig_initrd(&m.rig, AX_MIB);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	struct axfdt *fdt = machine_tree(&m);
	assert_int_equal(cells_at(fdt, "/chosen", "linux,initrd-end", 0),
			 A64_RAM_GPA + 32 * AX_GIB);
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

static void command_line(void **state)
{
	static char line[2049];
	struct a64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	machine_image(&m, 0, 0x20000, FLAGS_ANYWHERE);
	memset(line, 'a', 2048);
	m.rig.boot.cmdline = line;
	assert_refused(&m, AX_ERROR_BOOT_IMAGE, "at most 2047");
	line[2047] = '\0';
	assert_int_equal(machine_load(&m, &start), 0);

	/* Announced as x86 does it, and not in the tree. */
	m.rig.boot.cmdline = "panic=-1";
	m.rig.devices.announce = AXARCH_ANNOUNCE_CMDLINE;
	ax_log_set_level(AX_LOG_ERROR);
	assert_int_equal(machine_load(&m, &start), 0);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/chosen", "bootargs",
		    "panic=-1 virtio_mmio.device=4K@0xa000000:16 "
		    "virtio_mmio.device=4K@0xa001000:17");
	assert_false(axfdt_has(fdt, "/virtio_mmio@a000000"));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_goes),
		cmocka_unit_test(malformed),
		cmocka_unit_test(no_image_at_all),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(initrd_goes_to_the_top),
		cmocka_unit_test(initrd_stays_near_the_kernel),
		cmocka_unit_test(command_line),
	};
	return cmocka_run_group_tests_name("aarch64-image", tests, NULL, NULL);
}
