/*
 * A small machine for the virtio targets: 64 KiB of guest memory in two adjacent regions, an
 * interrupt chip that only counts, no I/O thread (queues are served by axvirtio_poll).
 */
#ifndef AXVM_FUZZ_VIRTIO_MACHINE_H
#define AXVM_FUZZ_VIRTIO_MACHINE_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES  0x10000ULL
#define WINDOW_GPA 0xd0000000ULL

static struct axas *memory;
static struct axdev_services services;

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static int ignore_level(void *ctx, uint32_t gsi, bool level)
{
	(void)ctx;
	(void)gsi;
	(void)level;
	return 0;
}

static void map_ram(const char *name, uint64_t gpa, uint64_t bytes)
{
	const struct axas_region_config config = {
		.name = name,
		.gpa = gpa,
		.size_bytes = bytes,
		.type = AXAS_MAP_ALLOC,
		.backing = AXAS_BACKING_ANON,
		.flags = AXAS_RW,
		.fd = -1,
	};

	MUST(axas_map(memory, &config, NULL) == 0);
}

static void machine_init(void)
{
	static const struct axirq_chip chip = {.set_level = ignore_level, .gsi_count = 24};

	MUST(axas_create(0, NULL, &memory, NULL) == 0);
	map_ram("low", 0, RAM_BYTES / 2);
	map_ram("high", RAM_BYTES / 2, RAM_BYTES / 2);
	services.memory = memory;
	MUST(axirq_domain_create(&chip, &services.irqs, NULL) == 0);
}

/* Guest memory from 0 on is the input, and nothing of the run before. */
static inline void load_memory(const uint8_t *data, size_t size)
{
	if (size > RAM_BYTES)
		size = RAM_BYTES;
	MUST(axas_fill(memory, 0, 0, RAM_BYTES) == 0);
	MUST(axas_write(memory, 0, data, size) == 0);
}

/* Does this host range lie in guest memory? */
static inline bool in_guest(const void *base, size_t len)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *ram = axas_ptr(memory, i * RAM_BYTES / 2, RAM_BYTES / 2, AXAS_RW);
		const uintptr_t at = (uintptr_t)base, start = (uintptr_t)ram;

		if (at >= start && len <= RAM_BYTES / 2 && at - start <= RAM_BYTES / 2 - len)
			return true;
	}
	return false;
}

static inline uint64_t reg(struct axdev *dev, uint64_t offset, unsigned width, bool write,
			   uint64_t value)
{
	struct axdev_access access = {
		.space = AXDEV_MMIO,
		.offset = offset,
		.width = (uint8_t)width,
		.is_write = write,
		.value = value,
	};

	dev->ops->access(dev, &access);
	return access.value;
}

static inline void reg_write(struct axdev *dev, uint64_t offset, uint32_t value)
{
	reg(dev, offset, 4, true, value);
}

/* A driver that does everything right as far as DRIVER_OK: one queue, rings in the first KiB. */
static inline void bring_up_queue(struct axdev *dev, uint64_t features, uint32_t size,
				  unsigned queue)
{
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 3);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 11);
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, size);
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x200);
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, 0x400);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 15);
}

static inline void bring_up(struct axdev *dev, uint64_t features, uint32_t size)
{
	bring_up_queue(dev, features, size, 0);
}

#endif
