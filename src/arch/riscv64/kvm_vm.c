/*
 * One riscv64 VM on KVM: its descriptor, how the common parts reach it, and the table by which
 * everything above knows this architecture. Interrupts are kvm_irq.c's, vCPUs kvm_vcpu.c's,
 * devices platform.c's, images and device tree the model files'.
 */
#include "kvm_riscv64.h"
#include "../boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool rv64_ident(void)
{
	return true; /* these files are built for riscv64 only */
}

/* ---- creation -------------------------------------------------------------------------------- */

/* The model's plan, within the addresses this host's KVM gives a guest. A KVM that cannot be opened
 * is for probe to tell of. */
static int plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		struct ax_error *err)
{
	struct axarch_plan narrowed;
	int ret = rv64_plan(config, &narrowed, err);
	int bits = ret == 0 ? axarch_ask_kvm(config->kvm_device, KVM_CAP_VM_GPA_BITS) : -1;

	if (bits >= 0)
		ret = rv64_plan_narrow(&narrowed, (unsigned)bits, err);
	if (ret == 0)
		*ret_plan = narrowed;
	return ret;
}

static int check_counts(struct axarch_vm *vm, struct ax_error *err)
{
	const int max_ids = axkvm_check(vm->kvm, KVM_CAP_MAX_VCPU_ID);
	int ret = axarch_check_kvm_vcpus(&vm->config, axkvm_check(vm->kvm, KVM_CAP_MAX_VCPUS), err);

	for (uint32_t i = 0; ret == 0 && max_ids && i < vm->config.vcpu_count; i++) {
		if (vm->hart_ids[i] < (uint32_t)max_ids)
			continue;
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "hart id %u is asked for, this host's KVM takes ids below %d",
			     vm->hart_ids[i], max_ids);
		ret = ax_error_hint(err, "choose smaller hardware ids");
	}
	return ret;
}

static int copy_config(struct axarch_vm *vm, const struct axarch_vm_config *config,
		       struct ax_error *err)
{
	axarch_copy_config(config, vm->name, sizeof(vm->name), &vm->config);
	vm->hart_ids = calloc(config->vcpu_count, sizeof(*vm->hart_ids));
	vm->vcpus = calloc(config->vcpu_count, sizeof(struct axkvm_vcpu *));
	if (!vm->hart_ids || !vm->vcpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u vCPUs",
				    config->vcpu_count);
	for (uint32_t i = 0; i < config->vcpu_count; i++)
		vm->hart_ids[i] = rv64_hart_id(config, i);
	vm->config.hardware_ids = vm->hart_ids;
	int ret = axarch_copy_topology(config, &vm->topology, err);
	vm->config.topology = vm->topology;
	return ret;
}

static void rv64_vm_destroy(struct axarch_vm *vm)
{
	if (!vm)
		return;
	rv64_irqchip_destroy(vm);
	axkvm_vm_destroy(vm->vm);
	axkvm_close(vm->kvm);
	free(vm->vcpus);
	free(vm->topology);
	free(vm->hart_ids);
	free(vm);
}

static int rv64_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
			  struct axarch_vm **ret_vm, struct ax_error *err)
{
	int ret = axarch_check_vcpus(config, RV64_MAX_VCPUS, err);
	if (ret < 0)
		return ret;
	struct axarch_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a VM");
	vm->aia_fd = -1;
	vm->plan = *plan;
	ret = copy_config(vm, config, err);

	if (ret == 0)
		ret = axkvm_open(config->kvm_device, &vm->kvm, err);
	if (ret == 0)
		ret = rv64_require(vm->kvm, err);
	if (ret == 0)
		ret = check_counts(vm, err);
	if (ret == 0)
		ret = axkvm_vm_create(vm->kvm, 0, &vm->vm, err);
	if (ret == 0 && config->irq_mode == AXARCH_IRQ_EMULATED)
		ret = rv64_irqchip_create(vm, err);
	if (ret < 0) {
		rv64_vm_destroy(vm);
		return ret;
	}
	*ret_vm = vm;
	return 0;
}

/* ---- how the common parts reach it ----------------------------------------------------------- */

static void rv64_vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper)
{
	axkvm_vm_mapper(vm->vm, ret_mapper);
}

static int doorbell(struct axarch_vm *vm, const struct axdev_doorbell *bell, bool assign,
		    struct ax_error *err)
{
	if (bell->space != AXDEV_MMIO)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "a doorbell at 0x%" PRIx64 " of no memory: riscv64 has neither "
				    "ports nor doorbells among its CSRs",
				    bell->addr);
	return axkvm_vm_ioeventfd(vm->vm, false, bell->addr, bell->width, bell->has_match,
				  bell->match, bell->event_fd, assign, err);
}

static int rv64_assign_doorbell(void *vm, const struct axdev_doorbell *bell, struct ax_error *err)
{
	return doorbell(vm, bell, true, err);
}

static int rv64_release_doorbell(void *vm, const struct axdev_doorbell *bell)
{
	return doorbell(vm, bell, false, NULL);
}

static int rv64_vm_load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
			const struct axarch_machine *machine, struct ax_error *err)
{
	uint8_t seed[RV64_SEED_BYTES];
	const struct rv64_boot_info info = {
		.config = &vm->config,
		.plan = &vm->plan,
		.boot = boot,
		.machine = machine,
		.hart = &vm->hart,
		.irqchip = vm->irqchip,
		.aia_ids = vm->aia_ids,
		.seed = getrandom(seed, sizeof(seed), 0) == sizeof(seed) ? seed : NULL,
		.seed_bytes = sizeof(seed),
	};

	vm->memory = memory;
	int ret = rv64_load(memory, &info, &vm->start, err);
	explicit_bzero(seed, sizeof(seed));
	/* The vCPUs are all there, and none has run. */
	return ret < 0 ? ret : rv64_irqchip_finish(vm, err);
}

static int rv64_vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name,
			  uint64_t *ret_value)
{
	static const struct axarch_stat list[] = {
		{"mmio_exits", {"mmio_exit_user", "mmio_exit_kernel"}},
		{"halt_exits", {"wfi_exit_stat", NULL}},
		{"hypercalls", {"ecall_exit_stat", NULL}},
		{"sysreg_exits", {"csr_exit_user", "csr_exit_kernel"}},
		{"yield_exits", {"wrs_exit_stat", NULL}},
	};

	return axarch_kvm_stat(vm->vcpus[vcpu], list, AX_ARRAY_LEN(list), name, ret_value);
}

const struct axarch axarch_riscv64 = {
	.name = "riscv64",
	/* Named, because a kernel with a driver for the SBI's console would take that first. */
	.cmdline_silent = "panic=-1",
	.cmdline_serial = "console=ttyS0 panic=-1",
	.cmdline_no_pci = "",
	.ident = rv64_ident,
	.probe = rv64_probe,
	.facts = rv64_facts,
	.plan = plan,
	.vm_create = rv64_vm_create,
	.vm_destroy = rv64_vm_destroy,
	.vm_mapper = rv64_vm_mapper,
	.vm_irq_chip = rv64_vm_irq_chip,
	.assign_doorbell = rv64_assign_doorbell,
	.release_doorbell = rv64_release_doorbell,
	.platform_attach = rv64_platform_attach,
	.vcpu_create = rv64_vcpu_create,
	.load = rv64_vm_load,
	.vcpu_stat = rv64_vcpu_stat,
	.selftest = rv64_selftest,
};
