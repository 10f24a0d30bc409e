/*
 * Nodes as a guest finds them: SRAT and SLIT byte by byte (ACPI 6.4, 5.2.16 and 5.2.17), RAM cut at
 * nodes and at the hole. CPUs are test_topology.c's.
 */
#include "helpers.h"
#include "le.h"

#include <stdlib.h>
#include <string.h>

#define FOUR_GIB (4ULL << 30)

static uint8_t bios[0x20000];

static const uint8_t *at(uint64_t gpa)
{
	assert_true(gpa >= X86_ACPI_GPA && gpa < X86_HIGH_RAM_GPA);
	return bios + (gpa - X86_ACPI_GPA);
}

/* The machine without memory behind it but for the first MiB: tables do not need more. */
static void plan_machine(struct machine *m, uint64_t memory_bytes, uint32_t vcpu_count,
			 const struct axarch_topology *topology)
{
	machine_init(m, 64 * AX_MIB, vcpu_count);
	m->rig.config.memory_bytes = memory_bytes;
	m->rig.config.topology = topology;
	if (x86_plan(&m->rig.config, &m->rig.plan, &m->rig.err) < 0 ||
	    x86_apic_ids(&m->rig.config, m->apic_ids, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
}

/* NULL when it is not in the XSDT; its checksum is looked at. */
static const uint8_t *table(struct machine *m, const char *signature)
{
	uint64_t rsdp = 0;

	if (x86_write_acpi(m->rig.memory, &m->info, &rsdp, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	peek(m, X86_ACPI_GPA, bios, sizeof(bios));
	const uint8_t *xsdt = at(x86_get64(at(rsdp), 24));
	for (uint32_t i = 36; i < x86_get32(xsdt, 4); i += 8) {
		const uint64_t gpa = x86_get64(xsdt, i);
		const uint8_t *t = at(gpa);
		if (memcmp(t, signature, 4) != 0)
			continue;
		assert_true(gpa + x86_get32(t, 4) <= X86_ACPI_GPA + X86_ACPI_SIZE);
		assert_int_equal(byte_sum(t, x86_get32(t, 4)), 0);
		return t;
	}
	return NULL;
}

/* The fourth node has CPUs alone, the third memory alone; the hole cuts the second. */
static const uint64_t four_bytes[] = {2 * AX_GIB, 2 * AX_GIB, AX_GIB, 0};
static const uint32_t four_cpus[] = {0, 1, 3, 0, 3};
static const uint8_t four_far[] = {10, 16, 22, 22, 17, 10, 22, 22, 23, 23, 10, 16, 24, 24, 17, 10};
static const struct axarch_topology four = {
	.node_count = 4, .node_bytes = four_bytes, .vcpu_nodes = four_cpus, .distances = four_far};

static void srat_bytes(void **state)
{
	static const struct {
		uint64_t gpa, size_bytes;
		uint32_t node;
	} memory[] = {
		{0, 2 * AX_GIB, 0},
		{2 * AX_GIB, AX_GIB, 1},
		{FOUR_GIB, AX_GIB, 1},
		{FOUR_GIB + AX_GIB, AX_GIB, 2},
	};
	/* Packages 0, 1 and 2 (nodes 0, 1 and 3), two cores at most in each. */
	static const uint8_t ids[] = {0, 2, 4, 1, 5};
	static const uint8_t zero[16] = {0};
	struct machine m;
	(void)state;

	plan_machine(&m, 5 * AX_GIB, 5, &four);
	const uint8_t *t = table(&m, "SRAT");
	assert_non_null(t);
	assert_int_equal(t[8], 3);                               /* revision */
	assert_int_equal(x86_get32(t, 4), 48 + 5 * 16 + 4 * 40); /* length */
	assert_int_equal(x86_get32(t, 36), 1);                   /* reserved, must be 1 */
	assert_memory_equal(t + 40, zero, 8);
	const uint8_t *e = t + 48;
	for (size_t i = 0; i < AX_ARRAY_LEN(ids); i++, e += 16) {
		assert_int_equal(e[0], 0);
		assert_int_equal(e[1], 16);
		assert_int_equal(e[2], four_cpus[i]); /* bits 0 to 7 of the domain */
		assert_int_equal(e[3], ids[i]);
		assert_int_equal(x86_get32(e, 4), 1); /* enabled */
		assert_memory_equal(e + 8, zero, 8);  /* SAPIC EID, domain, clock domain */
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(memory); i++, e += 40) {
		assert_int_equal(e[0], 1);
		assert_int_equal(e[1], 40);
		assert_int_equal(x86_get32(e, 2), memory[i].node);
		assert_int_equal(x86_get16(e, 6), 0);
		assert_int_equal(x86_get64(e, 8), memory[i].gpa);
		assert_int_equal(x86_get64(e, 16), memory[i].size_bytes);
		assert_int_equal(x86_get32(e, 24), 0);
		assert_int_equal(x86_get32(e, 28), 1); /* enabled, neither hot-plug nor NVRAM */
		assert_memory_equal(e + 32, zero, 8);
	}
	rig_finish(&m.rig);
}

static void slit_bytes(void **state)
{
	struct axarch_topology topology = four;
	struct machine m;
	(void)state;

	plan_machine(&m, 5 * AX_GIB, 5, &topology);
	const uint8_t *t = table(&m, "SLIT");
	assert_non_null(t);
	assert_int_equal(t[8], 1);
	assert_int_equal(x86_get32(t, 4), 44 + 16);
	assert_int_equal(x86_get64(t, 36), 4);
	assert_memory_equal(t + 44, four_far, 16); /* row i, column j at 44 + 4 i + j */
	topology.distances = NULL;
	assert_null(table(&m, "SLIT"));
	assert_non_null(table(&m, "SRAT"));
	rig_finish(&m.rig);
}

/* No nodes: the same bytes with an empty topology, with CPUs alone, and without any. */
static void silent_without_nodes(void **state)
{
	static uint8_t plain[sizeof(bios)];
	static const struct axarch_topology none = {.node_count = 0};
	struct machine m;
	(void)state;

	plan_machine(&m, 5 * AX_GIB, 4, NULL);
	assert_null(table(&m, "SRAT"));
	assert_null(table(&m, "SLIT"));
	memcpy(plain, bios, sizeof(bios));
	rig_finish(&m.rig);
	plan_machine(&m, 5 * AX_GIB, 4, &none);
	assert_null(table(&m, "SRAT"));
	assert_memory_equal(plain, bios, sizeof(bios));
	rig_finish(&m.rig);
}

/* Every CPU of the MADT is in the SRAT once, by a structure of the same kind. */
static void same_cpus_as_the_madt(void **state)
{
	static uint32_t nodes[X86_MAX_VCPUS];
	static const uint64_t bytes[] = {AX_GIB, AX_GIB, AX_GIB, AX_GIB};
	static const uint32_t counts[] = {1, 4, 20, 250, 256, 1024};
	(void)state;

	for (size_t c = 0; c < AX_ARRAY_LEN(counts); c++) {
		const struct axarch_topology topology = {.node_count = 4,
							 .node_bytes = bytes,
							 .vcpu_nodes = nodes,
							 .threads_per_core = 2};
		struct machine m;
		uint32_t cpu = 0, listed = 0;

		for (uint32_t i = 0; i < counts[c]; i++)
			nodes[i] = i % 4;
		plan_machine(&m, FOUR_GIB, counts[c], &topology);
		m.rig.devices.device_count = m.rig.plan.device_count;
		const uint8_t *srat = table(&m, "SRAT"), *madt = table(&m, "APIC");
		const uint8_t *s = srat + 48;
		for (uint32_t i = 44; i < x86_get32(madt, 4); i += madt[i + 1]) {
			const uint8_t *e = madt + i;
			if (e[0] != 0 && e[0] != 9)
				continue;
			const uint32_t id = e[0] == 0 ? e[3] : x86_get32(e, 4);
			assert_int_equal(id, m.apic_ids[cpu]);
			if (e[0] == 0) {
				assert_int_equal(s[0], 0);
				assert_int_equal(s[3], id);
				assert_int_equal(s[2], cpu % 4);
			} else {
				assert_int_equal(s[0], 2);
				assert_int_equal(s[1], 24);
				assert_int_equal(x86_get16(s, 2), 0);
				assert_int_equal(x86_get32(s, 4), cpu % 4);
				assert_int_equal(x86_get32(s, 8), id);
				assert_int_equal(x86_get32(s, 12), 1);
				assert_int_equal(x86_get64(s, 16), 0);
			}
			s += s[1];
			cpu++;
		}
		assert_int_equal(cpu, counts[c]);
		for (; s < srat + x86_get32(srat, 4); s += s[1], listed++)
			assert_int_equal(s[0], 1);
		assert_int_equal(listed, m.rig.plan.memory_count);
		rig_finish(&m.rig);
	}
}

/* All RAM that the memory map tells is on some node, further regions too: Linux takes no SRAT that
 * leaves out more than a MiB. */
static void all_ram_is_on_a_node(void **state)
{
	static const struct axas_layout_range extra[] = {
		{"next", AXAS_LAYOUT_MEMORY, FOUR_GIB + 2 * AX_GIB, AX_GIB, 0},
		{"far", AXAS_LAYOUT_MEMORY, 32 * AX_GIB, 2 * AX_MIB, 0},
		{"file", AXAS_LAYOUT_RESERVED, 48 * AX_GIB, 2 * AX_MIB, 0},
	};
	struct x86_e820_entry map[X86_E820_MAX];
	struct machine m;
	(void)state;

	plan_machine(&m, 5 * AX_GIB, 5, &four);
	for (size_t i = 0; i < AX_ARRAY_LEN(extra); i++)
		assert_int_equal(axas_layout_add(&m.rig.plan.layout, &extra[i], NULL), 0);
	const uint8_t *t = table(&m, "SRAT");
	const size_t count = x86_e820(&m.rig.plan, map);
	for (size_t i = 0; i < count; i++) {
		uint64_t covered = 0;
		if (map[i].type != 1)
			continue;
		for (uint32_t n = 48; n < x86_get32(t, 4); n += t[n + 1]) {
			if (t[n] != 1)
				continue;
			uint64_t start = x86_get64(t, n + 8);
			/* What the topology does not know of goes to the lowest memory's node. */
			if (start >= extra[0].gpa)
				assert_int_equal(x86_get32(t, n + 2), 0);
			uint64_t end = start + x86_get64(t, n + 16);
			if (start < map[i].gpa)
				start = map[i].gpa;
			if (end > map[i].gpa + map[i].size_bytes)
				end = map[i].gpa + map[i].size_bytes;
			covered += end > start ? end - start : 0;
		}
		assert_int_equal(covered, map[i].size_bytes);
	}
	assert_int_equal(x86_get32(t, 4), 48 + 5 * 16 + 6 * 40);
	rig_finish(&m.rig);
}

/* ---- RAM ------------------------------------------------------------------------------------- */

static void ram_at_the_hole(void **state)
{
	static const struct {
		uint64_t bytes[3];
		struct {
			uint64_t gpa, size_bytes;
			uint32_t node;
		} expected[4];
		size_t count;
	} rows[] = {
		/* Below the hole; up to it; cut by it; behind it. */
		{{AX_GIB, AX_GIB, AX_GIB},
		 {{0, AX_GIB, 0}, {AX_GIB, AX_GIB, 1}, {2 * AX_GIB, AX_GIB, 2}},
		 3},
		{{3 * AX_GIB, AX_GIB, 0}, {{0, 3 * AX_GIB, 0}, {FOUR_GIB, AX_GIB, 1}}, 2},
		{{3 * AX_GIB + 4096, 2 * AX_GIB - 4096, AX_GIB},
		 {{0, 3 * AX_GIB, 0},
		  {FOUR_GIB, 4096, 0},
		  {FOUR_GIB + 4096, 2 * AX_GIB - 4096, 1},
		  {FOUR_GIB + 2 * AX_GIB, AX_GIB, 2}},
		 4},
		{{0, 3 * AX_GIB - 4096, AX_GIB},
		 {{0, 3 * AX_GIB - 4096, 1},
		  {3 * AX_GIB - 4096, 4096, 2},
		  {FOUR_GIB, AX_GIB - 4096, 2}},
		 3},
	};
	static const uint32_t cpus[] = {0, 1, 2};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_topology topology = {
			.node_count = 3, .node_bytes = rows[i].bytes, .vcpu_nodes = cpus};
		struct axarch_vm_config config = {.vcpu_count = 3, .topology = &topology};
		struct axarch_plan plan, flat;
		struct ax_error err = {0};

		for (size_t n = 0; n < 3; n++)
			config.memory_bytes += rows[i].bytes[n];
		if (x86_plan(&config, &plan, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(plan.memory_count, rows[i].count);
		for (size_t n = 0; n < plan.memory_count; n++) {
			assert_int_equal(plan.memory[n].gpa, rows[i].expected[n].gpa);
			assert_int_equal(plan.memory[n].size_bytes, rows[i].expected[n].size_bytes);
			assert_int_equal(plan.memory[n].node, rows[i].expected[n].node);
		}
		/* The map is the one of the same machine without nodes. */
		config.topology = NULL;
		assert_int_equal(x86_plan(&config, &flat, NULL), 0);
		assert_int_equal(plan.layout.count, flat.layout.count);
		for (size_t n = 0; n < flat.layout.count; n++) {
			assert_int_equal(plan.layout.range[n].gpa, flat.layout.range[n].gpa);
			assert_int_equal(plan.layout.range[n].size_bytes,
					 flat.layout.range[n].size_bytes);
		}
		assert_int_equal(x86_plan_low_ram_end(&plan), x86_plan_low_ram_end(&flat));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(srat_bytes),           cmocka_unit_test(slit_bytes),
		cmocka_unit_test(silent_without_nodes), cmocka_unit_test(same_cpus_as_the_madt),
		cmocka_unit_test(all_ram_is_on_a_node), cmocka_unit_test(ram_at_the_hole),
	};
	return cmocka_run_group_tests_name("x86_64-nodes", tests, NULL, NULL);
}
