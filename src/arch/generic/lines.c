/*
 * The fake's interrupt lines and doorbells: levels and edges are recorded, eventfds are really
 * read and really signalled, as irqfd and ioeventfd would.
 */
#include "generic_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* An fd of our own on the same eventfd: the caller's number may be closed and reused. */
static int duplicate(int event_fd, const char *what, struct ax_error *err)
{
	int fd = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "cannot use fd %d as %s: %s",
				    event_fd, what, strerror(errno));
	return fd;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int set_level(void *ctx, uint32_t gsi, bool level)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_SET_LEVEL, NULL);
	if (rc < 0)
		return rc;
	if (gsi >= GENERIC_GSI_COUNT)
		return -ERANGE;
	pthread_mutex_lock(&vm->lock);
	if (level && !vm->line[gsi].level)
		vm->line[gsi].edges++;
	vm->line[gsi].level = level;
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

static int assign_fd(void *ctx, uint32_t gsi, int event_fd, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_ASSIGN_FD, err);
	if (rc < 0)
		return rc;
	if (gsi >= GENERIC_LINES)
		return ax_error_set(err, AX_ERROR_DEVICE, ERANGE, "no line %u: there are %d", gsi,
				    GENERIC_LINES);
	int fd = duplicate(event_fd, "an interrupt line", err);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&vm->lock);
	bool taken = vm->line[gsi].fd >= 0;
	if (!taken) {
		vm->line[gsi].fd = fd;
		vm->line[gsi].callers_fd = event_fd;
	}
	pthread_mutex_unlock(&vm->lock);
	if (!taken)
		return 0;
	close(fd);
	return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST, "line %u has an eventfd already",
			    gsi);
}

static int release_fd(void *ctx, uint32_t gsi, int event_fd)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_RELEASE_FD, NULL);
	if (rc < 0)
		return rc;
	if (gsi >= GENERIC_LINES)
		return -ERANGE;
	pthread_mutex_lock(&vm->lock);
	bool found = vm->line[gsi].fd >= 0 && vm->line[gsi].callers_fd == event_fd;
	if (found) {
		close(vm->line[gsi].fd);
		vm->line[gsi].fd = -1;
	}
	pthread_mutex_unlock(&vm->lock);
	return found ? 0 : -ENOENT;
}

static int set_msi(void *ctx, uint32_t gsi, const struct axirq_message *message,
		   struct ax_error *err)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_SET_MSI, err);
	if (rc < 0)
		return rc;
	if (gsi < GENERIC_GSI_COUNT || gsi >= GENERIC_LINES)
		return ax_error_set(err, AX_ERROR_DEVICE, ERANGE, "GSI %u sends no messages", gsi);
	pthread_mutex_lock(&vm->lock);
	vm->line[gsi].has_message = message != NULL;
	if (message)
		vm->line[gsi].message = *message;
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

bool generic_vm_message(struct axarch_vm *vm, uint32_t gsi, struct axirq_message *ret_message)
{
	pthread_mutex_lock(&vm->lock);
	bool has = gsi < GENERIC_LINES && vm->line[gsi].has_message;
	if (has)
		*ret_message = vm->line[gsi].message;
	pthread_mutex_unlock(&vm->lock);
	return has;
}

void generic_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip)
{
	*ret_chip = (struct axirq_chip){
		.set_level = set_level,
		.assign_fd = assign_fd,
		.release_fd = release_fd,
		.gsi_first = 0,
		.gsi_count = GENERIC_GSI_COUNT,
		.set_msi = set_msi,
		.msi_first = GENERIC_GSI_COUNT,
		.msi_count = GENERIC_MSI_COUNT,
		.ctx = vm,
	};
}

