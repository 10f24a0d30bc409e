/*
 * The VM's devices, from the configuration's slices to devices on the bus: where each stands, which
 * I/O threads serve it, and what the guest is told of it. What a device is, its class knows; the
 * ports of the console are consoles.c's.
 */
#include "vm_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- places ---------------------------------------------------------------------------------- */

/* The next free window and line of the plan, or whatever is free on PCI. */
static int next_place(struct axvm *vm, struct axvirtio_place *ret_place, struct ax_error *err)
{
	size_t slot = vm->device_count;

	if (vm->pci) {
		*ret_place = (struct axvirtio_place){.pci = vm->pci};
		return 0;
	}
	if (slot >= vm->plan.device_count || slot >= VM_MAX_DEVICES) {
		ax_error_set(err, AX_ERROR_DEVICE, ENOSPC, "more than %u virtio devices",
			     vm->plan.device_count);
		return ax_error_hint(err, "the machine has interrupt lines for that many");
	}
	*ret_place = (struct axvirtio_place){
		.gpa = vm->plan.device_gpa + slot * vm->plan.device_stride,
		.gsi = vm->plan.device_gsi[slot],
	};
	return 0;
}

/* Only virtio-mmio is told of one by one; a PCI bus is looked through by the guest. */
static void announce(struct axvm *vm, const struct axdev *dev)
{
	struct axvirtio_mmio_info info;

	if (axvirtio_mmio_get_info(dev, &info))
		return;
	vm->devices[vm->device_count++] = (struct axarch_device){
		.kind = AXARCH_DEVICE_VIRTIO_MMIO,
		.gpa = info.gpa,
		.size_bytes = info.size_bytes,
		.gsi = info.gsi,
	};
}

int axvm_attach(struct axvm *vm, const char *class_name, const char *name, const void *config,
		size_t config_size, struct axdev **ret_dev, struct ax_error *err)
{
	struct axdev *dev;
	int rc = axdev_create(class_name, name, config, config_size, &vm->services, &dev, err);

	if (rc)
		return rc;
	rc = axbus_attach(vm->bus, dev, err);
	if (rc)
		axdev_destroy(dev);
	else
		*ret_dev = dev;
	return rc;
}

int axvm_attach_virtio(struct axvm *vm, const char *class_name, const char *name,
		       struct axvirtio_place *place, const void *config, size_t config_size,
		       struct ax_error *err)
{
	struct axdev *dev;
	int rc = next_place(vm, place, err);

	if (rc)
		return rc;
	if (vm->virtio_count == VM_MAX_DEVICES)
		return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC, "%s: more than %u virtio devices",
				    name, VM_MAX_DEVICES);
	/* Devices begin at different threads, so that the first queues do not all meet on one. */
	vm->services.io_first = (unsigned)(vm->virtio_count % vm->io_count);
	rc = axvm_attach(vm, class_name, name, config, config_size, &dev, err);
	if (rc)
		return rc;
	vm->virtio[vm->virtio_count++] = dev;
	announce(vm, dev);
	return 0;
}

static struct axvirtio_limit limit_of(const struct axcfg_limit *limit)
{
	return (struct axvirtio_limit){
		.bytes_per_s = limit->bytes,
		.bytes_burst = limit->bytes_burst,
		.ops_per_s = limit->ops,
		.ops_burst = limit->ops_burst,
	};
}

/* ---- one function per class ------------------------------------------------------------------ */

static int attach_disk(struct axvm *vm, size_t index, struct ax_error *err)
{
	const struct axcfg_disk *disk = &vm->config->disks[index];
	const uint64_t vcpus = vm->config->cpus.count;
	struct axvirtio_blk_config config = {
		.path = disk->path,
		.fd = -1,
		.read_only = disk->read_only,
		.direct = disk->direct,
		.serial = disk->serial,
		.base = disk->base,
		.queues = (uint32_t)disk->queues,
		.no_discard = !disk->discard,
		.limit = limit_of(&disk->limit),
	};
	char name[32];

	/* Only PCI interrupts the CPU that a queue belongs to. */
	if (!config.queues && vm->pci)
		config.queues =
			vcpus < AXVIRTIO_BLK_MAX_QUEUES ? (uint32_t)vcpus : AXVIRTIO_BLK_MAX_QUEUES;
	snprintf(name, sizeof(name), "disk%zu", index);
	return axvm_attach_virtio(vm, "virtio-blk", name, &config.place, &config, sizeof(config),
				  err);
}

static int connect_to(const char *path, int type, const char *what, int *ret_fd,
		      struct ax_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, code;

	if (strlen(path) >= sizeof(address.sun_path)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
			     "socket path %s has %zu bytes, at most %zu are possible", path,
			     strlen(path), sizeof(address.sun_path) - 1);
		return ax_error_hint(err, "choose a shorter one");
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		*ret_fd = fd;
		return 0;
	}
	code = errno;
	if (fd >= 0)
		close(fd);
	ax_error_set(err, AX_ERROR_DEVICE, code, "cannot connect to the %s at %s: %s", what, path,
		     strerror(code));
	if (code == EACCES)
		return ax_error_hint(err, "may this user use its socket?");
	return ax_error_hint(err, "is the %s running? Start one: %s %s", what,
			     type == SOCK_STREAM ? "passt --socket" : "axvm switch", path);
}

