/*
 * A look at a VM from the line that its process wrote, or that somebody else did who has a socket
 * there: sizes and types are checked, texts are made printable, and what is missing is unknown.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(struct ax_error *err, const char *key, const char *what)
{
	ax_error_set(err, AX_ERROR_IO, EBADMSG, "the VM's answer is none: %s: %s", key, what);
	return ax_error_hint(err, "is it another version of axvm, or no axvm at all?");
}

/* Printable ASCII, so that no terminal is told anything. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; i + 1 < size && from[i]; i++)
		to[i] = (char)(from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?');
	to[i] = '\0';
}

static int take_number(const struct axapi_key *key, char *at, json_int_t value,
		       struct ax_error *err)
{
	const uint32_t small = (uint32_t)value;
	const uint64_t count = (uint64_t)value;
	const int32_t id = (int32_t)value;

	switch (key->type) {
	case AXAPI_COUNT:
	case AXAPI_KNOWN:
		memcpy(at, &count, sizeof(count));
		return 0;
	case AXAPI_NODE:
	case AXAPI_SMALL:
		if (value >= UINT32_MAX)
			return wrong(err, key->key, "a number that is too large");
		memcpy(at, &small, sizeof(small));
		return 0;
	default:
		if (value > INT32_MAX)
			return wrong(err, key->key, "a number that is too large");
		memcpy(at, &id, sizeof(id));
		return 0;
	}
}

static int take_value(const struct axapi_key *key, char *at, const json_t *value,
		      struct ax_error *err)
{
	if (key->type == AXAPI_TEXT) {
		if (!json_is_string(value))
			return wrong(err, key->key, "no text");
		copy_text(at, key->size, json_string_value(value));
		return 0;
	}
	if (key->type == AXAPI_FLAG) {
		if (!json_is_boolean(value))
			return wrong(err, key->key, "neither true nor false");
		*(bool *)(void *)at = json_is_true(value);
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return wrong(err, key->key, "no number from 0 on");
	return take_number(key, at, json_integer_value(value), err);
}

/* What stands for a key that is not there, where that is not 0. */
static void leave_out(const struct axapi_key *key, char *at)
{
	if (key->type == AXAPI_KNOWN || key->type == AXAPI_NODE ||
	    (key->type == AXAPI_ID && !strcmp(key->key, "cpu")))
		memset(at, 0xff, key->size);
}

static int take(const json_t *object, const char *name, const struct axapi_key *keys, void *of,
		struct ax_error *err)
{
	int rc = 0;

