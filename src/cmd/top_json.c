/*
 * A sample of `axvm top` for programs: one object in one line. Rates are by second, shares are of
 * one CPU, and what cannot be known is null. docs/top.md has the keys.
 */
#include "top.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

static void put_rate(json_t *object, const char *key, double value)
{
	/* Three digits are more than a sample can mean. */
	if (isfinite(value) && value < 1e15)
		value = (double)(int64_t)(value * 1000 + 0.5) / 1000;
	json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static void put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text)); /* ASCII: axapi_stats_from_text */
}

static void put_count(json_t *object, const char *key, uint64_t count)
{
	json_object_set_new(object, key, json_integer((json_int_t)count));
}

static json_t *thread_of(const struct top_vm *vm, const struct axvm_live_thread *earlier,
			 const struct axvm_live_thread *thread)
{
	const struct top_thread_rates rates = top_thread(vm, earlier, thread);
	json_t *object = json_object();

	put_count(object, "tid", (uint64_t)thread->tid);
	json_object_set_new(object, "cpu",
			    thread->task.cpu < 0 ? json_null() : json_integer(thread->task.cpu));
	json_object_set_new(object, "node",
			    thread->node == UINT32_MAX ? json_null() : json_integer(thread->node));
	put_text(object, "allowed", thread->task.allowed);
	put_text(object, "planned", thread->planned);
	json_object_set_new(object, "astray", json_boolean(top_is_astray(thread)));
	put_rate(object, "run", rates.run);
	put_rate(object, "steal", rates.steal);
	return object;
}

static json_t *kinds_of(const struct top_vm *vm, const struct axvcpu_stats *earlier,
			const struct axvcpu_stats *later)
{
	json_t *kinds = json_object();

	for (int k = 0; earlier && k < AXVCPU_EXIT_KIND_COUNT; k++)
		if (later->by_kind[k])
			put_rate(kinds, axvcpu_exit_name((enum axvcpu_exit_kind)k),
				 top_rate(vm, earlier->by_kind[k], later->by_kind[k]));
	return kinds;
}

static json_t *kvm_of(const struct top_vm *vm, size_t v)
{
	const struct axvm_live_kvm *a = &vm->earlier->vcpus[v].kvm, *b = &vm->later->vcpus[v].kvm;
	json_t *object = json_object();

#define PUT(name, text) put_rate(object, #name, top_rate(vm, a->name, b->name));
	AXVM_LIVE_CAUSES(PUT)
	put_rate(object, "other_exits", top_other(vm, v));
	AXVM_LIVE_COUNTS(PUT)
#undef PUT
	return object;
}

static json_t *vcpu_of(const struct top_vm *vm, size_t v)
{
	const struct axvm_live_vcpu *a = vm->earlier ? &vm->earlier->vcpus[v] : NULL;
	const struct axvm_live_vcpu *b = &vm->later->vcpus[v];
	json_t *object = thread_of(vm, a ? &a->thread : NULL, &b->thread);

	put_count(object, "index", v);
	put_text(object, "state", axvcpu_state_name(b->state));
	put_count(object, "guest_node", b->guest_node);
	put_count(object, "remote_bytes", b->remote_bytes);
	put_count(object, "present_bytes", b->present_bytes);
	if (!a)
		return object;
	put_rate(object, "ipis", top_ipi_rate(vm, v));
	put_rate(object, "user_exits", top_rate(vm, a->own.exits, b->own.exits));
	put_rate(object, "kicks", top_rate(vm, a->own.kicks, b->own.kicks));
	put_rate(object, "injected", top_rate(vm, a->own.injected, b->own.injected));
	json_object_set_new(object, "user_exits_by_kind", kinds_of(vm, &a->own, &b->own));
	json_object_set_new(object, "kvm", kvm_of(vm, v));
	return object;
}

