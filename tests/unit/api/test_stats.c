/*
 * A look as text: what is written comes back, every number of it; what is unknown stays so; and an
 * answer of somebody who is no VM is refused, or at least harmless.
 */
#include "../test.h"

#include <axvm/api.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Every counter has a value of its own. */
static void fill(uint64_t *words, size_t bytes, uint64_t *next)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = (*next)++;
}

static struct axvm_live *make(void)
{
	struct axvm_live *live = calloc(1, sizeof(*live));
	uint64_t next = 1000;

	assert_non_null(live);
	strcpy(live->name, "de\"bi\\an");
	strcpy(live->arch, "x86_64");
	live->pid = 4711;
	live->state = AXVM_SUSPENDED;
	live->at_ns = 123456789012345;
	live->runtime_ns = 7;
	live->cpu_ns = 8;
	live->memory_bytes = 512 * AX_MIB;
	live->vcpu_count = 2;
	live->vcpus = calloc(2, sizeof(*live->vcpus));
	live->io_count = 1;
	live->io = calloc(1, sizeof(*live->io));
	for (size_t v = 0; v < 2; v++) {
		struct axvm_live_vcpu *vcpu = &live->vcpus[v];

		vcpu->thread.tid = 100 + (pid_t)v;
		vcpu->thread.task.cpu = 3;
		strcpy(vcpu->thread.task.allowed, "0-3,8");
		vcpu->thread.task.allowed_count = 5;
		vcpu->thread.task.has_times = true;
		vcpu->thread.task.run_ns = 11 + v;
		vcpu->thread.task.wait_ns = 21 + v;
		vcpu->thread.node = 1;
		strcpy(vcpu->thread.planned, "3");
		vcpu->state = v ? AXVCPU_BLOCKED : AXVCPU_RUNNING;
		fill(&vcpu->own.runs, sizeof(vcpu->own), &next);
		vcpu->own.first_entry_ns = 0; /* not told */
		fill(&vcpu->kvm.exits, sizeof(vcpu->kvm), &next);
		vcpu->guest_node = (uint32_t)v;
		vcpu->remote_bytes = 4096;
		vcpu->present_bytes = 8192;
	}
	live->vcpus[1].kvm.irq_exits = AXVM_LIVE_UNKNOWN;
	live->vcpus[1].thread.task.cpu = -1;
	live->vcpus[1].thread.node = UINT32_MAX;
	live->io[0].thread.task.cpu = 1;
	fill(&live->io[0].loop.wakeups, sizeof(live->io[0].loop), &next);
	live->device_count = 1;
	strcpy(live->devices[0].name, "disk0");
	live->devices[0].stats = (struct axvirtio_stats){.kicks = 1,
							 .requests = 2,
							 .errors = 3,
							 .bytes = 4,
							 .interrupts = 5,
							 .interrupts_suppressed = 6,
							 .batches = 7,
							 .depth_max = 8};
	live->memory_count = 1;
	live->memory[0].placement = (struct axas_placement){.mapped_bytes = 1,
							    .looked_bytes = 2,
							    .absent_bytes = 3,
							    .astray_bytes = 4,
							    .on_node = {[0] = 5, [63] = 6},
							    .on_higher_node = 7};
	return live;
}

static struct axvm_live *read_back(const char *text)
{
	struct axvm_live *live = NULL;
	struct ax_error err = {0};

	if (axapi_stats_from_text(text, strlen(text), &live, &err))
		fail_msg("%s", err.message);
	return live;
}

static void test_there_and_back(void **state)
{
	struct axvm_live *live = make(), *back;
	struct ax_error err = {0};
	char *text = NULL;

	(void)state;
	assert_int_equal(axapi_stats_to_text(live, &text, &err), 0);
	assert_null(strchr(text, '\n')); /* one line */
	back = read_back(text);
	assert_int_equal(back->vcpu_count, 2);
	assert_memory_equal(back->vcpus, live->vcpus, 2 * sizeof(*live->vcpus));
	assert_int_equal(back->io_count, 1);
	assert_memory_equal(&back->io[0].loop, &live->io[0].loop, sizeof(live->io[0].loop));
	assert_memory_equal(back->devices, live->devices, sizeof(live->devices));
	assert_memory_equal(back->memory, live->memory, sizeof(live->memory));
	assert_string_equal(back->name, live->name);
	assert_string_equal(back->arch, live->arch);
	assert_int_equal(back->pid, live->pid);
	assert_int_equal(back->state, live->state);
	assert_int_equal(back->at_ns, live->at_ns);
	assert_int_equal(back->runtime_ns, live->runtime_ns);
	assert_int_equal(back->cpu_ns, live->cpu_ns);
	assert_int_equal(back->memory_bytes, live->memory_bytes);
	axvm_live_free(live);
	axvm_live_free(back);
	free(text);
}

