/*
 * One aarch64 VM on KVM: its descriptor, how the common parts reach it, and the table by which
 * everything above knows this architecture. The GIC is kvm_gic.c's, vCPUs are kvm_vcpu.c's, devices
 * platform.c's, images and device tree the model files'.
 */
#include "kvm_aarch64.h"
#include "../boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

int a64_set_attr(int fd, uint32_t group, uint64_t attr, const void *value, const char *what,
		 struct ax_error *err)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	if (ioctl(fd, KVM_SET_DEVICE_ATTR, &request) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_VM_CREATION, errno, "%s: %s", what, strerror(errno));
}

static bool a64_ident(void)
{
	return true; /* these files are built for aarch64 only */
}

/* ---- creation -------------------------------------------------------------------------------- */

/* The model's plan, within the addresses this host's KVM gives a guest. A KVM that cannot be opened
 * is for probe to tell of. */
static int plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		struct ax_error *err)
{
	struct axarch_plan narrowed;
	int ret = a64_plan(config, &narrowed, err);
	int bits = ret == 0 ? axarch_ask_kvm(config->kvm_device, KVM_CAP_ARM_VM_IPA_SIZE) : -1;

	if (bits >= 0)
		ret = a64_plan_narrow(&narrowed, (unsigned)bits, err);
	if (ret == 0)
		*ret_plan = narrowed;
	return ret;
}

/* The type of an aarch64 VM is its number of address bits; 0 means 40, all there was once. */
static int create_vm(struct axarch_vm *vm, struct ax_error *err)
{
	unsigned bits = 0;

	while (1ULL << bits < vm->plan.gpa_limit)
		bits++;
	return axkvm_vm_create(vm->kvm, axkvm_check(vm->kvm, KVM_CAP_ARM_VM_IPA_SIZE) ? bits : 0,
			       &vm->vm, err);
}

/* An access KVM cannot decode then comes out with its address; KVM_RUN fails otherwise. */
static void report_undecoded(struct axarch_vm *vm)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_ARM_NISV_TO_USER};

	if (axkvm_check(vm->kvm, KVM_CAP_ARM_NISV_TO_USER) > 0 &&
	    ioctl(axkvm_vm_fd(vm->vm), KVM_ENABLE_CAP, &cap) < 0)
		ax_log(AX_LOG_WARN, "aarch64", "KVM_CAP_ARM_NISV_TO_USER: %s", strerror(errno));
}

/* Hardware ids are KVM's own, as the plan has seen. */
static int copy_config(struct axarch_vm *vm, const struct axarch_vm_config *config,
		       struct ax_error *err)
{
	axarch_copy_config(config, vm->name, sizeof(vm->name), &vm->config);
	vm->vcpus = calloc(config->vcpu_count, sizeof(struct axkvm_vcpu *));
	if (!vm->vcpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u vCPUs",
				    config->vcpu_count);
	int ret = axarch_copy_topology(config, &vm->topology, err);
	vm->config.topology = vm->topology;
	return ret;
}

static void a64_vm_destroy(struct axarch_vm *vm)
{
	if (!vm)
		return;
	if (vm->gic_fd >= 0)
		close(vm->gic_fd);
	axkvm_vm_destroy(vm->vm);
	axkvm_close(vm->kvm);
	pthread_mutex_destroy(&vm->lock);
	free(vm->vcpus);
	free(vm->topology);
	free(vm);
}

static int a64_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
			 struct axarch_vm **ret_vm, struct ax_error *err)
{
	int ret = axarch_check_vcpus(config, A64_MAX_VCPUS, err);
	if (ret < 0)
		return ret;
	struct axarch_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a VM");
	vm->gic_fd = -1;
	for (size_t i = 0; i < AX_ARRAY_LEN(vm->waiting); i++)
		vm->waiting[i].event_fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	vm->plan = *plan;
	ret = copy_config(vm, config, err);

