/*
 * The terminal of `axvm top`: keys without echo, a screen of its own that is redrawn in place, and
 * all as it was at the end, by whatever the program ends. Plain ECMA-48 and the usual alternate
 * screen, so that it works wherever a shell does.
 */
#include "top.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l" /* xterm's: alternate screen; no cursor */
#define LEAVE "\033[?25h\033[?1049l"

static struct termios saved_termios;
static bool keys_are_ours, screen_is_ours;

static void restore(void)
{
	if (screen_is_ours) {
		fputs(LEAVE, stdout);
		fflush(stdout);
	}
	if (keys_are_ours)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
	screen_is_ours = keys_are_ours = false;
}

void top_screen_measure(struct top_screen *screen)
{
	const char *type = getenv("TERM");
	uint16_t columns = 0, rows = 0;

	screen->is_terminal = console_size(&columns, &rows) && type && strcmp(type, "dumb") != 0;
	screen->columns = columns ? columns : 80;
	screen->rows = rows ? rows : 24;
}

void top_screen_open(struct top_screen *screen)
{
	static bool registered;
	struct termios raw;

	top_screen_measure(screen);
	if (!screen->is_terminal)
		return;
	if (!registered)
		atexit(restore);
	registered = true;
	/* Keys are for us only in the foreground: a job in the background would be stopped. */
	if (tcgetpgrp(STDIN_FILENO) == getpgrp() && tcgetattr(STDIN_FILENO, &saved_termios) == 0) {
		raw = saved_termios;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		keys_are_ours = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	screen->has_keys = keys_are_ours;
	screen_is_ours = true;
	fputs(ENTER, stdout);
	fflush(stdout);
}

void top_screen_close(struct top_screen *screen)
{
	restore();
	screen->has_keys = false;
}

/* What is printed is ASCII: a byte is a column. */
void top_screen_draw(const struct top_screen *screen, const char *text)
{
	unsigned row = 0;

	fputs("\033[H", stdout);
	while (*text && row < screen->rows) {
		const size_t length = strcspn(text, "\n");
		const size_t shown = length < screen->columns ? length : screen->columns;

		printf("%s%.*s\033[K", row ? "\r\n" : "", (int)shown, text);
		text += length + (text[length] == '\n');
		row++;
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}
