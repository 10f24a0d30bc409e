/*
 * The PL031 real-time clock (Arm DDI 0224): a counter of seconds that is the host's CLOCK_REALTIME
 * plus what the guest has loaded, and one alarm. The alarm waits on a timer of that same clock on
 * the I/O loop, so that it is right after the host's clock was set or the host has slept.
 *
 * The counter runs from power-on, as firmware would have started it, and cannot be stopped
 * (3.3.4: once enabled, only a reset disables it).
 */
#include "classes.h"
#include "pl031.h"
#include "primecell.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define COUNTER_PERIOD (1LL << 32)

static const uint8_t periph_id[4] = {0x31, 0x10, 0x04, 0x00}; /* 3.3.9: part 031 */

struct pl031 {
	struct axdev dev;
	struct axirq_line *line; /* NULL: polled only */
	int timer_fd;            /* -1: no loop to wait on; the alarm shows when looked at */
	struct ax_event *event;

	pthread_mutex_t lock; /* everything below; vCPUs and the loop's thread */
	bool suspended;
	uint32_t mr, lr, imsc, ris;
	uint32_t offset;  /* the counter is the host's seconds plus this, modulo 2^32 */
	int64_t match_at; /* host's second in which the counter will be at MR; always ahead */
};

static int64_t host_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static uint32_t counter(const struct pl031 *rtc, int64_t now)
{
	return (uint32_t)now + rtc->offset;
}

static void arm_timer(struct pl031 *rtc)
{
	const struct itimerspec at = {.it_value.tv_sec = rtc->match_at};

	/* ECANCELED, the only possible failure, tells that the clock was just set; it is armed. */
	if (rtc->timer_fd >= 0)
		(void)timerfd_settime(rtc->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
				      &at, NULL);
}

/* The match is due: raise it and look forward to the next one. */
static void match(struct pl031 *rtc, int64_t now)
{
	uint32_t ahead = rtc->mr - counter(rtc, now);

	rtc->ris = PL031_INT;
	rtc->match_at = now + (ahead ? ahead : COUNTER_PERIOD);
	arm_timer(rtc);
}

/* Counter or MR are other than they were. A past time comes again when the counter has wrapped. */
static void schedule(struct pl031 *rtc, int64_t now)
{
	rtc->match_at = now + (uint32_t)(rtc->mr - counter(rtc, now));
	if (rtc->match_at == now)
		match(rtc, now);
	else
		arm_timer(rtc);
}

static void drive_line(struct pl031 *rtc)
{
	if (rtc->line)
		axirq_set_level(rtc->line, rtc->ris & rtc->imsc);
}

static void on_timer(void *ctx, int fd, uint32_t events)
{
	struct pl031 *rtc = ctx;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));
	int64_t now;

	(void)n; /* ECANCELED when the host's clock was set, EAGAIN when the timer moved meanwhile
		  */
	(void)events;
	pthread_mutex_lock(&rtc->lock);
	now = host_seconds();
	if (!rtc->suspended) { /* resume looks */
		if (now >= rtc->match_at)
			match(rtc, now);
		else
			arm_timer(rtc);
		drive_line(rtc);
	}
	pthread_mutex_unlock(&rtc->lock);
}

static uint32_t read_register(void *dev, uint32_t offset)
{
	const struct pl031 *rtc = dev;

	switch (offset) {
	case PL031_DR:
		return counter(rtc, host_seconds());
	case PL031_MR:
		return rtc->mr;
	case PL031_LR:
		return rtc->lr;
	case PL031_CR:
		return PL031_CR_START;
	case PL031_IMSC:
		return rtc->imsc;
	case PL031_RIS:
		return rtc->ris;
	case PL031_MIS:
		return rtc->ris & rtc->imsc;
	default:
		return axdev_primecell_id(periph_id, offset);
	}
}

