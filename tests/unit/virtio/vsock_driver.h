/*
 * A virtio-vsock driver as Spec 5.10 describes it, and host programs that talk to the device, for
 * tests. It keeps to the credit it is given unless told otherwise; every expectation is the
 * specification's or the Firecracker convention's.
 */
#ifndef AXVM_TEST_VSOCK_DRIVER_H
#define AXVM_TEST_VSOCK_DRIVER_H

#include "driver.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CID       5ULL
#define HOST_CID  2ULL
#define HDR       44U
#define RX_QUEUE  0
#define TX_QUEUE  1
#define RX_SIZE   32U
#define TX_SIZE   32U
#define RX_BYTES  4096U /* of a buffer, header included */
#define RX_GPA    0x10000ULL
#define TX_GPA    0x14000ULL
#define EVENT_GPA 0x18000ULL
#define TX_BUF    0x40000ULL
#define TX_BYTES  0x20000U
#define RX_BUF    RAM1_GPA
#define MY_CREDIT 65536U /* what this driver says it has room for */

static struct machine m;
static struct ring rx, tx, event_ring;
static struct axvirtio *device;
static struct axdev *dev;
static struct ax_error err;
static char directory[64], path[96];
static bool keep_buffers; /* do not give RX buffers back */
static unsigned buffers_kept;
static struct axvirtio_limit limits;

struct packet {
	struct virtio_vsock_hdr hdr;
	uint8_t data[RX_BYTES];
	uint32_t len;
};

/* ---- up and down ----------------------------------------------------------------------------- */

static UNUSED void make_directory(void)
{
	strcpy(directory, "/tmp/axvm-vsock-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/v", directory);
}

static UNUSED void remove_directory(void)
{
	DIR *d = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(directory), 0);
}

static void give_buffer(unsigned i)
{
	set_desc(&rx, i, RX_BUF + (uint64_t)i * RX_BYTES, RX_BYTES, VRING_DESC_F_WRITE, 0);
	offer(&rx, (uint16_t)i);
}

