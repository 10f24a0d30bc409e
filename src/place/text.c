/* Text that grows; the forms of a plan write into it. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void axplace_text_add(struct text *text, const char *fmt, ...)
{
	va_list args, again;
	int n;

	if (text->failed)
		return;
	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n >= 0 && text->used + (size_t)n + 1 > text->size) {
		size_t size = 2 * text->size + (size_t)n + 256;
		char *buf = realloc(text->buf, size);

		text->failed = !buf;
		text->buf = buf ? buf : text->buf;
		text->size = buf ? size : text->size;
	}
	if (n < 0)
		text->failed = true;
	if (!text->failed) {
		vsnprintf(text->buf + text->used, text->size - text->used, fmt, again);
		text->used += (size_t)n;
	}
	va_end(again);
}

int axplace_text_take(struct text *text, char **ret_text, struct ax_error *err)
{
	if (text->failed || !text->buf) {
		free(text->buf);
		return axplace_no_memory(err);
	}
	*ret_text = text->buf;
	return 0;
}
