/*
 * Whole transfers at an offset: restarted after signals (a kick may hit any thread) and after the
 * short transfers the kernel is free to make. Leaves opening, locking and sizes to the callers.
 */
#include <axvm/base.h>

#include <errno.h>
#include <unistd.h>

/* The last byte must have a place that off_t can name. */
static bool range_fits_off_t(uint64_t offset, size_t len)
{
	uint64_t end;

	return !ax_add_overflows(offset, len, &end) && end <= INT64_MAX;
}

int ax_pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
	char *at = buf;

	if (!range_fits_off_t(offset, len))
		return -EOVERFLOW;
	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int ax_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset)
{
	const char *at = buf;

	if (!range_fits_off_t(offset, len))
		return -EOVERFLOW;
	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* no progress and no reason given: do not spin */
			return -EIO;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}
