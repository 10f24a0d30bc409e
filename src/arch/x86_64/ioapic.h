/*
 * The IOAPIC of machines whose APIC ids are too large for KVM's, and the messages it shares with
 * PCI devices: how a guest writes an id of fifteen bits into one, and how KVM wants it.
 */
#ifndef AXVM_ARCH_X86_64_IOAPIC_H
#define AXVM_ARCH_X86_64_IOAPIC_H

#include "x86.h"

/*
 * A message as guests write it (SDM volume 3, 11.11.1). With KVM_FEATURE_MSI_EXT_DEST_ID bits 11:5
 * of the address are bits 14:8 of the destination (Documentation/virt/kvm/x86/cpuid.rst).
 */
struct x86_msi {
	uint64_t address;
	uint32_t data;
};
#define X86_MSI_DEST_SHIFT 12
#define X86_MSI_EXT_SHIFT  5
#define X86_MSI_LOGICAL    (1u << 2)
/* The address as KVM takes it with KVM_X2APIC_API_USE_32BIT_IDS: bits 31:8 of the destination in
 * its high half. What has something there already, or is in the remappable format, stays. */
uint64_t x86_msi_address_for_kvm(uint64_t address);

struct x86_ioapic;
/* Both are called with the IOAPIC's lock held: they must not come back to it. */
struct x86_ioapic_sink {
	/* What an edge that reaches the pin by a way of its own (irqfd) is to send from now on;
	 * NULL: nothing. Level entries too: KVM tells of ends only for messages it knows. */
	void (*route)(void *ctx, uint32_t pin, const struct x86_msi *msi);
	/* Now; has a LAPIC taken it? */
	bool (*send)(void *ctx, const struct x86_msi *msi);
	void *ctx;
};

int x86_ioapic_create(const struct x86_ioapic_sink *sink, struct x86_ioapic **ret_ioapic,
		      struct ax_error *err);
void x86_ioapic_destroy(struct x86_ioapic *ioapic); /* NULL is fine */
/* Any thread. -ENODEV: there is no such pin. */
int x86_ioapic_set_level(struct x86_ioapic *ioapic, uint32_t pin, bool level);
/* A CPU has ended a level-triggered interrupt of this vector. Any thread. */
void x86_ioapic_end(struct x86_ioapic *ioapic, uint8_t vector);
/* 32 bits at an offset in its page; what is not there reads as zero and takes no write. */
uint32_t x86_ioapic_read(struct x86_ioapic *ioapic, uint64_t offset);
void x86_ioapic_write(struct x86_ioapic *ioapic, uint64_t offset, uint32_t value);
void x86_ioapic_reset(struct x86_ioapic *ioapic); /* the lines stay as they are */

/* Its registers on the bus (ioapic_dev.c). The IOAPIC stays the VM's. */
int x86_ioapic_device(struct x86_ioapic *ioapic, struct axdev **ret_dev, struct ax_error *err);

#endif
