/*
 * Byte sizes as people write them: "512M" to a number and back.
 * Owns the grammar; which sizes make sense is for the one who asked.
 */
#include <axvm/base.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

static const char unit_letters[] = "KMGT"; /* 2^10, 2^20, 2^30, 2^40 */

/* The number of bytes the suffix stands for; 0 when it is no suffix of ours. */
static uint64_t parse_unit(const char *text, uint64_t default_unit)
{
	if (!*text)
		return default_unit;
	for (unsigned int i = 0; unit_letters[i]; i++) {
		const char name[] = {unit_letters[i], '\0'};
		if (strncasecmp(text, name, 1) != 0)
			continue;
		if (text[1] && strcasecmp(text + 1, "B") != 0 && strcasecmp(text + 1, "iB") != 0)
			return 0;
		return 1ULL << (10 * (i + 1));
	}
	return 0;
}

int ax_parse_size(const char *text, uint64_t default_unit, uint64_t *ret_bytes)
{
	uint64_t value = 0;
	bool too_large = false;
	const char *at = text;

	if (!text)
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			too_large = true;
	}
	if (at == text)
		return -EINVAL;
	uint64_t unit = parse_unit(at, default_unit);
	if (!unit) /* junk is junk, however large the number before it */
		return -EINVAL;
	if (too_large || __builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	*ret_bytes = value;
	return 0;
}

char *ax_format_size(uint64_t bytes, char *buf, size_t buf_size)
{
	unsigned int units = 0;

	while (bytes && units < sizeof(unit_letters) - 1 && bytes % AX_KIB == 0) {
		bytes /= AX_KIB;
		units++;
	}
	if (units)
		snprintf(buf, buf_size, "%" PRIu64 "%c", bytes, unit_letters[units - 1]);
	else
		snprintf(buf, buf_size, "%" PRIu64, bytes);
	return buf;
}
