/*
 * ELF kernels: a valid one through PVH and through the 64-bit protocol; each damaged header field,
 * segment and note refused by name.
 */
#include "helpers.h"
#include "images.h"

static uint8_t image[ELF_IMAGE_SIZE];

static void check_segments(const struct machine *m)
{
	uint8_t text[ELF_TEXT_SIZE], data[ELF_DATA_MEMSZ];

	peek(m, ELF_TEXT_PADDR, text, sizeof(text));
	assert_memory_equal(text, image + ELF_TEXT_OFFSET, sizeof(text));
	peek(m, ELF_DATA_PADDR, data, sizeof(data));
	assert_memory_equal(data, image + ELF_DATA_OFFSET, ELF_DATA_SIZE);
	for (size_t i = ELF_DATA_SIZE; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
}

static void loads_pvh(void **state)
{
	struct x86_e820_entry map[X86_E820_MAX];
	struct x86_start start;
	struct machine m;
	(void)state;

	machine_init(&m, 512 * AX_MIB, 1);
	image_elf(image);
	rig_kernel(&m.rig, image, sizeof(image));
	rig_initrd(&m.rig, 70000);
	/* What a guest before left in .bss. */
	assert_int_equal(axas_fill(m.rig.memory, ELF_DATA_PADDR, 0xee, ELF_DATA_MEMSZ), 0);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	assert_int_equal(start.mode, X86_START_PROTECTED);
	assert_int_equal(start.rip, ELF_PVH_ENTRY);
	assert_int_equal(start.rbx, X86_PVH_INFO_GPA);
	assert_int_equal(start.rsi, 0);
	check_segments(&m);

	const uint64_t info = X86_PVH_INFO_GPA;
	assert_int_equal(peek32(&m, info), 0x336ec578);
	assert_int_equal(peek32(&m, info + 4), 1);
	assert_int_equal(peek32(&m, info + 12), 1);
	const uint64_t module = peek64(&m, info + 16);
	const uint64_t initrd = peek64(&m, module);
	assert_int_equal(peek64(&m, module + 8), 70000);
	assert_int_equal(peek64(&m, module + 16), 0);
	assert_int_equal(peek32(&m, initrd), 0x37303730);
	assert_true(initrd + 70000 <= 512 * AX_MIB && initrd >= ELF_DATA_PADDR + ELF_DATA_MEMSZ);
	assert_int_equal(peek64(&m, info + 24), X86_CMDLINE_GPA);
	assert_int_equal(peek64(&m, info + 32), X86_ACPI_GPA);
	const uint64_t memmap = peek64(&m, info + 40);
	const size_t count = x86_e820(&m.rig.plan, map);
	assert_int_equal(peek32(&m, info + 48), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(peek64(&m, memmap + i * 24), map[i].gpa);
		assert_int_equal(peek64(&m, memmap + i * 24 + 8), map[i].size_bytes);
		assert_int_equal(peek32(&m, memmap + i * 24 + 16), map[i].type);
	}
	rig_finish(&m.rig);
}

static void loads_linux64(void **state)
{
	struct x86_start start;
	struct machine m;
	(void)state;

	/* Once because the protocol is asked for, once because there is no note. */
	for (int round = 0; round < 2; round++) {
		machine_init(&m, 512 * AX_MIB, 1);
		image_elf(image);
		if (round)
			image_elf_drop_pvh(image);
		else
			m.rig.boot.protocol = AXARCH_BOOT_LINUX64;
		rig_kernel(&m.rig, image, sizeof(image));
		if (machine_load(&m, &start) < 0)
			fail_msg("%s", m.rig.err.message);
		assert_int_equal(start.mode, X86_START_LONG);
		assert_int_equal(start.rip, ELF_TEXT_PADDR);
		assert_int_equal(start.rsi, X86_ZERO_PAGE_GPA);
		check_segments(&m);
		assert_int_equal(peek32(&m, X86_ZERO_PAGE_GPA + 0x202), 0x53726448);
		assert_int_equal(peek8(&m, X86_ZERO_PAGE_GPA + 0x210), 0xff);
		assert_int_equal(peek32(&m, X86_ZERO_PAGE_GPA + 0x228), X86_CMDLINE_GPA);
		assert_int_equal(peek32(&m, X86_ZERO_PAGE_GPA + 0x21c), 0);
		rig_finish(&m.rig);
	}
}

/* A kernel that gives its entry as a virtual address. */
static void virtual_entry(void **state)
{
	struct x86_start start;
	struct machine m;
	(void)state;

	machine_init(&m, 512 * AX_MIB, 1);
	image_elf(image);
	image_elf_drop_pvh(image);
	x86_put64(image, offsetof(Elf64_Ehdr, e_entry), 0xffffffff81000040ULL);
	rig_kernel(&m.rig, image, sizeof(image));
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.rip, ELF_TEXT_PADDR + 0x40);
	rig_finish(&m.rig);
}

