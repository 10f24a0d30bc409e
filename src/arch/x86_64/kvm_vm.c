/*
 * One x86 VM on KVM: its descriptor, interrupt controllers and timers, how the common parts reach
 * it, and the table by which everything above knows this architecture. vCPUs are kvm_vcpu.c's,
 * devices platform.c's, images and tables the model files'.
 */
#include "kvm_x86.h"
#include "../boot.h"

#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int x86_vm_ioctl(struct axarch_vm *vm, unsigned long request, void *arg, const char *what,
		 struct ax_error *err)
{
	if (ioctl(axkvm_vm_fd(vm->vm), request, arg) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_VM_CREATION, errno, "%s: %s", what, strerror(errno));
}

static bool x86_ident(void)
{
	return true; /* these files are built for x86_64 only */
}

/* ---- creation -------------------------------------------------------------------------------- */

/* Before any vCPU: Intel KVM puts its real-mode helpers where neither RAM nor devices are. */
static int place_helpers(struct axarch_vm *vm, struct ax_error *err)
{
	uint64_t identity_map = X86_IDENTITY_MAP_GPA;
	int ret = x86_vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map,
			       "KVM_SET_IDENTITY_MAP_ADDR", err);
	if (ret < 0)
		return ret;
	if (ioctl(axkvm_vm_fd(vm->vm), KVM_SET_TSS_ADDR, (unsigned long)X86_TSS_GPA) < 0)
		return ax_error_set(err, AX_ERROR_VM_CREATION, errno, "KVM_SET_TSS_ADDR: %s",
				    strerror(errno));
	return 0;
}

/* KVM takes the vCPU with id 0 for the bootstrap processor unless told before it is made. */
static int name_bootstrap_cpu(struct axarch_vm *vm, struct ax_error *err)
{
	unsigned long id = vm->apic_ids[0];

	if (!id || ioctl(axkvm_vm_fd(vm->vm), KVM_SET_BOOT_CPU_ID, id) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_VM_CREATION, errno, "KVM_SET_BOOT_CPU_ID %lu: %s", id,
			    strerror(errno));
}

static int check_counts(struct axarch_vm *vm, struct ax_error *err)
{
	int max_ids = axkvm_check(vm->kvm, KVM_CAP_MAX_VCPU_ID);
	int ret = axarch_check_kvm_vcpus(&vm->config, axkvm_check(vm->kvm, KVM_CAP_MAX_VCPUS), err);

	if (ret == 0 && max_ids && vm->max_apic_id >= (uint32_t)max_ids) {
		ret = ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				   "APIC id %u is asked for, this host's KVM takes ids below %d",
				   vm->max_apic_id, max_ids);
		ax_error_hint(err, "choose smaller hardware ids");
	}
	return ret;
}

/* The model's plan, within what this host's CPUs can address (CPUID 0x80000008). */
static int plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		struct ax_error *err)
{
	unsigned eax = 0, ebx, ecx, edx;
	struct axarch_plan narrowed;
	int ret = x86_plan(config, &narrowed, err);

	__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx);
	if (ret == 0)
		ret = x86_plan_narrow(&narrowed, eax & 0xff, err);
	if (ret == 0)
		*ret_plan = narrowed;
	return ret;
}

static int copy_config(struct axarch_vm *vm, const struct axarch_vm_config *config,
		       struct ax_error *err)
{
	axarch_copy_config(config, vm->name, sizeof(vm->name), &vm->config);
	vm->apic_ids = calloc(config->vcpu_count, sizeof(*vm->apic_ids));
	vm->vcpus = calloc(config->vcpu_count, sizeof(struct axkvm_vcpu *));
	if (!vm->apic_ids || !vm->vcpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u vCPUs",
				    config->vcpu_count);
	int ret = x86_apic_ids(config, vm->apic_ids, err);
	if (ret == 0)
		ret = axarch_copy_topology(config, &vm->topology, err);
	vm->config.topology = vm->topology;
	if (ret == 0 && !config->hardware_ids)
		x86_policy_of(config, &vm->config.cpu);
	for (uint32_t i = 0; ret == 0 && i < config->vcpu_count; i++)
		if (vm->apic_ids[i] > vm->max_apic_id)
			vm->max_apic_id = vm->apic_ids[i];
	vm->config.hardware_ids = vm->apic_ids;
	return ret;
}

