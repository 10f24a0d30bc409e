/*
 * virtio-console against arbitrary rings and messages: two ports on descriptors and a driver that
 * brings six queues up, with guest memory (rings, control messages and all) from the input, and
 * bytes that come in meanwhile. The host's end sees what is in guest memory and never more than the
 * ring of a backend at once.
 */
#include "virtio_machine.h"
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS  2
#define QUEUES 6

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ax_loop *loop;
static struct axchr *chr[PORTS];
static int peer[PORTS];
static struct axvirtio *device;
static struct axdev *dev;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct axvirtio_console_port ports[PORTS] = {{.name = "first", .is_console = true},
						     {.name = "second"}};
	const struct axvirtio_console_config config = {
		.ports = ports, .port_count = PORTS, .columns = 80, .rows = 24};

	(void)argc;
	(void)argv;
	machine_init();
	MUST(ax_loop_create(AX_LOOP_EPOLL, &loop, NULL) == 0);
	services.io_loop = loop;
	for (unsigned i = 0; i < PORTS; i++) {
		struct axchr_config to = {0};
		int fds[2];

		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
		to.in_fd = to.out_fd = fds[1];
		peer[i] = fds[0];
		MUST(axchr_create(&to, loop, &chr[i], NULL) == 0);
		ports[i].chr = chr[i];
	}
	MUST(axvirtio_console_create("console", &config, &device, NULL) == 0);
	MUST(axvirtio_mmio_create("console", WINDOW_GPA, 5, device, &services, &dev, NULL) == 0);
	return 0;
}

/* Rings of a queue: a quarter KiB of descriptors, then avail and used, from 1 KiB times its number.
 */
static void bring_up_queues(uint32_t features, uint32_t size)
{
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 3);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, features);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 11);
	for (uint32_t i = 0; i < QUEUES; i++) {
		MUST(axas_write_u32(memory, i * 0x400 + 0x200, 0) == 0);
		reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, i);
		reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, size);
		reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, i * 0x400);
		reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, i * 0x400 + 0x100);
		reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, i * 0x400 + 0x200);
		reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, 15);
}

/* A guest that lets us write into its own rings can go on for ever; we do not. */
static void turn(unsigned count)
{
	while (count-- && ax_loop_step(loop))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[4096];
	uint32_t features = 0;

	if (size < 4)
		return 0;
	if (data[0] & 1)
		features |= 1u << VIRTIO_CONSOLE_F_MULTIPORT;
	if (data[0] & 2)
		features |= 1u << VIRTIO_CONSOLE_F_SIZE;
	if (data[0] & 4)
		features |= 1u << VIRTIO_RING_F_INDIRECT_DESC;
	if (data[0] & 8)
		features |= 1u << VIRTIO_RING_F_EVENT_IDX;
	load_memory(data + 4, size - 4);
	bring_up_queues(features, 1u << (data[1] % 5));
	turn(8);
	for (unsigned i = 0; i < PORTS; i++)
		(void)!send(peer[i], data, size < 300 ? size : 300, 0);
	if (data[0] & 16)
		axvirtio_console_resize(device, data[2], data[3]);
	for (uint32_t i = 0; i < 2 * QUEUES; i++) {
		reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, i % QUEUES);
		turn(4);
		if (data[0] & 32)
			reg(dev, VIRTIO_MMIO_CONFIG + data[3] % 16u, 1u << data[2] % 3, true,
			    data[1]);
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	for (unsigned i = 0; i < PORTS; i++) {
		do {
			turn(4);
		} while (recv(peer[i], bytes, sizeof(bytes), 0) > 0);
	}
	return 0;
}
