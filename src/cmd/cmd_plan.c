/*
 * axvm plan: where a VM with these options would run, on this host or a recorded one. Reads the
 * words, prints the form that was asked for. What is best, and how it is drawn, is the planner's.
 */
#include "cmd.h"

#include <axvm/place.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int make_form(const struct axhost_facts *facts, const struct axplace_plan *plan,
		      char **ret_text, struct ax_error *err);

static int make_picture(const struct axhost_facts *facts, const struct axplace_plan *plan,
			char **ret_text, struct ax_error *err)
{
	uint16_t columns = 0, rows;

	if (!console_size(&columns, &rows) || !columns)
		columns = 80;
	return axplace_to_picture(facts, plan, columns, AXPLACE_LINES_UTF8, ret_text, err);
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

static const struct form {
	const char *flag;
	make_form *make;
} forms[] = {
	{"--table", axplace_to_table},
	{"--picture", make_picture},
	{"--json", axplace_to_json},
	{"--svg", axplace_to_svg},
};

struct wish {
	const char *host;         /* a recording; NULL: this host */
	const struct form *form;  /* NULL: table and picture */
	const struct form *other; /* a second one, which is an error */
};

/* ---- words */

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
		if (!strncmp(argv[i], "--host=", 7)) {
			wish->host = argv[i] + 7;
		} else if (strcmp(argv[i], "--host") != 0) {
			argv[kept++] = argv[i];
			if (takes_next(argv[i]) && i + 1 < *argc)
				argv[kept++] = argv[++i];
		} else if (i + 1 == *argc) {
			ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--host wants a value");
			return ax_error_hint(err, "write --host FILE");
		} else {
			wish->host = argv[++i];
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	*argc = kept;
	return 0;
}

static int own_flag(void *ctx, const char *flag)
{
	struct wish *wish = ctx;

	for (size_t i = 0; i < AX_ARRAY_LEN(forms); i++) {
		if (strcmp(flag, forms[i].flag) != 0)
			continue;
		if (wish->form && wish->form != &forms[i])
			wish->other = &forms[i];
		else
			wish->form = &forms[i];
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
		ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%s and %s are two forms of a plan",
			     wish->form->flag, wish->other->flag);
		rc = ax_error_hint(err, "ask for one, or for none: table and picture");
	}
	if (!rc)
		rc = axcfg_builder_finish(builder, ret_config, err);
	axcfg_builder_destroy(builder);
	return rc;
}

/* ---- the command */

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
	rc = plan_make(config, &facts, &plan, err);
	if (!rc)
		rc = print(wish->form ? wish->form->make : make_both, &facts, plan, err);
	axplace_free(plan);
	axhost_free(&facts);
	return rc;
}

static int run(int argc, char **argv)
{
	const struct axcfg *config = NULL;
	struct wish wish = {0};
	struct ax_error err = {0};
	int rc = read_options(argc, argv, &wish, &config, &err);

	if (!rc)
		rc = plan_and_print(config, &wish, &err);
	axcfg_destroy(config);
	return rc ? report_error(&err) : 0;
}

static void help(void)
{
	printf("\nPrints the host CPU of each vCPU, the nodes of memory, the CPUs of I/O threads, "
	       "and why.\nStarts nothing, and needs no kernel. `axvm run` does not follow it "
	       "yet.\n"
	       "\n"
	       "      --host FILE                plan on a recorded host (`axvm host --save`) "
	       "instead of this one\n"
	       "      --table                    print the table only\n"
	       "      --picture                  print the drawing only, as wide as the terminal, "
	       "or 80\n"
	       "      --json                     print the plan for programs\n"
	       "      --svg                      print the plan as a picture file\n"
	       "\nOther options, and --config FILE, are those of `axvm run`. These make a "
	       "difference:\n"
	       "  --cpus, --memory, --memory-backing, --cpu-affinity, --io-threads, --profile\n"
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
};
