/*
 * A machine without a hypervisor: plan, guest memory and everything rv64_load asks for, with
 * files made of bytes; and dtc on the tree that comes out.
 */
#ifndef AXVM_TESTS_RV64_HELPERS_H
#define AXVM_TESTS_RV64_HELPERS_H

#include "../test.h"

#include "riscv64.h"

#include <axvm/fdt.h>

#define BASE (RV64_RAM_GPA + (2ULL << 20)) /* where kernels go */

struct machine {
	struct axarch_vm_config config;
	struct axarch_plan plan;
	struct axarch_boot boot;
	struct axarch_machine devices;
	struct axarch_device device[RV64_VIRTIO_SLOTS];
	struct rv64_hart hart;
	struct rv64_boot_info info;
	struct axas *memory;
	struct ax_error err;
};

/* 512 MiB, two harts with a common set of extensions, a PLIC, a serial port, two virtio devices, a
 * kernel command line; nothing planned or mapped yet, so that a test can change it. */
void machine_init(struct machine *m);
void machine_map(struct machine *m); /* plans and maps */
void machine_finish(struct machine *m);
/* An Image of that many bytes. */
#define IMAGE_BYTES 8192u
void machine_image(struct machine *m, uint64_t text_offset, uint64_t image_size, uint64_t flags);
void machine_kernel(struct machine *m, const void *bytes, size_t len);
void machine_initrd(struct machine *m, uint64_t size_bytes); /* a sparse file */
int machine_load(struct machine *m, struct rv64_start *ret_start);
/* Loading fails with this, and starts nothing. */
void assert_refused(struct machine *m, enum ax_error_kind kind, const char *text);
/* The tree in guest memory; the caller destroys it. */
struct axfdt *machine_tree(const struct machine *m);

int file_of(const void *bytes, size_t len); /* a memfd */
void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text);
/* A cell of a property, which is there and long enough. */
uint32_t cell_at(const struct axfdt *fdt, const char *path, const char *property, size_t index);
uint64_t cells_at(const struct axfdt *fdt, const char *path, const char *property, size_t index);
void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text);

/* dtc from one format to another, properties sorted; of a blob it must not complain. Skips the test
 * where there is no dtc. The caller frees, *ret_size without the NUL behind. */
char *run_dtc(const char *from, const char *to, const void *input, size_t size, size_t *ret_size);

#endif
