/*
 * What AX_AUTO_CLOSE and AX_AUTO_FREE call when a variable goes out of scope.
 * Both leave errno as it was: they run between a failure and the caller that looks at it.
 */
#include <axvm/base.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ax_cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void ax_cleanup_free(void *ptr_to_ptr)
{
	int saved = errno;
	void *ptr;

	/* The argument is a `T **` for any T; copying the bytes keeps to the aliasing rules. */
	memcpy(&ptr, ptr_to_ptr, sizeof(ptr));
	free(ptr);
	memset(ptr_to_ptr, 0, sizeof(ptr));
	errno = saved;
}
