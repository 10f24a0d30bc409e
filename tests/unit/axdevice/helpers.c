/* See helpers.h. */
#include "helpers.h"

#include <sched.h>
#include <string.h>
#include <time.h>

void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void *run_loop(void *arg)
{
	struct loop_thread *lt = arg;

	lt->result = ax_loop_run(lt->loop, NULL);
	return NULL;
}

void loop_create(struct loop_thread *lt)
{
	struct ax_error err = {0};

	*lt = (struct loop_thread){0};
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &lt->loop, &err), 0);
}

void loop_start(struct loop_thread *lt)
{
	assert_int_equal(pthread_create(&lt->thread, NULL, run_loop, lt), 0);
	lt->running = true;
}

void loop_stop(struct loop_thread *lt)
{
	if (!lt->running)
		return;
	ax_loop_stop(lt->loop);
	pthread_join(lt->thread, NULL);
	lt->running = false;
	assert_int_equal(lt->result, 0);
}

void loop_destroy(struct loop_thread *lt)
{
	loop_stop(lt);
	ax_loop_destroy(lt->loop);
}

static int fake_set_level(void *ctx, uint32_t gsi, bool level)
{
	struct fake_chip *chip = ctx;

	if (chip->fail)
		return chip->fail;
	if (chip->slow)
		sched_yield();
	chip->calls[gsi]++;
	if (level && !chip->level[gsi])
		chip->rises[gsi]++;
	chip->level[gsi] = level;
	return 0;
}

static int fake_assign_fd(void *ctx, uint32_t gsi, int event_fd, struct ax_error *err)
{
	struct fake_chip *chip = ctx;

	if (chip->fail)
		return ax_error_set(err, AX_ERROR_DEVICE, -chip->fail, "irqfd refused");
	chip->assigned_fd[gsi] = event_fd;
	return 0;
}

static int fake_release_fd(void *ctx, uint32_t gsi, int event_fd)
{
	struct fake_chip *chip = ctx;

	assert_int_equal(chip->assigned_fd[gsi], event_fd);
	chip->released[gsi]++;
	return 0;
}

struct axirq_chip fake_chip_ops(struct fake_chip *chip, bool with_fd)
{
	memset(chip, 0, sizeof(*chip));
	return (struct axirq_chip){
		.set_level = fake_set_level,
		.assign_fd = with_fd ? fake_assign_fd : NULL,
		.release_fd = with_fd ? fake_release_fd : NULL,
		.gsi_first = 0,
		.gsi_count = FAKE_LINES,
		.ctx = chip,
	};
}

void uart_rig_setup(struct uart_rig *rig, int in, int out)
{
	struct axirq_chip ops;
	struct ax_error err = {0};

	memset(rig, 0, sizeof(*rig));
	loop_create(&rig->lt);
	ops = fake_chip_ops(&rig->chip, false);
	assert_int_equal(axirq_domain_create(&ops, &rig->irqs, &err), 0);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &rig->bus, &err), 0);
	assert_int_equal(axchr_create(&(struct axchr_config){.in_fd = in, .out_fd = out},
				      rig->lt.loop, &rig->chr, &err),
			 0);

	struct axdev_uart16550_config config = {
		.space = AXDEV_PORT, .base = 0x3f8, .gsi = 4, .chr = rig->chr};
	struct axdev_services services = {.irqs = rig->irqs, .io_loop = rig->lt.loop};
	assert_int_equal(axdev_create("uart16550", "serial0", &config, sizeof(config), &services,
				      &rig->dev, &err),
			 0);
	assert_int_equal(axbus_attach(rig->bus, rig->dev, &err), 0);
}

void uart_rig_teardown(struct uart_rig *rig)
{
	loop_stop(&rig->lt);
	axbus_destroy(rig->bus);
	axchr_destroy(rig->chr);
	axirq_domain_destroy(rig->irqs);
	loop_destroy(&rig->lt);
}

uint64_t bus_read(struct axbus *bus, enum axdev_space space, uint64_t addr, uint8_t width)
{
	/* Something that is certainly not the answer. */
	struct axdev_access access = {.space = space, .width = width, .value = 0x5a5a5a5a5a5a5a5a};

	assert_true(axbus_access(bus, addr, &access) >= 0);
	return access.value;
}

int bus_write(struct axbus *bus, enum axdev_space space, uint64_t addr, uint8_t width,
	      uint64_t value)
{
	struct axdev_access access = {
		.space = space, .width = width, .is_write = true, .value = value};

	return axbus_access(bus, addr, &access);
}

uint8_t in8(struct uart_rig *rig, unsigned reg)
{
	return (uint8_t)bus_read(rig->bus, AXDEV_PORT, 0x3f8 + reg, 1);
}

void out8(struct uart_rig *rig, unsigned reg, uint8_t value)
{
	assert_int_equal(bus_write(rig->bus, AXDEV_PORT, 0x3f8 + reg, 1, value), 0);
}

int uart_edges(const struct uart_rig *rig)
{
	return rig->chip.rises[4];
}
