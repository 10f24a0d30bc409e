/* axvm version */
#include "cmd.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
	if (argc > 1)
		return report_unexpected("version", argv[1]);
	printf("axvm %s (%s)\n", AXVM_VERSION, axarch_native()->name);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version",
	.run = run,
};
