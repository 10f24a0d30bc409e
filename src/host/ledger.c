/*
 * The planning lock: an exclusive flock(2) of the ledger's directory itself. A directory that is
 * not another's cannot be removed or replaced under whoever waits, needs no right to write, and the
 * kernel tells who has it. Which directory is ledger_dir.c's, entries are ledger_held.c's and
 * ledger_claim.c's concern.
 */
#include "ledger_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 5000000L /* a lock without a signal cannot be waited for with a limit */

/* Who has it, as the kernel tells; 0 when it does not, as for a process of another pid namespace.
 */
static pid_t find_holder(int fd)
{
	FILE *file = fopen("/proc/locks", "re");
	struct stat st;
	char line[256];
	pid_t found = 0;

	if (!file)
		return 0;
	if (fstat(fd, &st) != 0)
		st = (struct stat){0};
	while (!found && fgets(line, sizeof(line), file)) {
		unsigned major_number, minor_number;
		uint64_t inode;
		int pid;

		/* Lines of those who wait have "->" and do not fit. */
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &major_number,
			   &minor_number, &inode) == 4 &&
		    pid > 0 && inode == st.st_ino && major_number == major(st.st_dev) &&
		    minor_number == minor(st.st_dev))
			found = pid;
	}
	fclose(file);
	return found;
}

static int fail_wait(const struct axledger *self, uint32_t wait_ms, struct ax_error *err)
{
	const pid_t holder = find_holder(self->fd);

	if (!holder) {
		ax_error_set(err, AX_ERROR_TIMEOUT, ETIMEDOUT,
			     "another process has held the planning lock of %s for %u ms",
			     self->path, wait_ms);
		ax_error_hint(err,
			      "plans take milliseconds; find it as root, or in other "
			      "containers, with: fuser -v %s",
			      self->path);
		return -ETIMEDOUT;
	}
	ax_error_set(err, AX_ERROR_TIMEOUT, ETIMEDOUT,
		     "process %d has held the planning lock of %s for %u ms", (int)holder,
		     self->path, wait_ms);
	ax_error_hint(err,
		      "plans take milliseconds; see what it is (ps %d), and end it if "
		      "it hangs",
		      (int)holder);
	return -ETIMEDOUT;
}

static int lock(const struct axledger *self, uint32_t wait_ms, struct ax_error *err)
{
	const uint64_t end_ns = ax_clock_ns() + (uint64_t)wait_ms * 1000000;
	const struct timespec pause = {.tv_nsec = POLL_NS};
	struct stat st;

	while (flock(self->fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return ax_error_set(err, AX_ERROR_IO, errno,
					    "cannot lock the ledger %s: %s", self->path,
					    strerror(errno));
		if (ax_clock_ns() >= end_ns)
			return fail_wait(self, wait_ms, err);
		nanosleep(&pause, NULL);
	}
	if (fstat(self->fd, &st) == 0 && !st.st_nlink)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ENOENT,
				    "the ledger %s was removed while it was waited for",
				    self->path);
	return 0;
}

int axledger_open(const char *directory, uint32_t wait_ms, struct axledger **ret_ledger,
		  struct ax_error *err)
{
	struct axledger *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the ledger");
	self->fd = -1;
	rc = axledger_place(self, directory, err);
	if (!rc)
		rc = lock(self, wait_ms, err);
	if (rc) {
		axledger_close(self);
		return rc;
	}
	*ret_ledger = self;
	return 0;
}

void axledger_close(struct axledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->fd >= 0) {
		/* Closing would leave it with a child that another thread has just forked. */
		flock(ledger->fd, LOCK_UN);
		close(ledger->fd);
	}
	free(ledger->path);
	free(ledger);
}

const char *axledger_directory(const struct axledger *ledger)
{
	return ledger->path;
}

const char *axledger_warning(const struct axledger *ledger)
{
	return ledger->warning[0] ? ledger->warning : NULL;
}
