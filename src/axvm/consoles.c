/*
 * The ports of the virtio console: which port of the device each configured console becomes, what
 * stands behind it on the host, and whether the guest has a terminal there. Opening files and the
 * user's terminal is for the owner of the VM.
 */
#include "vm_private.h"

/*
 * Terminals first, in the order given, then the named channels. Port 0 is the only one that drivers
 * without MULTIPORT see, and they make a terminal of it (Spec 5.3.5); with it, a first port that is
 * a channel is one, in Linux too. Returns how many are terminals.
 */
static size_t order_consoles(const struct axcfg *config, size_t ret_order[AXCFG_MAX_CONSOLES])
{
	size_t count = 0, terminals;

	for (size_t i = 0; i < config->console_count; i++)
		if (!config->consoles[i].name)
			ret_order[count++] = i;
	terminals = count;
	for (size_t i = 0; i < config->console_count; i++)
		if (config->consoles[i].name)
			ret_order[count++] = i;
	return terminals;
}

bool axvm_has_terminal(const struct axcfg *config)
{
	size_t order[AXCFG_MAX_CONSOLES];

	return order_consoles(config, order) > 0;
}

/* The backend of a configured console, vm->ports[index]. */
static int open_port(struct axvm *vm, size_t index, struct ax_error *err)
{
	const struct axcfg_console *console = &vm->config->consoles[index];
	struct axchr_config config = {.in_fd = -1, .out_fd = -1};

	if (console->mode == AXCFG_CONSOLE_SOCKET)
		config.socket_path = console->path;
	else if (index < vm->options.port_count)
		config = vm->options.ports[index];
	return axchr_create(&config, vm->io_loops[0], &vm->ports[index], err);
}

int axvm_attach_consoles(struct axvm *vm, struct ax_error *err)
{
	struct axvirtio_console_port ports[AXCFG_MAX_CONSOLES];
	struct axvirtio_console_config config = {
		.ports = ports,
		.port_count = (uint32_t)vm->config->console_count,
		.columns = vm->options.columns,
		.rows = vm->options.rows,
	};
	size_t order[AXCFG_MAX_CONSOLES];
	const size_t terminals = order_consoles(vm->config, order);
	int rc = 0;

	for (size_t i = 0; !rc && i < config.port_count; i++) {
		rc = open_port(vm, order[i], err);
		ports[i] = (struct axvirtio_console_port){
			.name = vm->config->consoles[order[i]].name,
			.chr = vm->ports[order[i]],
			.is_console = i < terminals,
		};
	}
	return rc ? rc
		  : axvm_attach_virtio(vm, "virtio-console", "console0", &config.place, &config,
				       sizeof(config), err);
}

void axvm_resize_console(struct axvm *vm, uint16_t columns, uint16_t rows)
{
	struct axdev *dev = axbus_find(vm->bus, "console0");

	if (dev)
		axvirtio_console_resize(axvirtio_of(dev), columns, rows);
}
