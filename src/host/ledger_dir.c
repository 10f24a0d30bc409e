/*
 * The directory a ledger lies in: chosen, made where that is ours to do, and looked at. One in
 * which somebody else could remove or replace entries is refused; who may lie in entries is
 * ledger_held.c's concern.
 */
#include "ledger_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED_MODE 01777 /* everybody writes, nobody removes what is another's */

static const struct ledger_places default_places = {.shared = "/run/axvm", .temporary = "/tmp"};

static int open_directory(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int fail(struct ax_error *err, int code, const char *path)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, code, "cannot open the ledger %s: %s", path,
		     code == ENOTDIR || code == ELOOP ? "it is no directory, or a symbolic link"
						      : strerror(code));
	if (code == ENOENT)
		ax_error_hint(err,
			      "make it: install -d -m 1777 %s for all users, -m 0700 "
			      "for one",
			      path);
	else
		ax_error_hint(err, "name a directory that this user may read and write");
	return -code;
}

/* May what others do there be trusted not to touch what is ours? */
static int check_safe(int fd, const char *path, bool only_ours, struct ax_error *err)
{
	const uid_t us = geteuid();
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail(err, errno, path);
	if (st.st_uid != us && (only_ours || st.st_uid != 0)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EPERM,
			     "the ledger %s belongs to user %u, who could remove what VMs hold",
			     path, (unsigned)st.st_uid);
		ax_error_hint(err, "it must be user %u's%s", (unsigned)us,
			      only_ours ? "" : " or root's");
		return -EPERM;
	}
	if ((st.st_mode & 0022) && (only_ours || !(st.st_mode & S_ISVTX))) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EPERM,
			     "the ledger %s has mode %04o: others could remove what VMs hold", path,
			     (unsigned)st.st_mode & 07777);
		ax_error_hint(err, "chmod %s %s", only_ours ? "0700" : "+t", path);
		return -EPERM;
	}
	return 0;
}

static int settle(struct axledger *self, int fd, const char *path, bool only_ours,
		  struct ax_error *err)
{
	int rc = check_safe(fd, path, only_ours, err);

	self->path = rc ? NULL : strdup(path);
	if (!rc && !self->path)
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the ledger");
	if (rc) {
		close(fd);
		return rc;
	}
	self->fd = fd;
	return 0;
}

int axledger_place_given(struct axledger *self, const char *directory, struct ax_error *err)
{
	const int fd = open_directory(directory);

	return fd < 0 ? fail(err, -fd, directory) : settle(self, fd, directory, false, err);
}

/* Appears with its final mode, so that nobody finds it closed for a moment. Who loses the race to
 * make it uses the winner's. */
static void make_shared(const char *path)
{
	char temp[PATH_MAX];

	if (snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid()) >= (int)sizeof(temp) ||
	    mkdir(temp, 0700) != 0)
		return;
	if (chmod(temp, SHARED_MODE) != 0 ||
	    renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
		rmdir(temp);
}

/* fd, or -errno when others' ledger is not for us: nothing there, or nothing that we may do. */
static int open_shared(const char *path)
{
	int fd = open_directory(path);

	if (fd == -ENOENT && geteuid() == 0) {
		make_shared(path);
		fd = open_directory(path);
	}
	if (fd >= 0 && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
		const int code = errno;

		close(fd);
		return -code;
	}
	return fd;
}

/* A directory of ours below another, whoever else may write there. */
static int place_private(struct axledger *self, const char *path, struct ax_error *err)
{
	int fd;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return fail(err, errno, path);
	fd = open_directory(path);
	return fd < 0 ? fail(err, -fd, path) : settle(self, fd, path, true, err);
}

int axledger_place_default(struct axledger *self, const struct ledger_places *places,
			   struct ax_error *err)
{
	const unsigned us = geteuid();
	char path[PATH_MAX];
	int fd = open_shared(places->shared), rc, code;

	if (fd >= 0)
		return settle(self, fd, places->shared, false, err);
	code = -fd;
	if (code != ENOENT && code != EACCES && code != EPERM && code != EROFS)
		return fail(err, code, places->shared);
	/* Not below /run/user: that goes with the user's last session, VMs need not. */
	if (snprintf(path, sizeof(path), "%s/axvm-%u", places->temporary, us) >= (int)sizeof(path))
		return fail(err, ENAMETOOLONG, places->temporary);
	rc = place_private(self, path, err);
	if (!rc)
		snprintf(self->warning, sizeof(self->warning),
			 "no access to the ledger of all users, %.64s (%s): VMs of other users are "
			 "not seen, nor do they see this one (%.96s)",
			 places->shared, strerror(code), self->path);
	return rc;
}

int axledger_place(struct axledger *self, const char *directory, struct ax_error *err)
{
	return directory ? axledger_place_given(self, directory, err)
			 : axledger_place_default(self, &default_places, err);
}

/* ---- for what is no ledger ------------------------------------------------------------------- */

int axledger_make_directory(const char *directory, char *path, size_t size, struct ax_error *err)
{
	struct axledger place = {.fd = -1};
	int rc = axledger_place(&place, directory, err);

	if (rc || !place.path)
		return rc;
	close(place.fd);
	if (strlen(place.path) >= size)
		rc = fail(err, ENAMETOOLONG, place.path);
	else
		memcpy(path, place.path, strlen(place.path) + 1);
	free(place.path);
	return rc;
}

size_t axledger_directories(char paths[2][AXLEDGER_PATH_LENGTH])
{
	size_t count = 0;

	for (unsigned i = 0; i < 2; i++) {
		int fd;

		if (i)
			snprintf(paths[count], AXLEDGER_PATH_LENGTH, "%s/axvm-%u",
				 default_places.temporary, (unsigned)geteuid());
		else
			snprintf(paths[count], AXLEDGER_PATH_LENGTH, "%s", default_places.shared);
		fd = open_directory(paths[count]);
		if (fd < 0)
			continue;
		count += check_safe(fd, paths[count], i == 1, NULL) == 0;
		close(fd);
	}
	return count;
}
