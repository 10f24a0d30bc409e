/*
 * A plan as a drawing for a terminal: a frame for each node, caches in it, cores as boxes with a
 * cell for each thread and the CPU's number below. Cores wrap, so that no line is wider than asked
 * for; below 40 columns, or the width of one core, nothing can be drawn.
 */
#include "drawing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What lines are made of, by row of a core: top, marks, bottom, numbers. A node's frame has the
 * corners and sides of a core. */
enum { TOP, MARKS_ROW, BOTTOM, NUMBERS, ROWS };

static const struct strokes {
	const char *across, *left[ROWS], *middle[ROWS], *right[ROWS];
} strokes[] = {
	[AXPLACE_LINES_UTF8] = {"─",
				{"┌", "│", "└", " "},
				{"┬", "│", "┴", " "},
				{"┐", "│", "┘", " "}},
	[AXPLACE_LINES_ASCII] = {"-",
				 {"+", "|", "+", " "},
				 {"+", "|", "+", " "},
				 {"+", "|", "+", " "}},
};

struct picture {
	struct drawing d;
	struct text text;
	unsigned columns, cell; /* widths: of a line, of a thread */
	const struct strokes *strokes;
};

static void fill(struct text *text, const char *what, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		axplace_text_add(text, "%s", what);
}

/* A line inside of a node's frame; the text is ASCII and cut where the frame ends. */
static void framed(struct picture *p, const char *line)
{
	axplace_text_add(&p->text, "%s %-*.*s %s\n", p->strokes->left[MARKS_ROW],
			 (int)p->columns - 4, (int)p->columns - 4, line,
			 p->strokes->left[MARKS_ROW]);
}

static unsigned core_width(const struct picture *p, size_t first)
{
	size_t threads = axplace_core_end(&p->d, first) - first;

	return (unsigned)threads * (p->cell + 1) + 1;
}

static void centred(struct picture *p, const char *what)
{
	unsigned length = (unsigned)strlen(what), left;

	length = length < p->cell ? length : p->cell;
	left = (p->cell - length) / 2;
	fill(&p->text, " ", left);
	axplace_text_add(&p->text, "%.*s", (int)length, what);
	fill(&p->text, " ", p->cell - length - left);
}

/* One of the four lines of a row of cores. */
static void core_line(struct picture *p, size_t first, size_t end, int line)
{
	const struct strokes *s = p->strokes;
	unsigned used = 0;

	axplace_text_add(&p->text, "%s ", s->left[MARKS_ROW]);
	for (size_t core = first; core < end; core = axplace_core_end(&p->d, core)) {
		size_t last = axplace_core_end(&p->d, core);

		if (core > first)
			fill(&p->text, " ", 1);
		used += core_width(p, core) + (core > first);
		for (size_t i = core; i < last; i++) {
			char buf[16];

			axplace_text_add(&p->text, "%s",
					 i == core ? s->left[line] : s->middle[line]);
			if (line == MARKS_ROW) {
				centred(p, axplace_mark_text(&p->d, p->d.order[i], buf));
			} else if (line == NUMBERS) {
				snprintf(buf, sizeof(buf), "%u",
					 p->d.facts->cpus[p->d.order[i]].id);
				centred(p, buf);
			} else {
				fill(&p->text, s->across, p->cell);
			}
		}
		axplace_text_add(&p->text, "%s", s->right[line]);
	}
	fill(&p->text, " ", p->columns - 4 - used);
	axplace_text_add(&p->text, " %s\n", s->left[MARKS_ROW]);
}

static void draw_cache(struct picture *p, size_t first, size_t end)
{
	char title[48];

	axplace_cache_title(&p->d, first, title, sizeof(title));
	framed(p, title);
	while (first < end) {
		unsigned width = core_width(p, first);
		size_t next = axplace_core_end(&p->d, first);

		while (next < end && width + 1 + core_width(p, next) <= p->columns - 4) {
			width += 1 + core_width(p, next);
			next = axplace_core_end(&p->d, next);
		}
		for (int line = 0; line < ROWS; line++)
			core_line(p, first, next, line);
		first = next;
	}
}

