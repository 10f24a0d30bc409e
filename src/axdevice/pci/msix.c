/*
 * MSI-X (PCI 6.8.2): the table and the pending bits of one function. A vector is deliverable when
 * MSI-X is enabled, the function may master the bus, and neither the function nor the vector is
 * masked; only then has its struct axirq_msi a message. Everything else, pending bits included,
 * follows from that. Sending looks at one flag and takes no lock.
 */
#include "pci_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_MASK (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)

struct entry {
	uint32_t word[4]; /* address low and high, data, vector control */
	struct axirq_msi *msi;
};

struct axpci_msix {
	pthread_mutex_t lock; /* the table */
	_Atomic bool enabled;
	bool function_masked;
	uint32_t capability, table_offset, pba_offset;
	unsigned vectors;
	struct entry entry[];
};

static uint32_t table_bytes(const struct axpci_msix *msix)
{
	return msix->vectors * PCI_MSIX_ENTRY_SIZE;
}

static uint32_t pba_bytes(const struct axpci_msix *msix)
{
	return (msix->vectors + 63) / 64 * 8;
}

/* ---- what goes out --------------------------------------------------------------------------- */

static void update_vector(struct axpci_function *function, struct entry *entry)
{
	const struct axpci_msix *msix = function->msix;
	const struct axirq_message message = {
		.address = (uint64_t)entry->word[1] << 32 | entry->word[0],
		.data = entry->word[2],
		.device_id = (uint32_t)function->slot << 3,
	};
	const bool deliverable = atomic_load(&msix->enabled) && !msix->function_masked &&
				 axpci_bus_master(function) &&
				 !(entry->word[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);

	/* A refused message leaves the vector masked, which is all that there is to do. */
	axirq_msi_set(entry->msi, deliverable ? &message : NULL);
}

static void update_all(struct axpci_function *function)
{
	for (unsigned i = 0; i < function->msix->vectors; i++)
		update_vector(function, &function->msix->entry[i]);
}

void axpci_msix_update(struct axpci_function *function)
{
	struct axpci_msix *msix = function->msix;

	if (!msix)
		return;
	pthread_mutex_lock(&msix->lock);
	update_all(function);
	pthread_mutex_unlock(&msix->lock);
}

/* Pending bits are no use to anyone once MSI-X is off. Masked, so nobody else reads them. */
static void forget_pending(struct axpci_msix *msix)
{
	uint64_t count;

	for (unsigned i = 0; i < msix->vectors; i++)
		if (read(axirq_msi_fd(msix->entry[i].msi), &count, sizeof(count)) < 0)
			assert(errno == EAGAIN); /* there was none */
}

static void set_control(struct axpci_function *function, uint16_t control)
{
	struct axpci_msix *msix = function->msix;
	const bool enabled = control & PCI_MSIX_FLAGS_ENABLE;

	pthread_mutex_lock(&msix->lock);
	const bool was_enabled = atomic_exchange(&msix->enabled, enabled);
	msix->function_masked = control & PCI_MSIX_FLAGS_MASKALL;
	update_all(function);
	if (was_enabled && !enabled)
		forget_pending(msix);
	pthread_mutex_unlock(&msix->lock);
}

bool axpci_msix_enabled(const struct axpci_function *function)
{
	return function->msix && atomic_load(&function->msix->enabled);
}

void axpci_msix_send(struct axpci_function *function, unsigned vector)
{
	struct axpci_msix *msix = function->msix;

	if (axpci_msix_enabled(function) && vector < msix->vectors)
		axirq_msi_send(msix->entry[vector].msi);
}

int axpci_msix_fd(const struct axpci_function *function, unsigned vector)
{
	const struct axpci_msix *msix = function->msix;

	return msix && vector < msix->vectors ? axirq_msi_fd(msix->entry[vector].msi) : -1;
}

unsigned axpci_msix_vectors(const struct axpci_function *function)
{
	return function->msix ? function->msix->vectors : 0;
}

/* ---- what software does ---------------------------------------------------------------------- */

bool axpci_msix_write_config(struct axpci_function *function, uint32_t offset, unsigned width,
			     uint32_t value)
{
	const struct axpci_msix *msix = function->msix;
	uint32_t mask, old, control;
	uint8_t *flags;

	if (!msix || offset < msix->capability || offset >= msix->capability + PCI_CAP_MSIX_SIZEOF)
		return false;
	flags = function->config + msix->capability + PCI_MSIX_FLAGS;
	/* Of the capability's first word only the message control's upper bits are writable. */
	if (offset >= msix->capability + 4)
		return true;
	old = pci_get(function->config + msix->capability, 4);
	mask = (uint32_t)CONTROL_MASK << 16;
	mask &= (uint32_t)pci_ones(width) << (8 * (offset - msix->capability));
	control = (old & ~mask) | (value << (8 * (offset - msix->capability)) & mask);
	pci_put(flags, 2, control >> 16);
	if (control != old)
		set_control(function, (uint16_t)(control >> 16));
	return true;
}

static uint32_t read_pba(struct axpci_msix *msix, uint32_t word)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 32 && word * 32 + i < msix->vectors; i++)
		if (axirq_msi_pending(msix->entry[word * 32 + i].msi))
			bits |= 1U << i;
	return bits;
}

