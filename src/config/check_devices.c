/*
 * The checks between the options of devices, and what is made of those that were left open: which
 * backend a card has, whether there is a serial port. check.c has the rest of the machine.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_STATS_NS 10000000ULL /* of the balloon: each is an exit and an interrupt */

/* ---- settling -------------------------------------------------------------------------------- */

static bool console_on_terminal(const struct axcfg *config)
{
	for (size_t i = 0; i < config->console_count; i++)
		if (config->consoles[i].mode == AXCFG_CONSOLE_STDIO)
			return true;
	return false;
}

void axcfg_settle(struct axcfg *config)
{
	if (config->serial.mode == AXCFG_SERIAL_AUTO)
		config->serial.mode =
			console_on_terminal(config) ? AXCFG_SERIAL_NONE : AXCFG_SERIAL_STDIO;
	for (size_t i = 0; i < config->net_count; i++)
		if (config->nets[i].type == AXCFG_NET_AUTO)
			config->nets[i].type =
				config->nets[i].tap ? AXCFG_NET_TAP : AXCFG_NET_PASST;
	if (!config->io.threads && config->io.affinity.count)
		config->io.threads = config->io.affinity.count;
}

/* ---- disks ----------------------------------------------------------------------------------- */

static int check_disk(const struct axcfg *config, size_t i, struct ax_error *err)
{
	const struct axcfg_disk *disk = &config->disks[i];

	if (!disk->path) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "disks[%zu] has no path", i);
		return ax_error_hint(err, "write --disk PATH[,ro]");
	}
	if (disk->base && !strcmp(disk->base, disk->path)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "disks[%zu]: %s is its own base",
			     i, disk->path);
		return ax_error_hint(err, "make an overlay: axvm disk overlay NEW %s", disk->base);
	}
	for (size_t j = 0; j < i; j++)
		if (!strcmp(disk->path, config->disks[j].path) &&
		    !(disk->read_only && config->disks[j].read_only))
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "disks[%zu] and disks[%zu] are both %s", j, i,
					    disk->path);
	return 0;
}

/* ---- network --------------------------------------------------------------------------------- */

int axcfg_parse_mac(const char *text, uint8_t ret_mac[6])
{
	uint8_t mac[6];

	for (unsigned i = 0; i < 6; i++) {
		const char *p = text + 3 * i;

		if (strlen(p) < 2 || !isxdigit((unsigned char)p[0]) ||
		    !isxdigit((unsigned char)p[1]) || p[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)strtoul(p, NULL, 16);
	}
	/* The group bit is for frames to many, never for a card. */
	if (mac[0] & 1 || !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return -EADDRNOTAVAIL;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

static int check_mac(const struct axcfg_net *net, size_t i, struct ax_error *err)
{
	uint8_t mac[6];
	int rc = net->mac ? axcfg_parse_mac(net->mac, mac) : 0;

	if (rc == -EADDRNOTAVAIL) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: %s is no address of a single card", i, net->mac);
		return ax_error_hint(err, "the first byte must be even and not all may be zero: "
					  "02:00:00:00:00:01");
	}
	if (rc) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: '%s' is not a MAC address", i, net->mac);
		return ax_error_hint(err, "write six bytes in hexadecimal: 52:54:00:12:34:56");
	}
	return 0;
}

static int check_net(const struct axcfg *config, size_t i, struct ax_error *err)
{
	const struct axcfg_net *net = &config->nets[i];
	const bool tap = net->type == AXCFG_NET_TAP;

	if (net->tap && (!tap || net->socket)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu] has both the tap %s and another backend", i, net->tap);
		return ax_error_hint(err, "write one of tap=NAME, passt and switch");
	}
	if (net->socket && tap)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "nets[%zu]: a tap has no socket", i);
	if (net->type == AXCFG_NET_SWITCH && !net->socket) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: which switch? socket is not set", i);
		return ax_error_hint(err, "start one with axvm switch PATH, and add socket=PATH");
	}
	if (net->queues > 1 && !tap) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: %llu queue pairs, and only a tap has more than one", i,
			     (unsigned long long)net->queues);
		return ax_error_hint(err, "leave out queues=, or use tap=NAME");
	}
	if (net->vhost && (!tap || config->machine.transport != AXCFG_TRANSPORT_PCI)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "nets[%zu]: vhost goes with a tap and with PCI only", i);
		return ax_error_hint(err, "add tap=NAME and --transport pci, or leave out vhost");
	}
	if (net->mtu && net->mtu < 68)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "nets[%zu]: an MTU of %llu is below the 68 that IPv4 needs", i,
				    (unsigned long long)net->mtu);
	for (size_t j = 0; j < i; j++)
		if (net->tap && config->nets[j].tap && !strcmp(net->tap, config->nets[j].tap))
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "nets[%zu] and nets[%zu] are both on the tap %s", j, i,
					    net->tap);
	return check_mac(net, i, err);
}

