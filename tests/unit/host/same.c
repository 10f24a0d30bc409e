/* Two hosts, fact by fact: the first that differs fails the test. */
#include "same.h"
#include "../test.h"

void assert_same_facts(const struct axhost_facts *a, const struct axhost_facts *b)
{
	assert_int_equal(a->cpu_count, b->cpu_count);
	assert_int_equal(a->node_count, b->node_count);
	for (size_t c = 0; c < b->cpu_count; c++) {
		assert_int_equal(a->cpus[c].id, b->cpus[c].id);
		assert_int_equal(a->cpus[c].package, b->cpus[c].package);
		assert_int_equal(a->cpus[c].core, b->cpus[c].core);
		assert_int_equal(a->cpus[c].llc, b->cpus[c].llc);
		assert_int_equal(a->cpus[c].node, b->cpus[c].node);
		assert_int_equal(a->cpus[c].online, b->cpus[c].online);
		assert_int_equal(a->cpus[c].isolated, b->cpus[c].isolated);
		assert_int_equal(a->cpus[c].tickless, b->cpus[c].tickless);
		assert_int_equal(a->cpus[c].allowed, b->cpus[c].allowed);
	}
	assert_memory_equal(a->nodes, b->nodes, b->node_count * sizeof(*b->nodes));
	assert_memory_equal(a->distances, b->distances, b->node_count * b->node_count);
	assert_int_equal(a->cache_count, b->cache_count);
	assert_memory_equal(a->caches, b->caches, sizeof(a->caches));
	assert_int_equal(a->pool_count, b->pool_count);
	assert_memory_equal(a->pools, b->pools, b->pool_count * sizeof(b->pools[0]));
	assert_string_equal(a->vendor, b->vendor);
	assert_string_equal(a->model_name, b->model_name);
	assert_string_equal(a->mitigations, b->mitigations);
	assert_string_equal(a->kernel_release, b->kernel_release);
	assert_int_equal(a->cpus_online, b->cpus_online);
	assert_int_equal(a->nodes_online, b->nodes_online);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->model, b->model);
	assert_int_equal(a->stepping, b->stepping);
	assert_int_equal(a->memory_bytes, b->memory_bytes);
	assert_int_equal(a->memory_available_bytes, b->memory_available_bytes);
	assert_int_equal(a->memory_limit_bytes, b->memory_limit_bytes);
	assert_int_equal(a->memory_limit_used_bytes, b->memory_limit_used_bytes);
	assert_int_equal(a->cpu_limit_thousandths, b->cpu_limit_thousandths);
	assert_true(a->vmx == b->vmx && a->svm == b->svm && a->ept == b->ept && a->npt == b->npt &&
		    a->invariant_tsc == b->invariant_tsc && a->x2apic == b->x2apic &&
		    a->tsc_scaling == b->tsc_scaling && a->apicv == b->apicv &&
		    a->gbpages == b->gbpages && a->hypervisor == b->hypervisor &&
		    a->thp == b->thp && a->numa_balancing == b->numa_balancing);
}
