/*
 * Registers by which a guest ends or restarts the machine, as a table of (where, which value,
 * what it means). Which registers a machine has is the architecture's business, what follows from
 * an event the VM's; this file only matches writes.
 */
#include "classes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct power {
	struct axdev dev;
	void (*on_event)(void *ctx, enum axdev_power_event event);
	void *ctx;
	size_t rule_count;
	struct axdev_power_rule rule[];
};

static enum axdev_result power_access(struct axdev *dev, struct axdev_access *access)
{
	struct power *power = (struct power *)dev;
	uint64_t addr = dev->resource[access->resource].base + access->offset;

	if (!access->is_write) {
		access->value = UINT64_MAX; /* write-only registers */
		return AXDEV_HANDLED;
	}
	for (size_t i = 0; i < power->rule_count; i++) {
		const struct axdev_power_rule *rule = &power->rule[i];

		if (rule->space == access->space && rule->addr == addr &&
		    (!rule->width || rule->width == access->width) &&
		    !((access->value ^ rule->value) & rule->mask)) {
			power->on_event(power->ctx, rule->event);
			break;
		}
	}
	return AXDEV_HANDLED;
}

/* "Any width" claims what the widest access can touch. */
static uint64_t rule_span(const struct axdev_power_rule *rule)
{
	if (rule->space == AXDEV_SYSREG)
		return 1;
	if (rule->width)
		return rule->width;
	return rule->space == AXDEV_PORT ? 4 : 8;
}

static bool touches(const struct axdev_resource *a, const struct axdev_resource *b)
{
	return a->space == b->space && a->base <= b->base + b->size && b->base <= a->base + a->size;
}

/* Add a range, merged with those it overlaps or adjoins. */
static int claim(struct axdev *dev, struct axdev_resource range, struct ax_error *err)
{
	for (uint8_t i = 0; i < dev->resource_count;) {
		const struct axdev_resource *other = &dev->resource[i];

		if (!touches(other, &range)) {
			i++;
			continue;
		}
		uint64_t end = range.base + range.size, other_end = other->base + other->size;

		range.base = range.base < other->base ? range.base : other->base;
		range.size = (end > other_end ? end : other_end) - range.base;
		/* Take it out and start again: the larger range may touch more. */
		dev->resource[i] = dev->resource[--dev->resource_count];
		i = 0;
	}
	if (dev->resource_count == AXDEV_MAX_RESOURCES) {
		ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
			     "power rules cover more than %u separate ranges", AXDEV_MAX_RESOURCES);
		ax_error_hint(err, "split the rules over two power devices");
		return -EINVAL;
	}
	dev->resource[dev->resource_count++] = range;
	return 0;
}

static void power_destroy(struct axdev *dev)
{
	free(dev);
}

static const struct axdev_ops power_ops = {
	.access = power_access,
	.destroy = power_destroy,
};

static int power_create(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_power_config *cfg = config;
	struct power *power;

	(void)name;
	(void)services;
	assert(cfg->on_event);
	power = calloc(1, sizeof(*power) + cfg->rule_count * sizeof(power->rule[0]));
	if (!power)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %zu rules",
				    cfg->rule_count);
	power->dev.ops = &power_ops;
	power->on_event = cfg->on_event;
	power->ctx = cfg->ctx;
	power->rule_count = cfg->rule_count;
	for (size_t i = 0; i < cfg->rule_count; i++) {
		const struct axdev_power_rule *rule = &cfg->rules[i];
		struct axdev_resource range = {rule->space, rule->addr, rule_span(rule)};
		uint64_t end;
		int rc;

		if (ax_add_overflows(range.base, range.size, &end))
			rc = ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
					  "power rule %zu lies past the end of the address space",
					  i);
		else
			rc = claim(&power->dev, range, err);
		if (rc) {
			free(power);
			return rc;
		}
		power->rule[i] = *rule;
	}
	*ret_dev = &power->dev;
	return 0;
}

const struct axdev_class axdev_power_class = {
	.name = "power",
	.type = 0x40,
	.summary = "registers that power off, reset or report a panic",
	.config_size = sizeof(struct axdev_power_config),
	.create = power_create,
};
