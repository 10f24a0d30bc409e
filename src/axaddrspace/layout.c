/*
 * The layout planner: which guest-physical address is for what, decided and checked before any
 * slot or device exists. Pure arithmetic on caller-owned storage; it maps nothing.
 *
 * Ranges never overlap, with one exception: a boot description (ACPI tables, device tree) may lie
 * wholly inside memory, because that is where it is stored.
 */
#include <axvm/axaddrspace.h>

#include <errno.h>
#include <string.h>

#define GPA_LIMIT (1ULL << 52)

const char *axas_layout_kind_name(enum axas_layout_kind kind)
{
	static const char *const names[] = {
		[AXAS_LAYOUT_MEMORY] = "memory",
		[AXAS_LAYOUT_RESERVED] = "reserved",
		[AXAS_LAYOUT_BOOT_DESCRIPTION] = "boot description",
		[AXAS_LAYOUT_EMULATED_DEVICE] = "emulated device",
		[AXAS_LAYOUT_PASSTHROUGH] = "passthrough",
	};

	return (size_t)kind < AX_ARRAY_LEN(names) ? names[kind] : "unknown";
}

static const char *name_of(const struct axas_layout_range *range)
{
	return range->name ? range->name : "";
}

static uint64_t end_of(const struct axas_layout_range *range)
{
	return range->gpa + range->size_bytes;
}

static int check_range(const struct axas_layout_range *range, struct ax_error *err)
{
	unsigned long long gpa = range->gpa, size = range->size_bytes, hpa = range->hpa;
	uint64_t end;

	if ((unsigned int)range->kind > AXAS_LAYOUT_PASSTHROUGH)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "range \"%s\" has unknown kind %d", name_of(range),
				    (int)range->kind);
	if (!range->size_bytes)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "range \"%s\" at gpa 0x%llx has no size", name_of(range), gpa);
	if (ax_add_overflows(range->gpa, range->size_bytes, &end) || end > GPA_LIMIT)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EOVERFLOW,
				    "range \"%s\" (gpa 0x%llx, 0x%llx bytes) reaches past 2^52",
				    name_of(range), gpa, size);
	if (range->kind != AXAS_LAYOUT_PASSTHROUGH)
		return 0;
	if ((range->gpa ^ range->hpa) & (AXAS_PAGE_SIZE - 1))
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "passthrough range \"%s\": gpa 0x%llx and host address 0x%llx "
				    "lie at different offsets in their pages",
				    name_of(range), gpa, hpa);
	if (ax_add_overflows(range->hpa, range->size_bytes, &end))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EOVERFLOW,
				    "passthrough range \"%s\": 0x%llx bytes at host address 0x%llx "
				    "wrap around",
				    name_of(range), size, hpa);
	return 0;
}

static bool lies_within(const struct axas_layout_range *inner,
			const struct axas_layout_range *outer)
{
	return inner->kind == AXAS_LAYOUT_BOOT_DESCRIPTION && outer->kind == AXAS_LAYOUT_MEMORY &&
	       inner->gpa >= outer->gpa && end_of(inner) <= end_of(outer);
}

static bool conflict(const struct axas_layout_range *a, const struct axas_layout_range *b)
{
	if (a->gpa >= end_of(b) || b->gpa >= end_of(a))
		return false;
	return !lies_within(a, b) && !lies_within(b, a);
}

/* `high` continues `low` without a seam. */
static bool continues(const struct axas_layout_range *low, const struct axas_layout_range *high)
{
	if (low->kind != high->kind || end_of(low) != high->gpa ||
	    strcmp(name_of(low), name_of(high)))
		return false;
	return low->kind == AXAS_LAYOUT_MEMORY ||
	       (low->kind == AXAS_LAYOUT_PASSTHROUGH && low->hpa + low->size_bytes == high->hpa);
}

/* Memory comes before the boot description that starts at the same address. */
static bool sorts_after(const struct axas_layout_range *a, const struct axas_layout_range *b)
{
	if (a->gpa != b->gpa)
		return a->gpa > b->gpa;
	return a->kind == AXAS_LAYOUT_BOOT_DESCRIPTION;
}

static void remove_at(struct axas_layout *layout, size_t i)
{
	memmove(&layout->range[i], &layout->range[i + 1],
		(layout->count - i - 1) * sizeof(layout->range[0]));
	layout->count--;
}

int axas_layout_add(struct axas_layout *layout, const struct axas_layout_range *range,
		    struct ax_error *err)
{
	struct axas_layout_range grown = *range;
	size_t absorbed = 0, at;
	int rc = check_range(range, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < layout->count; i++) {
		const struct axas_layout_range *other = &layout->range[i];
		if (conflict(range, other))
			return ax_error_set(
				err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				"%s \"%s\" (gpa 0x%llx, 0x%llx bytes) conflicts with %s \"%s\" "
				"(gpa 0x%llx, 0x%llx bytes)",
				axas_layout_kind_name(range->kind), name_of(range),
				(unsigned long long)range->gpa,
				(unsigned long long)range->size_bytes,
				axas_layout_kind_name(other->kind), name_of(other),
				(unsigned long long)other->gpa,
				(unsigned long long)other->size_bytes);
		absorbed += continues(other, range) || continues(range, other);
	}
	if (!absorbed && layout->count == AXAS_LAYOUT_MAX)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ENOSPC,
				    "no room for \"%s\": the layout holds at most %d ranges",
				    name_of(range), AXAS_LAYOUT_MAX);
	/* Nothing can fail from here on. */
	for (size_t i = 0; absorbed && i < layout->count;) {
		const struct axas_layout_range *other = &layout->range[i];
		if (continues(other, &grown)) {
			grown.gpa = other->gpa;
			grown.hpa = other->hpa;
		} else if (!continues(&grown, other)) {
			i++;
			continue;
		}
		grown.size_bytes += other->size_bytes;
		remove_at(layout, i);
	}
	for (at = layout->count; at > 0 && sorts_after(&layout->range[at - 1], &grown); at--)
		layout->range[at] = layout->range[at - 1];
	layout->range[at] = grown;
	layout->count++;
	return 0;
}

int axas_layout_find_gap(const struct axas_layout *layout, uint64_t low, uint64_t high,
			 uint64_t size_bytes, uint64_t align, uint64_t *ret_gpa,
			 struct ax_error *err)
{
	uint64_t start;

	if (!size_bytes || !ax_is_power_of_two(align))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a gap of 0x%llx bytes aligned to 0x%llx makes no sense",
				    (unsigned long long)size_bytes, (unsigned long long)align);
	if (high > GPA_LIMIT)
		high = GPA_LIMIT;
	start = ax_align_up(low, align);
	for (size_t i = 0; i < layout->count; i++) {
		const struct axas_layout_range *range = &layout->range[i];
		if (end_of(range) <= start)
			continue;
		if (range->gpa >= start && range->gpa - start >= size_bytes)
			break;
		start = ax_align_up(end_of(range), align);
	}
	/* start < low: aligning low up went past 2^64. */
	if (start < low || start >= high || high - start < size_bytes)
		return ax_error_set(err, AX_ERROR_NOT_FOUND, ENOSPC,
				    "no free range of 0x%llx bytes aligned to 0x%llx between gpa "
				    "0x%llx and 0x%llx",
				    (unsigned long long)size_bytes, (unsigned long long)align,
				    (unsigned long long)low, (unsigned long long)high);
	*ret_gpa = start;
	return 0;
}
