/* APIC ids that are not the vCPUs' numbers, and ids that eight bits cannot name. */
#include "guest.h"

#include "kvm_x86.h"

#define TARGET 0x100 /* where a payload finds the id */

GUEST_TEST(smp_ids, "smp-ids")
{
	static const uint32_t ids[] = {2, 5, 0, 9};

	guest_start_all(ids, ids);
}

static void create_far(struct guest *guest, const uint32_t ids[2])
{
	struct ax_error err = {0};
	struct axkvm *kvm = NULL;

	CHECK_OK(axkvm_open(NULL, &kvm, &err), &err);
	const bool can =
		axkvm_check(kvm, KVM_CAP_SPLIT_IRQCHIP) > 0 && !guest_arch.kvm_is_partial();
	axkvm_close(kvm);
	if (!can)
		guest_skip("this KVM has no LAPICs without an IOAPIC");
	guest_create(guest,
		     &(struct guest_config){.vcpus = 2, .hardware_ids = ids, .paravirt = true});
}

GUEST_CODE(smp_far);

/* From another CPU, by a line, and by messages of devices with the id in bits 19:12 and 11:5. */
static void reach(const uint32_t ids[2])
{
	const struct axirq_message message = {
		.address = 0xfee00000 | (ids[1] & 0xff) << 12 | ids[1] >> 8 << 5, .data = 0x40};
	struct axirq_line *line = NULL;
	struct axirq_msi *msi = NULL;
	struct guest guest;

	create_far(&guest, ids);
	CHECK_OK(axirq_claim(guest.irqs, GUEST_EDGE_GSI, AXIRQ_EDGE, "test", &line, &guest.err),
		 &guest.err);
	CHECK_OK(axirq_msi_claim(guest.irqs, "test", &msi, &guest.err), &guest.err);
	GUEST_LOAD(&guest, smp_far);
	guest_set_data(&guest, TARGET, ids[1]);
	guest_set_data(&guest, 24, 7);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0) == 1, "CPU %u gets no IPI", ids[1]);
	for (unsigned i = 2; i <= 4; i++) {
		axirq_pulse(line);
		WAIT_FOR(guest_data(&guest, 0) == i, "edge %u does not reach CPU %u", i, ids[1]);
	}
	CHECK_EQ(axirq_msi_set(msi, &message), 0);
	for (unsigned i = 5; i <= 7; i++) {
		axirq_msi_send(msi);
		WAIT_FOR(guest_data(&guest, 0) == i || guest.done,
			 "message %u does not reach CPU %u", i, ids[1]);
	}
	guest_finish_done(&guest);
	axirq_msi_release(msi);
	axirq_release(line);
	guest_destroy(&guest);
}

GUEST_TEST(smp_far, "smp-far")
{
	reach((const uint32_t[]){0, 300});
}

GUEST_TEST(smp_255, "smp-255")
{
	reach((const uint32_t[]){0, 255});
}

GUEST_TEST(smp_4095, "smp-4095")
{
	reach((const uint32_t[]){1, 4095});
}

/* The line comes again after each end as long as it is high, also when the handler masks it. */
GUEST_CODE(level_far);

GUEST_TEST(level_far, "level-far")
{
	struct axirq_line *line = NULL;
	struct guest guest;

	create_far(&guest, (const uint32_t[]){0, 300});
	CHECK_OK(axirq_claim(guest.irqs, GUEST_LEVEL_GSI, AXIRQ_LEVEL, "test", &line, &guest.err),
		 &guest.err);
	GUEST_LOAD(&guest, level_far);
	guest_set_data(&guest, 24, 3);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	axirq_set_level(line, true);
	WAIT_FOR(guest.log_count == 1, "it was raised %llu times",
		 (unsigned long long)guest_data(&guest, 0));
	axirq_set_level(line, false);
	guest_set_data(&guest, 0x20, 1); /* the third handler may return now */
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 3);
	CHECK_EQ(guest_data(&guest, 0x28), 0x8041); /* unmasked, and nobody serves it */
	axirq_release(line);
	guest_destroy(&guest);
}
