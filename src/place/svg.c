/*
 * A plan as an SVG that needs nothing else: nodes below each other, caches and cores in them, the
 * VM's vCPUs in colour, a title and a legend. Colours follow the viewer's light or dark scheme.
 */
#include "drawing.h"

#include <stdlib.h>

enum { CELL = 32, HEIGHT = 24, GAP = 8, PAD = 14, WIDTH = 960, HEAD = 46 };
/* Where boxes of caches begin and end, and how far from that their cores. */
enum { LEFT = PAD + GAP / 2, RIGHT = WIDTH - PAD - GAP / 2, INSET = 10 };

/* No variables: half of the programs that show an SVG do not know them, and draw all in black. */
static const char style[] =
	"<style>\n"
	"svg{font:12px sans-serif}text{fill:#1d2733}.h{font-size:16px;font-weight:bold}"
	".m{text-anchor:middle}\n"
	".paper{fill:#fff}.node,.cache{fill:none;stroke:#8794a3}.cache{stroke-dasharray:3 3}\n"
	"rect.t{stroke:#8794a3;fill:#eef1f4}.v rect.t{fill:#2f7ed8}.s rect.t{fill:#c0392b}"
	".i rect.t{fill:#d99a1c}.k rect.t{fill:#b9a26a}.e rect.t{stroke-dasharray:2 2}"
	".o rect.t{fill:#8a949e}.f rect.t{fill:none}\n"
	".v text,.s text,.o text{fill:#fff}.i text,.k text{fill:#14181d}\n"
	"@media(prefers-color-scheme:dark){text{fill:#e4e9ee}.paper{fill:#151b22}"
	".node,.cache{stroke:#75828f}rect.t{stroke:#75828f;fill:#212a33}}\n"
	"</style>\n";

static const char *const classes[MARKS] = {
	[MARK_FREE] = "n",         [MARK_VCPU] = "v", [MARK_SHARED] = "s", [MARK_IO] = "i",
	[MARK_HOUSEKEEPING] = "k", [MARK_IDLE] = "e", [MARK_HELD] = "o",   [MARK_FORBIDDEN] = "f",
};

struct svg {
	struct drawing d;
	struct text body;
	unsigned y;
};

/* A name of the machine's, which may be anything. */
static void add_escaped(struct text *text, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '<' || c == '>' || c == '&' || c == '"')
			axplace_text_add(text, "&#%u;", c);
		else
			axplace_text_add(text, "%c", c >= 0x20 && c < 0x7f ? c : '?');
	}
}

static void add_cell(struct svg *s, uint32_t cpu, unsigned x, unsigned y)
{
	char buf[16];

	axplace_text_add(&s->body,
			 "<g class=\"%s\"><title>CPU %u: %s</title><rect class=\"t\" x=\"%u\" "
			 "y=\"%u\" width=\"%d\" height=\"%d\" rx=\"3\"/><text class=\"m\" x=\"%u\" "
			 "y=\"%u\">%s</text></g>\n",
			 classes[s->d.mark[cpu]], s->d.facts->cpus[cpu].id,
			 axplace_mark_meaning((enum mark)s->d.mark[cpu]), x, y, CELL, HEIGHT,
			 x + CELL / 2, y + 16, axplace_mark_text(&s->d, cpu, buf));
}

/* With all of its cores side by side. */
static unsigned cache_width(const struct svg *s, size_t first, size_t end)
{
	unsigned width = 2 * INSET - GAP;

	for (size_t core = first, next; core < end; core = next) {
		next = axplace_core_end(&s->d, core);
		width += (unsigned)(next - core) * CELL + GAP;
	}
	return width;
}

static void add_cache(struct svg *s, size_t first, size_t end, unsigned left, unsigned right)
{
	unsigned x = left + INSET, top = s->y, row = HEIGHT + 16 + GAP;
	char title[48];

	axplace_cache_title(&s->d, first, title, sizeof(title));
	s->y += GAP;
	for (size_t core = first, next; core < end; core = next) {
		unsigned width;

		next = axplace_core_end(&s->d, core);
		width = (unsigned)(next - core) * CELL;
		if (x > left + INSET && x + width > right - INSET) {
			x = left + INSET;
			s->y += row;
		}
		for (size_t i = core; i < next; i++)
			add_cell(s, s->d.order[i], x + (unsigned)(i - core) * CELL, s->y);
		axplace_text_add(&s->body, "<text class=\"m\" x=\"%u\" y=\"%u\">", x + width / 2,
				 s->y + HEIGHT + 13);
		for (size_t i = core; i < next; i++)
			axplace_text_add(&s->body, "%s%u", i > core ? ", " : "",
					 s->d.facts->cpus[s->d.order[i]].id);
		axplace_text_add(&s->body, "</text>\n");
		x += width + GAP;
	}
	s->y += row;
	axplace_text_add(&s->body,
			 "<rect class=\"cache\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" "
			 "rx=\"5\"><title>%s</title></rect>\n",
			 left, top, right - left, s->y - top, title);
	s->y += GAP;
}