static uint32_t read_word(struct axpci_msix *msix, uint32_t offset)
{
	if (offset - msix->table_offset < table_bytes(msix)) {
		offset -= msix->table_offset;
		return msix->entry[offset / PCI_MSIX_ENTRY_SIZE].word[offset / 4 % 4];
	}
	return read_pba(msix, (offset - msix->pba_offset) / 4);
}

static void write_word(struct axpci_msix *msix, uint32_t offset, uint32_t value)
{
	if (offset % 16 == PCI_MSIX_ENTRY_VECTOR_CTRL)
		value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	msix->entry[offset / PCI_MSIX_ENTRY_SIZE].word[offset / 4 % 4] = value;
}

static void access_locked(struct axpci_function *function, struct axdev_access *access)
{
	struct axpci_msix *msix = function->msix;
	const uint32_t offset = (uint32_t)access->offset, at = offset - msix->table_offset;

	if (!access->is_write) {
		access->value = read_word(msix, offset);
		if (access->width == 8)
			access->value |= (uint64_t)read_word(msix, offset + 4) << 32;
	} else if (at < table_bytes(msix)) { /* pending bits are read-only */
		write_word(msix, at, (uint32_t)access->value);
		if (access->width == 8)
			write_word(msix, at + 4, (uint32_t)(access->value >> 32));
		update_vector(function, &msix->entry[at / PCI_MSIX_ENTRY_SIZE]);
	}
}

static bool overlaps(const struct axdev_access *access, uint32_t offset, uint32_t bytes)
{
	return access->offset < offset + bytes && offset < access->offset + access->width;
}

bool axpci_msix_access(struct axpci_function *function, struct axdev_access *access)
{
	struct axpci_msix *msix = function->msix;

	if (!msix || (!overlaps(access, msix->table_offset, table_bytes(msix)) &&
		      !overlaps(access, msix->pba_offset, pba_bytes(msix))))
		return false;
	/* Aligned words of four and eight bytes only (6.8.2.6). Both areas begin and end at a
	 * multiple of eight, so none of these straddles. */
	if ((access->width != 4 && access->width != 8) || access->offset % access->width) {
		access->value = pci_ones(access->width);
		return true;
	}
	pthread_mutex_lock(&msix->lock);
	access_locked(function, access);
	pthread_mutex_unlock(&msix->lock);
	return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Vectors are masked at power-on (6.8.2.9). */
static void clear_table(struct axpci_msix *msix)
{
	for (unsigned i = 0; i < msix->vectors; i++) {
		memset(msix->entry[i].word, 0, sizeof(msix->entry[i].word));
		msix->entry[i].word[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

void axpci_msix_reset(struct axpci_function *function)
{
	struct axpci_msix *msix = function->msix;

	if (!msix)
		return;
	pci_put(function->config + msix->capability + PCI_MSIX_FLAGS, 2, msix->vectors - 1);
	set_control(function, 0);
	pthread_mutex_lock(&msix->lock);
	clear_table(msix);
	forget_pending(msix);
	pthread_mutex_unlock(&msix->lock);
}

void axpci_msix_finish(struct axpci_function *function)
{
	struct axpci_msix *msix = function->msix;

	if (!msix)
		return;
	function->msix = NULL;
	for (unsigned i = 0; i < msix->vectors; i++)
		axirq_msi_release(msix->entry[i].msi);
	pthread_mutex_destroy(&msix->lock);
	free(msix);
}

int axpci_msix_add(struct axpci_function *function, struct axirq_domain *irqs, unsigned vectors,
		   uint32_t table_offset, uint32_t pba_offset, struct ax_error *err)
{
	uint8_t body[PCI_CAP_MSIX_SIZEOF] = {0};
	struct axpci_msix *msix;

	assert(vectors && vectors <= AXPCI_MSIX_MAX && !(table_offset % 8) && !(pba_offset % 8));
	msix = calloc(1, sizeof(*msix) + vectors * sizeof(msix->entry[0]));
	if (!msix)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for MSI-X of %s",
				    function->name);
	pthread_mutex_init(&msix->lock, NULL);
	msix->table_offset = table_offset;
	msix->pba_offset = pba_offset;
	function->msix = msix;
	while (msix->vectors < vectors) {
		const int rc =
			axirq_msi_claim(irqs, function->name, &msix->entry[msix->vectors].msi, err);
		if (rc) {
			axpci_msix_finish(function);
			return rc;
		}
		msix->vectors++;
	}
	assert(table_offset + table_bytes(msix) <= pba_offset ||
	       pba_offset + pba_bytes(msix) <= table_offset);
	clear_table(msix);
	pci_put(body + PCI_MSIX_FLAGS, 2, vectors - 1);
	pci_put(body + PCI_MSIX_TABLE, 4, table_offset); /* BAR 0 */
	pci_put(body + PCI_MSIX_PBA, 4, pba_offset);
	msix->capability =
		axpci_add_capability(function, PCI_CAP_ID_MSIX, body, PCI_CAP_MSIX_SIZEOF);
	return 0;
}
