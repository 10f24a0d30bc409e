/* See pl0_rig.h. */
#include "pl0_rig.h"

#include <string.h>

static void setup(struct pl0_rig *rig)
{
	struct axirq_chip ops;

	memset(rig, 0, sizeof(*rig));
	loop_create(&rig->lt);
	ops = fake_chip_ops(&rig->chip, false);
	assert_int_equal(axirq_domain_create(&ops, &rig->irqs, NULL), 0);
	assert_int_equal(axbus_create(AXBUS_MISSING_FAULT, &rig->bus, NULL), 0);
}

static void attach(struct pl0_rig *rig, const char *class_name, const void *config, size_t size)
{
	struct axdev_services services = {.irqs = rig->irqs, .io_loop = rig->lt.loop};

	assert_int_equal(
		axdev_create(class_name, "device0", config, size, &services, &rig->dev, NULL), 0);
	assert_int_equal(axbus_attach(rig->bus, rig->dev, NULL), 0);
}

void pl011_rig_setup(struct pl0_rig *rig, int in, int out)
{
	struct axdev_pl011_config config = {.base = PL0_BASE, .gsi = PL0_LINE};

	setup(rig);
	assert_int_equal(axchr_create(&(struct axchr_config){.in_fd = in, .out_fd = out},
				      rig->lt.loop, &rig->chr, NULL),
			 0);
	config.chr = rig->chr;
	attach(rig, "pl011", &config, sizeof(config));
}

void pl031_rig_setup(struct pl0_rig *rig)
{
	struct axdev_pl031_config config = {.base = PL0_BASE, .gsi = PL0_LINE};

	setup(rig);
	attach(rig, "pl031", &config, sizeof(config));
}

void pl0_rig_teardown(struct pl0_rig *rig)
{
	loop_stop(&rig->lt);
	axbus_destroy(rig->bus);
	axchr_destroy(rig->chr);
	axirq_domain_destroy(rig->irqs);
	loop_destroy(&rig->lt);
}

uint32_t rd(struct pl0_rig *rig, uint32_t offset)
{
	return (uint32_t)bus_read(rig->bus, AXDEV_MMIO, PL0_BASE + offset, 4);
}

void wr(struct pl0_rig *rig, uint32_t offset, uint32_t value)
{
	assert_int_equal(bus_write(rig->bus, AXDEV_MMIO, PL0_BASE + offset, 4, value), 0);
}

bool line_high(const struct pl0_rig *rig)
{
	return rig->chip.level[PL0_LINE];
}

int line_rises(const struct pl0_rig *rig)
{
	return rig->chip.rises[PL0_LINE];
}
