/*
 * The JSON file as a source: what it may hold, and one test for each way in which text, types,
 * names or the file itself can be wrong (must-test 15).
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_forms(void **state)
{
	const struct axcfg *c = config_of_text(
		"{\"cpus\": {\"count\": 3, \"ids\": \"1,3-4\", \"affinity\": [0, 0, 0]},"
		" \"memory\": {\"size\": 256, \"regions\": [{\"gpa\": 1073741824, \"size\": "
		"\"1M\"}]},"
		" \"limits\": {\"timeout\": 3, \"max_exits\": \"0x10\"},"
		" \"disks\": [\"a.img,ro\", {\"path\": \"b,c.img\", \"direct\": true}],"
		" \"name\": \"caf\\u00e9\"}");

	(void)state;
	assert_int_equal(c->cpus.ids.count, 3);
	assert_int_equal(c->cpus.ids.values[2], 4);
	assert_int_equal(c->cpus.affinity.count, 3);
	assert_int_equal(c->memory.size_bytes, 256 * AX_MIB);
	assert_int_equal(c->memory.regions[0].gpa, 1 << 30);
	assert_true(c->limits.timeout_ns == 3000000000);
	assert_int_equal(c->limits.max_exits, 16);
	assert_int_equal(c->disk_count, 2);
	assert_true(c->disks[0].read_only);
	assert_string_equal(c->disks[1].path, "b,c.img"); /* no doubling in a file */
	assert_true(c->disks[1].direct);
	assert_string_equal(c->name, "caf\xc3\xa9");
	axcfg_destroy(c);
	axcfg_destroy(config_of_text("{}"));
	axcfg_destroy(config_of_text("{\"disks\": [], \"cpus\": {\"ids\": []}}"));
}

static void test_unknown_keys(void **state)
{
	(void)state;
	refuse_text("{\"memory\": {\"sise\": 512}}", "vm.json: memory.sise: no such option",
		    "did you mean memory.size?");
	refuse_text("{\"nam\": \"x\"}", "vm.json: nam: no such option", "did you mean name?");
	refuse_text("{\"completely-different\": 1}", "no such option", "axvm config dump");
	refuse_text("{\"memory\": 5}", "vm.json: memory: no such option", NULL);
	/* Neither an empty section nor an empty name is passed over. */
	refuse_text("{\"memroy\": {}}", "vm.json: memroy: no such option", NULL);
	refuse_text("{\"\": {\"name\": \"x\"}}", "no such option", NULL);
	refuse_text("{\"\": 1}", "no such option", NULL);
	refuse_text("{\"memory\": {\"size\": {\"bytes\": 1}}}", "memory.size: expected", NULL);
	refuse_text("{\"memory\": {\"more\": {\"size\": 1}}}", "memory.more: no such option", NULL);
	refuse_text("{\"disks\": [{\"path\": \"a\", \"readonly\": true}]}",
		    "vm.json: disks[0].readonly: no such option", NULL);
	refuse_text("{\"a-key-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-"
		    "and-on-and-on-and-on-and-on-and-on-and-on\": 1}",
		    "no such option", NULL);
}

static void test_wrong_types(void **state)
{
	(void)state;
	refuse_text("{\"rng\": \"yes\"}", "vm.json: rng: expected true or false", NULL);
	refuse_text("{\"rng\": 1}", "rng: expected true or false", NULL);
	refuse_text("{\"cpus\": {\"count\": true}}", "cpus.count: 'true' is not a whole number",
		    NULL);
	refuse_text("{\"cpus\": {\"count\": 1.5}}", "cpus.count: expected", NULL);
	refuse_text("{\"cpus\": {\"count\": 1e2}}", "cpus.count: expected", NULL);
	refuse_text("{\"cpus\": {\"count\": null}}", "cpus.count: expected", NULL);
	refuse_text("{\"cpus\": {\"count\": [1]}}", "cpus.count: expected", NULL);
	refuse_text("{\"cpus\": {\"count\": -1}}", "'-1' is not a whole number", NULL);
	refuse_text("{\"memory\": {\"size\": true}}", "'true' is not a size", NULL);
	refuse_text("{\"name\": 5}", "name: expected text in quotes", NULL);
	refuse_text("{\"kernel\": {\"path\": true}}", "kernel.path: expected text", NULL);
	refuse_text("{\"serial\": {\"mode\": 1}}", "serial.mode: '1' is not known", NULL);
	refuse_text("{\"cpus\": {\"ids\": [\"1\"]}}", "cpus.ids: expected a list of whole", NULL);
	refuse_text("{\"cpus\": {\"ids\": [-1]}}", "'-1' is not a list of numbers", NULL);
	refuse_text("{\"cpus\": {\"ids\": [4294967296]}}", "4294967296 is out of range", NULL);
	refuse_text("{\"cpus\": {\"ids\": {}}}", "cpus.ids: expected", NULL);
	refuse_text("{\"disks\": \"a.img\"}", "disks: expected a list", NULL);
	refuse_text("{\"disks\": {}}", "disks: expected a list", NULL);
	refuse_text("{\"disks\": [5]}", "disks: expected a list of objects", NULL);
	refuse_text("{\"disks\": [{\"path\": 5}]}", "disks[0].path: expected text", NULL);
	refuse_text("{\"disks\": [{\"path\": \"a\"}, {\"path\": \"b\", \"ro\": \"yes\"}]}",
		    "disks[1].ro: expected true or false", NULL);
	refuse_text("{\"disks\": [\"a,nonsense\"]}", "disks: 'nonsense' is not known", NULL);
	refuse_text("{\"disks\": [{}]}", "disks[0] has no path", "--disk PATH");
}

