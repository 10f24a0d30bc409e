/*
 * virtio-vsock between a guest and host programs that do what the input says: packets with any
 * header, buffers of any size, clients and a listener that open, write, read and close in any
 * order, resets. In another mode rings and headers are the input. Whatever happens, no descriptor
 * may be lost, and when nobody does anything more the device has to come to rest.
 */
#include "virtio_machine.h"
#include <dirent.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CID     5
#define QUEUE   8
#define TX_DATA 0x1000
#define RX_DATA 0x8000
#define CLIENTS 8
#define PORT    7000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/axvm-fuzz-vsock-XXXXXX", path[64], listener_path[72];
static struct axvirtio *device;
static struct axdev *dev;
static int listener;
static unsigned sockets;
static int client[CLIENTS];

static struct {
	const uint8_t *at;
	size_t left;
} input;

static uint8_t next(void)
{
	if (!input.left)
		return 0;
	input.left--;
	return *input.at++;
}

/* The sanitizers open files of their own at any time, but no sockets. */
static unsigned open_sockets(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(d))) {
		char target[8] = "";

		if (readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1) > 0)
			count += !strcmp(target, "socket:");
	}
	closedir(d);
	return count;
}

static void remove_files(void)
{
	dev->ops->destroy(dev);
	unlink(listener_path);
	rmdir(directory);
}

static int unix_socket(const char *name, bool binds)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (binds)
		r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	else
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	if (!r)
		return fd;
	close(fd);
	return -1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct axvirtio_vsock_config config = {.cid = CID, .path = path};

	(void)argc;
	(void)argv;
	machine_init();
	MUST(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/v", directory);
	snprintf(listener_path, sizeof(listener_path), "%s_%u", path, PORT);
	listener = unix_socket(listener_path, true);
	MUST(listener >= 0 && listen(listener, 4) == 0);
	MUST(axvirtio_vsock_create("vsock", &config, &device, NULL) == 0);
	MUST(axvirtio_mmio_create("vsock", WINDOW_GPA, 5, device, &services, &dev, NULL) == 0);
	atexit(remove_files);
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i] = -1;
	sockets = open_sockets();
	return 0;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static uint16_t avail_idx[3];

static uint64_t ring_gpa(unsigned queue)
{
	return queue * 0x200ULL;
}

static void start_driver(void)
{
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, 3);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 11);
	for (unsigned queue = 0; queue < 3; queue++) {
		reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
		reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, QUEUE);
		reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)ring_gpa(queue));
		reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)ring_gpa(queue) + 0x80);
		reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)ring_gpa(queue) + 0x100);
		reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		avail_idx[queue] = 0;
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, 15);
}

static void offer(unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
	const uint16_t slot = avail_idx[queue]++ % QUEUE;
	const struct vring_desc desc = {.addr = gpa, .len = len, .flags = flags};
	const uint64_t avail = ring_gpa(queue) + 0x80;

	MUST(axas_write(memory, ring_gpa(queue) + slot * 16ULL, &desc, sizeof(desc)) == 0);
	MUST(axas_write(memory, avail + 4 + slot * 2ULL, &slot, 2) == 0);
	MUST(axas_write(memory, avail + 2, &avail_idx[queue], 2) == 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void guest_sends(void)
{
	const uint8_t how = next();
	struct virtio_vsock_hdr hdr = {
		.src_cid = how & 0x80 && next() == 0 ? 6 : CID,
		.dst_cid = how & 0x40 && next() == 0 ? 7 : 2,
		.type = how & 0x20 && next() == 0 ? 2 : 1,
		.op = how % 10,
		.dst_port = how & 0x10 ? PORT + next() % 2 : (1U << 30) + next() % 64,
		.src_port = next() % 4,
		.flags = next() % 8,
		.buf_alloc = (uint32_t)next() << next() % 25,
		.fwd_cnt = next(),
	};
	const uint32_t bytes = (uint32_t)next() << next() % 8;

	hdr.len = next() % 16 ? bytes : next() * 0x1010101U;
	MUST(axas_write(memory, TX_DATA, &hdr, sizeof(hdr)) == 0);
	offer(1, TX_DATA, next() % 16 ? bytes + (uint32_t)sizeof(hdr) : next(), 0);
}

/* ---- host programs --------------------------------------------------------------------------- */

static void host_opens(int *fd)
{
	char line[300];
	int length;

	if (*fd >= 0)
		return;
	*fd = unix_socket(path, false);
	if (*fd < 0)
		return;
	length = snprintf(line, sizeof(line), "CONNECT %u\n", next() % 4);
	if (next() % 8 == 0)
		for (length = 0; length < 32; length++)
			line[length] = (char)next();
	send(*fd, line, (size_t)length, MSG_NOSIGNAL);
}

static void host_acts(void)
{
	static uint8_t bulk[1 << 16];
	int *fd = &client[next() % CLIENTS];

	switch (next() % 6) {
	case 0:
		host_opens(fd);
		break;
	case 1:
		if (*fd < 0)
			*fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		break;
	case 2:
		if (*fd >= 0)
			send(*fd, bulk, (size_t)next() << next() % 9, MSG_NOSIGNAL);
		break;
	case 3:
		if (*fd >= 0 && recv(*fd, bulk, (size_t)next() << next() % 9, 0) < 0)
			break;
		break;
	case 4:
		if (*fd >= 0)
			shutdown(*fd, next() % 3);
		break;
	case 5:
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		break;
	}
}

static void act(void)
{
	static const uint32_t sizes[] = {4096, 1000, 100, 45, 44, 20, 0, 12000};

	switch (next() % 8) {
	case 0:
	case 1:
	case 2:
		guest_sends();
		break;
	case 3:
	case 4:
		offer(0, RX_DATA, sizes[next() % (next() % 8 ? 4 : 8)], VRING_DESC_F_WRITE);
		break;
	case 5:
	case 6:
		host_acts();
		break;
	case 7:
		if (next() % 16 == 0)
			start_driver();
		break;
	}
}

/* ---- both ------------------------------------------------------------------------------------ */

static void clean_up(void)
{
	unsigned turn;
	int fd;

	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (client[i] >= 0)
			close(client[i]);
		client[i] = -1;
	}
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	for (turn = 0; turn < 1000 && axvirtio_poll(device); turn++)
		;
	MUST(turn < 1000);
	MUST(open_sockets() == sockets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned turn;

	if (size < 2)
		return 0;
	if (data[0] & 1) {
		load_memory(data + 1, size - 1);
		start_driver();
		/* A guest that has data written into its own rings can go on for ever. */
		for (turn = 0; turn < 8 && axvirtio_poll(device); turn++)
			;
		clean_up();
		return 0;
	}
	input.at = data + 1;
	input.left = size - 1;
	MUST(axas_fill(memory, 0, 0, 0x600) == 0);
	start_driver();
	for (unsigned steps = 0; input.left && steps < 500; steps++) {
		act();
		axvirtio_poll(device);
	}
	for (turn = 0; turn < 2000 && axvirtio_poll(device); turn++)
		;
	MUST(turn < 2000);
	clean_up();
	return 0;
}
