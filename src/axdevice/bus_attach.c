/*
 * Who is on the bus: checks a new device's resources against everybody else's and publishes new
 * tables for bus.c to search. A replaced table is kept until no access can be running (reset or
 * destroy), because dispatch takes neither a lock nor a reference.
 */
#include "bus_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PORT_LIMIT 0x10000ULL

static int check_resource(const struct axdev *dev, const struct axdev_resource *res,
			  struct ax_error *err)
{
	uint64_t end;

	if (res->space >= AXDEV_SPACE_COUNT)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "device \"%s\": unknown address space %u", dev->name,
				    (unsigned)res->space);
	if (!res->size)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "device \"%s\": empty %s range at 0x%" PRIx64, dev->name,
				    axbus_space_name(res->space), res->base);
	if (ax_add_overflows(res->base, res->size, &end) ||
	    (res->space == AXDEV_PORT && end > PORT_LIMIT))
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "device \"%s\": %s range 0x%" PRIx64 " + 0x%" PRIx64
				    " runs past the end of the address space",
				    dev->name, axbus_space_name(res->space), res->base, res->size);
	return 0;
}

static int conflict(const struct axdev *dev, const struct bus_entry *mine,
		    const struct bus_entry *theirs, struct ax_error *err)
{
	enum axdev_space space = dev->resource[mine->resource].space;

	ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
		     "device \"%s\" at %s 0x%" PRIx64 "-0x%" PRIx64
		     " overlaps device \"%s\" at 0x%" PRIx64 "-0x%" PRIx64,
		     dev->name, axbus_space_name(space), mine->first, mine->last, theirs->dev->name,
		     theirs->first, theirs->last);
	ax_error_hint(err, "move one of the two, or remove it from the configuration");
	return -EEXIST;
}

static struct bus_table *current_table(const struct axbus *bus, size_t space)
{
	return atomic_load_explicit(&bus->table[space], memory_order_relaxed);
}

/* The space's table with dev's resources in their places. */
static int table_with(const struct axbus *bus, size_t space, struct axdev *dev,
		      struct bus_table **ret_table, struct ax_error *err)
{
	const struct bus_table *old = current_table(bus, space);
	size_t count = old ? old->count : 0;
	struct bus_table *table =
		malloc(sizeof(*table) + (count + dev->resource_count) * sizeof(table->entry[0]));

	if (!table)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for a bus table of %zu entries", count);
	table->next_retired = NULL;
	table->count = count;
	if (count)
		memcpy(table->entry, old->entry, count * sizeof(table->entry[0]));

	for (uint8_t i = 0; i < dev->resource_count; i++) {
		const struct axdev_resource *res = &dev->resource[i];
		struct bus_entry entry = {res->base, res->base + res->size - 1, dev, i, res->wide};
		size_t at = 0;

		if (res->space != space)
			continue;
		while (at < table->count && table->entry[at].last < entry.first)
			at++;
		if (at < table->count && table->entry[at].first <= entry.last) {
			int rc = conflict(dev, &entry, &table->entry[at], err);
			free(table);
			return rc;
		}
		memmove(&table->entry[at + 1], &table->entry[at],
			(table->count - at) * sizeof(entry));
		table->entry[at] = entry;
		table->count++;
	}
	*ret_table = table;
	return 0;
}

static struct bus_table *table_without(const struct axbus *bus, size_t space,
				       const struct axdev *dev)
{
	const struct bus_table *old = current_table(bus, space);
	size_t count = old ? old->count : 0;
	struct bus_table *table = malloc(sizeof(*table) + count * sizeof(table->entry[0]));

	if (!table)
		return NULL;
	table->next_retired = NULL;
	table->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (old->entry[i].dev != dev)
			table->entry[table->count++] = old->entry[i];
	}
	return table;
}

static void publish(struct axbus *bus, struct bus_table *const fresh[AXDEV_SPACE_COUNT])
{
	for (size_t space = 0; space < AXDEV_SPACE_COUNT; space++) {
		struct bus_table *old;

		if (!fresh[space])
			continue;
		old = atomic_exchange_explicit(&bus->table[space], fresh[space],
					       memory_order_acq_rel);
		if (old) {
			old->next_retired = bus->retired;
			bus->retired = old;
		}
	}
}

