/*
 * What the platforms of the architectures have in common: the devices that every machine has, at
 * the addresses of this one, and a list of devices that is attached as a whole or not at all.
 */
#ifndef AXVM_ARCH_PLATFORM_H
#define AXVM_ARCH_PLATFORM_H

#include <axvm/arch.h>

/* Makes one device; bound to an architecture's addresses by a function of its own. */
typedef int axarch_device_fn(const struct axarch_platform *platform, struct axdev **ret_dev,
			     struct ax_error *err);

/* Make and attach each in order; NULL entries are passed over. On failure the bus is as before. */
int axarch_platform_attach(const struct axarch_platform *platform, axarch_device_fn *const *list,
			   size_t count, struct ax_error *err);

/* The 16550 "serial0" behind platform->serial, its registers a byte apart. */
int axarch_create_serial(const struct axarch_platform *platform, enum axdev_space space,
			 uint64_t base, uint32_t gsi, struct axdev **ret_dev, struct ax_error *err);
/* The doorbell "hypercall" that calls platform->on_hypercall. */
int axarch_create_hypercall(const struct axarch_platform *platform, uint64_t gpa,
			    struct axdev **ret_dev, struct ax_error *err);
/* "pvpanic", by which a guest says that it panics, as "qemu,pvpanic-mmio" has it. */
int axarch_create_pvpanic(const struct axarch_platform *platform, uint64_t gpa,
			  struct axdev **ret_dev, struct ax_error *err);
/* The register "mark" of diagnostic codes, `size` bytes: each goes to platform->on_mark, a read
 * gives the last. */
int axarch_create_mark(const struct axarch_platform *platform, enum axdev_space space,
		       uint64_t base, uint64_t size, struct axdev **ret_dev, struct ax_error *err);

#endif
