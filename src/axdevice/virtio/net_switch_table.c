/*
 * Where a switch has seen which address: a hash table of fixed size, four places to a hash. It
 * believes source addresses, as every learning switch does; but a port that makes up addresses only
 * ever pushes out its own, and cannot choose where they fall, so that it does not turn the others'
 * frames into floods that it hears.
 */
#include "net_switch.h"
#include <string.h>

void axnet_table_init(struct switch_table *table, uint64_t key)
{
	memset(table, 0, sizeof(*table));
	table->key = key;
}

static struct switch_entry *set_of(const struct switch_table *table, uint64_t mac)
{
	uint64_t hash = (mac ^ table->key) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 32 ^ table->key) * 0xd6e8feb86659fd93ULL;
	return (struct switch_entry *)(uintptr_t)table->entry[hash >> 32 & (TABLE_SETS - 1)];
}

static bool is_old(const struct switch_entry *entry, uint64_t now_ns)
{
	return !entry->mac || now_ns - entry->seen_ns > TABLE_AGE_NS;
}

static void clear(struct switch_table *table, struct switch_entry *entry)
{
	if (entry->mac)
		table->count[entry->port]--;
	*entry = (struct switch_entry){0};
}

/* The place for a new address of the port; NULL: there is none. */
static struct switch_entry *place_for(const struct switch_table *table, struct switch_entry *set,
				      uint16_t port, uint64_t now_ns)
{
	struct switch_entry *own = NULL;

	for (unsigned i = 0; i < TABLE_WAYS; i++) {
		if (is_old(&set[i], now_ns) && table->count[port] < TABLE_PER_PORT)
			return &set[i];
		if (set[i].mac && set[i].port == port && (!own || set[i].seen_ns < own->seen_ns))
			own = &set[i];
	}
	return own;
}

void axnet_table_learn(struct switch_table *table, uint64_t mac, uint16_t port, uint64_t now_ns)
{
	struct switch_entry *set = set_of(table, mac), *entry = NULL;

	for (unsigned i = 0; i < TABLE_WAYS && !entry; i++) {
		if (set[i].mac == mac)
			entry = &set[i];
	}
	if (!entry)
		entry = place_for(table, set, port, now_ns);
	if (!entry)
		return;
	if (entry->mac != mac || entry->port != port) {
		clear(table, entry);
		table->count[port]++;
		*entry = (struct switch_entry){.mac = mac, .port = port};
	}
	entry->seen_ns = now_ns;
}

uint16_t axnet_table_find(const struct switch_table *table, uint64_t mac, uint64_t now_ns)
{
	const struct switch_entry *set = set_of(table, mac);

	for (unsigned i = 0; i < TABLE_WAYS; i++) {
		if (set[i].mac == mac && !is_old(&set[i], now_ns))
			return set[i].port;
	}
	return TABLE_NO_PORT;
}

void axnet_table_sweep(struct switch_table *table, uint16_t port, uint64_t now_ns)
{
	for (unsigned s = 0; s < TABLE_SETS; s++) {
		for (unsigned i = 0; i < TABLE_WAYS; i++) {
			struct switch_entry *entry = &table->entry[s][i];

			if (entry->mac && (entry->port == port || is_old(entry, now_ns)))
				clear(table, entry);
		}
	}
}
