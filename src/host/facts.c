/*
 * Host facts from /proc and /sys below a root directory. Reads text files and nothing else; what
 * is missing stays zero.
 */
#include "host_private.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_below(const char *root, const char *path)
{
	char full[512];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

/* First line of a small file, without its newline; empty when it cannot be read. */
static void read_line(const char *root, const char *path, char *buf, size_t size)
{
	FILE *f = open_below(root, path);

	buf[0] = '\0';
	if (!f)
		return;
	if (!fgets(buf, (int)size, f))
		buf[0] = '\0';
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
}

static bool is_yes(const char *root, const char *path)
{
	char text[8];

	read_line(root, path, text, sizeof(text));
	return text[0] == 'Y' || text[0] == '1';
}

static void copy_value(char *dst, size_t size, const char *line)
{
	const char *value = strchr(line, ':');

	if (!value)
		return;
	snprintf(dst, size, "%s", value + 1 + strspn(value + 1, " \t"));
	dst[strcspn(dst, "\n")] = '\0';
}

static bool has_flag(const char *flags, const char *flag)
{
	size_t n = strlen(flag);

	for (const char *at = strstr(flags, flag); at; at = strstr(at + n, flag))
		if (at[-1] == ' ' && (at[n] == ' ' || at[n] == '\n' || !at[n]))
			return true;
	return false;
}

static void read_flags(const char *line, struct axhost_facts *facts)
{
	facts->vmx = has_flag(line, "vmx");
	facts->svm = has_flag(line, "svm");
	facts->ept = has_flag(line, "ept");
	facts->x2apic = has_flag(line, "x2apic");
	facts->gbpages = has_flag(line, "pdpe1gb");
	facts->hypervisor = has_flag(line, "hypervisor");
	facts->invariant_tsc = has_flag(line, "constant_tsc") && has_flag(line, "nonstop_tsc");
	facts->tsc_scaling = has_flag(line, "tsc_scale"); /* AMD; Intel's is a VMX flag */
}

/* The first processor's paragraph; the others are counted. */
static void read_cpuinfo(const char *root, struct axhost_facts *facts)
{
	FILE *f = open_below(root, "/proc/cpuinfo");
	struct axhost_arm arm = {.present = false};
	char line[8192], number[16];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "processor", 9))
			facts->cpus_online++;
		if (facts->cpus_online > 1)
			continue;
		axhost_read_arm_line(line, &arm);
		axhost_read_riscv_line(line, facts);
		if (!strncmp(line, "vendor_id", 9)) {
			copy_value(facts->vendor, sizeof(facts->vendor), line);
		} else if (!strncmp(line, "model name", 10)) {
			copy_value(facts->model_name, sizeof(facts->model_name), line);
		} else if (!strncmp(line, "cpu family", 10)) {
			copy_value(number, sizeof(number), line);
			facts->family = (uint32_t)strtoul(number, NULL, 10);
		} else if (!strncmp(line, "model\t", 6)) {
			copy_value(number, sizeof(number), line);
			facts->model = (uint32_t)strtoul(number, NULL, 10);
		} else if (!strncmp(line, "stepping", 8)) {
			copy_value(number, sizeof(number), line);
			facts->stepping = (uint32_t)strtoul(number, NULL, 10);
		} else if (!strncmp(line, "flags", 5)) {
			read_flags(line, facts);
		} else if (!strncmp(line, "vmx flags", 9)) {
			facts->tsc_scaling = has_flag(line, "tsc_scaling");
		}
	}
	axhost_name_arm(&arm, facts);
	fclose(f);
}

static void read_meminfo(const char *root, struct axhost_facts *facts)
{
	FILE *f = open_below(root, "/proc/meminfo");
	char line[256];
	unsigned long long kib;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %llu", &kib) == 1)
			facts->memory_bytes = kib * AX_KIB;
		else if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			facts->memory_available_bytes = kib * AX_KIB;
	}
	fclose(f);
}

static uint64_t read_number(const char *root, const char *path)
{
	char text[32];

	read_line(root, path, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static void read_pools(const char *root, struct axhost_facts *facts)
{
	static const unsigned sizes_kib[] = {2048, 1048576};
	char path[128];

	for (size_t i = 0; i < AX_ARRAY_LEN(sizes_kib); i++) {
		struct axhost_page_pool *pool = &facts->pools[facts->pool_count];
		char text[32];

		snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%ukB/nr_hugepages",
			 sizes_kib[i]);
		read_line(root, path, text, sizeof(text));
		if (!text[0])
			continue;
		pool->page_size_bytes = sizes_kib[i] * AX_KIB;
		pool->total = strtoull(text, NULL, 10);
		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%ukB/free_hugepages", sizes_kib[i]);
		pool->free = read_number(root, path);
		facts->pool_count++;
	}
}

static uint32_t count_nodes(const char *root)
{
	char path[512];
	struct dirent *entry;
	uint32_t nodes = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/devices/system/node", root);
	dir = opendir(path);
	if (!dir)
		return 1;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "node", 4) && entry->d_name[4] >= '0' &&
		    entry->d_name[4] <= '9')
			nodes++;
	closedir(dir);
	return nodes ? nodes : 1;
}

void axhost_read(const char *root, struct axhost_facts *ret_facts)
{
	char text[128];

	memset(ret_facts, 0, sizeof(*ret_facts));
	read_cpuinfo(root, ret_facts);
	read_meminfo(root, ret_facts);
	read_pools(root, ret_facts);
	ret_facts->nodes_online = count_nodes(root);
	read_line(root, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	ret_facts->thp = text[0] && !strstr(text, "[never]");
	ret_facts->apicv = is_yes(root, "/sys/module/kvm_intel/parameters/enable_apicv") ||
			   is_yes(root, "/sys/module/kvm_amd/parameters/avic");
	/* KVM's own word counts more than the CPU's: a module may have it switched off. */
	read_line(root, "/sys/module/kvm_intel/parameters/ept", text, sizeof(text));
	if (text[0])
		ret_facts->ept = text[0] == 'Y' || text[0] == '1';
	read_line(root, "/proc/sys/kernel/osrelease", ret_facts->kernel_release,
		  sizeof(ret_facts->kernel_release));
	if (axhost_fill_flat(ret_facts))
		axhost_free(ret_facts);
}

void axhost_free(struct axhost_facts *facts)
{
	free(facts->cpus);
	free(facts->nodes);
	free(facts->distances);
	facts->cpus = NULL;
	facts->nodes = NULL;
	facts->distances = NULL;
	facts->cpu_count = facts->node_count = 0;
}
