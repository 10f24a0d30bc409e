/*
 * One VM's entry: written beside its name, locked, and only then called by it, so that nobody ever
 * sees a part of it or finds it without its lock. The directory is open a second time for as long
 * as the claim lives, because the ledger's own descriptor carries the planning lock.
 */
#include "ledger_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct axledger_claim {
	int directory; /* O_PATH */
	int fd;
	char name[48];
};

static int set_lock(int fd, short type, off_t first, off_t count)
{
	struct flock range = {.l_type = type, .l_start = first, .l_len = count};

	return fcntl(fd, F_OFD_SETLK, &range) == 0 ? 0 : -errno;
}

static int fail(const struct axledger *ledger, const char *what, int code, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_IO, code, "cannot %s an entry of the ledger %s: %s", what,
		     ledger->path, strerror(code));
	if (code == ENOSPC || code == EDQUOT)
		ax_error_hint(err, "make room there, or use a ledger in another directory");
	if (code == EACCES || code == EPERM || code == EROFS)
		ax_error_hint(err, "this user must be able to make files there");
	return -code;
}

static char *make_text(const struct axledger_request *request, struct ax_error *err)
{
	const char *why;
	char *text;

	if (axledger_entry_check(request, &why)) {
		ax_error_set(err, AX_ERROR_INTERNAL, EINVAL, "nothing a VM can hold: %s", why);
		return NULL;
	}
	text = axledger_entry_write(request, getpid());
	if (!text)
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an entry");
	return text;
}

/* The lock first, while nobody else may open the file: whoever may could keep it from us. */
static int fill(const struct axledger *ledger, struct axledger_claim *self, const char *temp,
		const char *text, struct ax_error *err)
{
	int rc = set_lock(self->fd, F_WRLCK, 0, LEDGER_BYTES);

	if (rc)
		return fail(ledger, "lock", -rc, err);
	rc = ax_pwrite_full(self->fd, text, strlen(text), 0);
	if (rc)
		return fail(ledger, "write", -rc, err);
	if (fchmod(self->fd, 0644) != 0) /* whatever the umask says: others must see it */
		return fail(ledger, "show", errno, err);
	if (renameat(self->directory, temp, self->directory, self->name) != 0)
		return fail(ledger, "name", errno, err);
	return 0;
}

static int make(const struct axledger *ledger, struct axledger_claim *self, const char *text,
		struct ax_error *err)
{
	char temp[sizeof(self->name) + 8];
	uint64_t number;
	int rc;

	/* Nobody can know it before, and have something else there. */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return fail(ledger, "name", errno, err);
	snprintf(self->name, sizeof(self->name), "%ld-%016llx" LEDGER_SUFFIX, (long)getpid(),
		 (unsigned long long)number);
	snprintf(temp, sizeof(temp), ".%s" LEDGER_TEMP_SUFFIX, self->name);
	self->directory = openat(ledger->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (self->directory < 0)
		return fail(ledger, "make", errno, err);
	self->fd = openat(self->directory, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			  0600);
	if (self->fd < 0)
		return fail(ledger, "make", errno, err);
	rc = fill(ledger, self, temp, text, err);
	if (rc)
		unlinkat(self->directory, temp, 0);
	return rc;
}

static void end(struct axledger_claim *self)
{
	if (self->fd >= 0) {
		set_lock(self->fd, F_UNLCK, 0, LEDGER_BYTES); /* also for a forked child */
		close(self->fd);
	}
	if (self->directory >= 0)
		close(self->directory);
	free(self);
}

int axledger_claim(struct axledger *ledger, const struct axledger_request *request,
		   struct axledger_claim **ret_claim, struct ax_error *err)
{
	struct axledger_claim *self;
	AX_AUTO_FREE char *text = NULL;
	struct ax_error own = {0};
	int rc;

	text = make_text(request, &own);
	self = text ? calloc(1, sizeof(*self)) : NULL;
	if (!self) {
		if (text)
			ax_error_set(&own, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a claim");
		if (err)
			*err = own;
		return -own.sys_errno;
	}
	self->fd = self->directory = -1;
	rc = make(ledger, self, text, err);
	if (rc) {
		end(self);
		return rc;
	}
	*ret_claim = self;
	return 0;
}

void axledger_populated(struct axledger_claim *claim)
{
	set_lock(claim->fd, F_UNLCK, LEDGER_BYTE_PROMISED, 1);
}

void axledger_promise(struct axledger_claim *claim)
{
	(void)set_lock(claim->fd, F_WRLCK, LEDGER_BYTE_PROMISED, 1);
}

void axledger_release(struct axledger_claim *claim)
{
	if (!claim)
		return;
	unlinkat(claim->directory, claim->name, 0);
	end(claim);
}