static void write_register(void *dev, uint32_t offset, uint32_t value)
{
	struct pl031 *rtc = dev;
	int64_t now = host_seconds();

	switch (offset) {
	case PL031_MR:
		rtc->mr = value;
		schedule(rtc, now);
		break;
	case PL031_LR:
		rtc->lr = value;
		rtc->offset = value - (uint32_t)now;
		schedule(rtc, now);
		break;
	case PL031_IMSC:
		rtc->imsc = value & PL031_INT;
		break;
	case PL031_ICR:
		rtc->ris &= ~value;
		break;
	default: /* read-only, reserved or for the factory's tests */
		break;
	}
}

static enum axdev_result pl031_access(struct axdev *dev, struct axdev_access *access)
{
	struct pl031 *rtc = ax_container_of(dev, struct pl031, dev);
	int64_t now;

	pthread_mutex_lock(&rtc->lock);
	now = host_seconds();
	if (now >= rtc->match_at) /* before the timer's thread has come to it */
		match(rtc, now);
	axdev_primecell_access(access, rtc, read_register, write_register);
	drive_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return AXDEV_HANDLED;
}

/* With the lock held, or before anybody else knows of it. */
static void power_on(struct pl031 *rtc)
{
	rtc->mr = rtc->lr = rtc->imsc = rtc->offset = 0;
	schedule(rtc, host_seconds());
	rtc->ris = 0;
}

static void pl031_reset(struct axdev *dev)
{
	struct pl031 *rtc = ax_container_of(dev, struct pl031, dev);

	pthread_mutex_lock(&rtc->lock);
	power_on(rtc);
	drive_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int pl031_suspend(struct axdev *dev, struct ax_error *err)
{
	struct pl031 *rtc = ax_container_of(dev, struct pl031, dev);

	(void)err;
	pthread_mutex_lock(&rtc->lock);
	rtc->suspended = true;
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static int pl031_resume(struct axdev *dev, struct ax_error *err)
{
	struct pl031 *rtc = ax_container_of(dev, struct pl031, dev);
	int64_t now;

	(void)err;
	pthread_mutex_lock(&rtc->lock);
	rtc->suspended = false;
	now = host_seconds();
	if (now >= rtc->match_at)
		match(rtc, now);
	else
		arm_timer(rtc); /* a timer that was cancelled meanwhile was read and not armed */
	drive_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static void pl031_destroy(struct axdev *dev)
{
	struct pl031 *rtc = ax_container_of(dev, struct pl031, dev);

	ax_loop_remove(rtc->event);
	if (rtc->timer_fd >= 0)
		close(rtc->timer_fd);
	axirq_release(rtc->line);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct axdev_ops pl031_ops = {
	.access = pl031_access,
	.reset = pl031_reset,
	.suspend = pl031_suspend,
	.resume = pl031_resume,
	.destroy = pl031_destroy,
};

static int open_timer(struct pl031 *rtc, struct ax_loop *loop, struct ax_error *err)
{
	rtc->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rtc->timer_fd < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "cannot create a timer: %s",
				    strerror(errno));
	return ax_loop_add_fd(loop, rtc->timer_fd, EPOLLIN, on_timer, rtc, &rtc->event, err);
}

static int pl031_create(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_pl031_config *cfg = config;
	struct pl031 *rtc = calloc(1, sizeof(*rtc));
	int rc = 0;

	if (!rtc)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a clock");
	rtc->dev.ops = &pl031_ops;
	rtc->dev.resource[0] = (struct axdev_resource){AXDEV_MMIO, cfg->base, PRIMECELL_SIZE};
	rtc->dev.resource_count = 1;
	rtc->timer_fd = -1;
	pthread_mutex_init(&rtc->lock, NULL);
	if (services->irqs)
		rc = axirq_claim(services->irqs, cfg->gsi, AXIRQ_LEVEL, name, &rtc->line, err);
	if (!rc && services->io_loop)
		rc = open_timer(rtc, services->io_loop, err);
	if (rc) {
		pl031_destroy(&rtc->dev);
		return rc;
	}
	power_on(rtc);
	*ret_dev = &rtc->dev;
	return 0;
}

const struct axdev_class axdev_pl031_class = {
	.name = "pl031",
	.type = 0x43,
	.summary = "Arm PrimeCell real-time clock",
	.config_size = sizeof(struct axdev_pl031_config),
	.create = pl031_create,
};
