/*
 * Devices of a VM as its guest's drivers find them: the VM is built but not started, the test is
 * vCPU and I/O thread in one, and nothing happens by itself. To be included before the class's own
 * driver of the tests of virtio, whose devices have a loop to themselves.
 */
#ifndef AXVM_TESTS_DEVICE_H
#define AXVM_TESTS_DEVICE_H

#include "rig.h"

#include "../virtio/driver.h"

#define axvirtio_poll(device_) ax_loop_step(axvirtio_loop((device_), 0))

/* Build the VM of these words and files, on virtio-mmio unless they say otherwise. */
static UNUSED void build(struct rig *rig)
{
	if (rig_create(rig))
		fail_msg("create: %s", rig->err.message);
}

static UNUSED struct axdev *find(struct rig *rig, const char *name)
{
	struct axdev *found = axbus_find(axvm_bus(rig->vm), name);

	if (!found)
		fail_msg("there is no %s", name);
	return found;
}

/* Guest memory, for the rings; machine_finish is not for this one. */
static UNUSED struct machine machine_of(struct rig *rig)
{
	return (struct machine){.memory = axvm_memory(rig->vm)};
}

static UNUSED uint64_t read_config(struct axdev *of, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	assert_int_equal(reg_access(of, VIRTIO_MMIO_CONFIG + offset, width, false, &value),
			 AXDEV_HANDLED);
	return value;
}

static UNUSED bool offers(struct axdev *of, unsigned feature)
{
	return offered(of) >> feature & 1;
}

/* How many queues the driver finds. */
static UNUSED unsigned queues_of(struct axdev *of)
{
	for (unsigned count = 0;; count++) {
		wr(of, VIRTIO_MMIO_QUEUE_SEL, count);
		if (!rd(of, VIRTIO_MMIO_QUEUE_NUM_MAX))
			return count;
	}
}

/* ---- rate limits ----------------------------------------------------------------------------- */

/* What passes at once is the burst, and what came in while the test ran, from when the device was
 * not yet there; the last request that passes may overdraw. */

static UNUSED void expect_burst(unsigned passed, unsigned burst, unsigned per_s, uint64_t since_ns)
{
	const uint64_t more = (ax_clock_ns() - since_ns) * per_s / 1000000000ULL + 1;

	if (passed < burst || passed > burst + more)
		fail_msg("%u passed, not %u", passed, burst);
}

#endif
