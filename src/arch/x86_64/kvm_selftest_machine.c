/*
 * The machine that runs a payload of the self-test, built from the same parts as any VM but without
 * a bus: its exit handler writes down what the payload does. Which payloads there are, and what
 * proves what, is in kvm_selftest_checks.c.
 */
#include "kvm_selftest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define TIME_LIMIT_NS 2000000000ULL

static void log_access(struct st_machine *machine, enum axvcpu_exit_kind kind, uint64_t addr,
		       uint32_t width, uint32_t count, const void *data)
{
	struct st_access access = {.kind = kind, .addr = addr, .width = width, .count = count};

	memcpy(&access.value, data, width <= 8 ? width : 8);
	if (machine->log_count < ST_MAX_LOG)
		machine->log[machine->log_count++] = access;
}

static void answer(void *data, uint32_t width, uint32_t count)
{
	const uint64_t value = ST_READ_VALUE;

	for (uint32_t i = 0; i < count && width <= sizeof(value); i++)
		memcpy((char *)data + (size_t)i * width, &value, width);
}

static enum axvcpu_verdict handle_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				       struct ax_error *err)
{
	struct st_machine *machine = ctx;
	enum axvcpu_verdict verdict = AXVCPU_CONTINUE;

	(void)vcpu;
	pthread_mutex_lock(&machine->lock);
	switch (exit->kind) {
	case AXVCPU_EXIT_IO_READ:
		answer(exit->io.data, exit->io.width, exit->io.count);
		log_access(machine, exit->kind, exit->io.port, exit->io.width, exit->io.count,
			   exit->io.data);
		break;
	case AXVCPU_EXIT_IO_WRITE:
		log_access(machine, exit->kind, exit->io.port, exit->io.width, exit->io.count,
			   exit->io.data);
		if (exit->io.port == 0x10)
			machine->done = true;
		break;
	case AXVCPU_EXIT_MMIO_READ:
		answer(exit->mmio.data, exit->mmio.width, 1);
		log_access(machine, exit->kind, exit->mmio.gpa, exit->mmio.width, 1,
			   exit->mmio.data);
		break;
	case AXVCPU_EXIT_MMIO_WRITE:
		log_access(machine, exit->kind, exit->mmio.gpa, exit->mmio.width, 1,
			   exit->mmio.data);
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
	if (machine->done || machine->ended)
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
		int ret = axarch_x86_64.vcpu_create(machine->vm, i, &config.ops, &config.impl,
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
	axarch_x86_64.vm_mapper(machine->vm, &mapper);
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

/* Payload, and an IDT whose gates 0x40 to 0x5f lead to the payload's 16th byte. */
static int load(struct st_machine *machine)
{
	const struct st_check *check = machine->check;
	const uint64_t gpa = check->bits == 16 ? ST_REAL_GPA : ST_CODE_GPA;
	const struct axarch_boot boot = {
		.kernel_fd = -1,
		.initrd_fd = -1,
		.protocol = AXARCH_BOOT_FLAT,
		.load_gpa = gpa,
		.entry = gpa,
		.flat_bits = check->bits,
	};
	const struct axarch_machine description = {.device_count = 0};
	const uint64_t handler = ST_CODE_GPA + 16, idt = ST_IDT_GPA;
	const uint64_t gate[2] = {(handler & 0xffff) | 0x10ULL << 16 | 0x8eULL << 40 |
				  (handler >> 16) << 48};
	const uint16_t limit = 256 * 16 - 1;

	int ret = axarch_x86_64.load(machine->vm, machine->memory, &boot, &description,
				     &machine->err);
	if (ret < 0)
		return ret;
	ret = axas_write(machine->memory, gpa, check->code,
			 (size_t)(check->code_end - check->code));
	for (unsigned vector = 0x40; ret == 0 && vector < 0x60; vector++)
		ret = axas_write(machine->memory, idt + vector * 16, gate, sizeof(gate));
	if (ret == 0)
		ret = axas_write(machine->memory, idt + 0x10000, &limit, sizeof(limit));
	if (ret == 0)
		ret = axas_write(machine->memory, idt + 0x10002, &idt, sizeof(idt));
	if (ret < 0)
		return ax_error_set(&machine->err, AX_ERROR_MEMORY_SETUP, -ret,
				    "the payload does not fit");
	for (uint32_t i = 0; ret == 0 && i < check->vcpus; i++)
		ret = axvcpu_setup(machine->vcpu[i], &machine->err);
	return ret;
}

int x86_st_create(const char *kvm_device, const struct st_check *check, struct st_machine *machine)
{
	const struct axarch_vm_config config = {
		.name = "selftest",
		.vcpu_count = check->vcpus,
		.memory_bytes = X86_MIN_MEMORY,
		.irq_mode = check->no_irqchip ? AXARCH_IRQ_NONE : AXARCH_IRQ_EMULATED,
		.cpu.mask_paravirt = true,
		.kvm_device = kvm_device,
	};
	struct axarch_plan plan;

	memset(machine, 0, sizeof(*machine));
	machine->check = check;
	pthread_mutex_init(&machine->lock, NULL);
	pthread_cond_init(&machine->changed, NULL);
	int ret = x86_plan(&config, &plan, &machine->err);
	if (ret == 0)
		ret = axarch_x86_64.vm_create(&config, &plan, &machine->vm, &machine->err);
	if (ret == 0)
		ret = map_memory(machine, &plan);
	if (ret == 0)
		ret = create_vcpus(machine);
	if (ret == 0)
		ret = load(machine);
	return ret;
}

void x86_st_destroy(struct st_machine *machine)
{
	for (unsigned i = 0; i < AX_ARRAY_LEN(machine->vcpu); i++)
		axvcpu_destroy(machine->vcpu[i]);
	axas_destroy(machine->memory);
	axarch_x86_64.vm_destroy(machine->vm);
	pthread_cond_destroy(&machine->changed);
	pthread_mutex_destroy(&machine->lock);
}

int x86_st_start(struct st_machine *machine)
{
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < machine->check->vcpus; i++)
		ret = axvcpu_start(machine->vcpu[i], false, &machine->err);
	return ret;
}

bool x86_st_finish(struct st_machine *machine, const _Atomic bool *flag)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TIME_LIMIT_NS / 1000000000;
	pthread_mutex_lock(&machine->lock);
	while (!*flag && !machine->ended && ret == 0)
		ret = pthread_cond_timedwait(&machine->changed, &machine->lock, &until);
	pthread_mutex_unlock(&machine->lock);
	for (uint32_t i = 0; i < machine->check->vcpus; i++) {
		axvcpu_request_stop(machine->vcpu[i]);
		axvcpu_join(machine->vcpu[i]);
	}
	return *flag;
}

uint64_t x86_st_data(const struct st_machine *machine, uint64_t offset)
{
	uint64_t value = 0;

	if (axas_read_u64(machine->memory, ST_DATA_GPA + offset, &value) < 0)
		return 0;
	return value;
}

bool x86_st_await(struct st_machine *machine, uint64_t offset, uint64_t value)
{
	const struct timespec pause = {.tv_nsec = 200000};
	uint64_t until = ax_clock_ns() + TIME_LIMIT_NS;

	while (x86_st_data(machine, offset) != value) {
		if (ax_clock_ns() > until || machine->ended)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
