/*
 * What goes with a kernel: command line and its limits, initrd placement and refusals, flat images,
 * start presets with the descriptors and page tables they point at.
 */
#include "helpers.h"
#include "images.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint8_t bz[BZ_SIZE];

static void machine_with_bzimage(struct machine *m, uint64_t memory_bytes)
{
	machine_init(m, memory_bytes, 1);
	image_bzimage(bz);
	rig_kernel(&m->rig, bz, sizeof(bz));
}

/* ---- command line ---------------------------------------------------------------------------- */

static void cmdline_announces(void **state)
{
	static const struct {
		const char *given, *expected;
	} rows[] = {
		{"", "virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6"},
		{"a=1 b", "a=1 b virtio_mmio.device=4K@0xd0000000:5 "
			  "virtio_mmio.device=4K@0xd0001000:6"},
		{"a -- single", "a virtio_mmio.device=4K@0xd0000000:5 "
				"virtio_mmio.device=4K@0xd0001000:6 -- single"},
		{"--", "virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6 --"},
		{"x=--y --z", "x=--y --z virtio_mmio.device=4K@0xd0000000:5 "
			      "virtio_mmio.device=4K@0xd0001000:6"},
		{NULL, "virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct machine m;
		struct x86_start start;
		char line[256];
		machine_with_bzimage(&m, 128 * AX_MIB);
		m.rig.boot.cmdline = rows[i].given;
		m.rig.devices.announce = AXARCH_ANNOUNCE_CMDLINE;
		assert_int_equal(machine_load(&m, &start), 0);
		peek(&m, X86_CMDLINE_GPA, line, sizeof(line));
		assert_string_equal(line, rows[i].expected);
		m.rig.devices.announce = AXARCH_ANNOUNCE_TABLES;
		assert_int_equal(machine_load(&m, &start), 0);
		peek(&m, X86_CMDLINE_GPA, line, sizeof(line));
		assert_string_equal(line, rows[i].given ? rows[i].given : "");
		rig_finish(&m.rig);
	}
}

static void cmdline_limits(void **state)
{
	static char text[X86_CMDLINE_MAX + 2];
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, 128 * AX_MIB);
	m.rig.boot.cmdline = text;
	memset(text, 'a', sizeof(text) - 1);
	text[BZ_CMDLINE_SIZE] = '\0';
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(peek8(&m, X86_CMDLINE_GPA + BZ_CMDLINE_SIZE), 0);
	text[BZ_CMDLINE_SIZE] = 'a';
	text[BZ_CMDLINE_SIZE + 1] = '\0';
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "2048 bytes");
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "at most 2047");

	/* A kernel that takes anything still gets no more than there is room for. */
	x86_put32(bz, 0x238, UINT32_MAX);
	rig_kernel(&m.rig, bz, sizeof(bz));
	memset(text, 'a', sizeof(text) - 1);
	text[X86_CMDLINE_MAX - 1] = '\0';
	assert_int_equal(machine_load(&m, &start), 0);
	text[X86_CMDLINE_MAX - 1] = 'a';
	text[X86_CMDLINE_MAX] = '\0';
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "at most 65535");
	rig_finish(&m.rig);
}

static void cmdline_characters(void **state)
{
	static const char *const refused[] = {"a\nb", "\x01", "ok\x7f", "tail\r"};
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, 128 * AX_MIB);
	for (size_t i = 0; i < AX_ARRAY_LEN(refused); i++) {
		m.rig.boot.cmdline = refused[i];
		assert_true(machine_load(&m, &start) < 0);
		assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "control character");
	}
	m.rig.boot.cmdline = "tab\tand h\xc3\xb6her";
	assert_int_equal(machine_load(&m, &start), 0);
	rig_finish(&m.rig);
}

/* ---- initrd ---------------------------------------------------------------------------------- */

static void initrd_refused(void **state)
{
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, 512 * AX_MIB);
	rig_initrd(&m.rig, 0);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "test-initrd");
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "is empty");
	/* 16 MiB + 4 MiB of kernel, then 700 MiB. */
	rig_initrd(&m.rig, 700 * AX_MIB);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "needs 700 MiB, only 492 MiB");
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "--memory to at least 720M");
	/* No memory size helps a kernel that wants it below an address. */
	x86_put16(bz, 0x236, 1);
	x86_put32(bz, 0x22c, 0x1fffffff);
	rig_kernel(&m.rig, bz, sizeof(bz));
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "below 0x1fffffff");
	x86_put32(bz, 0x22c, 0);
	rig_kernel(&m.rig, bz, sizeof(bz));
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "only 0 MiB");
	rig_finish(&m.rig);
}

