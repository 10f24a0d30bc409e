/*
 * The virtio-pci transport against Spec 4.1, through a bus, by a driver that finds everything by
 * its capabilities: registers, the order of things, interrupts with and without MSI-X, doorbells,
 * the window in configuration space, queues that somebody outside serves, and what a guest may do
 * to all of them.
 */
#include "driver.h"

#include "../axdevice/msi_chip.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <sys/eventfd.h>

#define ECAM_GPA 0xd0200000ULL
#define BARS_GPA 0xd1000000ULL
#define RING_GPA 0x10000ULL
#define BUF_GPA  0x40000ULL
#define S_READY  (ST_ACK | ST_DRIVER | ST_FEAT | ST_OK)
#define NONE     0xffffU

static struct machine m;
static struct msi_chip chip;
static struct axbus *bus;
static struct axdev *dev;
static struct ring ring;
static uint64_t common, isr, config, notify; /* addresses, as found */
static uint32_t stride, window;
static struct axdev_doorbell bells[4];
static unsigned bell_count, bell_limit;

/* ---- a device: two queues, eleven bytes of configuration, chains given back at once ---------- */

static struct {
	struct axvirtio device;
	uint8_t config[11];
	unsigned destroyed, served;
	/* lending queue 0, when `lends` */
	bool lends, lent;
	int kick_fd, start_result;
	struct axvirtio_rings rings;
	unsigned started, stopped, moved;
} toy;

static int toy_one(struct axvirtio *device, unsigned index)
{
	struct iovec iov[16];
	struct axvq_chain chain;
	const int r = axvirtio_pop(device, index, iov, 16, &chain);

	if (r > 0) {
		toy.served++;
		axvirtio_push(device, index, chain.head, 1, 10);
	}
	return r;
}

static void toy_handle(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, toy_one);
}

static void toy_write(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
		      unsigned width)
{
	(void)device;
	memcpy(toy.config + offset, bytes, width);
}

static void toy_destroy(struct axvirtio *device)
{
	(void)device;
	toy.destroyed++;
}

static int toy_start(struct axvirtio *device)
{
	toy.started++;
	if (toy.lends)
		toy.lent = axvirtio_lend(device, 0, toy.kick_fd, &toy.rings);
	else
		axvirtio_take_back(device, 0);
	return toy.start_result;
}

static void toy_stop(struct axvirtio *device)
{
	(void)device;
	toy.stopped++;
}

static void toy_moved(struct axvirtio *device, unsigned index)
{
	(void)device;
	assert_int_equal(index, 0);
	toy.moved++;
}

static const struct axvirtio_ops toy_ops = {
	.handle_queue = toy_handle,
	.start = toy_start,
	.stop = toy_stop,
	.interrupt_moved = toy_moved,
	.write_config = toy_write,
	.destroy = toy_destroy,
};
static const uint16_t toy_max[] = {8, 16};

static void toy_make(void)
{
	memset(&toy, 0, sizeof(toy));
	for (size_t i = 0; i < sizeof(toy.config); i++)
		toy.config[i] = (uint8_t)(0x10 + i);
	toy.device = (struct axvirtio){
		.ops = &toy_ops,
		.class_name = "toy",
		.device_id = 2,
		.queue_count = 2,
		.queue_max = toy_max,
		.config = toy.config,
		.config_size = sizeof(toy.config),
	};
}

/* ---- a guest --------------------------------------------------------------------------------- */

static uint64_t get(uint64_t gpa, unsigned width)
{
	struct axdev_access access = {.space = AXDEV_MMIO, .width = (uint8_t)width};

	assert_int_equal(axbus_access(bus, gpa, &access), 0);
	return access.value;
}

static void put(uint64_t gpa, unsigned width, uint64_t value)
{
	struct axdev_access access = {
		.space = AXDEV_MMIO, .width = (uint8_t)width, .is_write = true, .value = value};

	assert_int_equal(axbus_access(bus, gpa, &access), 0);
}

static uint64_t cfg(uint32_t offset, unsigned width)
{
	return get(ECAM_GPA + (1 << 15) + offset, width);
}

static void cfg_put(uint32_t offset, unsigned width, uint64_t value)
{
	put(ECAM_GPA + (1 << 15) + offset, width, value);
}

