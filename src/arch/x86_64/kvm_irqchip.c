/*
 * The interrupt controllers and the PIT of one VM, and how lines and messages lead to them. They
 * are KVM's as long as its IOAPIC can name all CPUs; beyond, the LAPICs are KVM's and the IOAPIC is
 * ioapic.c's, without PIC and PIT. Vectors for one vCPU are kvm_irq.c's.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

static int create_in_kernel(struct axarch_vm *vm, struct ax_error *err)
{
	int ret = x86_vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP", err);

	if (ret == 0 && vm->config.legacy_pit)
		ret = create_pit(vm, err);
	if (ret == 0)
		ret = route_pins(vm, err);
	return ret;
}

/* ---- the IOAPIC outside KVM ------------------------------------------------------------------ */

static struct axkvm_msi_route route_of(const struct x86_msi *msi)
{
	return (struct axkvm_msi_route){.address = x86_msi_address_for_kvm(msi->address),
					.data = msi->data};
}

static void route_pin(void *ctx, uint32_t pin, const struct x86_msi *msi)
{
	struct axarch_vm *vm = ctx;
	struct ax_error err = {0};
	const struct axkvm_msi_route to = msi ? route_of(msi) : (struct axkvm_msi_route){0};

	if (axkvm_vm_route_msi(vm->vm, pin, msi ? &to : NULL, &err) < 0)
		ax_log_limited(&vm->irq_failures, AX_LOG_ERROR, LAYER, "IOAPIC pin %u: %s", pin,
			       err.message);
}

static bool send_pin(void *ctx, const struct x86_msi *msi)
{
	struct axarch_vm *vm = ctx;
	const struct axkvm_msi_route to = route_of(msi);

	return axkvm_vm_signal_msi(vm->vm, to.address, to.data, NULL) == 0;
}

/* KVM's PIT raises a pin of KVM's PIC and IOAPIC, so there is none. */
static int create_split(struct axarch_vm *vm, struct ax_error *err)
{
	const struct x86_ioapic_sink sink = {.route = route_pin, .send = send_pin, .ctx = vm};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {X86_IOAPIC_PINS}};

	vm->irq_failures = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	int ret = x86_vm_ioctl(vm, KVM_ENABLE_CAP, &cap, "KVM_CAP_SPLIT_IRQCHIP", err);
	if (ret == 0)
		ret = x86_ioapic_create(&sink, &vm->ioapic, err);
	return ret;
}

/* ---- creation -------------------------------------------------------------------------------- */

/* Ids of 32 bits, and 0xff is a CPU, not all of them. */
static int widen_ids(struct axarch_vm *vm, struct ax_error *err)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args = {KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
	};

	if (axkvm_check(vm->kvm, KVM_CAP_X2APIC_API) > 0)
		return x86_vm_ioctl(vm, KVM_ENABLE_CAP, &cap, "KVM_CAP_X2APIC_API", err);
	if (vm->max_apic_id <= X86_MAX_XAPIC_ID)
		return 0;
	ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
		     "APIC id %u needs KVM_CAP_X2APIC_API, which this KVM lacks", vm->max_apic_id);
	return ax_error_hint(err, "use at most 255 CPUs with ids up to 254");
}

/* A guest learns of extended destination ids from KVM's leaves: where these are hidden it could not
 * use them. */
static bool wants_split(const struct axarch_vm *vm)
{
	if (vm->max_apic_id <= X86_MAX_IRQ_ID)
		return false;
	if (!vm->config.cpu.mask_paravirt && axkvm_check(vm->kvm, KVM_CAP_SPLIT_IRQCHIP) > 0)
		return true;
	x86_warn_of_large_ids(vm->name, vm->apic_ids, vm->config.vcpu_count);
	return false;
}

int x86_vm_create_irqchip(struct axarch_vm *vm, struct ax_error *err)
{
	int ret = wants_split(vm) ? create_split(vm, err) : create_in_kernel(vm, err);

	if (ret < 0)
		return ret;
	vm->has_irqchip = true;
	ret = widen_ids(vm, err);
	if (ret == 0)
		vm->msi_count = axkvm_vm_msi_room(vm->vm, X86_PIN_ROUTES, X86_MAX_MSIS);
	return ret;
}

/* ---- how the common parts reach them --------------------------------------------------------- */

static int set_level(void *ctx, uint32_t gsi, bool level)
{
	struct axarch_vm *vm = ctx;

	if (vm->ioapic)
		return x86_ioapic_set_level(vm->ioapic, gsi, level);
	return axkvm_vm_irq_line(vm->vm, gsi, level);
}

static int assign_fd(void *ctx, uint32_t gsi, int event_fd, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;
	return axkvm_vm_irqfd(vm->vm, gsi, event_fd, -1, true, err);
}

static int release_fd(void *ctx, uint32_t gsi, int event_fd)
{
	struct axarch_vm *vm = ctx;
	return axkvm_vm_irqfd(vm->vm, gsi, event_fd, -1, false, NULL);
}

/* What is not for a LAPIC would be a write to memory, which no device of ours makes. */
static int set_msi(void *ctx, uint32_t gsi, const struct axirq_message *message,
		   struct ax_error *err)
{
	struct axarch_vm *vm = ctx;
	struct axkvm_msi_route route;

	if (!message)
		return axkvm_vm_route_msi(vm->vm, gsi, NULL, err);
	if ((message->address & 0xfff00000) != X86_LAPIC_GPA)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "MSI address 0x%" PRIx64 " is not in 0x%llx..0x%llx",
				    message->address, X86_LAPIC_GPA, X86_LAPIC_GPA + 0xfffff);
	route = (struct axkvm_msi_route){.address = message->address, .data = message->data};
	if (vm->ioapic) /* then the guest has been told of extended ids */
		route.address = x86_msi_address_for_kvm(route.address);
	return axkvm_vm_route_msi(vm->vm, gsi, &route, err);
}

/* GSI n is IOAPIC pin n and PIC line n below 16, but for the PIT's; messages above. */
void x86_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip)
{
	*ret_chip = (struct axirq_chip){
		.set_level = set_level,
		.assign_fd = assign_fd,
		.release_fd = release_fd,
		.gsi_first = 0,
		.gsi_count = vm->has_irqchip ? X86_IOAPIC_PINS : 0,
		.set_msi = set_msi,
		.msi_first = X86_IOAPIC_PINS,
		.msi_count = vm->msi_count,
		.ctx = vm,
	};
}
