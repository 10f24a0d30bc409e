/*
 * bzImage: a valid image ends where the boot protocol says, and each damaged field is refused by
 * name. Then placement: kernel, initrd and boot tables never meet, whatever the sizes.
 */
#include "helpers.h"
#include "images.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t image[BZ_SIZE];

static void loads_64(void **state)
{
	struct machine m;
	struct x86_start start;
	uint8_t loaded[BZ_KERNEL_SIZE];
	struct x86_e820_entry map[X86_E820_MAX];
	char line[64];
	(void)state;

	machine_init(&m, 512 * AX_MIB, 1);
	image_bzimage(image);
	rig_kernel(&m.rig, image, sizeof(image));
	rig_initrd(&m.rig, 12345);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	assert_int_equal(start.mode, X86_START_LONG);
	assert_int_equal(start.rip, BZ_PREF_ADDRESS + 0x200);
	assert_int_equal(start.rsi, X86_ZERO_PAGE_GPA);
	assert_int_equal(start.rsp, X86_STACK_GPA);
	assert_int_equal(start.rbx, 0);
	peek(&m, BZ_PREF_ADDRESS, loaded, sizeof(loaded));
	assert_memory_equal(loaded, image + BZ_KERNEL_OFFSET, sizeof(loaded));

	/* The zero page, by the offsets of zero-page.rst. */
	const uint64_t zp = X86_ZERO_PAGE_GPA;
	assert_int_equal(peek8(&m, zp + 0x1ef), 0); /* sentinel */
	assert_int_equal(peek32(&m, zp + 0x202), 0x53726448);
	assert_int_equal(peek16(&m, zp + 0x206), 0x20f);
	assert_int_equal(peek8(&m, zp + 0x210), 0xff);
	assert_int_equal(peek8(&m, zp + 0x211), 0x81);
	assert_int_equal(peek32(&m, zp + 0x214), BZ_PREF_ADDRESS);
	assert_int_equal(peek16(&m, zp + 0x224), 0xde00);
	assert_int_equal(peek32(&m, zp + 0x228), X86_CMDLINE_GPA);
	assert_int_equal(peek64(&m, zp + 0x250), 0);
	assert_int_equal(peek32(&m, zp + 0x260), BZ_INIT_SIZE);
	assert_int_equal(peek64(&m, zp + 0x70), X86_ACPI_GPA);
	const uint64_t initrd = peek32(&m, zp + 0x218);
	assert_int_equal(peek32(&m, zp + 0x21c), 12345);
	assert_int_equal(initrd, 512 * AX_MIB - 4 * 4096);
	assert_int_equal(peek32(&m, zp + 0xc0), 0);
	assert_int_equal(peek32(&m, initrd), 0x37303730);
	const size_t count = x86_e820(&m.rig.plan, map);
	assert_int_equal(peek8(&m, zp + 0x1e8), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(peek64(&m, zp + 0x2d0 + i * 20), map[i].gpa);
		assert_int_equal(peek64(&m, zp + 0x2d8 + i * 20), map[i].size_bytes);
		assert_int_equal(peek32(&m, zp + 0x2e0 + i * 20), map[i].type);
	}
	peek(&m, X86_CMDLINE_GPA, line, sizeof(line));
	assert_string_equal(line, m.rig.boot.cmdline);
	rig_finish(&m.rig);
}

