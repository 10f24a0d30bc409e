/* axvm version */
#include "cmd.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
	struct ax_error err = {0};

	if (words_read(&cmd_version, argc, argv, NULL, NULL, 0, &err))
		return report_error(&err);
	printf("axvm %s (%s)\n", AXVM_VERSION, axarch_native()->name);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version",
	.run = run,
};
