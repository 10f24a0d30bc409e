/*
 * The explicit list of architectures, and which one is this machine's. An architecture is added by
 * a directory and one line in each of the two places below.
 */
#include <axvm/arch.h>

#include <string.h>

#if defined(__x86_64__)
extern const struct axarch axarch_x86_64;
#endif

static const struct axarch *const architectures[] = {
#if defined(__x86_64__)
	&axarch_x86_64,
#endif
	&axarch_generic,
};

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
	return &axarch_generic;
}
