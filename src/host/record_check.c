/*
 * What the values of a recording must have to do with each other, so that whoever reads facts may
 * rely on what host.h says of them, as it may on those of axhost_read.
 */
#include "record_private.h"

#include <errno.h>
#include <stdlib.h>

static int check_nodes(const char *name, const struct axhost_facts *facts, struct ax_error *err)
{
	uint64_t sizes[AXHOST_MAX_POOLS];
	size_t size_count = 0;

	for (size_t i = 0; i < facts->node_count; i++) {
		const struct axhost_node *node = &facts->nodes[i];

		if (i && node->id <= node[-1].id)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "%.120s: nodes[%zu].id: %u, expected more than %u: ids "
					    "ascend and each is there once",
					    name, i, node->id, node[-1].id);
		if (node->memory_free_bytes > node->memory_bytes)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "%.120s: nodes[%zu].memory_free_bytes: %llu, expected "
					    "at most its memory, %llu",
					    name, i, (unsigned long long)node->memory_free_bytes,
					    (unsigned long long)node->memory_bytes);
		for (size_t j = 0; j < node->pool_count; j++) {
			const uint64_t size = node->pools[j].page_size_bytes;
			size_t known = 0;

			if (j && size <= node->pools[j - 1].page_size_bytes)
				return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
						    "%.120s: nodes[%zu].pools[%zu]."
						    "page_size_bytes: %llu, expected sizes that "
						    "ascend",
						    name, i, j, (unsigned long long)size);
			while (known < size_count && sizes[known] != size)
				known++;
			if (known == AXHOST_MAX_POOLS)
				return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
						    "%.120s: nodes[%zu].pools[%zu]."
						    "page_size_bytes: %llu, expected at most %u "
						    "sizes on all nodes together",
						    name, i, j, (unsigned long long)size,
						    AXHOST_MAX_POOLS);
			if (known == size_count)
				sizes[size_count++] = size;
		}
	}
	return 0;
}

/* What has a number for the first time has the next one. */
static int check_dense(const char *name, size_t index, const char *key, uint32_t number,
		       uint32_t *count, struct ax_error *err)
{
	if (number > *count)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%.120s: cpus[%zu].%s: %u, expected at most %u: numbers are "
				    "given from 0 in the order of their first online CPU",
				    name, index, key, number, *count);
	*count += number == *count;
	return 0;
}

static int check_within(const char *name, size_t index, const char *key, size_t first,
			const char *group, bool same, struct ax_error *err)
{
	if (same)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			    "%.120s: cpus[%zu].%s: expected that of cpus[%zu], which is of the "
			    "same %s",
			    name, index, key, first, group);
}

/* first_of_core, first_of_llc: room for a number for each CPU. */
static int check_groups(const char *name, const struct axhost_facts *facts, size_t *first_of_core,
			size_t *first_of_llc, struct ax_error *err)
{
	uint32_t packages = 0, cores = 0, llcs = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpus = facts->cpus, *cpu = &cpus[i];
		const bool new_core = cpu->core == cores, new_llc = cpu->llc == llcs;
		size_t of_core, of_llc;

		if (!cpu->online)
			continue;
		rc = check_dense(name, i, "package", cpu->package, &packages, err);
		if (!rc)
			rc = check_dense(name, i, "llc", cpu->llc, &llcs, err);
		if (!rc)
			rc = check_dense(name, i, "core", cpu->core, &cores, err);
		if (rc)
			break;
		if (new_core)
			first_of_core[cpu->core] = i;
		if (new_llc)
			first_of_llc[cpu->llc] = i;
		of_core = first_of_core[cpu->core];
		of_llc = first_of_llc[cpu->llc];
		rc = check_within(name, i, "package", of_llc, "llc",
				  cpus[of_llc].package == cpu->package, err);
		if (!rc)
			rc = check_within(name, i, "llc", of_core, "core",
					  cpus[of_core].llc == cpu->llc, err);
		if (!rc)
			rc = check_within(name, i, "node", of_core, "core",
					  cpus[of_core].node == cpu->node, err);
	}
	return rc;
}

static int check_cpus(const char *name, const struct axhost_facts *facts, struct ax_error *err)
{
	AX_AUTO_FREE size_t *first = calloc(facts->cpu_count * 2, sizeof(*first));
	size_t online = 0;

	if (!first)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "out of memory for a recorded host");
	for (size_t i = 0; i < facts->cpu_count; i++) {
		online += facts->cpus[i].online;
		if (i && facts->cpus[i].id <= facts->cpus[i - 1].id)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "%.120s: cpus[%zu].id: %u, expected more than %u: ids "
					    "ascend and each is there once",
					    name, i, facts->cpus[i].id, facts->cpus[i - 1].id);
	}
	if (!online)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%.120s: cpus: all are offline, expected one that is online",
				    name);
	return check_groups(name, facts, first, first + facts->cpu_count, err);
}

int axhost_record_check(const char *name, const struct axhost_facts *facts, struct ax_error *err)
{
	int rc = check_nodes(name, facts, err);

	if (!rc && facts->memory_available_bytes > facts->memory_bytes)
		rc = ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				  "%.120s: memory_available_bytes: %llu, expected at most "
				  "memory_bytes, %llu",
				  name, (unsigned long long)facts->memory_available_bytes,
				  (unsigned long long)facts->memory_bytes);
	return rc ? rc : check_cpus(name, facts, err);
}