/* The suggestion is enough, one page less is not. */
static void initrd_hint_is_exact(void **state)
{
	const uint64_t size = 8 * AX_MIB;
	const uint64_t needed = BZ_PREF_ADDRESS + BZ_INIT_SIZE + size;
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, needed);
	rig_initrd(&m.rig, size);
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(peek32(&m, X86_ZERO_PAGE_GPA + 0x218), BZ_PREF_ADDRESS + BZ_INIT_SIZE);
	rig_finish(&m.rig);
	machine_with_bzimage(&m, needed - 4096);
	rig_initrd(&m.rig, size);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "--memory to at least 28M");
	rig_finish(&m.rig);
}

/* The same memory in regions of their own. */
static void cut_into_nodes(struct machine *m, const struct axarch_topology *topology)
{
	m->rig.config.topology = topology;
	axas_destroy(m->rig.memory);
	if (x86_plan(&m->rig.config, &m->rig.plan, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	rig_map(&m->rig);
}

/* Where nodes end is nothing to kernel and initrd, which lie across the first two and
 * the last two. */
static const uint64_t node_bytes[] = {16 * AX_MIB + 4096, 2 * AX_GIB, 2 * AX_GIB - 18 * AX_MIB,
				      2 * AX_MIB - 4096};
static const uint32_t node_of_vcpu[] = {0};
static const struct axarch_topology four_nodes = {
	.node_count = 4, .node_bytes = node_bytes, .vcpu_nodes = node_of_vcpu};

static void check_initrd_above_4g(const struct axarch_topology *topology)
{
	const uint64_t size = 3 * AX_MIB + 1;
	struct machine m;
	struct x86_start start;

	/* Low RAM is all the kernel's but for 2 MiB. */
	machine_with_bzimage(&m, 4 * AX_GIB);
	if (topology)
		cut_into_nodes(&m, topology);
	x86_put32(bz, 0x260, (uint32_t)(X86_HOLE_GPA - BZ_PREF_ADDRESS - 2 * AX_MIB));
	rig_kernel(&m.rig, bz, sizeof(bz));
	rig_initrd(&m.rig, size);
	if (machine_load(&m, &start) < 0)
		fail_msg("%s", m.rig.err.message);
	const uint64_t gpa = peek32(&m, X86_ZERO_PAGE_GPA + 0x218) |
			     (uint64_t)peek32(&m, X86_ZERO_PAGE_GPA + 0xc0) << 32;
	assert_int_equal(gpa, 5 * AX_GIB - 4 * AX_MIB + (AX_MIB - 4096));
	assert_int_equal(peek32(&m, X86_ZERO_PAGE_GPA + 0xc4), 0);
	assert_int_equal(peek32(&m, gpa), 0x37303730);
	/* The 32-bit entry cannot say so. */
	m.rig.boot.protocol = AXARCH_BOOT_LINUX32;
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "only 2 MiB");
	rig_finish(&m.rig);
}

static void initrd_above_4g(void **state)
{
	(void)state;
	check_initrd_above_4g(NULL);
}

static void initrd_above_4g_across_nodes(void **state)
{
	(void)state;
	check_initrd_above_4g(&four_nodes);
}

/* The second node begins below the kernel's end, and is no further RAM. */
static void initrd_not_into_the_kernel(void **state)
{
	static const uint64_t halves[] = {AX_GIB, AX_GIB};
	static const struct axarch_topology two = {
		.node_count = 2, .node_bytes = halves, .vcpu_nodes = node_of_vcpu};
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, 2 * AX_GIB);
	cut_into_nodes(&m, &two);
	x86_put32(bz, 0x260, (uint32_t)(2 * AX_GIB - BZ_PREF_ADDRESS - 2 * AX_MIB));
	rig_kernel(&m.rig, bz, sizeof(bz));
	rig_initrd(&m.rig, 3 * AX_MIB);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "only 2 MiB");
	rig_finish(&m.rig);
}

/* ---- flat images ----------------------------------------------------------------------------- */

static const uint8_t code[5000] = {0xf4, 0xeb, 0xfd};

