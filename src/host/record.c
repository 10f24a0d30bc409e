/*
 * What a recording of a host says, as tables that its reader (record_load.c) and its writer
 * (record_save.c) share; docs/host.md tells the same to people.
 */
#include "record_private.h"

#include <string.h>

#define FIELD(kind, type, member) \
#member, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member)

#define TEXT(member)                                     \
	{                                                \
		FIELD(RECORD_TEXT, axhost_facts, member) \
	}
#define YES_NO(member)                                   \
	{                                                \
		FIELD(RECORD_BOOL, axhost_facts, member) \
	}

static const struct record_field host_fields[] = {
	{"axvm_host", RECORD_OTHER}, /* the format's version */
	TEXT(vendor),
	TEXT(model_name),
	{FIELD(RECORD_UINT, axhost_facts, family)},
	{FIELD(RECORD_UINT, axhost_facts, model)},
	{FIELD(RECORD_UINT, axhost_facts, stepping)},
	TEXT(kernel_release),
	{FIELD(RECORD_UINT, axhost_facts, memory_bytes)},
	{FIELD(RECORD_UINT, axhost_facts, memory_available_bytes)},
	{FIELD(RECORD_UINT, axhost_facts, memory_limit_bytes)},
	{FIELD(RECORD_UINT, axhost_facts, memory_limit_used_bytes), .may_miss = true},
	{FIELD(RECORD_UINT, axhost_facts, cpu_limit_thousandths), .may_miss = true},
	YES_NO(thp),
	YES_NO(numa_balancing),
	TEXT(mitigations),
	{"features", RECORD_OTHER},
	{"caches", RECORD_OTHER},
	{"nodes", RECORD_OTHER},
	{"distances", RECORD_OTHER},
	{"cpus", RECORD_OTHER},
};

static const struct record_field feature_fields[] = {
	YES_NO(vmx),    YES_NO(svm),         YES_NO(ept),   YES_NO(npt),     YES_NO(invariant_tsc),
	YES_NO(x2apic), YES_NO(tsc_scaling), YES_NO(apicv), YES_NO(gbpages), YES_NO(hypervisor),
};

static const struct record_field cache_fields[] = {
	{FIELD(RECORD_UINT, axhost_cache, level), .min = 1, .max = AXHOST_MAX_LEVEL},
	{FIELD(RECORD_CACHE, axhost_cache, type)},
	{FIELD(RECORD_UINT, axhost_cache, size_bytes)},
	{FIELD(RECORD_UINT, axhost_cache, ways)},
	{FIELD(RECORD_UINT, axhost_cache, line_bytes)},
	{FIELD(RECORD_UINT, axhost_cache, shared_by)},
};

static const struct record_field node_fields[] = {
	{FIELD(RECORD_UINT, axhost_node, id), .max = AXHOST_MAX_NODE_ID},
	{FIELD(RECORD_UINT, axhost_node, memory_bytes)},
	{FIELD(RECORD_UINT, axhost_node, memory_free_bytes)},
	{FIELD(RECORD_BOOL, axhost_node, allowed), .otherwise = true},
	{"pools", RECORD_OTHER},
};

static const struct record_field pool_fields[] = {
	{FIELD(RECORD_UINT, axhost_page_pool, page_size_bytes), .min = 4096},
	{FIELD(RECORD_UINT, axhost_page_pool, total), .max = UINT32_MAX},
	{FIELD(RECORD_UINT, axhost_page_pool, free), .max = UINT32_MAX},
};

/* An offline CPU has an id, and perhaps it is isolated or tickless. */
static const struct record_field cpu_fields[] = {
	{FIELD(RECORD_UINT, axhost_cpu, id), .max = AXHOST_MAX_CPU_ID},
	{FIELD(RECORD_BOOL, axhost_cpu, online), .otherwise = true},
	{FIELD(RECORD_UINT, axhost_cpu, package), .max = AXHOST_MAX_CPU_ID},
	{FIELD(RECORD_UINT, axhost_cpu, core), .max = AXHOST_MAX_CPU_ID},
	{FIELD(RECORD_UINT, axhost_cpu, llc), .max = AXHOST_MAX_CPU_ID},
	{FIELD(RECORD_UINT, axhost_cpu, node), .max = AXHOST_MAX_NODE_ID}, /* its id */
	{FIELD(RECORD_BOOL, axhost_cpu, isolated)},
	{FIELD(RECORD_BOOL, axhost_cpu, tickless)},
	{FIELD(RECORD_BOOL, axhost_cpu, allowed), .otherwise = true},
};

#define TABLE(fields)                        \
	{                                    \
		fields, AX_ARRAY_LEN(fields) \
	}
const struct record_table axhost_record_host = TABLE(host_fields);
const struct record_table axhost_record_features = TABLE(feature_fields);
const struct record_table axhost_record_cache = TABLE(cache_fields);
const struct record_table axhost_record_node = TABLE(node_fields);
const struct record_table axhost_record_pool = TABLE(pool_fields);
const struct record_table axhost_record_cpu = TABLE(cpu_fields);

static const struct {
	char letter;
	const char *name;
} cache_types[] = {{'d', "data"}, {'i', "instruction"}, {'u', "unified"}};

const char *axhost_record_cache_name(char type)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(cache_types); i++)
		if (cache_types[i].letter == type)
			return cache_types[i].name;
	return NULL;
}

char axhost_record_cache_letter(const char *name)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(cache_types); i++)
		if (!strcmp(cache_types[i].name, name))
			return cache_types[i].letter;
	return 0;
}
