/*
 * The clock every time stamp and timeout is taken from: CLOCK_MONOTONIC in nanoseconds.
 * Wall-clock time is only of interest to the programs and is asked for there.
 */
#include <axvm/base.h>

#include <time.h>

uint64_t ax_clock_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

bool ax_wait_for_release(uint64_t since_ns)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	if (ax_clock_ns() - since_ns >= 2000000000ULL)
		return false;
	nanosleep(&pause, NULL);
	return true;
}
