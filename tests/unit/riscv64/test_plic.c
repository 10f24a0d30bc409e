/*
 * The PLIC, register by register, as the specification has it, and as a device.
 */
#include "helpers.h"

#include <errno.h>

#define PRIORITY(source)      (4ULL * (source))
#define PENDING(word)         (0x1000ULL + 4 * (word))
#define ENABLE(context, word) (0x2000ULL + 0x80 * (context) + 4 * (word))
#define THRESHOLD(context)    (0x200000ULL + 0x1000 * (context))
#define CLAIM(context)        (THRESHOLD(context) + 4)

struct plic_rig {
	struct rv64_plic *plic;
	bool output[3];
	unsigned changes, calls;
};

static void output(void *ctx, uint32_t context, bool level)
{
	struct plic_rig *rig = ctx;

	assert_true(context < 3);
	rig->changes += rig->output[context] != level;
	rig->calls++;
	rig->output[context] = level;
}

static void begin(struct plic_rig *rig)
{
	*rig = (struct plic_rig){0};
	assert_int_equal(rv64_plic_create(3, output, rig, &rig->plic, NULL), 0);
}

static uint32_t get(struct plic_rig *rig, uint64_t offset)
{
	uint32_t value = 0xdead;

	assert_true(rv64_plic_read(rig->plic, offset, &value));
	return value;
}

static void put(struct plic_rig *rig, uint64_t offset, uint32_t value)
{
	assert_true(rv64_plic_write(rig->plic, offset, value));
}

static void level(struct plic_rig *rig, uint32_t source, bool high)
{
	assert_int_equal(rv64_plic_set_level(rig->plic, source, high), 0);
}

static void pulse(struct plic_rig *rig, uint32_t source)
{
	level(rig, source, true);
	level(rig, source, false);
}

static void registers(void **state)
{
	struct plic_rig rig;
	uint32_t value = 7;
	(void)state;

	begin(&rig);
	put(&rig, PRIORITY(1), 0xffffffff);
	assert_int_equal(get(&rig, PRIORITY(1)), 7);
	put(&rig, PRIORITY(0), 5); /* no source */
	assert_int_equal(get(&rig, PRIORITY(0)), 0);
	put(&rig, ENABLE(2, 0), 0xffffffff);
	put(&rig, ENABLE(2, 1), 0x80000001);
	assert_int_equal(get(&rig, ENABLE(2, 0)), 0xfffffffe);
	assert_int_equal(get(&rig, ENABLE(2, 1)), 0x80000001);
	assert_int_equal(get(&rig, ENABLE(1, 0)), 0);
	put(&rig, THRESHOLD(2), 0xff);
	assert_int_equal(get(&rig, THRESHOLD(2)), 7);
	put(&rig, PENDING(0), 0xffffffff); /* read-only */
	assert_int_equal(get(&rig, PENDING(0)), 0);

	static const uint64_t holes[] = {1,
					 PRIORITY(64),
					 PENDING(2),
					 ENABLE(0, 2),
					 ENABLE(3, 0),
					 THRESHOLD(0) + 8,
					 THRESHOLD(3),
					 UINT64_MAX & ~3ULL};
	for (size_t i = 0; i < AX_ARRAY_LEN(holes); i++) {
		assert_false(rv64_plic_read(rig.plic, holes[i], &value));
		assert_int_equal(value, 0);
		assert_false(rv64_plic_write(rig.plic, holes[i], 1));
	}
	assert_int_equal(rv64_plic_set_level(rig.plic, 0, true), -ENODEV);
	assert_int_equal(rv64_plic_set_level(rig.plic, 64, true), -ENODEV);
	assert_int_equal(rig.changes, 0);
	rv64_plic_destroy(rig.plic);
}

