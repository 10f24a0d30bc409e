/*
 * /dev/kvm itself: opening it with an error for each way that can fail, its version and its
 * capabilities. Which capabilities a machine needs is the architecture's table, not this file's.
 */
#include "kvm_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(const char *path, int flags)
{
	return open(path, flags);
}

static int real_ioctl(int fd, unsigned long request, unsigned long arg)
{
	return ioctl(fd, request, arg);
}

const struct axkvm_sys axkvm_real_sys = {.open = real_open, .ioctl = real_ioctl};

int axkvm_call(const struct axkvm *kvm, int fd, unsigned long request, unsigned long arg)
{
	int ret = kvm->sys->ioctl(fd, request, arg);
	return ret < 0 ? -errno : ret;
}

int axkvm_call_ptr(const struct axkvm *kvm, int fd, unsigned long request, void *arg)
{
	return axkvm_call(kvm, fd, request, (unsigned long)arg);
}

static int open_error(const char *device, int error, struct ax_error *err)
{
	int ret;

	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		ret = ax_error_set(err, AX_ERROR_KVM_ABSENT, error, "%s is not there: %s", device,
				   strerror(error));
		ax_error_hint(err, "load the module (on x86 modprobe kvm_intel or kvm_amd) and "
				   "switch virtualization on in the firmware; in a virtual "
				   "machine, its host must allow nesting; in a container, pass "
				   "--device=/dev/kvm");
		return ret;
	case EACCES:
	case EPERM:
		ret = ax_error_set(err, AX_ERROR_KVM_PERMISSION, error,
				   "%s may not be opened by user %u: %s", device,
				   (unsigned)geteuid(), strerror(error));
		ax_error_hint(err, "join the group that owns it and log in again: sudo "
				   "usermod -aG kvm \"$USER\"");
		return ret;
	default:
		return ax_error_set(err, AX_ERROR_KVM_INIT, error, "%s cannot be opened: %s",
				    device, strerror(error));
	}
}

static int version_error(const char *device, int version, struct ax_error *err)
{
	int ret;

	if (version < 0) {
		ret = ax_error_set(err, AX_ERROR_KVM_INIT, -version,
				   "%s does not answer KVM_GET_API_VERSION: %s", device,
				   strerror(-version));
		ax_error_hint(err, "%s is not the KVM device; see `ls -l %s`", device, device);
		return ret;
	}
	ret = ax_error_set(err, AX_ERROR_KVM_VERSION, ENOTSUP,
			   "%s speaks KVM API version %d, not %d", device, version,
			   KVM_API_VERSION);
	ax_error_hint(err, "AxVM needs the stable API of Linux 2.6.22 and later");
	return ret;
}

int axkvm_open_with(const struct axkvm_sys *sys, const char *device, struct axkvm **ret_kvm,
		    struct ax_error *err)
{
	if (!device)
		device = "/dev/kvm";
	struct axkvm *kvm = calloc(1, sizeof(*kvm));
	if (!kvm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the KVM handle");
	kvm->sys = sys;
	kvm->fd = sys->open(device, O_RDWR | O_CLOEXEC);
	if (kvm->fd < 0) {
		int ret = open_error(device, errno, err);
		free(kvm);
		return ret;
	}
	kvm->version = axkvm_call(kvm, kvm->fd, KVM_GET_API_VERSION, 0);
	if (kvm->version != KVM_API_VERSION) {
		int ret = version_error(device, kvm->version, err);
		axkvm_close(kvm);
		return ret;
	}
	*ret_kvm = kvm;
	return 0;
}

int axkvm_open(const char *device, struct axkvm **ret_kvm, struct ax_error *err)
{
	return axkvm_open_with(&axkvm_real_sys, device, ret_kvm, err);
}

void axkvm_close(struct axkvm *kvm)
{
	if (!kvm)
		return;
	close(kvm->fd);
	free(kvm);
}

int axkvm_fd(const struct axkvm *kvm)
{
	return kvm->fd;
}

int axkvm_api_version(const struct axkvm *kvm)
{
	return kvm->version;
}

int axkvm_check(const struct axkvm *kvm, long capability)
{
	int ret = axkvm_call(kvm, kvm->fd, KVM_CHECK_EXTENSION, (unsigned long)capability);
	return ret < 0 ? 0 : ret;
}

int axkvm_require(const struct axkvm *kvm, const struct axkvm_requirement *list, size_t count,
		  struct ax_error *err)
{
	char names[256] = "";
	size_t used = 0, missing = 0;
	const struct axkvm_requirement *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (axkvm_check(kvm, list[i].capability) > 0)
			continue;
		missing++;
		if (!first)
			first = &list[i];
		if (used < sizeof(names)) {
			int n = snprintf(names + used, sizeof(names) - used, "%s%s",
					 used ? ", " : "", list[i].name);
			used += n > 0 ? (size_t)n : 0;
		}
	}
	if (!missing)
		return 0;
	int ret = ax_error_set(err, AX_ERROR_MISSING_CAPABILITY, ENOTSUP,
			       "KVM lacks %zu of the capabilities AxVM needs: %s", missing, names);
	ax_error_hint(err, "AxVM needs %s to %s; a newer kernel or the full KVM module has it",
		      first->name, first->why);
	return ret;
}
