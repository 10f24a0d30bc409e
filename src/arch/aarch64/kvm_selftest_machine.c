/*
 * The machine that runs a payload of the self-test, built from the same parts as any VM but without
 * a bus: its exit handler writes down what the payload does. Which payloads there are, and what
 * proves what, is in kvm_selftest_checks.c.
 *
 * Payloads run with the MMU off, so their data goes past the caches: they report by exits, never by
 * memory that the host would have to poll.
 */
#include "kvm_selftest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define TIME_LIMIT_S 5
#define GPR_GIC      19 /* where payloads find the GIC's version */

static void log_access(struct st_machine *machine, const struct axvcpu_exit *exit)
{
	struct st_access access = {
		.kind = exit->kind, .addr = exit->mmio.gpa, .width = exit->mmio.width};

	memcpy(&access.value, exit->mmio.data, exit->mmio.width);
	if (machine->log_count < ST_MAX_LOG)
		machine->log[machine->log_count++] = access;
}

static enum axvcpu_verdict handle_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				       struct ax_error *err)
{
	const uint64_t value = ST_READ_VALUE;
	struct st_machine *machine = ctx;
	enum axvcpu_verdict verdict = AXVCPU_CONTINUE;

	(void)vcpu;
	pthread_mutex_lock(&machine->lock);
	switch (exit->kind) {
	case AXVCPU_EXIT_MMIO_READ:
		memcpy(exit->mmio.data, &value, exit->mmio.width);
		log_access(machine, exit);
		break;
	case AXVCPU_EXIT_MMIO_WRITE:
		log_access(machine, exit);
		machine->done = machine->done || exit->mmio.gpa == ST_DONE_GPA;
		break;
	case AXVCPU_EXIT_HYPERCALL:
		exit->hypercall.ret = exit->hypercall.nr + exit->hypercall.args[0];
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

static int create_vcpus(struct st_machine *machine)
{
	for (uint32_t i = 0; i < machine->check->vcpus; i++) {
		struct axvcpu_config config = {
			.index = i,
			.hardware_id = i,
			.on_exit = handle_exit,
			.on_exit_ctx = machine,
		};
		int ret = axarch_aarch64.vcpu_create(machine->vm, i, &config.ops, &config.impl,
						     &machine->err);
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

static int map_memory(struct st_machine *machine, const struct axarch_plan *plan)
{
	struct axas_mapper mapper;
	axarch_aarch64.vm_mapper(machine->vm, &mapper);
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

static int load(struct st_machine *machine)
{
	const struct st_check *check = machine->check;
	const struct axarch_boot boot = {
		.kernel_fd = -1,
		.initrd_fd = -1,
		.protocol = AXARCH_BOOT_FLAT,
		.load_gpa = ST_CODE_GPA,
		.entry = ST_CODE_GPA,
	};
	const struct axarch_machine description = {.device_count = 0};
	int ret = axarch_aarch64.load(machine->vm, machine->memory, &boot, &description,
				      &machine->err);

	if (ret < 0)
		return ret;
	ret = axas_write(machine->memory, ST_CODE_GPA, check->code,
			 (size_t)(check->code_end - check->code));
	if (ret < 0)
		return ax_error_set(&machine->err, AX_ERROR_MEMORY_SETUP, -ret,
				    "the payload does not fit");
	for (uint32_t i = 0; ret == 0 && i < check->vcpus; i++)
		ret = axvcpu_setup(machine->vcpu[i], &machine->err);
	if (ret == 0)
		ret = axvcpu_set_gpr(machine->vcpu[0], GPR_GIC, machine->vm->gic_version,
				     &machine->err);
	return ret;
}

int a64_st_create(const char *kvm_device, const struct st_check *check, struct st_machine *machine)
{
	const struct axarch_vm_config config = {
		.name = "selftest",
		.vcpu_count = check->vcpus,
		.memory_bytes = A64_MIN_MEMORY,
		.irq_mode = check->no_gic ? AXARCH_IRQ_NONE : AXARCH_IRQ_EMULATED,
		.kvm_device = kvm_device,
	};
	struct axarch_plan plan;

	memset(machine, 0, sizeof(*machine));
	machine->check = check;
	pthread_mutex_init(&machine->lock, NULL);
	pthread_cond_init(&machine->changed, NULL);
	int ret = axarch_aarch64.plan(&config, &plan, &machine->err);
	if (ret == 0)
		ret = axarch_aarch64.vm_create(&config, &plan, &machine->vm, &machine->err);
	if (ret == 0)
		ret = map_memory(machine, &plan);
	if (ret == 0)
		ret = create_vcpus(machine);
	if (ret == 0)
		ret = load(machine);
	return ret;
}

void a64_st_destroy(struct st_machine *machine)
{
	for (unsigned i = 0; i < AX_ARRAY_LEN(machine->vcpu); i++)
		axvcpu_destroy(machine->vcpu[i]);
	axas_destroy(machine->memory);
	axarch_aarch64.vm_destroy(machine->vm);
	pthread_cond_destroy(&machine->changed);
	pthread_mutex_destroy(&machine->lock);
}

int a64_st_start(struct st_machine *machine)
{
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < machine->check->vcpus; i++)
		ret = axvcpu_start(machine->vcpu[i], false, &machine->err);
	return ret;
}

bool a64_st_await(struct st_machine *machine, size_t count)
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

bool a64_st_finish(struct st_machine *machine)
{
	a64_st_await(machine, SIZE_MAX);
	for (uint32_t i = 0; i < machine->check->vcpus; i++) {
		axvcpu_request_stop(machine->vcpu[i]);
		axvcpu_join(machine->vcpu[i]);
	}
	return machine->done;
}
