/*
 * The PCI host of a VM: whether it has one, and making it where the plan says.
 */
#include "vm_private.h"

#include <errno.h>

/* A queue for each CPU is worth having with an interrupt for each, which virtio-mmio has not. */
static bool asks_for_queues(const struct axcfg *config)
{
	for (size_t i = 0; i < config->disk_count; i++)
		if (config->disks[i].queues > 1)
			return true;
	for (size_t i = 0; i < config->net_count; i++)
		if (config->nets[i].queues > 1)
			return true;
	return false;
}

bool axvm_wants_pci(const struct axvm *vm)
{
	const struct axcfg *config = vm->config;

	if (config->machine.transport == AXCFG_TRANSPORT_AUTO)
		return vm->plan.pci.ecam_gpa && asks_for_queues(config);
	return config->machine.transport == AXCFG_TRANSPORT_PCI;
}

int axvm_build_pci(struct axvm *vm, struct ax_error *err)
{
	const struct axpci_host_config config = {
		.ecam_gpa = vm->plan.pci.ecam_gpa,
		.window_gpa = vm->plan.pci.window_gpa,
		.window_bytes = vm->plan.pci.window_bytes,
		.ports = vm->plan.pci.ports,
	};
	struct axdev *dev;
	int rc;

	if (!config.ecam_gpa) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			     "machine.transport: %s machines have no PCI host yet", vm->arch->name);
		return ax_error_hint(err, "use machine.transport=mmio");
	}
	rc = axvm_attach(vm, "pci-host", "pci0", &config, sizeof(config), &dev, err);
	if (!rc)
		vm->pci = axpci_host_of(dev);
	return rc;
}
