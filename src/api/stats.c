/*
 * A look at a VM as a line of JSON, and the tables of keys by which it is written here and read in
 * stats_read.c: a counter that is added to its table is in both.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY(type_, of, member, as)                                        \
	{                                                                 \
		.key = (as), .offset = offsetof(struct of, member),       \
		.size = sizeof(((struct of *)0)->member), .type = (type_) \
	}
#define COUNT(of, member, as) KEY(AXAPI_COUNT, of, member, as)

const struct axapi_key axapi_vm_keys[] = {
	KEY(AXAPI_TEXT, axvm_live, name, "name"),       KEY(AXAPI_TEXT, axvm_live, arch, "arch"),
	KEY(AXAPI_ID, axvm_live, pid, "pid"),           COUNT(axvm_live, at_ns, "at_ns"),
	COUNT(axvm_live, runtime_ns, "runtime_ns"),     COUNT(axvm_live, cpu_ns, "cpu_ns"),
	COUNT(axvm_live, memory_bytes, "memory_bytes"), {0},
};

const struct axapi_key axapi_thread_keys[] = {
	KEY(AXAPI_ID, axvm_live_thread, tid, "tid"),
	KEY(AXAPI_ID, axvm_live_thread, task.cpu, "cpu"),
	KEY(AXAPI_NODE, axvm_live_thread, node, "node"),
	KEY(AXAPI_TEXT, axvm_live_thread, task.allowed, "allowed"),
	KEY(AXAPI_SMALL, axvm_live_thread, task.allowed_count, "allowed_count"),
	KEY(AXAPI_TEXT, axvm_live_thread, planned, "planned"),
	KEY(AXAPI_FLAG, axvm_live_thread, task.has_times, "has_times"),
	COUNT(axvm_live_thread, task.run_ns, "run_ns"),
	COUNT(axvm_live_thread, task.wait_ns, "steal_ns"),
	{0},
};

const struct axapi_key axapi_vcpu_keys[] = {
	KEY(AXAPI_SMALL, axvm_live_vcpu, guest_node, "guest_node"),
	COUNT(axvm_live_vcpu, remote_bytes, "remote_bytes"),
	COUNT(axvm_live_vcpu, present_bytes, "present_bytes"),
	{0},
};

const struct axapi_key axapi_own_keys[] = {
	COUNT(axvcpu_stats, runs, "runs"),
	COUNT(axvcpu_stats, exits, "exits"),
	COUNT(axvcpu_stats, kicks, "kicks"),
	COUNT(axvcpu_stats, injected, "injected"),
	COUNT(axvcpu_stats, guest_ns, "guest_ns"),
	COUNT(axvcpu_stats, user_ns, "user_ns"),
	{0},
};

const struct axapi_key axapi_kvm_keys[] = {
#define KVM(name, text) KEY(AXAPI_KNOWN, axvm_live_kvm, name, #name),
	AXVM_LIVE_CAUSES(KVM) AXVM_LIVE_COUNTS(KVM)
#undef KVM
		{0},
};

const struct axapi_key axapi_io_keys[] = {
	COUNT(axvm_live_io, loop.wakeups, "wakeups"),
	COUNT(axvm_live_io, loop.syscalls, "syscalls"),
	COUNT(axvm_live_io, loop.ops, "ops"),
	{0},
};

const struct axapi_key axapi_device_keys[] = {
	KEY(AXAPI_TEXT, axvm_live_device, name, "name"),
	COUNT(axvm_live_device, stats.kicks, "kicks"),
	COUNT(axvm_live_device, stats.requests, "requests"),
	COUNT(axvm_live_device, stats.errors, "errors"),
	COUNT(axvm_live_device, stats.bytes, "bytes"),
	COUNT(axvm_live_device, stats.batches, "batches"),
	COUNT(axvm_live_device, stats.interrupts, "irqs"),
	COUNT(axvm_live_device, stats.interrupts_suppressed, "irqs_suppressed"),
	COUNT(axvm_live_device, stats.depth_max, "depth_max"),
	{0},
};

const struct axapi_key axapi_memory_keys[] = {
	KEY(AXAPI_SMALL, axvm_live_memory, guest_node, "guest_node"),
	COUNT(axvm_live_memory, placement.mapped_bytes, "mapped_bytes"),
	COUNT(axvm_live_memory, placement.looked_bytes, "looked_bytes"),
	COUNT(axvm_live_memory, placement.absent_bytes, "absent_bytes"),
	COUNT(axvm_live_memory, placement.astray_bytes, "astray_bytes"),
	COUNT(axvm_live_memory, placement.on_higher_node, "on_higher_node"),
	{0},
};

/* ---- writing --------------------------------------------------------------------------------- */

