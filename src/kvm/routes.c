/*
 * The GSI routing table of one VM: the architecture's pins and the messages of message-signalled
 * interrupts. KVM_SET_GSI_ROUTING replaces everything at once and waits until no irqfd looks at the
 * old table, so it is called for real changes only; entries are changed in place and put back when
 * KVM refuses them, since one bad entry makes it refuse the whole table.
 */
#include "kvm_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void axkvm_routes_init(struct axkvm_routes *routes)
{
	pthread_mutex_init(&routes->lock, NULL);
}

void axkvm_routes_finish(struct axkvm_routes *routes)
{
	pthread_mutex_destroy(&routes->lock);
	free(routes->table);
}

uint32_t axkvm_vm_msi_room(const struct axkvm_vm *vm, uint32_t pins, uint32_t wanted)
{
	/* The number of entries, and what GSIs have to stay below. */
	const int limit = axkvm_check(vm->kvm, KVM_CAP_IRQ_ROUTING);

	if (limit <= 0 || (uint32_t)limit <= pins)
		return 0;
	return (uint32_t)limit - pins < wanted ? (uint32_t)limit - pins : wanted;
}

static int install(struct axkvm_vm *vm, struct ax_error *err)
{
	const int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_SET_GSI_ROUTING, vm->routes.table);

	if (ret >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_DEVICE, -ret, "KVM_SET_GSI_ROUTING of %u routes: %s",
			    vm->routes.table->nr, strerror(-ret));
}

static int make_room(struct axkvm_routes *routes, uint32_t entries, struct ax_error *err)
{
	struct kvm_irq_routing *table;

	if (routes->table && entries <= routes->room)
		return 0;
	entries += entries / 2;
	table = realloc(routes->table, sizeof(*table) + entries * sizeof(table->entries[0]));
	if (!table) {
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u GSI routes",
			     entries);
		return -ENOMEM;
	}
	if (!routes->table)
		memset(table, 0, sizeof(*table));
	routes->table = table;
	routes->room = entries;
	return 0;
}

int axkvm_vm_route_pins(struct axkvm_vm *vm, const struct axkvm_pin_route *pins, size_t count,
			bool is_default, struct ax_error *err)
{
	struct axkvm_routes *routes = &vm->routes;
	int rc;

	pthread_mutex_lock(&routes->lock);
	rc = make_room(routes, (uint32_t)count + 8, err);
	if (rc == 0) {
		for (size_t i = 0; i < count; i++)
			routes->table->entries[i] = (struct kvm_irq_routing_entry){
				.gsi = pins[i].gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = {.irqchip = pins[i].chip, .pin = pins[i].pin},
			};
		routes->table->nr = routes->pin_count = (uint32_t)count;
		rc = is_default ? 0 : install(vm, err);
	}
	pthread_mutex_unlock(&routes->lock);
	return rc;
}

static struct kvm_irq_routing_entry entry_of(uint32_t gsi, const struct axkvm_msi_route *msi)
{
	struct kvm_irq_routing_entry entry;

	memset(&entry, 0, sizeof(entry));
	entry.gsi = gsi;
	entry.type = KVM_IRQ_ROUTING_MSI;
	entry.u.msi.address_lo = (uint32_t)msi->address;
	entry.u.msi.address_hi = (uint32_t)(msi->address >> 32);
	entry.u.msi.data = msi->data;
	if (msi->has_device_id) {
		entry.flags = KVM_MSI_VALID_DEVID;
		entry.u.msi.devid = msi->device_id;
	}
	return entry;
}

/* Of messages. */
static bool is_same(const struct kvm_irq_routing_entry *a, const struct kvm_irq_routing_entry *b)
{
	return a->gsi == b->gsi && a->flags == b->flags &&
	       a->u.msi.address_lo == b->u.msi.address_lo &&
	       a->u.msi.address_hi == b->u.msi.address_hi && a->u.msi.data == b->u.msi.data &&
	       a->u.msi.devid == b->u.msi.devid;
}

/* Of the GSI's message, or table->nr. */
static uint32_t find(const struct axkvm_routes *routes, uint32_t gsi)
{
	uint32_t at = routes->pin_count;

	while (at < routes->table->nr && routes->table->entries[at].gsi != gsi)
		at++;
	return at;
}

static int set_locked(struct axkvm_vm *vm, uint32_t gsi, const struct axkvm_msi_route *msi,
		      struct ax_error *err)
{
	const struct kvm_irq_routing_entry entry = entry_of(gsi, msi);
	struct kvm_irq_routing *table = vm->routes.table;
	const uint32_t at = find(&vm->routes, gsi), count = table->nr;
	const struct kvm_irq_routing_entry old = table->entries[at];
	int rc;

	if (at < count && is_same(&old, &entry))
		return 0;
	table->entries[at] = entry;
	table->nr = at < count ? count : count + 1;
	rc = install(vm, err);
	if (rc < 0) {
		table->entries[at] = old;
		table->nr = count;
		ax_error_context(err, "GSI %u to MSI 0x%" PRIx64 " data 0x%x", gsi, msi->address,
				 msi->data);
	}
	return rc;
}

static int clear_locked(struct axkvm_vm *vm, uint32_t gsi, struct ax_error *err)
{
	struct kvm_irq_routing *table = vm->routes.table;
	const uint32_t at = find(&vm->routes, gsi);

	if (at == table->nr)
		return 0;
	table->entries[at] = table->entries[--table->nr];
	return install(vm, err);
}

int axkvm_vm_route_msi(struct axkvm_vm *vm, uint32_t gsi, const struct axkvm_msi_route *msi,
		       struct ax_error *err)
{
	struct axkvm_routes *routes = &vm->routes;
	int rc;

	pthread_mutex_lock(&routes->lock);
	rc = make_room(routes, routes->table ? routes->table->nr + 1 : 8, err);
	if (rc == 0)
		rc = msi ? set_locked(vm, gsi, msi, err) : clear_locked(vm, gsi, err);
	pthread_mutex_unlock(&routes->lock);
	return rc;
}
