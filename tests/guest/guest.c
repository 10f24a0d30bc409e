/*
 * The test VM: built from the architecture's table as any user of the library would. What it does
 * with exits and accesses is guest_exits.c's; main.c executes the tests.
 */
#include "guest.h"

#include <string.h>
#include <time.h>

void guest_sleep_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void create_devices(struct guest *guest)
{
	struct axirq_chip chip;

	guest->arch->vm_irq_chip(guest->vm, &chip);
	CHECK_OK(axbus_create(guest->config.missing, &guest->bus, &guest->err), &guest->err);
	CHECK_OK(axirq_domain_create(&chip, &guest->irqs, &guest->err), &guest->err);
	guest->services = (struct axdev_services){
		.memory = guest->memory,
		.irqs = guest->irqs,
		.assign_doorbell = guest->arch->assign_doorbell,
		.release_doorbell = guest->arch->release_doorbell,
		.ctx = guest->vm,
		.io_loop = guest->config.loop,
	};
	if (guest->config.loop && guest->config.out_fd > 0) {
		const struct axchr_config chr = {.in_fd = guest->config.in_fd,
						 .out_fd = guest->config.out_fd};
		CHECK_OK(axchr_create(&chr, guest->config.loop, &guest->serial, &guest->err),
			 &guest->err);
	}
	const struct axarch_platform platform = {
		.bus = guest->bus,
		.services = &guest->services,
		.serial = guest->serial,
		.on_power = guest_on_power,
		.on_mark = guest_on_mark,
		.on_hypercall = guest_on_hypercall,
		.ctx = guest,
	};
	CHECK_OK(guest->arch->platform_attach(guest->vm, &platform, &guest->err), &guest->err);
	guest_attach_devices(guest);
}

static void create_vcpus(struct guest *guest)
{
	for (unsigned i = 0; i < guest->config.vcpus; i++) {
		struct axvcpu_config config = {
			.index = i,
			.hardware_id =
				guest->config.hardware_ids ? guest->config.hardware_ids[i] : i,
			.limits = guest->config.limits,
			.on_exit = guest_route_exit,
			.on_exit_ctx = guest,
		};
		CHECK_OK(guest->arch->vcpu_create(guest->vm, i, &config.ops, &config.impl,
						  &guest->err),
			 &guest->err);
		CHECK_OK(axvcpu_create(&config, &guest->vcpu[i], &guest->err), &guest->err);
	}
}

void guest_create(struct guest *guest, const struct guest_config *config)
{
	memset(guest, 0, sizeof(*guest));
	guest->config = *config;
	guest->config.vcpus = config->vcpus ? config->vcpus : 1;
	guest->config.bits = config->bits ? config->bits : 64;
	guest->config.load_gpa = config->load_gpa ? config->load_gpa : GUEST_CODE_GPA;
	guest->read_value = 0x8877665544332211ULL;
	pthread_mutex_init(&guest->lock, NULL);
	pthread_cond_init(&guest->changed, NULL);
	guest->arch = axarch_native();
	const struct axarch_vm_config vm = {
		.name = "payload",
		.vcpu_count = guest->config.vcpus,
		.hardware_ids = config->hardware_ids,
		.memory_bytes = 16 * AX_MIB,
		.irq_mode = config->irq_mode,
		.legacy_pit = config->pit,
		.gic_version = config->gic,
		.uart = config->uart,
		/* Some KVMs tell of features that only stock kernels use. */
		.cpu.mask_paravirt = !config->paravirt,
		.cpu.own_waits = config->own_waits,
	};
	CHECK_OK(guest->arch->plan(&vm, &guest->plan, &guest->err), &guest->err);
	CHECK_OK(guest->arch->vm_create(&vm, &guest->plan, &guest->vm, &guest->err), &guest->err);
	struct axas_mapper mapper;
	guest->arch->vm_mapper(guest->vm, &mapper);
	CHECK_OK(axas_create(guest->plan.gpa_limit, &mapper, &guest->memory, &guest->err),
		 &guest->err);
	for (size_t i = 0; i < guest->plan.memory_count; i++) {
		const struct axas_region_config region = {
			.name = "ram",
			.gpa = guest->plan.memory[i].gpa,
			.size_bytes = guest->plan.memory[i].size_bytes,
			.flags = AXAS_RW,
			.fd = -1,
		};
		CHECK_OK(axas_map(guest->memory, &region, &guest->err), &guest->err);
	}
	create_devices(guest);
	create_vcpus(guest);
}

