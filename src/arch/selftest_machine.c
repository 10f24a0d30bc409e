/*
 * The machine that runs a payload of the self-test, built from the same parts as any VM but without
 * a bus: its exit handler writes down what the payload does. Which payloads there are, and what
 * proves what, is for the checks.
 *
 * Payloads may run with the MMU off, so that their data goes past the caches: they report by exits,
 * never by memory that the host would have to poll.
 */
#include "selftest.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_S 5
#define MEMORY_BYTES (16ULL << 20)

/* ---- exits ----------------------------------------------------------------------------------- */

static void log_access(struct axarch_st_machine *machine, enum axvcpu_exit_kind kind, uint64_t addr,
		       uint32_t width, uint32_t count, const void *data)
{
	struct axarch_st_access access = {
		.kind = kind, .addr = addr, .width = width, .count = count};

	memcpy(&access.value, data, width <= 8 ? width : 8);
	if (machine->log_count < AXARCH_ST_MAX_LOG)
		machine->log[machine->log_count++] = access;
}

static void answer(void *data, uint32_t width, uint32_t count)
{
	const uint64_t value = AXARCH_ST_READ_VALUE;

	for (uint32_t i = 0; i < count && width <= sizeof(value); i++)
		memcpy((char *)data + (size_t)i * width, &value, width);
}

static bool device_access(const struct axarch_st_machine *machine, const struct axvcpu_exit *exit)
{
	struct axdev *device = machine->device;
	struct axdev_access access = {
		.space = AXDEV_MMIO,
		.width = exit->mmio.width,
		.is_write = exit->kind == AXVCPU_EXIT_MMIO_WRITE,
	};

	if (!device || exit->mmio.gpa < device->resource[0].base)
		return false;
	access.offset = exit->mmio.gpa - device->resource[0].base;
	if (access.offset >= device->resource[0].size)
		return false;
	memcpy(&access.value, exit->mmio.data, exit->mmio.width);
	device->ops->access(device, &access);
	memcpy(exit->mmio.data, &access.value, exit->mmio.width);
	return true;
}

static void on_port(struct axarch_st_machine *machine, const struct axvcpu_exit *exit)
{
	if (exit->kind == AXVCPU_EXIT_IO_READ)
		answer(exit->io.data, exit->io.width, exit->io.count);
	else if (machine->test->done_port && exit->io.port == machine->test->done_port)
		machine->done = true;
	log_access(machine, exit->kind, exit->io.port, exit->io.width, exit->io.count,
		   exit->io.data);
}

static void on_mmio(struct axarch_st_machine *machine, const struct axvcpu_exit *exit)
{
	if (device_access(machine, exit))
		return;
	if (exit->kind == AXVCPU_EXIT_MMIO_READ)
		answer(exit->mmio.data, exit->mmio.width, 1);
	else if (exit->mmio.gpa == machine->test->report_gpa + 8)
		machine->done = true;
	log_access(machine, exit->kind, exit->mmio.gpa, exit->mmio.width, 1, exit->mmio.data);
}

static enum axvcpu_verdict handle_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				       struct ax_error *err)
{
	struct axarch_st_machine *machine = ctx;
	enum axvcpu_verdict verdict = AXVCPU_CONTINUE;

	(void)vcpu;
	pthread_mutex_lock(&machine->lock);
	switch (exit->kind) {
	case AXVCPU_EXIT_IO_READ:
	case AXVCPU_EXIT_IO_WRITE:
		on_port(machine, exit);
		break;
	case AXVCPU_EXIT_MMIO_READ:
	case AXVCPU_EXIT_MMIO_WRITE:
		on_mmio(machine, exit);
		break;
	case AXVCPU_EXIT_HYPERCALL:
		exit->hypercall.ret = exit->hypercall.nr + exit->hypercall.args[0];
		break;
	case AXVCPU_EXIT_SYSREG_READ:
	case AXVCPU_EXIT_SYSREG_WRITE: /* nobody's: it faults */
	case AXVCPU_EXIT_NOTHING:
	case AXVCPU_EXIT_EXTERNAL_INTERRUPT:
		break;
	default:
		if (!machine->ended) {
			machine->end = *exit;
			if (err && err->kind != AX_ERROR_NONE)
				machine->err = *err;
		}
		machine->ended = true;
		verdict = AXVCPU_STOP;
	}
	pthread_cond_broadcast(&machine->changed);
	pthread_mutex_unlock(&machine->lock);
	return verdict;
}

/* ---- building -------------------------------------------------------------------------------- */

static int create_vcpus(struct axarch_st_machine *machine)
{
	for (uint32_t i = 0; i < machine->check->vcpus; i++) {
		struct axvcpu_config config = {
			.index = i,
			.hardware_id = i,
			.on_exit = handle_exit,
			.on_exit_ctx = machine,
		};
		int ret = machine->test->arch->vcpu_create(machine->vm, i, &config.ops,
							   &config.impl, &machine->err);
		if (ret < 0)
			return ret;
		ret = axvcpu_create(&config, &machine->vcpu[i], &machine->err);
		if (ret < 0) {
			config.ops->destroy(config.impl);
			return ret;
		}
	}
	return 0;
}

