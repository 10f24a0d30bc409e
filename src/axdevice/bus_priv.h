/*
 * The bus's own types: the immutable tables that dispatch reads and the list of devices that
 * attach and detach keep. Only bus*.c include this.
 */
#ifndef AXDEVICE_BUS_PRIV_H
#define AXDEVICE_BUS_PRIV_H

#include <axvm/axdevice.h>
#include <pthread.h>

#define BUS_LAYER "axdevice"

/* One resource of one device. `last` is inclusive; attach keeps base + size from wrapping. */
struct bus_entry {
	uint64_t first, last;
	struct axdev *dev;
	uint8_t resource;
	bool wide;
};

/* All resources of one space by address, never changed once published. */
struct bus_table {
	struct bus_table *next_retired;
	size_t count;
	struct bus_entry entry[];
};

/* Counters are striped by host CPU: pinned vCPUs never share the cache line they count in. */
#define BUS_STRIPES 32
struct bus_stripe {
	_Atomic uint64_t accesses[AXDEV_SPACE_COUNT];
	_Atomic uint64_t missing[AXDEV_SPACE_COUNT];
} __attribute__((aligned(AX_CACHE_LINE)));

struct axbus {
	struct bus_stripe stripe[BUS_STRIPES];
	_Atomic(struct bus_table *) table[AXDEV_SPACE_COUNT];
	enum axbus_missing_policy policy;
	struct ax_ratelimit missing_limit;

	/* Everything below belongs to the writers: under lock. */
	pthread_mutex_t lock;
	struct bus_table *retired; /* may still be read by an access that is under way */
	struct axdev **devices;    /* in the order of attachment */
	size_t device_count, device_capacity;
};

const char *axbus_space_name(enum axdev_space space);

/* Free replaced tables. Only while no access can be running. */
void axbus_free_retired(struct axbus *bus);

/* The i-th attached device, NULL past the end. Hooks run without the lock, so that a device may
 * ask the bus from inside one. */
struct axdev *axbus_device_at(const struct axbus *bus, size_t index);

#endif