/* For programs that read the line by themselves: the keys of docs/top.md. */
static void test_keys(void **state)
{
	struct axvm_live *live = make();
	json_t *root, *stats, *vcpu;
	char *text = NULL;

	(void)state;
	assert_int_equal(axapi_stats_to_text(live, &text, NULL), 0);
	root = json_loads(text, 0, NULL);
	stats = json_object_get(root, "stats");
	assert_string_equal(json_string_value(json_object_get(stats, "state")), "Suspended");
	vcpu = json_array_get(json_object_get(stats, "vcpus"), 1);
	assert_string_equal(json_string_value(json_object_get(vcpu, "state")), "Blocked");
	/* Not known is not there, and not 0. */
	assert_null(json_object_get(json_object_get(vcpu, "kvm"), "irq_exits"));
	assert_non_null(json_object_get(json_object_get(vcpu, "kvm"), "halt_exits"));
	assert_null(json_object_get(vcpu, "cpu"));
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(json_object_get(vcpu, "own"), "by_kind"),
				 axvcpu_exit_name(AXVCPU_EXIT_HALT))),
			 live->vcpus[1].own.by_kind[AXVCPU_EXIT_HALT]);
	json_decref(root);
	axvm_live_free(live);
	free(text);
}

#define EMPTY "\"vcpus\":[],\"io\":[],\"devices\":[],\"memory\":[]"

/* A later version's answer has more; an earlier one's less. */
static void test_other_versions(void **state)
{
	struct axvm_live *live =
		read_back("{\"stats\":{\"name\":\"\\u001b[2J\\u00e4x\",\"tea\":[1]," EMPTY "}}");

	(void)state;
	assert_string_equal(live->name, "?[2J??x"); /* no terminal is told anything */
	assert_int_equal(live->pid, 0);
	axvm_live_free(live);
	live = read_back("{\"stats\":{\"vcpus\":[{\"own\":{},\"kvm\":{\"new_exits\":1}}],\"io\":[],"
			 "\"devices\":[],\"memory\":[]}}");
	assert_true(live->vcpus[0].kvm.exits == AXVM_LIVE_UNKNOWN);
	assert_int_equal(live->vcpus[0].thread.task.cpu, -1);
	assert_int_equal(live->vcpus[0].state, AXVCPU_INVALID);
	axvm_live_free(live);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"nonsense",
		"{}",
		"{\"stats\":1}",
		"{\"stats\":{}}",
		"{\"stats\":{\"vcpus\":{},\"io\":[],\"devices\":[],\"memory\":[]}}",
		"{\"stats\":{\"vcpus\":[1],\"io\":[],\"devices\":[],\"memory\":[]}}",
		"{\"stats\":{\"vcpus\":[{}],\"io\":[],\"devices\":[],\"memory\":[]}}",
		"{\"stats\":{\"pid\":-1," EMPTY "}}",
		"{\"stats\":{\"pid\":4294967296," EMPTY "}}",
		"{\"stats\":{\"pid\":1.5," EMPTY "}}",
		"{\"stats\":{\"at_ns\":\"1\"," EMPTY "}}",
		"{\"stats\":{\"at_ns\":99999999999999999999," EMPTY "}}",
		"{\"stats\":{\"name\":7," EMPTY "}}",
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(texts); i++) {
		struct axvm_live *live = NULL;
		struct ax_error err = {0};

		if (axapi_stats_from_text(texts[i], strlen(texts[i]), &live, &err) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
		assert_null(live);
		assert_int_equal(err.kind, AX_ERROR_IO);
		assert_true(err.hint[0]);
	}
}

/* Lists without end cost no memory. */
static void test_long_lists(void **state)
{
	const size_t count = 200000;
	char *text = malloc(count * 3 + 256), *at = text;
	struct axvm_live *live = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_non_null(text);
	at += sprintf(at, "{\"stats\":{\"io\":[],\"devices\":[],\"memory\":[],\"vcpus\":[{}");
	for (size_t i = 1; i < count; i++)
		at += sprintf(at, ",{}");
	sprintf(at, "]}}");
	assert_int_equal(axapi_stats_from_text(text, strlen(text), &live, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "too long"));
	free(text);
}

/* What the VM says when it refuses is passed on, printable. */
static void test_its_error(void **state)
{
	static const char text[] = "{\"error\":{\"kind\":\"Usage\",\"message\":\"no\\u0007 tea\","
				   "\"hint\":\"coffee\"}}";
	struct axvm_live *live = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axapi_stats_from_text(text, strlen(text), &live, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "no? tea"));
	assert_string_equal(err.hint, "coffee");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_other_versions), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_lists),     cmocka_unit_test(test_its_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
