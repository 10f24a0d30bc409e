/*
 * Changes of a live memory map: unmap and protect with splitting, clear, and mappers that fail at
 * each of their calls in turn.
 */
#include "common.h"

#include <errno.h>
#include <string.h>

#define BASE 0x100000ULL

static void unmap_splits_and_spans_regions(void **state)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct axas_region_config config = region(BASE, 8 * PAGE);
	const struct axas_region_info split[] = {
		{.gpa = BASE, .size_bytes = 2 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 4 * PAGE, .size_bytes = 4 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 8 * PAGE, .size_bytes = 4 * PAGE, .flags = AXAS_READ},
	};
	const struct axas_region_info span[] = {
		{.gpa = BASE, .size_bytes = 2 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 4 * PAGE, .size_bytes = 3 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 9 * PAGE, .size_bytes = 3 * PAGE, .flags = AXAS_READ},
	};
	uint8_t byte = 0;

	(void)state;
	map_ok(as, &config);
	config = region(BASE + 8 * PAGE, 4 * PAGE);
	config.flags = AXAS_READ;
	map_ok(as, &config);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(axas_write_u8(as, BASE + i * PAGE, (uint8_t)(i + 1)), 0);

	assert_int_equal(axas_unmap(as, BASE + 2 * PAGE, 2 * PAGE, NULL), 0);
	assert_regions(as, 3, split);
	recorder_agrees(&recorder, as);
	assert_int_equal(axas_read_u8(as, BASE + 2 * PAGE, &byte), -EFAULT);
	assert_int_equal(axas_read_u8(as, BASE + 4 * PAGE - 1, &byte), -EFAULT);
	for (uint64_t i = 0; i < 8; i++) {
		if (i == 2 || i == 3)
			continue;
		assert_int_equal(axas_read_u8(as, BASE + i * PAGE, &byte), 0);
		assert_int_equal(byte, i + 1);
	}
	assert_int_equal(axas_unmap(as, BASE + 7 * PAGE, 2 * PAGE, NULL), 0);
	assert_regions(as, 3, span);
	recorder_agrees(&recorder, as);

	/* A hole in the range, misaligned, empty, or past the limit: nothing happens. */
	static const struct {
		uint64_t gpa, size_bytes;
		int rc;
	} rows[] = {
		{BASE, 3 * PAGE, -ENOENT},
		{BASE + 2 * PAGE, PAGE, -ENOENT},
		{BASE + 11 * PAGE, 2 * PAGE, -ENOENT},
		{BASE - PAGE, 2 * PAGE, -ENOENT},
		{BASE + 1, PAGE, -EINVAL},
		{BASE, PAGE - 1, -EINVAL},
		{BASE, 0, -EINVAL},
		{BASE, -PAGE, -EINVAL},
		{-PAGE, PAGE, -EINVAL},
	};
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		int calls = recorder.calls;
		assert_int_equal(axas_unmap(as, rows[i].gpa, rows[i].size_bytes, &err), rows[i].rc);
		assert_int_not_equal(err.kind, AX_ERROR_NONE);
		assert_int_equal(axas_protect(as, rows[i].gpa, rows[i].size_bytes, AXAS_READ, NULL),
				 rows[i].rc);
		assert_int_equal(axas_lock(as, rows[i].gpa, rows[i].size_bytes, NULL), rows[i].rc);
		assert_int_equal(recorder.calls, calls);
		assert_regions(as, 3, span);
	}
	/* The freed addresses take new, zero memory. */
	config = region(BASE + 2 * PAGE, 2 * PAGE);
	map_ok(as, &config);
	assert_int_equal(axas_read_u8(as, BASE + 2 * PAGE, &byte), 0);
	assert_int_equal(byte, 0);
	recorder_agrees(&recorder, as);

	assert_int_equal(axas_clear(as, NULL), 0);
	assert_regions(as, 0, NULL);
	assert_int_equal(recorder_live(&recorder), 0);
	assert_int_equal(axas_clear(as, NULL), 0);
	map_ok(as, &config);
	axas_destroy(as);
}

static void protect_refuses_writes_of_guest_and_devices(void **state)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct axas_region_config config = region(BASE, 8 * PAGE);
	const struct axas_region_info split[] = {
		{.gpa = BASE, .size_bytes = 3 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 3 * PAGE, .size_bytes = 2 * PAGE, .flags = AXAS_READ},
		{.gpa = BASE + 5 * PAGE, .size_bytes = 3 * PAGE, .flags = AXAS_RW},
	};
	uint64_t ro = BASE + 3 * PAGE;
	struct iovec iov[4];
	uint8_t byte = 0;
	int calls;

	(void)state;
	map_ok(as, &config);
	assert_int_equal(axas_write_u8(as, ro, 0x5a), 0);
	assert_int_equal(axas_protect(as, ro, 2 * PAGE, AXAS_READ, NULL), 0);
	assert_regions(as, 3, split);
	recorder_agrees(&recorder, as);
	assert_int_equal(axas_write_u8(as, ro, 1), -EFAULT);
	assert_int_equal(axas_write_u16(as, ro - 1, 1), -EFAULT);
	assert_int_equal(axas_fill(as, ro - PAGE, 1, 2 * PAGE), -EFAULT);
	assert_int_equal(axas_copy_within(as, ro, BASE, 1), -EFAULT);
	assert_null(axas_ptr(as, ro, 1, AXAS_WRITE));
	assert_null(axas_ptr(as, ro, 1, AXAS_RW));
	assert_non_null(axas_ptr(as, ro, 1, AXAS_READ));
	assert_int_equal(axas_iovec(as, ro - 1, 2, AXAS_WRITE, iov, 4), -EFAULT);
	assert_int_equal(axas_iovec(as, ro - 1, 2, AXAS_READ, iov, 4), 2);
	assert_int_equal(axas_read_u8(as, ro, &byte), 0);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(axas_write_host(as, ro, "\x77", 1), 0);
	assert_int_equal(axas_read_u8(as, ro, &byte), 0);
	assert_int_equal(byte, 0x77);

	/* What is read-only already is not cut or shown again. */
	calls = recorder.calls;
	assert_int_equal(axas_protect(as, ro, PAGE, AXAS_READ, NULL), 0);
	assert_int_equal(recorder.calls, calls);
	assert_regions(as, 3, split);
	/* Over several regions, and back. */
	assert_int_equal(axas_protect(as, BASE, 8 * PAGE, AXAS_READ | AXAS_EXEC, NULL), 0);
	assert_int_equal(axas_write_u8(as, BASE, 1), -EFAULT);
	assert_int_equal(axas_protect(as, BASE, 8 * PAGE, AXAS_RW, NULL), 0);
	assert_int_equal(axas_fill(as, BASE, 3, 8 * PAGE), 0);
	recorder_agrees(&recorder, as);
	assert_int_equal(axas_protect(as, BASE, PAGE, AXAS_WRITE, NULL), -ENOTSUP);
	assert_int_equal(axas_protect(as, BASE, PAGE, 0, NULL), -EINVAL);
	axas_destroy(as);
}

