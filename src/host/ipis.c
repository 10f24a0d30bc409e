/*
 * IPIs of a guest, counted by KVM's tracepoints: writes of a guest to its APIC's interrupt command
 * register, and the paravirtual call that stands for several. Tracepoints are known by numbers that
 * tracefs tells, as a rule to root alone.
 */
#include "host_private.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name, *filter;
} points[] = {
	{"kvm_apic_ipi", NULL},
	{"kvm_hypercall", "nr == 10"}, /* KVM_HC_SEND_IPI, Documentation/virt/kvm/x86 */
};

struct axhost_ipis {
	int fds[AX_ARRAY_LEN(points)];
};

static uint64_t number_of(const char *point)
{
	const uint64_t number = axhost_number("", "/sys/kernel/tracing/events/kvm/%s/id", point);

	return number ? number
		      : axhost_number("", "/sys/kernel/debug/tracing/events/kvm/%s/id", point);
}

static int open_point(pid_t tid, size_t index, struct ax_error *err)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = number_of(points[index].name),
	};
	int fd;

	if (!attr.config) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOENT, "tracefs does not tell of %s",
			     points[index].name);
		ax_error_hint(err, "it takes root, and an x86 KVM: mount -t tracefs tracefs "
				   "/sys/kernel/tracing");
		return -ENOENT;
	}
	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0 && points[index].filter &&
	    ioctl(fd, PERF_EVENT_IOC_SET_FILTER, points[index].filter) != 0) {
		const int code = errno;

		close(fd);
		errno = code;
		fd = -1;
	}
	return fd >= 0 ? fd
		       : ax_error_set(err, AX_ERROR_UNSUPPORTED, errno,
				      "cannot count %s of thread %d: %s", points[index].name,
				      (int)tid, strerror(errno));
}

int axhost_ipis_open(pid_t tid, struct axhost_ipis **ret_ipis, struct ax_error *err)
{
	struct axhost_ipis *self = calloc(1, sizeof(*self));
	int rc = 0;

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory to count IPIs");
	for (size_t i = 0; i < AX_ARRAY_LEN(points); i++)
		self->fds[i] = -1;
	for (size_t i = 0; rc >= 0 && i < AX_ARRAY_LEN(points); i++)
		rc = self->fds[i] = open_point(tid, i, err);
	if (rc < 0) {
		axhost_ipis_close(self);
		return rc;
	}
	*ret_ipis = self;
	return 0;
}

uint64_t axhost_ipis_read(const struct axhost_ipis *ipis)
{
	uint64_t sum = 0, count;

	for (size_t i = 0; i < AX_ARRAY_LEN(ipis->fds); i++)
		if (read(ipis->fds[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum;
}

void axhost_ipis_close(struct axhost_ipis *ipis)
{
	for (size_t i = 0; ipis && i < AX_ARRAY_LEN(ipis->fds); i++)
		if (ipis->fds[i] >= 0)
			close(ipis->fds[i]);
	free(ipis);
}
