/*
 * Buffers in and out of guest memory: read, write, fill, copy, and files loaded into it.
 *
 * Every function looks the whole range up first and touches memory only when all of it may be
 * touched, both in the one table it entered with. Guest memory changes under us at any time;
 * what is copied out is a private copy and must be judged there, never by reading twice.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The host bytes at gpa, up to the end of span `i` or `len`. */
static char *piece_at(const struct axas_table *table, size_t i, uint64_t gpa, uint64_t len,
		      uint64_t *ret_piece)
{
	const struct axas_span *span = &table->spans[i];
	uint64_t offset = gpa - span->gpa;

	*ret_piece = min_u64(len, span->size_bytes - offset);
	return span->hva + offset;
}

int axas_read(const struct axas *as, uint64_t gpa, void *buf, size_t len)
{
	struct axas_visitor visitor;
	uint64_t done, piece;
	size_t i;

	if (!len)
		return 0;
	visitor = axas_enter(as, AXAS_VISIT_READ);
	if (!axas_table_covers(visitor.table, gpa, len, AXAS_READ, &i))
		return axas_leave(&visitor, -EFAULT);
	for (done = 0; done < len; done += piece, i++) {
		const char *hva = piece_at(visitor.table, i, gpa + done, len - done, &piece);
		memcpy((char *)buf + done, hva, piece);
	}
	return axas_leave(&visitor, 0);
}

static int write_with(const struct axas *as, uint64_t gpa, const void *buf, size_t len,
		      uint32_t access)
{
	struct axas_visitor visitor;
	uint64_t done, piece;
	size_t i;

	if (!len)
		return 0;
	visitor = axas_enter(as, AXAS_VISIT_WRITE);
	if (!axas_table_covers(visitor.table, gpa, len, access, &i))
		return axas_leave(&visitor, -EFAULT);
	for (done = 0; done < len; done += piece, i++) {
		char *hva = piece_at(visitor.table, i, gpa + done, len - done, &piece);
		memcpy(hva, (const char *)buf + done, piece);
	}
	return axas_leave(&visitor, 0);
}

int axas_write(const struct axas *as, uint64_t gpa, const void *buf, size_t len)
{
	return write_with(as, gpa, buf, len, AXAS_WRITE);
}

int axas_write_host(const struct axas *as, uint64_t gpa, const void *buf, size_t len)
{
	return write_with(as, gpa, buf, len, AXAS_SPAN_HOST_WRITE);
}

int axas_fill(const struct axas *as, uint64_t gpa, uint8_t byte, uint64_t len)
{
	struct axas_visitor visitor;
	uint64_t done, piece;
	size_t i;

	if (!len)
		return 0;
	visitor = axas_enter(as, AXAS_VISIT_WRITE);
	if (!axas_table_covers(visitor.table, gpa, len, AXAS_WRITE, &i))
		return axas_leave(&visitor, -EFAULT);
	for (done = 0; done < len; done += piece, i++) {
		char *hva = piece_at(visitor.table, i, gpa + done, len - done, &piece);
		memset(hva, byte, piece);
	}
	return axas_leave(&visitor, 0);
}

/* ---- copy within ----------------------------------------------------------------------------- */

static void copy_up(const struct axas_table *table, uint64_t dst, size_t d, uint64_t src, size_t s,
		    uint64_t len)
{
	while (len) {
		uint64_t piece;
		const char *from = piece_at(table, s, src, len, &piece);
		char *to = piece_at(table, d, dst, piece, &piece);

		memmove(to, from, piece);
		dst += piece;
		src += piece;
		len -= piece;
		s += src == table->spans[s].gpa + table->spans[s].size_bytes;
		d += dst == table->spans[d].gpa + table->spans[d].size_bytes;
	}
}

/* From the last byte down, for a destination above an overlapping source. */
static void copy_down(const struct axas_table *table, uint64_t dst, uint64_t src, uint64_t len)
{
	size_t d = 0, s = 0;

	while (len) {
		const struct axas_span *to, *from;
		uint64_t piece;

		/* Cannot fail: the caller has looked up both ranges in this table. */
		if (!axas_table_find(table, dst + len - 1, &d) ||
		    !axas_table_find(table, src + len - 1, &s))
			return;
		to = &table->spans[d];
		from = &table->spans[s];
		piece = min_u64(len, min_u64(dst + len - to->gpa, src + len - from->gpa));
		len -= piece;
		memmove(to->hva + (dst + len - to->gpa), from->hva + (src + len - from->gpa),
			piece);
	}
}

int axas_copy_within(const struct axas *as, uint64_t dst_gpa, uint64_t src_gpa, uint64_t len)
{
	struct axas_visitor visitor;
	size_t d, s;

	if (!len)
		return 0;
	visitor = axas_enter(as, AXAS_VISIT_WRITE);
	if (!axas_table_covers(visitor.table, src_gpa, len, AXAS_READ, &s) ||
	    !axas_table_covers(visitor.table, dst_gpa, len, AXAS_WRITE, &d))
		return axas_leave(&visitor, -EFAULT);
	if (dst_gpa > src_gpa && dst_gpa - src_gpa < len)
		copy_down(visitor.table, dst_gpa, src_gpa, len);
	else
		copy_up(visitor.table, dst_gpa, d, src_gpa, s, len);
	axas_count_also(&visitor, AXAS_VISIT_READ);
	return axas_leave(&visitor, 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int load_error(int fd, uint64_t gpa, uint64_t offset, uint64_t len, int rc,
		      struct ax_error *err)
{
	struct stat st;

	if (rc == -ENODATA && fstat(fd, &st) == 0)
		return ax_error_set(err, AX_ERROR_IO, ENODATA,
				    "the file ends early: %" PRIu64 " bytes wanted from offset "
				    "%" PRIu64 ", it has %" PRIu64,
				    len, offset, (uint64_t)st.st_size);
	return ax_error_set(err, AX_ERROR_IO, -rc,
			    "reading %" PRIu64 " bytes at offset %" PRIu64 " into gpa 0x%" PRIx64
			    ": %s",
			    len, offset, gpa, strerror(-rc));
}

int axas_load_fd(const struct axas *as, uint64_t gpa, int fd, uint64_t offset, uint64_t len,
		 struct ax_error *err)
{
	struct axas_visitor visitor;
	uint64_t done, piece, end;
	size_t i;
	int rc;

	if (!len)
		return 0;
	/* File offsets are signed: a larger one would come back as a puzzling EINVAL. */
	if (ax_add_overflows(offset, len, &end) || end > INT64_MAX)
		return load_error(fd, gpa, offset, len, -ENODATA, err);
	visitor = axas_enter(as, AXAS_VISIT_WRITE);
	/* Loading is the monitor's own doing: boot images may lie in read-only regions. */
	if (!axas_table_covers(visitor.table, gpa, len, AXAS_SPAN_HOST_WRITE, &i)) {
		ax_error_set(err, AX_ERROR_MEMORY_ACCESS, EFAULT,
			     "%" PRIu64 " bytes do not fit at gpa 0x%" PRIx64
			     ": not all of it is guest memory",
			     len, gpa);
		return axas_leave(&visitor, -EFAULT);
	}
	for (done = 0; done < len; done += piece, i++) {
		char *hva = piece_at(visitor.table, i, gpa + done, len - done, &piece);
		rc = ax_pread_full(fd, hva, piece, offset + done);
		if (rc < 0)
			return axas_leave(&visitor, load_error(fd, gpa, offset, len, rc, err));
	}
	return axas_leave(&visitor, 0);
}
