/*
 * The PCI host: one root bus with a host bridge at 00:00.0, reached by ECAM (PCIe 7.2.2) and, on
 * machines with ports, by 0xcf8/0xcfc (PCI 3.2.2.3.2). Whatever an access looks like, it gets an
 * answer: what configuration space cannot do reads as all ones.
 */
#include "pci_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { ECAM, PORT_ADDRESS, PORT_DATA, PORT_UNUSED }; /* resources */

#define PORT_ENABLE (1U << 31)

/* A host bridge by class; nothing that Linux or others have a driver or a quirk for. */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS  0x060000U

static void access_config(struct axpci_host *host, unsigned slot, unsigned number, uint32_t offset,
			  struct axdev_access *access)
{
	const unsigned width = access->width;
	struct axpci_function *function;

	pthread_mutex_lock(&host->lock);
	function = number == 0 ? host->slot[slot] : NULL;
	if ((width != 1 && width != 2 && width != 4) || offset % width) {
		ax_counter_add(&host->bad_accesses, 1);
		access->value = pci_ones(width);
	} else if (access->is_write) {
		ax_counter_add(&host->config_writes, 1);
		axpci_config_write(host, function, offset, width, (uint32_t)access->value);
	} else {
		ax_counter_add(&host->config_reads, 1);
		access->value = axpci_config_read(host, function, offset, width);
	}
	pthread_mutex_unlock(&host->lock);
}

static enum axdev_result access_address(struct axpci_host *host, struct axdev_access *access)
{
	/* Others are not for configuration space but for a device at that port (3.2.2.3.2). */
	if (access->width != 4)
		return AXDEV_UNHANDLED;
	pthread_mutex_lock(&host->lock);
	if (access->is_write)
		host->address = (uint32_t)access->value & (PORT_ENABLE | 0xfffffcU);
	else
		access->value = host->address;
	pthread_mutex_unlock(&host->lock);
	return AXDEV_HANDLED;
}

static enum axdev_result access_data(struct axpci_host *host, struct axdev_access *access)
{
	uint32_t address;

	pthread_mutex_lock(&host->lock);
	address = host->address;
	pthread_mutex_unlock(&host->lock);
	/* Not for us, or a bus behind a bridge that is not there. */
	if (!(address & PORT_ENABLE))
		return AXDEV_UNHANDLED;
	if (address >> 16 & 0xff)
		access->value = pci_ones(access->width);
	else
		access_config(host, address >> 11 & 31, address >> 8 & 7,
			      (address & 0xfc) + (uint32_t)access->offset, access);
	return AXDEV_HANDLED;
}

static enum axdev_result access_host(struct axdev *dev, struct axdev_access *access)
{
	struct axpci_host *host = ax_container_of(dev, struct axpci_host, dev);

	switch (access->resource) {
	case PORT_ADDRESS:
		return access_address(host, access);
	case PORT_DATA:
		return access_data(host, access);
	case PORT_UNUSED:
		access->value = pci_ones(access->width);
		return AXDEV_HANDLED;
	default:
		access_config(host, access->offset >> 15 & 31, access->offset >> 12 & 7,
			      access->offset & 0xfff, access);
		return AXDEV_HANDLED;
	}
}

static void reset_host(struct axdev *dev)
{
	struct axpci_host *host = ax_container_of(dev, struct axpci_host, dev);

	pthread_mutex_lock(&host->lock);
	host->address = 0;
	axpci_header_reset(&host->bridge);
	pthread_mutex_unlock(&host->lock);
}

static void destroy_host(struct axdev *dev)
{
	struct axpci_host *host = ax_container_of(dev, struct axpci_host, dev);
	struct axpci_host_stats stats;

	axpci_host_get_stats(host, &stats);
	ax_log(AX_LOG_DEBUG, LAYER,
	       "%s: %" PRIu64 " reads and %" PRIu64 " writes of configuration space, %" PRIu64
	       " malformed, %" PRIu64 " BAR moves ignored",
	       dev->name, stats.config_reads, stats.config_writes, stats.bad_accesses,
	       stats.bar_moves);
	pthread_mutex_destroy(&host->lock);
	free(host);
}

static const struct axdev_ops host_ops = {
	.access = access_host,
	.reset = reset_host,
	.destroy = destroy_host,
};

static int check_config(const char *name, const struct axpci_host_config *config,
			struct ax_error *err)
{
	uint64_t end;

	if (config->ecam_gpa % AXPCI_ECAM_BYTES)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: ECAM at 0x%" PRIx64 " is not at a multiple of 1 MiB", name,
				    config->ecam_gpa);
	/* BARs of 32 bits. */
	if (ax_add_overflows(config->window_gpa, config->window_bytes, &end) || end > 1ULL << 32 ||
	    config->window_gpa % 4096)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: the window for BARs (0x%" PRIx64 " bytes at 0x%" PRIx64
				    ") is not of whole pages below 4 GiB",
				    name, config->window_bytes, config->window_gpa);
	return 0;
}

static int create_host(const char *name, const void *config, const struct axdev_services *services,
		       struct axdev **ret_dev, struct ax_error *err)
{
	const struct axpci_host_config *c = config;
	struct axpci_host *host;
	int rc = check_config(name, c, err);

	(void)services;
	if (rc)
		return rc;
	host = calloc(1, sizeof(*host));
	if (!host)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a PCI host");
	host->config = *c;
	host->move_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	pthread_mutex_init(&host->lock, NULL);
	host->dev.ops = &host_ops;
	host->dev.resource[ECAM] = (struct axdev_resource){
		.space = AXDEV_MMIO, .base = c->ecam_gpa, .size = AXPCI_ECAM_BYTES};
	/* The address is one double word at 0xcf8. A byte at 0xcf9 is another register, which
	 * resets a PC; those behind it are nothing, and Linux tries them (arch/x86/pci/direct.c).
	 */
	host->dev.resource[PORT_ADDRESS] =
		(struct axdev_resource){AXDEV_PORT, 0xcf8, 1, .wide = true};
	host->dev.resource[PORT_DATA] = (struct axdev_resource){AXDEV_PORT, 0xcfc, 4};
	host->dev.resource[PORT_UNUSED] = (struct axdev_resource){AXDEV_PORT, 0xcfa, 2};
	host->dev.resource_count = c->ports ? 4 : 1;
	host->bridge.vendor_id = BRIDGE_VENDOR;
	host->bridge.device_id = BRIDGE_DEVICE;
	host->bridge.class_code = BRIDGE_CLASS;
	host->bridge.host = host;
	axpci_header_init(&host->bridge);
	host->slot[0] = &host->bridge;
	*ret_dev = &host->dev;
	return 0;
}

const struct axdev_class axpci_host_class = {
	.name = "pci-host",
	.type = 0x44,
	.summary = "PCI Express root bus (ECAM)",
	.config_size = sizeof(struct axpci_host_config),
	.create = create_host,
};

struct axpci_host *axpci_host_of(struct axdev *dev)
{
	return dev && dev->ops == &host_ops ? ax_container_of(dev, struct axpci_host, dev) : NULL;
}

void axpci_host_get_stats(struct axpci_host *host, struct axpci_host_stats *ret_stats)
{
	*ret_stats = (struct axpci_host_stats){
		.config_reads = ax_counter_read(&host->config_reads),
		.config_writes = ax_counter_read(&host->config_writes),
		.bad_accesses = ax_counter_read(&host->bad_accesses),
		.bar_moves = ax_counter_read(&host->bar_moves),
	};
}