static json_t *io_of(const struct top_vm *vm, size_t i)
{
	const struct axvm_live_io *a = vm->earlier ? &vm->earlier->io[i] : NULL;
	const struct axvm_live_io *b = &vm->later->io[i];
	json_t *object = thread_of(vm, a ? &a->thread : NULL, &b->thread);

	put_count(object, "index", i);
	if (!a)
		return object;
	put_rate(object, "wakeups", top_rate(vm, a->loop.wakeups, b->loop.wakeups));
	put_rate(object, "syscalls", top_rate(vm, a->loop.syscalls, b->loop.syscalls));
	put_rate(object, "ops", top_rate(vm, a->loop.ops, b->loop.ops));
	return object;
}

static json_t *device_of(const struct top_vm *vm, size_t i)
{
	const struct axvirtio_stats *a = vm->earlier ? &vm->earlier->devices[i].stats : NULL;
	const struct axvirtio_stats *b = &vm->later->devices[i].stats;
	json_t *object = json_object();

	put_text(object, "name", vm->later->devices[i].name);
	if (!a)
		return object;
	put_rate(object, "kicks", top_rate(vm, a->kicks, b->kicks));
	put_rate(object, "requests", top_rate(vm, a->requests, b->requests));
	put_rate(object, "batches", top_rate(vm, a->batches, b->batches));
	put_rate(object, "bytes", top_rate(vm, a->bytes, b->bytes));
	put_rate(object, "errors", top_rate(vm, a->errors, b->errors));
	put_rate(object, "irqs", top_rate(vm, a->interrupts, b->interrupts));
	put_rate(object, "irqs_suppressed",
		 top_rate(vm, a->interrupts_suppressed, b->interrupts_suppressed));
	return object;
}

static json_t *memory_of(const struct axvm_live_memory *memory)
{
	json_t *object = json_object(), *nodes = json_object();

	put_count(object, "guest_node", memory->guest_node);
	put_count(object, "mapped_bytes", memory->placement.mapped_bytes);
	put_count(object, "looked_bytes", memory->placement.looked_bytes);
	put_count(object, "absent_bytes", memory->placement.absent_bytes);
	put_count(object, "astray_bytes", memory->placement.astray_bytes);
	for (unsigned n = 0; n < AXAS_PLACEMENT_NODES; n++) {
		char id[8];

		snprintf(id, sizeof(id), "%u", n);
		if (memory->placement.on_node[n])
			put_count(nodes, id, memory->placement.on_node[n]);
	}
	json_object_set_new(object, "on_node", nodes);
	return object;
}

static json_t *list_of(const struct top_vm *vm, size_t count,
		       json_t *(*make)(const struct top_vm *vm, size_t index))
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, make(vm, i));
	return array;
}

static json_t *vm_of(const struct top_vm *vm)
{
	const struct axvm_live *live = vm->later;
	json_t *object = json_object(), *memory = json_array();

	put_text(object, "name", live->name);
	put_count(object, "pid", (uint64_t)vm->found.pid);
	put_text(object, "arch", live->arch);
	put_text(object, "state", axvm_state_name(live->state, AXVM_NAMING_AXVM));
	put_rate(object, "runtime_s", (double)live->runtime_ns / 1e9);
	put_rate(object, "interval_s", top_seconds(vm));
	put_count(object, "memory_bytes", live->memory_bytes);
	put_rate(object, "cpu", top_cpu(vm));
	put_rate(object, "steal", top_steal(vm));
	put_rate(object, "exits", top_exits(vm));
	put_rate(object, "halts", top_halts(vm));
	json_object_set_new(object, "vcpus", list_of(vm, live->vcpu_count, vcpu_of));
	json_object_set_new(object, "io", list_of(vm, live->io_count, io_of));
	json_object_set_new(object, "devices", list_of(vm, live->device_count, device_of));
	for (size_t i = 0; i < live->memory_count; i++)
		json_array_append_new(memory, memory_of(&live->memory[i]));
	json_object_set_new(object, "memory", memory);
	return object;
}

int top_print_json(FILE *out, const struct top *top, struct ax_error *err)
{
	json_t *root = json_object(), *vms = json_array();
	char *text;

	for (size_t i = 0; i < top->count; i++)
		json_array_append_new(vms, vm_of(&top->vms[i]));
	json_object_set_new(root, "vms", vms);
	put_count(root, "closed", top->closed);
	put_count(root, "silent", top->silent);
	text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(root);
	if (!text)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a sample");
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}
