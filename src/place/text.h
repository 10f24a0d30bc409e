/* Text that grows, for the forms of a plan. After a failed allocation nothing is added any more. */
#ifndef AXVM_PLACE_TEXT_H
#define AXVM_PLACE_TEXT_H

#include "private.h"

struct text {
	char *buf;
	size_t used, size;
	bool failed;
};

void axplace_text_add(struct text *text, const char *fmt, ...) AX_PRINTF(2, 3);
/* Hands over the buffer, or tells that memory ran out. */
int axplace_text_take(struct text *text, char **ret_text, struct ax_error *err);

#endif