/* A descriptor for the card's backend, or -1 where the device opens it itself. */
static int open_backend(struct axvm *vm, size_t index, int *ret_fd, struct ax_error *err)
{
	const struct axcfg_net *net = &vm->config->nets[index];

	if (index < vm->options.net_fd_count && vm->options.net_fds[index] >= 0) {
		*ret_fd = fcntl(vm->options.net_fds[index], F_DUPFD_CLOEXEC, 0);
		return *ret_fd < 0
			       ? ax_error_set(err, AX_ERROR_DEVICE, errno,
					      "nets[%zu]: cannot duplicate descriptor %d: %s",
					      index, vm->options.net_fds[index], strerror(errno))
			       : 0;
	}
	if (net->type == AXCFG_NET_TAP)
		return 0;
	if (!net->socket) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: there is no passt to connect to", index);
		return ax_error_hint(err, "start one, and give its socket=PATH");
	}
	if (net->type == AXCFG_NET_SWITCH)
		return connect_to(net->socket, SOCK_SEQPACKET, "switch", ret_fd, err);
	return connect_to(net->socket, SOCK_STREAM, "passt", ret_fd, err);
}

static int attach_net(struct axvm *vm, size_t index, struct ax_error *err)
{
	static const enum axvirtio_net_backend backends[] = {
		[AXCFG_NET_TAP] = AXVIRTIO_NET_TAP,
		[AXCFG_NET_PASST] = AXVIRTIO_NET_STREAM,
		[AXCFG_NET_SWITCH] = AXVIRTIO_NET_PACKET,
	};
	const struct axcfg_net *net = &vm->config->nets[index];
	struct axvirtio_net_config config = {
		.backend = backends[net->type],
		.tap = net->tap,
		.fd = -1,
		.mtu = (uint16_t)net->mtu,
		.pairs = (uint32_t)net->queues,
		.no_offload = !net->offload,
		.vhost = net->vhost,
		.rx_limit = limit_of(&net->rx),
		.tx_limit = limit_of(&net->tx),
	};
	char name[32], unique[64];
	int rc;

	/* VMs that nobody named must not have one address between them. */
	if (strcmp(vm->config->name, "vm"))
		snprintf(unique, sizeof(unique), "%s", vm->config->name);
	else
		snprintf(unique, sizeof(unique), "vm-%d-%p", (int)getpid(), (void *)vm);
	config.vm_name = unique;
	if (net->mac)
		(void)axcfg_parse_mac(net->mac, config.mac); /* the configuration was checked */
	snprintf(name, sizeof(name), "net%zu", index);
	rc = open_backend(vm, index, &config.fd, err);
	if (!rc)
		rc = axvm_attach_virtio(vm, "virtio-net", name, &config.place, &config,
					sizeof(config), err);
	if (config.fd >= 0)
		close(config.fd);
	return rc;
}

static int attach_vsock(struct axvm *vm, struct ax_error *err)
{
	struct axvirtio_vsock_config config = {
		.cid = vm->config->vsock.cid,
		.path = vm->config->vsock.path,
		.limit = limit_of(&vm->config->vsock.limit),
	};

	return axvm_attach_virtio(vm, "virtio-vsock", "vsock0", &config.place, &config,
				  sizeof(config), err);
}

static int attach_balloon(struct axvm *vm, struct ax_error *err)
{
	struct axvirtio_balloon_config config = {
		.size_bytes = vm->config->balloon.size_bytes,
		.deflate_on_oom = vm->config->balloon.deflate_on_oom,
		.report_free_pages = vm->config->balloon.report_free_pages,
		.stats_interval_ns = vm->config->balloon.stats_ns,
	};

	return axvm_attach_virtio(vm, "virtio-balloon", "balloon0", &config.place, &config,
				  sizeof(config), err);
}

static int attach_rng(struct axvm *vm, struct ax_error *err)
{
	struct axvirtio_rng_config config = {
		.fd = -1,
		.limit = limit_of(&vm->config->rng_limit),
	};

	return axvm_attach_virtio(vm, "virtio-rng", "rng0", &config.place, &config, sizeof(config),
				  err);
}

/* The order is the guest's: vda, vdb ..., eth0 ... */
int axvm_attach_devices(struct axvm *vm, struct ax_error *err)
{
	const struct axcfg *c = vm->config;
	int rc = 0;

	if (c->machine.irq_mode == AXCFG_IRQ_NONE)
		return 0; /* no lines: nothing that needs an interrupt */
	if (axvm_wants_pci(vm))
		rc = axvm_build_pci(vm, err);
	for (size_t i = 0; !rc && i < c->disk_count; i++)
		rc = attach_disk(vm, i, err);
	for (size_t i = 0; !rc && i < c->net_count; i++)
		rc = attach_net(vm, i, err);
	if (!rc && c->console_count)
		rc = axvm_attach_consoles(vm, err);
	if (!rc && c->vsock.path)
		rc = attach_vsock(vm, err);
	if (!rc && c->balloon.enabled)
		rc = attach_balloon(vm, err);
	if (!rc && c->rng)
		rc = attach_rng(vm, err);
	return rc;
}

int axvm_replace_disk(struct axvm *vm, size_t index, const char *path, struct ax_error *err)
{
	struct axdev *dev;
	char name[32];

	snprintf(name, sizeof(name), "disk%zu", index);
	dev = axbus_find(vm->bus, name);
	if (!dev)
		return ax_error_set(err, AX_ERROR_NOT_FOUND, ENODEV, "%s has no disk %zu",
				    vm->config->name, index);
	return axvirtio_blk_replace(axvirtio_of(dev), path, err);
}

int axvm_set_balloon(struct axvm *vm, uint64_t size_bytes, struct ax_error *err)
{
	struct axdev *dev = axbus_find(vm->bus, "balloon0");

	if (!dev) {
		ax_error_set(err, AX_ERROR_NOT_FOUND, ENODEV, "%s has no balloon",
			     vm->config->name);
		return ax_error_hint(err, "add --balloon");
	}
	axvirtio_balloon_set(axvirtio_of(dev), size_bytes);
	return 0;
}
