/*
 * What can be wrong with a tap interface: what the kernel's refusals mean, and the same found out
 * without attaching to it, which its users and its guest's peers would notice. The kernel shows an
 * interface in sysfs (its tun_flags, owner, group, carrier: drivers/net/tun.c).
 */
#include "net.h"
#include "net_vhost.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- words ----------------------------------------------------------------------------------- */

int axvirtio_net_tun_explain(const char *name, int code, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_DEVICE, code, "%s: cannot open /dev/net/tun: %s", name,
		     strerror(code));
	if (code == EACCES || code == EPERM)
		return ax_error_hint(err, "/dev/net/tun must be readable and writable for you");
	return ax_error_hint(err, "load the kernel's tun module: modprobe tun");
}

static int explain_permission(const char *name, const char *tap, const char *queues, int code,
			      struct ax_error *err)
{
	if (if_nametoindex(tap))
		ax_error_set(err, AX_ERROR_DEVICE, code, "%s: you may not use tap interface %s",
			     name, tap);
	else
		ax_error_set(err, AX_ERROR_DEVICE, code,
			     "%s: there is no tap interface %s, and you may not make one", name,
			     tap);
	return ax_error_hint(err,
			     "as root: ip tuntap add dev %s mode tap%s user NAME; ip link "
			     "set dev %s up; then give it an address or a bridge",
			     tap, queues, tap);
}

int axvirtio_net_tap_explain(const char *name, const char *tap, uint32_t pairs, int code,
			     struct ax_error *err)
{
	const char *queues = pairs > 1 ? " multi_queue" : "";

	switch (code) {
	case EPERM:
	case EACCES:
		return explain_permission(name, tap, queues, code, err);
	case EBUSY:
		ax_error_set(err, AX_ERROR_DEVICE, code,
			     "%s: tap interface %s is in use by another process", name, tap);
		return ax_error_hint(err, "stop its user, or take another name");
	case E2BIG:
		ax_error_set(err, AX_ERROR_DEVICE, code,
			     "%s: tap interface %s has no %u queues to spare", name, tap, pairs);
		return ax_error_hint(err, "stop its other user, or ask for fewer queue pairs");
	case EINVAL:
		ax_error_set(err, AX_ERROR_DEVICE, code,
			     "%s: interface %s is no tap, or not one with%s several queues", name,
			     tap, pairs > 1 ? "" : "out");
		return ax_error_hint(err,
				     "ip -d link show %s tells; a tap for %u queue pair%s is made "
				     "by: ip tuntap add dev NAME mode tap%s",
				     tap, pairs, pairs > 1 ? "s" : "", queues);
	default:
		return ax_error_set(err, AX_ERROR_DEVICE, code,
				    "%s: cannot use tap interface %s: %s", name, tap,
				    strerror(code));
	}
}

int axvirtio_net_tap_low_mtu(const char *name, const char *tap, int has, uint16_t mtu,
			     struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
		     "%s: tap interface %s has an MTU of %d, less than the %u the guest is told",
		     name, tap, has, mtu);
	return ax_error_hint(err, "as root: ip link set dev %s mtu %u", tap, mtu);
}

int axvirtio_net_tap_check_name(const char *name, const char *tap, struct ax_error *err)
{
	/* The kernel would cut it, and make a name of a pattern. */
	if (tap && *tap && strlen(tap) < IFNAMSIZ && !strchr(tap, '%') && !strchr(tap, '/'))
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
		     "%s: \"%s\" is no interface name: it has 1 to %d characters and neither %% "
		     "nor /",
		     name, tap ? tap : "", IFNAMSIZ - 1);
	return ax_error_hint(err, "write tap=NAME; ip link lists those there are");
}

/* ---- looking --------------------------------------------------------------------------------- */

/* A number that sysfs shows; `otherwise` when there is none, such as the carrier of an interface
 * that is down. */
static long long attribute(const char *tap, const char *what, long long otherwise)
{
	char path[sizeof("/sys/class/net//tun_flags") + IFNAMSIZ], text[32] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", tap, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return otherwise;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtoll(text, NULL, 0) : otherwise;
}

/* May we make interfaces and use those of others? In a user namespace that does not own the
 * network's this says yes where the kernel will say no. */
static bool is_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}

static bool in_group(gid_t group)
{
	gid_t groups[1024];
	const int count = getgroups(AX_ARRAY_LEN(groups), groups);

	for (int i = 0; i < count; i++) {
		if (groups[i] == group)
			return true;
	}
	return getegid() == group;
}

/* Both must be ours where both are set; where none is, it is anybody's. */
static bool is_ours(const char *tap)
{
	const long long owner = attribute(tap, "owner", -1), group = attribute(tap, "group", -1);

	return (owner < 0 || owner == geteuid()) && (group < 0 || in_group((gid_t)group));
}

/* The code with which TUNSETIFF would fail, as far as it can be told. */
static int look(const char *tap, bool several)
{
	const unsigned index = if_nametoindex(tap);
	long long flags;

	if (!index)
		return is_admin() ? 0 : EPERM; /* it would be made */
	/* sysfs may be another network namespace's, or not mounted: then there is nothing to see.
	 */
	if (attribute(tap, "ifindex", -1) != index)
		return 0;
	flags = attribute(tap, "tun_flags", -1);
	if (flags < 0 || !(flags & IFF_TAP) || !(flags & IFF_MULTI_QUEUE) == several)
		return EINVAL;
	if (!is_admin() && !is_ours(tap))
		return EPERM;
	/* There is a carrier as long as somebody is attached; one may be, or many. */
	return !several && attribute(tap, "carrier", 0) == 1 ? EBUSY : 0;
}

static int check_vhost(const char *name, struct ax_error *err)
{
	return faccessat(AT_FDCWD, "/dev/vhost-net", R_OK | W_OK, AT_EACCESS) < 0
		       ? axvirtio_net_vhost_explain(name, errno, err)
		       : 0;
}

int axvirtio_net_tap_check(const char *name, const struct axvirtio_net_config *config,
			   struct ax_error *err)
{
	const uint32_t pairs = config->pairs ? config->pairs : 1;
	int r = axvirtio_net_tap_check_name(name, config->tap, err);
	long long mtu;

	if (r < 0)
		return r;
	if (faccessat(AT_FDCWD, "/dev/net/tun", R_OK | W_OK, AT_EACCESS) < 0)
		return axvirtio_net_tun_explain(name, errno, err);
	r = look(config->tap, pairs > 1);
	if (r)
		return axvirtio_net_tap_explain(name, config->tap, pairs, r, err);
	mtu = attribute(config->tap, "mtu", config->mtu);
	if (mtu < config->mtu && !is_admin())
		return axvirtio_net_tap_low_mtu(name, config->tap, (int)mtu, config->mtu, err);
	return config->vhost ? check_vhost(name, err) : 0;
}
