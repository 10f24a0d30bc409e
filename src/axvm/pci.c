/*
 * The PCI host of a VM, where the plan says. Whether there is one is for others to decide.
 */
#include "vm_private.h"

#include <errno.h>

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
