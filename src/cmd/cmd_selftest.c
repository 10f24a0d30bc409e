/*
 * axvm selftest: small programs in a real guest prove what this host's KVM does, as a table of
 * passes and failures.
 */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

struct table {
	int passed, failed, skipped;
};

static void row(void *ctx, const char *check, int status, const char *detail)
{
	static const char *const words[] = {
		[AXARCH_SELFTEST_PASS] = "pass",
		[AXARCH_SELFTEST_FAIL] = "FAIL",
		[AXARCH_SELFTEST_SKIP] = "skip",
	};
	struct table *table = ctx;

	table->passed += status == AXARCH_SELFTEST_PASS;
	table->failed += status == AXARCH_SELFTEST_FAIL;
	table->skipped += status == AXARCH_SELFTEST_SKIP;
	printf("  %-34s %s%s%s\n", check, words[status], detail && *detail ? "  " : "",
	       detail ? detail : "");
}

enum { KVM_DEVICE, OPTIONS };
static const struct command_option options[OPTIONS + 1] = {
	[KVM_DEVICE] = {"kvm-device", "PATH", "KVM device node [/dev/kvm]"},
};

static int run(int argc, char **argv)
{
	const struct axarch *arch = axarch_native();
	const char *values[OPTIONS] = {NULL};
	struct table table = {0};
	struct ax_error err = {0};

	if (words_read(&cmd_selftest, argc, argv, values, NULL, 0, &err))
		return report_error(&err);
	if (arch->probe(values[KVM_DEVICE], &err))
		return report_error(&err);
	printf("AxVM self-test on %s\n\n", arch->name);
	arch->selftest(values[KVM_DEVICE], row, &table);
	printf("\n%d passed, %d failed, %d skipped\n", table.passed, table.failed, table.skipped);
	if (table.failed)
		fprintf(stderr, "  hint: `axvm doctor` tells what kind of KVM this is\n");
	return table.failed ? 1 : 0;
}

static void help(void)
{
	printf("\nRuns a few dozen instructions per check in a guest of its own; needs KVM but no "
	       "kernel\n"
	       "image. Exit status 0 when nothing failed.\n\n");
	help_own_options(&cmd_selftest);
}

const struct command cmd_selftest = {
	.name = "selftest",
	.operands = "[OPTIONS]",
	.summary = "prove with small guests what this host's KVM can do",
	.run = run,
	.help = help,
	.options = options,
};