/* 4.1.4: walk the list, believe nothing else. */
static void find_parts(void)
{
	common = isr = config = notify = 0;
	for (uint32_t at = (uint32_t)cfg(PCI_CAPABILITY_LIST, 1); at;
	     at = (uint32_t)cfg(at + 1, 1)) {
		const uint64_t where = (cfg(PCI_BASE_ADDRESS_0, 4) & ~0xfULL) + cfg(at + 8, 4);

		if (cfg(at, 1) != PCI_CAP_ID_VNDR)
			continue;
		assert_int_equal(cfg(at + 4, 1), 0); /* BAR 0 */
		switch (cfg(at + 3, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			common = where;
			assert_int_equal(cfg(at + 12, 4), 56);
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			isr = where;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			config = where;
			assert_int_equal(cfg(at + 12, 4), 12);
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			notify = where;
			stride = (uint32_t)cfg(at + 16, 4);
			assert_int_equal(cfg(at + 2, 1), 20);
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			window = at;
			assert_int_equal(cfg(at + 2, 1), 20);
			break;
		default:
			fail_msg("capability of type %u", (unsigned)cfg(at + 3, 1));
		}
	}
	assert_true(common && isr && config && notify && window);
}

static uint64_t reg(uint32_t offset, unsigned width)
{
	return get(common + offset, width);
}

static void reg_put(uint32_t offset, unsigned width, uint64_t value)
{
	put(common + offset, width, value);
}

static uint32_t status(void)
{
	return (uint32_t)reg(VIRTIO_PCI_COMMON_STATUS, 1);
}

static void pci_negotiate(uint64_t features)
{
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, ST_ACK);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, ST_ACK | ST_DRIVER);
	for (uint32_t word = 0; word < 2; word++) {
		reg_put(VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		reg_put(VIRTIO_PCI_COMMON_GF, 4, features >> (32 * word));
	}
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, ST_ACK | ST_DRIVER | ST_FEAT);
}

static void pci_queue(uint16_t index, const struct ring *r)
{
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	reg_put(VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
	reg_put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, r->avail_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0);
	reg_put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, r->used_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* Vector n to the message with data 0x40 + n, all unmasked. */
static void pci_msix(void)
{
	uint32_t at = (uint32_t)cfg(PCI_CAPABILITY_LIST, 1);
	uint64_t table;

	while (cfg(at, 1) != PCI_CAP_ID_MSIX)
		at = (uint32_t)cfg(at + 1, 1);
	assert_int_equal(cfg(at + PCI_MSIX_FLAGS, 2), 2); /* configuration and two queues */
	table = BARS_GPA + cfg(at + PCI_MSIX_TABLE, 4);
	cfg_put(at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned n = 0; n < 3; n++) {
		put(table + 16 * n, 8, 0xfee00000);
		put(table + 16 * n + 8, 8, 0x40 + n);
	}
}

static void ring_bell(unsigned queue)
{
	put(notify + stride * queue, 2, queue);
	axvirtio_poll(&toy.device);
}

static void start(void)
{
	pci_negotiate(F_VERSION_1);
	pci_queue(0, &ring);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	assert_int_equal(status(), S_READY);
}

static struct axvirtio_stats stats(void)
{
	struct axvirtio_stats s;

	assert_int_equal(axvirtio_get_stats(dev, &s), 0);
	return s;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int assign_bell(void *ctx, const struct axdev_doorbell *bell, struct ax_error *err)
{
	(void)ctx;
	if (bell_count == bell_limit)
		return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC, "no more doorbells");
	bells[bell_count++] = *bell;
	return 0;
}

static int release_bell(void *ctx, const struct axdev_doorbell *bell)
{
	(void)ctx;
	for (unsigned i = 0; i < bell_count; i++) {
		if (bells[i].addr != bell->addr || bells[i].event_fd != bell->event_fd)
			continue;
		bells[i] = bells[--bell_count];
		return 0;
	}
	fail_msg("no such doorbell");
	return -ENOENT;
}

static struct axpci_host *make_host(void)
{
	const struct axpci_host_config host = {ECAM_GPA, BARS_GPA, 0x100000, false};
	struct axdev *host_dev;

	assert_int_equal(
		axdev_create("pci-host", "pci0", &host, sizeof(host), &m.services, &host_dev, NULL),
		0);
	assert_int_equal(axbus_attach(bus, host_dev, NULL), 0);
	return axpci_host_of(host_dev);
}

static void make_machine(void)
{
	const struct axirq_chip ops = msi_chip_ops(&chip);

	machine_init(&m);
	axirq_domain_destroy(m.irqs);
	assert_int_equal(axirq_domain_create(&ops, &m.irqs, NULL), 0);
	m.services.irqs = m.irqs;
	m.services.assign_doorbell = assign_bell;
	m.services.release_doorbell = release_bell;
	bell_count = 0;
	bell_limit = AX_ARRAY_LEN(bells);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &bus, NULL), 0);
	toy_make();
}

