/*
 * The text of an entry, written and read. Any user of the host may have written what is read here:
 * nothing is believed that has not been checked, and no text makes this slow or large.
 */
#include "ledger_private.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

void axledger_clean(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i]; i++)
		to[i] = (char)(from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?');
	to[i] = '\0';
}

void axledger_entry_free(struct ledger_entry *entry)
{
	free(entry->cpus);
	free(entry->memory);
	*entry = (struct ledger_entry){0};
}

int axledger_entry_check(const struct axledger_request *entry, const char **ret_why)
{
	*ret_why = NULL;
	if (entry->cpu_count > AXLEDGER_MAX_CPUS)
		*ret_why = "too many CPUs";
	else if (entry->memory_count > AXLEDGER_MAX_MEMORY)
		*ret_why = "too many rows of memory";
	for (size_t i = 0; !*ret_why && i < entry->cpu_count; i++)
		if (entry->cpus[i] > AXHOST_MAX_CPU_ID)
			*ret_why = "a CPU's number is too large";
		else if (i && entry->cpus[i] <= entry->cpus[i - 1])
			*ret_why = "the CPUs are not ascending";
	for (size_t i = 0; !*ret_why && i < entry->memory_count; i++) {
		const struct axledger_memory *row = &entry->memory[i];

		if (row->node > AXHOST_MAX_NODE_ID)
			*ret_why = "a node's number is too large";
		else if (row->page_size_bytes < 4096 || !ax_is_power_of_two(row->page_size_bytes) ||
			 row->page_size_bytes > INT64_MAX)
			*ret_why = "a page size is no power of two from 4096 on";
		else if (row->bytes > INT64_MAX)
			*ret_why = "an amount of memory is too large";
	}
	return *ret_why ? -EINVAL : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Takes over `value`, as jansson's _new functions do; NULL makes it fail. */
static bool put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static json_t *write_cpus(const struct axledger_request *entry)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (size_t i = 0; good && i < entry->cpu_count; i++)
		good = json_array_append_new(list, json_integer(entry->cpus[i])) == 0;
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *write_memory(const struct axledger_request *entry)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (size_t i = 0; good && i < entry->memory_count; i++) {
		const struct axledger_memory *row = &entry->memory[i];
		json_t *object = json_object();

		good = object && put(object, "node", json_integer(row->node)) &&
		       put(object, "page_size_bytes",
			   json_integer((json_int_t)row->page_size_bytes)) &&
		       put(object, "bytes", json_integer((json_int_t)row->bytes));
		if (good)
			good = json_array_append(list, object) == 0;
		json_decref(object);
	}
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

char *axledger_entry_write(const struct axledger_request *entry, pid_t pid)
{
	json_t *root = json_object();
	char *text = NULL, name[AXLEDGER_NAME_LENGTH];

	axledger_clean(name, sizeof(name), entry->name ? entry->name : "");
	if (root && put(root, "axvm_ledger", json_integer(VERSION)) &&
	    put(root, "name", json_string(name)) && put(root, "pid", json_integer(pid)) &&
	    put(root, "cpus", write_cpus(entry)) && put(root, "memory", write_memory(entry)))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool take(const json_t *object, const char *key, uint64_t max, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);
	const json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number > max)
		return false;
	*ret = (uint64_t)number;
	return true;
}

static int take_cpus(const json_t *list, struct ledger_entry *entry, const char **ret_why)
{
	const size_t count = json_array_size(list);

	*ret_why = "cpus is no list of numbers";
	if (!json_is_array(list) || count > AXLEDGER_MAX_CPUS)
		return -EINVAL;
	entry->cpus = calloc(count ? count : 1, sizeof(*entry->cpus));
	if (!entry->cpus)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		const json_int_t number = json_integer_value(value);

		if (!json_is_integer(value) || number < 0 || number > AXHOST_MAX_CPU_ID)
			return -EINVAL;
		entry->cpus[i] = (uint32_t)number;
	}
	entry->cpu_count = count;
	return 0;
}

static int take_memory(const json_t *list, struct ledger_entry *entry, const char **ret_why)
{
	const size_t count = json_array_size(list);

	*ret_why = "memory is no list of nodes, page sizes and bytes";
	if (!json_is_array(list) || count > AXLEDGER_MAX_MEMORY)
		return -EINVAL;
	entry->memory = calloc(count ? count : 1, sizeof(*entry->memory));
	if (!entry->memory)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *object = json_array_get(list, i);
		struct axledger_memory *row = &entry->memory[i];
		uint64_t node;

		if (!take(object, "node", AXHOST_MAX_NODE_ID, &node) ||
		    !take(object, "page_size_bytes", INT64_MAX, &row->page_size_bytes) ||
		    !take(object, "bytes", INT64_MAX, &row->bytes))
			return -EINVAL;
		row->node = (uint32_t)node;
	}
	entry->memory_count = count;
	return 0;
}

static int take_entry(const json_t *root, struct ledger_entry *entry, const char **ret_why)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	uint64_t number;
	int rc;

	*ret_why = "not of this version";
	if (!take(root, "axvm_ledger", VERSION, &number) || number != VERSION)
		return -EINVAL;
	*ret_why = "no name";
	if (!name)
		return -EINVAL;
	axledger_clean(entry->name, sizeof(entry->name), name);
	*ret_why = "no pid";
	if (!take(root, "pid", INT_MAX, &number))
		return -EINVAL;
	entry->pid = (pid_t)number;
	rc = take_cpus(json_object_get(root, "cpus"), entry, ret_why);
	if (!rc)
		rc = take_memory(json_object_get(root, "memory"), entry, ret_why);
	if (rc)
		return rc;
	return axledger_entry_check(&(struct axledger_request){.cpus = entry->cpus,
							       .cpu_count = entry->cpu_count,
							       .memory = entry->memory,
							       .memory_count = entry->memory_count},
				    ret_why);
}

int axledger_entry_parse(const char *text, size_t length, struct ledger_entry *ret_entry,
			 const char **ret_why)
{
	struct ledger_entry entry = {0};
	json_error_t error;
	json_t *root;
	int rc;

	*ret_why = "too long";
	if (length > LEDGER_ENTRY_MAX)
		return -EINVAL;
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	*ret_why = "not JSON";
	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	rc = take_entry(root, &entry, ret_why);
	json_decref(root);
	if (rc) {
		axledger_entry_free(&entry);
		return rc;
	}
	*ret_why = NULL;
	*ret_entry = entry;
	return 0;
}
