/*
 * virtio-vsock (Spec 5.10): the device, its timers and its life. Packets from the guest are
 * vsock_packet.c's, packets to it vsock_pump.c's, connections vsock_conn.c's, what stands on the
 * host's file system vsock_host.c's. All three queues are on one loop.
 */
#include "vsock.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/epoll.h>
#include <unistd.h>

static const uint16_t queue_max[VSOCK_QUEUES] = {
	VSOCK_QUEUE_SIZE,
	VSOCK_QUEUE_SIZE,
	VSOCK_QUEUE_SIZE,
};

static struct vsock *vsock_of(struct axvirtio *device)
{
	return ax_container_of(device, struct vsock, device);
}

/* ---- resets: the driver forgets all connections, and so do we -------------------------------- */

/* A vCPU's thread: connections are the loop's, which is told and will look. */
static void reset(struct axvirtio *device)
{
	struct vsock *vsock = vsock_of(device);
	const uint64_t one = 1;

	atomic_fetch_add(&vsock->epoch, 1);
	if (write(vsock->reset_fd, &one, sizeof(one)) < 0)
		return; /* only a counter at its limit refuses, and that wakes the loop too */
}

void axvirtio_vsock_sync(struct vsock *vsock)
{
	const uint32_t epoch = atomic_load(&vsock->epoch);

	if (epoch == vsock->seen_epoch)
		return;
	vsock->seen_epoch = epoch;
	vsock->reply_count = 0;
	vsock->tx_waits = false;
	for (unsigned i = 0; vsock->tabled && i < vsock->fresh; i++)
		if (vsock->conns[i].in_table)
			axvirtio_vsock_free(&vsock->conns[i]);
}

static void on_reset(void *ctx, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	axvirtio_vsock_sync(ctx);
}

bool axvirtio_vsock_enter(struct vsock *vsock, unsigned index)
{
	if (!axvirtio_enter(&vsock->device, index))
		return false;
	/* Since sync another driver may have come: a reset needs the gate we are in now. */
	if (atomic_load(&vsock->epoch) == vsock->seen_epoch)
		return true;
	axvirtio_leave(&vsock->device, index);
	return false;
}

/* ---- time ------------------------------------------------------------------------------------ */

void axvirtio_vsock_start_ticks(struct vsock *vsock)
{
	if (vsock->ticking)
		return;
	vsock->ticking = true;
	ax_loop_set_timer(vsock->timer, VSOCK_TICK_NS, VSOCK_TICK_NS);
}

static void on_tick(void *ctx, int fd, uint32_t events)
{
	struct vsock *vsock = ctx;
	const uint64_t now_ns = ax_clock_ns();
	bool any = false;

	(void)fd;
	(void)events;
	axvirtio_vsock_sync(vsock);
	for (unsigned i = 0; i < vsock->fresh; i++) {
		struct vsock_conn *conn = &vsock->conns[i];

		if (!conn->deadline_ns)
			continue;
		if (now_ns >= conn->deadline_ns)
			axvirtio_vsock_expire(conn);
		else if (conn->state == VSOCK_CONNECTING)
			axvirtio_vsock_connect(conn);
		any = any || conn->deadline_ns;
	}
	vsock->no_accept = false;
	axvirtio_vsock_update_listener(vsock);
	if (any)
		return;
	vsock->ticking = false;
	ax_loop_set_timer(vsock->timer, AX_TIMER_OFF, 0);
}

/* ---- the device ------------------------------------------------------------------------------ */

static unsigned queue_group(const struct axvirtio *device, unsigned index)
{
	(void)device;
	(void)index;
	return 0;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	struct vsock *vsock = vsock_of(device);

	axvirtio_vsock_sync(vsock);
	if (index == VSOCK_TX)
		axvirtio_serve(device, index, axvirtio_vsock_serve_one);
	else if (index == VSOCK_RX)
		ax_loop_defer(vsock->loop, &vsock->pump);
	/* The buffers of the event queue wait for a transport reset, which never comes. */
}

