/*
 * A device for the bus tests that records what it is asked.
 */
#ifndef TEST_AXDEVICE_MOCK_H
#define TEST_AXDEVICE_MOCK_H

#include "helpers.h"

struct mock {
	struct axdev dev;
	struct axdev_access last;
	_Atomic int accesses;
	uint64_t answer;
	enum axdev_result result;
	int suspend_rc;
};

extern char journal[256];               /* hooks as they ran, "reset:NAME " */
extern const struct axdev_ops bare_ops; /* reads give 0x77; no hooks */

/* One resource. Clears the journal. */
struct mock make(const char *name, enum axdev_space space, uint64_t base, uint64_t size);
struct axbus *make_bus(enum axbus_missing_policy policy);
void attach(struct axbus *bus, struct mock *mock);

#endif
