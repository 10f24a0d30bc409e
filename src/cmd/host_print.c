/*
 * Facts of a host as people read them: what `axvm doctor` and `axvm host` both print.
 */
#include "cmd.h"

#include <axvm/host.h>
#include <axvm/profile.h>

#include <stdio.h>

void host_print_summary(const struct axhost_facts *facts)
{
	char total[32], available[32], page[32];

	ax_format_size(ax_align_down(facts->memory_bytes, AX_MIB), total, sizeof(total));
	ax_format_size(ax_align_down(facts->memory_available_bytes, AX_MIB), available,
		       sizeof(available));
	printf("Host\n");
	printf("  %-26s ", "processor");
	if (facts->family) /* x86 */
		printf("%s (%s family %u model %u stepping %u)\n", facts->model_name, facts->vendor,
		       facts->family, facts->model, facts->stepping);
	else if (facts->model_name[0])
		printf("%s (%s)\n", facts->model_name, facts->vendor);
	else
		printf("not known\n");
	printf("  %-26s %u on %u NUMA node%s\n", "CPUs", facts->cpus_online, facts->nodes_online,
	       facts->nodes_online == 1 ? "" : "s");
	printf("  %-26s %s, %s available\n", "memory", total, available);
	printf("  %-26s %s\n", "transparent huge pages", facts->thp ? "yes" : "no");
	for (size_t i = 0; i < facts->pool_count; i++)
		printf("  %-26s %llu pages, %llu free\n",
		       ax_format_size(facts->pools[i].page_size_bytes, page, sizeof(page)),
		       (unsigned long long)facts->pools[i].total,
		       (unsigned long long)facts->pools[i].free);
	printf("  %-26s %s\n", "kernel", facts->kernel_release);
	if (facts->family) /* others have no such flag */
		printf("  %-26s %s\n", "itself a virtual machine",
		       facts->hypervisor ? "yes" : "no");
}

static void print_options(const struct axprof *profile, const struct axhost_facts *facts)
{
	printf("\nUsed by %s where there is\n", profile->name);
	for (size_t i = 0; i < profile->option_count; i++)
		printf("  %-26s %-3s  %s\n", profile->options[i].name,
		       profile->options[i].met(facts) ? "yes" : "no", profile->options[i].remedy);
}

void host_print_profiles(const struct axhost_facts *facts)
{
	const struct axprof *profile, *chosen = NULL;
	char missing[256];

	printf("\nProfiles\n");
	for (size_t i = 0; (profile = axprof_at(i)); i++) {
		size_t count = axprof_missing(profile, facts, missing, sizeof(missing));

		printf("  %-26s %s%s%s%s\n", profile->name, profile->summary,
		       count ? "; missing: " : "", count ? missing : "",
		       !count && !chosen ? "  <- chosen" : "");
		if (!count && !chosen)
			chosen = profile;
	}
	if (chosen && facts->family) /* x86's, like the facts behind them */
		print_options(chosen, facts);
}