/* As many beside each other as there is room for; the last of a row takes what is left of it. */
static void add_caches(struct svg *s, size_t first, size_t end)
{
	unsigned left = LEFT, top = s->y;

	for (size_t next, after; first < end; first = next) {
		unsigned right;
		bool is_last;

		next = axplace_cache_end(&s->d, first);
		right = left + cache_width(s, first, next);
		after = next < end ? axplace_cache_end(&s->d, next) : next;
		is_last = next == end || right + GAP + cache_width(s, next, after) > RIGHT;
		s->y = top;
		add_cache(s, first, next, left, is_last ? RIGHT : right);
		left = is_last ? LEFT : right + GAP;
		top = is_last ? s->y : top;
	}
}

static void add_node(struct svg *s, uint32_t node, size_t first, size_t end)
{
	unsigned top = s->y;
	char title[64], memory[160];

	axplace_node_title(&s->d, node, first < end ? first : s->d.count, title, sizeof(title));
	axplace_node_memory(&s->d, node, memory, sizeof(memory));
	axplace_text_add(&s->body, "<text x=\"%d\" y=\"%u\">%s; %s</text>\n", 2 * PAD, top + 18,
			 title, memory);
	s->y += 28;
	add_caches(s, first, end);
	axplace_text_add(&s->body,
			 "<rect class=\"node\" x=\"%d\" y=\"%u\" width=\"%d\" height=\"%u\" "
			 "rx=\"7\"/>\n",
			 PAD, top, WIDTH - 2 * PAD, s->y - top);
	s->y += PAD;
}

static void add_legend(struct svg *s)
{
	unsigned x = 2 * PAD;

	for (int m = 0; m < MARKS; m++) {
		if (!s->d.seen[m])
			continue;
		if (x + 220 > WIDTH) {
			x = 2 * PAD;
			s->y += HEIGHT + GAP;
		}
		axplace_text_add(&s->body,
				 "<g class=\"%s\"><rect class=\"t\" x=\"%u\" y=\"%u\" width=\"16\" "
				 "height=\"16\" rx=\"3\"/></g><text x=\"%u\" y=\"%u\">%s</text>\n",
				 classes[m], x, s->y, x + 22, s->y + 13,
				 axplace_mark_meaning((enum mark)m));
		x += 220;
	}
	s->y += HEIGHT + PAD;
}

int axplace_to_svg(const struct axhost_facts *facts, const struct axplace_plan *plan,
		   char **ret_text, struct ax_error *err)
{
	struct svg s = {.y = HEAD};
	struct text text = {0};
	size_t first = 0;

	if (axplace_drawing_init(&s.d, facts, plan))
		return axplace_no_memory(err);
	for (uint32_t node = 0; node < facts->node_count; node++) {
		size_t end = first;

		if (first < s.d.count && facts->cpus[s.d.order[first]].node == node)
			end = axplace_node_end(&s.d, first);
		add_node(&s, node, first, end);
		first = end;
	}
	add_legend(&s);
	axplace_drawing_finish(&s.d);
	axplace_text_add(&text,
			 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" "
			 "width=\"%d\" height=\"%u\" role=\"img\">\n<title>Plan of a VM</title>\n%s"
			 "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n"
			 "<text class=\"h\" x=\"%d\" y=\"28\">%zu vCPU%s on ",
			 WIDTH, s.y, WIDTH, s.y, style, PAD, plan->vcpu_count,
			 plan->vcpu_count > 1 ? "s" : "");
	add_escaped(&text, facts->model_name[0] ? facts->model_name : "this host");
	axplace_text_add(&text, "</text>\n%s</svg>\n",
			 s.body.buf && !s.body.failed ? s.body.buf : "");
	text.failed |= s.body.failed;
	free(s.body.buf);
	return axplace_text_take(&text, ret_text, err);
}
