/*
 * The PCI host as its files share it: host.c is its life and the accesses from the bus, config.c
 * what they do in configuration space, function.c what a device makes of itself, msix.c interrupts.
 *
 * Locks: the host's, then an MSI-X table's. A function's hooks run with the host's held.
 */
#ifndef AXDEVICE_PCI_PRIV_H
#define AXDEVICE_PCI_PRIV_H

#include <axvm/pci.h>

#include <linux/pci_regs.h>
#include <pthread.h>

#define LAYER "pci"

struct axpci_host {
	struct axdev dev;
	struct axpci_host_config config;
	pthread_mutex_t lock;
	struct axpci_function bridge;
	struct axpci_function *slot[AXPCI_SLOTS];
	uint32_t address; /* port 0xcf8 */
	struct ax_counter config_reads, config_writes, bad_accesses, bar_moves;
	struct ax_ratelimit move_limit;
};

static inline uint32_t pci_get(const uint8_t *bytes, unsigned width)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

static inline void pci_put(uint8_t *bytes, unsigned width, uint32_t value)
{
	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t pci_ones(unsigned width)
{
	return width >= 8 ? UINT64_MAX : (1ULL << (8 * width)) - 1;
}

/* config.c: lock held; `width` is 1, 2 or 4 and `offset` a multiple of it below 4 KiB. NULL: no
 * such function. */
uint32_t axpci_config_read(struct axpci_host *host, struct axpci_function *function,
			   uint32_t offset, unsigned width);
void axpci_config_write(struct axpci_host *host, struct axpci_function *function, uint32_t offset,
			unsigned width, uint32_t value);

/* function.c: everything but slot, BAR and MSI-X. */
void axpci_header_init(struct axpci_function *function);
void axpci_header_reset(struct axpci_function *function);
/* The command register is to be `value`; lock held. */
void axpci_set_command(struct axpci_function *function, uint16_t value);

/* msix.c: lock of the host held. Is the write to MSI-X's capability? Then it is done. */
bool axpci_msix_write_config(struct axpci_function *function, uint32_t offset, unsigned width,
			     uint32_t value);
/* Bus mastering may have changed. */
void axpci_msix_update(struct axpci_function *function);
void axpci_msix_reset(struct axpci_function *function);
void axpci_msix_finish(struct axpci_function *function);

#endif
