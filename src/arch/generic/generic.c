/*
 * The scripted fake behind the architecture table: a machine that needs no hardware, for tests and
 * for hosts without KVM. Chosen by name only; it is nobody's native machine.
 */
#include "generic_priv.h"

static bool ident(void)
{
	return false;
}

static int probe(const char *kvm_device, struct ax_error *err)
{
	return generic_faults_strike_once(kvm_device, GENERIC_HOOK_PROBE, err);
}

static size_t facts(const char *kvm_device, struct axarch_fact *ret_facts, size_t max)
{
	static const struct axarch_fact known[] = {
		{"scripted machine", true, 1, "everything: there is no hardware below"},
		{"vCPUs", false, GENERIC_MAX_VCPUS, "most vCPUs of a VM"},
	};

	(void)kvm_device;
	for (size_t i = 0; i < AX_ARRAY_LEN(known) && i < max; i++)
		ret_facts[i] = known[i];
	return AX_ARRAY_LEN(known);
}

const struct axarch axarch_generic = {
	.name = "generic",
	.cmdline_silent = "quiet",
	.cmdline_serial = "console=ttyS0",
	.cmdline_no_pci = "",
	.ident = ident,
	.probe = probe,
	.facts = facts,
	.plan = generic_plan,
	.vm_create = generic_vm_create,
	.vm_destroy = generic_vm_destroy,
	.vm_mapper = generic_vm_mapper,
	.vm_irq_chip = generic_vm_irq_chip,
	.assign_doorbell = generic_assign_doorbell,
	.release_doorbell = generic_release_doorbell,
	.platform_attach = generic_platform_attach,
	.vcpu_create = generic_vcpu_create,
	.load = generic_load,
	.vcpu_stat = generic_vcpu_stat,
	.selftest = generic_selftest,
};