static int setup(void **state)
{
	struct axvirtio_place place = {.pci = NULL};
	(void)state;

	make_machine();
	place.pci = make_host();
	assert_int_equal(axvirtio_attach("toy0", &place, &toy.device, &m.services, &dev, NULL), 0);
	assert_int_equal(axbus_attach(bus, dev, NULL), 0);
	ring_init(&ring, &m, RING_GPA, 8);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_parts();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	axbus_destroy(bus);
	assert_int_equal(toy.destroyed, 1);
	assert_int_equal(bell_count, 0);
	assert_int_equal(axirq_msi_available(m.irqs), MSI_COUNT);
	machine_finish(&m);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void identity(void **state)
{
	(void)state;
	assert_int_equal(cfg(PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(cfg(PCI_DEVICE_ID, 2), 0x1042);
	assert_true(cfg(PCI_REVISION_ID, 1) >= 1);
	assert_true(cfg(PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(cfg(PCI_CLASS_DEVICE, 2), 0x0180);
	assert_int_equal(stride, 4);
	assert_ptr_equal(axvirtio_of(dev), &toy.device);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	reg_put(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_DF, 4), 1); /* VERSION_1 */
	for (unsigned i = 0; i < 2; i++) {
		reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_NOFF, 2), i);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_SIZE, 2), toy_max[i]);
	}
}

/* 4.1.3.1: each field has one width; all other accesses of every width change nothing. */
static void access_matrix(void **state)
{
	static const uint8_t width_at[56] = {
		[0] = 4,  [4] = 4,  [8] = 4,  [12] = 4, [16] = 2, [18] = 2, [20] = 1,
		[21] = 1, [22] = 2, [24] = 2, [26] = 2, [28] = 2, [30] = 2, [32] = 4,
		[36] = 4, [40] = 4, [44] = 4, [48] = 4, [52] = 4};
	uint8_t before[56], after[56];
	(void)state;

	pci_negotiate(F_VERSION_1);
	for (unsigned i = 0; i < 56; i++)
		if (width_at[i])
			before[i] = (uint8_t)reg(i, width_at[i]);
	for (unsigned at = 0; at < 56; at++)
		for (unsigned width = 1; width <= 8; width++) {
			const uint64_t ones = width == 8 ? UINT64_MAX : (1ULL << 8 * width) - 1;

			if (width == width_at[at] || (width == 8 && at >= 32 && at % 8 == 0))
				continue;
			assert_int_equal(reg(at, width), ones);
			reg_put(at, width, 0);
			reg_put(at, width, UINT64_MAX);
		}
	for (unsigned i = 0; i < 56; i++)
		if (width_at[i]) {
			after[i] = (uint8_t)reg(i, width_at[i]);
			assert_int_equal(after[i], before[i]);
		}
	/* Read-only fields and what is not there. */
	const uint64_t bad = stats().bad_register_writes;
	reg_put(VIRTIO_PCI_COMMON_NUMQ, 2, 7);
	reg_put(VIRTIO_PCI_COMMON_CFGGENERATION, 1, 7);
	reg_put(VIRTIO_PCI_COMMON_DF, 4, 7);
	reg_put(VIRTIO_PCI_COMMON_Q_NOFF, 2, 7);
	assert_int_equal(stats().bad_register_writes, bad + 4);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	for (uint64_t at = common + 56; at < isr; at += 8)
		assert_true(get(at, 8) == UINT64_MAX);
}

