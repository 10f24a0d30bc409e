/*
 * Model-specific registers: the few that firmware would have set before a kernel starts, and the
 * filter that lets the MSRs of emulated devices leave the kernel. All others are KVM's: it answers
 * the ones it knows and faults the rest without an exit, which is the cheapest thing to do.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_IA32_MISC_ENABLE    0x1a0u
#define MISC_ENABLE_FAST_STRING 0x1u
#define MISC_ENABLE_MWAIT       0x40000u
#define MSR_MTRR_DEF_TYPE       0x2ffu
#define MTRR_ENABLE             0x800u
#define MTRR_TYPE_WRITE_BACK    0x6u

int x86_vcpu_set_msrs(const struct x86_vcpu *vcpu, const struct kvm_msr_entry *list, size_t count,
		      struct ax_error *err)
{
	AX_AUTO_FREE struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + count * sizeof(*list));

	if (!msrs)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for MSRs");
	msrs->nmsrs = (uint32_t)count;
	memcpy(msrs->entries, list, count * sizeof(*list));
	const int done = ioctl(axkvm_vcpu_fd(vcpu->kvm), KVM_SET_MSRS, msrs);
	if (done < 0)
		return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, errno,
				    "KVM_SET_MSRS of vCPU %u: %s", vcpu->index, strerror(errno));
	return done;
}

int x86_vcpu_load_msrs(struct x86_vcpu *vcpu, struct ax_error *err)
{
	const bool mwait = vcpu->vm->own_waits & AXARCH_WAIT_MWAIT;
	const struct kvm_msr_entry start[] = {
		/* Without it Linux does not trust `rep movsb` on Intel. MWAIT as CPUID has it. */
		{.index = MSR_IA32_MISC_ENABLE,
		 .data = MISC_ENABLE_FAST_STRING | (mwait ? MISC_ENABLE_MWAIT : 0)},
		/* All memory write-back: Linux skips PAT when MTRRs are off. */
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_TYPE_WRITE_BACK},
	};
	const int done = x86_vcpu_set_msrs(vcpu, start, AX_ARRAY_LEN(start), err);

	if (done < 0)
		return done;
	/* A guest does without these two. */
	if (done < (int)AX_ARRAY_LEN(start))
		ax_log(AX_LOG_DEBUG, LAYER, "KVM does not let MSR 0x%x be set", start[done].index);
	return 0;
}

/* One range of up to 16 that KVM takes; a clear bit denies, a denied access exits. */
struct filter {
	struct kvm_msr_filter filter;
	uint8_t deny[0x600]; /* KVM_MSR_FILTER_MAX_BITMAP_SIZE, all clear: ranges share it */
	unsigned count;
};

static int add_range(struct filter *filter, const struct axdev *dev,
		     const struct axdev_resource *resource, struct ax_error *err)
{
	if (resource->base + resource->size - 1 > UINT32_MAX ||
	    resource->size > sizeof(filter->deny) * 8)
		return ax_error_set(err, AX_ERROR_DEVICE, ERANGE,
				    "device %s claims MSRs 0x%llx + 0x%llx, which are none",
				    dev->name, (unsigned long long)resource->base,
				    (unsigned long long)resource->size);
	if (filter->count == KVM_MSR_FILTER_MAX_RANGES)
		return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC,
				    "device %s claims one more range of MSRs than the %d KVM has",
				    dev->name, KVM_MSR_FILTER_MAX_RANGES);
	filter->filter.ranges[filter->count++] = (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
		.base = (uint32_t)resource->base,
		.nmsrs = (uint32_t)resource->size,
		.bitmap = filter->deny,
	};
	return 0;
}

static int collect_ranges(struct axbus *bus, struct filter *filter, struct ax_error *err)
{
	struct axdev *devs[128];
	size_t count = axbus_devices(bus, devs, AX_ARRAY_LEN(devs));

	if (count > AX_ARRAY_LEN(devs))
		count = AX_ARRAY_LEN(devs);
	for (size_t i = 0; i < count; i++)
		for (unsigned r = 0; r < devs[i]->resource_count; r++) {
			if (devs[i]->resource[r].space != AXDEV_SYSREG)
				continue;
			int ret = add_range(filter, devs[i], &devs[i]->resource[r], err);
			if (ret < 0)
				return ret;
		}
	return 0;
}

int x86_vm_filter_msrs(struct axarch_vm *vm, struct ax_error *err)
{
	struct filter filter = {.filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};

	if (vm->msrs_filtered || !vm->bus)
		return 0;
	vm->msrs_filtered = true;
	int ret = collect_ranges(vm->bus, &filter, err);
	if (ret < 0 || !filter.count)
		return ret;
	if (axkvm_check(vm->kvm, KVM_CAP_X86_USER_SPACE_MSR) <= 0 ||
	    axkvm_check(vm->kvm, KVM_CAP_X86_MSR_FILTER) <= 0) {
		ret = ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				   "a device claims MSR 0x%x, but this KVM cannot hand MSRs over",
				   filter.filter.ranges[0].base);
		ax_error_hint(err, "Linux 5.10 and later can (KVM_CAP_X86_USER_SPACE_MSR)");
		return ret;
	}
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = {KVM_MSR_EXIT_REASON_FILTER},
	};
	int fd = axkvm_vm_fd(vm->vm);
	if (ioctl(fd, KVM_ENABLE_CAP, &cap) < 0 ||
	    ioctl(fd, KVM_X86_SET_MSR_FILTER, &filter.filter) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "KVM_X86_SET_MSR_FILTER: %s",
				    strerror(errno));
	return 0;
}
