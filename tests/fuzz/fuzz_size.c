/*
 * Sizes as users write them: parsing any text neither reads past it nor disagrees with formatting.
 */
#include <axvm/base.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1); /* to the byte, so that ASan sees one too many */
	char again[24];
	uint64_t bytes, back;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (ax_parse_size(text, AX_MIB, &bytes) == 0) {
		ax_format_size(bytes, again, sizeof(again));
		if (ax_parse_size(again, 1, &back) != 0 || back != bytes)
			abort();
	}
	free(text);
	return 0;
}
