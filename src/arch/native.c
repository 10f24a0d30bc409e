/*
 * What the native halves of the architectures have in common, on top of the kvm layer's contract.
 * Which capabilities, counts and names there are is for each architecture's kvm_*.c.
 */
#include "native.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what this host's KVM can do ------------------------------------------------------------- */

int axarch_probe_kvm(const char *kvm_device, const struct axkvm_requirement *list, size_t count,
		     struct ax_error *err)
{
	struct axkvm *kvm = NULL;
	int ret = axkvm_open(kvm_device, &kvm, err);

	if (ret < 0)
		return ret;
	ret = axkvm_require(kvm, list, count, err);
	axkvm_close(kvm);
	return ret;
}

int axarch_ask_kvm(const char *kvm_device, long capability)
{
	struct axkvm *kvm = NULL;

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		return -1;
	int value = axkvm_check(kvm, capability);
	axkvm_close(kvm);
	return value;
}

void axarch_add_fact(struct axarch_fact_list *list, const char *name, bool required, int value,
		     const char *what)
{
	if (list->count < list->max)
		list->facts[list->count] = (struct axarch_fact){name, required, value, what};
	list->count++;
}

void axarch_add_capabilities(struct axarch_fact_list *list, const struct axkvm *kvm,
			     const struct axkvm_requirement *capabilities, size_t count,
			     bool required)
{
	for (size_t i = 0; i < count; i++)
		axarch_add_fact(list, capabilities[i].name, required,
				kvm ? axkvm_check(kvm, capabilities[i].capability) : 0,
				capabilities[i].why);
}

/* ---- a VM ------------------------------------------------------------------------------------ */

int axarch_check_vcpus(const struct axarch_vm_config *config, uint32_t max, struct ax_error *err)
{
	if (config->vcpu_count >= 1 && config->vcpu_count <= max)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			    "%u CPUs are asked for, 1 to %u are possible", config->vcpu_count, max);
}

int axarch_check_kvm_vcpus(const struct axarch_vm_config *config, int max, struct ax_error *err)
{
	if (!max || config->vcpu_count <= (uint32_t)max)
		return 0;
	int ret = ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			       "%u CPUs are asked for, this host's KVM runs up to %d in one VM",
			       config->vcpu_count, max);
	ax_error_hint(err, "ask for 1 to %d CPUs", max);
	return ret;
}

void axarch_copy_config(const struct axarch_vm_config *config, char *name, size_t size,
			struct axarch_vm_config *ret_copy)
{
	*ret_copy = *config;
	snprintf(name, size, "%s", config->name ? config->name : "vm");
	ret_copy->name = name;
	ret_copy->hardware_ids = NULL;
	ret_copy->topology = NULL;
	ret_copy->kvm_device = NULL; /* opened once */
}

int axarch_kvm_stat(struct axkvm_vcpu *vcpu, const struct axarch_stat *list, size_t count,
		    const char *name, uint64_t *ret_value)
{
	struct axarch_stat stat = {.theirs = {name}};
	uint64_t total = 0;
	int ret = vcpu ? 0 : -ENOENT;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, list[i].name))
			stat = list[i];
	for (size_t i = 0; ret == 0 && i < AX_ARRAY_LEN(stat.theirs) && stat.theirs[i]; i++) {
		uint64_t value = 0;

		ret = axkvm_vcpu_stat(vcpu, stat.theirs[i], &value);
		total += value;
	}
	if (ret == 0)
		*ret_value = total;
	return ret;
}

/* ---- a vCPU ---------------------------------------------------------------------------------- */

int axarch_check_new_vcpu(const struct axarch_vm_config *config, struct axkvm_vcpu *const *vcpus,
			  uint32_t index, struct ax_error *err)
{
	if (index < config->vcpu_count && !vcpus[index])
		return 0;
	return ax_error_set(err, AX_ERROR_VCPU_CREATION, EINVAL,
			    "vCPU %u of VM %s: there are %u, each is created once", index,
			    config->name, config->vcpu_count);
}

static struct axkvm_vcpu *vcpu_of(void *impl)
{
	struct axkvm_vcpu *const *first = impl;
	return *first;
}

void axarch_kvm_kick(void *impl)
{
	axkvm_vcpu_kick(vcpu_of(impl));
}

void axarch_kvm_clear_kick(void *impl)
{
	axkvm_vcpu_clear_kick(vcpu_of(impl));
}

int axarch_kvm_complete(void *impl, struct ax_error *err)
{
	return axkvm_vcpu_complete(vcpu_of(impl), err);
}

bool axarch_kvm_halted(void *impl)
{
	return axkvm_vcpu_halted(vcpu_of(impl));
}

int axarch_kvm_online(void *impl, bool *ret_online, struct ax_error *err)
{
	return axkvm_vcpu_online(vcpu_of(impl), ret_online, err);
}

/* ---- text ------------------------------------------------------------------------------------ */

void axarch_put(struct axarch_text *text, const char *fmt, ...)
{
	if (text->used >= text->size)
		return;
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text->buf + text->used, text->size - text->used, fmt, args);
	va_end(args);
	if (n > 0)
		text->used += (size_t)n;
}