static void eight_byte_note(void **state)
{
	struct x86_start start;
	struct machine m;
	(void)state;

	machine_init(&m, 512 * AX_MIB, 1);
	image_elf(image);
	uint8_t *note = image + ELF_NOTE_OFFSET;
	memset(note, 0, ELF_NOTE_SIZE);
	image_note(note, "Xen", 18, 0);
	x86_put32(note, 4, 8);
	x86_put64(note, 16, ELF_PVH_ENTRY);
	x86_put64(image + ELF_PHDR + 2 * ELF_PHDR_SIZE, offsetof(Elf64_Phdr, p_filesz), 24);
	rig_kernel(&m.rig, image, sizeof(image));
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	assert_int_equal(start.rip, ELF_PVH_ENTRY);
	rig_finish(&m.rig);
}

#define EH(field)       offsetof(Elf64_Ehdr, field)
#define PH(n, field)    (ELF_PHDR + (n)*ELF_PHDR_SIZE + offsetof(Elf64_Phdr, field))
#define NOTE(n, offset) (ELF_NOTE_OFFSET + (n)*20 + (offset))

static void damaged_fields(void **state)
{
	static const struct {
		size_t offset;
		unsigned width;
		uint64_t value;
		enum axarch_boot_protocol protocol;
		const char *text;
	} rows[] = {
		{0, 1, 0, 0, "no format known"},
		{EI_CLASS, 1, ELFCLASS32, 0, "64-bit"},
		{EI_DATA, 1, ELFDATA2MSB, 0, "little-endian"},
		{EI_VERSION, 1, 0, 0, "ELF version"},
		{EH(e_type), 2, ET_REL, 0, "ELF type is 1"},
		{EH(e_machine), 2, EM_AARCH64, 0, "183 (aarch64), expected 62"},
		{EH(e_phentsize), 2, 32, 0, "e_phentsize is 32"},
		{EH(e_phentsize), 2, 0, 0, "e_phentsize is 0"},
		{EH(e_phnum), 2, 0, 0, "e_phnum is 0"},
		{EH(e_phnum), 2, 0xffff, 0, "e_phnum is 65535"},
		{EH(e_phoff), 8, ELF_IMAGE_SIZE - 100, 0, "program headers"},
		{EH(e_phoff), 8, UINT64_MAX, 0, "program headers"},
		{EH(e_phoff), 8, UINT64_MAX - 167, 0, "program headers"},
		{PH(0, p_offset), 8, UINT64_MAX, 0, "segment 0: p_offset"},
		{PH(0, p_offset), 8, ELF_IMAGE_SIZE - 1, 0, "segment 0: p_offset"},
		{PH(1, p_filesz), 8, UINT64_MAX, 0, "segment 1: p_offset"},
		{PH(1, p_filesz), 8, UINT64_MAX - ELF_DATA_OFFSET + 1, 0, "segment 1"},
		{PH(1, p_memsz), 8, ELF_DATA_SIZE - 1, 0, "more than p_memsz 0x7ff"},
		{PH(1, p_memsz), 8, 0, 0, "more than p_memsz 0x0"},
		{PH(1, p_memsz), 8, UINT64_MAX, 0, "wraps"},
		{PH(1, p_memsz), 8, 0x40000000, 0, "--memory to at least 1042M"},
		{PH(0, p_paddr), 8, UINT64_MAX - 8, 0, "wraps"},
		{PH(0, p_paddr), 8, 0xff000, 0, "first MiB"},
		{PH(0, p_paddr), 8, 0, 0, "first MiB"},
		{PH(0, p_paddr), 8, 0x20000000, 0, "low RAM ends at"},
		{PH(0, p_paddr), 8, 1ULL << 40, 0, "low RAM ends at"},
		{PH(1, p_paddr), 8, ELF_TEXT_PADDR + 0x1fff, 0, "segments 0 and 1 overlap"},
		{PH(0, p_paddr), 8, ELF_DATA_PADDR + 0x4fff, 0, "segments 0 and 1 overlap"},
		{PH(2, p_offset), 8, ELF_IMAGE_SIZE, 0, "segment 2: p_offset"},
		{PH(2, p_filesz), 8, UINT64_MAX, 0, "segment 2: p_offset"},
		{NOTE(0, 0), 4, UINT32_MAX, 0, "note at 0x0"},
		{NOTE(1, 4), 4, UINT32_MAX, 0, "note at 0x14"},
		{NOTE(2, 4), 4, 5, 0, "note at 0x28"},
		{NOTE(1, 4), 4, 0, 0, "PVH note has 0 bytes"},
		{NOTE(1, 16), 4, 0x1234, 0, "PVH entry 0x1234"},
		{NOTE(1, 16), 4, ELF_DATA_PADDR + ELF_DATA_SIZE, 0, "PVH entry"},
		{NOTE(1, 8), 4, 17, AXARCH_BOOT_PVH, "no PVH note"},
		{EH(e_entry), 8, 0x1000, AXARCH_BOOT_LINUX64, "e_entry 0x1000"},
		{EH(e_entry), 8, UINT64_MAX, AXARCH_BOOT_LINUX64, "e_entry"},
		{0, 1, 0x7f, AXARCH_BOOT_LINUX32, "takes a bzImage"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct x86_start start = {.rip = 1};
		struct machine m;
		machine_init(&m, 256 * AX_MIB, 1);
		image_elf(image);
		for (unsigned b = 0; b < rows[i].width; b++)
			image[rows[i].offset + b] = (uint8_t)(rows[i].value >> 8 * b);
		rig_kernel(&m.rig, image, sizeof(image));
		m.rig.boot.protocol = rows[i].protocol;
		if (machine_load(&m, &start) >= 0)
			fail_msg("row %zu: offset 0x%zx was accepted", i, rows[i].offset);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].text);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "test-kernel");
		assert_int_equal(start.rip, 1);
		rig_finish(&m.rig);
	}
}

