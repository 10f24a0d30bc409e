/*
 * axvm plan: where a VM with these options would run, on this host or a recorded one. Reads the
 * words, prints the form that was asked for. What is best, and how it is drawn, is the planner's.
 */
#include "cmd.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int make_form(const struct axhost_facts *facts, const struct axplace_plan *plan,
		      char **ret_text, struct ax_error *err);

/* By the user's locale, which stays out of all else that the program does. */
static enum axplace_lines lines_of_terminal(void)
{
	const locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool is_utf8 = false;

	if (locale) {
		is_utf8 = !strcmp(nl_langinfo_l(CODESET, locale), "UTF-8");
		freelocale(locale);
	}
	return is_utf8 ? AXPLACE_LINES_UTF8 : AXPLACE_LINES_ASCII;
}

static int make_picture(const struct axhost_facts *facts, const struct axplace_plan *plan,
			char **ret_text, struct ax_error *err)
{
	uint16_t columns = 0, rows;

	if (!console_size(&columns, &rows) || !columns)
		columns = 80;
	return axplace_to_picture(facts, plan, columns, lines_of_terminal(), ret_text, err);
}

static int make_both(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     char **ret_text, struct ax_error *err)
{
	AX_AUTO_FREE char *table = NULL, *picture = NULL;
	int rc = axplace_to_table(facts, plan, &table, err);

	if (!rc)
		rc = make_picture(facts, plan, &picture, err);
	if (!rc && asprintf(ret_text, "%s\n%s", table, picture) < 0)
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory");
	return rc;
}

enum { HOST, TABLE, PICTURE, JSON, SVG, OPTIONS };
static const struct command_option options[OPTIONS + 1] = {
	[HOST] = {"host", "FILE",
		  "plan on a recorded host (`axvm host --save`) instead of this one"},
	[TABLE] = {"table", NULL, "print the table only"},
	[PICTURE] = {"picture", NULL, "print the drawing only, as wide as the terminal, or 80"},
	[JSON] = {"json", NULL, "print the plan for programs"},
	[SVG] = {"svg", NULL, "print the plan as a picture file"},
};

/* None of them, which is 0: table and picture. */
static make_form *const forms[OPTIONS] = {
	make_both, axplace_to_table, make_picture, axplace_to_json, axplace_to_svg,
};

struct wish {
	const char *host;   /* a recording; NULL: this host */
	size_t form, other; /* of forms; a second one is an error */
};

/* ---- words ----------------------------------------------------------------------------------- */

/* Does the next word belong to this one? */
static bool takes_next(const char *word)
{
	const struct axcfg_option *row;

	if (!strcmp(word, "--config"))
		return true;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		const bool is_long = !strncmp(word, "--", 2) && row->flag &&
				     (!strcmp(word + 2, row->flag) ||
				      (row->alias && !strcmp(word + 2, row->alias)));

		if (is_long ||
		    (row->short_flag && word[0] == '-' && word[1] == row->short_flag && !word[2]))
			return row->type != AXCFG_BOOL;
	}
	return false;
}

/* --host with its value goes out of argv: the schema does not know it. */
static int take_host(int *argc, char **argv, struct wish *wish, struct ax_error *err)
{
	int kept = 1, i = 1;

	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		const int rc = words_take(&options[HOST], *argc, argv, &i, &wish->host, err);

		if (!rc)
			continue;
		if (rc != -ENOENT)
			return rc;
		argv[kept++] = argv[i];
		/* What looks like an option is one, here as for the schema (src/config/args.c). */
		if (takes_next(argv[i]) && i + 1 < *argc && strncmp(argv[i + 1], "--", 2) != 0)
			argv[kept++] = argv[++i];
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	*argc = kept;
	return 0;
}

static int own_flag(void *ctx, const char *flag)
{
	struct wish *wish = ctx;

	for (size_t i = TABLE; i < OPTIONS; i++) {
		if (strncmp(flag, "--", 2) != 0 || strcmp(flag + 2, options[i].flag) != 0)
			continue;
		if (wish->form && wish->form != i)
			wish->other = i;
		else
			wish->form = i;
		return 0;
	}
	return report_verbosity(NULL, flag);
}

static int read_options(int argc, char **argv, struct wish *wish, const struct axcfg **ret_config,
			struct ax_error *err)
{
	struct axcfg_builder *builder;
	int rc = take_host(&argc, argv, wish, err);

