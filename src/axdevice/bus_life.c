/*
 * The bus as an owner: creation, destruction, listing, and the order in which devices are reset,
 * suspended and resumed. Later devices may lean on earlier ones, so everything that takes a
 * device out of service goes last to first.
 */
#include "bus_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void axdev_destroy(struct axdev *dev)
{
	if (dev && dev->ops->destroy)
		dev->ops->destroy(dev);
}

int axbus_create(enum axbus_missing_policy policy, struct axbus **ret_bus, struct ax_error *err)
{
	struct axbus *bus = aligned_alloc(AX_CACHE_LINE, sizeof(*bus));

	_Static_assert(sizeof(*bus) % AX_CACHE_LINE == 0, "aligned_alloc wants a multiple");
	if (!bus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a bus");
	memset(bus, 0, sizeof(*bus));
	bus->policy = policy;
	bus->missing_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	pthread_mutex_init(&bus->lock, NULL);
	*ret_bus = bus;
	return 0;
}

void axbus_free_retired(struct axbus *bus)
{
	struct bus_table *table = bus->retired;

	while (table) {
		struct bus_table *next = table->next_retired;

		free(table);
		table = next;
	}
	bus->retired = NULL;
}

void axbus_destroy(struct axbus *bus)
{
	if (!bus)
		return;
	for (size_t i = bus->device_count; i-- > 0;)
		axdev_destroy(bus->devices[i]);
	for (size_t space = 0; space < AXDEV_SPACE_COUNT; space++)
		free(atomic_load_explicit(&bus->table[space], memory_order_relaxed));
	axbus_free_retired(bus);
	free(bus->devices);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

/* The lock is the one part of a bus that a reader of the list changes. */
static pthread_mutex_t *list_lock(const struct axbus *bus)
{
	return (pthread_mutex_t *)(uintptr_t)&bus->lock;
}

struct axdev *axbus_device_at(const struct axbus *bus, size_t index)
{
	struct axdev *dev = NULL;

	pthread_mutex_lock(list_lock(bus));
	if (index < bus->device_count)
		dev = bus->devices[index];
	pthread_mutex_unlock(list_lock(bus));
	return dev;
}

struct axdev *axbus_find(const struct axbus *bus, const char *name)
{
	struct axdev *dev = NULL;

	pthread_mutex_lock(list_lock(bus));
	for (size_t i = 0; i < bus->device_count && !dev; i++) {
		if (!strcmp(bus->devices[i]->name, name))
			dev = bus->devices[i];
	}
	pthread_mutex_unlock(list_lock(bus));
	return dev;
}

size_t axbus_devices(const struct axbus *bus, struct axdev **devs, size_t max)
{
	size_t count;

	pthread_mutex_lock(list_lock(bus));
	count = bus->device_count;
	for (size_t i = 0; i < count && i < max; i++)
		devs[i] = bus->devices[i];
	pthread_mutex_unlock(list_lock(bus));
	return count;
}

void axbus_reset(struct axbus *bus)
{
	for (size_t i = axbus_devices(bus, NULL, 0); i-- > 0;) {
		struct axdev *dev = axbus_device_at(bus, i);

		if (dev && dev->ops->reset)
			dev->ops->reset(dev);
	}
	/* No vCPU is running, hence nobody reads a replaced table. */
	pthread_mutex_lock(&bus->lock);
	axbus_free_retired(bus);
	pthread_mutex_unlock(&bus->lock);
}

static int resume_from(struct axbus *bus, size_t first, struct ax_error *err)
{
	int first_rc = 0;

	/* One device that stays asleep is no reason to leave the rest asleep too. */
	for (size_t i = first;; i++) {
		struct axdev *dev = axbus_device_at(bus, i);
		struct ax_error local = {0};
		int rc;

		if (!dev)
			return first_rc;
		if (!dev->ops->resume)
			continue;
		rc = dev->ops->resume(dev, &local);
		if (!rc)
			continue;
		ax_error_context(&local, "resume device \"%s\"", dev->name);
		ax_log(AX_LOG_ERROR, BUS_LAYER, "%s", local.message);
		if (!first_rc) {
			first_rc = rc;
			if (err)
				*err = local;
		}
	}
}

int axbus_suspend(struct axbus *bus, struct ax_error *err)
{
	for (size_t i = axbus_devices(bus, NULL, 0); i-- > 0;) {
		struct axdev *dev = axbus_device_at(bus, i);
		int rc;

		if (!dev || !dev->ops->suspend)
			continue;
		rc = dev->ops->suspend(dev, err);
		if (rc) {
			ax_error_context(err, "suspend device \"%s\"", dev->name);
			resume_from(bus, i + 1, NULL);
			return rc;
		}
	}
	return 0;
}

int axbus_resume(struct axbus *bus, struct ax_error *err)
{
	return resume_from(bus, 0, err);
}
