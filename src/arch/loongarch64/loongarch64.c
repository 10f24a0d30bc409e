/*
 * LoongArch, not implemented yet: every hook of the table answers that, and what it takes to change
 * it. Hooks that cannot fail do nothing that could be mistaken for a machine.
 *
 * The shortest complete table there is. Made real, it is registered on its own target only, as the
 * other architectures with hardware are.
 */
#include <axvm/arch.h>

#include <errno.h>

#define NOT_YET "not implemented on loongarch64 yet"

static int refuse(const char *what, struct ax_error *err)
{
	int rc = ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP, "%s: " NOT_YET, what);

	(void)ax_error_hint(err, "HACKING.md says what that takes: \"How to add an architecture\"");
	return rc;
}

static bool ident(void)
{
#ifdef __loongarch64
	return true;
#else
	return false;
#endif
}

static int probe(const char *kvm_device, struct ax_error *err)
{
	(void)kvm_device;
	return refuse("virtual machines", err);
}

static size_t facts(const char *kvm_device, struct axarch_fact *ret_facts, size_t max)
{
	(void)kvm_device;
	(void)ret_facts;
	(void)max;
	return 0;
}

static int plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		struct ax_error *err)
{
	(void)config;
	(void)ret_plan;
	return refuse("machines", err);
}

static int vm_create(const struct axarch_vm_config *config, const struct axarch_plan *layout,
		     struct axarch_vm **ret_vm, struct ax_error *err)
{
	(void)config;
	(void)layout;
	(void)ret_vm;
	return refuse("virtual machines", err);
}

static void vm_destroy(struct axarch_vm *vm)
{
	(void)vm; /* there is none */
}

static int map(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
	       bool read_only, struct ax_error *err)
{
	(void)ctx;
	(void)slot;
	(void)gpa;
	(void)size_bytes;
	(void)hva;
	(void)read_only;
	return refuse("guest memory", err);
}

static int unmap(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	(void)ctx;
	(void)slot;
	(void)gpa;
	(void)size_bytes;
	return refuse("guest memory", err);
}

static void vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper)
{
	*ret_mapper = (struct axas_mapper){.map = map, .unmap = unmap, .ctx = vm};
}

static int set_level(void *ctx, uint32_t gsi, bool level)
{
	(void)ctx;
	(void)gsi;
	(void)level;
	return -ENOTSUP;
}

/* A chip without lines: each that is claimed is refused. */
static void vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip)
{
	*ret_chip = (struct axirq_chip){.set_level = set_level, .ctx = vm};
}

static int assign_doorbell(void *vm, const struct axdev_doorbell *doorbell, struct ax_error *err)
{
	(void)vm;
	(void)doorbell;
	return refuse("doorbells", err);
}

static int release_doorbell(void *vm, const struct axdev_doorbell *doorbell)
{
	(void)vm;
	(void)doorbell;
	return -ENOTSUP;
}

static int platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			   struct ax_error *err)
{
	(void)vm;
	(void)platform;
	return refuse("platform devices", err);
}

static int vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		       void **ret_impl, struct ax_error *err)
{
	(void)vm;
	(void)index;
	(void)ret_ops;
	(void)ret_impl;
	return refuse("vCPUs", err);
}

static int load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		const struct axarch_machine *machine, struct ax_error *err)
{
	(void)vm;
	(void)memory;
	(void)boot;
	(void)machine;
	return refuse("kernels", err);
}

static int vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name, uint64_t *ret_value)
{
	(void)vcpu;
	(void)vm;
	(void)name;
	(void)ret_value;
	return -ENOENT;
}

static int selftest(const char *kvm_device,
		    void (*report)(void *ctx, const char *check, int status, const char *detail),
		    void *ctx)
{
	(void)kvm_device;
	report(ctx, "virtual machines", AXARCH_SELFTEST_FAIL, NOT_YET);
	return 1;
}

const struct axarch axarch_loongarch64 = {
	.name = "loongarch64",
	.cmdline_silent = "quiet",
	.cmdline_serial = "console=ttyS0",
	.cmdline_no_pci = "",
	.ident = ident,
	.probe = probe,
	.facts = facts,
	.plan = plan,
	.vm_create = vm_create,
	.vm_destroy = vm_destroy,
	.vm_mapper = vm_mapper,
	.vm_irq_chip = vm_irq_chip,
	.assign_doorbell = assign_doorbell,
	.release_doorbell = release_doorbell,
	.platform_attach = platform_attach,
	.vcpu_create = vcpu_create,
	.load = load,
	.vcpu_stat = vcpu_stat,
	.selftest = selftest,
	.unfinished = true,
};
