/*
 * The virtio-pci transport and the PCI host against arbitrary traffic: a program of small
 * instructions that access configuration space and BAR with any width, change guest memory, kick,
 * serve, suspend and reset. Nothing may be reached outside guest memory, the BAR stays where it is,
 * and the status register may only show what its rules allow.
 */
#include "virtio_machine.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ECAM_GPA   0xd0200000ULL
#define BARS_GPA   0xd1000000ULL
#define BAR_BYTES  0x8000U
#define MSI_FIRST  24
#define MSI_COUNT  16
#define FUNCTION   (ECAM_GPA + (1 << 15))
#define STATUS_GPA (BARS_GPA + VIRTIO_PCI_COMMON_STATUS)

static struct axbus *bus;
static uint8_t config[24];
static bool msi_fd[MSI_COUNT], msi_message[MSI_COUNT];

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
	.device_id = 2,
	.queue_count = 3,
	.queue_max = queue_max,
	.config = config,
	.config_size = sizeof(config) - 1,
};

/* An interrupt controller that only minds the order of things. */
static int assign_fd(void *ctx, uint32_t gsi, int fd, struct ax_error *err)
{
	(void)ctx;
	(void)fd;
	(void)err;
	MUST(gsi >= MSI_FIRST && gsi < MSI_FIRST + MSI_COUNT);
	MUST(msi_message[gsi - MSI_FIRST] && !msi_fd[gsi - MSI_FIRST]);
	msi_fd[gsi - MSI_FIRST] = true;
	return 0;
}

static int release_fd(void *ctx, uint32_t gsi, int fd)
{
	(void)ctx;
	(void)fd;
	MUST(msi_fd[gsi - MSI_FIRST]);
	msi_fd[gsi - MSI_FIRST] = false;
	return 0;
}

static int set_msi(void *ctx, uint32_t gsi, const struct axirq_message *message,
		   struct ax_error *err)
{
	(void)ctx;
	MUST(gsi >= MSI_FIRST && gsi < MSI_FIRST + MSI_COUNT);
	/* Some are refused, as KVM does. */
	if (message && message->address >> 60)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL, "refused");
	msi_message[gsi - MSI_FIRST] = message != NULL;
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct axirq_chip chip = {
		.set_level = ignore_level,
		.assign_fd = assign_fd,
		.release_fd = release_fd,
		.gsi_count = MSI_FIRST,
		.set_msi = set_msi,
		.msi_first = MSI_FIRST,
		.msi_count = MSI_COUNT,
	};
	static const struct axpci_host_config host = {ECAM_GPA, BARS_GPA, 0x100000, true};
	struct axdev *dev;

	(void)argc;
	(void)argv;
	ax_log_set_level(AX_LOG_ERROR);
	machine_init();
	axirq_domain_destroy(services.irqs);
	MUST(axirq_domain_create(&chip, &services.irqs, NULL) == 0);
	MUST(axbus_create(AXBUS_MISSING_IGNORE, &bus, NULL) == 0);
	MUST(axdev_create("pci-host", "pci0", &host, sizeof(host), &services, &dev, NULL) == 0);
	MUST(axbus_attach(bus, dev, NULL) == 0);
	MUST(axvirtio_pci_create("fuzz", axpci_host_of(dev), &device, &services, &dev, NULL) == 0);
	MUST(axbus_attach(bus, dev, NULL) == 0);
	return 0;
}

