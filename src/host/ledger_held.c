/*
 * The entries of living VMs, and the sweep of what dead ones left. Adding up is ledger_sum.c's
 * concern. Entries are anybody's: an entry of root's or of our own that lives and makes no sense is
 * an error, because its VM holds something; of other users' it is left out and counted, because
 * otherwise each user could keep all others from starting VMs for ever.
 */
#include "ledger_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct look { /* at one entry */
	const char *name;
	int fd;
	struct stat st;
	bool is_temp, is_alive, is_promised;
};

static bool has_suffix(const char *name, const char *suffix)
{
	const size_t length = strlen(name), wanted = strlen(suffix);

	return length > wanted && !strcmp(name + length - wanted, suffix);
}

/* ---- entries that make no sense -------------------------------------------------------------- */

/* A second name for a file says nothing about its owner: who made the name may be another. */
static int judge(struct ledger_sum *self, const char *name, const struct stat *st, const char *why,
		 struct ax_error *err)
{
	char clean[128];

	if (st->st_nlink > 1 || !S_ISREG(st->st_mode) ||
	    (st->st_uid != 0 && st->st_uid != geteuid())) {
		axledger_sum_ignore(self, name, why);
		return 0;
	}
	axledger_clean(clean, sizeof(clean), name);
	ax_error_set(err, AX_ERROR_IO, EBADMSG, "what the VM of %s/%s holds is not known: %s",
		     self->ledger->path, clean, why);
	ax_error_hint(err,
		      "a process has it locked (see: fuser -v FILE); remove the file if that is "
		      "no VM");
	return -EBADMSG;
}

/* ---- looking at one -------------------------------------------------------------------------- */

/* 1 when it is to be looked into, 0 when there is nothing to do, or a negative errno. */
static int open_entry(struct ledger_sum *self, struct look *look, struct ax_error *err)
{
	const int directory = self->ledger->fd;
	int code;

	/* Nothing here may wait: not for a FIFO's writer, not for a lease to be given up. */
	look->fd = openat(directory, look->name,
			  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	code = errno;
	if (look->fd >= 0) {
		if (fstat(look->fd, &look->st) == 0 && S_ISREG(look->st.st_mode))
			return 1;
		close(look->fd);
		if (!look->is_temp)
			axledger_sum_ignore(self, look->name, "no regular file");
		return 0;
	}
	if (look->is_temp || code == ENOENT) /* not named yet, or released meanwhile */
		return 0;
	if (code == EMFILE || code == ENFILE || code == ENOMEM || code == EINTR)
		return ax_error_set(err, AX_ERROR_IO, code, "cannot open entry %.100s of %s: %s",
				    look->name, self->ledger->path, strerror(code));
	if (fstatat(directory, look->name, &look->st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return judge(self, look->name, &look->st, strerror(code), err);
}

/* Whether its VM lives. Asked for as a reader: only who may write the file could make it seem so,
 * and nobody is kept from locking by our asking. */
static int look_at_lock(const struct ledger_sum *self, struct look *look, struct ax_error *err)
{
	struct flock range = {.l_type = F_RDLCK, .l_len = LEDGER_BYTES};

	if (fcntl(look->fd, F_OFD_GETLK, &range) != 0)
		return ax_error_set(err, AX_ERROR_IO, errno,
				    "cannot ask for locks in the ledger %s: %s", self->ledger->path,
				    strerror(errno));
	look->is_alive = range.l_type != F_UNLCK && range.l_start == LEDGER_BYTE_ALIVE;
	look->is_promised = look->is_alive && range.l_len != 1; /* 0: to the end of the file */
	return 0;
}

static bool is_known(const struct ledger_sum *self, const struct look *look)
{
	for (size_t i = 0; look->st.st_nlink > 1 && i < self->held.vm_count; i++)
		if (self->files[i] == look->st.st_ino)
			return true;
	return false;
}

static int read_entry(struct ledger_sum *self, const struct look *look, struct ax_error *err)
{
	struct ledger_entry entry;
	const char *why = NULL;
	ssize_t length;
	int rc;

	/* One byte more than may be there; what fstat says of the size may change any time. */
	length = pread(look->fd, self->text, LEDGER_ENTRY_MAX + 1, 0);
	if (length < 0)
		return judge(self, look->name, &look->st, strerror(errno), err);
	rc = axledger_entry_parse(self->text, (size_t)length, &entry, &why);
	if (rc == -ENOMEM)
		return axledger_no_memory(err);
	if (rc)
		return judge(self, look->name, &look->st, why, err);
	rc = axledger_sum_add(self, &look->st, &entry, look->is_promised, err);
	axledger_entry_free(&entry);
	return rc;
}

/* Entries and what a killed process did not get to name; the rest of the directory is not ours. */
static int look_at(struct ledger_sum *self, const struct dirent *item, struct ax_error *err)
{
	struct look look = {.name = item->d_name};
	int rc;

	look.is_temp = look.name[0] == '.' && has_suffix(look.name, LEDGER_TEMP_SUFFIX);
	if (!look.is_temp && (look.name[0] == '.' || !has_suffix(look.name, LEDGER_SUFFIX)))
		return 0;
	if (item->d_type != DT_REG && item->d_type != DT_UNKNOWN) {
		if (!look.is_temp)
			axledger_sum_ignore(self, look.name, "no regular file");
		return 0;
	}
	rc = open_entry(self, &look, err);
	if (rc <= 0)
		return rc;
	rc = look_at_lock(self, &look, err);
	/* Names are never used again, and nobody makes one without the planning lock, so this is
	 * what we have looked at. In a sticky directory others' stay for them, or for root. */
	if (!rc && !look.is_alive)
		unlinkat(self->ledger->fd, look.name, 0);
	else if (!rc && !look.is_temp && !is_known(self, &look))
		rc = read_entry(self, &look, err);
	close(look.fd);
	return rc;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int read_all(struct ledger_sum *self, struct ax_error *err)
{
	/* Opened again: a directory's position is its open file description's. */
	const int fd = openat(self->ledger->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;
	int rc = 0, code = errno;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return ax_error_set(err, AX_ERROR_IO, code, "cannot list the ledger %s: %s",
				    self->ledger->path, strerror(code));
	}
	while (!rc && (errno = 0, item = readdir(directory)))
		rc = look_at(self, item, err);
	if (!rc && errno)
		rc = ax_error_set(err, AX_ERROR_IO, errno, "cannot list the ledger %s: %s",
				  self->ledger->path, strerror(errno));
	closedir(directory);
	return rc;
}

int axledger_held(struct axledger *ledger, struct axledger_held *ret_held, struct ax_error *err)
{
	struct ledger_sum *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return axledger_no_memory(err);
	self->ledger = ledger;
	self->text = malloc(LEDGER_ENTRY_MAX + 1);
	rc = self->text ? read_all(self, err) : axledger_no_memory(err);
	if (!rc)
		rc = axledger_sum_finish(self, ret_held, err);
	axledger_held_free(&self->held);
	free(self->files);
	free(self->text);
	free(self);
	return rc;
}
