/*
 * Faults on demand: which call of which hook is to fail, and with what error. Counting calls is
 * thread-safe; the hooks themselves do nothing before they have asked here.
 */
#include "generic_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum ax_error_kind kind;
} hooks[GENERIC_HOOK_COUNT] = {
	[GENERIC_HOOK_PROBE] = {"probe", AX_ERROR_KVM_ABSENT},
	[GENERIC_HOOK_PLAN] = {"plan", AX_ERROR_CONFIGURATION},
	[GENERIC_HOOK_VM_CREATE] = {"vm_create", AX_ERROR_VM_CREATION},
	[GENERIC_HOOK_MAP] = {"map", AX_ERROR_MEMORY_SETUP},
	[GENERIC_HOOK_UNMAP] = {"unmap", AX_ERROR_MEMORY_SETUP},
	[GENERIC_HOOK_SET_LEVEL] = {"set_level", AX_ERROR_IRQ_INJECTION},
	[GENERIC_HOOK_ASSIGN_FD] = {"assign_fd", AX_ERROR_DEVICE},
	[GENERIC_HOOK_RELEASE_FD] = {"release_fd", AX_ERROR_DEVICE},
	[GENERIC_HOOK_SET_MSI] = {"set_msi", AX_ERROR_DEVICE},
	[GENERIC_HOOK_ASSIGN_DOORBELL] = {"assign_doorbell", AX_ERROR_DEVICE},
	[GENERIC_HOOK_RELEASE_DOORBELL] = {"release_doorbell", AX_ERROR_DEVICE},
	[GENERIC_HOOK_PLATFORM_ATTACH] = {"platform_attach", AX_ERROR_DEVICE},
	[GENERIC_HOOK_VCPU_CREATE] = {"vcpu_create", AX_ERROR_VCPU_CREATION},
	[GENERIC_HOOK_LOAD] = {"load", AX_ERROR_BOOT_IMAGE},
	[GENERIC_HOOK_VCPU_STAT] = {"vcpu_stat", AX_ERROR_NOT_FOUND},
	[GENERIC_HOOK_SELFTEST] = {"selftest", AX_ERROR_INTERNAL},
	[GENERIC_HOOK_SETUP] = {"setup", AX_ERROR_BOOT_STATE},
	[GENERIC_HOOK_BIND] = {"bind", AX_ERROR_THREAD},
	[GENERIC_HOOK_UNBIND] = {"unbind", AX_ERROR_THREAD},
	[GENERIC_HOOK_RUN] = {"run", AX_ERROR_VCPU_RUNTIME},
	[GENERIC_HOOK_COMPLETE] = {"complete", AX_ERROR_VCPU_RUNTIME},
	[GENERIC_HOOK_INJECT] = {"inject", AX_ERROR_IRQ_INJECTION},
	[GENERIC_HOOK_SET_ENTRY] = {"set_entry", AX_ERROR_REGISTER_ACCESS},
	[GENERIC_HOOK_SET_GPR] = {"set_gpr", AX_ERROR_REGISTER_ACCESS},
	[GENERIC_HOOK_GET_GPR] = {"get_gpr", AX_ERROR_REGISTER_ACCESS},
	[GENERIC_HOOK_SET_RETURN_VALUE] = {"set_return_value", AX_ERROR_REGISTER_ACCESS},
};

const char *generic_hook_name(enum generic_hook hook)
{
	return (unsigned)hook < GENERIC_HOOK_COUNT ? hooks[hook].name : "unknown";
}

void generic_faults_init(struct generic_faults *faults)
{
	memset(faults, 0, sizeof(*faults));
	pthread_mutex_init(&faults->lock, NULL);
}

void generic_faults_finish(struct generic_faults *faults)
{
	pthread_mutex_destroy(&faults->lock);
}

