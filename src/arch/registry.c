/*
 * The explicit list of architectures, and which one is this machine's. ARCHITECTURES(X) comes from
 * the build: each directory named in src/arch/meson.build adds its name when it has a table.
 */
#include <axvm/arch.h>

#include "architectures.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DECLARE(name) extern const struct axarch axarch_##name;
ARCHITECTURES(DECLARE)
#define ENTRY(name) &axarch_##name,
static const struct axarch *const architectures[] = {ARCHITECTURES(ENTRY)};

const struct axarch *axarch_at(size_t index)
{
	return index < AX_ARRAY_LEN(architectures) ? architectures[index] : NULL;
}

const struct axarch *axarch_by_name(const char *name)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(architectures); i++)
		if (!strcmp(architectures[i]->name, name))
			return architectures[i];
	return NULL;
}

const struct axarch *axarch_native(void)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(architectures); i++)
		if (architectures[i]->ident())
			return architectures[i];
	return architectures[AX_ARRAY_LEN(architectures) - 1]; /* the fake, where it is built */
}

int axarch_choose(const char *name, const struct axarch **ret_arch, struct ax_error *err)
{
	char known[128] = "";

	if (!name || !strcmp(name, "auto")) {
		*ret_arch = axarch_native();
		return 0;
	}
	*ret_arch = axarch_by_name(name);
	if (*ret_arch)
		return 0;
	for (size_t i = 0, at = 0; i < AX_ARRAY_LEN(architectures) && at < sizeof(known); i++)
		if (!architectures[i]->unfinished)
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
					       at ? ", " : "", architectures[i]->name);
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "arch: '%s' is not known", name);
	return ax_error_hint(err, "this build has %s", known);
}
