/*
 * Real kernels of a distribution, where tools/guest/fetch-kernels has put them into the cache:
 * each loads by every protocol it offers. Skipped where there are none.
 */
#include "helpers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char cache[512];

static void load_all(const char *path, const enum axarch_boot_protocol *protocols, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct machine m;
		struct x86_start start;
		machine_init(&m, 512 * AX_MIB, 2);
		m.rig.boot.kernel_fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(m.rig.boot.kernel_fd >= 0);
		m.rig.boot.kernel_name = path;
		m.rig.boot.protocol = protocols[i];
		rig_initrd(&m.rig, 5 * AX_MIB);
		if (machine_load(&m, &start) < 0)
			fail_msg("%s by protocol %d: %s", path, protocols[i], m.rig.err.message);
		assert_true(start.rip >= X86_HIGH_RAM_GPA);
		print_message("%s: mode %d, entry 0x%llx\n", path, start.mode,
			      (unsigned long long)start.rip);
		rig_finish(&m.rig);
	}
}

static void cached_kernels(void **state)
{
	static const enum axarch_boot_protocol bz[] = {AXARCH_BOOT_AUTO, AXARCH_BOOT_LINUX64,
						       AXARCH_BOOT_LINUX32};
	static const enum axarch_boot_protocol elf[] = {AXARCH_BOOT_AUTO, AXARCH_BOOT_LINUX64};
	const char *base = getenv("AXVM_CACHE"), *home = getenv("HOME");
	unsigned found = 0;
	(void)state;

	if (base)
		snprintf(cache, sizeof(cache), "%s/kernels", base);
	else
		snprintf(cache, sizeof(cache), "%s/.cache/axvm/kernels", home ? home : "");
	DIR *dir = opendir(cache);
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		char path[1024];
		/* Those of other architectures carry its name. */
		if (entry->d_name[0] == '.' || !strncmp(entry->d_name, "arm64", 5) ||
		    !strncmp(entry->d_name, "riscv64", 7))
			continue;
		snprintf(path, sizeof(path), "%s/%s/vmlinuz", cache, entry->d_name);
		if (access(path, R_OK) == 0 && ++found)
			load_all(path, bz, AX_ARRAY_LEN(bz));
		snprintf(path, sizeof(path), "%s/%s/vmlinux", cache, entry->d_name);
		if (access(path, R_OK) == 0 && ++found)
			load_all(path, elf, AX_ARRAY_LEN(elf));
	}
	if (dir)
		closedir(dir);
	if (!found) {
		print_message("no kernels below %s (see tools/guest/fetch-kernels)\n", cache);
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cached_kernels)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