static int bad_spec(const char *spec, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "no fault of the generic machine: \"%s\"",
		     spec);
	return ax_error_hint(err, "write " GENERIC_FAULT_PREFIX
				  "HOOK[@N][=KIND][,...], such as " GENERIC_FAULT_PREFIX
				  "vcpu_create@2=NoMemory");
}

/* "vcpu_create@2=NoMemory" of `len` bytes. */
static int parse_fault(struct generic_faults *faults, const char *spec, size_t len,
		       struct ax_error *err)
{
	char text[96];

	if (len >= sizeof(text))
		return bad_spec(spec, err);
	memcpy(text, spec, len);
	text[len] = '\0';

	char *kind_name = strchr(text, '=');
	if (kind_name)
		*kind_name++ = '\0';
	unsigned long nth = 1;
	char *number = strchr(text, '@');
	if (number) {
		char *end;
		*number++ = '\0';
		nth = strtoul(number, &end, 10);
		if (*end || !nth || nth > UINT32_MAX)
			return bad_spec(spec, err);
	}

	int hook = 0;
	while (hook < GENERIC_HOOK_COUNT && strcmp(hooks[hook].name, text) != 0)
		hook++;
	if (hook == GENERIC_HOOK_COUNT)
		return bad_spec(spec, err);
	int kind = hooks[hook].kind;
	if (kind_name) {
		kind = AX_ERROR_NONE + 1;
		while (kind < AX_ERROR_KIND_COUNT &&
		       strcmp(ax_error_kind_name(kind), kind_name) != 0)
			kind++;
		if (kind == AX_ERROR_KIND_COUNT)
			return bad_spec(spec, err);
	}
	faults->fault[hook] = (struct generic_fault){(uint32_t)nth, kind};
	return 0;
}

int generic_faults_parse(struct generic_faults *faults, const char *kvm_device,
			 struct ax_error *err)
{
	const size_t prefix = strlen(GENERIC_FAULT_PREFIX);

	/* Any other device name is for machines that have one. */
	if (!kvm_device || strncmp(kvm_device, GENERIC_FAULT_PREFIX, prefix) != 0)
		return 0;
	const char *spec = kvm_device + prefix;
	while (*spec) {
		size_t len = strcspn(spec, ",");
		int rc = parse_fault(faults, spec, len, err);
		if (rc < 0)
			return rc;
		spec += len + (spec[len] == ',');
	}
	return 0;
}

int generic_faults_strike(struct generic_faults *faults, enum generic_hook hook,
			  struct ax_error *err)
{
	uint32_t call = atomic_fetch_add(&faults->calls[hook], 1) + 1;

	pthread_mutex_lock(&faults->lock);
	struct generic_fault fault = faults->fault[hook];
	pthread_mutex_unlock(&faults->lock);
	if (!fault.nth || fault.nth != call)
		return 0;
	return ax_error_set(err, fault.kind, EIO, "generic: %s fails on call %u, as it was told to",
			    hooks[hook].name, call);
}

int generic_faults_strike_once(const char *kvm_device, enum generic_hook hook, struct ax_error *err)
{
	struct generic_faults faults;

	generic_faults_init(&faults);
	int rc = generic_faults_parse(&faults, kvm_device, err);
	if (rc == 0)
		rc = generic_faults_strike(&faults, hook, err);
	generic_faults_finish(&faults);
	return rc;
}

void generic_vm_set_fault(struct axarch_vm *vm, enum generic_hook hook, uint32_t nth,
			  enum ax_error_kind kind)
{
	struct generic_faults *faults = &vm->faults;

	pthread_mutex_lock(&faults->lock);
	uint32_t so_far = atomic_load(&faults->calls[hook]);
	faults->fault[hook].nth = nth ? so_far + nth : 0;
	faults->fault[hook].kind = kind ? kind : hooks[hook].kind;
	pthread_mutex_unlock(&faults->lock);
}

uint32_t generic_vm_calls(struct axarch_vm *vm, enum generic_hook hook)
{
	return atomic_load(&vm->faults.calls[hook]);
}
