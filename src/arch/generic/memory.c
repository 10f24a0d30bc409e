/*
 * The fake's memory slots, and how its guests reach memory: through these slots, as hardware does,
 * not through the address space that made them. What is not in a slot is MMIO.
 */
#include "generic_priv.h"

#include <errno.h>
#include <string.h>

static int slot_error(struct ax_error *err, int sys_errno, uint32_t slot, uint64_t gpa,
		      uint64_t size_bytes, const char *what)
{
	return ax_error_set(err, AX_ERROR_MEMORY_SETUP, sys_errno,
			    "slot %u, gpa 0x%llx, 0x%llx bytes: %s", slot, (unsigned long long)gpa,
			    (unsigned long long)size_bytes, what);
}

static int map(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
	       bool read_only, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;
	uint64_t end;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_MAP, err);
	if (rc < 0)
		return rc;
	if (slot >= GENERIC_MAX_SLOTS)
		return slot_error(err, ENOSPC, slot, gpa, size_bytes, "no such slot");
	if ((gpa | size_bytes) % AXAS_PAGE_SIZE || !size_bytes || !hva ||
	    ax_add_overflows(gpa, size_bytes, &end))
		return slot_error(err, EINVAL, slot, gpa, size_bytes, "not a range of pages");

	pthread_mutex_lock(&vm->lock);
	const char *wrong = vm->slot[slot].used ? "the slot is in use" : NULL;
	for (size_t i = 0; !wrong && i < GENERIC_MAX_SLOTS; i++)
		if (vm->slot[i].used && gpa < vm->slot[i].gpa + vm->slot[i].size_bytes &&
		    vm->slot[i].gpa < end)
			wrong = "overlaps another slot";
	if (!wrong) {
		vm->slot[slot].used = true;
		vm->slot[slot].read_only = read_only;
		vm->slot[slot].gpa = gpa;
		vm->slot[slot].size_bytes = size_bytes;
		vm->slot[slot].hva = hva;
	}
	pthread_mutex_unlock(&vm->lock);
	return wrong ? slot_error(err, EEXIST, slot, gpa, size_bytes, wrong) : 0;
}

static int unmap(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_UNMAP, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vm->lock);
	bool found = slot < GENERIC_MAX_SLOTS && vm->slot[slot].used && vm->slot[slot].gpa == gpa &&
		     vm->slot[slot].size_bytes == size_bytes;
	if (found)
		vm->slot[slot].used = false;
	pthread_mutex_unlock(&vm->lock);
	return found ? 0
		     : slot_error(err, ENOENT, slot, gpa, size_bytes, "is not mapped like that");
}

void generic_vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper)
{
	*ret_mapper = (struct axas_mapper){.map = map, .unmap = unmap, .ctx = vm};
}

size_t generic_vm_slots(struct axarch_vm *vm)
{
	size_t count = 0;

	pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; i < GENERIC_MAX_SLOTS; i++)
		count += vm->slot[i].used;
	pthread_mutex_unlock(&vm->lock);
	return count;
}

/* With the lock held: where gpa is on the host and how far it goes there. */
static char *find(const struct axarch_vm *vm, uint64_t gpa, bool is_write, uint64_t *ret_limit)
{
	for (size_t i = 0; i < GENERIC_MAX_SLOTS; i++) {
		if (!vm->slot[i].used || gpa < vm->slot[i].gpa ||
		    gpa - vm->slot[i].gpa >= vm->slot[i].size_bytes)
			continue;
		if (is_write && vm->slot[i].read_only)
			return NULL;
		*ret_limit = vm->slot[i].size_bytes - (gpa - vm->slot[i].gpa);
		return vm->slot[i].hva + (gpa - vm->slot[i].gpa);
	}
	return NULL;
}

/* With the lock held. */
static bool covers(const struct axarch_vm *vm, uint64_t gpa, size_t len, bool is_write)
{
	uint64_t limit, last;

	if (len && ax_add_overflows(gpa, len - 1, &last))
		return false;
	for (uint64_t done = 0; done < len; done += limit)
		if (!find(vm, gpa + done, is_write, &limit))
			return false;
	return true;
}

bool generic_vm_read(struct axarch_vm *vm, uint64_t gpa, void *buf, size_t len)
{
	uint64_t limit;

	pthread_mutex_lock(&vm->lock);
	bool whole = covers(vm, gpa, len, false);
	for (size_t done = 0, n; whole && done < len; done += n) {
		const char *hva = find(vm, gpa + done, false, &limit);
		n = limit < len - done ? (size_t)limit : len - done;
		memcpy((char *)buf + done, hva, n);
	}
	pthread_mutex_unlock(&vm->lock);
	return whole;
}

bool generic_vm_write(struct axarch_vm *vm, uint64_t gpa, const void *buf, size_t len)
{
	uint64_t limit;

	pthread_mutex_lock(&vm->lock);
	bool whole = covers(vm, gpa, len, true);
	for (size_t done = 0, n; whole && done < len; done += n) {
		char *hva = find(vm, gpa + done, true, &limit);
		n = limit < len - done ? (size_t)limit : len - done;
		memcpy(hva, (const char *)buf + done, n);
	}
	pthread_mutex_unlock(&vm->lock);
	return whole;
}

bool generic_vm_load(struct axarch_vm *vm, uint64_t gpa, uint8_t width, uint64_t *ret_value)
{
	uint64_t limit, value = 0;

	if (gpa % width) {
		if (!generic_vm_read(vm, gpa, &value, width))
			return false;
		*ret_value = value;
		return true;
	}
	pthread_mutex_lock(&vm->lock);
	void *hva = find(vm, gpa, false, &limit);
	pthread_mutex_unlock(&vm->lock);
	if (!hva)
		return false;
	switch (width) {
	case 1:
		*ret_value = __atomic_load_n((uint8_t *)hva, __ATOMIC_SEQ_CST);
		return true;
	case 2:
		*ret_value = __atomic_load_n((uint16_t *)hva, __ATOMIC_SEQ_CST);
		return true;
	case 4:
		*ret_value = __atomic_load_n((uint32_t *)hva, __ATOMIC_SEQ_CST);
		return true;
	default:
		*ret_value = __atomic_load_n((uint64_t *)hva, __ATOMIC_SEQ_CST);
		return true;
	}
}

bool generic_vm_store(struct axarch_vm *vm, uint64_t gpa, uint8_t width, uint64_t value)
{
	uint64_t limit;

	if (gpa % width)
		return generic_vm_write(vm, gpa, &value, width);
	pthread_mutex_lock(&vm->lock);
	void *hva = find(vm, gpa, true, &limit);
	pthread_mutex_unlock(&vm->lock);
	if (!hva)
		return false;
	switch (width) {
	case 1:
		__atomic_store_n((uint8_t *)hva, (uint8_t)value, __ATOMIC_SEQ_CST);
		return true;
	case 2:
		__atomic_store_n((uint16_t *)hva, (uint16_t)value, __ATOMIC_SEQ_CST);
		return true;
	case 4:
		__atomic_store_n((uint32_t *)hva, (uint32_t)value, __ATOMIC_SEQ_CST);
		return true;
	default:
		__atomic_store_n((uint64_t *)hva, value, __ATOMIC_SEQ_CST);
		return true;
	}
}
