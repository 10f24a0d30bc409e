/*
 * Where a driver finds the parts of a virtio-pci function (Spec 4.1.4), and the last of these
 * capabilities: a window through which BAR 0 is reached by configuration accesses alone (4.1.4.9).
 */
#include "pci.h"

#include <linux/pci_regs.h>
#include <string.h>

#define WINDOW_DATA sizeof(struct virtio_pci_cap) /* pci_cfg_data, 4 bytes */

/* Little-endian, as everything in configuration space. */
static void put32(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

/* `more`: the word behind the common part, when there is one. */
static uint32_t add(struct vpci *vpci, uint8_t type, uint32_t offset, uint32_t length,
		    const uint32_t *more)
{
	uint8_t body[sizeof(struct virtio_pci_cap) + 4] = {0};
	const uint8_t bytes = sizeof(struct virtio_pci_cap) + (more ? 4 : 0);

	body[offsetof(struct virtio_pci_cap, cap_len)] = bytes;
	body[offsetof(struct virtio_pci_cap, cfg_type)] = type;
	put32(body + offsetof(struct virtio_pci_cap, offset), offset);
	put32(body + offsetof(struct virtio_pci_cap, length), length);
	if (more)
		put32(body + sizeof(struct virtio_pci_cap), *more);
	return axpci_add_capability(&vpci->function, PCI_CAP_ID_VNDR, body, bytes);
}

void axvirtio_pci_add_capabilities(struct vpci *vpci)
{
	static const uint32_t stride = VPCI_NOTIFY_STRIDE, no_data = 0;
	const struct axvirtio *device = vpci->device;

	add(vpci, VIRTIO_PCI_CAP_COMMON_CFG, VPCI_COMMON, VPCI_COMMON_BYTES, NULL);
	add(vpci, VIRTIO_PCI_CAP_ISR_CFG, VPCI_ISR, 1, NULL);
	if (device->config_size)
		add(vpci, VIRTIO_PCI_CAP_DEVICE_CFG, VPCI_DEVICE, (device->config_size + 3) & ~3U,
		    NULL);
	add(vpci, VIRTIO_PCI_CAP_NOTIFY_CFG, VPCI_NOTIFY, VPCI_NOTIFY_STRIDE * device->queue_count,
	    &stride);
	vpci->pci_cfg_offset = add(vpci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, &no_data);
}

/* ---- the window ------------------------------------------------------------------------------ */

static struct vpci *vpci_of(struct axpci_function *function)
{
	return ax_container_of(function, struct vpci, function);
}

/* What bar, offset and length ask for, if it is within the rules. */
static bool window_access(const struct vpci *vpci, struct axdev_access *ret_access)
{
	const uint8_t *cap = vpci->function.config + vpci->pci_cfg_offset;
	const uint32_t offset = get32(cap + offsetof(struct virtio_pci_cap, offset));
	const uint32_t length = get32(cap + offsetof(struct virtio_pci_cap, length));

	if (cap[offsetof(struct virtio_pci_cap, bar)] ||
	    (length != 1 && length != 2 && length != 4) || offset % length ||
	    offset >= VPCI_BAR_BYTES)
		return false;
	*ret_access = (struct axdev_access){
		.space = AXDEV_MMIO, .offset = offset, .width = (uint8_t)length};
	return true;
}

static void read_window(struct axpci_function *function, uint32_t offset, unsigned width)
{
	struct vpci *vpci = vpci_of(function);
	const uint32_t data = vpci->pci_cfg_offset + WINDOW_DATA;
	struct axdev_access access;

	(void)width;
	if (offset < data || offset >= data + 4)
		return;
	put32(function->config + data, UINT32_MAX);
	if (!window_access(vpci, &access))
		return;
	axvirtio_pci_access_bar(vpci, &access);
	put32(function->config + data, (uint32_t)access.value);
}

/* bar, offset, length and the data are the driver's; the rest of the capability is not. */
static bool is_writable(uint32_t at)
{
	return at == offsetof(struct virtio_pci_cap, bar) ||
	       at >= offsetof(struct virtio_pci_cap, offset);
}

static void write_window(struct axpci_function *function, uint32_t offset, unsigned width,
			 uint32_t value)
{
	struct vpci *vpci = vpci_of(function);
	const uint32_t start = vpci->pci_cfg_offset;
	struct axdev_access access;

	if (offset < start || offset >= start + WINDOW_DATA + 4)
		return;
	for (unsigned i = 0; i < width; i++)
		if (is_writable(offset + i - start))
			function->config[offset + i] = (uint8_t)(value >> (8 * i));
	if (offset < start + WINDOW_DATA || !window_access(vpci, &access))
		return;
	access.is_write = true;
	access.value = get32(function->config + start + WINDOW_DATA) &
		       UINT32_MAX >> (32 - 8 * access.width);
	axvirtio_pci_access_bar(vpci, &access);
}

static void command_changed(struct axpci_function *function)
{
	axvirtio_pci_update_hold(vpci_of(function));
}

const struct axpci_function_ops axvirtio_pci_function_ops = {
	.write_config = write_window,
	.read_config = read_window,
	.command_changed = command_changed,
};
