/*
 * A bus with a PCI host, an interrupt controller that takes messages, and functions whose BAR shows
 * what reaches it. Driven by bus accesses only, as a guest would.
 */
#ifndef TEST_AXDEVICE_PCI_RIG_H
#define TEST_AXDEVICE_PCI_RIG_H

#include "msi_chip.h"

#include <axvm/pci.h>
#include <linux/pci_regs.h>
#include <stdio.h>

#define ECAM_GPA     0xd0200000ULL
#define WINDOW_GPA   0xd1000000ULL
#define WINDOW_BYTES 0x100000ULL
#define BAR_BYTES    0x4000U
#define TABLE        0x1000U
#define PBA          0x2000U

struct toy {
	struct axdev dev;
	struct axpci_function function;
	unsigned accesses, commands;
	uint32_t written_offset, written_value;
	unsigned written_width;
};

struct rig {
	struct msi_chip chip;
	struct axirq_domain *irqs;
	struct axbus *bus;
	struct axpci_host *host;
	struct toy toy[2];
	struct ax_error err;
};

static inline enum axdev_result toy_access(struct axdev *dev, struct axdev_access *access)
{
	struct toy *toy = ax_container_of(dev, struct toy, dev);

	toy->accesses++;
	if (!axpci_memory_enabled(&toy->function))
		access->value = UINT64_MAX;
	else if (!axpci_msix_access(&toy->function, access))
		access->value = 0x77;
	return AXDEV_HANDLED;
}

static inline void toy_reset(struct axdev *dev)
{
	axpci_function_reset(&ax_container_of(dev, struct toy, dev)->function);
}

static inline void toy_destroy(struct axdev *dev)
{
	axpci_function_finish(&ax_container_of(dev, struct toy, dev)->function);
}

static inline void toy_write_config(struct axpci_function *function, uint32_t offset,
				    unsigned width, uint32_t value)
{
	struct toy *toy = ax_container_of(function, struct toy, function);

	toy->written_offset = offset;
	toy->written_width = width;
	toy->written_value = value;
}

static inline void toy_command(struct axpci_function *function)
{
	ax_container_of(function, struct toy, function)->commands++;
}

static const struct axdev_ops toy_dev_ops = {
	.access = toy_access, .reset = toy_reset, .destroy = toy_destroy};
static const struct axpci_function_ops toy_function_ops = {.write_config = toy_write_config,
							   .command_changed = toy_command};

static inline void toy_identify(struct toy *toy)
{
	toy->function.ops = &toy_function_ops;
	toy->function.name = toy->dev.name;
	toy->function.vendor_id = 0x1234;
	toy->function.device_id = 0x5678;
	toy->function.subsystem_vendor_id = 0x9abc;
	toy->function.subsystem_id = 0xdef0;
	toy->function.revision = 7;
	toy->function.class_code = 0x018000;
}

static inline void toy_plug(struct rig *rig, struct toy *toy, const char *name, unsigned vectors)
{
	static const uint8_t own[8] = {0, 0, 8, 1, 2, 3, 4, 5};

	snprintf(toy->dev.name, sizeof(toy->dev.name), "%s", name);
	toy->dev.ops = &toy_dev_ops;
	toy->dev.class_name = "toy";
	toy_identify(toy);
	assert_int_equal(axpci_function_init(rig->host, &toy->function, BAR_BYTES, &rig->err), 0);
	axpci_add_capability(&toy->function, PCI_CAP_ID_VNDR, own, sizeof(own));
	assert_int_equal(axpci_msix_add(&toy->function, rig->irqs, vectors, TABLE, PBA, &rig->err),
			 0);
	toy->dev.resource[0] =
		(struct axdev_resource){AXDEV_MMIO, toy->function.bar[0].gpa, BAR_BYTES};
	toy->dev.resource_count = 1;
	assert_int_equal(axbus_attach(rig->bus, &toy->dev, &rig->err), 0);
}

static inline void rig_host(struct rig *rig)
{
	const struct axirq_chip ops = msi_chip_ops(&rig->chip);
	const struct axpci_host_config config = {ECAM_GPA, WINDOW_GPA, WINDOW_BYTES, true};
	struct axdev_services services = {0};
	struct axdev *dev;

	assert_int_equal(axirq_domain_create(&ops, &rig->irqs, &rig->err), 0);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &rig->bus, &rig->err), 0);
	services.irqs = rig->irqs;
	assert_int_equal(axdev_create("pci-host", "pci0", &config, sizeof(config), &services, &dev,
				      &rig->err),
			 0);
	assert_int_equal(axbus_attach(rig->bus, dev, &rig->err), 0);
	rig->host = axpci_host_of(dev);
	assert_non_null(rig->host);
}

static inline int rig_setup(void **state)
{
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig_host(&rig);
	toy_plug(&rig, &rig.toy[0], "toy0", 3);
	toy_plug(&rig, &rig.toy[1], "toy1", 65);
	*state = &rig;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *rig = *state;

	axbus_destroy(rig->bus);
	assert_int_equal(axirq_msi_available(rig->irqs), MSI_COUNT);
	axirq_domain_destroy(rig->irqs);
	for (unsigned i = 0; i < MSI_COUNT; i++)
		assert_true(!rig->chip.msi[i].fd && !rig->chip.msi[i].has_message);
	return 0;
}

static inline uint64_t rig_access(struct rig *rig, enum axdev_space space, uint64_t addr,
				  unsigned width, bool is_write, uint64_t value)
{
	struct axdev_access access = {
		.space = space, .width = (uint8_t)width, .is_write = is_write, .value = value};

	assert_int_equal(axbus_access(rig->bus, addr, &access), 0);
	return access.value;
}

static inline uint64_t cfg(struct rig *rig, unsigned slot, uint32_t offset, unsigned width)
{
	return rig_access(rig, AXDEV_MMIO, ECAM_GPA + (slot << 15) + offset, width, false, 0);
}

static inline void cfg_write(struct rig *rig, unsigned slot, uint32_t offset, unsigned width,
			     uint64_t value)
{
	rig_access(rig, AXDEV_MMIO, ECAM_GPA + (slot << 15) + offset, width, true, value);
}

static inline uint64_t bar(struct rig *rig, unsigned index, uint32_t offset, unsigned width)
{
	return rig_access(rig, AXDEV_MMIO, rig->toy[index].function.bar[0].gpa + offset, width,
			  false, 0);
}

static inline void bar_write(struct rig *rig, unsigned index, uint32_t offset, unsigned width,
			     uint64_t value)
{
	rig_access(rig, AXDEV_MMIO, rig->toy[index].function.bar[0].gpa + offset, width, true,
		   value);
}

/* As software finds it, or 0. */
static inline uint32_t find_capability(struct rig *rig, unsigned slot, uint8_t id)
{
	uint32_t at = (uint32_t)cfg(rig, slot, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++, at = (uint32_t)cfg(rig, slot, at + 1, 1))
		if (cfg(rig, slot, at, 1) == id)
			return at;
	return 0;
}

#endif
