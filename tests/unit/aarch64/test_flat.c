/*
 * Flat images, code that is in memory already, and the kernels of a distribution where there are
 * some.
 */
#include "helpers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void flat(void **state)
{
	static const struct {
		uint64_t gpa, entry;
		enum ax_error_kind kind;
		const char *text;
	} rows[] = {
		{0, 0, AX_ERROR_BOOT_IMAGE, "do not fit into RAM"},
		{A64_RAM_GPA, 0, AX_ERROR_BOOT_IMAGE, "overwrite the device tree"},
		{A64_RAM_GPA + 512 * AX_MIB - 4, 0, AX_ERROR_BOOT_IMAGE, "do not fit"},
		{BASE, BASE + 64, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{BASE, BASE - 4, AX_ERROR_BOOT_IMAGE, "outside the image"},
		{BASE, BASE + 2, AX_ERROR_CONFIGURATION, "multiple of 4"},
	};
	const uint32_t code[16] = {0xd503207f}; /* wfi */
	struct a64_start start;
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
	m.rig.boot.load_gpa = BASE + 0x1000;
	m.rig.boot.entry = BASE + 0x1008;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.pc, BASE + 0x1008);
	assert_int_equal(start.x0, A64_DTB_GPA);
	assert_int_equal(axas_read_u32(m.rig.memory, BASE + 0x1000, &word), 0);
	assert_int_equal(word, code[0]);
	m.rig.boot.entry = 0;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.pc, BASE + 0x1000);
	rig_initrd(&m.rig, 4096);
	assert_refused(&m, AX_ERROR_CONFIGURATION, "takes no initrd");
	rig_finish(&m.rig);
}

/* Code that is in memory already. */
static void no_kernel(void **state)
{
	struct a64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	machine_map(&m);
	m.rig.boot.load_gpa = BASE;
	m.rig.config.irq_mode = AXARCH_IRQ_NONE;
	assert_int_equal(machine_load(&m, &start), 0);
	assert_int_equal(start.pc, BASE);
	rig_finish(&m.rig);
}

/* Kernels of a distribution, where tools/guest/fetch-kernels has put them into the cache. */
static void cached_kernels(void **state)
{
	const char *base = getenv("AXVM_CACHE"), *home = getenv("HOME");
	char cache[512], path[1024];
	struct dirent *entry;
	unsigned found = 0;
	(void)state;

	if (base)
		snprintf(cache, sizeof(cache), "%s/kernels", base);
	else
		snprintf(cache, sizeof(cache), "%s/.cache/axvm/kernels", home ? home : "");
	DIR *dir = opendir(cache);
	while (dir && (entry = readdir(dir)) != NULL) {
		struct a64_start start;
		struct machine m;
		snprintf(path, sizeof(path), "%s/%s/vmlinuz", cache, entry->d_name);
		if (strncmp(entry->d_name, "arm64", 5) != 0 || access(path, R_OK) < 0)
			continue;
		machine_init(&m);
		machine_map(&m);
		m.rig.boot.kernel_fd = open(path, O_RDONLY | O_CLOEXEC);
		m.rig.boot.kernel_name = path;
		if (machine_load(&m, &start) < 0)
			fail_msg("%s", m.rig.err.message);
		print_message("%s: entry 0x%llx\n", path, (unsigned long long)start.pc);
		rig_finish(&m.rig);
		found++;
	}
	if (dir)
		closedir(dir);
	if (!found) {
		print_message("no arm64 kernel below %s\n", cache);
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat),
		cmocka_unit_test(no_kernel),
		cmocka_unit_test(cached_kernels),
	};
	return cmocka_run_group_tests_name("aarch64-flat", tests, NULL, NULL);
}