/* The rows may ask for another protocol and name what must come of it. */
static void entries(void **state)
{
	static const struct {
		enum axarch_boot_protocol protocol;
		uint16_t version, xloadflags;
		uint64_t rip; /* 0: refused */
		const char *text;
	} rows[] = {
		{AXARCH_BOOT_AUTO, 0x20f, 0x3f, BZ_PREF_ADDRESS + 0x200, NULL},
		{AXARCH_BOOT_LINUX64, 0x20c, 0x01, BZ_PREF_ADDRESS + 0x200, NULL},
		{AXARCH_BOOT_LINUX32, 0x20f, 0x3f, BZ_PREF_ADDRESS, NULL},
		{AXARCH_BOOT_AUTO, 0x20f, 0x3e, BZ_PREF_ADDRESS, NULL},
		{AXARCH_BOOT_AUTO, 0x20b, 0x01, BZ_PREF_ADDRESS, NULL},
		{AXARCH_BOOT_AUTO, 0x206, 0, X86_HIGH_RAM_GPA, NULL},
		{AXARCH_BOOT_LINUX64, 0x20f, 0x3e, 0, "xloadflags 0x003e"},
		{AXARCH_BOOT_LINUX64, 0x20b, 0x01, 0, "2.11"},
		{AXARCH_BOOT_PVH, 0x20f, 0x3f, 0, "ELF vmlinux"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct x86_start start = {.rip = 1};
		struct machine m;
		machine_init(&m, 128 * AX_MIB, 1);
		image_bzimage(image);
		x86_put16(image, 0x206, rows[i].version);
		x86_put16(image, 0x236, rows[i].xloadflags);
		rig_kernel(&m.rig, image, sizeof(image));
		m.rig.boot.protocol = rows[i].protocol;
		const int rc = machine_load(&m, &start);
		if (rows[i].rip) {
			if (rc < 0)
				fail_msg("row %zu: %s", i, m.rig.err.message);
			assert_int_equal(start.rip, rows[i].rip);
			assert_int_equal(start.mode, rows[i].rip & 0x200 ? X86_START_LONG
									 : X86_START_PROTECTED);
			assert_int_equal(start.rsi, X86_ZERO_PAGE_GPA);
		} else {
			assert_true(rc < 0);
			assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].text);
			assert_int_equal(start.rip, 1);
		}
		rig_finish(&m.rig);
	}
}

static void damaged_fields(void **state)
{
	static const struct {
		unsigned offset, width;
		uint64_t value;
		const char *text;
	} rows[] = {
		{0x1fe, 2, 0xaa54, "0xaa54, expected 0xaa55"},
		{0x202, 4, 0x53726449, "HdrS"},
		{0x206, 2, 0x205, "2.05"},
		{0x206, 2, 0, "0.00"},
		{0x211, 1, 0, "LOADED_HIGH"},
		{0x201, 1, 0, "ends at 0x202"},
		{0x201, 1, 0x50, "ends at 0x252"},
		{0x201, 1, 0xff, "ends at 0x301"},
		{0x1f1, 1, 0xff, "setup_sects 255"},
		{0x1f1, 1, 0, "cut short"},
		{0x1f1, 1, 3, "cut short"},
		{0x1f4, 4, 0, "syssize"},
		{0x1f4, 4, UINT32_MAX, "68719476720"},
		{0x1f4, 4, BZ_KERNEL_SIZE / 16 + 2, "cut short"},
		{0x248, 4, UINT32_MAX, "payload"},
		{0x24c, 4, UINT32_MAX, "payload"},
		{0x258, 8, UINT64_MAX, "wraps"},
		{0x258, 8, UINT64_MAX - BZ_INIT_SIZE, "low RAM ends at"},
		{0x258, 8, 0x8000000, "--memory to at least 132M"},
		{0x258, 8, X86_HOLE_GPA, "low RAM ends at"},
		{0x260, 4, UINT32_MAX, "low RAM ends at"},
		{0x260, 4, 0x10000000, "--memory to at least 272M"},
		{0x238, 4, 10, "at most 10"},
		{0x238, 4, 0, "at most 0"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct x86_start start = {.rip = 1};
		struct machine m;
		machine_init(&m, 128 * AX_MIB, 1);
		image_bzimage(image);
		for (unsigned b = 0; b < rows[i].width; b++)
			image[rows[i].offset + b] = (uint8_t)(rows[i].value >> 8 * b);
		rig_kernel(&m.rig, image, sizeof(image));
		if (machine_load(&m, &start) >= 0)
			fail_msg("row %zu: offset 0x%x was accepted", i, rows[i].offset);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].text);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE,
			     rows[i].offset == 0x238 ? "command line" : "test-kernel");
		assert_int_equal(start.rip, 1);
		rig_finish(&m.rig);
	}
}

