/* Several CPUs: started and stopped by the guest, each with its own id everywhere it can be read.
 */
#include "guest.h"

#define IDS_OF_FIRST  0x20 /* where the payload leaves them: three words */
#define IDS_OF_OTHERS 0x200
#define TARGETS       0x100 /* for payloads that start each CPU by its id */

GUEST_CODE(smp_start);

/* However many ways there are to read it, it is one id. */
static uint64_t id_at(const struct guest *guest, uint64_t offset)
{
	uint64_t id = guest_data(guest, offset);

	CHECK_EQ(guest_data(guest, offset + 8), id);
	CHECK_EQ(guest_data(guest, offset + 16), id);
	return id;
}

/* All others have been brought up, or have not. */
static void expect_online(struct guest *guest, bool want)
{
	bool online = false;

	for (unsigned i = 0; i < guest->config.vcpus; i++) {
		CHECK_OK(axvcpu_online(guest->vcpu[i], &online, &guest->err), &guest->err);
		CHECK(online == (i == 0 || want), "CPU %u is %s", i, online ? "up" : "not up");
	}
}

void guest_start_all(const uint32_t ids[4], const uint32_t *hardware_ids)
{
	struct guest guest;
	unsigned seen = 0;

	guest_create(&guest, &(struct guest_config){.vcpus = 4, .hardware_ids = hardware_ids});
	GUEST_LOAD(&guest, smp_start);
	guest_set_data(&guest, 0, 3);
	for (unsigned i = 1; i < 4; i++)
		guest_set_data(&guest, TARGETS + 8 * (i - 1), ids[i]);
	expect_online(&guest, false);
	guest_start(&guest);
	guest_finish_done(&guest);
	expect_online(&guest, true);
	CHECK_EQ(id_at(&guest, IDS_OF_FIRST), ids[0]);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t id = id_at(&guest, IDS_OF_OTHERS + 24 * i);
		for (unsigned k = 1; k < 4; k++)
			if (ids[k] == id)
				seen |= 1u << k;
	}
	CHECK(seen == 0xe, "ids %u %u %u started", (unsigned)guest_data(&guest, IDS_OF_OTHERS),
	      (unsigned)guest_data(&guest, IDS_OF_OTHERS + 24),
	      (unsigned)guest_data(&guest, IDS_OF_OTHERS + 48));
	guest_destroy(&guest);
}

GUEST_TEST(smp_start, "smp-start")
{
	guest_start_all((const uint32_t[]){0, 1, 2, 3}, NULL);
}

GUEST_CODE(smp_off);

GUEST_TEST(smp_off, "smp-off")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.vcpus = 2});
	GUEST_LOAD(&guest, smp_off);
	guest_set_data(&guest, TARGETS, 1);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 2);
	guest_destroy(&guest);
}
