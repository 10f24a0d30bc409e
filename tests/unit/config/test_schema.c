/*
 * The schema itself: every row can be set by its key in a file, by its flag, its alias and its
 * letter, has the default it shows and a line of help, and no two rows share a name.
 */
#include "helpers.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_TEXT 128
#define SAMPLE_JSON 256

static const struct {
	const char *key, *text, *json;
} objects[] = {
	{"disks", "a.img,ro,serial=x", "[{\"path\": \"a.img\", \"ro\": true, \"serial\": \"x\"}]"},
	{"memory.regions", "gpa=0x40000000,size=8M",
	 "[{\"gpa\": \"0x40000000\", \"size\": \"8M\"}]"},
	{"nets", "tap=t0,mtu=1400", "[{\"type\": \"tap\", \"tap\": \"t0\", \"mtu\": 1400}]"},
	{"consoles", "pty,name=x", "[{\"mode\": \"pty\", \"name\": \"x\"}]"},
};

/* A value that differs from the row's default, as text for a command line and as JSON. */
static void sample(const struct axcfg_option *row, char text[SAMPLE_TEXT], char json[SAMPLE_JSON])
{
	size_t i;
	bool is_on = row->default_text && !strcmp(row->default_text, "true");

	switch (row->type) {
	case AXCFG_BOOL:
		snprintf(text, SAMPLE_TEXT, "%s", is_on ? "false" : "true");
		snprintf(json, SAMPLE_JSON, "%s", text);
		break;
	case AXCFG_UINT:
		/* The only number with gaps in its range. */
		snprintf(text, SAMPLE_TEXT, "%d", !strcmp(row->key, "kernel.bits") ? 32 : 7);
		snprintf(json, SAMPLE_JSON, "%s", text);
		break;
	case AXCFG_SIZE:
		snprintf(text, SAMPLE_TEXT, "96M");
		snprintf(json, SAMPLE_JSON, "\"96M\"");
		break;
	case AXCFG_ADDRESS:
		snprintf(text, SAMPLE_TEXT, "0x234000");
		snprintf(json, SAMPLE_JSON, "\"0x234000\"");
		break;
	case AXCFG_DURATION:
		snprintf(text, SAMPLE_TEXT, "1500ms");
		snprintf(json, SAMPLE_JSON, "\"1500ms\"");
		break;
	case AXCFG_STRING:
	case AXCFG_PATH:
		snprintf(text, SAMPLE_TEXT, "some-%s", row->flag ? row->flag : row->key);
		snprintf(json, SAMPLE_JSON, "\"%s\"", text);
		break;
	case AXCFG_CHOICE:
		/* The first may be what the default comes to. */
		for (i = 0; row->choices[i + 1];)
			i++;
		snprintf(text, SAMPLE_TEXT, "%s", row->choices[i]);
		snprintf(json, SAMPLE_JSON, "\"%s\"", text);
		break;
	case AXCFG_UINTS:
		snprintf(text, SAMPLE_TEXT, "3,5-7");
		snprintf(json, SAMPLE_JSON, "[3, 5, 6, 7]");
		break;
	case AXCFG_OBJECTS:
		for (i = 0; i < AX_ARRAY_LEN(objects); i++) {
			if (strcmp(row->key, objects[i].key) != 0)
				continue;
			snprintf(text, SAMPLE_TEXT, "%s", objects[i].text);
			snprintf(json, SAMPLE_JSON, "%s", objects[i].json);
			return;
		}
		fail_msg("%s: no sample", row->key);
		break;
	}
}

/* {"memory": {"size": VALUE}} */
static void wrap(const struct axcfg_option *row, const char *value, char *json, size_t size)
{
	const char *dot = strchr(row->key, '.');

	if (dot)
		snprintf(json, size, "{\"%.*s\": {\"%s\": %s}}", (int)(dot - row->key), row->key,
			 dot + 1, value);
	else
		snprintf(json, size, "{\"%s\": %s}", row->key, value);
}