/* A pref_address in the first MiB is only a wish when the kernel can be relocated. */
static void relocates_from_low_memory(void **state)
{
	static const struct {
		uint64_t pref;
		uint32_t align;
		uint8_t relocatable;
		uint64_t rip;
		const char *text;
	} rows[] = {
		{0x10000, 0x200000, 1, 0x200200, NULL},
		{0, 0x1000, 1, 0x100200, NULL},
		{0, 0x3000, 1, 0, "power of two"},
		{0, 0, 1, 0, "power of two"},
		{0x10000, 0x200000, 0, 0, "not relocatable"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct x86_start start;
		struct machine m;
		machine_init(&m, 128 * AX_MIB, 1);
		image_bzimage(image);
		x86_put64(image, 0x258, rows[i].pref);
		x86_put32(image, 0x230, rows[i].align);
		image[0x234] = rows[i].relocatable;
		rig_kernel(&m.rig, image, sizeof(image));
		const int rc = machine_load(&m, &start);
		if (rows[i].rip) {
			assert_int_equal(rc, 0);
			assert_int_equal(start.rip, rows[i].rip);
		} else {
			assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].text);
		}
		rig_finish(&m.rig);
	}
}

static void setup_sects_zero_means_four(void **state)
{
	enum { OFFSET = 5 * 512 };
	static uint8_t longer[OFFSET + BZ_KERNEL_SIZE];
	struct x86_start start;
	struct machine m;
	(void)state;

	image_bzimage(image);
	memcpy(longer, image, BZ_KERNEL_OFFSET);
	memset(longer + OFFSET, 0x5a, BZ_KERNEL_SIZE);
	longer[0x1f1] = 0;
	machine_init(&m, 128 * AX_MIB, 1);
	rig_kernel(&m.rig, longer, sizeof(longer));
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(peek8(&m, BZ_PREF_ADDRESS), 0x5a);
	assert_int_equal(peek8(&m, BZ_PREF_ADDRESS + BZ_KERNEL_SIZE - 1), 0x5a);
	rig_finish(&m.rig);
}

/* Every length of file: refused, or complete; never a crash. */
static void every_truncation(void **state)
{
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_init(&m, 128 * AX_MIB, 1);
	image_bzimage(image);
	for (size_t len = 0; len < BZ_SIZE - 15; len += len < 0x700 ? 1 : 509) {
		rig_kernel(&m.rig, image, len);
		if (machine_load(&m, &start) >= 0)
			fail_msg("%zu bytes were accepted", len);
		assert_int_equal(m.rig.err.kind, AX_ERROR_BOOT_IMAGE);
	}
	rig_finish(&m.rig);
}

static void other_formats(void **state)
{
	static const struct {
		unsigned offset;
		const char *magic;
		unsigned len;
		const char *text;
	} rows[] = {
		{0, "\x1f\x8b\x08", 3, "gzip"},
		{0, "\xfd\x37\x7a\x58\x5a\0", 6, "xz"},
		{0x38, "ARM\x64", 4, "arm64"},
		{0x38, "RSC\x05", 4, "riscv"},
		{0, "MZ", 2, "PE/UEFI"},
		{0, "070701", 6, "cpio"},
		{0, "QFI\xfb", 4, "qcow2"},
		{0x1fe, "\x55\xaa", 2, "boot sector"},
		{0, "hello", 5, "no format known"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		uint8_t bytes[1024] = {0};
		struct x86_start start;
		struct machine m;
		machine_init(&m, 128 * AX_MIB, 1);
		memcpy(bytes + rows[i].offset, rows[i].magic, rows[i].len);
		rig_kernel(&m.rig, bytes, sizeof(bytes));
		assert_true(machine_load(&m, &start) < 0);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].text);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "bzImage");
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "vmlinux");
		rig_finish(&m.rig);
	}
}