/* With the lock held. Several writes to an eventfd are one edge, as with irqfd. */
static void drain(struct axarch_vm *vm, uint32_t gsi)
{
	struct pollfd ready = {.fd = vm->line[gsi].fd, .events = POLLIN};
	uint64_t count;

	if (ready.fd >= 0 && poll(&ready, 1, 0) == 1 &&
	    read(ready.fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		vm->line[gsi].edges++;
}

uint64_t generic_vm_irq_edges(struct axarch_vm *vm, uint32_t gsi)
{
	if (gsi >= GENERIC_LINES)
		return 0;
	pthread_mutex_lock(&vm->lock);
	drain(vm, gsi);
	uint64_t edges = vm->line[gsi].edges;
	pthread_mutex_unlock(&vm->lock);
	return edges;
}

bool generic_vm_take_edge(struct axarch_vm *vm, uint32_t gsi)
{
	if (gsi >= GENERIC_LINES)
		return false;
	pthread_mutex_lock(&vm->lock);
	drain(vm, gsi);
	bool rose = vm->line[gsi].edges > vm->line[gsi].edges_taken;
	vm->line[gsi].edges_taken += rose;
	pthread_mutex_unlock(&vm->lock);
	return rose;
}

bool generic_vm_irq_level(struct axarch_vm *vm, uint32_t gsi)
{
	pthread_mutex_lock(&vm->lock);
	bool level = gsi < GENERIC_LINES && vm->line[gsi].level;
	pthread_mutex_unlock(&vm->lock);
	return level;
}

bool generic_vm_irq_has_fd(struct axarch_vm *vm, uint32_t gsi)
{
	pthread_mutex_lock(&vm->lock);
	bool has = gsi < GENERIC_LINES && vm->line[gsi].fd >= 0;
	pthread_mutex_unlock(&vm->lock);
	return has;
}

/* ---- doorbells ------------------------------------------------------------------------------- */

static bool same_doorbell(const struct axdev_doorbell *a, const struct axdev_doorbell *b)
{
	return a->space == b->space && a->addr == b->addr && a->width == b->width &&
	       a->has_match == b->has_match && (!a->has_match || a->match == b->match);
}

int generic_assign_doorbell(void *ctx, const struct axdev_doorbell *doorbell, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_ASSIGN_DOORBELL, err);
	if (rc < 0)
		return rc;
	if (doorbell->space == AXDEV_SYSREG ||
	    (!doorbell->width && (doorbell->has_match || doorbell->space != AXDEV_MMIO)))
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "no such doorbell: width %u at 0x%llx", doorbell->width,
				    (unsigned long long)doorbell->addr);
	int fd = duplicate(doorbell->event_fd, "a doorbell", err);
	if (fd < 0)
		return fd;

	pthread_mutex_lock(&vm->lock);
	int why = vm->doorbell_count == GENERIC_MAX_DOORBELLS ? ENOSPC : 0;
	for (size_t i = 0; i < vm->doorbell_count; i++)
		if (same_doorbell(&vm->doorbell[i].spec, doorbell))
			why = EEXIST;
	if (!why) {
		vm->doorbell[vm->doorbell_count].spec = *doorbell;
		vm->doorbell[vm->doorbell_count].fd = fd;
		vm->doorbell_count++;
	}
	pthread_mutex_unlock(&vm->lock);
	if (!why)
		return 0;
	close(fd);
	return ax_error_set(err, why == EEXIST ? AX_ERROR_ALREADY_EXISTS : AX_ERROR_DEVICE, why,
			    "cannot add a doorbell at 0x%llx: %s",
			    (unsigned long long)doorbell->addr, strerror(why));
}

int generic_release_doorbell(void *ctx, const struct axdev_doorbell *doorbell)
{
	struct axarch_vm *vm = ctx;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_RELEASE_DOORBELL, NULL);
	if (rc < 0)
		return rc;
	rc = -ENOENT;
	pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; i < vm->doorbell_count; i++) {
		if (!same_doorbell(&vm->doorbell[i].spec, doorbell) ||
		    vm->doorbell[i].spec.event_fd != doorbell->event_fd)
			continue;
		close(vm->doorbell[i].fd);
		vm->doorbell[i] = vm->doorbell[--vm->doorbell_count];
		rc = 0;
		break;
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

bool generic_vm_ring(struct axarch_vm *vm, const struct axvcpu_exit *exit)
{
	bool port = exit->kind == AXVCPU_EXIT_IO_WRITE;
	uint64_t addr = port ? exit->io.port : exit->mmio.gpa, value = 0;
	uint8_t width = port ? exit->io.width : exit->mmio.width;
	bool hit = false;

	if (port && exit->io.count != 1)
		return false;
	memcpy(&value, port ? exit->io.data : exit->mmio.data, width);
	pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; !hit && i < vm->doorbell_count; i++) {
		const struct axdev_doorbell *spec = &vm->doorbell[i].spec;
		static const uint64_t one = 1;

		if (spec->space != (port ? AXDEV_PORT : AXDEV_MMIO) || spec->addr != addr ||
		    (spec->width && spec->width != width) ||
		    (spec->has_match && spec->match != value))
			continue;
		/* A full counter is signalled already. */
		hit = write(vm->doorbell[i].fd, &one, sizeof(one)) > 0 || errno == EAGAIN;
		vm->doorbell_hits += hit;
	}
	pthread_mutex_unlock(&vm->lock);
	return hit;
}

size_t generic_vm_doorbells(struct axarch_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	size_t count = vm->doorbell_count;
	pthread_mutex_unlock(&vm->lock);
	return count;
}

uint64_t generic_vm_doorbell_hits(struct axarch_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	uint64_t hits = vm->doorbell_hits;
	pthread_mutex_unlock(&vm->lock);
	return hits;
}

void generic_vm_close_fds(struct axarch_vm *vm)
{
	for (uint32_t gsi = 0; gsi < GENERIC_LINES; gsi++)
		if (vm->line[gsi].fd >= 0)
			close(vm->line[gsi].fd);
	for (size_t i = 0; i < vm->doorbell_count; i++)
		close(vm->doorbell[i].fd);
}