static UNUSED void start_driver(unsigned buffers)
{
	const struct ring *rings[] = {&rx, &tx, &event_ring};

	ring_init(&rx, &m, RX_GPA, RX_SIZE);
	ring_init(&tx, &m, TX_GPA, TX_SIZE);
	ring_init(&event_ring, &m, EVENT_GPA, 8);
	negotiate(dev, F_VERSION_1);
	for (unsigned i = 0; i < 3; i++) {
		const struct axvq_setup setup = ring_setup(rings[i]);

		write_setup(dev, i, &setup);
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	for (unsigned i = 0; i < buffers; i++)
		give_buffer(i);
	keep_buffers = false;
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

/* All there is to do; false: it never ends, so the device spins on something. */
static UNUSED bool settle(void)
{
	for (unsigned i = 0; i < 100000; i++)
		if (!axvirtio_poll(device))
			return true;
	return false;
}

static UNUSED void up(void)
{
	const struct axvirtio_vsock_config config = {.cid = CID, .path = path, .limit = limits};

	make_directory();
	machine_init(&m);
	if (axvirtio_vsock_create("vsock0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("vsock0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	start_driver(RX_SIZE);
	assert_true(settle());
}

static UNUSED void down(void)
{
	dev->ops->destroy(dev);
	machine_finish(&m);
	remove_directory();
}

/* ---- packets --------------------------------------------------------------------------------- */

static UNUSED struct virtio_vsock_hdr header(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = HOST_CID,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = MY_CREDIT,
	};
}

/* Offer a chain of header and data without waiting for it. */
static UNUSED void offer_packet(const struct virtio_vsock_hdr *hdr, const void *data, uint32_t len)
{
	const struct buffer b[] = {{TX_BUF, HDR, false}, {TX_BUF + HDR, len, false}};

	memcpy(guest(&m, TX_BUF, HDR), hdr, HDR);
	if (len)
		memcpy(guest(&m, TX_BUF + HDR, len), data, len);
	offer_chain(&tx, b, len ? 2 : 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, TX_QUEUE);
}

static UNUSED void send_packet(const struct virtio_vsock_hdr *hdr, const void *data, uint32_t len)
{
	uint32_t id, written;

	offer_packet(hdr, data, len);
	assert_true(settle());
	assert_true(take_used(&tx, &id, &written));
	assert_int_equal(written, 0);
}

static UNUSED void send_op(uint16_t op, uint32_t host_port, uint32_t guest_port, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = header(op, host_port, guest_port);

	hdr.flags = flags;
	send_packet(&hdr, NULL, 0);
}

/* false: the device has sent nothing. */
static UNUSED bool next_packet(struct packet *p)
{
	uint32_t id, len;
	const uint8_t *bytes;

	memset(p, 0, sizeof(*p));
	if (!take_used(&rx, &id, &len))
		return false;
	assert_true(id < RX_SIZE);
	assert_true(len >= HDR && len <= RX_BYTES);
	bytes = guest(&m, RX_BUF + (uint64_t)id * RX_BYTES, RX_BYTES);
	memcpy(&p->hdr, bytes, HDR);
	p->len = len - HDR;
	memcpy(p->data, bytes + HDR, p->len);
	assert_int_equal(p->hdr.len, p->len);
	assert_int_equal(p->hdr.dst_cid, CID);
	if (p->len)
		assert_int_equal(p->hdr.op, VIRTIO_VSOCK_OP_RW);
	if (keep_buffers) {
		buffers_kept++;
		return true;
	}
	give_buffer(id);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, RX_QUEUE);
	return true;
}

static UNUSED struct packet expect(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
	struct packet p;

	assert_true(settle());
	if (!next_packet(&p))
		fail_msg("no packet came, expected op %u of %u:%u", op, host_port, guest_port);
	assert_int_equal(p.hdr.op, op);
	assert_int_equal(p.hdr.src_port, host_port);
	assert_int_equal(p.hdr.dst_port, guest_port);
	assert_int_equal(p.hdr.src_cid, HOST_CID);
	assert_int_equal(p.hdr.type, VIRTIO_VSOCK_TYPE_STREAM);
	return p;
}

static UNUSED void expect_silence(void)
{
	struct packet p;

	assert_true(settle());
	if (next_packet(&p))
		fail_msg("unexpected packet: op %u, ports %u:%u", p.hdr.op, p.hdr.src_port,
			 p.hdr.dst_port);
}

/* ---- host programs --------------------------------------------------------------------------- */

static UNUSED struct sockaddr_un address_of(const char *file)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_true(strlen(file) < sizeof(address.sun_path));
	memcpy(address.sun_path, file, strlen(file) + 1);
	return address;
}

static UNUSED int host_listen(uint32_t port, int backlog)
{
	struct sockaddr_un address;
	char file[108];
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(file, sizeof(file), "%s_%u", path, port);
	address = address_of(file);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static UNUSED int host_connect(const char *line)
{
	const struct sockaddr_un address = address_of(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (line)
		assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	return fd;
}

/* What can be read now, as a string; "" and *ret_eof at the end. */
static UNUSED const char *host_read(int fd, bool *ret_eof)
{
	static char text[256];
	const ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	*ret_eof = n == 0 || (n < 0 && errno != EAGAIN);
	return text;
}

static UNUSED void expect_text(int fd, const char *expected)
{
	bool eof;

	assert_true(settle());
	assert_string_equal(host_read(fd, &eof), expected);
	assert_false(eof);
}

static UNUSED void expect_closed(int fd)
{
	bool eof;

	assert_true(settle());
	assert_string_equal(host_read(fd, &eof), "");
	assert_true(eof);
}

static UNUSED void host_write(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* ---- connections that both sides have opened ------------------------------------------------- */

/* The guest connects to the listener; returns the accepted socket. */
static UNUSED int guest_opens(int listener, uint32_t host_port, uint32_t guest_port)
{
	int fd;

	send_op(VIRTIO_VSOCK_OP_REQUEST, host_port, guest_port, 0);
	expect(VIRTIO_VSOCK_OP_RESPONSE, host_port, guest_port);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* A host program connects to guest_port and the guest accepts; *ret_port is the host's. */
static UNUSED int host_opens(uint32_t guest_port, uint32_t *ret_port)
{
	char line[32];
	struct packet p;
	int fd;

	snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
	fd = host_connect(line);
	assert_true(settle());
	assert_true(next_packet(&p));
	assert_int_equal(p.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p.hdr.src_cid, HOST_CID);
	assert_int_equal(p.hdr.dst_port, guest_port);
	*ret_port = p.hdr.src_port;
	send_op(VIRTIO_VSOCK_OP_RESPONSE, *ret_port, guest_port, 0);
	snprintf(line, sizeof(line), "OK %u\n", *ret_port);
	expect_text(fd, line);
	return fd;
}

static UNUSED void guest_writes(uint32_t host_port, uint32_t guest_port, const char *text)
{
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RW, host_port, guest_port);

	hdr.len = (uint32_t)strlen(text);
	send_packet(&hdr, text, hdr.len);
}

static UNUSED unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

#endif
