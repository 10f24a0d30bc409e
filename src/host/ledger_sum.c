/*
 * What living VMs hold together: how many have each CPU, and rows of memory, which are sorted and
 * added up at the end, so that many entries take time in proportion.
 */
#include "ledger_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int axledger_no_memory(struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for what VMs hold");
}

void axledger_sum_ignore(struct ledger_sum *self, const char *name, const char *why)
{
	char clean[128];

	if (self->held.ignored_count++)
		return;
	axledger_clean(clean, sizeof(clean), name);
	snprintf(self->held.ignored, sizeof(self->held.ignored), "%s: %s", clean, why);
}

static bool make_room(struct ledger_sum *self, size_t rows)
{
	struct axledger_held *held = &self->held;

	if (held->vm_count == self->vm_room) {
		const size_t room = self->vm_room ? 2 * self->vm_room : 16;
		void *vms = realloc(held->vms, room * sizeof(*held->vms)), *files;

		held->vms = vms ? vms : held->vms;
		files = vms ? realloc(self->files, room * sizeof(*self->files)) : NULL;
		if (!files)
			return false;
		self->files = files;
		self->vm_room = room;
	}
	if (rows > self->memory_room - held->memory_count) {
		const size_t room = 2 * self->memory_room + rows;
		void *memory = realloc(held->memory, room * sizeof(*held->memory));

		if (!memory)
			return false;
		held->memory = memory;
		self->memory_room = room;
	}
	return true;
}

static void saturate(uint64_t *sum, uint64_t more)
{
	if (ax_add_overflows(*sum, more, sum))
		*sum = UINT64_MAX;
}

int axledger_sum_add(struct ledger_sum *self, const struct stat *file,
		     const struct ledger_entry *entry, bool is_promised, struct ax_error *err)
{
	struct axledger_held *held = &self->held;
	const size_t rows = is_promised ? entry->memory_count : 0;
	struct axledger_vm *vm;

	if (!make_room(self, rows))
		return axledger_no_memory(err);
	self->files[held->vm_count] = file->st_ino;
	vm = &held->vms[held->vm_count++];
	*vm = (struct axledger_vm){
		.pid = entry->pid, .uid = file->st_uid, .cpu_count = (uint32_t)entry->cpu_count};
	memcpy(vm->name, entry->name, sizeof(vm->name));
	for (size_t i = 0; i < entry->cpu_count; i++)
		self->holders[entry->cpus[i]]++;
	for (size_t i = 0; i < rows; i++) {
		held->memory[held->memory_count++] = entry->memory[i];
		saturate(&vm->promised_bytes, entry->memory[i].bytes);
	}
	return 0;
}

static int compare_memory(const void *a, const void *b)
{
	const struct axledger_memory *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return (x->page_size_bytes > y->page_size_bytes) -
	       (x->page_size_bytes < y->page_size_bytes);
}

static void sum_memory(struct axledger_held *held)
{
	size_t count = 0;

	if (held->memory_count)
		qsort(held->memory, held->memory_count, sizeof(*held->memory), compare_memory);
	for (size_t i = 0; i < held->memory_count; i++)
		if (count && !compare_memory(&held->memory[count - 1], &held->memory[i]))
			saturate(&held->memory[count - 1].bytes, held->memory[i].bytes);
		else
			held->memory[count++] = held->memory[i];
	held->memory_count = count;
}

static int sum_cpus(struct ledger_sum *self, struct ax_error *err)
{
	struct axledger_held *held = &self->held;
	size_t count = 0;

	for (uint32_t i = 0; i <= AXHOST_MAX_CPU_ID; i++)
		count += self->holders[i] > 0;
	held->cpus = calloc(count ? count : 1, sizeof(*held->cpus));
	held->holders = calloc(count ? count : 1, sizeof(*held->holders));
	if (!held->cpus || !held->holders)
		return axledger_no_memory(err);
	for (uint32_t i = 0; i <= AXHOST_MAX_CPU_ID; i++)
		if (self->holders[i]) {
			held->cpus[held->cpu_count] = i;
			held->holders[held->cpu_count++] = self->holders[i];
		}
	return 0;
}

int axledger_sum_finish(struct ledger_sum *self, struct axledger_held *ret_held,
			struct ax_error *err)
{
	int rc = sum_cpus(self, err);

	if (rc)
		return rc;
	sum_memory(&self->held);
	*ret_held = self->held;
	self->held = (struct axledger_held){0};
	return 0;
}

void axledger_held_free(struct axledger_held *held)
{
	free(held->cpus);
	free(held->holders);
	free(held->memory);
	free(held->vms);
	*held = (struct axledger_held){0};
}
