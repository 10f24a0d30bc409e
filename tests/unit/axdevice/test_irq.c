/*
 * Interrupt lines: claims and conflicts, edges by eventfd and by call, and the cached level.
 */
#include "helpers.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct axirq_domain *make_domain(struct fake_chip *chip, bool with_fd)
{
	struct axirq_chip ops = fake_chip_ops(chip, with_fd);
	struct axirq_domain *domain;

	assert_int_equal(axirq_domain_create(&ops, &domain, NULL), 0);
	return domain;
}

static void test_claim(void **state)
{
	struct fake_chip chip;
	struct axirq_domain *domain = make_domain(&chip, false);
	struct axirq_line *first, *second, *untouched = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axirq_claim(domain, 4, AXIRQ_EDGE, "serial0", &first, &err), 0);
	assert_int_equal(axirq_gsi(first), 4);
	assert_int_equal(axirq_claim(domain, 4, AXIRQ_LEVEL, "disk0", &untouched, &err), -EEXIST);
	assert_int_equal(err.kind, AX_ERROR_ALREADY_EXISTS);
	assert_non_null(strstr(err.message, "serial0"));
	assert_non_null(strstr(err.message, "disk0"));
	assert_int_equal(axirq_claim(domain, 24, AXIRQ_EDGE, "disk0", &untouched, &err), -ERANGE);
	assert_int_equal(axirq_claim(domain, UINT32_MAX, AXIRQ_EDGE, "d", &untouched, &err),
			 -ERANGE);
	assert_null(untouched);
	assert_int_equal(axirq_claim(domain, 23, AXIRQ_LEVEL, "disk0", &second, &err), 0);
	axirq_release(first);
	assert_int_equal(axirq_claim(domain, 4, AXIRQ_LEVEL, "disk1", &first, &err), 0);
	axirq_release(first);
	axirq_release(second);
	axirq_release(NULL);
	axirq_domain_destroy(domain);
}

static void test_edge_by_fd(void **state)
{
	struct fake_chip chip;
	struct axirq_domain *domain = make_domain(&chip, true);
	struct axirq_line *line = NULL;
	struct ax_error err = {0};
	uint64_t count = 0;

	(void)state;
	chip.fail = -ENOSPC;
	assert_int_equal(axirq_claim(domain, 5, AXIRQ_EDGE, "disk0", &line, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "disk0"));
	assert_null(line);
	chip.fail = 0;
	assert_int_equal(axirq_claim(domain, 5, AXIRQ_EDGE, "disk0", &line, &err), 0);
	axirq_pulse(line);
	axirq_pulse(line);
	assert_int_equal(axirq_raised(line), 2);
	assert_int_equal(read(chip.assigned_fd[5], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	assert_int_equal(chip.calls[5], 0);
	/* A counter that is full is an interrupt that is pending: nothing blocks. */
	count = UINT64_MAX - 1;
	assert_int_equal(write(chip.assigned_fd[5], &count, sizeof(count)), sizeof(count));
	axirq_pulse(line);
	axirq_release(line);
	assert_int_equal(chip.released[5], 1);
	axirq_domain_destroy(domain);
}

static void test_level(void **state)
{
	struct fake_chip chip;
	struct axirq_domain *domain = make_domain(&chip, true);
	struct axirq_line *line;

	(void)state;
	assert_int_equal(axirq_claim(domain, 9, AXIRQ_LEVEL, "disk0", &line, NULL), 0);
	axirq_set_level(line, false);
	assert_int_equal(chip.calls[9], 0);
	for (int i = 0; i < 5; i++)
		axirq_set_level(line, true);
	assert_int_equal(chip.calls[9], 1);
	assert_true(chip.level[9]);
	axirq_set_level(line, false);
	assert_int_equal(chip.calls[9], 2);
	/* A level the chip did not take is tried again. */
	chip.fail = -EIO;
	axirq_set_level(line, true);
	chip.fail = 0;
	axirq_set_level(line, true);
	assert_true(chip.level[9]);
	axirq_release(line); /* and the pin is low for the next owner */
	assert_false(chip.level[9]);
	axirq_domain_destroy(domain);
}

#define ROUNDS  500
#define DRIVERS 3

struct crowd {
	struct axirq_line *line;
	pthread_barrier_t barrier;
};

/* All want the same change at the same time. */
static void *drive_together(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&crowd->barrier);
		axirq_set_level(crowd->line, !(i & 1));
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fake_chip chip;
	struct axirq_domain *domain = make_domain(&chip, false);
	struct crowd crowd;
	pthread_t thread[DRIVERS];

	(void)state;
	chip.slow = true;
	pthread_barrier_init(&crowd.barrier, NULL, DRIVERS);
	assert_int_equal(axirq_claim(domain, 9, AXIRQ_LEVEL, "disk0", &crowd.line, NULL), 0);
	for (int i = 0; i < DRIVERS; i++)
		pthread_create(&thread[i], NULL, drive_together, &crowd);
	for (int i = 0; i < DRIVERS; i++)
		pthread_join(thread[i], NULL);
	/* The chip hears of each change once. */
	assert_int_equal(chip.calls[9], ROUNDS);
	assert_int_equal(chip.rises[9], ROUNDS / 2);
	assert_int_equal(axirq_raised(crowd.line), ROUNDS / 2);
	axirq_release(crowd.line);
	axirq_domain_destroy(domain);
	pthread_barrier_destroy(&crowd.barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_edge_by_fd),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("axdevice irq", tests, NULL, NULL);
}
