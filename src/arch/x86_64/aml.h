/*
 * A small AML encoder (ACPI 6.4 chapter 20): names, integers, strings, packages, devices and the
 * few resource descriptors our DSDT needs. Writes into a fixed buffer; what does not fit sets
 * `overflow` and is dropped, so callers check once at the end.
 */
#ifndef AXVM_ARCH_X86_64_AML_H
#define AXVM_ARCH_X86_64_AML_H

#include <axvm/base.h>

struct x86_aml {
	uint8_t *buf;
	size_t len, max;
	bool overflow;
};

void x86_aml_bytes(struct x86_aml *aml, const void *bytes, size_t len);

/* Names are four characters, a leading backslash allowed. Open returns a mark for close, which
 * puts the package length in. */
size_t x86_aml_open_scope(struct x86_aml *aml, const char *name);
size_t x86_aml_open_device(struct x86_aml *aml, const char *name);
void x86_aml_close(struct x86_aml *aml, size_t mark);

/* Name (name, value) */
void x86_aml_name_integer(struct x86_aml *aml, const char *name, uint64_t value);
void x86_aml_name_string(struct x86_aml *aml, const char *name, const char *value);
void x86_aml_name_eisaid(struct x86_aml *aml, const char *name, const char *id); /* "PNP0501" */
void x86_aml_name_package(struct x86_aml *aml, const char *name, const uint8_t *values,
			  uint8_t count);

/* Resource templates are collected, then named: Name (_CRS, ResourceTemplate () {...}) */
struct x86_aml_resources {
	uint8_t bytes[64];
	size_t len;
};
void x86_aml_memory32(struct x86_aml_resources *res, uint32_t base, uint32_t size);
/* Extended interrupt: edge, active-high, exclusive. */
void x86_aml_interrupt(struct x86_aml_resources *res, uint32_t gsi);
/* What a host bridge hands on to its bus: bus numbers, and memory that is not cacheable. */
void x86_aml_bus_numbers(struct x86_aml_resources *res, uint8_t first, uint8_t last);
void x86_aml_memory_window(struct x86_aml_resources *res, uint32_t base, uint32_t size);
void x86_aml_io(struct x86_aml_resources *res, uint16_t base, uint8_t size);
void x86_aml_irq_no_flags(struct x86_aml_resources *res, uint8_t irq);
void x86_aml_name_resources(struct x86_aml *aml, const char *name, struct x86_aml_resources *res);

#endif
