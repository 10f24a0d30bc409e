/*
 * axvm doctor: what this host has, what is missing for AxVM, and what to do about it.
 */
#include "cmd.h"

#include <axvm/host.h>

#include <stdio.h>
#include <string.h>

/* Returns whether the CPU itself lacks what a complete KVM is made of. */
static bool print_kvm(const struct axarch *arch, const char *device)
{
	static struct axarch_fact facts[64];
	size_t count = arch->facts(device, facts, AX_ARRAY_LEN(facts));
	bool partial = false;

	printf("\nKVM (%s)\n", device ? device : "/dev/kvm");
	for (size_t i = 0; i < count && i < AX_ARRAY_LEN(facts); i++) {
		bool lacks = facts[i].required && !facts[i].value;
		char value[24];

		if (facts[i].value > 1)
			snprintf(value, sizeof(value), "%d", facts[i].value);
		else
			snprintf(value, sizeof(value), "%s", facts[i].value ? "yes" : "no");
		printf("  %-32s %-8s %s%s\n", facts[i].name, value,
		       facts[i].what ? facts[i].what : "", lacks ? "  <- required" : "");
		partial = partial || (!facts[i].value && !strcmp(facts[i].name, "vmx/svm"));
	}
	return partial;
}

static int print_verdict(const struct axarch *arch, bool partial, const char *device)
{
	struct ax_error err = {0};
	int status = 0;

	printf("\nVerdict\n");
	if (arch->probe(device, &err)) {
		printf("  This host cannot run VMs: %s\n", err.message);
		if (err.hint[0])
			printf("  What to do: %s\n", err.hint);
		status = ax_error_kind_exit_status(err.kind);
	} else if (partial) {
		printf("  /dev/kvm is a paravirtual or partial KVM: the CPU shows neither VT-x "
		       "(vmx) nor AMD-V\n"
		       "  (svm). Bare payloads run (`axvm selftest`); stock Linux kernels will "
		       "not.\n"
		       "  What to do: use a physical machine or a VM with nested virtualization "
		       "switched on,\n"
		       "  or the lab (`tools/lab/lab --help`), which has a complete KVM under "
		       "emulation.\n");
	} else {
		printf("  This host runs VMs. `axvm selftest` proves it.\n");
	}
	return status;
}

enum { KVM_DEVICE, OPTIONS };
static const struct command_option options[OPTIONS + 1] = {
	[KVM_DEVICE] = {"kvm-device", "PATH", "KVM device node [/dev/kvm]"},
};

static int run(int argc, char **argv)
{
	const struct axarch *arch = axarch_native();
	const char *values[OPTIONS] = {NULL};
	struct axhost_facts facts;
	struct ax_error err = {0};
	const char *device;

	if (words_read(&cmd_doctor, argc, argv, values, NULL, 0, &err))
		return report_error(&err);
	device = values[KVM_DEVICE];
	axhost_read("", &facts);
	host_print_summary(&facts);
	host_print_profiles(&facts);
	axhost_free(&facts);
	return print_verdict(arch, print_kvm(arch, device), device);
}

static void help(void)
{
	printf("\nChanges nothing. Exit status 0 when VMs can be run, otherwise that of the first "
	       "obstacle.\n\n");
	help_own_options(&cmd_doctor);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.operands = "[OPTIONS]",
	.summary = "tell what this host has, what is missing and what to do about it",
	.run = run,
	.help = help,
	.options = options,
};
