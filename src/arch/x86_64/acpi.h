/*
 * What acpi.c, dsdt.c and srat.c share: nothing else includes it.
 */
#ifndef AXVM_ARCH_X86_64_ACPI_H
#define AXVM_ARCH_X86_64_ACPI_H

#include "aml.h"
#include "x86.h"

/* Tables under construction: one image of X86_ACPI_SIZE bytes, written to the guest at the end. */
struct x86_acpi {
	uint8_t *image;
	size_t len;
	bool overflow;
};
#define X86_ACPI_HEADER 36u /* bytes of the common header (ACPI 6.4, 5.2.6) */

/* Zeroes for a table; NULL, and overflow is set, when there is no room. */
uint8_t *x86_acpi_reserve(struct x86_acpi *b, size_t size, uint64_t *ret_gpa);
/* The common header; the checksum over all of the table last. */
void x86_acpi_finish(uint8_t *table, const char *signature, uint8_t revision, size_t size);

/* The DSDT's definition block, without the table header. */
void x86_dsdt_body(struct x86_aml *aml, const struct x86_boot_info *info);

/* SRAT and SLIT as far as the topology has something to say; returns how many there are. */
size_t x86_acpi_add_nodes(struct x86_acpi *b, const struct x86_boot_info *info,
			  uint64_t ret_tables[2]);

#endif