static void draw_node(struct picture *p, uint32_t node, size_t first, size_t end)
{
	const struct strokes *s = p->strokes;
	char line[160];
	int n;

	axplace_node_title(&p->d, node, first < end ? first : p->d.count, line, sizeof(line));
	n = (int)strlen(line);
	axplace_text_add(&p->text, "%s%s %s ", s->left[TOP], s->across, line);
	fill(&p->text, s->across, p->columns - 5 - (unsigned)n);
	axplace_text_add(&p->text, "%s\n", s->right[TOP]);
	axplace_node_memory(&p->d, node, line, sizeof(line));
	framed(p, line);
	while (first < end) {
		size_t next = axplace_cache_end(&p->d, first);

		draw_cache(p, first, next);
		first = next;
	}
	axplace_text_add(&p->text, "%s", s->left[BOTTOM]);
	fill(&p->text, s->across, p->columns - 2);
	axplace_text_add(&p->text, "%s\n", s->right[BOTTOM]);
}

static void draw_legend(struct picture *p)
{
	static const char *const signs[MARKS] = {
		[MARK_FREE] = " ",  [MARK_VCPU] = "0",          [MARK_SHARED] = "0+",
		[MARK_IO] = "io",   [MARK_HOUSEKEEPING] = "hk", [MARK_IDLE] = ".",
		[MARK_HELD] = "##", [MARK_FORBIDDEN] = "--",
	};
	unsigned offline = 0;

	for (int m = MARK_VCPU; m < MARKS; m++)
		if (p->d.seen[m])
			axplace_text_add(&p->text, "%2s  %s\n", signs[m],
					 axplace_mark_meaning((enum mark)m));
	for (size_t i = 0; i < p->d.facts->cpu_count; i++)
		offline += !p->d.facts->cpus[i].online;
	if (offline)
		axplace_text_add(&p->text, "not drawn: %u offline CPU%s\n", offline,
				 offline > 1 ? "s" : "");
}

static void measure(struct picture *p, unsigned columns)
{
	char buf[16];
	unsigned widest = 0;

	p->cell = 2;
	for (size_t i = 0; i < p->d.count; i++) {
		unsigned number = (unsigned)snprintf(buf, sizeof(buf), "%u",
						     p->d.facts->cpus[p->d.order[i]].id);
		unsigned mark = (unsigned)strlen(axplace_mark_text(&p->d, p->d.order[i], buf));

		number = number > mark ? number : mark;
		p->cell = number > p->cell ? number : p->cell;
	}
	for (size_t i = 0; i < p->d.count; i = axplace_core_end(&p->d, i))
		widest = core_width(p, i) > widest ? core_width(p, i) : widest;
	p->columns = columns > 40 ? columns : 40;
	if (p->columns < widest + 4)
		p->columns = widest + 4;
}

int axplace_to_picture(const struct axhost_facts *facts, const struct axplace_plan *plan,
		       unsigned columns, enum axplace_lines lines, char **ret_text,
		       struct ax_error *err)
{
	struct picture p = {.strokes = &strokes[lines]};
	size_t first = 0;

	if (axplace_drawing_init(&p.d, facts, plan))
		return axplace_no_memory(err);
	measure(&p, columns);
	for (uint32_t node = 0; node < facts->node_count; node++) {
		size_t end = first;

		if (first < p.d.count && facts->cpus[p.d.order[first]].node == node)
			end = axplace_node_end(&p.d, first);
		draw_node(&p, node, first, end);
		first = end;
	}
	draw_legend(&p);
	axplace_drawing_finish(&p.d);
	return axplace_text_take(&p.text, ret_text, err);
}
