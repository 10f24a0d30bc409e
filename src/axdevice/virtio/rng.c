/*
 * virtio-rng (Spec 5.4): random bytes from the host, at most 64 KiB a request however large the
 * guest's buffer is, written straight into guest memory and never collected on our heap; and no
 * faster than the configuration allows.
 */
#include <axvm/virtio_devices.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "limit.h"

#define LAYER          "virtio"
#define RNG_QUEUE_SIZE 64U
#define RNG_IOV        (RNG_QUEUE_SIZE + 8)

struct rng {
	struct axvirtio device;
	char name[32];
	int fd; /* -1: getrandom */
	struct limit limit;
	struct limit_waiter waiter;
	struct ax_ratelimit log_limit;
	struct iovec iov[RNG_IOV];
};

static const uint16_t queue_max[] = {RNG_QUEUE_SIZE};

/* How much of buf was filled; the source may be short, or have nothing at the moment. */
static size_t from_source(const struct rng *rng, uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const ssize_t n = rng->fd >= 0 ? read(rng->fd, buf + done, len - done)
					       : getrandom(buf + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static size_t fill(struct rng *rng, const struct axvq_chain *chain)
{
	size_t total = 0;

	for (uint32_t i = 0; i < chain->writable && total < AXVIRTIO_RNG_MAX_BYTES; i++) {
		const struct iovec *iov = &chain->iov[chain->readable + i];
		const size_t room = AXVIRTIO_RNG_MAX_BYTES - total;
		const size_t want = iov->iov_len < room ? iov->iov_len : room;
		const size_t got = from_source(rng, iov->iov_base, want);

		total += got;
		if (got < want)
			break;
	}
	return total;
}

static int serve_one(struct axvirtio *device, unsigned index)
{
	struct rng *rng = ax_container_of(device, struct rng, device);
	struct axvq_chain chain;
	size_t bytes;
	int r;

	if (!limit_may_take(&rng->limit, &rng->waiter))
		return -EAGAIN;
	r = axvirtio_pop(device, index, rng->iov, RNG_IOV, &chain);
	if (r <= 0)
		return r;
	bytes = fill(rng, &chain);
	/* At least one byte has to come (5.4.6.2), so a dry source falls back on the kernel's. */
	if (!bytes && chain.writable) {
		const struct iovec *iov = &chain.iov[chain.readable];

		ax_log_limited(&rng->log_limit, AX_LOG_WARN, LAYER,
			       "%s: the source has no bytes; taking the kernel's", rng->name);
		if (getrandom(iov->iov_base, 1, 0) == 1)
			bytes = 1;
	}
	if (!bytes)
		axvirtio_count_error(device, index);
	limit_charge(&rng->limit, bytes);
	axvirtio_push(device, index, chain.head, (uint32_t)bytes, bytes);
	return 1;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, serve_one);
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct rng *rng = ax_container_of(device, struct rng, device);

	return limit_waiter_init(&rng->waiter, &rng->limit, device, 0, err);
}

static void unbound(struct axvirtio *device)
{
	limit_waiter_finish(&ax_container_of(device, struct rng, device)->waiter);
}

static void destroy(struct axvirtio *device)
{
	struct rng *rng = ax_container_of(device, struct rng, device);

	if (rng->fd >= 0)
		close(rng->fd);
	free(rng);
}

static const struct axvirtio_ops rng_ops = {
	.bound = bound,
	.unbound = unbound,
	.handle_queue = handle_queue,
	.destroy = destroy,
};

int axvirtio_rng_create(const char *name, const struct axvirtio_rng_config *config,
			struct axvirtio **ret_device, struct ax_error *err)
{
	struct rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(rng->name, sizeof(rng->name), "%s", name);
	rng->fd = -1;
	if (config->fd >= 0)
		rng->fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 0);
	else if (config->path) /* non-blocking: a dry source must not stop the I/O thread */
		rng->fd = open(config->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (rng->fd < 0 && (config->fd >= 0 || config->path)) {
		const int code = errno;

		free(rng);
		return ax_error_set(err, AX_ERROR_DEVICE, code,
				    "%s: cannot open entropy source %s: %s", name,
				    config->path ? config->path : "(descriptor)", strerror(code));
	}
	limit_init(&rng->limit, &config->limit);
	rng->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	rng->device.ops = &rng_ops;
	rng->device.class_name = "virtio-rng";
	rng->device.device_id = VIRTIO_ID_RNG;
	rng->device.queue_count = AX_ARRAY_LEN(queue_max);
	rng->device.queue_max = queue_max;
	*ret_device = &rng->device;
	return 0;
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_rng_config *rng = config;
	struct axvirtio *device = NULL;
	int r = axvirtio_rng_create(name, rng, &device, err);

	return r < 0 ? r : axvirtio_attach(name, &rng->place, device, services, ret_dev, err);
}

const struct axdev_class axvirtio_rng_class = {
	.name = "virtio-rng",
	.type = AXVIRTIO_RNG_TYPE,
	.summary = "entropy from the host",
	.config_size = sizeof(struct axvirtio_rng_config),
	.create = create_class,
};
