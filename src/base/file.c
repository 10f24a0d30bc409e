/*
 * Whole transfers at an offset: restarted after signals (a kick may hit any thread) and after the
 * short transfers the kernel is free to make; and small files that are read whole. Leaves opening,
 * locking and sizes of others to the callers.
 */
#include <axvm/base.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

int ax_read_text(const char *path, const char *what, size_t most, char **ret_text, size_t *ret_size,
		 struct ax_error *err)
{
	/* Non-blocking, so that a FIFO by mistake does not hang us. */
	AX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	AX_AUTO_FREE char *text = NULL;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = errno;
		return ax_error_set(err, AX_ERROR_CONFIGURATION, rc, "cannot open %s %s: %s", what,
				    path, strerror(rc));
	}
	if (!S_ISREG(st.st_mode))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: not a regular file",
				    path);
	if ((uint64_t)st.st_size > most)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EFBIG,
				    "%s: %lld bytes are too many for %s, at most %zu", path,
				    (long long)st.st_size, what, most);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: out of memory", path);
	rc = ax_pread_full(fd, text, (size_t)st.st_size, 0);
	if (rc)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, -rc, "%s: cannot read it: %s",
				    path, strerror(-rc));
	*ret_text = text;
	*ret_size = (size_t)st.st_size;
	text = NULL;
	return 0;
}
