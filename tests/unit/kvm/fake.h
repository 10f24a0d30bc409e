/*
 * A KVM that is not there: the table of system calls that the tests give to the kvm layer. Every
 * descriptor is a memfd, so that the run page can be mapped; requests are answered by `script`.
 */
#ifndef AXVM_TESTS_KVM_FAKE_H
#define AXVM_TESTS_KVM_FAKE_H

#include "../test.h"
#include "kvm_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake {
	int version;     /* or a negative errno */
	long missing[2]; /* capabilities that are absent */
	int error;       /* errno of every request but the ones that create; 0: they work */
	unsigned long last_request;
	struct kvm_userspace_memory_region slot;
	struct kvm_irqfd irqfd;
	struct kvm_ioeventfd ioeventfd;
	struct kvm_msi msi;
	int route_limit; /* KVM_CAP_IRQ_ROUTING */
	unsigned route_sets;
	uint32_t route_count;
	struct kvm_irq_routing_entry route[128];
	int msi_delivered;
	/* KVM_RUN: fills the run page and returns what the ioctl returns. */
	int (*run)(struct kvm_run *run);
	struct kvm_run *page;
	unsigned runs;
};
static struct fake fake;

static int fake_fd(void)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 3 * 4096), 0);
	return fd;
}

static int fake_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return fake_fd();
}

static int failing(int error)
{
	errno = error;
	return -1;
}

static int fake_ioctl(int fd, unsigned long request, unsigned long arg)
{
	(void)fd;
	fake.last_request = request;
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake.version < 0 ? failing(-fake.version) : fake.version;
	case KVM_CHECK_EXTENSION:
		if (arg == KVM_CAP_IRQ_ROUTING)
			return fake.route_limit;
		return (long)arg != fake.missing[0] && (long)arg != fake.missing[1];
	case KVM_GET_VCPU_MMAP_SIZE:
		return 3 * 4096;
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		return fake.error ? failing(fake.error) : fake_fd();
	case KVM_RUN:
		fake.runs++;
		return fake.run(fake.page);
	case KVM_SET_USER_MEMORY_REGION:
		memcpy(&fake.slot, (const void *)arg, sizeof(fake.slot));
		break;
	case KVM_IRQFD:
		memcpy(&fake.irqfd, (const void *)arg, sizeof(fake.irqfd));
		break;
	case KVM_SET_GSI_ROUTING: {
		const struct kvm_irq_routing *table = (const void *)arg;

		if (fake.error)
			break;
		fake.route_sets++;
		fake.route_count = table->nr;
		assert_in_range(table->nr, 0, AX_ARRAY_LEN(fake.route));
		memcpy(fake.route, table->entries, table->nr * sizeof(fake.route[0]));
		break;
	}
	case KVM_IOEVENTFD:
		memcpy(&fake.ioeventfd, (const void *)arg, sizeof(fake.ioeventfd));
		break;
	case KVM_SIGNAL_MSI:
		memcpy(&fake.msi, (const void *)arg, sizeof(fake.msi));
		return fake.error ? failing(fake.error) : fake.msi_delivered;
	case KVM_GET_STATS_FD:
		return failing(ENOTTY);
	default:
		break;
	}
	return fake.error ? failing(fake.error) : 0;
}

static const struct axkvm_sys fake_sys = {.open = fake_open, .ioctl = fake_ioctl};

struct fixture {
	struct axkvm *kvm;
	struct axkvm_vm *vm;
	struct axkvm_vcpu *vcpu;
	struct ax_error err;
};

static inline void fixture_create(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	/* Capability 0 is a real one. */
	fake = (struct fake){.version = KVM_API_VERSION, .missing = {-1, -1}, .msi_delivered = 1};
	assert_int_equal(axkvm_open_with(&fake_sys, NULL, &f->kvm, &f->err), 0);
	assert_int_equal(axkvm_vm_create(f->kvm, 0, &f->vm, &f->err), 0);
	assert_int_equal(axkvm_vcpu_create(f->vm, 0, &f->vcpu, &f->err), 0);
	fake.page = axkvm_vcpu_run_page(f->vcpu);
}

static inline void fixture_destroy(struct fixture *f)
{
	axkvm_vcpu_destroy(f->vcpu);
	axkvm_vm_destroy(f->vm);
	axkvm_close(f->kvm);
}

#endif
