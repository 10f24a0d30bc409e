/* Port I/O (KVM_EXIT_IO): every width, strings with their counts, and ports nobody claims. */
#include "guest.h"

GUEST_CODE(io_out);

GUEST_TEST(io_out, "io-out")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, io_out);
	guest_expect(&guest, 0, &(struct guest_access){AXDEV_PORT, 0, 0xd4, 1, true});
	guest_expect(&guest, 1, &(struct guest_access){AXDEV_PORT, 2, 0xc3d4, 2, true});
	guest_expect(&guest, 2, &(struct guest_access){AXDEV_PORT, 4, 0xa1b2c3d4, 4, true});
	guest_destroy(&guest);
}

GUEST_CODE(io_in);

GUEST_TEST(io_in, "io-in")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, io_in);
	/* The upper part of RAX stays, but for the 32-bit form, which clears it. */
	CHECK_EQ(guest_data(&guest, 0), 0xffffffffffffff11);
	CHECK_EQ(guest_data(&guest, 8), 0xffffffffffff2211);
	CHECK_EQ(guest_data(&guest, 16), 0x44332211);
	guest_expect(&guest, 2, &(struct guest_access){AXDEV_PORT, 4, 0, 4, false});
	guest_destroy(&guest);
}

GUEST_CODE(io_rep_out);

GUEST_TEST(io_rep_out, "io-rep-out")
{
	struct guest guest;
	uint8_t source[19];

	guest_create(&guest, &(struct guest_config){0});
	for (unsigned i = 0; i < sizeof(source); i++)
		source[i] = (uint8_t)(0x80 + i);
	axas_write(guest.memory, GUEST_DATA_GPA, source, sizeof(source));
	GUEST_LOAD(&guest, io_rep_out);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK_EQ(guest.log_count, 10);
	for (unsigned i = 0; i < 5; i++)
		guest_expect(&guest, i, &(struct guest_access){AXDEV_PORT, 0, 0x80 + i, 1, true});
	guest_expect(&guest, 5, &(struct guest_access){AXDEV_PORT, 0, 0x8685, 2, true});
	guest_expect(&guest, 7, &(struct guest_access){AXDEV_PORT, 0, 0x8a89, 2, true});
	guest_expect(&guest, 9, &(struct guest_access){AXDEV_PORT, 0, 0x9291908f, 4, true});
	CHECK_EQ(guest_data(&guest, 0x100), GUEST_DATA_GPA + sizeof(source));
	CHECK_EQ(guest_data(&guest, 0x108), 0);
	guest_destroy(&guest);
}

GUEST_CODE(io_rep_in);

GUEST_TEST(io_rep_in, "io-rep-in")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, io_rep_in);
	CHECK_EQ(guest_data(&guest, 0), 0x1122112211111111);
	CHECK_EQ(guest_data(&guest, 3 + 4 + 599 * 4) & 0xffffffff, 0x44332211);
	CHECK_EQ(guest_data(&guest, 0x10000), GUEST_DATA_GPA + 3 + 4 + 2400);
	CHECK_EQ(guest_data(&guest, 0x10008), 0);
	CHECK_EQ(guest.log_count, GUEST_MAX_LOG); /* 605 accesses: each item is one */
	guest_destroy(&guest);
}

GUEST_CODE(io_unclaimed);

GUEST_TEST(io_unclaimed, "io-unclaimed")
{
	struct guest guest;
	struct axbus_stats stats;

	GUEST_RUN(&guest, &(struct guest_config){0}, io_unclaimed);
	CHECK_EQ(guest_data(&guest, 0), 0xff);
	CHECK_EQ(guest_data(&guest, 8), 0xffff);
	CHECK_EQ(guest_data(&guest, 16), 0xffffffff);
	axbus_get_stats(guest.bus, &stats);
	CHECK_EQ(stats.missing[AXDEV_PORT], 4);
	guest_destroy(&guest);
}

GUEST_CODE(doorbell_port);

/* Of width and value: 7 in a word matches three times, 8 and the byte come out. */
GUEST_TEST(doorbell_port, "doorbell-port")
{
	guest_ring(&(struct axdev_doorbell){.space = AXDEV_PORT,
					    .addr = GUEST_PORT + 4,
					    .width = 2,
					    .has_match = true,
					    .match = 7},
		   code_doorbell_port, code_doorbell_port_end, 3, 2);
}