static void value_after_words(const struct axcfg_option *row, const char *const *words, char *buf,
			      size_t size)
{
	/* Some values pass only together with others: the builder's set is looked at by a dump. */
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};
	const struct axcfg *config = NULL;

	if (builder_words(builder, words, &err))
		fail_msg("%s: %s", words[1], err.message);
	if (!strncmp(row->key, "cpus.", 5))
		assert_int_equal(axcfg_builder_set(builder, "cpus.count",
						   row->type == AXCFG_UINTS ? "4" : "7", &err),
				 0);
	if (!strcmp(row->key, "cpus.priority"))
		assert_int_equal(axcfg_builder_set(builder, "cpus.scheduler", "fifo", &err), 0);
	if (!strcmp(row->key, "io.affinity"))
		assert_int_equal(axcfg_builder_set(builder, "io.threads", "4", &err), 0);
	if (!strcmp(row->key, "balloon.size"))
		assert_int_equal(axcfg_builder_set(builder, "balloon.enabled", "true", &err), 0);
	/* A path goes with the mode file, and only with it. */
	if (!strcmp(row->key, "serial.path"))
		assert_int_equal(axcfg_builder_set(builder, "serial.mode", "file", &err), 0);
	if (!strcmp(words[1], "--serial=file"))
		assert_int_equal(axcfg_builder_set(builder, "serial.path", "x", &err), 0);
	if (!strcmp(row->key, "machine.irq_mode"))
		assert_int_equal(axcfg_builder_set(builder, "kernel.protocol", "flat", &err), 0);
	if (axcfg_builder_finish(builder, &config, &err))
		fail_msg("%s: %s", words[1], err.message);
	axcfg_builder_destroy(builder);
	value_text(row, config, buf, size);
	axcfg_destroy(config);
}

static void value_after_json(const struct axcfg_option *row, const char *json, char *buf,
			     size_t size)
{
	char file[512];

	snprintf(file, sizeof(file), "%s", scratch_file("vm.json", json, strlen(json)));
	value_after_words(row, WORDS("--config", file), buf, size);
}

static void test_every_row_is_settable(void **state)
{
	const struct axcfg *defaults = config_of_words(WORDS("kernel"));
	const struct axcfg_option *row;
	size_t count = 0;

	(void)state;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++, count++) {
		char text[SAMPLE_TEXT], value[SAMPLE_JSON], json[512], flag[64];
		char before[1024], by_file[1024], by_flag[1024], by_other[1024];

		sample(row, text, value);
		wrap(row, value, json, sizeof(json));
		value_text(row, defaults, before, sizeof(before));
		value_after_json(row, json, by_file, sizeof(by_file));
		if (!strcmp(row->key, "kernel.path"))
			snprintf(before, sizeof(before), "(not set)");
		if (!strcmp(before, by_file))
			fail_msg("%s: a file did not change it from %s", row->key, before);
		if (!row->flag)
			continue;
		snprintf(flag, sizeof(flag), "--%s", row->flag);
		if (row->type == AXCFG_BOOL) {
			snprintf(flag, sizeof(flag), "--%s%s", strcmp(text, "true") ? "no-" : "",
				 row->flag);
			value_after_words(row, WORDS(flag), by_flag, sizeof(by_flag));
		} else {
			value_after_words(row, WORDS(flag, text), by_flag, sizeof(by_flag));
		}
		assert_string_equal(by_flag, by_file);
		snprintf(json, sizeof(json), "--%s=%s", row->flag, text);
		value_after_words(row, WORDS(json), by_other, sizeof(by_other));
		assert_string_equal(by_other, by_file);
		if (row->alias) {
			snprintf(flag, sizeof(flag), "--%s", row->alias);
			value_after_words(row, WORDS(flag, text), by_other, sizeof(by_other));
			assert_string_equal(by_other, by_file);
		}
		if (row->short_flag) {
			snprintf(flag, sizeof(flag), "-%c", row->short_flag);
			value_after_words(row, WORDS(flag, text), by_other, sizeof(by_other));
			assert_string_equal(by_other, by_file);
			snprintf(json, sizeof(json), "-%c%s", row->short_flag, text);
			value_after_words(row, WORDS(json), by_other, sizeof(by_other));
			assert_string_equal(by_other, by_file);
			snprintf(json, sizeof(json), "-%c=%s", row->short_flag, text);
			value_after_words(row, WORDS(json), by_other, sizeof(by_other));
			assert_string_equal(by_other, by_file);
		}
	}
	assert_true(count >= 30);
	axcfg_destroy(defaults);
}

static void test_every_choice_is_settable(void **state)
{
	const struct axcfg_option *row;

	(void)state;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		for (size_t c = 0; row->choices && row->choices[c]; c++) {
			char word[96], value[64];

			snprintf(word, sizeof(word), "--%s=%s", row->flag, row->choices[c]);
			value_after_words(row, WORDS(word), value, sizeof(value));
			/* Settled before the configuration is frozen. */
			if (!strcmp(row->key, "serial.mode") && !strcmp(row->choices[c], "auto"))
				assert_string_equal(value, "stdio");
			else
				assert_string_equal(value, row->choices[c]);
		}
	}
}

