/*
 * Every allocation of the planner fails once: an error comes back, nothing leaks (under ASan), and
 * what the caller has is untouched. malloc and its like are wrapped by the linker.
 */
#include "hosts.h"

#include <errno.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Allocations until one fails; below 0: none does. */
static long countdown = -1;

static bool fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

typedef int form_fn(const struct axhost_facts *facts, const struct axplace_plan *plan,
		    char **ret_text, struct ax_error *err);

static int picture(const struct axhost_facts *facts, const struct axplace_plan *plan,
		   char **ret_text, struct ax_error *err)
{
	return axplace_to_picture(facts, plan, 80, AXPLACE_LINES_UTF8, ret_text, err);
}

static void check_form(const struct axhost_facts *facts, const struct axplace_plan *plan,
		       form_fn *form)
{
	int r = -1;

	for (long at = 0; r; at++) {
		struct ax_error err = {0};
		char *text = NULL;

		countdown = at;
		r = form(facts, plan, &text, &err);
		countdown = -1;
		if (r) {
			assert_null(text);
			assert_int_equal(err.kind, AX_ERROR_NO_MEMORY);
		}
		free(text);
		assert_true(at < 100000);
	}
}

static void check_request(const struct axhost_facts *facts, const struct axplace_request *request,
			  const struct axplace_held *held)
{
	struct axplace_plan *plan = NULL;
	long at = 0;

	for (bool done = false; !done; at++) {
		struct ax_error err = {0};
		int r;

		countdown = at;
		r = axplace_make(facts, profile_by_name("generic"), request, held, &plan, &err);
		done = countdown >= 0;
		countdown = -1;
		assert_true(r == 0 ? plan != NULL : plan == NULL);
		if (done)
			break;
		/* One of advice.c or why.c only makes the refusal poorer. */
		if (r != -ENOMEM && r != -ENOSPC && r != -EPERM)
			fail_msg("%u vCPUs, allocation %ld: %d", request->vcpus, at, r);
	}
	assert_true(at > 10);
	if (!plan)
		return;
	check_form(facts, plan, axplace_to_json);
	check_form(facts, plan, axplace_to_table);
	check_form(facts, plan, picture);
	check_form(facts, plan, axplace_to_svg);
	axplace_free(plan);
}

static void test_no_memory(void **state)
{
	struct axhost_facts facts = host_make(2, 3, 2, 4 * GIB), many = host_make(10, 2, 1, GIB);
	const uint32_t pins[] = {1, 2, 3}, held_cpus[] = {5};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 1};
	const struct axplace_request requests[] = {
		{.vcpus = 2, .memory_bytes = GIB},
		{.vcpus = 9, .memory_bytes = 5 * GIB, .spread = AXPLACE_SPREAD},
		{.vcpus = 3, .memory_bytes = GIB, .pins = pins, .pin_count = 3},
		{.vcpus = 30, .memory_bytes = GIB, .may_overcommit = true},
		{.vcpus = 5, .memory_bytes = 3 * GIB, .cores = AXPLACE_CORES_OWN, .max_nodes = 1},
		{.vcpus = 2,
		 .memory_bytes = 2 * GIB,
		 .backing = AXAS_BACKING_HUGETLB_2M,
		 .backing_is_must = true},
	};

	(void)state;
	host_pool(&facts, 0, 2 * MIB, 3);
	for (size_t i = 0; i < AX_ARRAY_LEN(requests); i++) {
		check_request(&facts, &requests[i], &held);
		check_request(&many, &requests[i], NULL);
	}
	free(facts.cpus);
	free(facts.nodes);
	free(facts.distances);
	free(many.cpus);
	free(many.nodes);
	free(many.distances);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
