/* The forms of a plan: complete, no wider than asked for, and well-formed, on odd hosts too. */
#include "hosts.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct axplace_plan *plan_of(const struct scene *s)
{
	struct axplace_plan *plan = NULL;
	struct ax_error err = {0};

	if (axplace_make(&s->facts, profile_by_name("generic"), &s->request, &s->held, &plan, &err))
		fail_msg("%s", err.message);
	return plan;
}

/* Two nodes of four cores with siblings; another VM has CPU 1, CPU 3 is forbidden. */
static void small_scene(struct scene *ret_scene)
{
	struct scene *s = ret_scene;

	memset(s, 0, sizeof(*s));
	s->facts = host_make(2, 4, 2, 8 * GIB);
	s->facts.cpus[3].allowed = false;
	s->facts.cpus[15].online = false;
	s->facts.cpus[15].node = s->facts.cpus[15].core = s->facts.cpus[15].llc =
		s->facts.cpus[15].package = AXHOST_NONE;
	s->held_cpus[0] = 1;
	s->held.cpus = s->held_cpus;
	s->held.cpu_count = 1;
	s->request = (struct axplace_request){.vcpus = 3, .memory_bytes = 4 * GIB};
}

static void test_table(void **state)
{
	static const char *const lines[] = {
		" vCPU   CPU  node  core  guest node  guest core\n",
		"    0     4     1     4           0         0.0\n",
		"    2     6     1     6           0         2.0\n",
		"         0     1         4G    4k  10\n",
		"housekeeping: CPUs 7\n",
		"claimed:      CPUs 4-6,12-14\n",
		"profile generic, 1 thread a guest core, CPUs dedicated\n",
	};
	struct axplace_plan *plan;
	struct scene s;
	char *text;

	(void)state;
	small_scene(&s);
	plan = plan_of(&s);
	assert_int_equal(axplace_to_table(&s.facts, plan, &text, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no line '%s' in\n%s", lines[i], text);
	for (size_t i = 0; i < plan->note_count; i++)
		assert_non_null(strstr(text, plan->notes[i].why));
	free(text);
	axplace_free(plan);
	scene_free(&s);
}

static const char small_picture[] = "┌─ node 0, socket 0 ───────────────────┐\n"
				    "│ memory 8G, 8G free                   │\n"
				    "│ cache 0                              │\n"
				    "│ ┌──┬──┐ ┌──┬──┐ ┌──┬──┐ ┌──┬──┐      │\n"
				    "│ │  │  │ │##│  │ │  │  │ │--│  │      │\n"
				    "│ └──┴──┘ └──┴──┘ └──┴──┘ └──┴──┘      │\n"
				    "│  0  8    1  9    2  10   3  11       │\n"
				    "└──────────────────────────────────────┘\n"
				    "┌─ node 1, socket 1 ───────────────────┐\n"
				    "│ guest node 0: 4G of 8G in 4k pages   │\n"
				    "│ cache 1                              │\n"
				    "│ ┌──┬──┐ ┌──┬──┐ ┌──┬──┐ ┌──┐         │\n"
				    "│ │0 │. │ │1 │. │ │2 │. │ │io│         │\n"
				    "│ └──┴──┘ └──┴──┘ └──┴──┘ └──┘         │\n"
				    "│  4  12   5  13   6  14   7           │\n"
				    "└──────────────────────────────────────┘\n"
				    " 0  vCPU, by number\n"
				    "io  I/O threads, housekeeping\n"
				    " .  kept empty for a vCPU\n"
				    "##  held by another VM\n"
				    "--  outside of the cpuset\n"
				    "not drawn: 1 offline CPU\n";

static void test_picture(void **state)
{
	struct axplace_plan *plan;
	struct scene s;
	char *text;

	(void)state;
	small_scene(&s);
	plan = plan_of(&s);
	assert_int_equal(axplace_to_picture(&s.facts, plan, 40, AXPLACE_LINES_UTF8, &text, NULL),
			 0);
	assert_string_equal(text, small_picture);
	free(text);
	axplace_free(plan);
	scene_free(&s);
}

/* The picture with an ASCII character for each stroke: those of UTF-8 are all of three bytes. */
static void test_picture_in_ascii(void **state)
{
	char expected[sizeof(small_picture)], *to = expected;
	struct axplace_plan *plan;
	struct scene s;
	char *text;

	(void)state;
	for (const char *from = small_picture; *from; from++) {
		const char *stroke = !strncmp(from, "─", 3)   ? "-"
				     : !strncmp(from, "│", 3) ? "|"
							      : "+";
		const bool is_ascii = (unsigned char)*from < 0x80;

		memcpy(to++, is_ascii ? from : stroke, 1);
		from += is_ascii ? 0 : 2;
	}
	*to = '\0';
	small_scene(&s);
	plan = plan_of(&s);
	assert_int_equal(axplace_to_picture(&s.facts, plan, 40, AXPLACE_LINES_ASCII, &text, NULL),
			 0);
	assert_string_equal(text, expected);
	free(text);
	axplace_free(plan);
	scene_free(&s);
}

/* Every line of UTF-8 is at most that wide; frames are exactly. */
static void check_widths(const char *text, size_t columns)
{
	size_t width = 0;
	bool frame = false;

	for (const char *c = text; *c; c++) {
		if (*c == '\n') {
			assert_true(frame ? width == columns : width <= columns);
			width = 0;
			frame = false;
			continue;
		}
		if (!width)
			frame = (*c & 0x80) != 0;
		width += (*c & 0xc0) != 0x80;
	}
	assert_int_equal(width, 0);
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		count++;
	return count;
}

/* Python parses what is written to ret_input, documents between form feeds, and exits with 0. */
static pid_t start_parser(FILE **ret_input)
{
	static const char program[] = "import sys, xml.dom.minidom as m\n"
				      "for part in sys.stdin.read().split('\\f'):\n"
				      "    if part: m.parseString(part)";
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("python3", "python3", "-c", program, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	*ret_input = fdopen(ends[1], "w");
	assert_non_null(*ret_input);
	return pid;
}

static void test_random_forms(void **state)
{
	FILE *python;
	const pid_t pid = start_parser(&python);
	size_t drawn = 0;
	int status;

	(void)state;
	for (uint64_t number = 1; number <= 300; number++) {
		struct prng prng = {number * UINT64_C(0x9e3779b97f4a7c15)};
		struct axplace_plan *plan = NULL;
		size_t online = 0;
		struct scene s;
		char *text;

		scene_random(&prng, number % 2, &s);
		snprintf(s.facts.model_name, sizeof(s.facts.model_name), "<&\"\x01\xff%u",
			 (unsigned)number);
		if (!axplace_make(&s.facts, profile_by_name("generic"), &s.request, &s.held, &plan,
				  NULL)) {
			for (size_t i = 0; i < s.facts.cpu_count; i++)
				online += s.facts.cpus[i].online;
			for (unsigned columns = 40; columns <= 120; columns += 16) {
				assert_int_equal(axplace_to_picture(&s.facts, plan, columns,
								    AXPLACE_LINES_UTF8, &text,
								    NULL),
						 0);
				check_widths(text, columns);
				assert_int_equal(count_of(text, "┌─ node"), s.facts.node_count);
				free(text);
			}
			assert_int_equal(axplace_to_svg(&s.facts, plan, &text, NULL), 0);
			assert_int_equal(count_of(text, "<title>CPU "), online);
			fprintf(python, "%s\f", text);
			free(text);
			drawn++;
		}
		axplace_free(plan);
		scene_free(&s);
	}
	fclose(python);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(drawn > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_picture),
		cmocka_unit_test(test_picture_in_ascii),
		cmocka_unit_test(test_random_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
