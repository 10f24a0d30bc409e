/*
 * The steps of building a VM: from the frozen configuration to slices for the layers below. Each
 * step stores what it made in the VM at once, so that axvm_destroy can end it from anywhere.
 */
#include "vm_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the profile says; a bare payload asks for nothing, and gets only what was asked for. */
static void cpu_policy(const struct axvm *vm, struct axarch_cpu_policy *ret)
{
	static const enum axprof_idle idles[] = {
		[AXCFG_IDLE_AUTO] = AXPROF_IDLE_AUTO,
		[AXCFG_IDLE_HOST] = AXPROF_IDLE_HOST,
		[AXCFG_IDLE_GUEST] = AXPROF_IDLE_GUEST,
	};
	const struct axcfg *c = vm->config;
	const uint32_t vcpus = (uint32_t)c->cpus.count;
	const bool alone = axvm_is_alone(vm);
	struct axarch_cpu_policy policy;

	if (alone && axprof_is_throttled(&vm->facts, vcpus))
		ax_log(AX_LOG_WARN, "placement",
		       "the cgroup's cpu.max allows %.3g CPUs for the %u vCPUs of %s: they are "
		       "stopped when that is used up, and told that they share their cores",
		       vm->facts.cpu_limit_thousandths / 1e3, vcpus, c->name);
	axprof_cpu_policy(vm->profile, &vm->facts, vcpus, alone, idles[c->cpus.idle], &policy);
	if (c->kernel.protocol == AXCFG_PROTOCOL_FLAT)
		policy = (struct axarch_cpu_policy){
			.mask_paravirt = true,
			.own_waits = c->cpus.idle == AXCFG_IDLE_GUEST ? policy.own_waits : 0,
		};
	*ret = policy;
}

static void arch_config(const struct axvm *vm, uint32_t *ids, struct axarch_vm_config *ret)
{
	static const enum axarch_uart uarts[] = {
		[AXCFG_UART_AUTO] = AXARCH_UART_AUTO,
		[AXCFG_UART_16550] = AXARCH_UART_16550,
		[AXCFG_UART_PL011] = AXARCH_UART_PL011,
	};
	static const uint32_t gics[] = {[AXCFG_GIC_AUTO] = 0, [AXCFG_GIC_2] = 2, [AXCFG_GIC_3] = 3};
	const struct axcfg *c = vm->config;

	for (size_t i = 0; i < c->cpus.ids.count; i++)
		ids[i] = (uint32_t)c->cpus.ids.values[i];
	*ret = (struct axarch_vm_config){
		.name = c->name,
		.vcpu_count = (uint32_t)c->cpus.count,
		.hardware_ids = c->cpus.ids.count ? ids : NULL,
		.memory_bytes = c->memory.size_bytes,
		.irq_mode = c->machine.irq_mode == AXCFG_IRQ_NONE ? AXARCH_IRQ_NONE
								  : AXARCH_IRQ_EMULATED,
		.acpi = c->machine.acpi,
		.mp_table = c->machine.mp_table,
		.legacy_pit = c->machine.pit,
		.gic_version = gics[c->machine.gic],
		.uart = uarts[c->machine.uart],
		.kvm_device = c->kvm_device,
	};
	cpu_policy(vm, &ret->cpu);
}

int axvm_build_machine(struct axvm *vm, struct ax_error *err)
{
	const struct axarch_topology *topology = NULL;
	struct axarch_vm_config config;
	uint32_t ids[AXCFG_MAX_CPUS];
	int rc = axvm_topology(vm, &topology, err);

	arch_config(vm, ids, &config);
	config.topology = topology;
	if (!rc)
		rc = vm->arch->plan(&config, &vm->plan, err);
	if (!rc)
		rc = axvm_plan_regions(vm, err);
	if (!rc)
		rc = vm->arch->probe(config.kvm_device, err);
	if (!rc)
		rc = vm->arch->vm_create(&config, &vm->plan, &vm->arch_vm, err);
	if (!rc && vm->options.on_arch_vm)
		rc = vm->options.on_arch_vm(vm->options.ctx, vm->arch_vm, err);
	free((void *)(uintptr_t)topology);
	return rc;
}