static void highest_first(void **state)
{
	static const uint32_t order[] = {40, 3, 9, 20, 0};
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, ENABLE(0, 0), 0xffffffff);
	put(&rig, ENABLE(0, 1), 0xffffffff);
	put(&rig, PRIORITY(3), 2);
	put(&rig, PRIORITY(9), 2); /* of equals the first */
	put(&rig, PRIORITY(20), 1);
	put(&rig, PRIORITY(40), 7);
	pulse(&rig, 20);
	pulse(&rig, 9);
	pulse(&rig, 30); /* priority 0: never */
	pulse(&rig, 3);
	pulse(&rig, 40);
	assert_int_equal(get(&rig, PENDING(0)), 1u << 20 | 1u << 9 | 1u << 30 | 1u << 3);
	assert_int_equal(get(&rig, PENDING(1)), 1u << 8);
	for (size_t i = 0; i < AX_ARRAY_LEN(order); i++) {
		assert_int_equal(rig.output[0], order[i] != 0);
		assert_int_equal(get(&rig, CLAIM(0)), order[i]);
		if (order[i])
			put(&rig, CLAIM(0), order[i]);
	}
	assert_int_equal(rig.changes, 2); /* up with the first, down with the last claim */
	assert_int_equal(rig.calls, 2);
	put(&rig, PRIORITY(30), 1); /* it has waited */
	assert_true(rig.output[0]);
	rv64_plic_destroy(rig.plic);
}

static void threshold(void **state)
{
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, ENABLE(1, 0), 1u << 5);
	put(&rig, PRIORITY(5), 3);
	put(&rig, THRESHOLD(1), 3);
	pulse(&rig, 5);
	assert_false(rig.output[1]);
	put(&rig, THRESHOLD(1), 2);
	assert_true(rig.output[1]);
	put(&rig, THRESHOLD(1), 7);
	assert_false(rig.output[1]);
	/* A hart that starts writes it, and is told again. */
	put(&rig, THRESHOLD(1), 0);
	rig.output[1] = false;
	put(&rig, THRESHOLD(1), 0);
	assert_true(rig.output[1]);
	put(&rig, THRESHOLD(1), 7);
	/* A claim does not look at it. */
	assert_int_equal(get(&rig, CLAIM(1)), 5);
	rv64_plic_destroy(rig.plic);
}

static void levels_and_edges(void **state)
{
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, ENABLE(0, 0), 1u << 4);
	put(&rig, PRIORITY(4), 1);
	/* A level that stays comes again; one that goes does not. */
	level(&rig, 4, true);
	assert_int_equal(get(&rig, CLAIM(0)), 4);
	assert_false(rig.output[0]);
	put(&rig, CLAIM(0), 4);
	assert_true(rig.output[0]);
	assert_int_equal(get(&rig, CLAIM(0)), 4);
	level(&rig, 4, false);
	put(&rig, CLAIM(0), 4);
	assert_false(rig.output[0]);
	/* Edges before the claim are one, edges during the service are one more. */
	pulse(&rig, 4);
	pulse(&rig, 4);
	assert_int_equal(get(&rig, CLAIM(0)), 4);
	pulse(&rig, 4);
	pulse(&rig, 4);
	assert_int_equal(get(&rig, CLAIM(0)), 0);
	put(&rig, CLAIM(0), 4);
	assert_int_equal(get(&rig, CLAIM(0)), 4);
	put(&rig, CLAIM(0), 4);
	assert_int_equal(get(&rig, CLAIM(0)), 0);
	/* The same level twice is no edge. */
	level(&rig, 4, true);
	assert_int_equal(get(&rig, CLAIM(0)), 4);
	level(&rig, 4, true);
	level(&rig, 4, false);
	put(&rig, CLAIM(0), 4);
	assert_int_equal(get(&rig, CLAIM(0)), 0);
	rv64_plic_destroy(rig.plic);
}

