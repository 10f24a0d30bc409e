/*
 * An entry of the ledger from a hostile user. What is accepted keeps the promises that the sum over
 * entries relies on, and comes back from its own text as it was; what is refused says why.
 */
#include "host/ledger_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static struct axledger_request as_request(const struct ledger_entry *entry)
{
	return (struct axledger_request){entry->name, entry->cpus, entry->cpu_count, entry->memory,
					 entry->memory_count};
}

static void check_promises(const struct ledger_entry *entry)
{
	check(entry->pid >= 0 && strlen(entry->name) < sizeof(entry->name));
	for (const char *c = entry->name; *c; c++)
		check(*c >= 0x20 && *c < 0x7f);
	check(entry->cpu_count <= AXLEDGER_MAX_CPUS && entry->memory_count <= AXLEDGER_MAX_MEMORY);
	for (size_t i = 0; i < entry->cpu_count; i++)
		check(entry->cpus[i] <= AXHOST_MAX_CPU_ID &&
		      (!i || entry->cpus[i] > entry->cpus[i - 1]));
	for (size_t i = 0; i < entry->memory_count; i++)
		check(ax_is_power_of_two(entry->memory[i].page_size_bytes) &&
		      entry->memory[i].bytes <= INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len ? len : 1), *text; /* to the byte, for ASan */
	struct ledger_entry entry = {0}, back = {0};
	struct axledger_request request;
	const char *why = NULL;
	int rc;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	rc = axledger_entry_parse(copy, len, &entry, &why);
	free(copy);
	if (rc) {
		check(rc == -ENOMEM || (rc == -EINVAL && why && *why));
		check(!entry.cpus && !entry.memory);
		return 0;
	}
	check_promises(&entry);
	request = as_request(&entry);
	text = axledger_entry_write(&request, entry.pid);
	check(text && axledger_entry_parse(text, strlen(text), &back, &why) == 0);
	check(!strcmp(entry.name, back.name) && entry.pid == back.pid &&
	      entry.cpu_count == back.cpu_count && entry.memory_count == back.memory_count);
	check(!memcmp(entry.cpus, back.cpus, entry.cpu_count * sizeof(*entry.cpus)));
	for (size_t i = 0; i < entry.memory_count; i++)
		check(entry.memory[i].node == back.memory[i].node &&
		      entry.memory[i].page_size_bytes == back.memory[i].page_size_bytes &&
		      entry.memory[i].bytes == back.memory[i].bytes);
	axledger_entry_free(&entry);
	axledger_entry_free(&back);
	free(text);
	return 0;
}
