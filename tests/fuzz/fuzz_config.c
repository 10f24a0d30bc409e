/*
 * The configuration from hostile sources: a JSON text and command-line words, one after the other
 * into one builder. What is accepted must survive its own dump, read back to the same text; what is
 * refused must say so.
 *
 * Input: words, one a line, up to an empty line; the rest is the JSON text.
 */
#include <axvm/config.h>

#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* No words may read files: the fuzzer would find /proc. */
static bool is_harmless(const char *word)
{
	return strncmp(word, "--config", 8) != 0;
}

static int take_verbosity(void *ctx, const char *flag)
{
	(void)ctx;
	return strcmp(flag, "-v") != 0 ? -2 : 0;
}

static void check_error(int rc, const struct ax_error *err)
{
	if (rc && (err->kind == AX_ERROR_NONE || !err->message[0] ||
		   strnlen(err->message, sizeof(err->message)) == sizeof(err->message)))
		abort();
}

static char *dump(const struct axcfg *config)
{
	struct ax_error err = {0};
	char *text = NULL;
	int rc = axcfg_dump(config, &text, &err);

	/* Only words that are not UTF-8 cannot be dumped. */
	check_error(rc, &err);
	return text;
}

static void check_round_trip(const struct axcfg *config)
{
	char *text = dump(config), *again;
	struct axcfg_builder *builder = NULL;
	const struct axcfg *back = NULL;
	struct ax_error err = {0};

	if (!text)
		return;
	if (axcfg_builder_create(&builder, &err) ||
	    axcfg_builder_json(builder, "dump", text, strlen(text), &err) ||
	    axcfg_builder_finish(builder, &back, &err))
		abort();
	again = dump(back);
	if (!again || strcmp(text, again))
		abort();
	axcfg_builder_destroy(builder);
	axcfg_destroy(back);
	free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1), *at = copy, *end = copy + len;
	char program[] = "run", *words[MAX_WORDS + 1] = {program};
	struct axcfg_builder *builder = NULL;
	const struct axcfg *config = NULL;
	struct ax_error err = {0};
	int argc = 1, rc;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	*end = '\0';
	while (at < end && *at != '\n') {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline)
			*newline = '\0';
		if (argc < MAX_WORDS && is_harmless(at))
			words[argc++] = at;
		at = newline ? newline + 1 : end;
	}
	at += at < end;
	if (axcfg_builder_create(&builder, &err))
		abort();
	if (at < end) {
		char *json = malloc((size_t)(end - at)); /* to the byte, for ASan */

		if (json)
			memcpy(json, at, (size_t)(end - at));
		rc = json ? axcfg_builder_json(builder, "vm.json", json, (size_t)(end - at), &err)
			  : 0;
		check_error(rc, &err);
		free(json);
	}
	/* After a refusal the builder is still one. */
	err = (struct ax_error){0};
	rc = axcfg_builder_args(builder, argc, words, take_verbosity, NULL, &err);
	check_error(rc, &err);
	err = (struct ax_error){0};
	rc = axcfg_builder_finish(builder, &config, &err);
	check_error(rc, &err);
	if (!rc)
		check_round_trip(config);
	axcfg_builder_destroy(builder);
	axcfg_destroy(config);
	free(copy);
	return 0;
}
