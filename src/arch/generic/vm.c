/*
 * The fake's VM: its creation and end, what load remembers for the vCPUs, its statistics, and the
 * setting of scripts. Lines and doorbells are in lines.c, slots in memory.c.
 */
#include "generic_priv.h"
#include "../boot.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int generic_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
		      struct axarch_vm **ret_vm, struct ax_error *err)
{
	struct axarch_vm *vm = calloc(1, sizeof(*vm));
	int rc;

	(void)plan; /* where memory and devices stand is told by the mapper and the bus */
	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a VM");
	generic_faults_init(&vm->faults);
	pthread_mutex_init(&vm->lock, NULL);
	for (uint32_t gsi = 0; gsi < GENERIC_LINES; gsi++)
		vm->line[gsi].fd = -1;
	snprintf(vm->name, sizeof(vm->name), "%s", config->name ? config->name : "generic");

	rc = generic_faults_parse(&vm->faults, config->kvm_device, err);
	if (rc == 0)
		rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_VM_CREATE, err);
	if (rc == 0)
		rc = axarch_copy_topology(config, &vm->topology, err);
	if (rc < 0)
		goto fail;
	vm->vcpus = calloc(config->vcpu_count, sizeof(*vm->vcpus));
	vm->cmdline = strdup("");
	if (!vm->vcpus || !vm->cmdline) {
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u vCPUs",
				  config->vcpu_count);
		goto fail;
	}
	for (; vm->vcpu_count < config->vcpu_count; vm->vcpu_count++)
		generic_vcpu_init(&vm->vcpus[vm->vcpu_count], vm, vm->vcpu_count);
	*ret_vm = vm;
	return 0;
fail:
	generic_vm_destroy(vm);
	return rc;
}

void generic_vm_destroy(struct axarch_vm *vm)
{
	if (!vm)
		return;
	assert(atomic_load(&vm->vcpus_alive) == 0);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		generic_vcpu_finish(&vm->vcpus[i]);
	generic_vm_close_fds(vm);
	pthread_mutex_destroy(&vm->lock);
	generic_faults_finish(&vm->faults);
	free(vm->cmdline);
	free(vm->topology);
	free(vm->vcpus);
	free(vm);
}

/* ---- load ------------------------------------------------------------------------------------ */

static int load_image(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		      struct ax_error *err)
{
	const char *name = boot->kernel_name ? boot->kernel_name : "kernel";
	bool flat = boot->protocol == AXARCH_BOOT_FLAT;
	uint64_t gpa = flat ? boot->load_gpa : GENERIC_DEFAULT_LOAD;
	struct stat st;

	if (!flat && boot->protocol != AXARCH_BOOT_AUTO) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			     "the generic machine cannot boot \"%s\": it takes flat images only",
			     name);
		return ax_error_hint(err, "choose the boot protocol \"flat\" or \"auto\"");
	}
	if (fstat(boot->kernel_fd, &st) != 0)
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, errno, "cannot look at \"%s\": %s",
				    name, strerror(errno));
	if (st.st_size <= 0)
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, ENOEXEC, "\"%s\" is empty", name);
	int rc = axas_load_fd(memory, gpa, boot->kernel_fd, 0, (uint64_t)st.st_size, err);
	if (rc < 0) {
		ax_error_context(err, "cannot load \"%s\"", name);
		return rc;
	}
	vm->has_code = true;
	vm->entry = flat && boot->entry ? boot->entry : gpa;
	return 0;
}

int generic_load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		 const struct axarch_machine *machine, struct ax_error *err)
{
	(void)machine; /* nobody inside would read a description */
	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_LOAD, err);
	if (rc < 0)
		return rc;
	if (boot->initrd_fd >= 0)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "the generic machine has no use for the initrd \"%s\"",
				    boot->initrd_name ? boot->initrd_name : "initrd");
	char *cmdline = strdup(boot->cmdline ? boot->cmdline : "");
	if (!cmdline)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the command line");
	rc = boot->kernel_fd >= 0 ? load_image(vm, memory, boot, err) : 0;
	if (rc < 0) {
		free(cmdline);
		return rc;
	}
	free(vm->cmdline);
	vm->cmdline = cmdline;
	return 0;
}

const char *generic_vm_cmdline(struct axarch_vm *vm)
{
	return vm->cmdline;
}

const struct axarch_topology *generic_vm_topology(struct axarch_vm *vm)
{
	return vm->topology;
}

/* ---- statistics and scripts ------------------------------------------------------------------ */

int generic_vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name, uint64_t *ret_value)
{
	struct generic_vcpu *self = &vm->vcpus[vcpu];
	const struct {
		const char *name;
		_Atomic uint64_t *value;
	} stats[] = {
		{"exits", &self->exits},
		{"io_exits", &self->io_exits},
		{"mmio_exits", &self->mmio_exits},
		{"halt_exits", &self->halt_exits},
	};

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_VCPU_STAT, NULL);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < AX_ARRAY_LEN(stats); i++) {
		if (strcmp(stats[i].name, name) != 0)
			continue;
		*ret_value = atomic_load(stats[i].value);
		return 0;
	}
	return -ENOENT;
}

int generic_vm_set_script(struct axarch_vm *vm, uint32_t vcpu, const struct generic_step *steps,
			  size_t count)
{
	if (vcpu >= vm->vcpu_count)
		return -ERANGE;
	for (size_t i = 0; i < count; i++)
		if (steps[i].kind == GENERIC_STEP_JUMP && steps[i].count >= count)
			return -EINVAL;
	struct generic_step *copy = calloc(count ? count : 1, sizeof(*copy));
	struct generic_answer *answers = calloc(count ? count : 1, sizeof(*answers));
	if (!copy || !answers) {
		free(copy);
		free(answers);
		return -ENOMEM;
	}
	if (count)
		memcpy(copy, steps, count * sizeof(*copy));
	struct generic_vcpu *target = &vm->vcpus[vcpu];
	pthread_mutex_lock(&target->lock);
	free(target->steps);
	free(target->answers);
	target->steps = copy;
	target->answers = answers;
	target->step_count = count;
	target->step = 0;
	target->step_begun = false;
	pthread_mutex_unlock(&target->lock);
	return 0;
}
