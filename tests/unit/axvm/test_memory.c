/*
 * From memory options to regions: RAM and further regions with their types in the listing and as
 * slots, what is RAM to the guest and what is reserved, locking and population, and the errors of
 * ranges that are not to be had (M2, M4, M9, M12).
 */
#include "rig.h"

#include "arch/generic/generic_priv.h" /* generic_vm_read, generic_vm_write */
#include "axvm/vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The kind of the range that starts there, -1: there is none. */
static int planned(struct rig *rig, uint64_t gpa)
{
	const struct axas_layout *layout = &rig->vm->plan.layout;

	for (size_t i = 0; i < layout->count; i++)
		if (layout->range[i].gpa == gpa)
			return (int)layout->range[i].kind;
	return -1;
}

static size_t resident_pages(const struct axas_region_info *region)
{
	unsigned char pages[4096];
	size_t resident = 0;

	assert_true(region->size_bytes / AXAS_PAGE_SIZE <= sizeof(pages));
	assert_int_equal(mincore(region->hva, region->size_bytes, pages), 0);
	for (size_t i = 0; i < region->size_bytes / AXAS_PAGE_SIZE; i++)
		resident += pages[i] & 1;
	return resident;
}

/* One of each type: as many slots, listed with their types, each with its own place in the plan. */
static void test_regions(void **state)
{
	static const struct generic_step off[] = {STEP_OFF};
	char content[8192] = "shared with others";
	const char *path = rig_file(content, sizeof(content));
	char reserved[128], read_only[128], got[32] = "";
	struct axas_region_info list[8];
	struct rig rig;
	FILE *file;

	(void)state;
	snprintf(reserved, sizeof(reserved),
		 "--region=gpa=0xe0000000,size=8K,type=reserved,path=%s", path);
	snprintf(read_only, sizeof(read_only),
		 "--region=gpa=0xe1000000,size=4K,type=reserved,ro,path=%s", path);
	rig_init(&rig,
		 WORDS("--region=gpa=0x100000000,size=1M",
		       "--region=gpa=0x200000000,size=2M,type=identical", reserved, read_only));
	rig_script(&rig, 0, off, 1);
	rig_boot(&rig);
	rig_end(&rig);

	assert_int_equal(axas_regions(axvm_memory(rig.vm), list, AX_ARRAY_LEN(list)), 5);
	assert_int_equal(generic_vm_slots(rig_arch(&rig)), 5);
	assert_string_equal(list[0].name, "ram0");
	assert_int_equal(list[1].gpa, 0xe0000000);
	assert_int_equal(list[1].type, AXAS_MAP_RESERVED);
	assert_int_equal(list[1].backing, AXAS_BACKING_FILE);
	assert_int_equal(list[2].gpa, 0xe1000000);
	assert_int_equal(list[2].flags & AXAS_RW, AXAS_READ);
	assert_int_equal(list[3].gpa, 0x100000000);
	assert_int_equal(list[3].type, AXAS_MAP_ALLOC);
	assert_int_equal(list[4].gpa, 0x200000000); /* as configured */
	assert_int_equal(list[4].size_bytes, 2 * AX_MIB);
	assert_int_equal(list[4].type, AXAS_MAP_IDENTICAL);

	assert_int_equal(planned(&rig, 0x100000000), AXAS_LAYOUT_MEMORY);
	assert_int_equal(planned(&rig, 0x200000000), AXAS_LAYOUT_MEMORY);
	assert_int_equal(planned(&rig, 0xe0000000), AXAS_LAYOUT_RESERVED);
	assert_int_equal(planned(&rig, 0xe1000000), AXAS_LAYOUT_RESERVED);

	/* The file is what the guest sees, and sees what the guest writes where it may. */
	assert_true(generic_vm_read(rig_arch(&rig), 0xe1000000, got, strlen(content)));
	assert_string_equal(got, "shared with others");
	assert_true(generic_vm_write(rig_arch(&rig), 0xe0000000, "S", 1));
	assert_false(generic_vm_write(rig_arch(&rig), 0xe1000000, "x", 1));
	rig_finish(&rig);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(got, 1, 6, file), 6);
	assert_memory_equal(got, "Shared", 6);
	fclose(file);
}

static bool plan_had_region;

static int watch_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
			   struct axarch_vm **ret_vm, struct ax_error *err)
{
	for (size_t i = 0; i < plan->layout.count; i++)
		plan_had_region |= plan->layout.range[i].gpa == 0x100000000;
	return axarch_generic.vm_create(config, plan, ret_vm, err);
}

/* The architecture makes its tables from the plan it is given: the regions are in it by then. */
static void test_regions_reach_the_architecture(void **state)
{
	struct axarch watched = axarch_generic;
	struct rig rig;

	(void)state;
	watched.vm_create = watch_vm_create;
	rig_init(&rig, WORDS("--region=gpa=0x100000000,size=1M"));
	rig.options.arch = &watched;
	assert_int_equal(rig_create(&rig), 0);
	assert_true(plan_had_region);
	rig_finish(&rig);
}