static int map_memory(struct axarch_st_machine *machine, const struct axarch_plan *plan)
{
	struct axas_mapper mapper;
	machine->test->arch->vm_mapper(machine->vm, &mapper);
	int ret = axas_create(plan->gpa_limit, &mapper, &machine->memory, &machine->err);

	for (size_t i = 0; ret == 0 && i < plan->memory_count; i++) {
		const struct axas_region_config region = {
			.name = "selftest",
			.gpa = plan->memory[i].gpa,
			.size_bytes = plan->memory[i].size_bytes,
			.flags = AXAS_RW,
			.fd = -1,
		};
		ret = axas_map(machine->memory, &region, &machine->err);
	}
	return ret;
}

static int load(struct axarch_st_machine *machine)
{
	const struct axarch_check *check = machine->check;
	const struct axarch_selftest *test = machine->test;
	const uint64_t gpa = check->code_gpa ? check->code_gpa : test->code_gpa;
	const struct axarch_boot boot = {
		.kernel_fd = -1,
		.initrd_fd = -1,
		.protocol = AXARCH_BOOT_FLAT,
		.load_gpa = gpa,
		.entry = gpa,
		.flat_bits = check->flat_bits ? check->flat_bits : test->flat_bits,
	};
	const struct axarch_machine description = {.device_count = 0};
	int ret =
		test->arch->load(machine->vm, machine->memory, &boot, &description, &machine->err);

	if (ret < 0)
		return ret;
	ret = axas_write(machine->memory, gpa, check->code,
			 (size_t)(check->code_end - check->code));
	if (ret < 0)
		return ax_error_set(&machine->err, AX_ERROR_MEMORY_SETUP, -ret,
				    "the payload does not fit");
	for (uint32_t i = 0; ret == 0 && i < check->vcpus; i++)
		ret = axvcpu_setup(machine->vcpu[i], &machine->err);
	if (ret == 0 && test->prepare)
		ret = test->prepare(machine);
	return ret;
}

int axarch_st_create(const struct axarch_selftest *test, const struct axarch_check *check,
		     const char *kvm_device, struct axarch_st_machine *machine)
{
	const struct axarch_vm_config config = {
		.name = "selftest",
		.vcpu_count = check->vcpus,
		.memory_bytes = MEMORY_BYTES,
		.irq_mode = check->no_irqchip ? AXARCH_IRQ_NONE : AXARCH_IRQ_EMULATED,
		.cpu.mask_paravirt = true,
		.kvm_device = kvm_device,
	};
	struct axarch_plan plan;

	memset(machine, 0, sizeof(*machine));
	machine->test = test;
	machine->check = check;
	pthread_mutex_init(&machine->lock, NULL);
	pthread_cond_init(&machine->changed, NULL);
	int ret = test->arch->plan(&config, &plan, &machine->err);
	if (ret == 0)
		ret = test->arch->vm_create(&config, &plan, &machine->vm, &machine->err);
	if (ret == 0)
		ret = map_memory(machine, &plan);
	if (ret == 0)
		ret = create_vcpus(machine);
	if (ret == 0)
		ret = load(machine);
	return ret;
}

void axarch_st_destroy(struct axarch_st_machine *machine)
{
	for (unsigned i = 0; i < AX_ARRAY_LEN(machine->vcpu); i++)
		axvcpu_destroy(machine->vcpu[i]);
	axas_destroy(machine->memory);
	axdev_destroy(machine->device);
	machine->test->arch->vm_destroy(machine->vm);
	pthread_cond_destroy(&machine->changed);
	pthread_mutex_destroy(&machine->lock);
}

/* ---- running --------------------------------------------------------------------------------- */

int axarch_st_start(struct axarch_st_machine *machine)
{
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < machine->check->vcpus; i++)
		ret = axvcpu_start(machine->vcpu[i], false, &machine->err);
	return ret;
}

bool axarch_st_await(struct axarch_st_machine *machine, size_t count)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TIME_LIMIT_S;
	pthread_mutex_lock(&machine->lock);
	while (machine->log_count < count && !machine->done && !machine->ended && ret == 0)
		ret = pthread_cond_timedwait(&machine->changed, &machine->lock, &until);
	bool good = machine->log_count >= count;
	pthread_mutex_unlock(&machine->lock);
	return good;
}

void axarch_st_await_sleep(const struct axarch_st_machine *machine)
{
	for (unsigned i = 0; i < 1000 && axvcpu_state(machine->vcpu[0]) != AXVCPU_BLOCKED; i++)
		usleep(100);
}

bool axarch_st_finish(struct axarch_st_machine *machine)
{
	axarch_st_await(machine, SIZE_MAX);
	for (uint32_t i = 0; i < machine->check->vcpus; i++) {
		axvcpu_request_stop(machine->vcpu[i]);
		axvcpu_join(machine->vcpu[i]);
	}
	return machine->done;
}

bool axarch_st_run(struct axarch_st_machine *machine)
{
	return axarch_st_start(machine) == 0 && axarch_st_finish(machine);
}