static void test_wrong_text(void **state)
{
	(void)state;
	refuse_text("", "vm.json:1:0: not valid JSON", NULL);
	refuse_text("{", "not valid JSON", NULL);
	refuse_text("{\"name\": \"x\",}", "vm.json:1:14: not valid JSON", NULL);
	refuse_text("{\"name\": \"x\"} tail", "end of file expected", NULL);
	refuse_text("{\"name\": \"x\"}{}", "end of file expected", NULL);
	refuse_text("{\"name\": \"x\", \"name\": \"y\"}", "duplicate object key", NULL);
	refuse_text("{\"cpus\": {\"count\": 1, \"count\": 2}}", "duplicate object key", NULL);
	refuse_text("[]", "vm.json: expected an object", NULL);
	refuse_text("\"name\"", "not valid JSON", NULL);
	refuse_text("{\"name\": \"a\\u0000b\"}", "not valid JSON", NULL);
	refuse_text("{\"name\": \"\xff\xfe\"}", "not valid JSON", NULL);
	refuse_text("{\"name\": \"\\ud800\"}", "not valid JSON", NULL);
	refuse_text("{\"cpus\": {\"count\": 99999999999999999999}}", "too big integer", NULL);
	refuse_text("{\"cpus\": {\"count\": 1e999}}", "not valid JSON", NULL);
	refuse_text("{\"cpus\": {\"count\": 9223372036854775807}}", "is out of range", NULL);
	refuse_text("# comment\n{}", "not valid JSON", NULL);
}

static void test_nul_and_depth(void **state)
{
	static const char with_nul[] = "{\"name\": \"x\"}\0{}";
	enum { DEPTH = 100000 };
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};
	char *deep = malloc(2 * DEPTH + 16);
	size_t used = 0;

	(void)state;
	assert_non_null(deep);
	assert_true(axcfg_builder_json(builder, "nul", with_nul, sizeof(with_nul) - 1, &err) < 0);
	assert_non_null(strstr(err.message, "nul:1:"));
	used = (size_t)sprintf(deep, "{\"disks\": ");
	memset(deep + used, '[', DEPTH);
	memset(deep + used + DEPTH, ']', DEPTH);
	used += 2 * (size_t)DEPTH;
	deep[used++] = '}';
	assert_true(axcfg_builder_json(builder, "deep", deep, used, &err) < 0);
	assert_non_null(strstr(err.message, "maximum parsing depth"));
	/* Sections in sections never get past the second. */
	used = 0;
	for (int i = 0; i < 1000; i++)
		used += (size_t)sprintf(deep + used, "{\"memory\":");
	used += (size_t)sprintf(deep + used, "1");
	memset(deep + used, '}', 1000);
	assert_true(axcfg_builder_json(builder, "deep", deep, used + 1000, &err) < 0);
	assert_non_null(strstr(err.message, "memory.memory: no such option"));
	axcfg_builder_destroy(builder);
	free(deep);
}

static void test_too_many(void **state)
{
	char text[2048];
	size_t used = (size_t)snprintf(text, sizeof(text), "{\"disks\": [");

	(void)state;
	for (int i = 0; i < AXCFG_MAX_DISKS + 1; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s{\"path\": \"d%d\"}",
					 i ? ", " : "", i);
	snprintf(text + used, sizeof(text) - used, "]}");
	refuse_text(text, "disks: more than 16 of them", NULL);
}

static void refuse_file(const char *path, const char *message, const char *hint)
{
	struct axcfg_builder *builder = builder_new();
	struct ax_error err = {0};

	assert_true(axcfg_builder_file(builder, path, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
	if (!strstr(err.message, message) || !strstr(err.message, path))
		fail_msg("%s: '%s'", path, err.message);
	if (hint && !strstr(err.hint, hint))
		fail_msg("%s: '%s'", path, err.hint);
	axcfg_builder_destroy(builder);
}

static void test_files(void **state)
{
	char path[256], *large = calloc(1, (1 << 20) + 1);
	struct ax_error err = {0};
	struct axcfg_builder *builder = builder_new();

	(void)state;
	assert_non_null(large);
	refuse_file("/nonexistent/vm.json", "No such file or directory", "axvm config dump");
	refuse_file("/", "not a regular file", NULL);
	refuse_file("/dev/null", "not a regular file", NULL);
	snprintf(path, sizeof(path), "%s", scratch_file("empty.json", "", 0));
	refuse_file(path, ":1:0: not valid JSON", NULL);
	memset(large, ' ', (1 << 20) + 1);
	large[0] = '{';
	large[(1 << 20) - 1] = '}';
	snprintf(path, sizeof(path), "%s", scratch_file("large.json", large, (1 << 20) + 1));
	refuse_file(path, "1048577 bytes are too many", NULL);
	snprintf(path, sizeof(path), "%s", scratch_file("fits.json", large, 1 << 20));
	assert_int_equal(axcfg_builder_file(builder, path, &err), 0);
	assert_int_equal(unlink(path), 0);
	/* A pipe would block; it is refused instead. */
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse_file(path, "not a regular file", NULL);
	axcfg_builder_destroy(builder);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),         cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_wrong_types),   cmocka_unit_test(test_wrong_text),
		cmocka_unit_test(test_nul_and_depth), cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, scratch_start, scratch_finish);
}
