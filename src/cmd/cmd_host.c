/*
 * axvm host: the facts of this machine, or of a recorded one, for people and as a recording.
 */
#include "cmd.h"

#include <axvm/host.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_write(const char *path, int rc, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_IO, -rc, "cannot write %s: %s", path, strerror(-rc));
	return rc == -ENOENT || rc == -ENOTDIR
		       ? ax_error_hint(err,
				       "its directory is not there; make it, or choose another")
		       : rc;
}

/* What is no regular file (a terminal, a pipe), or what is already open as our output, is written
 * into and never replaced. */
static bool is_written_into(const char *path)
{
	struct stat st, out;

	if (stat(path, &st) < 0)
		return false;
	return !S_ISREG(st.st_mode) || (fstat(STDOUT_FILENO, &out) == 0 &&
					st.st_dev == out.st_dev && st.st_ino == out.st_ino);
}

static int write_into(const char *path, const char *text, struct ax_error *err)
{
	AX_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t left = strlen(text);

	while (fd >= 0 && left) {
		const ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			break;
		text += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return left ? cannot_write(path, -errno, err) : 0;
}

/* A name beside the file first, so that there is the old text or the new one, never half of it. */
static int replace(const char *path, const char *text, struct ax_error *err)
{
	AX_AUTO_FREE char *temporary = malloc(strlen(path) + 8);
	const mode_t mask = umask(0);
	int fd, rc;

	umask(mask);
	if (!temporary)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory");
	sprintf(temporary, "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return cannot_write(path, -errno, err);
	rc = ax_pwrite_full(fd, text, strlen(text), 0);
	if (!rc && (fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0))
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (!rc)
		return 0;
	unlink(temporary);
	return cannot_write(path, rc, err);
}

static int save(const char *path, const char *text, struct ax_error *err)
{
	AX_AUTO_FREE char *real = realpath(path, NULL); /* a link stays one */

	if (is_written_into(path))
		return write_into(path, text, err);
	return replace(real ? real : path, text, err);
}

static int report(const struct axhost_facts *facts, bool json, const char *path)
{
	AX_AUTO_FREE char *text = NULL;
	struct ax_error err = {0};

	if ((json || path) && axhost_save(facts, &text, &err))
		return report_error(&err);
	if (path && save(path, text, &err))
		return report_error(&err);
	if (json) {
		fputs(text, stdout);
	} else if (!path) {
		host_print_summary(facts);
		host_print_tables(facts);
		host_print_profiles(facts);
	}
	return 0;
}

enum { JSON, SAVE, HOST, OPTIONS };
static const struct command_option options[OPTIONS + 1] = {
	[JSON] = {"json", NULL, "print a recording instead"},
	[SAVE] = {"save", "FILE", "write the recording to FILE, replacing it, and print nothing"},
	[HOST] = {"host", "FILE", "look at a recorded host instead of this one"},
};

static int run(int argc, char **argv)
{
	const char *values[OPTIONS] = {NULL};
	struct axhost_facts facts;
	struct ax_error err = {0};
	int status;

	if (words_read(&cmd_host, argc, argv, values, NULL, 0, &err))
		return report_error(&err);
	if (!values[HOST])
		axhost_read("", &facts);
	else if (axhost_load(values[HOST], &facts, &err))
		return report_error(&err);
	status = report(&facts, values[JSON], values[SAVE]);
	axhost_free(&facts);
	return status;
}

static void help(void)
{
	printf("\nPrints processor, topology, memory, what KVM can use, limits and profiles.\n"
	       "\n");
	help_own_options(&cmd_host);
	printf("\nThe format is told in docs/host.md; some recordings are installed in "
	       "share/axvm/hosts.\n");
}

const struct command cmd_host = {
	.name = "host",
	.operands = "[--json] [--save FILE] [--host FILE]",
	.summary = "tell what this host is, or record it",
	.run = run,
	.help = help,
	.options = options,
};