static void no_file_at_all(void **state)
{
	struct x86_start start;
	struct machine m;
	int pipes[2];
	(void)state;

	machine_init(&m, 128 * AX_MIB, 1);
	rig_kernel(&m.rig, "", 0);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "is empty");
	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	close(m.rig.boot.kernel_fd);
	m.rig.boot.kernel_fd = pipes[0];
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "regular file");
	close(m.rig.boot.kernel_fd);
	m.rig.boot.kernel_fd = 9999;
	assert_int_equal(machine_load(&m, &start), -EBADF);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "cannot be read");
	m.rig.boot.kernel_fd = -1;
	rig_finish(&m.rig);
}

struct span {
	uint64_t gpa, size_bytes;
};

static void assert_apart(const struct span *spans, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (spans[i].gpa < spans[j].gpa + spans[j].size_bytes &&
			    spans[j].gpa < spans[i].gpa + spans[i].size_bytes)
				fail_msg("0x%llx and 0x%llx overlap",
					 (unsigned long long)spans[i].gpa,
					 (unsigned long long)spans[j].gpa);
}

static void placement_never_overlaps(void **state)
{
	uint64_t seed = 42;
	unsigned accepted = 0;
	(void)state;

	for (int round = 0; round < 300; round++) {
		const uint64_t memory =
			ax_align_down(X86_MIN_MEMORY + next_random(&seed) % (96 * AX_MIB), 4096);
		const uint64_t pref = ax_align_down(next_random(&seed) % (48 * AX_MIB), 0x1000);
		const uint32_t init_size = (uint32_t)(next_random(&seed) % (64 * AX_MIB));
		const uint32_t initrd_max = (uint32_t)(next_random(&seed) % (128 * AX_MIB));
		const uint64_t initrd_size = 1 + next_random(&seed) % (2 * AX_MIB);
		const bool above = next_random(&seed) & 1;
		struct x86_start start;
		struct machine m;

		machine_init(&m, memory, 1 + (uint32_t)(next_random(&seed) % 8));
		m.rig.config.mp_table = true;
		image_bzimage(image);
		x86_put64(image, 0x258, pref);
		x86_put32(image, 0x260, init_size);
		x86_put32(image, 0x22c, initrd_max);
		x86_put16(image, 0x236, above ? 3 : 1);
		rig_kernel(&m.rig, image, sizeof(image));
		rig_initrd(&m.rig, initrd_size);
		if (machine_load(&m, &start) == 0) {
			const struct span spans[] = {
				{start.rip - 0x200,
				 init_size > BZ_KERNEL_SIZE ? init_size : BZ_KERNEL_SIZE},
				{peek32(&m, X86_ZERO_PAGE_GPA + 0x218), initrd_size},
				{0, 0xf000},
				{X86_CMDLINE_GPA, X86_CMDLINE_MAX},
				{X86_ACPI_GPA, X86_ACPI_SIZE},
				{X86_MP_TABLE_GPA, X86_MP_TABLE_SIZE},
			};
			assert_apart(spans, AX_ARRAY_LEN(spans));
			assert_true(
				axarch_plan_is_ram(&m.rig.plan, spans[0].gpa, spans[0].size_bytes));
			assert_true(axarch_plan_is_ram(&m.rig.plan, spans[1].gpa, initrd_size));
			assert_int_equal(spans[1].gpa % 4096, 0);
			if (!above)
				assert_true(spans[1].gpa + initrd_size - 1 <= initrd_max);
			accepted++;
		} else {
			assert_int_equal(m.rig.err.kind, AX_ERROR_BOOT_IMAGE);
		}
		rig_finish(&m.rig);
	}
	assert_true(accepted > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_64),
		cmocka_unit_test(entries),
		cmocka_unit_test(damaged_fields),
		cmocka_unit_test(relocates_from_low_memory),
		cmocka_unit_test(setup_sects_zero_means_four),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(other_formats),
		cmocka_unit_test(no_file_at_all),
		cmocka_unit_test(placement_never_overlaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
