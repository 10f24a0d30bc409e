/*
 * Whether a request makes sense: sizes, alignment, limits, access rights, overlap.
 *
 * Looks, says what is wrong with the values in it, and changes nothing.
 */
#include "internal.h"

#include <errno.h>

static int check_range(const struct axas *as, const char *what, uint64_t gpa, uint64_t size_bytes,
		       uint64_t align, struct ax_error *err)
{
	unsigned long long at = gpa, size = size_bytes;

	if (!size_bytes)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s at gpa 0x%llx has no size", what, at);
	if ((gpa | size_bytes) & (align - 1))
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "%s: gpa 0x%llx and size 0x%llx must be multiples of 0x%llx",
				    what, at, size, (unsigned long long)align);
	if (gpa >= as->gpa_limit || size_bytes > as->gpa_limit - gpa)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: 0x%llx bytes at gpa 0x%llx reach past the guest-physical "
				    "limit 0x%llx",
				    what, size, at, (unsigned long long)as->gpa_limit);
	return 0;
}

int axas_check_flags(const char *what, uint32_t flags, struct ax_error *err)
{
	const uint32_t known = AXAS_RW | AXAS_EXEC | AXAS_USER | AXAS_DEVICE | AXAS_UNCACHED;

	if (!flags || flags & ~known)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: flags 0x%x are no access rights", what, flags);
	if (flags & (AXAS_USER | AXAS_DEVICE | AXAS_UNCACHED) || !(flags & AXAS_READ)) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			     "%s: flags 0x%x cannot be expressed by a KVM memory slot", what,
			     flags);
		ax_error_hint(err, "Use READ (1) or READ|WRITE (3), with or without EXECUTE (4).");
		return -ENOTSUP;
	}
	return 0;
}

int axas_check_config(const struct axas *as, const struct axas_region_config *config,
		      struct ax_error *err)
{
	bool is_file = config->backing == AXAS_BACKING_FILE;
	int rc;

	rc = check_range(as, config->name, config->gpa, config->size_bytes,
			 axas_page_size(config->backing), err);
	if (rc < 0)
		return rc;
	rc = axas_check_flags(config->name, config->flags, err);
	if (rc < 0)
		return rc;
	if ((unsigned int)config->backing > AXAS_BACKING_FILE ||
	    (unsigned int)config->type > AXAS_MAP_RESERVED)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "region \"%s\": unknown type %d or backing %d", config->name,
				    (int)config->type, (int)config->backing);
	if (is_file ? config->fd < 0 && !config->path : config->type == AXAS_MAP_RESERVED)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "region \"%s\" names neither a file nor a device range",
				    config->name);
	if (is_file && config->fd_offset % AXAS_PAGE_SIZE)
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "region \"%s\": file offset %llu is not a multiple of a page",
				    config->name, (unsigned long long)config->fd_offset);
	if (is_file && config->bind) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			     "region \"%s\": the pages of a file cannot be put on host node %u",
			     config->name, config->node);
		ax_error_hint(err,
			      "They are its file system's, and may be there already: ask for no "
			      "node, or mount a tmpfs with mpol=bind:%u.",
			      config->node);
		return -ENOTSUP;
	}
	return 0;
}

int axas_check_free(const struct axas_table *table, const struct axas_region_config *config,
		    struct ax_error *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct axas_region_info *info = &table->regions[i].info;
		if (info->gpa >= config->gpa + config->size_bytes ||
		    info->gpa + info->size_bytes <= config->gpa)
			continue;
		return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				    "region \"%s\" (gpa 0x%llx, 0x%llx bytes) overlaps \"%s\" (gpa "
				    "0x%llx, 0x%llx bytes)",
				    config->name, (unsigned long long)config->gpa,
				    (unsigned long long)config->size_bytes, info->name,
				    (unsigned long long)info->gpa,
				    (unsigned long long)info->size_bytes);
	}
	return 0;
}

int axas_check_mapped(const struct axas *as, const char *what, uint64_t gpa, uint64_t size_bytes,
		      struct ax_error *err)
{
	size_t first;
	int rc = check_range(as, what, gpa, size_bytes, AXAS_PAGE_SIZE, err);

	if (rc < 0)
		return rc;
	if (!axas_table_covers(axas_table_current(as), gpa, size_bytes, 0, &first))
		return ax_error_set(err, AX_ERROR_NOT_FOUND, ENOENT,
				    "%s: part of gpa 0x%llx, 0x%llx bytes, is not mapped", what,
				    (unsigned long long)gpa, (unsigned long long)size_bytes);
	return 0;
}
