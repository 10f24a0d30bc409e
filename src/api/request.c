/*
 * What a request may say. Any user who may open the socket may have written it: a line has a
 * bounded length, and nothing is done that has not been understood in full.
 */
#include "private.h"

#include <errno.h>
#include <string.h>

static const char *const subjects[AXAPI_REQUEST_COUNT] = {
	[AXAPI_GET_STATS] = "stats",
	[AXAPI_GET_VERSION] = "version",
};

static int refuse(struct ax_error *err, const char *what)
{
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "the request %s", what);
	return ax_error_hint(err, "a line is {\"get\":\"stats\"} or {\"get\":\"version\"}");
}

int axapi_parse_request(const char *line, size_t length, enum axapi_request *ret_request,
			struct ax_error *err)
{
	const char *subject;
	json_t *root;
	int rc;

	if (length > AXAPI_MAX_REQUEST)
		return refuse(err, "is too long");
	root = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return refuse(err, "is no JSON object");
	subject = json_string_value(json_object_get(root, "get"));
	rc = refuse(err, !json_is_object(root)        ? "is no JSON object"
			 : !subject                   ? "does not say what to get"
			 : json_object_size(root) > 1 ? "says more than what to get"
						      : "wants what this VM has not got");
	for (size_t i = 0; subject && json_object_size(root) == 1 && i < AXAPI_REQUEST_COUNT; i++) {
		if (strcmp(subjects[i], subject) != 0)
			continue;
		*ret_request = (enum axapi_request)i;
		if (err)
			*err = (struct ax_error){0};
		rc = 0;
	}
	json_decref(root);
	return rc;
}
