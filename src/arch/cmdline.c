/*
 * The kernel command line: checks it and adds the announcement of each virtio-mmio device where the
 * architecture asks for it. What else it says is the caller's.
 */
#include "boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The offset of a " --" token, behind which everything is for init; the length if there is none. */
static size_t kernel_part(const char *cmdline)
{
	const char *at = cmdline;

	while ((at = strstr(at, "--")) != NULL) {
		const bool starts = at == cmdline || at[-1] == ' ' || at[-1] == '\t';
		const bool ends = at[2] == '\0' || at[2] == ' ' || at[2] == '\t';
		if (starts && ends)
			return (size_t)(at - cmdline);
		at += 2;
	}
	return strlen(cmdline);
}

static int check_characters(const char *cmdline, struct ax_error *err)
{
	for (size_t i = 0; cmdline[i]; i++) {
		const unsigned char c = (unsigned char)cmdline[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return ax_error_set(err, AX_ERROR_BOOT_IMAGE, EINVAL,
					    "command line: control character 0x%02x at position "
					    "%zu, expected printable text",
					    c, i);
	}
	return 0;
}

/* "4K" where it comes out even, as Documentation/admin-guide/kernel-parameters.txt takes it. */
static int print_device(char *buf, size_t size, const struct axarch_device *device)
{
	char bytes[24];
	return snprintf(buf, size, "virtio_mmio.device=%s@0x%llx:%u",
			ax_format_size(device->size_bytes, bytes, sizeof(bytes)),
			(unsigned long long)device->gpa, device->gsi);
}

/* All announcements, each followed by a space or the end. Returns a string to free, or NULL. */
static char *announcements(const struct axarch_machine *machine, bool announce)
{
	enum { ONE = 80 };
	const size_t count = announce ? machine->device_count : 0;
	char *text = calloc(count + 1, ONE);
	size_t len = 0;

	for (size_t i = 0; text && i < count; i++) {
		if (machine->devices[i].kind != AXARCH_DEVICE_VIRTIO_MMIO)
			continue;
		if (len)
			text[len++] = ' ';
		len += (size_t)print_device(text + len, ONE - 1, &machine->devices[i]);
	}
	return text;
}

bool axarch_cmdline_has(const char *cmdline, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = strstr(cmdline, word); at; at = strstr(at + 1, word))
		if ((at == cmdline || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

int axarch_cmdline(const struct axarch_boot *boot, const struct axarch_machine *machine,
		   bool announce, uint64_t max, char **ret_line, struct ax_error *err)
{
	const char *given = boot->cmdline ? boot->cmdline : "";
	AX_AUTO_FREE char *devices = NULL;
	AX_AUTO_FREE char *line = NULL;
	int rc = check_characters(given, err);

	if (rc < 0)
		return rc;
	devices = announcements(machine, announce);
	if (!devices)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the command line");

	/* Kernel's part, announcements, then init's part with its "--". */
	size_t head = kernel_part(given);
	const char *tail = given + head;
	while (head && given[head - 1] == ' ')
		head--;
	const int len =
		asprintf(&line, "%.*s%s%s%s%s", (int)head, given, head && devices[0] ? " " : "",
			 devices, tail[0] && (head || devices[0]) ? " " : "", tail);
	if (len < 0) {
		line = NULL;
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the command line");
	}
	if ((uint64_t)len > max) {
		ax_error_set(err, AX_ERROR_BOOT_IMAGE, E2BIG,
			     "command line of %d bytes (%zu of them announce devices), this "
			     "kernel takes at most %llu",
			     len, strlen(devices), (unsigned long long)max);
		return ax_error_hint(err, "shorten the command line");
	}
	*ret_line = line;
	line = NULL;
	return 0;
}
