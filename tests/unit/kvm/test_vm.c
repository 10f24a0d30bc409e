/* What the VM's calls ask of KVM, and the errors they make of its refusals. */
#include "fake.h"

static void slots(void **state)
{
	struct axas_mapper mapper;
	struct fixture f;
	char page;

	(void)state;
	fixture_create(&f);
	axkvm_vm_mapper(f.vm, &mapper);
	assert_int_equal(mapper.map(mapper.ctx, 3, 0x1000, 0x2000, &page, true, &f.err), 0);
	assert_int_equal(fake.slot.slot, 3);
	assert_int_equal(fake.slot.flags, KVM_MEM_READONLY);
	assert_int_equal(fake.slot.guest_phys_addr, 0x1000);
	assert_int_equal(fake.slot.memory_size, 0x2000);
	assert_ptr_equal((void *)(uintptr_t)fake.slot.userspace_addr, &page);
	assert_int_equal(mapper.map(mapper.ctx, 4, 0x5000, 0x1000, &page, false, &f.err), 0);
	assert_int_equal(fake.slot.flags, 0);
	assert_int_equal(mapper.unmap(mapper.ctx, 3, 0x1000, 0x2000, &f.err), 0);
	assert_int_equal(fake.slot.slot, 3);
	assert_int_equal(fake.slot.memory_size, 0);

	fake.error = EEXIST;
	assert_int_equal(mapper.map(mapper.ctx, 5, 0xabc000, 0x1000, &page, false, &f.err),
			 -EEXIST);
	assert_int_equal(f.err.kind, AX_ERROR_ALREADY_EXISTS);
	assert_non_null(strstr(f.err.message, "slot 5"));
	assert_non_null(strstr(f.err.message, "0xabc000"));
	fake.error = EINVAL;
	assert_int_equal(mapper.map(mapper.ctx, 9, 0, 0x1000, &page, false, &f.err), -EINVAL);
	assert_int_equal(f.err.kind, AX_ERROR_MEMORY_SETUP);
	assert_non_null(strstr(f.err.hint, "1 slots")); /* the fake's number */
	fixture_destroy(&f);
}

static void eventfds(void **state)
{
	struct fixture f;

	(void)state;
	fixture_create(&f);
	assert_int_equal(axkvm_vm_irqfd(f.vm, 16, 7, -1, true, &f.err), 0);
	assert_int_equal(fake.irqfd.gsi, 16);
	assert_int_equal(fake.irqfd.fd, 7);
	assert_int_equal(fake.irqfd.flags, 0);
	assert_int_equal(axkvm_vm_irqfd(f.vm, 16, 7, 8, false, &f.err), 0);
	assert_int_equal(fake.irqfd.flags, KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(fake.irqfd.resamplefd, 8);

	assert_int_equal(axkvm_vm_ioeventfd(f.vm, true, 0x500, 2, true, 9, 7, true, &f.err), 0);
	assert_int_equal(fake.ioeventfd.flags,
			 KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH);
	assert_int_equal(fake.ioeventfd.len, 2);
	assert_int_equal(fake.ioeventfd.datamatch, 9);
	assert_int_equal(axkvm_vm_ioeventfd(f.vm, false, 0xd0000050, 0, false, 9, 7, false, &f.err),
			 0);
	assert_int_equal(fake.ioeventfd.flags, KVM_IOEVENTFD_FLAG_DEASSIGN);
	assert_int_equal(fake.ioeventfd.datamatch, 0);

	fake.error = EBUSY;
	assert_int_equal(axkvm_vm_irqfd(f.vm, 16, 7, -1, true, &f.err), -EBUSY);
	assert_int_equal(f.err.kind, AX_ERROR_ALREADY_EXISTS);
	fake.error = EEXIST;
	assert_int_equal(axkvm_vm_ioeventfd(f.vm, true, 0x500, 2, false, 0, 7, true, &f.err),
			 -EEXIST);
	assert_non_null(strstr(f.err.message, "port 0x500"));
	fake.error = ENXIO;
	assert_int_equal(axkvm_vm_irq_line(f.vm, 3, true), -ENXIO);
	fixture_destroy(&f);
}

static void msi(void **state)
{
	struct fixture f;

	(void)state;
	fixture_create(&f);
	assert_int_equal(axkvm_vm_signal_msi(f.vm, 0x100fee01000, 0x4050, &f.err), 0);
	assert_int_equal(fake.msi.address_lo, 0xfee01000);
	assert_int_equal(fake.msi.address_hi, 0x100);
	assert_int_equal(fake.msi.data, 0x4050);
	fake.msi_delivered = 0;
	assert_int_equal(axkvm_vm_signal_msi(f.vm, 0xfee00000, 0x50, &f.err), -EAGAIN);
	assert_int_equal(f.err.kind, AX_ERROR_IRQ_INJECTION);
	fake.error = EINVAL;
	assert_int_equal(axkvm_vm_signal_msi(f.vm, 0xfee00000, 0x50, &f.err), -EINVAL);
	fixture_destroy(&f);
}

static void creation(void **state)
{
	struct axkvm_vcpu *vcpu = NULL;
	struct axkvm_vm *vm = NULL;
	struct fixture f;

	(void)state;
	fixture_create(&f);
	fake.error = EINVAL;
	assert_int_equal(axkvm_vcpu_create(f.vm, 5000, &vcpu, &f.err), -EINVAL);
	assert_int_equal(f.err.kind, AX_ERROR_VCPU_CREATION);
	assert_non_null(strstr(f.err.message, "5000"));
	assert_null(vcpu);
	fake.error = EMFILE;
	assert_int_equal(axkvm_vcpu_create(f.vm, 1, &vcpu, &f.err), -EMFILE);
	assert_non_null(strstr(f.err.hint, "ulimit"));
	fake.error = EBUSY;
	assert_int_equal(axkvm_vm_create(f.kvm, 0, &vm, &f.err), -EBUSY);
	assert_int_equal(f.err.kind, AX_ERROR_VM_CREATION);
	assert_non_null(strstr(f.err.hint, "VirtualBox"));
	assert_null(vm);
	fixture_destroy(&f);
	axkvm_vcpu_destroy(NULL);
	axkvm_vm_destroy(NULL);
	axkvm_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots),
		cmocka_unit_test(eventfds),
		cmocka_unit_test(msi),
		cmocka_unit_test(creation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
