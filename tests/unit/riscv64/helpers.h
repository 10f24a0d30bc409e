/*
 * A machine without a hypervisor: ../arch/rig.h with everything rv64_load asks for, and the tree
 * that comes out.
 */
#ifndef AXVM_TESTS_RV64_HELPERS_H
#define AXVM_TESTS_RV64_HELPERS_H

#include "../arch/trees.h"

#include "riscv64.h"

#define BASE (RV64_RAM_GPA + (2ULL << 20)) /* where kernels go */

struct machine {
	struct rig rig;
	struct rv64_hart hart;
	struct rv64_boot_info info;
};

/* A common set of extensions, a PLIC, what a rig has; nothing planned or mapped yet, so that a test
 * can change it. */
void machine_init(struct machine *m);
void machine_map(struct machine *m); /* plans and maps */
/* 0 as image_size in the header stays 0. */
void machine_image(struct machine *m, uint64_t text_offset, uint64_t image_size, uint64_t flags);
int machine_load(struct machine *m, struct rv64_start *ret_start);
/* Loading fails with this, and starts nothing. */
void assert_refused(struct machine *m, enum ax_error_kind kind, const char *text);
/* The tree in guest memory; the caller destroys it. */
struct axfdt *machine_tree(const struct machine *m);

#endif
