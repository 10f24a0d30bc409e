/*
 * Dispatch: from an address to the device that claims it, by binary search in a table that never
 * changes, and what an access does that nobody claims. Attaching and detaching are bus_attach.c,
 * the order of reset, suspend and resume bus_life.c.
 */
#include "bus_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>

static uint64_t width_mask(uint8_t width)
{
	return width >= 8 ? UINT64_MAX : (1ULL << (8 * width)) - 1;
}

const char *axbus_space_name(enum axdev_space space)
{
	static const char *const name[AXDEV_SPACE_COUNT] = {
		[AXDEV_PORT] = "port",
		[AXDEV_MMIO] = "MMIO",
		[AXDEV_SYSREG] = "system register",
	};
	return name[space];
}

static struct bus_stripe *this_stripe(struct axbus *bus)
{
	int cpu = sched_getcpu();

	return &bus->stripe[cpu < 0 ? 0 : (unsigned)cpu % BUS_STRIPES];
}

/* The entry that holds the access (all of it, unless that is wide), or NULL. */
static const struct bus_entry *lookup(const struct bus_table *table, uint64_t addr, uint64_t span)
{
	size_t low = 0, high = table ? table->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct bus_entry *entry = &table->entry[middle];

		if (addr < entry->first)
			high = middle;
		else if (addr > entry->last)
			low = middle + 1;
		else
			return entry->last - addr >= span - 1 || entry->wide ? entry : NULL;
	}
	return NULL;
}

static int missing(struct axbus *bus, const struct axdev *dev, uint64_t addr,
		   struct axdev_access *access)
{
	atomic_fetch_add_explicit(&this_stripe(bus)->missing[access->space], 1,
				  memory_order_relaxed);
	if (!access->is_write)
		access->value = width_mask(access->width);
	if (ax_log_enabled(AX_LOG_INFO))
		ax_log_limited(
			&bus->missing_limit, AX_LOG_INFO, BUS_LAYER,
			"%s %s of %u bytes at 0x%" PRIx64 ": %s%s", axbus_space_name(access->space),
			access->is_write ? "write" : "read", access->width, addr,
			dev ? "not handled by device " : "no device there", dev ? dev->name : "");
	if (bus->policy == AXBUS_MISSING_FAULT)
		return -ENXIO;
	return access->space == AXDEV_SYSREG ? 1 : 0;
}

int axbus_access(struct axbus *bus, uint64_t addr, struct axdev_access *access)
{
	/* A system register is one unit whatever its width; elsewhere addresses count bytes. */
	uint64_t span = access->space == AXDEV_SYSREG || !access->width ? 1 : access->width;
	const struct bus_entry *entry = lookup(
		atomic_load_explicit(&bus->table[access->space], memory_order_acquire), addr, span);

	atomic_fetch_add_explicit(&this_stripe(bus)->accesses[access->space], 1,
				  memory_order_relaxed);
	if (!entry)
		return missing(bus, NULL, addr, access);

	access->offset = addr - entry->first;
	access->resource = entry->resource;
	if (access->is_write)
		access->value &= width_mask(access->width);
	else
		access->value = 0;

	enum axdev_result result = entry->dev->ops->access(entry->dev, access);

	/* Only system registers can be refused; a port or MMIO access has no way to fault. */
	if (result == AXDEV_UNHANDLED || (result == AXDEV_FAULT && access->space != AXDEV_SYSREG))
		return missing(bus, entry->dev, addr, access);
	if (!access->is_write)
		access->value &= width_mask(access->width);
	return result == AXDEV_FAULT ? 1 : 0;
}

void axbus_get_stats(const struct axbus *bus, struct axbus_stats *ret_stats)
{
	struct axbus_stats sum = {0};

	for (size_t i = 0; i < BUS_STRIPES; i++) {
		const struct bus_stripe *stripe = &bus->stripe[i];

		for (size_t space = 0; space < AXDEV_SPACE_COUNT; space++) {
			sum.accesses[space] += atomic_load_explicit(&stripe->accesses[space],
								    memory_order_relaxed);
			sum.missing[space] +=
				atomic_load_explicit(&stripe->missing[space], memory_order_relaxed);
		}
	}
	*ret_stats = sum;
}
