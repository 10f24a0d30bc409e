/* Both versions of the GIC by their own registers, and interrupts by INTID. */
#include "guest.h"
#include "kvm_aarch64.h"

#include <errno.h>

#define INTID (32 + GUEST_EDGE_GSI)

GUEST_CODE(sgi);

static bool exists(unsigned version)
{
	struct axkvm *kvm = NULL;
	struct axkvm_vm *vm = NULL;
	bool ret = axkvm_open(NULL, &kvm, NULL) == 0 && axkvm_vm_create(kvm, 0, &vm, NULL) == 0 &&
		   a64_gic_exists(vm, version);

	axkvm_vm_destroy(vm);
	axkvm_close(kvm);
	return ret;
}

/* One CPU sends to another. */
static void send(unsigned version)
{
	struct guest guest;
	const struct guest_config config = {.vcpus = 2, .gic = version};

	if (!exists(version))
		guest_skip("this KVM has no GICv%u", version);
	GUEST_RUN(&guest, &config, sgi);
	CHECK_EQ(guest_data(&guest, GUEST_GIC_OFFSET), version);
	CHECK_EQ(guest_data(&guest, 0), 10);
	guest_destroy(&guest);
}

GUEST_TEST(gic_v2, "gic-v2")
{
	send(2);
}

GUEST_TEST(gic_v3, "gic-v3")
{
	send(3);
}

GUEST_CODE(inject);

GUEST_TEST(inject, "inject")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, inject);
	guest_set_data(&guest, 24, 10);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 10; i++) {
		guest_inject(&guest, INTID, AXVCPU_IRQ_EDGE, false);
		WAIT_FOR(guest_data(&guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 16), INTID);
	guest_destroy(&guest);
}

GUEST_TEST(inject_refused, "inject-refused")
{
	static const struct {
		struct axvcpu_irq irq;
		int error;
	} rows[] = {
		{{.vector = 5}, -ENOTSUP}, /* an SGI */
		{{.vector = 128}, -ERANGE},
		{{.vector = INTID, .trigger = AXVCPU_IRQ_LEVEL}, -ENOTSUP},
		{{.vector = INTID, .notify_eoi = true}, -ENOTSUP},
	};
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, inject);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		CHECK_EQ(axvcpu_inject(guest.vcpu[0], &rows[i].irq, &guest.err), rows[i].error);
		CHECK_EQ(guest.err.kind, AX_ERROR_IRQ_INJECTION);
	}
	guest_destroy(&guest);
}