static void flat_starts(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t load, entry;
		enum x86_start_mode mode;
		uint64_t rip;
		uint16_t cs;
	} rows[] = {
		{16, 0x8000, 0, X86_START_REAL, 0x8000, 0},
		{16, 0x7c00, 0x7c10, X86_START_REAL, 0x7c10, 0},
		{16, 0x20000, 0x20123, X86_START_REAL, 0x123, 0x2000},
		{32, 0x100000, 0, X86_START_PROTECTED, 0x100000, 0},
		{32, 0x9000, 0, X86_START_PROTECTED, 0x9000, 0},
		{64, 0x200000, 0x200040, X86_START_LONG, 0x200040, 0},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct machine m;
		struct x86_start start;
		uint8_t loaded[sizeof(code)];
		machine_init(&m, 32 * AX_MIB, 1);
		rig_kernel(&m.rig, code, sizeof(code));
		m.rig.boot.protocol = AXARCH_BOOT_FLAT;
		m.rig.boot.flat_bits = rows[i].bits;
		m.rig.boot.load_gpa = rows[i].load;
		m.rig.boot.entry = rows[i].entry;
		if (machine_load(&m, &start) < 0)
			fail_msg("row %zu: %s", i, m.rig.err.message);
		assert_int_equal(start.mode, rows[i].mode);
		assert_int_equal(start.rip, rows[i].rip);
		assert_int_equal(start.real_cs, rows[i].cs);
		peek(&m, rows[i].load, loaded, sizeof(loaded));
		assert_memory_equal(loaded, code, sizeof(code));
		assert_false(start.rsp > rows[i].load && start.rsp < rows[i].load + sizeof(code));
		rig_finish(&m.rig);
	}
}

static void flat_refused(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t load, entry;
		enum ax_error_kind kind;
		const char *text;
	} rows[] = {
		{0, 0x8000, 0, AX_ERROR_CONFIGURATION, "0 bits"},
		{48, 0x8000, 0, AX_ERROR_CONFIGURATION, "expected 16, 32 or 64"},
		{16, 0x100000, 0, AX_ERROR_CONFIGURATION, "less than 0x100000"},
		{64, 1ULL << 32, 0, AX_ERROR_CONFIGURATION, "less than 0x100000000"},
		{32, 0x100000, 0x200000, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{32, 0x100000, 0xfffff, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{32, 0x100000, 0x100000 + sizeof(code), AX_ERROR_BOOT_IMAGE, "outside the image"},
		{32, 32 * AX_MIB - 4096, 0, AX_ERROR_BOOT_IMAGE, "do not fit into RAM"},
		{32, UINT64_MAX - 100, 0x1000, AX_ERROR_BOOT_IMAGE, "do not fit into RAM"},
		{32, 0, 0x10, AX_ERROR_BOOT_IMAGE, "descriptor tables"},
		{64, 0x8000, 0, AX_ERROR_BOOT_IMAGE, "page tables"},
		{16, 0xe0000, 0, AX_ERROR_BOOT_IMAGE, "ACPI tables"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct machine m;
		struct x86_start start = {.rip = 1};
		machine_init(&m, 32 * AX_MIB, 1);
		rig_kernel(&m.rig, code, sizeof(code));
		m.rig.boot.protocol = AXARCH_BOOT_FLAT;
		m.rig.boot.flat_bits = rows[i].bits;
		m.rig.boot.load_gpa = rows[i].load;
		m.rig.boot.entry = rows[i].entry;
		assert_true(machine_load(&m, &start) < 0);
		assert_error(&m.rig.err, rows[i].kind, rows[i].text);
		assert_int_equal(start.rip, 1);
		rig_finish(&m.rig);
	}
}

/* Code that is in memory already, and an option that makes no sense with it. */
static void flat_without_file(void **state)
{
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_init(&m, 32 * AX_MIB, 1);
	m.rig.boot.protocol = AXARCH_BOOT_FLAT;
	m.rig.boot.flat_bits = 64;
	m.rig.boot.entry = 0x300000;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.rip, 0x300000);
	rig_initrd(&m.rig, 100);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_CONFIGURATION, "takes no initrd");
	rig_finish(&m.rig);
}

/* ---- start states ---------------------------------------------------------------------------- */

