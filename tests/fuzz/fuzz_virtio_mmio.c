/*
 * The virtio-mmio transport against arbitrary register traffic: a program of small instructions
 * that read and write registers of any width, write guest memory, kick, serve, suspend and reset.
 * The device under it gives every chain back. Nothing may be reached outside guest memory, and the
 * status register may only show what its rules allow.
 */
#include "virtio_machine.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct axdev *dev;
static uint8_t config[24];

static int one(struct axvirtio *device, unsigned index)
{
	struct iovec iov[24];
	struct axvq_chain chain;
	int r = axvirtio_pop(device, index, iov, 24, &chain);

	if (r <= 0)
		return r;
	for (uint32_t i = 0; i < chain.readable + chain.writable; i++)
		MUST(in_guest(iov[i].iov_base, iov[i].iov_len));
	axvirtio_push(device, index, chain.head, (uint32_t)chain.writable_bytes, 1);
	return 1;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, one);
}

static void write_config(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
			 unsigned width)
{
	(void)device;
	memcpy(config + offset, bytes, width);
}

static const struct axvirtio_ops ops = {
	.handle_queue = handle_queue,
	.write_config = write_config,
};
static const uint16_t queue_max[] = {16, 32, 1};
static struct axvirtio device = {
	.ops = &ops,
	.class_name = "fuzz",
	.device_id = 1,
	.queue_count = 3,
	.queue_max = queue_max,
	.config = config,
	.config_size = sizeof(config) - 1,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	machine_init();
	MUST(axvirtio_mmio_create("fuzz", WINDOW_GPA, 5, &device, &services, &dev, NULL) == 0);
	return 0;
}

static uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > *size)
		bytes = *size;
	memcpy(&value, *data, bytes);
	*data += bytes;
	*size -= bytes;
	return value;
}

static void check_status(void)
{
	const uint32_t status = (uint32_t)reg(dev, VIRTIO_MMIO_STATUS, 4, false, 0);

	MUST(!(status & ~0xcfu));
	MUST(!(status & 2) || status & 1);
	MUST(!(status & 8) || status & 2);
	MUST(!(status & 4) || status & 8);
	MUST(!(status & 64) || status & 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	load_memory(NULL, 0);
	dev->ops->reset(dev);
	while (size) {
		const unsigned op = (unsigned)take(&data, &size, 1);
		uint64_t at;

		switch (op % 8) {
		case 0: /* a register, the way a driver does */
			at = take(&data, &size, 1) & 0xfc;
			reg_write(dev, at, (uint32_t)take(&data, &size, 4));
			break;
		case 1: /* any access inside the window */
			at = take(&data, &size, 2) % (AXVIRTIO_MMIO_SIZE - 7);
			reg(dev, at, 1u << (op >> 3 & 3), op >> 5 & 1, take(&data, &size, 8));
			break;
		case 2:
			at = take(&data, &size, 2);
			axas_write_u64(memory, at, take(&data, &size, 8));
			break;
		case 3:
			at = take(&data, &size, 2);
			axas_write_u16(memory, at, (uint16_t)take(&data, &size, 2));
			break;
		case 4:
			reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, op >> 3 & 3);
			axvirtio_poll(&device);
			break;
		case 5:
			bring_up(dev, take(&data, &size, 4), 1u << (op >> 3 & 7));
			break;
		case 6:
			dev->ops->suspend(dev, NULL);
			axvirtio_poll(&device);
			dev->ops->resume(dev, NULL);
			axvirtio_poll(&device);
			break;
		case 7:
			axvirtio_update_config(&device, op >> 3, "new", 3);
			break;
		}
		check_status();
	}
	return 0;
}
