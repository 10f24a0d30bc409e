/*
 * The look at disks and networks for axcfg_check_files: the classes' own checks with the
 * configuration's names before their words, and what no class can see, because it concerns two of
 * its devices or is opened by the program.
 */
#include "config_private.h"

#include <axvm/virtio_devices.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- disks ----------------------------------------------------------------------------------- */

static int check_disk(const struct axcfg_disk *disk, size_t i, struct ax_error *err)
{
	const struct axvirtio_blk_config config = {
		.path = disk->path,
		.fd = -1,
		.read_only = disk->read_only,
		.direct = disk->direct,
		.base = disk->base,
	};
	int rc = axvirtio_blk_check(&config, err);

	if (!rc)
		return 0;
	ax_error_context(err, "disks[%zu]", i);
	if (rc == -ENOENT && disk->base && access(disk->path, F_OK))
		return ax_error_hint(err, "make it: axvm disk overlay %s %s", disk->path,
				     disk->base);
	if (!disk->read_only && (rc == -EACCES || rc == -EROFS || rc == -EPERM))
		return ax_error_hint(err, "check its permissions, or add ro: --disk %s,ro",
				     disk->path);
	return rc;
}

/* One file of a disk: 0 the disk itself, 1 its base. false: there is none. */
static bool stat_part(const struct axcfg_disk *disk, unsigned part, struct stat *ret_st)
{
	const char *path = part ? disk->base : disk->path;

	return path && stat(path, ret_st) == 0;
}

/* A writer has its file alone. By name that is checked before the configuration is frozen; here
 * the file may have several names, or be another disk's base. */
static int check_pair(const struct axcfg *config, size_t i, size_t j, struct ax_error *err)
{
	const struct axcfg_disk *one = &config->disks[i], *other = &config->disks[j];
	struct stat a, b;

	for (unsigned p = 0; p < 4; p++) {
		const bool of_one = p & 1, of_other = p & 2;
		const bool written =
			(!of_one && !one->read_only) || (!of_other && !other->read_only);

		if (!written || !stat_part(one, of_one, &a) || !stat_part(other, of_other, &b) ||
		    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
			continue;
		ax_error_set(err, AX_ERROR_CONFIGURATION, EBUSY,
			     "disks[%zu]: %s%s is the same file as %s%s of disks[%zu]", i,
			     of_one ? "its base " : "", of_one ? one->base : one->path,
			     of_other ? "the base " : "", of_other ? other->base : other->path, j);
		return ax_error_hint(err, "a file that is written to is one disk's alone: use a "
					  "copy or an overlay, or add ro to both");
	}
	return 0;
}

int axcfg_check_disk_files(const struct axcfg *config, struct ax_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < config->disk_count; i++)
		rc = check_disk(&config->disks[i], i, err);
	for (size_t i = 0; !rc && i < config->disk_count; i++)
		for (size_t j = 0; !rc && j < i; j++)
			rc = check_pair(config, i, j, err);
	return rc;
}

/* ---- networks -------------------------------------------------------------------------------- */

static bool has_limit(const struct axcfg_limit *limit)
{
	return limit->bytes || limit->ops;
}

/* What the device refuses by itself: a tap, and options that exclude each other. */
static int check_card(const struct axcfg_net *net, const char *key, struct ax_error *err)
{
	const struct axvirtio_net_config config = {
		.backend = net->type == AXCFG_NET_TAP     ? AXVIRTIO_NET_TAP
			   : net->type == AXCFG_NET_PASST ? AXVIRTIO_NET_STREAM
							  : AXVIRTIO_NET_PACKET,
		.tap = net->tap,
		.fd = -1,
		.mtu = (uint16_t)net->mtu,
		.pairs = (uint32_t)net->queues,
		.vhost = net->vhost,
		.rx_limit = {.bytes_per_s = has_limit(&net->rx)},
		.tx_limit = {.bytes_per_s = has_limit(&net->tx)},
	};

	return axvirtio_net_check(key, &config, err);
}

static int check_socket(const struct axcfg_net *net, const char *key, struct ax_error *err)
{
	const bool passt = net->type == AXCFG_NET_PASST;
	const char *what = passt ? "passt" : "switch";
	const int rc = ax_socket_probe(net->socket);

	if (!rc)
		return 0;
	if (rc == -ENAMETOOLONG) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, -rc,
			     "%s: socket path %s has %zu bytes, at most %zu are possible", key,
			     net->socket, strlen(net->socket),
			     sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
		return ax_error_hint(err, "choose a shorter one");
	}
	ax_error_set(err, AX_ERROR_DEVICE, -rc, "%s: cannot connect to the %s at %s: %s", key, what,
		     net->socket, rc == -ENOTSOCK ? "it is no socket" : strerror(-rc));
	if (rc == -EACCES)
		return ax_error_hint(err, "may this user use its socket?");
	return ax_error_hint(err, "is the %s running? Start one: %s %s", what,
			     passt ? "passt --socket" : "axvm switch", net->socket);
}

/* As posix_spawnp(3) looks for it. */
static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	bool found = false;

	if (!path)
		path = "/bin:/usr/bin";
	while (!found) {
		const int length = (int)strcspn(path, ":");
		char *name = NULL;

		if (asprintf(&name, "%.*s%s%s", length, path, length ? "/" : "", program) < 0)
			return true; /* no memory to tell */
		found = faccessat(AT_FDCWD, name, X_OK, AT_EACCESS) == 0;
		free(name);
		if (!path[length])
			break;
		path += length + 1;
	}
	return found;
}

static int check_passt(const char *key, struct ax_error *err)
{
	if (is_installed("passt"))
		return 0;
	ax_error_set(err, AX_ERROR_DEVICE, ENOENT, "%s: cannot start passt: %s", key,
		     strerror(ENOENT));
	return ax_error_hint(err, "install the package passt, or use tap=NAME");
}

int axcfg_check_backends(const struct axcfg *config, struct ax_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < config->net_count; i++) {
		const struct axcfg_net *net = &config->nets[i];
		char key[32];

		snprintf(key, sizeof(key), "nets[%zu]", i);
		rc = check_card(net, key, err);
		if (!rc && net->socket)
			rc = check_socket(net, key, err);
		else if (!rc && net->type == AXCFG_NET_PASST)
			rc = check_passt(key, err);
	}
	return rc;
}
