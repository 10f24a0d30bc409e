/*
 * Host facts from /proc and /sys below a root directory: here the processor's identity, memory as a
 * whole, and the kernel's own; who shares what is in cpus.c, nodes.c and groups.c. Reads text files
 * and nothing else; what is missing stays zero.
 */
#include "host_private.h"

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
	facts->npt = has_flag(line, "npt");
	facts->x2apic = has_flag(line, "x2apic");
	facts->gbpages = has_flag(line, "pdpe1gb");
	facts->hypervisor = has_flag(line, "hypervisor");
	facts->invariant_tsc = has_flag(line, "constant_tsc") && has_flag(line, "nonstop_tsc");
	facts->tsc_scaling = has_flag(line, "tsc_scale"); /* AMD; Intel's is a VMX flag */
}

/* The first processor's paragraph. The others are counted if need be, which costs: the kernel makes
 * up each when it is read. */
static void read_cpuinfo(const char *root, struct axhost_facts *facts, bool count)
{
	uint32_t processors = 0;
	FILE *f = open_below(root, "/proc/cpuinfo");
	struct axhost_arm arm = {.present = false};
	char line[8192], number[16];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "processor", 9))
			processors++;
		if (processors > 1 && !count)
			break;
		if (processors > 1)
			continue;
		axhost_read_arm_line(line, &arm);
		axhost_read_riscv_line(line, facts);
		if (!strncmp(line, "vendor_id", 9)) {
			copy_value(facts->vendor, sizeof(facts->vendor), line);
		} else if (!strncmp(line, "model name", 10)) {
			copy_value(facts->model_name, sizeof(facts->model_name), line);
		} else if (!strncmp(line, "cpu family", 10)) {
			copy_value(number, sizeof(number), line);
			facts->family = axhost_count(strtoul(number, NULL, 10));
		} else if (!strncmp(line, "model\t", 6)) {
			copy_value(number, sizeof(number), line);
			facts->model = axhost_count(strtoul(number, NULL, 10));
		} else if (!strncmp(line, "stepping", 8)) {
			copy_value(number, sizeof(number), line);
			facts->stepping = axhost_count(strtoul(number, NULL, 10));
		} else if (!strncmp(line, "flags", 5)) {
			read_flags(line, facts);
		} else if (!strncmp(line, "vmx flags", 9)) {
			facts->tsc_scaling = has_flag(line, "tsc_scaling");
		}
	}
	axhost_name_arm(&arm, facts);
	fclose(f);
	if (count)
		facts->cpus_online = processors;
}

static void read_meminfo(const char *root, struct axhost_facts *facts)
{
	char text[4096];
	unsigned long long kib;

	axhost_text(root, text, sizeof(text), "/proc/meminfo");
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "MemTotal: %llu", &kib) == 1)
			facts->memory_bytes = axhost_bytes(kib, AX_KIB);
		else if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			facts->memory_available_bytes = axhost_bytes(kib, AX_KIB);
	}
	/* A container's files may be made up from several. */
	if (facts->memory_available_bytes > facts->memory_bytes)
		facts->memory_available_bytes = facts->memory_bytes;
}

static void read_kernel(const char *root, struct axhost_facts *facts)
{
	char text[128];

	axhost_text(root, text, sizeof(text), "/sys/kernel/mm/transparent_hugepage/enabled");
	facts->thp = text[0] && !strstr(text, "[never]");
	facts->apicv = axhost_is_yes(root, "/sys/module/kvm_intel/parameters/enable_apicv") ||
		       axhost_is_yes(root, "/sys/module/kvm_amd/parameters/avic");
	/* KVM's own word counts more than the CPU's: a module may have it switched off. */
	if (axhost_text(root, text, sizeof(text), "/sys/module/kvm_intel/parameters/ept"))
		facts->ept = text[0] == 'Y' || text[0] == '1';
	if (axhost_text(root, text, sizeof(text), "/sys/module/kvm_amd/parameters/npt"))
		facts->npt = text[0] == 'Y' || text[0] == '1';
	/* 1 balances, 2 demotes to slow memory (Linux 5.18), 3 is both. */
	facts->numa_balancing = axhost_number(root, "/proc/sys/kernel/numa_balancing") != 0;
	axhost_text(root, facts->kernel_release, sizeof(facts->kernel_release),
		    "/proc/sys/kernel/osrelease");
}

/*
 * On the way to every VM, so it opens few files: about 105 for 40 CPUs on two nodes, of which 20
 * tell of cores, 30 of caches and packages, 15 of nodes and their pools, 20 of mitigations. A file
 * that tells of a group of CPUs is read once for the group.
 */
void axhost_read(const char *root, struct axhost_facts *ret_facts)
{
	char online[AXHOST_LIST_BYTES];
	bool told;
	int rc;

	memset(ret_facts, 0, sizeof(*ret_facts));
	told = axhost_text(root, online, sizeof(online), "/sys/devices/system/cpu/online") > 0;
	read_cpuinfo(root, ret_facts, !told);
	if (!told && ret_facts->cpus_online)
		snprintf(online, sizeof(online), "0-%u",
			 ret_facts->cpus_online <= AXHOST_MAX_CPU_ID ? ret_facts->cpus_online - 1
								     : AXHOST_MAX_CPU_ID);
	read_meminfo(root, ret_facts);
	read_kernel(root, ret_facts);
	axhost_read_mitigations(root, ret_facts);
	rc = axhost_read_cpus(root, online, ret_facts);
	if (!rc)
		rc = axhost_read_nodes(root, ret_facts);
	if (rc) {
		axhost_free(ret_facts);
	} else {
		axhost_read_groups(root, ret_facts);
		if (!*root)
			axhost_read_limits(root, ret_facts, true);
	}
	axhost_clean(ret_facts->vendor);
	axhost_clean(ret_facts->model_name);
	axhost_clean(ret_facts->mitigations);
	axhost_clean(ret_facts->kernel_release);
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
