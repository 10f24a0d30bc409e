/*
 * Facts as a file: what `axvm host --save` writes and --host reads.
 */
#include "host_private.h"

#include <errno.h>

int axhost_load(const char *path, struct axhost_facts *ret_facts, struct ax_error *err)
{
	(void)ret_facts;
	return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOSYS,
			    "%s: recorded hosts are not implemented", path);
}

int axhost_save(const struct axhost_facts *facts, char **ret_text, struct ax_error *err)
{
	(void)facts;
	(void)ret_text;
	return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOSYS,
			    "recording hosts is not implemented");
}
