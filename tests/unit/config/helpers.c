/*
 * Builders in one call, and a scratch directory for files that configurations name.
 */
#include "helpers.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

struct axcfg_builder *builder_new(void)
{
	struct axcfg_builder *builder = NULL;
	struct ax_error err = {0};

	assert_int_equal(axcfg_builder_create(&builder, &err), 0);
	assert_non_null(builder);
	return builder;
}

int builder_words(struct axcfg_builder *builder, const char *const *words, struct ax_error *err)
{
	int argc = 0;

	while (words[argc])
		argc++;
	return axcfg_builder_args(builder, argc, (char *const *)(uintptr_t)words, NULL, NULL, err);
}

int builder_text(struct axcfg_builder *builder, const char *json, struct ax_error *err)
{
	return axcfg_builder_json(builder, "vm.json", json, strlen(json), err);
}

static const struct axcfg *finish(struct axcfg_builder *builder, int rc, struct ax_error *err)
{
	const struct axcfg *config = NULL;

	if (!rc)
		rc = axcfg_builder_finish(builder, &config, err);
	axcfg_builder_destroy(builder);
	if (rc)
		fail_msg("%s (%s)", err->message, err->hint);
	return config;
}

const struct axcfg *config_of_words(const char *const *words)
{
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};

	return finish(builder, builder_words(builder, words, &err), &err);
}

const struct axcfg *config_of_text(const char *json)
{
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};

	return finish(builder, builder_text(builder, json, &err), &err);
}

static void refuse(struct axcfg_builder *builder, int rc, struct ax_error *err, const char *what,
		   const char *message, const char *hint)
{
	const struct axcfg *config = NULL;

	if (!rc)
		rc = axcfg_builder_finish(builder, &config, err);
	axcfg_builder_destroy(builder);
	if (!rc)
		fail_msg("'%s' was accepted", what);
	assert_null(config);
	assert_int_equal(ax_error_kind_exit_status(err->kind), 2);
	assert_true(ax_error_is_recoverable(err));
	if (!strstr(err->message, message))
		fail_msg("'%s': the message is '%s', not '%s'", what, err->message, message);
	if (hint && !strstr(err->hint, hint))
		fail_msg("'%s': the hint is '%s', not '%s'", what, err->hint, hint);
}

void refuse_words(const char *const *words, const char *message, const char *hint)
{
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};
	int rc = builder_words(builder, words, &err);

	refuse(builder, rc, &err, words[1], message, hint);
}

void refuse_text(const char *json, const char *message, const char *hint)
{
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};
	int rc = builder_text(builder, json, &err);

	refuse(builder, rc, &err, json, message, hint);
}

static void list_text(const struct axcfg_uint_list *list, char *buf, size_t size)
{
	size_t used = (size_t)snprintf(buf, size, "[");

	for (size_t i = 0; i < list->count; i++)
		used += (size_t)snprintf(buf + used, size - used, "%llu ",
					 (unsigned long long)list->values[i]);
}

static void items_text(const struct axcfg_option *row, const void *base, char *buf, size_t size)
{
	const char *bytes = base;
	size_t count = *(const size_t *)(const void *)(bytes + row->count_offset);
	size_t used = (size_t)snprintf(buf, size, "%zu:", count);

	for (size_t i = 0; i < count; i++)
		for (const struct axcfg_option *f = row->fields; f->key; f++) {
			char one[256];

			value_text(f, bytes + row->offset + i * row->item_size, one, sizeof(one));
			used += (size_t)snprintf(buf + used, size - used, "%s=%s ", f->key, one);
		}
}

void value_text(const struct axcfg_option *row, const void *base, char *buf, size_t size)
{
	const void *at = (const char *)base + row->offset;
	const char *string;

	switch (row->type) {
	case AXCFG_BOOL:
		snprintf(buf, size, "%d", *(const bool *)at);
		break;
	case AXCFG_UINT:
	case AXCFG_SIZE:
	case AXCFG_ADDRESS:
	case AXCFG_DURATION:
		snprintf(buf, size, "%llu", *(const unsigned long long *)at);
		break;
	case AXCFG_STRING:
	case AXCFG_PATH:
		string = *(char *const *)at;
		snprintf(buf, size, "%s", string ? string : "(not set)");
		break;
	case AXCFG_CHOICE:
		snprintf(buf, size, "%s", row->choices[*(const uint32_t *)at]);
		break;
	case AXCFG_UINTS:
		list_text(at, buf, size);
		break;
	case AXCFG_OBJECTS:
		items_text(row, base, buf, size);
		break;
	}
}

const char *scratch_file(const char *name, const void *bytes, size_t count)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % AX_ARRAY_LEN(paths)];
	FILE *file;

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
	return path;
}

int scratch_start(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/axvm-config-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_finish(void **state)
{
	(void)state;
	return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
