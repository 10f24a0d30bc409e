/*
 * Small text files below a root directory: whole texts, numbers, and the kernel's lists of CPUs and
 * nodes. Every open of the start-up path but that of /proc/cpuinfo is here.
 */
#include "host_private.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

AX_PRINTF(4, 0)
static size_t read_text(const char *root, char *buf, size_t size, const char *path, va_list args)
{
	char full[768];
	int n = snprintf(full, sizeof(full), "%s", root), m;
	size_t length = 0;
	ssize_t got;

	buf[0] = '\0';
	if (n < 0 || (size_t)n >= sizeof(full))
		return 0;
	m = vsnprintf(full + n, sizeof(full) - (size_t)n, path, args);
	if (m < 0 || (size_t)(n + m) >= sizeof(full))
		return 0;
	AX_AUTO_CLOSE int fd = open(full, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	/* What sysfs says comes in one read; /proc, and lists longer than a page, may take several.
	 */
	while (length + 1 < size && (got = read(fd, buf + length, size - 1 - length)) > 0) {
		length += (size_t)got;
		if (length < 4096 && buf[length - 1] == '\n' && !strncmp(full + n, "/sys/", 5))
			break;
	}
	buf[length] = '\0';
	length = strlen(buf);
	if (length && buf[length - 1] == '\n')
		buf[--length] = '\0';
	return length;
}

size_t axhost_text(const char *root, char *buf, size_t size, const char *path, ...)
{
	va_list args;
	size_t length;

	va_start(args, path);
	length = read_text(root, buf, size, path, args);
	va_end(args);
	return length;
}

uint64_t axhost_number(const char *root, const char *path, ...)
{
	char text[32];
	va_list args;

	va_start(args, path);
	read_text(root, text, sizeof(text), path, args);
	va_end(args);
	return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : 0;
}

uint32_t axhost_count(uint64_t number)
{
	return number < AXHOST_NONE ? (uint32_t)number : AXHOST_NONE - 1;
}

uint64_t axhost_bytes(uint64_t number, uint64_t unit)
{
	return number < INT64_MAX / unit ? number * unit : INT64_MAX;
}

bool axhost_is_yes(const char *root, const char *path)
{
	char text[8];

	axhost_text(root, text, sizeof(text), "%s", path);
	return text[0] == 'Y' || text[0] == '1';
}

static bool take_number(const char **at, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long value;

	if (**at < '0' || **at > '9')
		return false;
	value = strtoul(*at, &end, 10);
	if (value > max)
		return false;
	*at = end;
	*ret = (uint32_t)value;
	return true;
}

/* What is no list ends it. */
bool axhost_list_next(struct axhost_list *list, uint32_t *ret_id)
{
	if (!list->inside) {
		if (!take_number(&list->at, list->max, &list->next))
			return false;
		list->last = list->next;
		if (*list->at == '-') {
			list->at++;
			if (!take_number(&list->at, list->max, &list->last) ||
			    list->last < list->next)
				return false;
		}
		list->inside = true;
	}
	*ret_id = list->next;
	if (list->next++ == list->last) {
		list->inside = false;
		if (*list->at == ',')
			list->at++;
		else
			list->at = "";
	}
	return true;
}

size_t axhost_list_count(const char *text, uint32_t max)
{
	struct axhost_list list = {.at = text, .max = max};
	size_t count = 0;
	uint32_t id;

	while (count <= max && axhost_list_next(&list, &id))
		count++;
	return count;
}

void axhost_clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}
