/*
 * CPUs for who belongs to a VM and is none of its threads: the owner's control thread and helpers
 * like passt. They are the plan's housekeeping CPUs, or those that the VM shares; and when others
 * claim CPUs of these (yield.c, sharing.c), what is left. The owner moves them: only it knows them.
 */
#include "vm_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Under placement_lock. */
static struct vm_cpus look(const struct axvm *vm)
{
	const struct vm_placement *place = &vm->placement;

	if (place->aside)
		return (struct vm_cpus){place->aside, place->aside_count};
	/* CPU numbers are small: the same objects as ints. */
	if (place->plan && !place->floats)
		return (struct vm_cpus){(const int *)place->plan->housekeeping,
					place->plan->housekeeping_count};
	return (struct vm_cpus){place->sharing.cpus, place->sharing.count};
}

size_t axvm_aside(const struct axvm *vm, int *ret_cpus, size_t max)
{
	struct axvm *mutable = (struct axvm *)(uintptr_t)vm; /* the lock is not part of its value */
	struct vm_cpus cpus;

	pthread_mutex_lock(&mutable->placement_lock);
	cpus = look(vm);
	if (cpus.count)
		memcpy(ret_cpus, cpus.ids,
		       (cpus.count < max ? cpus.count : max) * sizeof(*ret_cpus));
	pthread_mutex_unlock(&mutable->placement_lock);
	return cpus.count;
}

int axvm_aside_fd(const struct axvm *vm)
{
	return vm->placement.aside_fd;
}

void axvm_move_aside(struct axvm *vm, const int *cpus, size_t count)
{
	struct vm_placement *place = &vm->placement;
	int *copy = malloc(count * sizeof(*copy));
	const uint64_t one = 1;
	bool changed;

	if (!copy)
		return;
	memcpy(copy, cpus, count * sizeof(*copy));
	pthread_mutex_lock(&vm->placement_lock);
	changed = !place->aside || place->aside_count != count ||
		  memcmp(place->aside, copy, count * sizeof(*copy)) != 0;
	free(place->aside);
	place->aside = copy;
	place->aside_count = count;
	pthread_mutex_unlock(&vm->placement_lock);
	if (changed && write(place->aside_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable already */
}
