/*
 * What every unit test includes: cmocka and the headers it needs before itself.
 * Checks are made on the thread that runs the test only; other threads leave their findings in
 * variables (cmocka's asserts jump).
 */
#ifndef AXVM_TESTS_TEST_H
#define AXVM_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <axvm/base.h>

#include <unistd.h>

/* Wait, for a time that only a hang can exceed. What held once is enough. */
#define wait_until(condition)                                                    \
	do {                                                                     \
		uint64_t wait_end_ns = ax_clock_ns() + 20000000000ULL;           \
		bool wait_met;                                                   \
		while (!(wait_met = (condition)) && ax_clock_ns() < wait_end_ns) \
			usleep(500);                                             \
		assert_true(wait_met);                                           \
	} while (0)

#endif
