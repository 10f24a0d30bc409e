/*
 * Which APIC id each vCPU has, and how an id splits into thread, core, last level cache and socket.
 * cpuid.c tells it to the guest, acpi.c and mptable.c list it, the native half creates vCPUs by it.
 */
#include "topology.h"
#include "../boot.h"

#include <errno.h>
#include <string.h>

/* Bits to number n things: 0 for one of them. */
static unsigned bits_for(uint32_t n)
{
	unsigned bits = 0;
	while (n > 1ULL << bits)
		bits++;
	return bits;
}

void x86_topology_of(const struct axarch_cpu_policy *policy, uint32_t vcpu_count,
		     uint32_t max_apic_id, struct x86_topology *ret)
{
	const struct axarch_cpu_policy none = {.sockets = 0};
	const bool unset = !policy || (!policy->sockets && !policy->cores && !policy->threads);

	if (!policy)
		policy = &none;
	ret->sockets = policy->sockets ? policy->sockets : 1;
	ret->threads = policy->threads ? policy->threads : 1;
	ret->cores = policy->cores;
	if (!ret->cores) {
		ret->cores = (uint32_t)(vcpu_count / ((uint64_t)ret->sockets * ret->threads));
		if (!ret->cores)
			ret->cores = 1;
	}
	ret->llcs = policy->llcs ? policy->llcs : 1;
	ret->thread_bits = bits_for(ret->threads);
	ret->llc_bits = ret->thread_bits + bits_for((ret->cores + ret->llcs - 1) / ret->llcs);
	ret->package_bits = ret->llc_bits + bits_for(ret->llcs);
	/* Ids with gaps and no topology asked for: still one socket. */
	while (unset && ret->package_bits < 31 && max_apic_id >> ret->package_bits)
		ret->package_bits++;
	if (ret->llcs == 1)
		ret->llc_bits = ret->package_bits;
}

static int check_policy(const struct axarch_vm_config *config, const struct x86_topology *t,
			struct ax_error *err)
{
	const struct axarch_cpu_policy *p = &config->cpu;
	const uint64_t product = (uint64_t)t->sockets * t->cores;

	if (config->topology) /* is checked, and packages may differ */
		return 0;
	if (t->llcs > t->cores)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "topology of %u last level caches a socket has %u cores",
				    t->llcs, t->cores);
	if (t->sockets > X86_MAX_VCPUS || t->cores > X86_MAX_VCPUS || t->threads > X86_MAX_VCPUS ||
	    product * t->threads != config->vcpu_count) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "topology of %u sockets, %u cores, %u threads is not %u vCPUs",
			     t->sockets, t->cores, t->threads, config->vcpu_count);
		return ax_error_hint(err,
				     "sockets x cores x threads (as asked for: %u, %u, %u; 0 "
				     "is computed) must be the number of vCPUs",
				     p->sockets, p->cores, p->threads);
	}
	return 0;
}

/* As it is given, but that packages and caches have as many cores as the largest: CPUID has the
 * same widths of the fields for all of them. */
void x86_policy_of(const struct axarch_vm_config *config, struct axarch_cpu_policy *ret_policy)
{
	const struct axarch_topology *t = config->topology;
	struct axarch_cpu_place places[AXARCH_TOPOLOGY_MAX_VCPUS];
	uint32_t llc_cores = 1;

	*ret_policy = config->cpu;
	if (!t || axarch_cpu_places(config, places, NULL) < 0)
		return;
	ret_policy->sockets = ret_policy->llcs = 1;
	ret_policy->threads = t->threads_per_core ? t->threads_per_core : 1;
	for (uint32_t i = 0; i < config->vcpu_count; i++) {
		if (places[i].package >= ret_policy->sockets)
			ret_policy->sockets = places[i].package + 1;
		if (places[i].llc >= ret_policy->llcs)
			ret_policy->llcs = places[i].llc + 1;
		if (places[i].llc_core >= llc_cores)
			llc_cores = places[i].llc_core + 1;
	}
	ret_policy->cores = ret_policy->llcs * llc_cores;
}

/* Ids that are given keep guests from finding cores and packages in them. */
static int refuse_both(const struct x86_topology *t, struct ax_error *err)
{
	if (t->sockets == 1 && t->threads == 1)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
		     "hardware ids and a topology of %u packages with %u threads a core are given; "
		     "on x86_64 the ids follow from the topology",
		     t->sockets, t->threads);
	return ax_error_hint(err, "leave --cpu-ids out");
}

