/*
 * axvm disk: makes what disks are made of. Only overlays so far; plain images are any file.
 */
#include "cmd.h"

#include <axvm/virtio_devices.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int run(int argc, char **argv)
{
	const char *words[3] = {NULL}; /* overlay NEW BASE */
	struct ax_error err = {0};

	if (words_read(&cmd_disk, argc, argv, NULL, words, AX_ARRAY_LEN(words), &err))
		return report_error(&err);
	if (!words[2] || strcmp(words[0], "overlay") != 0) {
		ax_error_set(&err, AX_ERROR_USAGE, EINVAL, "disk: expected overlay NEW BASE");
		ax_error_hint(&err, "as in `axvm disk overlay web.overlay debian.img`");
		return report_error(&err);
	}
	if (axvirtio_blk_make_overlay(words[1], words[2], &err) == 0)
		return 0;
	if (err.kind == AX_ERROR_ALREADY_EXISTS)
		ax_error_hint(&err, "choose another name, or remove it first: it may hold what a "
				    "guest has written");
	return report_error(&err);
}

static void help(void)
{
	printf("\n  overlay  makes NEW, which will hold what a guest writes, over the image BASE,\n"
	       "           which stays as it is. Give both to the VM; see axvm(1) and\n"
	       "           docs/overlay.md.\n");
}

const struct command cmd_disk = {
	.name = "disk",
	.operands = "overlay NEW BASE",
	.summary = "make a copy-on-write overlay of a disk image",
	.run = run,
	.help = help,
	.verbs = "overlay",
	.takes_files = true,
};
