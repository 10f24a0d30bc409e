/*
 * Message-signalled interrupts: claiming, where a message goes, and that masking loses nothing.
 */
#include "msi_chip.h"

struct rig {
	struct msi_chip chip;
	struct axirq_domain *irqs;
	struct axirq_msi *msi;
	struct ax_error err;
};

static const struct axirq_message there = {.address = 0xfee01000, .data = 0x31};
static const struct axirq_message elsewhere = {.address = 0xfee02000, .data = 0x31};

static void setup(struct rig *rig)
{
	const struct axirq_chip ops = msi_chip_ops(&rig->chip);

	assert_int_equal(axirq_domain_create(&ops, &rig->irqs, &rig->err), 0);
	assert_int_equal(axirq_msi_claim(rig->irqs, "disk0", &rig->msi, &rig->err), 0);
}

static void teardown(struct rig *rig)
{
	axirq_msi_release(rig->msi);
	axirq_domain_destroy(rig->irqs);
	for (unsigned i = 0; i < MSI_COUNT; i++)
		assert_true(!rig->chip.msi[i].fd && !rig->chip.msi[i].has_message);
}

static void sent_when_it_has_an_address(void **state)
{
	struct rig rig = {0};
	(void)state;

	setup(&rig);
	assert_int_equal(axirq_msi_set(rig.msi, &there), 0);
	assert_int_equal(rig.chip.msi[0].message.address, there.address);
	for (unsigned i = 1; i <= 3; i++) {
		axirq_msi_send(rig.msi);
		assert_int_equal(msi_chip_delivered(&rig.chip, 0), i);
		assert_false(axirq_msi_pending(rig.msi));
	}
	assert_int_equal(axirq_msi_sent(rig.msi), 3);
	teardown(&rig);
}

/* Where messages are told apart by who sends them, the same one of another device is another. */
static void sent_as_its_device(void **state)
{
	struct axirq_message message = there;
	struct rig rig = {0};
	(void)state;

	setup(&rig);
	message.device_id = 1 << 3;
	assert_int_equal(axirq_msi_set(rig.msi, &message), 0);
	message.device_id = 2 << 3;
	assert_int_equal(axirq_msi_set(rig.msi, &message), 0);
	assert_int_equal(rig.chip.msi[0].message.device_id, 2 << 3);
	teardown(&rig);
}

static void masked_keeps_one(void **state)
{
	struct rig rig = {0};
	const uint64_t one = 1;
	(void)state;

	setup(&rig);
	assert_false(axirq_msi_pending(rig.msi)); /* masked from the start */
	axirq_msi_send(rig.msi);
	/* A sender that knows only the eventfd. */
	assert_int_equal(write(axirq_msi_fd(rig.msi), &one, sizeof(one)), sizeof(one));
	assert_true(axirq_msi_pending(rig.msi));
	assert_int_equal(axirq_msi_set(rig.msi, &there), 0);
	assert_int_equal(msi_chip_delivered(&rig.chip, 0), 1);
	assert_false(axirq_msi_pending(rig.msi));

	assert_int_equal(axirq_msi_set(rig.msi, NULL), 0);
	assert_false(axirq_msi_pending(rig.msi));
	axirq_msi_send(rig.msi);
	assert_true(axirq_msi_pending(rig.msi));
	assert_int_equal(msi_chip_delivered(&rig.chip, 0), 1);
	assert_int_equal(axirq_msi_set(rig.msi, &elsewhere), 0);
	assert_int_equal(msi_chip_delivered(&rig.chip, 0), 2);
	assert_int_equal(rig.chip.msi[0].message.address, elsewhere.address);
	teardown(&rig);
}

static void unchanged_costs_nothing(void **state)
{
	struct rig rig = {0};
	(void)state;

	setup(&rig);
	for (int i = 0; i < 3; i++)
		assert_int_equal(axirq_msi_set(rig.msi, &there), 0);
	assert_int_equal(rig.chip.msi[0].sets, 1);
	assert_int_equal(rig.chip.msi[0].assigns, 1);
	/* Masked and back: the route is still there. */
	axirq_msi_set(rig.msi, NULL);
	axirq_msi_set(rig.msi, NULL);
	axirq_msi_set(rig.msi, &there);
	assert_int_equal(rig.chip.msi[0].sets, 1);
	assert_int_equal(rig.chip.msi[0].assigns, 2);
	/* Another message, without a moment in which it is nowhere. */
	axirq_msi_set(rig.msi, &elsewhere);
	assert_int_equal(rig.chip.msi[0].sets, 2);
	assert_int_equal(rig.chip.msi[0].assigns, 2);
	teardown(&rig);
}

static void refused_message_is_masked(void **state)
{
	struct rig rig = {0};
	(void)state;

	setup(&rig);
	assert_int_equal(axirq_msi_set(rig.msi, &there), 0);
	rig.chip.set_error = EINVAL;
	assert_int_equal(axirq_msi_set(rig.msi, &elsewhere), -EINVAL);
	axirq_msi_send(rig.msi);
	assert_true(axirq_msi_pending(rig.msi));
	assert_int_equal(msi_chip_delivered(&rig.chip, 0), 0);
	rig.chip.set_error = 0;
	assert_int_equal(axirq_msi_set(rig.msi, &there), 0);
	assert_int_equal(msi_chip_delivered(&rig.chip, 0), 1);
	teardown(&rig);
}

static void all_taken(void **state)
{
	struct rig rig = {0};
	struct axirq_msi *more[MSI_COUNT - 1], *one_more;
	(void)state;

	setup(&rig);
	for (unsigned i = 0; i < MSI_COUNT - 1; i++) {
		assert_int_equal(axirq_msi_available(rig.irqs), MSI_COUNT - 1 - i);
		assert_int_equal(axirq_msi_claim(rig.irqs, "many", &more[i], &rig.err), 0);
	}
	assert_int_equal(axirq_msi_available(rig.irqs), 0);
	assert_int_equal(axirq_msi_claim(rig.irqs, "late", &one_more, &rig.err), -ENOSPC);
	assert_non_null(strstr(rig.err.message, "\"late\""));
	axirq_msi_release(more[7]);
	assert_int_equal(axirq_msi_claim(rig.irqs, "late", &more[7], &rig.err), 0);
	for (unsigned i = 0; i < MSI_COUNT - 1; i++)
		axirq_msi_release(more[i]);
	axirq_msi_release(NULL);
	teardown(&rig);
}

static void controller_without_messages(void **state)
{
	const struct axirq_chip ops = {.set_level = msi_chip_level, .gsi_count = 8, .msi_count = 9};
	struct axirq_domain *irqs;
	struct axirq_msi *msi;
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(axirq_domain_create(&ops, &irqs, &err), 0);
	assert_int_equal(axirq_msi_available(irqs), 0);
	assert_int_equal(axirq_msi_claim(irqs, "disk0", &msi, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "disk0"));
	axirq_domain_destroy(irqs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sent_when_it_has_an_address),
		cmocka_unit_test(sent_as_its_device),
		cmocka_unit_test(masked_keeps_one),
		cmocka_unit_test(unchanged_costs_nothing),
		cmocka_unit_test(refused_message_is_masked),
		cmocka_unit_test(all_taken),
		cmocka_unit_test(controller_without_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
