/*
 * place_make RECORDING VCPUS GIB TIMES   what one call of axplace_make takes
 *
 * Plans the same request on the recorded host TIMES times, without printing it, and prints the
 * first time (with cold caches, as a program that plans once has it), the best and the middle one
 * in microseconds, and the errno when the request is refused: its advice is the dearest answer
 * there is. Under callgrind, which counts axplace_make alone, once is enough.
 */
#include <axvm/place.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	const struct axprof *profile;
	struct axhost_facts facts;
	struct axplace_request request = {0};
	struct ax_error err = {0};
	size_t times;
	uint64_t *ns, first, middle;
	int rc = 0;

	if (argc != 5)
		return 64;
	request.vcpus = (uint32_t)atoi(argv[2]);
	request.memory_bytes = (uint64_t)atoi(argv[3]) * AX_GIB;
	times = (size_t)atoi(argv[4]);
	ns = calloc(times, sizeof(*ns));
	if (!times || !ns || axhost_load(argv[1], &facts, &err) ||
	    axprof_select("auto", &facts, &profile, &err)) {
		fprintf(stderr, "place_make: %s\n", err.message);
		return 1;
	}
	request.backing = profile->memory_backing;
	for (size_t i = 0; i < times; i++) {
		struct axplace_plan *plan = NULL;
		const uint64_t start = now_ns();

		rc = axplace_make(&facts, profile, &request, NULL, &plan, &err);
		ns[i] = now_ns() - start;
		axplace_free(plan);
	}
	first = ns[0];
	qsort(ns, times, sizeof(*ns), compare);
	middle = ns[times / 2];
	printf("%.1f %.1f %.1f %d\n", (double)first / 1000, (double)ns[0] / 1000,
	       (double)middle / 1000, -rc);
	axhost_free(&facts);
	free(ns);
	return 0;
}
