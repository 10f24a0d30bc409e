/*
 * What the loaders' tests of every architecture stand on: a machine without a hypervisor, with
 * guest memory as planned and image files made of bytes.
 */
#ifndef AXVM_TESTS_ARCH_RIG_H
#define AXVM_TESTS_ARCH_RIG_H

#include "../test.h"

#include <axvm/arch.h>

struct rig {
	struct axarch_vm_config config;
	struct axarch_plan plan;
	struct axarch_boot boot;
	struct axarch_machine devices;
	struct axarch_device device[32];
	struct axas *memory;
	struct ax_error err;
};

/* 512 MiB, two CPUs, serial port, two virtio devices which are nowhere yet, a kernel command line;
 * nothing planned or mapped. */
void rig_init(struct rig *rig);
/* All devices: windows from gpa on, lines from gsi on. */
void rig_place_devices(struct rig *rig, uint64_t gpa, uint32_t gsi);
void rig_map(struct rig *rig);    /* the RAM of the plan */
void rig_finish(struct rig *rig); /* closes the images, too */

/* Each replaces the one before. */
void rig_kernel(struct rig *rig, const void *bytes, size_t len);
/* An Image of that many bytes. */
#define IMAGE_BYTES 8192u
void rig_image(struct rig *rig, const char magic[4], uint64_t text_offset, uint64_t image_size,
	       uint64_t flags);
void rig_initrd(struct rig *rig, uint64_t size_bytes); /* a sparse file */

int file_of(const void *bytes, size_t len); /* a memfd */
/* The error is of that kind and its message or hint mentions the text. */
void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text);

#endif