static void test_rows_are_documented_and_distinct(void **state)
{
	const struct axcfg_option *row, *other;

	(void)state;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		assert_non_null(row->group);
		assert_true(row->help && strlen(row->help) > 4);
		assert_true(strlen(row->key) < 60);
		assert_true(row->type == AXCFG_BOOL || row->metavar);
		assert_int_equal(row->type == AXCFG_CHOICE, row->choices != NULL);
		assert_int_equal(row->type == AXCFG_OBJECTS, row->fields != NULL);
		/* Short flags take a value: none of them is a switch. */
		assert_false(row->short_flag && row->type == AXCFG_BOOL);
		for (size_t j = 0; j < i; j++) {
			other = axcfg_option_at(j);
			assert_string_not_equal(row->key, other->key);
			assert_true(row->offset != other->offset);
			if (row->flag && other->flag)
				assert_string_not_equal(row->flag, other->flag);
			if (row->alias && other->flag)
				assert_string_not_equal(row->alias, other->flag);
			if (row->short_flag)
				assert_int_not_equal(row->short_flag, other->short_flag);
		}
	}
}

static void test_defaults(void **state)
{
	const struct axcfg *c = config_of_words(WORDS("kernel"));

	(void)state;
	assert_string_equal(c->name, "vm");
	assert_string_equal(c->arch, "auto");
	assert_string_equal(c->profile, "auto");
	assert_string_equal(c->kvm_device, "/dev/kvm");
	assert_string_equal(c->kernel.path, "kernel");
	assert_null(c->kernel.initrd);
	assert_null(c->kernel.cmdline);
	assert_null(c->kernel.append);
	assert_int_equal(c->kernel.protocol, AXCFG_PROTOCOL_AUTO);
	assert_int_equal(c->kernel.load_gpa, 0x100000);
	assert_int_equal(c->kernel.entry, 0);
	assert_int_equal(c->kernel.bits, 64);
	assert_int_equal(c->cpus.count, 1);
	assert_int_equal(c->cpus.ids.count, 0);
	assert_int_equal(c->cpus.affinity.count, 0);
	assert_int_equal(c->memory.size_bytes, 1024 * AX_MIB);
	assert_int_equal(c->memory.backing, AXCFG_BACKING_AUTO);
	assert_false(c->memory.populate);
	assert_false(c->memory.lock);
	assert_int_equal(c->memory.region_count, 0);
	assert_int_equal(c->disk_count, 0);
	assert_true(c->rng);
	assert_int_equal(c->serial.mode, AXCFG_SERIAL_STDIO);
	assert_null(c->serial.path);
	assert_true(c->machine.acpi && c->machine.mp_table && c->machine.pit);
	assert_int_equal(c->machine.irq_mode, AXCFG_IRQ_EMULATED);
	assert_int_equal(c->machine.announce, AXCFG_ANNOUNCE_AUTO);
	assert_int_equal(c->machine.unclaimed, AXCFG_UNCLAIMED_IGNORE);
	assert_int_equal(c->limits.timeout_ns, 0);
	assert_int_equal(c->limits.max_exits, 0);
	assert_int_equal(c->on_reboot, AXCFG_ON_EXIT);
	assert_true(c->metrics);
	assert_false(c->timeline);
	axcfg_destroy(c);
}

/* What is frozen cannot be written through: the one type that leaves the layer is const. */
static void test_frozen(void **state)
{
	struct axcfg_builder *builder = builder_new();
	const struct axcfg *config = NULL, *second = NULL;
	struct ax_error err = {0};

	(void)state;
	_Static_assert(_Generic(&axcfg_builder_finish,
				int (*)(struct axcfg_builder *, const struct axcfg **,
					struct ax_error *) : 1,
				default : 0),
		       "a finished configuration is const");
	assert_int_equal(axcfg_builder_finish(builder, &config, &err), 0);
	/* Empty from now on: there is no second way to what was handed out. */
	assert_true(axcfg_builder_finish(builder, &second, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_INVALID_STATE);
	assert_null(second);
	axcfg_builder_destroy(builder);
	assert_string_equal(config->name, "vm");
	axcfg_destroy(config);
	axcfg_destroy(NULL);
	axcfg_builder_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_settable),
		cmocka_unit_test(test_every_choice_is_settable),
		cmocka_unit_test(test_rows_are_documented_and_distinct),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_frozen),
	};

	return cmocka_run_group_tests(tests, scratch_start, scratch_finish);
}