static bool uses_space(const struct axdev *dev, size_t space)
{
	for (uint8_t i = 0; i < dev->resource_count; i++) {
		if (dev->resource[i].space == space)
			return true;
	}
	return false;
}

static void free_tables(struct bus_table *fresh[AXDEV_SPACE_COUNT])
{
	for (size_t space = 0; space < AXDEV_SPACE_COUNT; space++)
		free(fresh[space]);
}

static int make_room(struct axbus *bus, struct ax_error *err)
{
	size_t capacity = bus->device_capacity ? bus->device_capacity * 2 : 16;
	struct axdev **devices;

	if (bus->device_count < bus->device_capacity)
		return 0;
	devices = realloc(bus->devices, capacity * sizeof(*devices));
	if (!devices)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for a list of %zu devices", capacity);
	bus->devices = devices;
	bus->device_capacity = capacity;
	return 0;
}

static int attach_locked(struct axbus *bus, struct axdev *dev, struct ax_error *err)
{
	struct bus_table *fresh[AXDEV_SPACE_COUNT] = {0};
	int rc;

	for (size_t i = 0; i < bus->device_count; i++) {
		const struct axdev *other = bus->devices[i];

		if (strcmp(other->name, dev->name))
			continue;
		return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				    "device name \"%s\" of a %s is already taken by a %s",
				    dev->name, dev->class_name ? dev->class_name : "device",
				    other->class_name ? other->class_name : "device");
	}
	rc = make_room(bus, err);
	for (size_t space = 0; !rc && space < AXDEV_SPACE_COUNT; space++) {
		if (uses_space(dev, space))
			rc = table_with(bus, space, dev, &fresh[space], err);
	}
	if (rc) {
		free_tables(fresh);
		return rc;
	}
	publish(bus, fresh);
	bus->devices[bus->device_count++] = dev;
	return 0;
}

int axbus_attach(struct axbus *bus, struct axdev *dev, struct ax_error *err)
{
	int rc;

	if (!dev->name[0])
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL, "a %s device has no name",
				    dev->class_name ? dev->class_name : "bus");
	if (dev->resource_count > AXDEV_MAX_RESOURCES)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "device \"%s\" claims %u ranges, at most %u are possible",
				    dev->name, dev->resource_count, AXDEV_MAX_RESOURCES);
	for (uint8_t i = 0; i < dev->resource_count; i++) {
		rc = check_resource(dev, &dev->resource[i], err);
		if (rc)
			return rc;
	}
	pthread_mutex_lock(&bus->lock);
	rc = attach_locked(bus, dev, err);
	pthread_mutex_unlock(&bus->lock);
	return rc;
}

static int detach_locked(struct axbus *bus, struct axdev *dev, struct ax_error *err)
{
	struct bus_table *fresh[AXDEV_SPACE_COUNT] = {0};
	size_t at = 0;

	while (at < bus->device_count && bus->devices[at] != dev)
		at++;
	if (at == bus->device_count)
		return ax_error_set(err, AX_ERROR_NOT_FOUND, ENOENT,
				    "device \"%s\" is not on the bus", dev->name);
	for (size_t space = 0; space < AXDEV_SPACE_COUNT; space++) {
		if (!uses_space(dev, space))
			continue;
		fresh[space] = table_without(bus, space, dev);
		if (!fresh[space]) {
			free_tables(fresh);
			return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					    "no memory for the bus table without \"%s\"",
					    dev->name);
		}
	}
	publish(bus, fresh);
	bus->device_count--;
	memmove(&bus->devices[at], &bus->devices[at + 1],
		(bus->device_count - at) * sizeof(bus->devices[0]));
	return 0;
}

int axbus_detach(struct axbus *bus, struct axdev *dev, struct ax_error *err)
{
	int rc;

	pthread_mutex_lock(&bus->lock);
	rc = detach_locked(bus, dev, err);
	pthread_mutex_unlock(&bus->lock);
	return rc;
}
