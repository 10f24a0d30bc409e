/* What a request is, by docs/top.md, and that everything else is told what it should have been. */
#include "../test.h"

#include <axvm/api.h>

#include <errno.h>
#include <string.h>

static void test_known(void **state)
{
	static const struct {
		const char *line;
		enum axapi_request request;
	} rows[] = {
		{"{\"get\":\"stats\"}", AXAPI_GET_STATS},
		{" {\t\"get\" : \"stats\" }\r", AXAPI_GET_STATS},
		{"{\"get\":\"version\"}", AXAPI_GET_VERSION},
		{"{\"g\\u0065t\":\"version\"}", AXAPI_GET_VERSION},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		enum axapi_request request = AXAPI_REQUEST_COUNT;
		struct ax_error err = {0};

		assert_int_equal(
			axapi_parse_request(rows[i].line, strlen(rows[i].line), &request, &err), 0);
		assert_int_equal(request, rows[i].request);
		assert_int_equal(err.kind, AX_ERROR_NONE);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{"", "no JSON object"},
		{"stats", "no JSON object"},
		{"[]", "no JSON object"},
		{"\"get\"", "no JSON object"},
		{"{\"get\":\"stats\"", "no JSON object"},
		{"{\"get\":\"stats\"}}", "no JSON object"},
		{"{\"get\":\"stats\",\"get\":\"stats\"}", "no JSON object"},
		{"{}", "does not say what to get"},
		{"{\"set\":\"stats\"}", "does not say what to get"},
		{"{\"get\":1}", "does not say what to get"},
		{"{\"get\":null}", "does not say what to get"},
		{"{\"get\":\"stats\",\"of\":1}", "more than"},
		{"{\"get\":\"tea\"}", "has not got"},
		{"{\"get\":\"\"}", "has not got"},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		enum axapi_request request = AXAPI_REQUEST_COUNT;
		struct ax_error err = {0};

		assert_int_equal(
			axapi_parse_request(rows[i].line, strlen(rows[i].line), &request, &err),
			-EINVAL);
		assert_int_equal(request, AXAPI_REQUEST_COUNT);
		assert_int_equal(err.kind, AX_ERROR_USAGE);
		assert_non_null(strstr(err.message, rows[i].why));
		assert_non_null(strstr(err.hint, "stats"));
	}
}

static void test_bytes(void **state)
{
	static const char with_nul[] = "{\"get\":\"st\0ats\"}";
	char line[AXAPI_MAX_REQUEST + 1];
	enum axapi_request request;
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axapi_parse_request(with_nul, sizeof(with_nul) - 1, &request, NULL),
			 -EINVAL);
	assert_int_equal(axapi_parse_request("{\"get\":\"\xff\"}", 11, &request, NULL), -EINVAL);
	/* As long as it may be, and one more. */
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"get\":\"stats\"}", 15);
	assert_int_equal(axapi_parse_request(line, AXAPI_MAX_REQUEST, &request, &err), 0);
	assert_int_equal(axapi_parse_request(line, AXAPI_MAX_REQUEST + 1, &request, &err), -EINVAL);
	assert_non_null(strstr(err.message, "too long"));
	/* Nesting is no way to the end of our stack. */
	memset(line, '[', sizeof(line));
	assert_int_equal(axapi_parse_request(line, AXAPI_MAX_REQUEST, &request, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
