/*
 * What reads and writes of configuration space do (PCI 6.1, 6.2): the header's few writable bits,
 * BARs that can be sized but not moved, and capabilities, which are MSI-X's or the function's.
 * Callers have checked width and alignment and hold the host's lock.
 */
#include "pci_priv.h"

#include <inttypes.h>

#define BARS_END (PCI_BASE_ADDRESS_0 + 6 * 4)

uint32_t axpci_config_read(struct axpci_host *host, struct axpci_function *function,
			   uint32_t offset, unsigned width)
{
	(void)host;
	if (!function)
		return (uint32_t)pci_ones(width);
	if (offset >= PCI_STD_HEADER_SIZEOF && function->ops && function->ops->read_config)
		function->ops->read_config(function, offset, width);
	return pci_get(function->config + offset, width);
}

/*
 * All ones ask for the size (6.2.5.1), whatever stands in the bits that are not the address; the
 * address itself ends that. The BAR stays where it is all the time.
 */
static void write_bar(struct axpci_host *host, struct axpci_function *function, uint32_t offset,
		      unsigned width, uint32_t value)
{
	const unsigned index = (offset - PCI_BASE_ADDRESS_0) / 4;
	const uint32_t gpa = (uint32_t)function->bar[index].gpa;
	const uint32_t mask = (uint32_t) ~(function->bar[index].size_bytes - 1);

	if (!function->bar[index].size_bytes)
		return;
	if (width == 4 && (value & mask) == mask) {
		pci_put(function->config + offset, 4, mask);
		return;
	}
	if (width != 4 || (value & mask) != gpa) {
		ax_counter_add(&host->bar_moves, 1);
		ax_log_limited(&host->move_limit, AX_LOG_WARN, LAYER,
			       "%s: the guest writes 0x%x to BAR %u, which stays at 0x%x",
			       function->name ? function->name : "bridge", value, index, gpa);
	}
	pci_put(function->config + PCI_BASE_ADDRESS_0 + 4 * index, 4, gpa);
}

static void write_header(struct axpci_function *function, uint32_t offset, unsigned width,
			 uint32_t value)
{
	const uint32_t mask = pci_get(function->writable + offset, width);
	const uint32_t old = pci_get(function->config + offset, width);

	pci_put(function->config + offset, width, (old & ~mask) | (value & mask));
	if (offset < PCI_STATUS && offset + width > PCI_COMMAND)
		axpci_set_command(function, (uint16_t)pci_get(function->config + PCI_COMMAND, 2));
}

void axpci_config_write(struct axpci_host *host, struct axpci_function *function, uint32_t offset,
			unsigned width, uint32_t value)
{
	if (!function)
		return;
	if (offset >= PCI_STD_HEADER_SIZEOF) {
		if (!axpci_msix_write_config(function, offset, width, value) && function->ops &&
		    function->ops->write_config)
			function->ops->write_config(function, offset, width, value);
	} else if (offset >= PCI_BASE_ADDRESS_0 && offset < BARS_END) {
		write_bar(host, function, offset, width, value);
	} else {
		write_header(function, offset, width, value);
	}
}
