/*
 * The look at what a configuration names, for `axvm config check`: would `run` find it usable on
 * this host, now? Nothing is made, changed, locked or connected to, so what happens between this
 * and a run is found by the run only. Here: images, regions, consoles, sockets and CPUs;
 * check_io.c has disks and networks. The words are those of whoever would open it.
 */
#include "config_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whatever it was to who found it, here it is the configuration that is wrong. */
static int blame(struct ax_error *err)
{
	if (err->kind != AX_ERROR_NO_MEMORY) {
		err->kind = AX_ERROR_CONFIGURATION;
		err->severity = ax_error_kind_severity(err->kind);
	}
	return ax_error_hint(err, "%s", err->hint);
}

/* ---- images and regions ---------------------------------------------------------------------- */

/* Only files are opened: what else there is may notice, a pipe's writer would take us for its
 * reader. */
static int try_open(const char *path, const struct stat *st, bool writable)
{
	AX_AUTO_CLOSE int fd = -1;

	if (!S_ISREG(st->st_mode))
		return faccessat(AT_FDCWD, path, writable ? R_OK | W_OK : R_OK, AT_EACCESS) ? errno
											    : 0;
	fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	return fd < 0 ? errno : 0;
}

static int check_file(const char *key, const char *path, bool writable, struct ax_error *err)
{
	struct stat st = {0};
	int code = stat(path, &st) ? errno : 0;

	if (S_ISDIR(st.st_mode)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EISDIR, "%s: %s is a directory", key,
			     path);
		return ax_error_hint(err, "give a file in it");
	}
	if (!code)
		code = try_open(path, &st, writable);
	if (code) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, code, "%s: cannot open %s: %s", key, path,
			     strerror(code));
		return ax_error_hint(err,
				     code == ENOENT ? "check the path"
				     : writable ? "check that this user may read and write the file"
						: "check that this user may read the file");
	}
	if (S_ISREG(st.st_mode) && !st.st_size) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: %s is empty", key, path);
		return ax_error_hint(err, "check the path, and how the file came to be");
	}
	return 0;
}

static int check_image(const char *key, const char *path, struct ax_error *err)
{
	int rc = path ? check_file(key, path, false, err) : 0;
	struct stat st;

	if (rc || !path || stat(path, &st) || S_ISREG(st.st_mode))
		return rc;
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: %s is not a regular file", key,
		     path);
	return ax_error_hint(err, "give a file");
}

static int check_images(const struct axcfg *config, struct ax_error *err)
{
	int rc;

	if (!config->kernel.path) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "no kernel is configured");
		return ax_error_hint(err, "set kernel.path, or give --kernel PATH");
	}
	rc = check_image("kernel.path", config->kernel.path, err);
	if (!rc)
		rc = check_image("kernel.initrd", config->kernel.initrd, err);
	return rc ? rc : check_image("kernel.dtb", config->kernel.dtb, err);
}

static int check_regions(const struct axcfg *config, struct ax_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < config->memory.region_count; i++) {
		const struct axcfg_region *region = &config->memory.regions[i];
		char key[48];

		snprintf(key, sizeof(key), "memory.regions[%zu]", i);
		if (region->path)
			rc = check_file(key, region->path, !region->read_only, err);
	}
	return rc;
}

/* ---- consoles and sockets -------------------------------------------------------------------- */

/* Why open(path, O_WRONLY | O_CREAT) would fail, without doing it; 0: it would not. */
static int why_not_writable(const char *path)
{
	const char *slash = strrchr(path, '/');
	AX_AUTO_FREE char *directory = NULL;
	struct stat st;

	if (!stat(path, &st)) {
		if (S_ISDIR(st.st_mode))
			return EISDIR;
		if (S_ISSOCK(st.st_mode))
			return ENXIO;
		return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) ? errno : 0;
	}
	if (errno != ENOENT || !*path)
		return errno;
	if (!lstat(path, &st))
		return 0; /* a link to what is to be made: that much only the run can tell */
	directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!directory)
		return ENOMEM;
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) ? errno : 0;
}

