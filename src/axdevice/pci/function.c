/*
 * A PCI function as its device makes it: identity, a slot, a place for BAR 0, capabilities. What
 * software then does with the registers is config.c's.
 */
#include "pci_priv.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CONVENTIONAL_BYTES 256U /* no PCI Express capability: nothing beyond (PCI 6.1) */

/* ---- the header ------------------------------------------------------------------------------ */

void axpci_header_init(struct axpci_function *function)
{
	uint8_t *config = function->config;

	memset(config, 0, sizeof(function->config));
	memset(function->writable, 0, sizeof(function->writable));
	pci_put(config + PCI_VENDOR_ID, 2, function->vendor_id);
	pci_put(config + PCI_DEVICE_ID, 2, function->device_id);
	config[PCI_REVISION_ID] = function->revision;
	pci_put(config + PCI_CLASS_PROG, 3, function->class_code);
	config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	pci_put(config + PCI_SUBSYSTEM_VENDOR_ID, 2, function->subsystem_vendor_id);
	pci_put(config + PCI_SUBSYSTEM_ID, 2, function->subsystem_id);
	/* No I/O BARs and no INTx, so their bits stay clear; the last two are scratch registers. */
	pci_put(function->writable + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	function->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	function->writable[PCI_INTERRUPT_LINE] = 0xff;
	function->next_capability = PCI_STD_HEADER_SIZEOF;
	atomic_init(&function->command, 0);
}

void axpci_set_command(struct axpci_function *function, uint16_t value)
{
	const uint16_t old = atomic_load(&function->command);

	if (old == value)
		return;
	atomic_store(&function->command, value);
	if ((old ^ value) & PCI_COMMAND_MASTER)
		axpci_msix_update(function);
	if (function->ops && function->ops->command_changed)
		function->ops->command_changed(function);
}

void axpci_header_reset(struct axpci_function *function)
{
	for (size_t i = 0; i < sizeof(function->writable); i++)
		function->config[i] &= (uint8_t)~function->writable[i];
	for (size_t i = 0; i < AX_ARRAY_LEN(function->bar); i++)
		pci_put(function->config + PCI_BASE_ADDRESS_0 + 4 * i, 4,
			(uint32_t)function->bar[i].gpa);
	axpci_set_command(function, 0);
}

bool axpci_memory_enabled(const struct axpci_function *function)
{
	return atomic_load(&function->command) & PCI_COMMAND_MEMORY;
}

bool axpci_bus_master(const struct axpci_function *function)
{
	return atomic_load(&function->command) & PCI_COMMAND_MASTER;
}

/* ---- a place --------------------------------------------------------------------------------- */

/* The BAR, if any, that lies in `bytes` from gpa on: where to look next, or 0. */
static uint64_t taken_until(const struct axpci_host *host, uint64_t gpa, uint64_t bytes)
{
	for (size_t i = 0; i < AXPCI_SLOTS; i++) {
		const struct axpci_function *other = host->slot[i];

		if (other && other->bar[0].size_bytes &&
		    gpa < other->bar[0].gpa + other->bar[0].size_bytes &&
		    other->bar[0].gpa < gpa + bytes)
			return other->bar[0].gpa + other->bar[0].size_bytes;
	}
	return 0;
}

static int place_bar(struct axpci_host *host, struct axpci_function *function, uint64_t bytes,
		     struct ax_error *err)
{
	const uint64_t end = host->config.window_gpa + host->config.window_bytes;
	uint64_t gpa = host->config.window_gpa, next;

	for (;;) {
		gpa = (gpa + bytes - 1) & ~(bytes - 1); /* naturally aligned (6.2.5.1) */
		if (gpa >= end || end - gpa < bytes)
			return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC,
					    "%s: no %" PRIu64 " bytes are left in the PCI window "
					    "0x%" PRIx64 "..0x%" PRIx64,
					    function->name, bytes, host->config.window_gpa,
					    end - 1);
		next = taken_until(host, gpa, bytes);
		if (!next)
			break;
		gpa = next;
	}
	function->bar[0].gpa = gpa;
	function->bar[0].size_bytes = bytes;
	return 0;
}

int axpci_function_init(struct axpci_host *host, struct axpci_function *function,
			uint64_t bar_bytes, struct ax_error *err)
{
	unsigned slot = 1;
	int rc;

	assert(bar_bytes >= 4096 && bar_bytes <= 1ULL << 31 && !(bar_bytes & (bar_bytes - 1)));
	assert(!function->host);
	pthread_mutex_lock(&host->lock);
	while (slot < AXPCI_SLOTS && host->slot[slot])
		slot++;
	if (slot == AXPCI_SLOTS) {
		ax_error_set(err, AX_ERROR_DEVICE, ENOSPC,
			     "%s: all %u slots of the PCI bus are taken", function->name,
			     AXPCI_SLOTS - 1);
		rc = -ENOSPC;
	} else {
		memset(function->bar, 0, sizeof(function->bar));
		rc = place_bar(host, function, bar_bytes, err);
	}
	if (!rc) {
		function->host = host;
		function->slot = (uint8_t)slot;
		function->msix = NULL;
		axpci_header_init(function);
		pci_put(function->config + PCI_BASE_ADDRESS_0, 4, (uint32_t)function->bar[0].gpa);
		host->slot[slot] = function;
	}
	pthread_mutex_unlock(&host->lock);
	return rc;
}

void axpci_function_finish(struct axpci_function *function)
{
	struct axpci_host *host = function->host;

	if (!host)
		return;
	pthread_mutex_lock(&host->lock);
	host->slot[function->slot] = NULL;
	pthread_mutex_unlock(&host->lock);
	axpci_msix_finish(function);
	function->host = NULL;
}

void axpci_function_reset(struct axpci_function *function)
{
	pthread_mutex_lock(&function->host->lock);
	axpci_msix_reset(function);
	axpci_header_reset(function);
	pthread_mutex_unlock(&function->host->lock);
}

/* ---- capabilities (PCI 6.7) ------------------------------------------------------------------ */

uint32_t axpci_add_capability(struct axpci_function *function, uint8_t id, const void *body,
			      uint32_t bytes)
{
	const uint32_t offset = function->next_capability;
	uint8_t *config = function->config;
	uint8_t *link = config + PCI_CAPABILITY_LIST;

	assert(bytes >= PCI_CAP_SIZEOF - 2 && offset + bytes <= CONVENTIONAL_BYTES);
	while (*link)
		link = config + *link + PCI_CAP_LIST_NEXT;
	memcpy(config + offset, body, bytes);
	config[offset + PCI_CAP_LIST_ID] = id;
	config[offset + PCI_CAP_LIST_NEXT] = 0;
	*link = (uint8_t)offset;
	config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	function->next_capability = (offset + bytes + 3) & ~3U;
	return offset;
}