static void requests_and_vectors(void **state)
{
	uint32_t id, len;
	(void)state;

	pci_msix();
	pci_negotiate(F_VERSION_1);
	reg_put(VIRTIO_PCI_COMMON_MSIX, 2, 0);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_MSIX, 2), 0);
	pci_queue(0, &ring);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_MSIX, 2), 2);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	offer(&ring, 0);
	ring_bell(0);
	assert_true(take_used(&ring, &id, &len));
	assert_int_equal(msi_chip_delivered(&chip, 2), 1);
	assert_int_equal(chip.msi[2].message.data, 0x42);
	assert_int_equal(msi_chip_delivered(&chip, 0), 0);
	assert_int_equal(msi_chip_delivered(&chip, 1), 0);
	assert_int_equal(get(isr, 1), 0); /* not with MSI-X */

	axvirtio_update_config(&toy.device, 0, "x", 1);
	assert_int_equal(msi_chip_delivered(&chip, 0), 1);
	assert_int_equal(get(config, 1), 'x');
	/* No vector: no interrupt. */
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, NONE);
	offer(&ring, 0);
	ring_bell(0);
	assert_true(take_used(&ring, &id, &len));
	assert_int_equal(msi_chip_delivered(&chip, 2), 1);
}

/* 4.1.5.1.2.1: what cannot be is read back as no vector. */
static void vectors_out_of_range(void **state)
{
	static const uint32_t bad[] = {3, 4, 64, 65, 127, 128, 0x7fff, 0x8000, 0xfffe, NONE};
	(void)state;

	pci_msix();
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		for (unsigned queue = 0; queue < 2; queue++) {
			reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
			reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
			assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
			reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, bad[i]);
			assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_MSIX, 2), NONE);
		}
		reg_put(VIRTIO_PCI_COMMON_MSIX, 2, 1);
		reg_put(VIRTIO_PCI_COMMON_MSIX, 2, bad[i]);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_MSIX, 2), NONE);
	}
	/* A reset forgets vectors; the table stays. */
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_MSIX, 2), NONE);
	assert_true(chip.msi[1].has_message);
}

static void isr_without_msix(void **state)
{
	(void)state;
	start();
	offer(&ring, 0);
	ring_bell(0);
	axvirtio_update_config(&toy.device, 0, "x", 1);
	assert_int_equal(get(isr, 1), 3);
	assert_int_equal(get(isr, 1), 0); /* read to clear */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(msi_chip_delivered(&chip, i), 0);
}

/* Must-test 2 and 3: selectors out of range, sizes that are none, set-up at the wrong time. */
static void queues(void **state)
{
	static const uint32_t none[] = {2, 3, 64, 0x7fff, 0x8000, 0xffff};
	static const uint16_t sizes[] = {0, 3, 5, 7, 9, 16, 0x8000, 0xffff};
	(void)state;

	pci_queue(0, &ring); /* too early: before FEATURES_OK */
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	pci_negotiate(F_VERSION_1);
	for (size_t i = 0; i < AX_ARRAY_LEN(none); i++) {
		pci_queue((uint16_t)none[i], &ring);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
		reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_MSIX, 2), NONE);
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(sizes); i++) {
		struct ring odd = ring;

		odd.size = sizes[i];
		pci_negotiate(F_VERSION_1);
		pci_queue(0, &odd);
		assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_SIZE, 2), sizes[i]);
		reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
		assert_int_equal(status(), S_READY | ST_RESET);
	}
	/* Nobody has written a size: the largest. Enabling is not undone by a 0. */
	pci_negotiate(F_VERSION_1);
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	reg_put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring.desc_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring.avail_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, ring.used_gpa);
	reg_put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	reg_put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	reg_put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	offer(&ring, 0);
	ring_bell(0);
	assert_int_equal(used_shown(&ring), 1);
}

static void latched_after_driver_ok(void **state)
{
	static const uint8_t at[] = {24, 28, 32, 36, 40, 44, 48, 52};
	unsigned done = 0;
	(void)state;

	start();
	for (size_t i = 0; i < sizeof(at); i++) {
		for (unsigned queue = 0; queue < 2; queue++) {
			reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
			reg_put(at[i], at[i] < 32 ? 2 : 4, 0xffffffff);
			reg_put(at[i], at[i] < 32 ? 2 : 4, 0);
			offer(&ring, 0);
			ring_bell(0);
			assert_int_equal(used_shown(&ring), ++done);
		}
	}
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	reg_put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(status(), S_READY);
}

static void reset_forgets(void **state)
{
	(void)state;
	start();
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(status(), 0);
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	assert_int_equal(reg(VIRTIO_PCI_COMMON_Q_USEDLO, 8), 0);
	offer(&ring, 0);
	ring_bell(0);
	assert_int_equal(used_shown(&ring), 0);
	ring_init(&ring, &m, RING_GPA, 8);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	start();
	offer(&ring, 0);
	ring_bell(0);
	assert_int_equal(used_shown(&ring), 1);
	/* The machine's reset: off the bus, too. */
	axbus_reset(bus);
	assert_int_equal(status(), 0xff);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(status(), 0);
}

