/*
 * virtio-balloon against arbitrary page numbers, reports and statistics: any queue, guest memory
 * (rings and all) from the input. Memory beside the guest's may never change.
 */
#include "virtio_machine.h"
#include <linux/virtio_balloon.h>

#define NEIGHBOUR_GPA 0x100000ULL
#define ROM_GPA       (NEIGHBOUR_GPA + 0x1000)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct axvirtio *device;
static struct axdev *dev;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct axvirtio_balloon_config config = {
		.report_free_pages = true, .deflate_on_oom = true, .stats_interval_ns = 1};

	(void)argc;
	(void)argv;
	machine_init();
	/* What the guest may read and not write. */
	map_ram("rom", ROM_GPA, 0x1000);
	MUST(axas_fill(memory, ROM_GPA, 0xa5, 0x1000) == 0);
	MUST(axas_protect(memory, ROM_GPA, 0x1000, AXAS_READ, NULL) == 0);
	MUST(axvirtio_balloon_create("balloon", &config, &device, NULL) == 0);
	MUST(axvirtio_mmio_create("balloon", WINDOW_GPA, 5, device, &services, &dev, NULL) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned queue = size ? data[0] % 5 : 0;
	struct axvirtio_balloon_stats stats;
	uint32_t features = 0;
	uint8_t rom[0x1000];

	if (size < 2)
		return 0;
	if (data[0] & 8)
		features |= 1u << VIRTIO_BALLOON_F_STATS_VQ;
	if (data[0] & 16)
		features |= 1u << VIRTIO_BALLOON_F_REPORTING;
	if (data[0] & 32)
		features |= 1u << VIRTIO_RING_F_INDIRECT_DESC;
	if (data[0] & 64)
		features |= 1u << VIRTIO_RING_F_EVENT_IDX;
	load_memory(data + 2, size - 2);
	MUST(axas_write_u32(memory, 0x400, 0) == 0);
	bring_up_queue(dev, features, 1u << (data[1] % 6), queue);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	for (unsigned turn = 0; turn < 8 && axvirtio_poll(device); turn++)
		;
	reg_write(dev, VIRTIO_MMIO_CONFIG + (data[1] & 7), data[0]);
	axvirtio_balloon_get_stats(device, &stats);
	MUST(axas_read(memory, ROM_GPA, rom, sizeof(rom)) == 0);
	for (unsigned i = 0; i < sizeof(rom); i++)
		MUST(rom[i] == 0xa5);
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	return 0;
}
