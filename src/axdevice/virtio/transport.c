/*
 * Which transport a device stands behind: the one place that knows them all.
 */
#include "mmio.h"
#include "pci.h"

int axvirtio_attach(const char *name, const struct axvirtio_place *place, struct axvirtio *device,
		    const struct axdev_services *services, struct axdev **ret_dev,
		    struct ax_error *err)
{
	int r;

	if (place->pci)
		r = axvirtio_pci_create(name, place->pci, device, services, ret_dev, err);
	else
		r = axvirtio_mmio_create(name, place->gpa, place->gsi, device, services, ret_dev,
					 err);
	if (r < 0)
		axvirtio_destroy(device);
	return r;
}

struct axvirtio *axvirtio_of(const struct axdev *dev)
{
	struct axvirtio *device = dev ? axvirtio_mmio_device(dev) : NULL;

	return device || !dev ? device : axvirtio_pci_device(dev);
}

int axvirtio_get_stats(const struct axdev *dev, struct axvirtio_stats *ret_stats)
{
	const struct axvirtio *device = axvirtio_of(dev);

	if (!device)
		return -ENODEV;
	axvirtio_core_get_stats(device->core, ret_stats);
	return 0;
}