static int build_console(struct axvm *vm, struct ax_error *err)
{
	struct axchr_config config = vm->options.console;

	if (vm->config->serial.mode == AXCFG_SERIAL_NONE)
		return 0;
	/* The VM stands between the owner's hooks and the backend: it looks for a panic's text. */
	config.output_tap = axvm_console_tap;
	config.input_filter = config.input_filter ? axvm_console_filter : NULL;
	config.ctx = vm;
	return axchr_create(&config, vm->io_loops[0], &vm->console, err);
}

static int attach_platform(struct axvm *vm, struct ax_error *err)
{
	struct axarch_platform platform = {
		.bus = vm->bus,
		.services = &vm->services,
		.serial = vm->console,
		.on_power = axvm_on_power,
		.on_mark = axvm_on_mark,
		.on_hypercall = axvm_on_hypercall,
		.ctx = vm,
	};

	return vm->arch->platform_attach(vm->arch_vm, &platform, err);
}

int axvm_build_devices(struct axvm *vm, struct ax_error *err)
{
	struct axirq_chip chip;
	int rc = axbus_create(vm->config->machine.unclaimed == AXCFG_UNCLAIMED_FAULT
				      ? AXBUS_MISSING_FAULT
				      : AXBUS_MISSING_IGNORE,
			      &vm->bus, err);

	if (rc)
		return rc;
	vm->arch->vm_irq_chip(vm->arch_vm, &chip);
	rc = axirq_domain_create(&chip, &vm->irqs, err);
	if (rc)
		return rc;
	vm->services = (struct axdev_services){
		.memory = vm->memory,
		.irqs = vm->irqs,
		.assign_doorbell = vm->arch->assign_doorbell,
		.release_doorbell = vm->arch->release_doorbell,
		.ctx = vm->arch_vm,
		.io_loop = vm->io_loops[0],
		.io_loops = vm->io_loops,
		.io_loop_count = vm->io_count,
		.io_of_vcpu = vm->io_of_vcpu,
		.vcpu_count = (uint32_t)vm->config->cpus.count,
	};
	rc = build_console(vm, err);
	if (!rc)
		rc = attach_platform(vm, err);
	return rc ? rc : axvm_attach_devices(vm, err);
}

static int build_vcpu(struct axvm *vm, uint32_t index, struct ax_error *err)
{
	static const int policies[] = {
		[AXCFG_SCHEDULER_OTHER] = SCHED_OTHER,
		[AXCFG_SCHEDULER_BATCH] = SCHED_BATCH,
		[AXCFG_SCHEDULER_FIFO] = SCHED_FIFO,
		[AXCFG_SCHEDULER_RR] = SCHED_RR,
	};
	const struct axcfg *c = vm->config;
	const bool real_time = c->cpus.scheduler >= AXCFG_SCHEDULER_FIFO;
	const struct vm_cpus cpus = axvm_vcpu_cpus(vm, index);
	struct axvcpu_config config = {
		.index = index,
		.hardware_id = c->cpus.ids.count ? c->cpus.ids.values[index] : index,
		.host_cpus = cpus.ids,
		.host_cpu_count = cpus.count,
		.policy = policies[c->cpus.scheduler],
		.priority = real_time ? (int)c->cpus.priority : 0,
		.limits = {.timeout_ns = c->limits.timeout_ns, .max_exits = c->limits.max_exits},
		.on_exit = axvm_on_exit,
		.on_exit_ctx = vm,
	};
	int rc = vm->arch->vcpu_create(vm->arch_vm, index, &config.ops, &config.impl, err);

	if (rc)
		return rc;
	rc = axvcpu_create(&config, &vm->vcpus[index], err);
	if (rc)
		config.ops->destroy(config.impl);
	else
		vm->vcpu_count++;
	return rc;
}

int axvm_build_vcpus(struct axvm *vm, struct ax_error *err)
{
	uint32_t count = (uint32_t)vm->config->cpus.count;
	int rc = 0;

	vm->vcpus = calloc(count, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for %u vCPUs",
				    count);
	for (uint32_t i = 0; !rc && i < count; i++)
		rc = build_vcpu(vm, i, err);
	return rc;
}

static int open_image(const char *key, const char *path, int *ret_fd, struct ax_error *err)
{
	int fd;

	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int rc = errno;

		ax_error_set(err, AX_ERROR_BOOT_IMAGE, rc, "%s: cannot open %s: %s", key, path,
			     strerror(rc));
		return ax_error_hint(err, rc == ENOENT ? "check the path"
						       : "check that this user may read the file");
	}
	*ret_fd = fd;
	return 0;
}

