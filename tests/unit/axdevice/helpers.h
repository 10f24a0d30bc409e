/*
 * What the tests of axdevice share: a loop on a thread of its own, an interrupt controller that
 * counts, and a UART on a bus, driven as a guest would.
 */
#ifndef TEST_AXDEVICE_HELPERS_H
#define TEST_AXDEVICE_HELPERS_H

#include "../test.h"

#include <axvm/axdevice.h>
#include <pthread.h>

struct loop_thread {
	struct ax_loop *loop;
	pthread_t thread;
	bool running;
	int result; /* of ax_loop_run, after the stop */
};
void loop_create(struct loop_thread *lt);
void loop_start(struct loop_thread *lt);
void loop_stop(struct loop_thread *lt);
void loop_destroy(struct loop_thread *lt);

/* A controller of 24 lines that records what it is told. */
#define FAKE_LINES 24
struct fake_chip {
	_Atomic int calls[FAKE_LINES], rises[FAKE_LINES];
	bool level[FAKE_LINES];
	int fail;  /* what the calls return */
	bool slow; /* set_level gives other threads time to come in between */
	int assigned_fd[FAKE_LINES];
	int released[FAKE_LINES];
};
struct axirq_chip fake_chip_ops(struct fake_chip *chip, bool with_fd);

/* A UART at port 0x3f8, line 4. `in` and `out` may be -1. */
struct uart_rig {
	struct loop_thread lt;
	struct axbus *bus;
	struct fake_chip chip;
	struct axirq_domain *irqs;
	struct axchr *chr;
	struct axdev *dev;
};
void uart_rig_setup(struct uart_rig *rig, int in, int out);
void uart_rig_teardown(struct uart_rig *rig);
uint8_t in8(struct uart_rig *rig, unsigned reg);
void out8(struct uart_rig *rig, unsigned reg, uint8_t value);
int uart_edges(const struct uart_rig *rig);

uint64_t bus_read(struct axbus *bus, enum axdev_space space, uint64_t addr, uint8_t width);
int bus_write(struct axbus *bus, enum axdev_space space, uint64_t addr, uint8_t width,
	      uint64_t value);

/* Wait until the condition holds, for a time that only a hang can exceed. */
#define WAIT_FOR(cond)                                             \
	do {                                                       \
		uint64_t until = ax_clock_ns() + 20000000000ULL;   \
		bool holds;                                        \
		while (!(holds = (cond)) && ax_clock_ns() < until) \
			nap();                                     \
		assert_true(holds);                                \
	} while (0)
void nap(void);

#endif
