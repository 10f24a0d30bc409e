/*
 * An IOAPIC (Intel 82093AA) outside KVM: its redirection entries, which pins wait for an end of
 * interrupt, and the message that each pin is at the moment. KVM's own names CPUs by eight bits;
 * this one has the extended destination ids of KVM's guests. Who delivers the messages is the
 * caller's; ioapic_dev.c puts the registers on the bus.
 */
#include "ioapic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Section 3.1: the two windows, and what stands behind the data window. */
#define REG_SELECT 0x00u
#define REG_WINDOW 0x10u
#define INDEX_ID   0x00u
#define INDEX_VER  0x01u
#define INDEX_ARB  0x02u
#define INDEX_RTE  0x10u
#define VERSION    0x11u /* without an EOI register, as KVM's */
#define ID_MASK    0x0f000000u

/* Section 3.2.4. */
#define RTE_VECTOR     0xffULL
#define RTE_DELIVERY   0x700ULL
#define RTE_LOGICAL    (1ULL << 11)
#define RTE_POLARITY   (1ULL << 13)
#define RTE_REMOTE_IRR (1ULL << 14)
#define RTE_LEVEL      (1ULL << 15)
#define RTE_MASKED     (1ULL << 16)
#define RTE_EXT_SHIFT  49 /* seven bits: where an entry's reserved ones are */
#define RTE_DEST_SHIFT 56
/* Delivery status stays 0: a message is delivered at once or not at all. */
#define RTE_WRITABLE                                                                       \
	(RTE_VECTOR | RTE_DELIVERY | RTE_LOGICAL | RTE_POLARITY | RTE_LEVEL | RTE_MASKED | \
	 0x7fULL << RTE_EXT_SHIFT | 0xffULL << RTE_DEST_SHIFT)

/* Of a message's data (SDM volume 3, 11.11.2). */
#define MSI_ASSERT (1u << 14)
#define MSI_LEVEL  (1u << 15)

struct x86_ioapic {
	struct x86_ioapic_sink sink;

	pthread_mutex_t lock; /* everything below; the sink is called under it, in order */
	uint8_t selected;
	uint32_t id;
	uint32_t level; /* lines as the devices drive them */
	uint64_t entry[X86_IOAPIC_PINS];
};

int x86_ioapic_create(const struct x86_ioapic_sink *sink, struct x86_ioapic **ret_ioapic,
		      struct ax_error *err)
{
	struct x86_ioapic *ioapic = calloc(1, sizeof(*ioapic));

	if (!ioapic)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the IOAPIC");
	ioapic->sink = *sink;
	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++)
		ioapic->entry[pin] = RTE_MASKED;
	pthread_mutex_init(&ioapic->lock, NULL);
	*ret_ioapic = ioapic;
	return 0;
}

void x86_ioapic_destroy(struct x86_ioapic *ioapic)
{
	if (!ioapic)
		return;
	pthread_mutex_destroy(&ioapic->lock);
	free(ioapic);
}

/* ---- what goes out: lock held ---------------------------------------------------------------- */

/* Destination and mode stand in an entry as in a message, but for their places. */
static struct x86_msi message_of(uint64_t entry)
{
	const uint32_t dest = entry >> RTE_DEST_SHIFT & 0xff;
	const uint32_t ext = entry >> RTE_EXT_SHIFT & 0x7f;

	return (struct x86_msi){
		.address = X86_LAPIC_GPA | dest << X86_MSI_DEST_SHIFT | ext << X86_MSI_EXT_SHIFT |
			   (entry & RTE_LOGICAL ? X86_MSI_LOGICAL : 0),
		.data = (uint32_t)(entry & (RTE_VECTOR | RTE_DELIVERY)) |
			(entry & RTE_LEVEL ? MSI_LEVEL | MSI_ASSERT : 0),
	};
}

static void send(struct x86_ioapic *ioapic, uint32_t pin)
{
	const struct x86_msi msi = message_of(ioapic->entry[pin]);
	const bool taken = ioapic->sink.send(ioapic->sink.ctx, &msi);

	/* Of one that no LAPIC took there is no end to wait for. */
	if (taken && ioapic->entry[pin] & RTE_LEVEL)
		ioapic->entry[pin] |= RTE_REMOTE_IRR;
}

/* A level line asks as long as it is high and nobody serves it. */
static void ask(struct x86_ioapic *ioapic, uint32_t pin)
{
	const uint64_t entry = ioapic->entry[pin];

	if (ioapic->level & 1u << pin && entry & RTE_LEVEL &&
	    !(entry & (RTE_MASKED | RTE_REMOTE_IRR)))
		send(ioapic, pin);
}

