/*
 * virtio-net with vhost, as far as it goes without one: which features are offered, the memory
 * table that <linux/vhost.h> asks for, what is refused and how that is explained. Lending queues is
 * in test_pci.c, the packets are a boot case (net-vhost).
 */
#include "../test.h"

#include "axdevice/virtio/net_vhost.h"
#include <axvm/virtio_devices.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define BIT(n) (1ULL << (n))
#define RING \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define MERGE BIT(VIRTIO_NET_F_MRG_RXBUF)
/* Of the tap and the control queue: vhost knows nothing of them, which is no reason to do without.
 */
#define OTHERS                                                                           \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ))

static void offers(void **state)
{
	(void)state;
	assert_true(axvirtio_net_vhost_offer(OTHERS | MERGE, UINT64_MAX) == (OTHERS | MERGE));
	assert_true(axvirtio_net_vhost_offer(OTHERS | MERGE, RING | MERGE) == (OTHERS | MERGE));
	assert_true(axvirtio_net_vhost_offer(OTHERS | MERGE, RING) == OTHERS);
	/* Nothing of vhost's own (VHOST_NET_F_VIRTIO_NET_HDR, VHOST_F_LOG_ALL) reaches a driver. */
	assert_true(axvirtio_net_vhost_offer(OTHERS, RING | BIT(VHOST_NET_F_VIRTIO_NET_HDR) |
							     BIT(VHOST_F_LOG_ALL)) == OTHERS);
	/* What every device offers has to be there. */
	for (unsigned bit = 0; bit < 64; bit++)
		if (RING >> bit & 1)
			assert_true(!axvirtio_net_vhost_offer(OTHERS, (RING | MERGE) & ~BIT(bit)));
}

static struct axas_region_info region(uint64_t gpa, uint64_t bytes, uint64_t hva, uint32_t flags)
{
	return (struct axas_region_info){
		.gpa = gpa, .size_bytes = bytes, .hva = (void *)(uintptr_t)hva, .flags = flags};
}

static void is(const struct vhost_memory *table, unsigned index, uint64_t gpa, uint64_t bytes,
	       uint64_t hva)
{
	assert_true(table->regions[index].guest_phys_addr == gpa);
	assert_true(table->regions[index].memory_size == bytes);
	assert_true(table->regions[index].userspace_addr == hva);
	assert_true(table->regions[index].flags_padding == 0);
}

static void memory_table(void **state)
{
	const struct axas_region_info regions[] = {
		region(0, 0xa0000, 0x10000000, AXAS_RW),
		region(0xa0000, 0x60000, 0x100a0000, AXAS_RW | AXAS_EXEC), /* goes on */
		region(0x100000, 0x1000, 0x10100000, AXAS_READ),           /* not writable */
		region(0x101000, 0x1000, 0x10101000, AXAS_RW),             /* behind that */
		region(0x102000, 0x1000, 0x20000000, AXAS_RW),             /* elsewhere here */
		region(0x100000000, 0x40000000, 0x20001000, AXAS_RW),      /* elsewhere there */
	};
	struct vhost_memory *table = calloc(1, sizeof(*table) + 6 * sizeof(table->regions[0]));

	(void)state;
	assert_non_null(table);
	table->padding = table->nregions = 99;
	assert_int_equal(axvirtio_net_vhost_table(regions, 6, table), 4);
	assert_int_equal(table->nregions, 4);
	assert_int_equal(table->padding, 0);
	is(table, 0, 0, 0x100000, 0x10000000);
	is(table, 1, 0x101000, 0x1000, 0x10101000);
	is(table, 2, 0x102000, 0x1000, 0x20000000);
	is(table, 3, 0x100000000, 0x40000000, 0x20001000);
	assert_int_equal(axvirtio_net_vhost_table(regions + 2, 1, table), 0);
	assert_int_equal(axvirtio_net_vhost_table(NULL, 0, table), 0);
	assert_int_equal(table->nregions, 0);
	free(table);
}

static void explained(int code, const char *hint)
{
	struct ax_error err = {0};

	assert_int_equal(axvirtio_net_vhost_explain("net7", code, &err), -code);
	assert_int_equal(err.kind, AX_ERROR_DEVICE);
	assert_non_null(strstr(err.message, "net7"));
	assert_non_null(strstr(err.message, "/dev/vhost-net"));
	assert_non_null(strstr(err.message, strerror(code)));
	assert_non_null(strstr(err.hint, hint));
}

static void explanations(void **state)
{
	(void)state;
	explained(ENOENT, "modprobe vhost_net");
	explained(ENODEV, "modprobe vhost_net");
	explained(EACCES, "readable and writable");
	explained(EPERM, "readable and writable");
}

static void refused(const struct axvirtio_net_config *config, const char *what)
{
	struct axvirtio *device = NULL;
	struct ax_error err = {0};

	assert_true(axvirtio_net_create("net7", config, &device, &err) < 0);
	assert_null(device);
	assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
	assert_non_null(strstr(err.message, what));
}

/* Before anything is opened. */
static void combinations(void **state)
{
	struct axvirtio_net_config config = {
		.backend = AXVIRTIO_NET_PACKET, .fd = 0, .vhost = true};

	(void)state;
	refused(&config, "tap");
	config.backend = AXVIRTIO_NET_STREAM;
	refused(&config, "tap");
	config = (struct axvirtio_net_config){
		.backend = AXVIRTIO_NET_TAP, .fd = -1, .tap = "none", .vhost = true};
	config.tx_limit.bytes_per_s = 1;
	refused(&config, "limit");
	config.tx_limit.bytes_per_s = 0;
	config.rx_limit.ops_per_s = 1;
	refused(&config, "limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(memory_table),
		cmocka_unit_test(explanations),
		cmocka_unit_test(combinations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