/* Kicks by address: one doorbell for each queue, for writes of any width. */
static void doorbells(void **state)
{
	(void)state;
	assert_int_equal(bell_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(bells[i].addr == notify + stride * i);
		assert_int_equal(bells[i].space, AXDEV_MMIO);
		assert_true(!bells[i].width && !bells[i].has_match);
	}
	start();
	for (unsigned width = 1, done = 0; width <= 8; width++) {
		offer(&ring, 0);
		put(notify, width, UINT64_MAX);
		axvirtio_poll(&toy.device);
		assert_int_equal(used_shown(&ring), ++done);
	}
	assert_int_equal(get(notify, 4), 0);
	const uint64_t bad = stats().bad_register_writes;
	for (uint64_t at = notify + 2 * stride; at < BARS_GPA + 0x8000; at += 4)
		put(at, 4, 0);
	put(notify + 1, 2, 0);
	put(notify + 6, 2, 0);
	assert_int_equal(stats().bad_register_writes, bad + 0x4000 / 4 - 2 + 2);
	assert_int_equal(status(), S_READY);
}

/* A function that is no bus master touches no memory and sends nothing; then it goes on. */
static void bus_master(void **state)
{
	struct ax_error err;
	(void)state;

	pci_msix();
	pci_negotiate(F_VERSION_1);
	pci_queue(0, &ring);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	offer(&ring, 0);
	ring_bell(0);
	assert_int_equal(used_shown(&ring), 0);
	/* Pausing and resuming the VM does not undo that. */
	assert_int_equal(axbus_suspend(bus, &err), 0);
	assert_int_equal(axbus_resume(bus, &err), 0);
	axvirtio_poll(&toy.device);
	assert_int_equal(used_shown(&ring), 0);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	axvirtio_poll(&toy.device);
	assert_int_equal(used_shown(&ring), 1);
	assert_int_equal(msi_chip_delivered(&chip, 1), 1);
	assert_int_equal(axbus_suspend(bus, &err), 0);
	offer(&ring, 0);
	ring_bell(0);
	assert_int_equal(used_shown(&ring), 1);
	assert_int_equal(axbus_resume(bus, &err), 0);
	axvirtio_poll(&toy.device);
	assert_int_equal(used_shown(&ring), 2);
}

static void memory_off(void **state)
{
	(void)state;
	start();
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(status(), 0xff);
	assert_true(get(config, 8) == UINT64_MAX);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(status(), S_READY);
}