static void contexts(void **state)
{
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, PRIORITY(6), 1);
	put(&rig, ENABLE(0, 0), 1u << 6);
	put(&rig, ENABLE(2, 0), 1u << 6);
	pulse(&rig, 6);
	assert_true(rig.output[0] && !rig.output[1] && rig.output[2]);
	assert_int_equal(get(&rig, CLAIM(1)), 0); /* not enabled there */
	assert_int_equal(get(&rig, CLAIM(2)), 6); /* the first to claim has it */
	assert_false(rig.output[0] || rig.output[2]);
	assert_int_equal(get(&rig, CLAIM(0)), 0);
	pulse(&rig, 6);

	/* Completions that do not count: of nothing, where it is not enabled, of another. */
	put(&rig, CLAIM(2), 0);
	put(&rig, CLAIM(2), 64);
	put(&rig, CLAIM(2), 0xffffffff);
	put(&rig, CLAIM(2), 7);
	put(&rig, CLAIM(1), 6);
	assert_false(rig.output[0]);
	/* Moved elsewhere while it was served: who claimed it completes it. */
	put(&rig, ENABLE(2, 0), 0);
	put(&rig, CLAIM(2), 6);
	assert_true(rig.output[0] && !rig.output[2]);
	assert_int_equal(get(&rig, CLAIM(0)), 6);
	/* And so may who it is enabled for. */
	put(&rig, ENABLE(1, 0), 1u << 6);
	put(&rig, CLAIM(1), 6);
	put(&rig, CLAIM(0), 6); /* nothing is left to complete */
	pulse(&rig, 6);
	assert_true(rig.output[0] && rig.output[1]);
	rv64_plic_destroy(rig.plic);
}

static void reset(void **state)
{
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, ENABLE(0, 0), 0xfffffffe);
	put(&rig, PRIORITY(2), 1);
	put(&rig, PRIORITY(3), 1);
	level(&rig, 2, true);
	pulse(&rig, 3);
	assert_int_equal(get(&rig, CLAIM(0)), 2);
	rv64_plic_reset(rig.plic);
	assert_false(rig.output[0]);
	assert_int_equal(get(&rig, PRIORITY(2)), 0);
	assert_int_equal(get(&rig, ENABLE(0, 0)), 0);
	assert_int_equal(get(&rig, PENDING(0)), 1u << 2); /* the line is still there */
	rv64_plic_destroy(rig.plic);
}

static void device(void **state)
{
	struct axdev_access access = {.space = AXDEV_MMIO, .width = 4, .is_write = true};
	struct axbus *bus = NULL;
	struct axdev *dev = NULL;
	struct plic_rig rig;
	(void)state;

	begin(&rig);
	assert_int_equal(rv64_plic_device(rig.plic, RV64_PLIC_GPA, 3, &dev, NULL), 0);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &bus, NULL), 0);
	assert_int_equal(axbus_attach(bus, dev, NULL), 0);
	access.value = 3;
	axbus_access(bus, RV64_PLIC_GPA + PRIORITY(1), &access);
	access.is_write = false;
	axbus_access(bus, RV64_PLIC_GPA + PRIORITY(1), &access);
	assert_int_equal(access.value, 3);
	axbus_access(bus, RV64_PLIC_GPA + 0x800, &access); /* reserved */
	assert_int_equal(access.value, 0);
	access.width = 8;
	axbus_access(bus, RV64_PLIC_GPA, &access);
	assert_true(access.value == UINT64_MAX);
	axbus_reset(bus);
	assert_int_equal(get(&rig, PRIORITY(1)), 0);
	axbus_destroy(bus); /* the PLIC is there still */
	assert_int_equal(rv64_plic_set_level(rig.plic, 1, true), 0);
	rv64_plic_destroy(rig.plic);
	rv64_plic_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers), cmocka_unit_test(highest_first),
		cmocka_unit_test(threshold), cmocka_unit_test(levels_and_edges),
		cmocka_unit_test(contexts),  cmocka_unit_test(reset),
		cmocka_unit_test(device),
	};
	return cmocka_run_group_tests_name("riscv64-plic", tests, NULL, NULL);
}