static void test_refused_regions(void **state)
{
	static const struct {
		const char *word, *text;
		int rc;
	} rows[] = {
		{"--region=gpa=0x100000,size=1M", "memory.regions[0]: memory \"memory.regions\"",
		 -EEXIST},
		{"--region=gpa=0xd0000000,size=4K", "virtio", -EEXIST},
		{"--region=gpa=0xe0000000,size=4K,type=reserved,path=/nonexistent", "/nonexistent",
		 -ENOENT},
		{"--region=gpa=0x10000000000,size=4K", "limit", -EINVAL},
	};
	struct holdings before;

	(void)state;
	holdings_read(&before);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, WORDS(rows[i].word));
		assert_int_equal(rig_create(&rig), rows[i].rc);
		if (!strstr(rig.err.message, rows[i].text) ||
		    !strstr(rig.err.message, "memory.regions[0]"))
			fail_msg("%s", rig.err.message);
		rig_finish(&rig);
	}
	holdings_check(&before);
}

static void test_lock_and_populate(void **state)
{
	static const char *const options[] = {"--no-populate", "--populate", "--lock"};
	struct axas_region_info list[4];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(options); i++) {
		struct rig rig;
		size_t pages = 16 * AX_MIB / AXAS_PAGE_SIZE;

		rig_init(&rig, WORDS(options[i], "--memory-backing=anon",
				     "--region=gpa=0x100000000,size=16M"));
		if (rig_create(&rig)) { /* nothing else may refuse */
			assert_int_equal(i, 2);
			assert_non_null(strstr(rig.err.message, "RLIMIT_MEMLOCK"));
			rig_finish(&rig);
			continue;
		}
		assert_int_equal(axas_regions(axvm_memory(rig.vm), list, AX_ARRAY_LEN(list)), 2);
		for (size_t r = 0; r < 2; r++) {
			assert_int_equal(list[r].locked, i == 2);
			if (i == 1)
				assert_int_equal(resident_pages(&list[r]), pages);
			else if (i == 0)
				assert_true(resident_pages(&list[r]) < 64);
		}
		rig_finish(&rig);
	}
}

static void test_backings(void **state)
{
	static const struct {
		const char *word;
		enum axas_backing backing;
	} rows[] = {
		{"--memory-backing=anon", AXAS_BACKING_ANON},
		{"--memory-backing=thp", AXAS_BACKING_THP},
		{"--memory-backing=auto", AXAS_BACKING_THP},
		{"--memory-backing=hugetlb-2M", AXAS_BACKING_HUGETLB_2M},
		{"--memory-backing=hugetlb-1G", AXAS_BACKING_HUGETLB_1G},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axas_region_info info;
		struct rig rig;

		rig_init(&rig, WORDS(rows[i].word, "-m2G"));
		if (rig_create(&rig)) { /* the pool is not large enough: exit status 30 */
			assert_int_equal(rig.err.kind, AX_ERROR_MEMORY_ALLOCATION);
			assert_int_equal(ax_error_kind_exit_status(rig.err.kind), 30);
			assert_true(rows[i].backing >= AXAS_BACKING_HUGETLB_2M);
			assert_non_null(strstr(rig.err.message, i == 3 ? "1024 huge pages of 2M"
								       : "2 huge pages of 1G"));
		} else {
			assert_int_equal(axas_regions(axvm_memory(rig.vm), &info, 1), 1);
			assert_int_equal(info.backing, rows[i].backing);
		}
		rig_finish(&rig);
	}
}

static int on_memory(void *ctx, uint64_t bytes, uint64_t total_bytes)
{
	uint64_t *last = ctx;

	assert_int_equal(total_bytes, 64 * AX_MIB);
	*last = bytes;
	return bytes > 32 * AX_MIB && last[1];
}

/* A long start tells how far it is, and can be ended. */
static void test_progress(void **state)
{
	uint64_t last[2] = {0}; /* and whether to end it */
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-m", "64M", "--populate"));
	rig.options.on_memory = on_memory;
	rig.options.on_memory_ctx = last;
	assert_int_equal(rig_create(&rig), 0);
	assert_int_equal(last[0], 64 * AX_MIB);
	rig_finish(&rig);
	last[1] = 1;
	rig_init(&rig, WORDS("-m", "64M", "--populate"));
	rig.options.on_memory = on_memory;
	rig.options.on_memory_ctx = last;
	assert_int_equal(rig_create(&rig), -ECANCELED);
	assert_true(last[0] < 64 * AX_MIB);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_regions_reach_the_architecture),
		cmocka_unit_test(test_refused_regions),
		cmocka_unit_test(test_lock_and_populate),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_backings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