static void device_config(void **state)
{
	(void)state;
	assert_int_equal(get(config, 1), 0x10);
	assert_int_equal(get(config + 2, 2), 0x1312);
	put(config + 4, 4, 0xddccbbaa);
	assert_int_equal(get(config + 4, 4), 0xddccbbaa);
	assert_int_equal(toy.config[7], 0xdd);
	/* Past its end and across it: no byte of anything else. */
	for (uint64_t at = config; at < config + 0x1000; at++)
		for (unsigned width = 1; width <= 8; width++)
			if (at + width > config + sizeof(toy.config)) {
				put(at, width, UINT64_MAX);
				(void)get(at, width);
			}
	assert_int_equal(toy.config[7], 0xdd);
	assert_int_equal(toy.config[10], 0x1a);
	const uint64_t generation = reg(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	axvirtio_update_config(&toy.device, 0, "y", 1);
	assert_true(reg(VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation);
}

/* 4.1.4.9: the same registers by configuration accesses, and nothing outside the BAR. */
static void cfg_window(void **state)
{
	static const struct {
		uint32_t bar, offset, length;
	} bad[] = {{1, 0, 4},      {0xff, 0, 4},       {0, 0, 0},          {0, 0, 3},
		   {0, 0, 8},      {0, 2, 4},          {0, 1, 2},          {0, 0x8000, 4},
		   {0, 0x8001, 1}, {0, 0xfffffffc, 4}, {0, 0xffffffff, 1}, {0, 0, UINT32_MAX}};
	(void)state;

	start();
	cfg_put(window + 4, 1, 0);
	cfg_put(window + 8, 4, common - BARS_GPA + VIRTIO_PCI_COMMON_NUMQ);
	cfg_put(window + 12, 4, 2);
	assert_int_equal(cfg(window + 16, 2), 2);
	cfg_put(window + 8, 4, common - BARS_GPA + VIRTIO_PCI_COMMON_STATUS);
	cfg_put(window + 12, 4, 1);
	assert_int_equal(cfg(window + 16, 1), S_READY);
	/* A kick, and the end of it all. */
	offer(&ring, 0);
	cfg_put(window + 8, 4, notify - BARS_GPA);
	cfg_put(window + 12, 4, 2);
	cfg_put(window + 16, 2, 0);
	axvirtio_poll(&toy.device);
	assert_int_equal(used_shown(&ring), 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		cfg_put(window + 4, 1, bad[i].bar);
		cfg_put(window + 8, 4, bad[i].offset);
		cfg_put(window + 12, 4, bad[i].length);
		assert_int_equal(cfg(window + 16, 4), UINT32_MAX);
		cfg_put(window + 16, 4, 0);
		assert_int_equal(status(), S_READY);
	}
	/* The capability itself stays what it is. */
	cfg_put(window, 4, 0);
	cfg_put(window + 5, 1, 0xff);
	assert_int_equal(cfg(window, 1), PCI_CAP_ID_VNDR);
	assert_int_equal(cfg(window + 3, 1), VIRTIO_PCI_CAP_PCI_CFG);
	assert_int_equal(cfg(window + 5, 1), 0);
	cfg_put(window + 4, 1, 0);
	cfg_put(window + 8, 4, common - BARS_GPA + VIRTIO_PCI_COMMON_STATUS);
	cfg_put(window + 12, 4, 1);
	cfg_put(window + 16, 4, 0xffffff00); /* one byte of it */
	assert_int_equal(status(), 0);
}

/* Everything that creation takes is given back when it fails. */
static void failed_creation(void **state)
{
	struct axirq_msi *taken[MSI_COUNT];
	struct axvirtio_place place = {.pci = NULL};
	struct ax_error err;
	(void)state;

	make_machine();
	place.pci = make_host();
	bell_limit = 1;
	assert_int_equal(axvirtio_attach("toy0", &place, &toy.device, &m.services, &dev, &err),
			 -ENOSPC);
	assert_int_equal(toy.destroyed, 1);
	assert_int_equal(bell_count, 0);
	assert_int_equal(axirq_msi_available(m.irqs), MSI_COUNT);
	assert_int_equal(cfg(0, 4), UINT32_MAX);
	toy_make();
	for (unsigned i = 0; i < MSI_COUNT - 2; i++)
		assert_int_equal(axirq_msi_claim(m.irqs, "other", &taken[i], &err), 0);
	assert_int_equal(axvirtio_attach("toy0", &place, &toy.device, &m.services, &dev, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.message, "toy0"));
	for (unsigned i = 0; i < MSI_COUNT - 2; i++)
		axirq_msi_release(taken[i]);
	assert_int_equal(axirq_msi_available(m.irqs), MSI_COUNT);
	axbus_destroy(bus);
	machine_finish(&m);
}

/* ---- lent queues ----------------------------------------------------------------------------- */

static int lend_setup(void **state)
{
	setup(state);
	toy.lends = true;
	toy.kick_fd = eventfd(0, EFD_NONBLOCK);
	assert_true(toy.kick_fd >= 0);
	return 0;
}

static int lend_teardown(void **state)
{
	close(toy.kick_fd);
	return teardown(state);
}

static unsigned take_kicks(void)
{
	uint64_t count = 0;

	return read(toy.kick_fd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

static int bell_of(unsigned queue)
{
	for (unsigned i = 0; i < bell_count; i++)
		if (bells[i].addr == notify + stride * queue)
			return bells[i].event_fd;
	return -1;
}

static void lent_rings_and_kicks(void **state)
{
	(void)state;
	start();
	assert_true(toy.lent);
	assert_ptr_equal(toy.rings.desc, guest(&m, ring.desc_gpa, 16));
	assert_ptr_equal(toy.rings.avail, guest(&m, ring.avail_gpa, 4));
	assert_ptr_equal(toy.rings.used, guest(&m, ring.used_gpa, 4));
	assert_int_equal(toy.rings.size, 8);
	/* KVM's doorbell and that by the bus; the loop sees neither, and leaves the ring alone. */
	assert_int_equal(bell_of(0), toy.kick_fd);
	assert_int_not_equal(bell_of(1), toy.kick_fd);
	assert_int_equal(bell_count, 2);
	offer(&ring, 0);
	take_kicks();
	ring_bell(0);
	assert_int_equal(take_kicks(), 1);
	axvirtio_wake(&toy.device, 0);
	axvirtio_poll(&toy.device);
	assert_int_equal(take_kicks(), 0);
	assert_int_equal(toy.served, 0);
	assert_false(axvirtio_enter(&toy.device, 0));
}

static void lent_comes_back(void **state)
{
	(void)state;
	start();
	toy.stopped = 0;
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(toy.stopped, 1);
	toy.lends = false;
	ring_init(&ring, &m, RING_GPA, 8);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	start();
	assert_int_not_equal(bell_of(0), toy.kick_fd);
	offer(&ring, 0);
	take_kicks();
	ring_bell(0);
	assert_int_equal(take_kicks(), 0);
	assert_int_equal(toy.served, 1);
}

/* A queue that the driver does not use has no rings to lend. */
static void unused_is_not_lent(void **state)
{
	(void)state;
	pci_negotiate(F_VERSION_1);
	pci_queue(1, &ring);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	assert_int_equal(toy.started, 1);
	assert_false(toy.lent);
}

static void lent_interrupts(void **state)
{
	const uint64_t one = 1;
	(void)state;

	pci_msix();
	pci_negotiate(F_VERSION_1);
	pci_queue(0, &ring);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	assert_int_equal(toy.moved, 0); /* start is still to come */
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	assert_int_equal(write(axvirtio_interrupt_fd(&toy.device, 0), &one, sizeof(one)), 8);
	assert_int_equal(msi_chip_delivered(&chip, 2), 1);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(toy.moved, 1);
	assert_int_equal(write(axvirtio_interrupt_fd(&toy.device, 0), &one, sizeof(one)), 8);
	assert_int_equal(msi_chip_delivered(&chip, 1), 1);
	assert_int_equal(msi_chip_delivered(&chip, 2), 1);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, NONE);
	assert_int_equal(toy.moved, 2);
	assert_int_equal(axvirtio_interrupt_fd(&toy.device, 0), -1);
	/* The other queue is the loop's. */
	reg_put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	reg_put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(toy.moved, 2);
}

/* Whoever has the queue is told when to leave memory alone, however that comes about. */
static void lent_stops(void **state)
{
	(void)state;
	start();
	assert_int_equal(toy.started, 1);
	toy.stopped = 0;
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(toy.stopped, 1);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(toy.started, 2);
	assert_int_equal(axbus_suspend(bus, NULL), 0);
	assert_int_equal(toy.stopped, 2);
	assert_int_equal(axbus_resume(bus, NULL), 0);
	assert_int_equal(toy.started, 3);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, 0x80 | S_READY); /* FAILED */
	assert_int_equal(toy.stopped, 3);
	axbus_reset(bus);
	assert_true(toy.stopped > 3);
	assert_int_equal(toy.started, 3);
}

static void start_fails(void **state)
{
	(void)state;
	toy.start_result = -EIO;
	pci_negotiate(F_VERSION_1);
	pci_queue(0, &ring);
	reg_put(VIRTIO_PCI_COMMON_STATUS, 1, S_READY);
	assert_int_equal(status(), S_READY | 0x40); /* DEVICE_NEEDS_RESET */
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	cfg_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(toy.started, 1); /* not before the reset */
	toy.start_result = 0;
	start();
	assert_int_equal(toy.started, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define LENT(function) cmocka_unit_test_setup_teardown(function, lend_setup, lend_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(identity),
		TEST(access_matrix),
		TEST(requests_and_vectors),
		TEST(vectors_out_of_range),
		TEST(isr_without_msix),
		TEST(queues),
		TEST(latched_after_driver_ok),
		TEST(reset_forgets),
		TEST(doorbells),
		TEST(bus_master),
		TEST(memory_off),
		TEST(device_config),
		TEST(cfg_window),
		LENT(lent_rings_and_kicks),
		LENT(lent_comes_back),
		LENT(unused_is_not_lent),
		LENT(lent_interrupts),
		LENT(lent_stops),
		LENT(start_fails),
		cmocka_unit_test(failed_creation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
