/*
 * The command line in its place, and how this machine tells the kernel of its virtio devices.
 */
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum axarch_announce x86_announce(const struct x86_boot_info *info)
{
	const char *cmdline = info->boot->cmdline ? info->boot->cmdline : "";

	if (info->machine->announce != AXARCH_ANNOUNCE_AUTO)
		return info->machine->announce;
	/* A kernel that learns of a device twice complains about the second time (ADR 0004). */
	return info->config->acpi && !axarch_cmdline_has(cmdline, "acpi=off")
		       ? AXARCH_ANNOUNCE_TABLES
		       : AXARCH_ANNOUNCE_CMDLINE;
}

int x86_write_cmdline(struct axas *memory, const struct x86_boot_info *info, uint32_t max_len,
		      struct ax_error *err)
{
	const uint64_t limit = max_len < X86_CMDLINE_MAX ? max_len : X86_CMDLINE_MAX - 1;
	AX_AUTO_FREE char *line = NULL;
	int rc = axarch_cmdline(info->boot, info->machine,
				x86_announce(info) & AXARCH_ANNOUNCE_CMDLINE, limit, &line, err);

	if (rc < 0)
		return rc;
	return axarch_write(memory, X86_CMDLINE_GPA, line, strlen(line) + 1, "command line", err);
}
