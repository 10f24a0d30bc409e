/*
 * axvm config: the configuration that options and files add up to, as JSON, and whether it makes
 * sense - without starting anything.
 */
#include "cmd.h"

#include <axvm/profile.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int build(int argc, char **argv, const struct axcfg **ret_config, struct ax_error *err)
{
	struct axcfg_builder *builder;
	int rc = axcfg_builder_create(&builder, err);

	if (rc)
		return rc;
	rc = axcfg_builder_args(builder, argc, argv, report_verbosity, NULL, err);
	if (!rc)
		rc = axcfg_builder_finish(builder, ret_config, err);
	axcfg_builder_destroy(builder);
	return rc;
}

static int dump(const struct axcfg *config, struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	int rc = axcfg_dump(config, &text, err);

	if (!rc)
		puts(text);
	return rc;
}

/* Of its name only: whether a profile likes this host is for the host it will run on. */
static int check_profile(const struct axcfg *config, struct ax_error *err)
{
	const struct axprof *profile;
	size_t i = 0;

	if (!strcmp(config->profile, "auto"))
		return 0;
	while ((profile = axprof_at(i)) && strcmp(profile->name, config->profile) != 0)
		i++;
	if (profile)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "profile: '%s' is not known",
		     config->profile);
	return ax_error_hint(err, "`axvm doctor` lists the profiles there are");
}

/* The machine it asks for must be one that can be laid out. */
static int check(const struct axcfg *config, struct ax_error *err)
{
	const struct axarch *arch = NULL;
	struct axarch_vm_config machine = {
		.name = config->name,
		.vcpu_count = (uint32_t)config->cpus.count,
		.memory_bytes = config->memory.size_bytes,
	};
	struct axarch_plan *plan = calloc(1, sizeof(*plan));
	int rc = axarch_choose(config->arch, &arch, err);

	if (!rc)
		rc = check_profile(config, err);
	if (!rc)
		rc = axcfg_check_files(config, err);
	if (!rc)
		rc = axvm_check_placement(config, run_directory(), err);
	if (!rc && !plan)
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory");
	if (!rc)
		rc = arch->plan(&machine, plan, err);
	for (size_t i = 0; !rc && i < config->memory.region_count; i++) {
		struct axas_layout_range range = {
			.name = "memory.regions",
			.kind = AXAS_LAYOUT_MEMORY,
			.gpa = config->memory.regions[i].gpa,
			.size_bytes = config->memory.regions[i].size_bytes,
		};

		rc = axas_layout_add(&plan->layout, &range, err);
	}
	free(plan);
	if (!rc)
		printf("%s: fine\n", config->name);
	return rc;
}

static int run(int argc, char **argv)
{
	const struct axcfg *config = NULL;
	struct ax_error err = {0};
	const char *verb = argc > 1 ? argv[1] : "";
	char flag[] = "--config", *words[] = {NULL, flag, NULL};
	int rc;

	if (strcmp(verb, "dump") != 0 && strcmp(verb, "check") != 0) {
		fprintf(stderr,
			"axvm config: '%s' is neither dump nor check\n  hint: `axvm config "
			"--help`\n",
			verb);
		return 2;
	}
	/* `config check FILE` is what people type. */
	if (argc == 3 && argv[2][0] != '-') {
		words[0] = argv[1];
		words[2] = argv[2];
		rc = build(3, words, &config, &err);
	} else {
		rc = build(argc - 1, argv + 1, &config, &err);
	}
	if (!rc)
		rc = !strcmp(verb, "dump") ? dump(config, &err) : check(config, &err);
	axcfg_destroy(config);
	return rc ? report_error(&err) : 0;
}

static void help(void)
{
	printf("\n  axvm config dump [FILE | OPTIONS]   print the whole configuration as JSON\n"
	       "  axvm config check [FILE | OPTIONS]  check it, what it names on this host "
	       "(files,\n"
	       "                                      disks, taps, sockets, CPUs) and the machine\n"
	       "                                      it asks for\n"
	       "\nOptions are those of `axvm run`; the order is defaults, --config FILE, other "
	       "options.\n");
}

const struct command cmd_config = {
	.name = "config",
	.operands = "dump|check [FILE | OPTIONS]",
	.summary = "show or check a configuration without starting anything",
	.run = run,
	.help = help,
	.takes_config = true,
	.verbs = "dump check",
	.takes_files = true,
};