	if (!rc)
		rc = axcfg_builder_create(&builder, err);
	if (rc)
		return rc;
	rc = axcfg_builder_args(builder, argc, argv, own_flag, wish, err);
	if (!rc && wish->other) {
		ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--%s and --%s are two forms of a plan",
			     options[wish->form].flag, options[wish->other].flag);
		rc = ax_error_hint(err, "ask for one, or for none: table and picture");
	}
	if (!rc)
		rc = axcfg_builder_finish(builder, ret_config, err);
	axcfg_builder_destroy(builder);
	if (!rc && (*ret_config)->io.affinity.count)
		ax_log(AX_LOG_WARN, "plan",
		       "--io-affinity is no part of a plan: `axvm run` obeys it instead");
	return rc;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int print(make_form *form, const struct axhost_facts *facts, const struct axplace_plan *plan,
		 struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	int rc = form(facts, plan, &text, err);

	if (!rc)
		fputs(text, stdout);
	return rc;
}

static int plan_and_print(const struct axcfg *config, const struct wish *wish, struct ax_error *err)
{
	struct axplace_plan *plan = NULL;
	struct axhost_facts facts;
	int rc = 0;

	if (!wish->host)
		axhost_read("", &facts);
	else
		rc = axhost_load(wish->host, &facts, err);
	if (rc)
		return rc;
	rc = wish->host ? axvm_plan(config, &facts, NULL, &plan, err)
			: axvm_plan_here(config, &facts, run_directory(), &plan, err);
	if (!rc)
		rc = print(forms[wish->form], &facts, plan, err);
	if (!rc && axvm_plan_unused(config, &facts, plan))
		fprintf(stderr,
			"axvm: `axvm run` would %s: %s\n"
			"  hint: --placement dedicated makes it\n",
			axvm_plan_floats(config, &facts, plan)
				? "follow this plan but for its CPUs: vCPUs would share those of "
				  "their nodes"
				: "not follow this plan",
			axvm_plan_unused(config, &facts, plan));
	axplace_free(plan);
	axhost_free(&facts);
	return rc;
}

static bool would_share(const struct axcfg *config, const struct ax_error *why)
{
	/* So begins what the planner refuses; a host or a ledger that cannot be read is no refusal.
	 */
	static const char refusal[] = "placement: ";
	const bool pool = config->memory.backing == AXCFG_BACKING_HUGETLB_2M ||
			  config->memory.backing == AXCFG_BACKING_HUGETLB_1G;

	/* Pages of a pool are missed there, too; other memory is left to the kernel. */
	return !strncmp(why->message, refusal, strlen(refusal)) &&
	       !(pool && why->sys_errno == ENOMEM) && axvm_shares_instead(config, why);
}

static int run(int argc, char **argv)
{
	const struct axcfg *config = NULL;
	struct wish wish = {0};
	struct ax_error err = {0};
	int status = 0, rc = read_options(argc, argv, &wish, &config, &err);

	if (!rc)
		rc = plan_and_print(config, &wish, &err);
	if (rc)
		status = report_error(&err);
	if (rc && config && would_share(config, &err))
		fprintf(stderr, "axvm: `axvm run` would share CPUs instead, unless --placement "
				"dedicated forbids it\n");
	axcfg_destroy(config);
	return status;
}

static void help(void)
{
	printf("\nPrints the host CPU of each vCPU, the nodes of memory, the CPUs of I/O threads, "
	       "and why,\nbeside what other VMs hold. Starts nothing, and needs no kernel.\n"
	       "\n");
	help_own_options(&cmd_plan);
	printf("\nOther options, and --config FILE, are those of `axvm run`. These make a "
	       "difference:\n"
	       "  --cpus, --memory, --memory-backing, --cpu-affinity, --io-threads, --profile,\n"
	       "  and the group Placement of `axvm run --help`\n"
	       "\nExamples:\n"
	       "  axvm plan --cpus 8 --memory 8G\n"
	       "  axvm plan --config vm.json --svg > plan.svg\n"
	       "  axvm plan --cpus 16 --memory 32G --host share/hosts/e5-2680v2-2s.json\n"
	       "\nThe policy is told in docs/placement.md.\n");
}

const struct command cmd_plan = {
	.name = "plan",
	.operands = "[OPTIONS of run] [--host FILE] [--table | --picture | --json | --svg]",
	.summary = "show where a VM would run on this host or a recorded one",
	.run = run,
	.help = help,
	.options = options,
	.takes_config = true,
	.takes_files = true,
};