/* Each call of the mapper in turn fails; everything must be as before, and work afterwards. */
static void failing_mapper_leaves_everything_as_it_was(void **state)
{
	const struct axas_region_info before[] = {
		{.gpa = BASE, .size_bytes = 8 * PAGE, .flags = AXAS_RW},
		{.gpa = BASE + 8 * PAGE, .size_bytes = 8 * PAGE, .flags = AXAS_READ},
		{.gpa = BASE + 16 * PAGE, .size_bytes = 8 * PAGE, .flags = AXAS_RW},
	};

	(void)state;
	for (int op = 0; op < 5; op++) {
		for (int failing = 1;; failing++) {
			struct recorder recorder = {0};
			struct axas *as = new_space(&recorder);
			struct ax_error err = {0};
			struct axas_region_config config;
			uint8_t byte = 0;
			int rc = 0, start;

			for (size_t i = 0; i < 3; i++) {
				config = region(before[i].gpa, before[i].size_bytes);
				config.flags = before[i].flags;
				map_ok(as, &config);
			}
			assert_int_equal(axas_write_u8(as, BASE + 4 * PAGE, 0xab), 0);
			start = recorder.calls;
			recorder.fail_at[0] = start + failing;
			config = region(BASE + 64 * PAGE, PAGE);
			if (op == 0)
				rc = axas_map(as, &config, &err);
			else if (op == 1)
				rc = axas_unmap(as, BASE + 4 * PAGE, PAGE, &err);
			else if (op == 2)
				rc = axas_unmap(as, BASE + 4 * PAGE, 16 * PAGE, &err);
			else if (op == 3)
				rc = axas_protect(as, BASE + 4 * PAGE, 16 * PAGE, AXAS_READ, &err);
			else
				rc = axas_clear(as, &err);
			recorder_agrees(&recorder, as);
			if (rc == 0) { /* there was no such call: all have been tried */
				assert_true(failing > 1);
				axas_destroy(as);
				break;
			}
			assert_int_equal(rc, -EIO);
			assert_int_equal(err.kind, AX_ERROR_IO);
			assert_non_null(strstr(err.message, "slot"));
			assert_regions(as, 3, before);
			assert_int_equal(axas_read_u8(as, BASE + 4 * PAGE, &byte), 0);
			assert_int_equal(byte, 0xab);
			recorder.fail_at[0] = 0;
			assert_int_equal(axas_unmap(as, BASE, 24 * PAGE, NULL), 0);
			recorder_agrees(&recorder, as);
			axas_destroy(as);
		}
	}
}

static void mapper_that_fails_to_restore_stops_the_vm(void **state)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct axas_region_config config = region(BASE, 4 * PAGE);
	struct ax_error err = {0};

	(void)state;
	map_ok(as, &config);
	recorder.fail_at[0] = 3; /* 1 map, 2 unmap the whole, 3 map the first piece */
	recorder.fail_at[1] = 4; /* map the whole again */
	assert_int_equal(axas_unmap(as, BASE + PAGE, PAGE, &err), -EIO);
	assert_int_equal(err.kind, AX_ERROR_MEMORY_SETUP);
	assert_true(ax_error_requires_shutdown(&err));
	axas_destroy(as);
}

static int silent_failure(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
			  bool read_only, struct ax_error *err)
{
	(void)ctx, (void)slot, (void)gpa, (void)size_bytes, (void)hva, (void)read_only, (void)err;
	return -ENOSPC;
}

static void mapper_without_message_still_gives_an_error(void **state)
{
	struct axas_mapper mapper = {.map = silent_failure};
	struct axas_region_config config = region(BASE, PAGE);
	struct ax_error err = {0};
	struct axas *as = NULL;

	(void)state;
	assert_int_equal(axas_create(0, &mapper, &as, NULL), 0);
	assert_int_equal(axas_map(as, &config, &err), -ENOSPC);
	assert_int_equal(err.kind, AX_ERROR_MEMORY_SETUP);
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_int_equal(axas_total_bytes(as), 0);
	axas_destroy(as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unmap_splits_and_spans_regions),
		cmocka_unit_test(protect_refuses_writes_of_guest_and_devices),
		cmocka_unit_test(failing_mapper_leaves_everything_as_it_was),
		cmocka_unit_test(mapper_that_fails_to_restore_stops_the_vm),
		cmocka_unit_test(mapper_without_message_still_gives_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