/* ---- consoles and the rest ------------------------------------------------------------------- */

static int check_consoles(const struct axcfg *config, struct ax_error *err)
{
	unsigned on_terminal = config->serial.mode == AXCFG_SERIAL_STDIO;

	for (size_t i = 0; i < config->console_count; i++) {
		const struct axcfg_console *console = &config->consoles[i];
		const bool needs_path = console->mode == AXCFG_CONSOLE_FILE ||
					console->mode == AXCFG_CONSOLE_SOCKET;

		if (needs_path != (console->path != NULL)) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "consoles[%zu]: path goes with the modes file and socket, and "
				     "with these only",
				     i);
			return ax_error_hint(err, "write --console socket,path=PATH");
		}
		on_terminal += console->mode == AXCFG_CONSOLE_STDIO;
	}
	if (on_terminal > 1) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%u consoles want this terminal",
			     on_terminal);
		return ax_error_hint(err, "give one to stdio and others to pty, socket or file; "
					  "--serial none takes the serial port away");
	}
	return 0;
}

static int check_io(const struct axcfg *config, struct ax_error *err)
{
	/* What io.threads may be is in the schema; the list stands for it. */
	if (config->io.affinity.count > AXCFG_MAX_IO) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "io.affinity has %zu numbers, there are up to %d I/O threads",
			     config->io.affinity.count, AXCFG_MAX_IO);
		return ax_error_hint(err, "give one number per thread");
	}
	if (config->io.affinity.count && config->io.affinity.count != config->io.threads) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "io.affinity has %zu numbers for %llu I/O threads",
			     config->io.affinity.count, (unsigned long long)config->io.threads);
		return ax_error_hint(err, "give one number per thread, or leave out io.threads");
	}
	if (config->balloon.size_bytes && !config->balloon.enabled) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "balloon.size is set, but there is no balloon");
		return ax_error_hint(err, "add --balloon");
	}
	if (config->balloon.stats_ns && config->balloon.stats_ns < LEAST_STATS_NS) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "balloon.stats: the guest cannot be asked every %llu ns",
			     (unsigned long long)config->balloon.stats_ns);
		return ax_error_hint(err, "give 10ms or more, or 0 for never");
	}
	if (config->balloon.size_bytes >= config->memory.size_bytes)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "balloon.size: the guest cannot give back %llu MiB of its %llu",
				    (unsigned long long)(config->balloon.size_bytes / AX_MIB),
				    (unsigned long long)(config->memory.size_bytes / AX_MIB));
	return 0;
}

int axcfg_check_devices(const struct axcfg *config, struct ax_error *err)
{
	const char *first = config->disk_count        ? "disks[0]"
			    : config->net_count       ? "nets[0]"
			    : config->console_count   ? "consoles[0]"
			    : config->vsock.path      ? "vsock"
			    : config->balloon.enabled ? "the balloon"
						      : NULL;
	int rc = check_consoles(config, err);

	if (!rc)
		rc = check_io(config, err);
	for (size_t i = 0; !rc && i < config->disk_count; i++)
		rc = check_disk(config, i, err);
	for (size_t i = 0; !rc && i < config->net_count; i++)
		rc = check_net(config, i, err);
	if (rc)
		return rc;
	if (config->machine.irq_mode == AXCFG_IRQ_NONE && first) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "machine.irq_mode none leaves no interrupt line for %s", first);
		return ax_error_hint(err, "leave out that device, or --irq-mode none");
	}
	return 0;
}
