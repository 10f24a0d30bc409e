/*
 * The registers by which an x86 guest ends or restarts the machine, and by which we ask it to:
 * ACPI's PM1 event and control blocks (ACPI 6.5, 4.8.3), the i8042's reset command, the reset
 * register, and pvpanic. One device, because they are one thing to the machine: its power state.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* PM1 status and enable. */
#define PM1_PWRBTN 0x0100u
#define PM1_EN_ALL 0x0721u
/* PM1 control. */
#define PM1_SCI_EN  0x0001u
#define PM1_SLP_TYP 0x1c00u
#define PM1_SLP_EN  0x2000u

#define I8042_RESET 0xfeu
/*
 * No controller, only its reset command, so status and data read as an empty bus does - but for
 * "input buffer full" (bit 1): Linux waits for that to clear before it sends the command. The
 * "output buffer full" (bit 0) that never drains is what makes Linux give a probe up at once; were
 * it clear, a kernel without ACPI to tell it would wait half a second for an answer.
 */
#define I8042_STATUS  0xfdu
#define RESET_CPU     0x04u /* in the reset register */
#define PVPANIC_PANIC 0x01u

enum { RES_PM1, RES_I8042, RES_RESET, RES_PVPANIC, RES_COUNT };
enum { PM1_STS, PM1_EN, PM1_CNT, PM1_REGS };

struct power {
	struct axdev dev;
	void (*on_power)(void *ctx, enum axdev_power_event event);
	void *ctx;
	struct axirq_line *sci; /* NULL: no interrupt controller */

	pthread_mutex_t lock; /* the members below */
	uint16_t pm1[PM1_REGS];
	uint8_t reset;
};

static struct power *to_power(struct axdev *dev)
{
	return ax_container_of(dev, struct power, dev);
}

/* Lock held. */
static void update_sci(struct power *power)
{
	if (power->sci)
		axirq_set_level(power->sci, power->pm1[PM1_STS] & power->pm1[PM1_EN]);
}

/* Lock held. `mask` are the bits of the register that the access covers. True: the guest powers
 * the machine off. */
static bool pm1_write(struct power *power, unsigned reg, uint16_t value, uint16_t mask)
{
	uint16_t *cell = &power->pm1[reg];

	if (reg == PM1_STS) {
		*cell &= (uint16_t) ~(value & mask); /* writing a one clears */
		return false;
	}
	*cell = (uint16_t)((*cell & ~mask) | (value & mask));
	if (reg == PM1_EN) {
		*cell &= PM1_EN_ALL;
		return false;
	}
	/* SLP_EN is write-only; the ACPI mode cannot be left. S5, our only state, is type 0. */
	bool sleep = value & mask & PM1_SLP_EN;
	*cell = (uint16_t)((*cell & ~PM1_SLP_EN) | PM1_SCI_EN);
	return sleep && !(*cell & PM1_SLP_TYP);
}

/* Registers are words; an access may cover half of one or two of them. */
static bool pm1_access(struct power *power, struct axdev_access *access)
{
	bool off = false;
	uint64_t read = 0;

	for (unsigned reg = 0; reg < PM1_REGS; reg++) {
		uint16_t value = 0, mask = 0;
		for (unsigned i = 0; i < access->width; i++) {
			unsigned at = (unsigned)access->offset + i;
			if (at / 2 != reg)
				continue;
			unsigned shift = at % 2 * 8;
			mask |= (uint16_t)(0xffu << shift);
			value |= (uint16_t)((access->value >> i * 8 & 0xff) << shift);
			read |= (uint64_t)(power->pm1[reg] >> shift & 0xff) << i * 8;
		}
		if (mask && access->is_write)
			off |= pm1_write(power, reg, value, mask);
	}
	if (!access->is_write)
		access->value = read;
	update_sci(power);
	return off;
}

static enum axdev_result power_access(struct axdev *dev, struct axdev_access *access)
{
	struct power *power = to_power(dev);
	bool happened = false;
	enum axdev_power_event event = AXDEV_POWER_RESET;

	pthread_mutex_lock(&power->lock);
	switch (access->resource) {
	case RES_PM1:
		happened = pm1_access(power, access);
		event = AXDEV_POWER_OFF;
		break;
	case RES_I8042:
		happened = access->is_write && (uint8_t)access->value == I8042_RESET;
		if (!access->is_write)
			access->value = I8042_STATUS;
		break;
	case RES_RESET:
		if (!access->is_write) {
			access->value = power->reset;
			break;
		}
		happened = access->value & ~power->reset & RESET_CPU; /* it acts when it rises */
		power->reset = (uint8_t)access->value;
		break;
	default:
		happened = access->is_write && (access->value & PVPANIC_PANIC);
		event = AXDEV_POWER_PANIC;
		if (!access->is_write)
			access->value = PVPANIC_PANIC; /* the events we understand */
	}
	pthread_mutex_unlock(&power->lock);
	if (happened && power->on_power)
		power->on_power(power->ctx, event);
	return AXDEV_HANDLED;
}

static void power_reset(struct axdev *dev)
{
	struct power *power = to_power(dev);

	pthread_mutex_lock(&power->lock);
	power->pm1[PM1_STS] = 0;
	power->pm1[PM1_EN] = 0;
	power->pm1[PM1_CNT] = PM1_SCI_EN;
	power->reset = 0;
	update_sci(power);
	pthread_mutex_unlock(&power->lock);
}

static void power_destroy(struct axdev *dev)
{
	struct power *power = to_power(dev);

	axirq_release(power->sci);
	pthread_mutex_destroy(&power->lock);
	free(power);
}

void x86_power_button(struct axdev *dev)
{
	struct power *power = to_power(dev);

	pthread_mutex_lock(&power->lock);
	power->pm1[PM1_STS] |= PM1_PWRBTN;
	update_sci(power);
	pthread_mutex_unlock(&power->lock);
}

int x86_power_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		     struct ax_error *err)
{
	static const struct axdev_ops ops = {
		.access = power_access,
		.reset = power_reset,
		.destroy = power_destroy,
	};
	struct power *power = calloc(1, sizeof(*power));
	if (!power)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the power registers");
	power->dev = (struct axdev){
		.ops = &ops,
		.class_name = "x86-power",
		.name = "power",
		.resource =
			{
				[RES_PM1] = {AXDEV_PORT, X86_PORT_PM1_EVT, 2 * PM1_REGS},
				[RES_I8042] = {AXDEV_PORT, X86_PORT_I8042, 1},
				[RES_RESET] = {AXDEV_PORT, X86_PORT_RESET, 1},
				[RES_PVPANIC] = {AXDEV_PORT, X86_PORT_PVPANIC, 1},
			},
		.resource_count = RES_COUNT,
	};
	power->on_power = platform->on_power;
	power->ctx = platform->ctx;
	power->pm1[PM1_CNT] = PM1_SCI_EN;
	pthread_mutex_init(&power->lock, NULL);
	if (platform->services->irqs) {
		int ret = axirq_claim(platform->services->irqs, X86_SCI_GSI, AXIRQ_LEVEL, "power",
				      &power->sci, err);
		if (ret < 0) {
			power->sci = NULL;
			power_destroy(&power->dev);
			return ret;
		}
	}
	*ret_dev = &power->dev;
	return 0;
}
