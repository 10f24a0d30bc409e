/*
 * axvm switch: an Ethernet switch for guests of several processes, on a Unix socket. Each
 * connection is a port; the frames are the library's matter.
 */
#include "cmd.h"

#include <axvm/virtio_devices.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

struct switchboard {
	struct ax_loop *loop;
	struct axnet_switch *net_switch;
	struct ax_listener listener;
	int signal_fd;
};

static void on_connection(void *ctx, int fd, uint32_t events)
{
	struct switchboard *board = ctx;
	struct ax_error err = {0};
	int port = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (port >= 0 && axnet_switch_adopt_port(board->net_switch, port, &err)) {
		(void)report_error(&err);
		close(port);
	}
}

static void on_signal(void *ctx, int fd, uint32_t events)
{
	struct switchboard *board = ctx;

	(void)fd;
	(void)events;
	ax_loop_stop(board->loop);
}

static int serve(struct switchboard *board, const char *path, struct ax_error *err)
{
	struct ax_event *event;
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	board->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = ax_loop_create(AX_LOOP_AUTO, &board->loop, err);
	if (!rc)
		rc = axnet_switch_create(board->loop, &board->net_switch, err);
	if (!rc)
		rc = ax_listener_open(&board->listener, path, SOCK_SEQPACKET, BACKLOG, err);
	if (!rc)
		rc = ax_loop_add_fd(board->loop, board->signal_fd, EPOLLIN, on_signal, board,
				    &event, err);
	if (!rc)
		rc = ax_loop_add_fd(board->loop, board->listener.fd, EPOLLIN, on_connection, board,
				    &event, err);
	if (rc)
		return rc;
	if (!report_is_quiet())
		fprintf(stderr, "axvm: switch at %s; guests join with --net switch,socket=%s\n",
			path, path);
	return ax_loop_run(board->loop, err);
}

static void print_stats(const struct switchboard *board)
{
	struct axnet_switch_stats stats;

	axnet_switch_get_stats(board->net_switch, &stats);
	fprintf(stderr,
		"axvm: switch: %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " flooded, %" PRIu64
		" dropped\n",
		stats.frames, stats.bytes, stats.flooded, stats.dropped);
}

static int run(int argc, char **argv)
{
	struct switchboard board = {.listener.fd = -1, .signal_fd = -1};
	struct ax_error err = {0};
	const char *path = NULL;
	int rc;

	if (words_read(&cmd_switch, argc, argv, NULL, &path, 1, &err))
		return report_error(&err);
	if (!path) {
		ax_error_set(&err, AX_ERROR_USAGE, EINVAL, "switch: no socket is named");
		ax_error_hint(&err, "axvm switch /run/net0.sock");
		return report_error(&err);
	}
	rc = serve(&board, path, &err);
	if (board.net_switch && !rc && !report_is_quiet())
		print_stats(&board);
	axnet_switch_destroy(board.net_switch);
	ax_loop_destroy(board.loop);
	ax_listener_close(&board.listener);
	if (board.signal_fd >= 0)
		close(board.signal_fd);
	return rc ? report_error(&err) : 0;
}

static void help(void)
{
	printf("\nGuests join with --net switch,socket=PATH. Their frames never leave this "
	       "process; it needs\nno privileges and no interface of the host. Ends by SIGTERM or "
	       "Ctrl-C.\n");
}

const struct command cmd_switch = {
	.name = "switch",
	.operands = "[-q] PATH",
	.summary = "connect guests by an Ethernet switch on a Unix socket",
	.run = run,
	.help = help,
	.takes_files = true,
};
