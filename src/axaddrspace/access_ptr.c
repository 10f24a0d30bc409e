/*
 * Host addresses of guest memory, and guest integers.
 *
 * A pointer from here may be kept: its address stays mapped until axas_destroy (see backing.c).
 * Each call counts as one read or write by the access it asks for; asking for both is a write.
 */
#include "internal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static enum axas_visit visit_for(uint32_t access)
{
	return access & AXAS_WRITE ? AXAS_VISIT_WRITE : AXAS_VISIT_READ;
}

static bool is_access(uint32_t access)
{
	return access && !(access & ~(uint32_t)AXAS_RW);
}

void *axas_ptr(const struct axas *as, uint64_t gpa, uint64_t len, uint32_t access)
{
	struct axas_visitor visitor = axas_enter(as, visit_for(access));
	const struct axas_span *span;
	char *hva = NULL;
	size_t i;

	if (is_access(access) && axas_table_find(visitor.table, gpa, &i)) {
		span = &visitor.table->spans[i];
		if ((span->access & access) == access &&
		    len <= span->size_bytes - (gpa - span->gpa))
			hva = span->hva + (gpa - span->gpa);
	}
	axas_leave(&visitor, hva ? 0 : -EFAULT);
	return hva;
}

int axas_translate(const struct axas *as, uint64_t gpa, void **ret_hva, uint64_t *ret_limit)
{
	struct axas_visitor visitor = axas_enter(as, AXAS_VISIT_LOOKUP);
	const struct axas_span *span;
	size_t i;

	if (!axas_table_find(visitor.table, gpa, &i))
		return axas_leave(&visitor, -EFAULT);
	span = &visitor.table->spans[i];
	if (ret_hva)
		*ret_hva = span->hva + (gpa - span->gpa);
	if (ret_limit)
		*ret_limit = span->size_bytes - (gpa - span->gpa);
	return axas_leave(&visitor, 0);
}

int axas_iovec(const struct axas *as, uint64_t gpa, uint64_t len, uint32_t access,
	       struct iovec *iov, int max)
{
	struct axas_visitor visitor;
	int count = 0;
	size_t i;

	if (!len)
		return 0;
	visitor = axas_enter(as, visit_for(access));
	if (!is_access(access) || !axas_table_covers(visitor.table, gpa, len, access, &i))
		return axas_leave(&visitor, -EFAULT);
	for (; len; i++) {
		const struct axas_span *span = &visitor.table->spans[i];
		uint64_t remaining = span->size_bytes - (gpa - span->gpa);
		uint64_t piece = len < remaining ? len : remaining;

		if (count >= max)
			return axas_leave(&visitor, -E2BIG);
		iov[count].iov_base = span->hva + (gpa - span->gpa);
		iov[count++].iov_len = piece;
		gpa += piece;
		len -= piece;
	}
	axas_leave(&visitor, 0);
	return count;
}

/*
 * Aligned integers are one access each, and ordered: a load acquires and a store releases, so
 * that a ring index read or written here orders the entries it speaks of (free on x86).
 */
#define DEFINE_INTEGER(bits, to_host, to_guest)                                                 \
	int axas_read_u##bits(const struct axas *as, uint64_t gpa, uint##bits##_t *ret)         \
	{                                                                                       \
		struct axas_visitor visitor;                                                    \
		uint##bits##_t raw;                                                             \
		size_t i;                                                                       \
		int rc;                                                                         \
                                                                                                \
		if (gpa % sizeof(raw)) {                                                        \
			rc = axas_read(as, gpa, &raw, sizeof(raw));                             \
			if (rc < 0)                                                             \
				return rc;                                                      \
			*ret = to_host(raw);                                                    \
			return 0;                                                               \
		}                                                                               \
		visitor = axas_enter(as, AXAS_VISIT_READ);                                      \
		/* Regions are whole pages: an aligned integer never spans two. */              \
		if (!axas_table_covers(visitor.table, gpa, sizeof(raw), AXAS_READ, &i))         \
			return axas_leave(&visitor, -EFAULT);                                   \
		const struct axas_span *span = &visitor.table->spans[i];                        \
		const void *hva = span->hva + (gpa - span->gpa);                                \
		*ret = to_host(__atomic_load_n((const uint##bits##_t *)hva, __ATOMIC_ACQUIRE)); \
		return axas_leave(&visitor, 0);                                                 \
	}                                                                                       \
                                                                                                \
	int axas_write_u##bits(const struct axas *as, uint64_t gpa, uint##bits##_t v)           \
	{                                                                                       \
		struct axas_visitor visitor;                                                    \
		uint##bits##_t raw = to_guest(v);                                               \
		size_t i;                                                                       \
                                                                                                \
		if (gpa % sizeof(raw))                                                          \
			return axas_write(as, gpa, &raw, sizeof(raw));                          \
		visitor = axas_enter(as, AXAS_VISIT_WRITE);                                     \
		if (!axas_table_covers(visitor.table, gpa, sizeof(raw), AXAS_WRITE, &i))        \
			return axas_leave(&visitor, -EFAULT);                                   \
		const struct axas_span *span = &visitor.table->spans[i];                        \
		void *hva = span->hva + (gpa - span->gpa);                                      \
		__atomic_store_n((uint##bits##_t *)hva, raw, __ATOMIC_RELEASE);                 \
		return axas_leave(&visitor, 0);                                                 \
	}

DEFINE_INTEGER(8, , )
DEFINE_INTEGER(16, le16toh, htole16)
DEFINE_INTEGER(32, le32toh, htole32)
DEFINE_INTEGER(64, le64toh, htole64)