/* NULL: it is left out. */
static json_t *value_of(const struct axapi_key *key, const char *at)
{
	uint64_t count;
	uint32_t small;
	int32_t id;

	switch (key->type) {
	case AXAPI_COUNT:
	case AXAPI_KNOWN:
		memcpy(&count, at, sizeof(count));
		if (key->type == AXAPI_KNOWN && count == AXVM_LIVE_UNKNOWN)
			return NULL;
		return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
	case AXAPI_NODE:
	case AXAPI_SMALL:
		memcpy(&small, at, sizeof(small));
		return key->type == AXAPI_NODE && small == UINT32_MAX ? NULL : json_integer(small);
	case AXAPI_ID:
		memcpy(&id, at, sizeof(id));
		return id < 0 ? NULL : json_integer(id);
	case AXAPI_FLAG:
		return json_boolean(*(const bool *)(const void *)at);
	case AXAPI_TEXT:
		break;
	}
	/* A name is the user's, and need not be UTF-8. */
	json_t *text = json_string(at);

	return text ? text : json_string("?");
}

static json_t *put(json_t *object, const struct axapi_key *keys, const void *of)
{
	for (; keys->key; keys++) {
		json_t *value = value_of(keys, (const char *)of + keys->offset);

		if (value)
			json_object_set_new(object, keys->key, value);
	}
	return object;
}

static json_t *kinds_of(const struct axvcpu_stats *own)
{
	json_t *kinds = json_object();

	for (int k = 0; k < AXVCPU_EXIT_KIND_COUNT; k++)
		if (own->by_kind[k])
			json_object_set_new(kinds, axvcpu_exit_name((enum axvcpu_exit_kind)k),
					    json_integer((json_int_t)own->by_kind[k]));
	return kinds;
}

static json_t *vcpus_of(const struct axvm_live *live)
{
	json_t *array = json_array();

	for (size_t v = 0; v < live->vcpu_count; v++) {
		const struct axvm_live_vcpu *vcpu = &live->vcpus[v];
		json_t *object = put(json_object(), axapi_thread_keys, &vcpu->thread);
		json_t *own = put(json_object(), axapi_own_keys, &vcpu->own);

		put(object, axapi_vcpu_keys, vcpu);
		json_object_set_new(object, "state", json_string(axvcpu_state_name(vcpu->state)));
		json_object_set_new(own, "by_kind", kinds_of(&vcpu->own));
		json_object_set_new(object, "own", own);
		json_object_set_new(object, "kvm", put(json_object(), axapi_kvm_keys, &vcpu->kvm));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *io_of(const struct axvm_live *live)
{
	json_t *array = json_array();

	for (size_t i = 0; i < live->io_count; i++) {
		json_t *object = put(json_object(), axapi_thread_keys, &live->io[i].thread);

		json_array_append_new(array, put(object, axapi_io_keys, &live->io[i]));
	}
	return array;
}

static json_t *devices_of(const struct axvm_live *live)
{
	json_t *array = json_array();

	for (size_t i = 0; i < live->device_count; i++)
		json_array_append_new(array,
				      put(json_object(), axapi_device_keys, &live->devices[i]));
	return array;
}

static json_t *memory_of(const struct axvm_live *live)
{
	json_t *array = json_array();

	for (size_t i = 0; i < live->memory_count; i++) {
		const struct axvm_live_memory *memory = &live->memory[i];
		json_t *object = put(json_object(), axapi_memory_keys, memory);
		json_t *nodes = json_object();

		for (unsigned n = 0; n < AXAS_PLACEMENT_NODES; n++) {
			char id[8];

			snprintf(id, sizeof(id), "%u", n);
			if (memory->placement.on_node[n])
				json_object_set_new(
					nodes, id,
					json_integer((json_int_t)memory->placement.on_node[n]));
		}
		json_object_set_new(object, "on_node", nodes);
		json_array_append_new(array, object);
	}
	return array;
}

int axapi_stats_to_text(const struct axvm_live *live, char **ret_text, struct ax_error *err)
{
	json_t *stats = put(json_object(), axapi_vm_keys, live), *root;
	char *text = NULL;

	json_object_set_new(stats, "state",
			    json_string(axvm_state_name(live->state, AXVM_NAMING_AXVM)));
	json_object_set_new(stats, "vcpus", vcpus_of(live));
	json_object_set_new(stats, "io", io_of(live));
	json_object_set_new(stats, "devices", devices_of(live));
	json_object_set_new(stats, "memory", memory_of(live));
	root = json_pack("{s:o}", "stats", stats);
	if (root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an answer");
	*ret_text = text;
	return 0;
}