void guest_load(struct guest *guest, const char *code, const char *code_end)
{
	uint64_t gpa = guest->config.load_gpa;
	const struct axarch_boot boot = {
		.kernel_fd = -1,
		.initrd_fd = -1,
		.protocol = AXARCH_BOOT_FLAT,
		.load_gpa = gpa,
		.entry = gpa,
		.flat_bits = guest->config.bits,
	};
	const struct axarch_machine machine = {.device_count = 0};

	CHECK_OK(guest->arch->load(guest->vm, guest->memory, &boot, &machine, &guest->err),
		 &guest->err);
	CHECK_OK(axas_write(guest->memory, gpa, code, (size_t)(code_end - code)), &guest->err);
	for (unsigned i = 0; i < guest->config.vcpus; i++)
		CHECK_OK(axvcpu_setup(guest->vcpu[i], &guest->err), &guest->err);
}

void guest_start(struct guest *guest)
{
	for (unsigned i = 0; i < guest->config.vcpus; i++)
		CHECK_OK(axvcpu_start(guest->vcpu[i], false, &guest->err), &guest->err);
}

void guest_finish(struct guest *guest)
{
	struct timespec until;
	char dump[2048];
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until); /* the other may be set meanwhile */
	until.tv_sec += 20;
	pthread_mutex_lock(&guest->lock);
	while (!guest->done && !guest->ended && !guest->powered && ret == 0)
		ret = pthread_cond_clockwait(&guest->changed, &guest->lock, CLOCK_MONOTONIC,
					     &until);
	pthread_mutex_unlock(&guest->lock);
	for (unsigned i = 0; i < guest->config.vcpus; i++)
		axvcpu_request_stop(guest->vcpu[i]);
	for (unsigned i = 0; i < guest->config.vcpus; i++)
		axvcpu_join(guest->vcpu[i]);
	axvcpu_dump(guest->vcpu[0], dump, sizeof(dump));
	CHECK(ret == 0, "the payload did not come to an end\n%s", dump);
}

void guest_finish_done(struct guest *guest)
{
	char dump[2048];

	guest_finish(guest);
	axvcpu_dump(guest->vcpu[0], dump, sizeof(dump));
	CHECK(guest->done, "it ended with %s, reason 0x%llx, detail 0x%llx: %s\n%s",
	      axvcpu_exit_name(guest->end.kind), (unsigned long long)guest->end.failure.reason,
	      (unsigned long long)guest->end.failure.detail[0], guest->end_err.message, dump);
}

void guest_destroy(struct guest *guest)
{
	for (unsigned i = 0; i < guest->config.vcpus; i++)
		axvcpu_destroy(guest->vcpu[i]);
	axbus_destroy(guest->bus);
	axchr_destroy(guest->serial);
	axirq_domain_destroy(guest->irqs);
	axas_destroy(guest->memory);
	guest->arch->vm_destroy(guest->vm);
	pthread_cond_destroy(&guest->changed);
	pthread_mutex_destroy(&guest->lock);
}

void guest_run(struct guest *guest, const struct guest_config *config, const char *code,
	       const char *code_end)
{
	guest_create(guest, config);
	guest_load(guest, code, code_end);
	guest_start(guest);
	guest_finish_done(guest);
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t guest_data(const struct guest *guest, uint64_t offset)
{
	uint64_t value = 0;

	CHECK(axas_read_u64(guest->memory, GUEST_DATA_GPA + offset, &value) == 0, "no data");
	return value;
}

void guest_set_data(struct guest *guest, uint64_t offset, uint64_t value)
{
	CHECK(axas_write_u64(guest->memory, GUEST_DATA_GPA + offset, value) == 0, "no data");
}

void guest_expect(const struct guest *guest, size_t index, const struct guest_access *want)
{
	CHECK(index < guest->log_count, "access %zu never came", index);
	const struct guest_access *got = &guest->log[index];
	CHECK(got->space == want->space && got->offset == want->offset &&
		      got->width == want->width && got->is_write == want->is_write &&
		      (!want->is_write || got->value == want->value),
	      "access %zu: %s of %u bytes at +0x%llx, value 0x%llx; expected %s of %u at +0x%llx, "
	      "0x%llx",
	      index, got->is_write ? "write" : "read", got->width, (unsigned long long)got->offset,
	      (unsigned long long)got->value, want->is_write ? "write" : "read", want->width,
	      (unsigned long long)want->offset, (unsigned long long)want->value);
}

void guest_inject(struct guest *guest, uint32_t vector, enum axvcpu_irq_trigger trigger,
		  bool notify_eoi)
{
	const struct axvcpu_irq irq = {
		.vector = vector, .trigger = trigger, .notify_eoi = notify_eoi};

	CHECK_OK(axvcpu_inject(guest->vcpu[0], &irq, &guest->err), &guest->err);
}
