/*
 * A machine without a hypervisor: plan, guest memory and everything x86_load asks for, with files
 * made of bytes.
 */
#ifndef AXVM_TESTS_X86_64_HELPERS_H
#define AXVM_TESTS_X86_64_HELPERS_H

#include "../test.h"

#include "load.h"

struct machine {
	struct axarch_vm_config config;
	struct axarch_plan plan;
	struct axarch_boot boot;
	struct axarch_machine devices;
	struct axarch_device device[32];
	uint32_t apic_ids[X86_MAX_VCPUS];
	struct x86_boot_info info;
	struct axas *memory;
	struct ax_error err;
};

/* Plans and maps; two virtio devices, serial port, ACPI, announced in tables. */
void machine_init(struct machine *m, uint64_t memory_bytes, uint32_t vcpu_count);
void machine_finish(struct machine *m);                                /* closes the images, too */
void machine_kernel(struct machine *m, const void *bytes, size_t len); /* replaces the kernel */
void machine_initrd(struct machine *m, uint64_t size_bytes);           /* a sparse file */
int machine_load(struct machine *m, struct x86_start *ret_start);

int file_of(const void *bytes, size_t len); /* a memfd */

/* Guest memory into buf; fails the test when it is not there. */
void peek(const struct machine *m, uint64_t gpa, void *buf, size_t len);
uint64_t peek64(const struct machine *m, uint64_t gpa);
uint32_t peek32(const struct machine *m, uint64_t gpa);
uint16_t peek16(const struct machine *m, uint64_t gpa);
uint8_t peek8(const struct machine *m, uint64_t gpa);

/* The error is of that kind and its message or hint mentions the text. */
void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text);
uint8_t byte_sum(const void *bytes, size_t len);
/* A small deterministic generator (xorshift64*). */
uint64_t next_random(uint64_t *state);

#endif