static int check_given(const struct axarch_vm_config *config, struct ax_error *err)
{
	uint8_t used[X86_MAX_APIC_ID / 8 + 1] = {0};

	for (uint32_t i = 0; i < config->vcpu_count; i++) {
		const uint32_t id = config->hardware_ids[i];
		if (id > X86_MAX_APIC_ID)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
					    "hardware id %u of vCPU %u is above %u", id, i,
					    X86_MAX_APIC_ID);
		if (used[id / 8] & 1u << id % 8)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EEXIST,
					    "hardware id %u of vCPU %u is taken by another vCPU",
					    id, i);
		used[id / 8] |= (uint8_t)(1u << id % 8);
	}
	return 0;
}

/* Every package full before the next, and in it every cache. */
static void fill_places(const struct x86_topology *t, uint32_t count,
			struct axarch_cpu_place *places)
{
	const uint32_t llc_cores = (t->cores + t->llcs - 1) / t->llcs;

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t core = i / t->threads % t->cores;

		places[i] = (struct axarch_cpu_place){.package = i / t->threads / t->cores,
						      .core = core,
						      .thread = i % t->threads,
						      .llc = core / llc_cores,
						      .llc_core = core % llc_cores};
	}
}

int x86_apic_ids(const struct axarch_vm_config *config, uint32_t *apic_ids, struct ax_error *err)
{
	struct axarch_cpu_place places[AXARCH_TOPOLOGY_MAX_VCPUS];
	struct axarch_cpu_policy policy;
	struct x86_topology t;
	int rc;

	if (config->vcpu_count < 1 || config->vcpu_count > X86_MAX_VCPUS)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "%u vCPUs are outside 1 to %u", config->vcpu_count,
				    X86_MAX_VCPUS);
	rc = axarch_check_topology(config, err);
	if (rc < 0)
		return rc;
	x86_policy_of(config, &policy);
	x86_topology_of(&policy, config->vcpu_count, config->vcpu_count - 1, &t);
	rc = check_policy(config, &t, err);
	if (rc == 0 && config->hardware_ids && config->topology)
		rc = refuse_both(&t, err);
	if (rc == 0 && config->hardware_ids)
		rc = check_given(config, err);
	if (rc < 0)
		return rc;
	if (config->hardware_ids) {
		memcpy(apic_ids, config->hardware_ids, config->vcpu_count * sizeof(*apic_ids));
		return 0;
	}
	/* Each level gets whole bits (SDM volume 3, "hierarchical mapping of APIC ids"). */
	if ((uint64_t)(t.sockets - 1) << t.package_bits > X86_MAX_APIC_ID)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "topology of %u sockets, %u cores, %u threads needs APIC ids "
				    "above %u",
				    t.sockets, t.cores, t.threads, X86_MAX_APIC_ID);
	if (config->topology)
		rc = axarch_cpu_places(config, places, err);
	else
		fill_places(&t, config->vcpu_count, places);
	for (uint32_t i = 0; rc == 0 && i < config->vcpu_count; i++) {
		apic_ids[i] = places[i].package << t.package_bits |
			      (t.llcs > 1 ? places[i].llc << t.llc_bits : 0) |
			      places[i].llc_core << t.thread_bits | places[i].thread;
		if (apic_ids[i] > X86_MAX_APIC_ID)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
					    "topology of %u sockets, %u cores, %u threads needs "
					    "APIC ids above %u",
					    t.sockets, t.cores, t.threads, X86_MAX_APIC_ID);
	}
	return rc;
}

/* KVM's IOAPIC, and messages of guests that know no more, name ids of eight bits; so Linux leaves
 * the others offline. */
void x86_warn_of_large_ids(const char *vm_name, const uint32_t *apic_ids, uint32_t count)
{
	uint32_t large = 0;

	for (uint32_t i = 0; i < count; i++)
		large += apic_ids[i] > X86_MAX_IRQ_ID;
	if (large)
		ax_log(AX_LOG_WARN, "x86",
		       "%s: %u of %u vCPUs have APIC ids above %u, which Linux leaves offline "
		       "unless KVM's CPUID leaves are shown and KVM_CAP_SPLIT_IRQCHIP is there; "
		       "use at most %u vCPUs, or smaller ids",
		       vm_name, large, count, X86_MAX_IRQ_ID, X86_MAX_IRQ_ID + 1);
}