static int check_output(const char *key, const char *path, struct ax_error *err)
{
	int code = why_not_writable(path);

	if (!code)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, code, "%s: cannot write %s: %s", key, path,
		     strerror(code));
	return ax_error_hint(err, "check that the directory exists and this user may write there");
}

static int check_listener(const char *key, const char *path, struct ax_error *err)
{
	if (!ax_listener_check(path, err))
		return 0;
	ax_error_context(err, "%s", key);
	return blame(err);
}

/* Neither listens yet, so looking at the place does not tell. */
static int check_shared(const struct axcfg *config, size_t i, struct ax_error *err)
{
	const char *path = config->consoles[i].path;
	char other[32] = "";

	if (config->vsock.path && !strcmp(config->vsock.path, path))
		snprintf(other, sizeof(other), "vsock.path");
	for (size_t j = 0; j < i; j++)
		if (config->consoles[j].mode == AXCFG_CONSOLE_SOCKET &&
		    !strcmp(config->consoles[j].path, path))
			snprintf(other, sizeof(other), "consoles[%zu]", j);
	if (!*other)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
		     "%s and consoles[%zu] are both the socket %s", other, i, path);
	return ax_error_hint(err, "choose another path for one of them");
}

static int check_consoles(const struct axcfg *config, struct ax_error *err)
{
	int rc = 0;

	if (config->serial.mode == AXCFG_SERIAL_FILE)
		rc = check_output("serial.path", config->serial.path, err);
	for (size_t i = 0; !rc && i < config->console_count; i++) {
		const struct axcfg_console *console = &config->consoles[i];
		char key[32];

		snprintf(key, sizeof(key), "consoles[%zu]", i);
		if (console->mode == AXCFG_CONSOLE_FILE)
			rc = check_output(key, console->path, err);
		else if (console->mode == AXCFG_CONSOLE_SOCKET)
			rc = check_listener(key, console->path, err);
		if (!rc && console->mode == AXCFG_CONSOLE_SOCKET)
			rc = check_shared(config, i, err);
	}
	if (!rc && config->vsock.path)
		rc = check_listener("vsock.path", config->vsock.path, err);
	return rc;
}

/* ---- CPUs of the host ------------------------------------------------------------------------ */

static void nothing(void *arg)
{
	(void)arg;
}

/* A thread there that ends at once: what the host allows is known to nobody else. */
static int check_affinity(const char *key, const char *thread_name,
			  const struct axcfg_uint_list *cpus, struct ax_error *err)
{
	for (size_t i = 0; i < cpus->count; i++) {
		const int cpu = (int)cpus->values[i];
		struct ax_thread *thread;
		char name[32];
		const struct ax_thread_config config = {.name = name, .cpus = &cpu, .cpu_count = 1};

		snprintf(name, sizeof(name), "%s %zu", thread_name, i);
		if (ax_thread_start(&config, nothing, NULL, &thread, err)) {
			ax_error_context(err, "%s[%zu]", key, i);
			return blame(err);
		}
		ax_thread_join(thread);
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int axcfg_check_files(const struct axcfg *config, struct ax_error *err)
{
	struct ax_error own = {0};
	int rc;

	if (!err)
		err = &own;
	rc = check_images(config, err);
	if (!rc)
		rc = check_regions(config, err);
	if (!rc)
		rc = check_affinity("cpus.affinity", "vcpu", &config->cpus.affinity, err);
	if (!rc)
		rc = check_affinity("io.affinity", "io", &config->io.affinity, err);
	if (!rc && axcfg_check_disk_files(config, err))
		rc = blame(err);
	if (!rc && axcfg_check_backends(config, err))
		rc = blame(err);
	return rc ? rc : check_consoles(config, err);
}