static void nothing_to_load(void **state)
{
	struct x86_start start;
	struct machine m;
	(void)state;

	machine_init(&m, 256 * AX_MIB, 1);
	image_elf(image);
	x86_put32(image, PH(0, p_type), PT_NULL);
	x86_put32(image, PH(1, p_type), PT_NULL);
	rig_kernel(&m.rig, image, sizeof(image));
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "no PT_LOAD");
	rig_finish(&m.rig);
}

static void every_truncation(void **state)
{
	struct x86_start start;
	struct machine m;
	(void)state;

	machine_init(&m, 256 * AX_MIB, 1);
	image_elf(image);
	for (size_t len = 1; len < ELF_NOTE_OFFSET + ELF_NOTE_SIZE; len += len < 600 ? 1 : 251) {
		rig_kernel(&m.rig, image, len);
		if (machine_load(&m, &start) >= 0)
			fail_msg("%zu bytes were accepted", len);
		assert_int_equal(m.rig.err.kind, AX_ERROR_BOOT_IMAGE);
	}
	rig_finish(&m.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_pvh),        cmocka_unit_test(loads_linux64),
		cmocka_unit_test(virtual_entry),    cmocka_unit_test(eight_byte_note),
		cmocka_unit_test(damaged_fields),   cmocka_unit_test(nothing_to_load),
		cmocka_unit_test(every_truncation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
