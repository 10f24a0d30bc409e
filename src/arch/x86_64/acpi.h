/*
 * What acpi.c and dsdt.c share: nothing else includes it.
 */
#ifndef AXVM_ARCH_X86_64_ACPI_H
#define AXVM_ARCH_X86_64_ACPI_H

#include "aml.h"
#include "x86.h"

/* The DSDT's definition block, without the table header. */
void x86_dsdt_body(struct x86_aml *aml, const struct x86_boot_info *info);

#endif
