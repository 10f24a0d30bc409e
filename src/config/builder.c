/*
 * The builder: holds the configuration while sources write into it, and freezes it. What a source
 * looks like is left to json.c and args.c, what values may be to schema.c and check.c.
 */
#include "config_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int axcfg_builder_create(struct axcfg_builder **ret_builder, struct ax_error *err)
{
	struct axcfg_builder *builder = calloc(1, sizeof(*builder));
	int rc = 0;

	if (builder)
		builder->config = calloc(1, sizeof(*builder->config));
	if (!builder || !builder->config)
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				  "out of memory for a configuration");
	else
		rc = axcfg_value_set_defaults(axcfg_option_at(0), builder->config, err);
	if (rc) {
		axcfg_builder_destroy(builder);
		return rc;
	}
	*ret_builder = builder;
	return 0;
}

void axcfg_destroy(const struct axcfg *config)
{
	const struct axcfg_option *row;
	/* Frozen for everybody but its end of life. */
	struct axcfg *mutable = (struct axcfg *)(uintptr_t)config;

	if (!config)
		return;
	for (size_t i = 0; (row = axcfg_option_at(i)); i++)
		axcfg_value_clear(row, mutable);
	free(mutable);
}

void axcfg_builder_destroy(struct axcfg_builder *builder)
{
	if (!builder)
		return;
	axcfg_destroy(builder->config);
	free(builder);
}

int axcfg_builder_set(struct axcfg_builder *builder, const char *key, const char *value,
		      struct ax_error *err)
{
	const struct axcfg_option *row = axcfg_schema_by_key(key);
	struct value_source source;

	snprintf(source.text, sizeof(source.text), "%s", key);
	if (!row)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s is not an option",
				    key);
	return axcfg_value_set(row, builder->config, value, &source, err);
}

int axcfg_builder_finish(struct axcfg_builder *builder, const struct axcfg **ret_config,
			 struct ax_error *err)
{
	struct axcfg *config = builder->config;
	int rc;

	builder->config = NULL;
	if (config)
		axcfg_settle(config);
	rc = config ? axcfg_cross_check(config, err)
		    : ax_error_set(err, AX_ERROR_INVALID_STATE, EINVAL,
				   "the builder has been finished before");
	if (rc) {
		axcfg_destroy(config);
		return rc;
	}
	*ret_config = config;
	return 0;
}
