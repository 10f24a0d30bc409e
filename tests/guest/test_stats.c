/* Our counters against KVM's own: every exit to userspace is counted once, by its cause. */
#include "guest.h"

#include <axvm/kvm.h>

#include <errno.h>
#include <string.h>

/* 100 writes, 50 reads; the DONE write is one more. */
GUEST_CODE(stats_match);

static bool kvm_stat(const struct guest *guest, const char *name, uint64_t *ret_value)
{
	return guest->arch->vcpu_stat(guest->vm, 0, name, ret_value) == 0;
}

GUEST_TEST(stats_match, "stats-match")
{
	struct guest guest;
	struct axvcpu_stats stats;
	uint64_t sum = 0, io = 0, mmio = 0, exits = 0;

	GUEST_RUN(&guest, &(struct guest_config){0}, stats_match);
	axvcpu_get_stats(guest.vcpu[0], &stats);
	for (unsigned i = 0; i < AXVCPU_EXIT_KIND_COUNT; i++)
		sum += stats.by_kind[i];
	CHECK_EQ(sum, stats.exits);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_IO_WRITE] + stats.by_kind[AXVCPU_EXIT_MMIO_WRITE], 101);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_MMIO_READ], 50);
	if (!kvm_stat(&guest, "mmio_exits", &mmio) || !kvm_stat(&guest, "exits", &exits))
		guest_skip("this KVM has no binary statistics");
	/* Not everybody has ports. A paravirtual KVM counts what it emulates itself otherwise, and
	 * says so by zeros. */
	kvm_stat(&guest, "io_exits", &io);
	if (io == 0 && stats.by_kind[AXVCPU_EXIT_IO_WRITE])
		guest_skip("KVM counts no io_exits");
	CHECK_EQ(io, stats.by_kind[AXVCPU_EXIT_IO_WRITE] + stats.by_kind[AXVCPU_EXIT_IO_READ]);
	CHECK_EQ(mmio,
		 stats.by_kind[AXVCPU_EXIT_MMIO_READ] + stats.by_kind[AXVCPU_EXIT_MMIO_WRITE]);
	/* KVM's `exits` also has those it answered itself. */
	CHECK(exits >= io + mmio, "KVM counts %llu exits", (unsigned long long)exits);
	guest_destroy(&guest);
}

GUEST_TEST(stats_names, "stats-names")
{
	struct guest guest;
	struct axkvm *kvm = NULL;
	struct axkvm_vm *vm = NULL;
	struct axkvm_stats *stats = NULL;
	struct ax_error err = {0};
	uint64_t value;
	size_t count = 0;

	CHECK_OK(axkvm_open(NULL, &kvm, &err), &err);
	CHECK_OK(axkvm_vm_create(kvm, 0, &vm, &err), &err);
	if (axkvm_stats_open(axkvm_vm_fd(vm), &stats, &err) < 0)
		guest_skip("%s", err.message);
	while (axkvm_stats_name(stats, count)) {
		CHECK_EQ(axkvm_stats_read(stats, axkvm_stats_name(stats, count), &value), 0);
		count++;
	}
	CHECK(count > 0, "no statistics");
	CHECK_EQ(axkvm_stats_read(stats, "no such thing", &value), -ENOENT);
	axkvm_stats_close(stats);
	axkvm_vm_destroy(vm);
	axkvm_close(kvm);
	guest_create(&guest, &(struct guest_config){0});
	CHECK_EQ(guest.arch->vcpu_stat(guest.vm, 0, "no such thing", &value), -ENOENT);
	guest_destroy(&guest);
}