	if (ret == 0)
		ret = axkvm_open(config->kvm_device, &vm->kvm, err);
	if (ret == 0)
		ret = a64_require(vm->kvm, err);
	if (ret == 0)
		ret = axarch_check_kvm_vcpus(config, axkvm_check(vm->kvm, KVM_CAP_MAX_VCPUS), err);
	if (ret == 0)
		ret = create_vm(vm, err);
	if (ret == 0)
		ret = a64_choose_features(vm, err);
	if (ret == 0 && config->irq_mode == AXARCH_IRQ_EMULATED)
		ret = a64_gic_create(vm, err);
	if (ret < 0) {
		a64_vm_destroy(vm);
		return ret;
	}
	report_undecoded(vm);
	a64_forward_calls(vm);
	*ret_vm = vm;
	return 0;
}

/* ---- how the common parts reach it ----------------------------------------------------------- */

static void a64_vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper)
{
	axkvm_vm_mapper(vm->vm, ret_mapper);
}

static int doorbell(struct axarch_vm *vm, const struct axdev_doorbell *bell, bool assign,
		    struct ax_error *err)
{
	if (bell->space != AXDEV_MMIO)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "a doorbell at 0x%" PRIx64 " of no memory: aarch64 has neither "
				    "ports nor doorbells among its system registers",
				    bell->addr);
	return axkvm_vm_ioeventfd(vm->vm, false, bell->addr, bell->width, bell->has_match,
				  bell->match, bell->event_fd, assign, err);
}

static int a64_assign_doorbell(void *vm, const struct axdev_doorbell *bell, struct ax_error *err)
{
	return doorbell(vm, bell, true, err);
}

static int a64_release_doorbell(void *vm, const struct axdev_doorbell *bell)
{
	return doorbell(vm, bell, false, NULL);
}

static int a64_vm_load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		       const struct axarch_machine *machine, struct ax_error *err)
{
	uint8_t seed[A64_SEED_BYTES];
	const struct a64_boot_info info = {
		.config = &vm->config,
		.plan = &vm->plan,
		.boot = boot,
		.machine = machine,
		.gic_version = vm->gic_version,
		.has_pmu = vm->has_pmu,
		.seed = getrandom(seed, sizeof(seed), 0) == sizeof(seed) ? seed : NULL,
		.seed_bytes = sizeof(seed),
	};

	vm->memory = memory;
	int ret = a64_load(memory, &info, &vm->start, err);
	explicit_bzero(seed, sizeof(seed));
	/* The vCPUs are all there, and none has been set up. */
	return ret < 0 ? ret : a64_gic_finish(vm, err);
}

static int a64_vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name, uint64_t *ret_value)
{
	static const struct axarch_stat list[] = {
		{"mmio_exits", {"mmio_exit_user", "mmio_exit_kernel"}},
		{"halt_exits", {"wfi_exit_stat", NULL}},
		{"hypercalls", {"hvc_exit_stat", NULL}},
		{"yield_exits", {"wfe_exit_stat", NULL}},
	};

	return axarch_kvm_stat(vm->vcpus[vcpu], list, AX_ARRAY_LEN(list), name, ret_value);
}

const struct axarch axarch_aarch64 = {
	.name = "aarch64",
	/* The console is the one that the device tree names. */
	.cmdline_silent = "panic=-1",
	.cmdline_serial = "panic=-1",
	.cmdline_no_pci = "",
	.ident = a64_ident,
	.probe = a64_probe,
	.facts = a64_facts,
	.plan = plan,
	.vm_create = a64_vm_create,
	.vm_destroy = a64_vm_destroy,
	.vm_mapper = a64_vm_mapper,
	.vm_irq_chip = a64_vm_irq_chip,
	.assign_doorbell = a64_assign_doorbell,
	.release_doorbell = a64_release_doorbell,
	.platform_attach = a64_platform_attach,
	.vcpu_create = a64_vcpu_create,
	.load = a64_vm_load,
	.vcpu_stat = a64_vcpu_stat,
	.selftest = a64_selftest,
};