	if (!json_is_object(object))
		return wrong(err, name, "no object");
	for (; !rc && keys->key; keys++) {
		const json_t *value = json_object_get(object, keys->key);
		char *at = (char *)of + keys->offset;

		if (value)
			rc = take_value(keys, at, value, err);
		else
			leave_out(keys, at);
	}
	return rc;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int take_kinds(const json_t *kinds, struct axvcpu_stats *own, struct ax_error *err)
{
	if (!kinds)
		return 0;
	if (!json_is_object(kinds))
		return wrong(err, "by_kind", "no object");
	for (int k = 0; k < AXVCPU_EXIT_KIND_COUNT; k++) {
		const char *name = axvcpu_exit_name((enum axvcpu_exit_kind)k);
		const json_t *value = json_object_get(kinds, name);

		if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
			return wrong(err, name, "no number from 0 on");
		own->by_kind[k] = value ? (uint64_t)json_integer_value(value) : 0;
	}
	return 0;
}

static enum axvcpu_state vcpu_state(const char *name)
{
	for (int s = 0; name && s < AXVCPU_STATE_COUNT; s++)
		if (!strcmp(name, axvcpu_state_name((enum axvcpu_state)s)))
			return (enum axvcpu_state)s;
	return AXVCPU_INVALID;
}

static int take_vcpu(const json_t *object, void *of, struct ax_error *err)
{
	struct axvm_live_vcpu *vcpu = of;
	const json_t *own = json_object_get(object, "own");
	int rc = take(object, "vcpus", axapi_thread_keys, &vcpu->thread, err);

	if (!rc)
		rc = take(object, "vcpus", axapi_vcpu_keys, vcpu, err);
	if (!rc)
		rc = take(own, "own", axapi_own_keys, &vcpu->own, err);
	if (!rc)
		rc = take_kinds(json_object_get(own, "by_kind"), &vcpu->own, err);
	if (!rc)
		rc = take(json_object_get(object, "kvm"), "kvm", axapi_kvm_keys, &vcpu->kvm, err);
	vcpu->state = vcpu_state(json_string_value(json_object_get(object, "state")));
	return rc;
}

static int take_io(const json_t *object, void *of, struct ax_error *err)
{
	struct axvm_live_io *io = of;
	int rc = take(object, "io", axapi_thread_keys, &io->thread, err);

	return rc ? rc : take(object, "io", axapi_io_keys, io, err);
}

static int take_device(const json_t *object, void *of, struct ax_error *err)
{
	return take(object, "devices", axapi_device_keys, of, err);
}

static int take_memory(const json_t *object, void *of, struct ax_error *err)
{
	struct axvm_live_memory *memory = of;
	const json_t *nodes = json_object_get(object, "on_node");
	int rc = take(object, "memory", axapi_memory_keys, memory, err);

	for (unsigned n = 0; !rc && n < AXAS_PLACEMENT_NODES; n++) {
		const json_t *value;
		char id[8];

		snprintf(id, sizeof(id), "%u", n);
		value = json_object_get(nodes, id);
		if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
			rc = wrong(err, "on_node", "no number from 0 on");
		else if (value)
			memory->placement.on_node[n] = (uint64_t)json_integer_value(value);
	}
	return rc;
}

/* Of at most `room` things; each of `size` bytes from `of` on. */
static int take_all(const json_t *array, const char *name, size_t room, void *of, size_t size,
		    int (*take_one)(const json_t *object, void *of, struct ax_error *err),
		    size_t *ret_count, struct ax_error *err)
{
	const size_t count = json_array_size(array);
	int rc = 0;

	if (!json_is_array(array))
		return wrong(err, name, "no list");
	if (count > room)
		return wrong(err, name, "a list that is too long");
	for (size_t i = 0; !rc && i < count; i++)
		rc = take_one(json_array_get(array, i), (char *)of + i * size, err);
	*ret_count = count;
	return rc;
}

static enum axvm_state vm_state(const char *name)
{
	for (int s = 0; name && s < AXVM_STATE_COUNT; s++)
		if (!strcmp(name, axvm_state_name((enum axvm_state)s, AXVM_NAMING_AXVM)))
			return (enum axvm_state)s;
	return AXVM_FAILED;
}

/* For as many as there may be at most, whatever the other side says. */
static void *make_room(const json_t *array, size_t most, size_t size)
{
	const size_t count = json_array_size(array);

	return calloc((count < most ? count : most) + 1, size);
}

static int take_live(const json_t *stats, struct axvm_live *live, struct ax_error *err)
{
	const json_t *vcpus = json_object_get(stats, "vcpus"), *io = json_object_get(stats, "io");
	int rc = take(stats, "stats", axapi_vm_keys, live, err);

	live->state = vm_state(json_string_value(json_object_get(stats, "state")));
	live->vcpus = make_room(vcpus, AXVM_LIVE_MAX_VCPUS, sizeof(*live->vcpus));
	live->io = make_room(io, AXCFG_MAX_IO, sizeof(*live->io));
	if (!rc && (!live->vcpus || !live->io))
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an answer");
	if (!rc)
		rc = take_all(vcpus, "vcpus", AXVM_LIVE_MAX_VCPUS, live->vcpus,
			      sizeof(*live->vcpus), take_vcpu, &live->vcpu_count, err);
	if (!rc)
		rc = take_all(io, "io", AXCFG_MAX_IO, live->io, sizeof(*live->io), take_io,
			      &live->io_count, err);
	if (!rc)
		rc = take_all(json_object_get(stats, "devices"), "devices",
			      AX_ARRAY_LEN(live->devices), live->devices, sizeof(live->devices[0]),
			      take_device, &live->device_count, err);
	if (!rc)
		rc = take_all(json_object_get(stats, "memory"), "memory",
			      AX_ARRAY_LEN(live->memory), live->memory, sizeof(live->memory[0]),
			      take_memory, &live->memory_count, err);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The other side's own words, made printable. */
static int pass_on(const json_t *error, struct ax_error *err)
{
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	char text[256];

	copy_text(text, sizeof(text), message ? message : "it does not say why");
	ax_error_set(err, AX_ERROR_IO, EBADMSG, "the VM refuses: %s", text);
	if (hint) {
		copy_text(text, sizeof(text), hint);
		ax_error_hint(err, "%s", text);
	}
	return -EBADMSG;
}

int axapi_stats_from_text(const char *text, size_t length, struct axvm_live **ret_live,
			  struct ax_error *err)
{
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	struct axvm_live *live;
	int rc;

	if (!json_is_object(root)) {
		json_decref(root);
		return wrong(err, "stats", "no JSON object");
	}
	if (json_object_get(root, "error")) {
		rc = pass_on(json_object_get(root, "error"), err);
		json_decref(root);
		return rc;
	}
	live = calloc(1, sizeof(*live));
	rc = live ? take_live(json_object_get(root, "stats"), live, err)
		  : ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an answer");
	json_decref(root);
	if (rc) {
		axvm_live_free(live);
		return rc;
	}
	*ret_live = live;
	return 0;
}
