/* Interrupts for one hart: messages to its IMSIC, or its external interrupt itself. */
#include "guest.h"

#include <errno.h>

#define IDENTITY 60
#define EXTERNAL 9 /* its cause */

static void inject_ten(struct guest *guest, uint32_t vector)
{
	WAIT_FOR(guest_data(guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 10; i++) {
		guest_inject(guest, vector, AXVCPU_IRQ_EDGE, false);
		WAIT_FOR(guest_data(guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish_done(guest);
}

GUEST_CODE(inject_msi);

GUEST_TEST(inject_msi, "inject-msi")
{
	const struct axvcpu_irq irq = {.vector = IDENTITY}, bad = {.vector = 4096};
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, inject_msi);
	guest_set_data(&guest, 24, 10);
	if (axvcpu_inject(guest.vcpu[0], &irq, &guest.err) == -ENOTSUP)
		guest_skip("this KVM has no AIA");
	guest_destroy(&guest);
	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, inject_msi);
	guest_set_data(&guest, 24, 10);
	CHECK_EQ(axvcpu_inject(guest.vcpu[0], &bad, &guest.err), -EINVAL);
	CHECK_EQ(guest.err.kind, AX_ERROR_IRQ_INJECTION);
	guest_start(&guest);
	inject_ten(&guest, IDENTITY);
	CHECK_EQ(guest_data(&guest, 16), IDENTITY);
	guest_destroy(&guest);
}

GUEST_CODE(inject_external);

GUEST_TEST(inject_external, "inject-external")
{
	const struct axvcpu_irq bad = {.vector = IDENTITY};
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.irq_mode = AXARCH_IRQ_NONE});
	GUEST_LOAD(&guest, inject_external);
	guest_set_data(&guest, 24, 10);
	CHECK_EQ(axvcpu_inject(guest.vcpu[0], &bad, &guest.err), -ENOTSUP);
	guest_start(&guest);
	inject_ten(&guest, EXTERNAL);
	guest_destroy(&guest);
}