static void x86_vm_destroy(struct axarch_vm *vm)
{
	if (!vm)
		return;
	axkvm_vm_destroy(vm->vm);
	x86_ioapic_destroy(vm->ioapic);
	axkvm_close(vm->kvm);
	free(vm->cpuid);
	free(vm->vcpus);
	free(vm->topology);
	free(vm->apic_ids);
	free(vm);
}

static int x86_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
			 struct axarch_vm **ret_vm, struct ax_error *err)
{
	int ret = axarch_check_vcpus(config, X86_MAX_VCPUS, err);
	if (ret < 0)
		return ret;
	struct axarch_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a VM");
	ret = copy_config(vm, config, err);
	if (ret < 0)
		goto fail;
	vm->plan = *plan;

	ret = axkvm_open(config->kvm_device, &vm->kvm, err);
	if (ret == 0)
		ret = x86_require(vm->kvm, err);
	if (ret == 0)
		ret = check_counts(vm, err);
	if (ret == 0)
		ret = x86_read_supported_cpuid(vm, err);
	if (ret == 0)
		ret = axkvm_vm_create(vm->kvm, 0, &vm->vm, err);
	if (ret == 0)
		ret = place_helpers(vm, err);
	if (ret == 0)
		ret = name_bootstrap_cpu(vm, err);
	if (ret == 0)
		x86_vm_let_wait(vm);
	if (ret == 0 && config->irq_mode == AXARCH_IRQ_EMULATED)
		ret = x86_vm_create_irqchip(vm, err);
	if (ret < 0)
		goto fail;
	*ret_vm = vm;
	return 0;
fail:
	x86_vm_destroy(vm);
	return ret;
}

/* ---- how the common parts reach it ----------------------------------------------------------- */

static void x86_vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper)
{
	axkvm_vm_mapper(vm->vm, ret_mapper);
}

static int doorbell(struct axarch_vm *vm, const struct axdev_doorbell *bell, bool assign,
		    struct ax_error *err)
{
	if (bell->space == AXDEV_SYSREG)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "a doorbell cannot be a system register (0x%" PRIx64 ")",
				    bell->addr);
	return axkvm_vm_ioeventfd(vm->vm, bell->space == AXDEV_PORT, bell->addr, bell->width,
				  bell->has_match, bell->match, bell->event_fd, assign, err);
}

static int x86_assign_doorbell(void *vm, const struct axdev_doorbell *bell, struct ax_error *err)
{
	return doorbell(vm, bell, true, err);
}

static int x86_release_doorbell(void *vm, const struct axdev_doorbell *bell)
{
	return doorbell(vm, bell, false, NULL);
}

static int x86_vm_load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		       const struct axarch_machine *machine, struct ax_error *err)
{
	const struct x86_boot_info info = {
		.config = &vm->config,
		.plan = &vm->plan,
		.boot = boot,
		.machine = machine,
		.apic_ids = vm->apic_ids,
		.has_pic = !vm->ioapic,
	};
	vm->memory = memory;
	return x86_load(memory, &info, &vm->start, err);
}

static int x86_vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name, uint64_t *ret_value)
{
	static const struct axarch_stat list[] = {
		{"fault_exits", {"pf_taken", NULL}},
		{"irq_window_exits", {"irq_window_exits", "nmi_window_exits"}},
	};

	return axarch_kvm_stat(vm->vcpus[vcpu], list, AX_ARRAY_LEN(list), name, ret_value);
}

const struct axarch axarch_x86_64 = {
	.name = "x86_64",
	/* Every probe of a device that is not there costs exits: one UART or none, no PCI. */
	.cmdline_silent = "8250.nr_uarts=0 panic=-1",
	.cmdline_serial = "console=ttyS0 8250.nr_uarts=1 panic=-1",
	.cmdline_no_pci = "pci=off",
	.ident = x86_ident,
	.probe = x86_probe,
	.facts = x86_facts,
	.plan = plan,
	.vm_create = x86_vm_create,
	.vm_destroy = x86_vm_destroy,
	.vm_mapper = x86_vm_mapper,
	.vm_irq_chip = x86_vm_irq_chip,
	.assign_doorbell = x86_assign_doorbell,
	.release_doorbell = x86_release_doorbell,
	.platform_attach = x86_platform_attach,
	.vcpu_create = x86_vcpu_create,
	.load = x86_vm_load,
	.vcpu_stat = x86_vcpu_stat,
	.selftest = x86_selftest,
};