/* The default command line, or the user's; *ret_text is the caller's to free. */
static int build_cmdline(const struct axvm *vm, char **ret_text, struct ax_error *err)
{
	const struct axcfg *c = vm->config;
	const char *no_pci = vm->pci ? "" : vm->arch->cmdline_no_pci;
	/* A console of the guest's own choice is the serial port, so hvc0 must be named. */
	const char *hvc = !vm->console && axvm_has_terminal(c) ? " console=hvc0" : "";
	bool root = c->disk_count && !c->kernel.initrd;
	int rc;

	if (c->kernel.cmdline)
		rc = asprintf(ret_text, "%s%s%s", c->kernel.cmdline, c->kernel.append ? " " : "",
			      c->kernel.append ? c->kernel.append : "");
	else
		rc = asprintf(ret_text, "%s%s%s%s%s%s%s",
			      vm->console ? vm->arch->cmdline_serial : vm->arch->cmdline_silent,
			      *no_pci ? " " : "", no_pci, hvc,
			      !root                   ? ""
			      : c->disks[0].read_only ? " root=/dev/vda ro"
						      : " root=/dev/vda rw",
			      c->kernel.append ? " " : "",
			      c->kernel.append ? c->kernel.append : "");
	if (rc < 0) {
		*ret_text = NULL;
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for the command line");
		return -ENOMEM;
	}
	return 0;
}

int axvm_load_images(struct axvm *vm, struct ax_error *err)
{
	static const enum axarch_boot_protocol protocols[] = {
		[AXCFG_PROTOCOL_AUTO] = AXARCH_BOOT_AUTO,
		[AXCFG_PROTOCOL_LINUX64] = AXARCH_BOOT_LINUX64,
		[AXCFG_PROTOCOL_LINUX32] = AXARCH_BOOT_LINUX32,
		[AXCFG_PROTOCOL_PVH] = AXARCH_BOOT_PVH,
		[AXCFG_PROTOCOL_FLAT] = AXARCH_BOOT_FLAT,
	};
	static const enum axarch_announce announces[] = {
		[AXCFG_ANNOUNCE_AUTO] = AXARCH_ANNOUNCE_AUTO,
		[AXCFG_ANNOUNCE_TABLES] = AXARCH_ANNOUNCE_TABLES,
		[AXCFG_ANNOUNCE_CMDLINE] = AXARCH_ANNOUNCE_CMDLINE,
		[AXCFG_ANNOUNCE_BOTH] = AXARCH_ANNOUNCE_BOTH,
	};
	const struct axcfg *c = vm->config;
	AX_AUTO_CLOSE int kernel_fd = -1;
	AX_AUTO_CLOSE int initrd_fd = -1;
	AX_AUTO_CLOSE int dtb_fd = -1;
	AX_AUTO_FREE char *cmdline = NULL;
	struct axarch_boot boot = {
		.kernel_name = c->kernel.path,
		.initrd_name = c->kernel.initrd,
		.dtb_name = c->kernel.dtb,
		.protocol = protocols[c->kernel.protocol],
		.load_gpa = c->kernel.load_gpa,
		.entry = c->kernel.entry,
		.flat_bits = (unsigned)c->kernel.bits,
	};
	struct axarch_machine machine = {.devices = vm->devices,
					 .device_count = vm->device_count,
					 .announce = announces[c->machine.announce],
					 .has_serial = vm->console != NULL,
					 .has_pci = vm->pci != NULL};
	int rc = open_image("kernel", c->kernel.path, &kernel_fd, err);

	if (!rc)
		rc = open_image("initrd", c->kernel.initrd, &initrd_fd, err);
	if (!rc)
		rc = open_image("dtb", c->kernel.dtb, &dtb_fd, err);
	if (!rc)
		rc = build_cmdline(vm, &cmdline, err);
	if (rc)
		return rc;
	boot.kernel_fd = kernel_fd;
	boot.initrd_fd = initrd_fd;
	boot.dtb_fd = dtb_fd;
	boot.cmdline = cmdline;
	rc = vm->arch->load(vm->arch_vm, vm->memory, &boot, &machine, err);
	for (uint32_t i = 0; !rc && i < vm->vcpu_count; i++)
		rc = axvcpu_setup(vm->vcpus[i], err);
	return rc;
}
