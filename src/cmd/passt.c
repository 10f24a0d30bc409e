/*
 * passt, the unprivileged way to the network: one process for every card that has no socket of a
 * running one, connected to us by a socket pair. It ends when we do, since its socket closes then.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int start_one(struct passt *passt, size_t i, struct ax_error *err)
{
	char number[16];
	char name[] = "passt", quiet[] = "--quiet", foreground[] = "--foreground", fd[] = "--fd";
	char *const argv[] = {name, quiet, foreground, fd, number, NULL};
	posix_spawnattr_t attributes;
	sigset_t none;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "nets[%zu]: no socket pair: %s", i,
				    strerror(errno));
	snprintf(number, sizeof(number), "%d", pair[1]);
	fcntl(pair[1], F_SETFD, 0); /* the one descriptor that passt inherits */
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	/* A group of its own: Ctrl-C in the guest's terminal is not for it. */
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawnp(&passt->pids[i], name, NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	close(pair[1]);
	if (rc) {
		close(pair[0]);
		ax_error_set(err, AX_ERROR_DEVICE, rc, "nets[%zu]: cannot start passt: %s", i,
			     strerror(rc));
		return ax_error_hint(err, "install the package passt, or use tap=NAME");
	}
	passt->fds[i] = pair[0];
	return 0;
}

int passt_start(struct passt *passt, const struct axcfg *config, struct ax_error *err)
{
	int rc = 0;

	*passt = (struct passt){.count = config->net_count};
	for (size_t i = 0; i < AX_ARRAY_LEN(passt->fds); i++)
		passt->fds[i] = -1;
	for (size_t i = 0; !rc && i < config->net_count; i++)
		if (config->nets[i].type == AXCFG_NET_PASST && !config->nets[i].socket)
			rc = start_one(passt, i, err);
	return rc;
}

void passt_stop(struct passt *passt)
{
	for (size_t i = 0; i < passt->count; i++) {
		if (passt->fds[i] >= 0)
			close(passt->fds[i]);
		if (passt->pids[i] > 0) {
			kill(passt->pids[i], SIGTERM);
			waitpid(passt->pids[i], NULL, 0);
		}
	}
	*passt = (struct passt){0};
}