static void descriptors_match_presets(void **state)
{
	static const enum x86_start_mode modes[] = {X86_START_LONG, X86_START_PROTECTED};
	struct machine m;
	(void)state;

	machine_init(&m, 32 * AX_MIB, 1);
	assert_int_equal(x86_write_boot_tables(m.rig.memory, &m.rig.err), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(modes); i++) {
		const struct x86_sregs *s = x86_start_sregs(modes[i]);
		assert_int_equal(s->cs.selector, 0x10);
		assert_int_equal(s->data.selector, 0x18);
		assert_true(s->gdt_limit >= s->tr.selector + 7);
		assert_int_equal(peek64(&m, s->gdt_base), 0);
		assert_int_equal(peek64(&m, s->gdt_base + 8), 0);
	}
	/* The flat descriptors everybody knows. */
	assert_int_equal(peek64(&m, X86_GDT_GPA + 0x10), 0x00cf9b000000ffffULL);
	assert_int_equal(peek64(&m, X86_GDT_GPA + 0x18), 0x00cf93000000ffffULL);
	assert_int_equal(peek64(&m, X86_GDT64_GPA + 0x10), 0x00af9b000000ffffULL);
	assert_int_equal(peek64(&m, X86_GDT64_GPA + 0x18), 0x00cf93000000ffffULL);
	rig_finish(&m.rig);
}

static void page_tables_map_4g(void **state)
{
	static const uint64_t probes[] = {0,          0x1000,     0x1fffff,   0x200000,
					  0x3fffffff, 0x40000000, 0xfee00000, 0xffffffff};
	const struct x86_sregs *s = x86_start_sregs(X86_START_LONG);
	struct machine m;
	(void)state;

	machine_init(&m, 32 * AX_MIB, 1);
	assert_int_equal(x86_write_boot_tables(m.rig.memory, &m.rig.err), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(probes); i++) {
		const uint64_t va = probes[i];
		const uint64_t pml4e = peek64(&m, s->cr3 + (va >> 39 & 511) * 8);
		assert_int_equal(pml4e & 0xfff, 3);
		const uint64_t pdpte = peek64(&m, (pml4e & ~0xfffULL) + (va >> 30 & 511) * 8);
		assert_int_equal(pdpte & 0xfff, 3);
		const uint64_t pde = peek64(&m, (pdpte & ~0xfffULL) + (va >> 21 & 511) * 8);
		assert_int_equal(pde & 0xfff, 0x83);
		assert_int_equal((pde & ~0x1fffffULL) | (va & 0x1fffff), va);
	}
	assert_int_equal(peek64(&m, s->cr3 + 8), 0);
	assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s->cr4, 0x20);
	assert_int_equal(s->efer, 0x500);
	assert_true(s->cs.l && !s->cs.db);
	s = x86_start_sregs(X86_START_PROTECTED);
	assert_int_equal(s->cr0 & 0x80000001, 1);
	assert_int_equal(s->efer, 0);
	s = x86_start_sregs(X86_START_REAL);
	assert_int_equal(s->cr0 & 1, 0);
	assert_int_equal(s->cs.limit, 0xffff);
	rig_finish(&m.rig);
}

/* Tables on request only, and none without interrupt controllers. */
static void tables_on_request(void **state)
{
	struct machine m;
	struct x86_start start;
	(void)state;

	machine_with_bzimage(&m, 128 * AX_MIB);
	m.rig.config.acpi = false;
	m.rig.config.mp_table = true;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(peek64(&m, X86_ZERO_PAGE_GPA + 0x70), 0);
	assert_int_equal(peek64(&m, X86_ACPI_GPA), 0);
	assert_int_equal(peek32(&m, X86_MP_TABLE_GPA), 0x5f504d5f);
	rig_finish(&m.rig);
	machine_with_bzimage(&m, 128 * AX_MIB);
	m.rig.config.mp_table = true;
	m.rig.config.irq_mode = AXARCH_IRQ_NONE;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(peek64(&m, X86_ACPI_GPA), 0);
	assert_int_equal(peek32(&m, X86_MP_TABLE_GPA), 0);
	rig_finish(&m.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmdline_announces),
		cmocka_unit_test(cmdline_limits),
		cmocka_unit_test(cmdline_characters),
		cmocka_unit_test(initrd_refused),
		cmocka_unit_test(initrd_hint_is_exact),
		cmocka_unit_test(initrd_above_4g),
		cmocka_unit_test(initrd_above_4g_across_nodes),
		cmocka_unit_test(initrd_not_into_the_kernel),
		cmocka_unit_test(flat_starts),
		cmocka_unit_test(flat_refused),
		cmocka_unit_test(flat_without_file),
		cmocka_unit_test(descriptors_match_presets),
		cmocka_unit_test(page_tables_map_4g),
		cmocka_unit_test(tables_on_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
