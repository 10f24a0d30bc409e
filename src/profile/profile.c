/*
 * The explicit list of profiles and how one is chosen: a profile is added by a file and one line in
 * the array below. What a profile means is in its own file.
 */
#include "profile_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Most specific first; the last one fits every host. */
static const struct axprof *const profiles[] = {
	&axprof_xv2,
	&axprof_zen2,
	&axprof_generic,
};

const struct axprof *axprof_at(size_t index)
{
	return index < AX_ARRAY_LEN(profiles) ? profiles[index] : NULL;
}

size_t axprof_missing(const struct axprof *profile, const struct axhost_facts *facts, char *buf,
		      size_t buf_size)
{
	size_t missing = 0, used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < profile->requirement_count; i++) {
		if (profile->requirements[i].met(facts))
			continue;
		if (used < buf_size)
			used += (size_t)snprintf(buf + used, buf_size - used, "%s%s",
						 missing ? ", " : "",
						 profile->requirements[i].name);
		missing++;
	}
	return missing;
}

/* Of a profile that misses something. */
static const char *first_remedy(const struct axprof *profile, const struct axhost_facts *facts)
{
	size_t i = 0;

	while (profile->requirements[i].met(facts))
		i++;
	return profile->requirements[i].remedy;
}

static int unknown(const char *name, struct ax_error *err)
{
	char known[128] = "auto";
	size_t used = strlen(known);

	for (size_t i = 0; i < AX_ARRAY_LEN(profiles) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s",
					 profiles[i]->name);
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "profile: '%s' is not known", name);
	return ax_error_hint(err, "choose one of: %s", known);
}

int axprof_select(const char *name, const struct axhost_facts *facts,
		  const struct axprof **ret_profile, struct ax_error *err)
{
	bool any = !name || !strcmp(name, "auto");
	char missing[256];

	for (size_t i = 0; i < AX_ARRAY_LEN(profiles); i++) {
		const struct axprof *profile = profiles[i];

		if (!any && strcmp(profile->name, name))
			continue;
		if (!axprof_missing(profile, facts, missing, sizeof(missing))) {
			if (!any)
				ax_log(AX_LOG_INFO, "profile", "%s as asked for, not by detection",
				       name);
			*ret_profile = profile;
			return 0;
		}
		if (!any) {
			ax_error_set(err, AX_ERROR_PROFILE_REFUSED, ENOTSUP,
				     "profile %s refuses this host, which lacks: %s", name,
				     missing);
			return ax_error_hint(err, "%s; --profile auto takes the one that fits",
					     first_remedy(profile, facts));
		}
	}
	return unknown(name, err);
}