static void unbound(struct axvirtio *device)
{
	struct vsock *vsock = vsock_of(device);

	for (unsigned i = 0; i < vsock->fresh; i++)
		if (vsock->conns[i].state != VSOCK_FREE)
			axvirtio_vsock_free(&vsock->conns[i]);
	vsock->reply_count = 0;
	ax_loop_remove(vsock->reset_event);
	ax_loop_remove(vsock->listen_event);
	ax_loop_remove(vsock->timer);
	vsock->reset_event = vsock->listen_event = vsock->timer = NULL;
	ax_loop_cancel_defer(vsock->loop, &vsock->pump);
	limit_waiter_finish(&vsock->rx_waiter);
	limit_waiter_finish(&vsock->tx_waiter);
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct vsock *vsock = vsock_of(device);
	struct ax_loop *loop = axvirtio_loop(device, VSOCK_RX);
	int r;

	vsock->loop = loop;
	vsock->listening = true;
	vsock->ticking = vsock->no_accept = false;
	r = ax_loop_add_eventfd(loop, vsock->reset_fd, on_reset, vsock, &vsock->reset_event, err);
	if (!r)
		r = ax_loop_add_timer(loop, AX_TIMER_OFF, 0, on_tick, vsock, &vsock->timer, err);
	if (!r)
		r = ax_loop_add_fd(loop, vsock->listener.fd, EPOLLIN, axvirtio_vsock_accept, vsock,
				   &vsock->listen_event, err);
	if (!r)
		r = limit_waiter_init(&vsock->rx_waiter, &vsock->limit, device, VSOCK_RX, err);
	if (!r)
		r = limit_waiter_init(&vsock->tx_waiter, &vsock->limit, device, VSOCK_TX, err);
	return r;
}

static void destroy(struct axvirtio *device)
{
	struct vsock *vsock = vsock_of(device);

	ax_listener_close(&vsock->listener);
	if (vsock->reset_fd >= 0)
		close(vsock->reset_fd);
	free(vsock);
}

static const struct axvirtio_ops vsock_ops = {
	.bound = bound,
	.unbound = unbound,
	.reset = reset,
	.handle_queue = handle_queue,
	.queue_group = queue_group,
	.destroy = destroy,
};

/* A guest may not take all descriptors of the process for its connections. */
static unsigned choose_conn_max(void)
{
	struct rlimit files;
	rlim_t half;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return VSOCK_MAX_CONNS;
	half = files.rlim_cur / 2;
	return half < VSOCK_MAX_CONNS ? (unsigned)half : VSOCK_MAX_CONNS;
}

int axvirtio_vsock_create(const char *name, const struct axvirtio_vsock_config *config,
			  struct axvirtio **ret_device, struct ax_error *err)
{
	struct vsock *vsock;
	int r;

	if (config->cid <= VSOCK_HOST_CID || config->cid >= UINT32_MAX) {
		r = ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				 "%s: %" PRIu64 " cannot be the CID of a guest", name, config->cid);
		ax_error_hint(err, "choose one from 3 to 4294967294");
		return r;
	}
	/* Zeroed and large, so fresh from the kernel: connections cost memory when first used. */
	vsock = calloc(1, sizeof(*vsock));
	if (!vsock)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(vsock->name, sizeof(vsock->name), "%s", name);
	vsock->listener.fd = -1;
	vsock->cid = config->cid;
	vsock->conn_max = choose_conn_max();
	vsock->next_port = VSOCK_FIRST_PORT;
	vsock->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	vsock->pump = (struct ax_deferred){.fn = axvirtio_vsock_pump, .ctx = vsock};
	limit_init(&vsock->limit, &config->limit);
	vsock->config.guest_cid = htole64(config->cid);
	vsock->device.ops = &vsock_ops;
	vsock->device.class_name = "virtio-vsock";
	vsock->device.device_id = VIRTIO_ID_VSOCK;
	vsock->device.queue_count = VSOCK_QUEUES;
	vsock->device.queue_max = queue_max;
	vsock->device.config = &vsock->config;
	vsock->device.config_size = sizeof(vsock->config);
	vsock->reset_fd = eventfd(0, EFD_CLOEXEC);
	if (vsock->reset_fd < 0)
		r = ax_error_set(err, AX_ERROR_DEVICE, errno, "%s: no eventfd: %s", name,
				 strerror(errno));
	else
		r = axvirtio_vsock_listen(vsock, config->path, err);
	if (r < 0) {
		destroy(&vsock->device);
		return r;
	}
	*ret_device = &vsock->device;
	return 0;
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_vsock_config *vsock = config;
	struct axvirtio *device = NULL;
	int r = axvirtio_vsock_create(name, vsock, &device, err);

	return r < 0 ? r : axvirtio_attach(name, &vsock->place, device, services, ret_dev, err);
}

const struct axdev_class axvirtio_vsock_class = {
	.name = "virtio-vsock",
	.type = AXVIRTIO_VSOCK_TYPE,
	.summary = "sockets between guest and host",
	.config_size = sizeof(struct axvirtio_vsock_config),
	.create = create_class,
};