/* Masked while it is served, as Linux does to move an interrupt, its end must still come. */
static void route(struct x86_ioapic *ioapic, uint32_t pin)
{
	const uint64_t entry = ioapic->entry[pin];
	const struct x86_msi msi = message_of(entry);
	const bool leads_nowhere = entry & RTE_MASKED && !(entry & RTE_REMOTE_IRR);

	ioapic->sink.route(ioapic->sink.ctx, pin, leads_nowhere ? NULL : &msi);
}

static void set_entry(struct x86_ioapic *ioapic, uint32_t pin, uint64_t entry)
{
	/* Systems end an interrupt by turning the entry to edge and back where the IOAPIC has no
	 * register for it. */
	entry |= entry & RTE_LEVEL ? ioapic->entry[pin] & RTE_REMOTE_IRR : 0;
	if (entry != ioapic->entry[pin]) {
		ioapic->entry[pin] = entry;
		route(ioapic, pin);
	}
	ask(ioapic, pin);
}

/* ---- lines and ends -------------------------------------------------------------------------- */

int x86_ioapic_set_level(struct x86_ioapic *ioapic, uint32_t pin, bool level)
{
	if (pin >= X86_IOAPIC_PINS)
		return -ENODEV;
	const uint32_t bit = 1u << pin;

	pthread_mutex_lock(&ioapic->lock);
	const bool rises = level && !(ioapic->level & bit);
	ioapic->level = level ? ioapic->level | bit : ioapic->level & ~bit;
	/* An edge at a masked pin is ignored. */
	if (rises && !(ioapic->entry[pin] & (RTE_LEVEL | RTE_MASKED)))
		send(ioapic, pin);
	ask(ioapic, pin);
	pthread_mutex_unlock(&ioapic->lock);
	return 0;
}

/* The broadcast names a vector, not a pin (section 3.2.4, Remote IRR). */
void x86_ioapic_end(struct x86_ioapic *ioapic, uint8_t vector)
{
	pthread_mutex_lock(&ioapic->lock);
	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++) {
		if (!(ioapic->entry[pin] & RTE_REMOTE_IRR) ||
		    (ioapic->entry[pin] & RTE_VECTOR) != vector)
			continue;
		ioapic->entry[pin] &= ~RTE_REMOTE_IRR;
		if (ioapic->entry[pin] & RTE_MASKED)
			route(ioapic, pin);
		ask(ioapic, pin);
	}
	pthread_mutex_unlock(&ioapic->lock);
}

void x86_ioapic_reset(struct x86_ioapic *ioapic)
{
	pthread_mutex_lock(&ioapic->lock);
	ioapic->selected = 0;
	ioapic->id = 0;
	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++)
		set_entry(ioapic, pin, RTE_MASKED);
	pthread_mutex_unlock(&ioapic->lock);
}

/* ---- registers ------------------------------------------------------------------------------- */

static uint32_t read_index(const struct x86_ioapic *ioapic)
{
	const uint32_t word = ioapic->selected - INDEX_RTE;

	switch (ioapic->selected) {
	case INDEX_ID:
	case INDEX_ARB: /* loaded from the id; there is no bus to arbitrate for */
		return ioapic->id;
	case INDEX_VER:
		return VERSION | (X86_IOAPIC_PINS - 1) << 16;
	default:
		if (word >= 2 * X86_IOAPIC_PINS)
			return 0;
		return (uint32_t)(ioapic->entry[word / 2] >> 32 * (word % 2));
	}
}

static void write_index(struct x86_ioapic *ioapic, uint32_t value)
{
	const uint32_t word = ioapic->selected - INDEX_RTE, shift = 32 * (word % 2);

	if (ioapic->selected == INDEX_ID)
		ioapic->id = value & ID_MASK;
	if (word >= 2 * X86_IOAPIC_PINS)
		return;
	uint64_t entry = ioapic->entry[word / 2] & RTE_WRITABLE;
	entry &= ~(0xffffffffULL << shift);
	entry |= (uint64_t)value << shift;
	set_entry(ioapic, word / 2, entry & RTE_WRITABLE);
}

uint32_t x86_ioapic_read(struct x86_ioapic *ioapic, uint64_t offset)
{
	uint32_t value = 0;

	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		value = ioapic->selected;
	else if (offset == REG_WINDOW)
		value = read_index(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	return value;
}

void x86_ioapic_write(struct x86_ioapic *ioapic, uint64_t offset, uint32_t value)
{
	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		ioapic->selected = (uint8_t)value;
	else if (offset == REG_WINDOW)
		write_index(ioapic, value);
	pthread_mutex_unlock(&ioapic->lock);
}
