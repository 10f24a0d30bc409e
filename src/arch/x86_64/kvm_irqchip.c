/*
 * The interrupt controllers and the PIT that KVM emulates for one VM, and how lines lead to them.
 * Lines are driven by kvm_vm.c's chip; vectors for one vCPU by kvm_irq.c.
 */
#include "kvm_x86.h"

#include <errno.h>

/*
 * KVM's default routes GSI n to PIC line n and IOAPIC pin n. The PIT raises GSI 0 and, as on every
 * PC, the guest is told to expect it at another IOAPIC pin.
 */
static int route_pins(struct axarch_vm *vm, struct ax_error *err)
{
	struct axkvm_pin_route pins[X86_PIN_ROUTES];
	const bool has_pit = vm->config.legacy_pit;
	size_t count = 0;

	for (uint32_t gsi = 0; gsi < X86_IOAPIC_PINS; gsi++) {
		if (has_pit && gsi == X86_PIT_IOAPIC_PIN) /* the PIC's cascade, the PIT's pin */
			continue;
		pins[count++] = (struct axkvm_pin_route){
			gsi, KVM_IRQCHIP_IOAPIC, has_pit && !gsi ? X86_PIT_IOAPIC_PIN : gsi};
		if (gsi < 16)
			pins[count++] = (struct axkvm_pin_route){
				gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				gsi % 8};
	}
	return axkvm_vm_route_pins(vm->vm, pins, count, !has_pit, err);
}

static int create_pit(struct axarch_vm *vm, struct ax_error *err)
{
	/* With the dummy, port 0x61 is answered in the kernel: TSC calibration polls it. */
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	return x86_vm_ioctl(vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2", err);
}

int x86_vm_create_irqchip(struct axarch_vm *vm, struct ax_error *err)
{
	int ret = x86_vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP", err);
	if (ret < 0)
		return ret;
	vm->has_irqchip = true;

	if (axkvm_check(vm->kvm, KVM_CAP_X2APIC_API) > 0) {
		struct kvm_enable_cap cap = {
			.cap = KVM_CAP_X2APIC_API,
			.args = {KVM_X2APIC_API_USE_32BIT_IDS |
				 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
		};
		ret = x86_vm_ioctl(vm, KVM_ENABLE_CAP, &cap, "KVM_CAP_X2APIC_API", err);
	} else if (vm->max_apic_id > X86_MAX_XAPIC_ID) {
		ret = ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				   "APIC id %u needs KVM_CAP_X2APIC_API, which this KVM lacks",
				   vm->max_apic_id);
		ax_error_hint(err, "use at most 255 CPUs with ids up to 254");
	}
	if (ret == 0 && vm->config.legacy_pit)
		ret = create_pit(vm, err);
	if (ret == 0)
		ret = route_pins(vm, err);
	if (ret == 0)
		vm->msi_count = axkvm_vm_msi_room(vm->vm, X86_PIN_ROUTES, X86_MAX_MSIS);
	return ret;
}