static uint64_t at(enum axdev_space space, uint64_t addr, unsigned width, bool write,
		   uint64_t value)
{
	struct axdev_access access = {
		.space = space, .width = (uint8_t)width, .is_write = write, .value = value};

	MUST(axbus_access(bus, addr, &access) == 0);
	MUST(width == 8 || !(access.value >> (8 * width)));
	return access.value;
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

static void write_common(uint32_t offset, unsigned width, uint64_t value)
{
	at(AXDEV_MMIO, BARS_GPA + offset, width, true, value);
}

/* A driver that does everything right as far as DRIVER_OK: one queue, rings in the first KiB. */
static void start_driver(uint64_t features, uint32_t size)
{
	at(AXDEV_MMIO, FUNCTION + PCI_COMMAND, 2, true, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (uint32_t status = 0; status < 4; status = status * 2 + 1)
		write_common(VIRTIO_PCI_COMMON_STATUS, 1, status);
	write_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	write_common(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	write_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	write_common(VIRTIO_PCI_COMMON_GF, 4, 1);
	write_common(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	write_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	write_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	write_common(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	write_common(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0);
	write_common(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x200);
	write_common(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x400);
	write_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	write_common(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void check(void)
{
	const uint64_t command = at(AXDEV_MMIO, FUNCTION + PCI_COMMAND, 2, false, 0);
	const uint64_t bar = at(AXDEV_MMIO, FUNCTION + PCI_BASE_ADDRESS_0, 4, false, 0);
	uint32_t status;

	MUST(bar == BARS_GPA || bar == (uint32_t) ~(BAR_BYTES - 1));
	MUST(!(command & ~6U));
	MUST(at(AXDEV_MMIO, FUNCTION, 4, false, 0) == 0x10421af4);
	status = (uint32_t)at(AXDEV_MMIO, STATUS_GPA, 1, false, 0);
	if (!(command & PCI_COMMAND_MEMORY)) {
		MUST(status == 0xff);
		return;
	}
	MUST(!(status & ~0xcfu));
	MUST(!(status & 2) || status & 1);
	MUST(!(status & 8) || status & 2);
	MUST(!(status & 4) || status & 8);
	MUST(!(status & 64) || status & 4);
	/* Nothing is sent without bus mastering. */
	for (unsigned i = 0; i < MSI_COUNT && !(command & PCI_COMMAND_MASTER); i++)
		MUST(!msi_fd[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	load_memory(NULL, 0);
	axbus_reset(bus);
	while (size) {
		const unsigned op = (unsigned)take(&data, &size, 1);
		const unsigned width = 1 + (op >> 4 & 7);
		uint64_t where;

		switch (op % 8) {
		case 0: /* configuration space, by ECAM */
			where = FUNCTION + take(&data, &size, 1) % (257 - width);
			at(AXDEV_MMIO, where, width, op >> 3 & 1, take(&data, &size, width));
			break;
		case 1: /* any access inside the BAR */
			where = BARS_GPA + take(&data, &size, 2) % (BAR_BYTES + 1 - width);
			at(AXDEV_MMIO, where, width, op >> 3 & 1, take(&data, &size, width));
			break;
		case 2: /* common configuration or MSI-X table, the way a driver does */
			where = BARS_GPA + (op >> 3 & 1 ? 0x3000 : 0) +
				(take(&data, &size, 1) & 0x3f);
			at(AXDEV_MMIO, where, 1U << (op >> 4 & 3), true, take(&data, &size, 8));
			break;
		case 3:
			where = take(&data, &size, 2);
			axas_write_u64(memory, where, take(&data, &size, 8));
			break;
		case 4:
			at(AXDEV_MMIO, BARS_GPA + 0x4000 + 4 * (op >> 3 & 3), 2, true, 0);
			axvirtio_poll(&device);
			break;
		case 5:
			start_driver(take(&data, &size, 4), 1U << (op >> 3 & 7));
			break;
		case 6:
			if (op >> 3 & 1) { /* by the ports */
				at(AXDEV_PORT, 0xcf8, 4, true, take(&data, &size, 4));
				at(AXDEV_PORT, 0xcfc + (op >> 4 & 3), 1, op >> 6 & 1,
				   take(&data, &size, 1));
				break;
			}
			MUST(axbus_suspend(bus, NULL) == 0);
			axvirtio_poll(&device);
			MUST(axbus_resume(bus, NULL) == 0);
			axvirtio_poll(&device);
			break;
		case 7:
			axvirtio_update_config(&device, op >> 3 & 7, "new", 3);
			break;
		}
		check();
	}
	return 0;
}
