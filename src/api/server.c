/*
 * One VM's end of the protocol: a listening socket and up to AXAPI_MAX_CLIENTS connections on the
 * loop of the VM's control thread. Nothing here waits: a client has one buffer for its line and one
 * answer, and while that is not gone it is not read from. What a request means is request.c's and
 * the VM's concern.
 */
#include "private.h"

#include <axvm/ledger.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG  4
#define RETRY_NS 1000000000ULL

struct client {
	struct axapi_server *server;
	struct ax_event *event;
	int fd;            /* -1: this place is free */
	uint64_t heard_ns; /* when it last said something */
	bool ends;         /* with the answer that is on its way */
	char line[AXAPI_MAX_REQUEST + 2];
	size_t line_used;
	char *answer; /* with the end of its line; NULL: none is on its way */
	size_t answer_size, answer_sent;
};

struct axapi_server {
	struct ax_loop *loop;
	struct axvm *vm;
	struct ax_listener listener;
	struct ax_event *event, *retry;
	struct client clients[AXAPI_MAX_CLIENTS];
	/* The last look, for whoever asks again at once: many clients, or one that never stops,
	 * cost no more than a few. */
	char *stats;
	uint64_t stats_ns;
};

/* ---- answers --------------------------------------------------------------------------------- */

static char *answer_error(const struct ax_error *error)
{
	json_t *root =
		json_pack("{s:{s:s, s:s*, s:s}}", "error", "kind", ax_error_kind_name(error->kind),
			  "message", error->message, "hint", error->hint);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

static int get_stats(struct axapi_server *self, char **ret_text, struct ax_error *err)
{
	const uint64_t now = ax_clock_ns();
	struct axvm_live *live = NULL;
	char *text = NULL;
	int rc = 0;

	if (!self->stats || now - self->stats_ns > AXAPI_LOOK_NS) {
		rc = axvm_live_take(self->vm, AXAPI_LOOK_PAGES, &live, err);
		if (!rc)
			rc = axapi_stats_to_text(live, &text, err);
		axvm_live_free(live);
		if (rc)
			return rc;
		free(self->stats);
		self->stats = text;
		self->stats_ns = now;
	}
	*ret_text = strdup(self->stats);
	return 0;
}

static int get_version(char **ret_text)
{
	json_t *root =
		json_pack("{s:{s:s, s:i}}", "version", "axvm", AXVM_VERSION, "api", AXAPI_VERSION);

	*ret_text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return 0;
}

/* NULL: there is no memory even to say so. */
static char *answer(struct axapi_server *self, const char *line, size_t length)
{
	enum axapi_request request;
	struct ax_error err = {0};
	char *text = NULL;
	int rc = axapi_parse_request(line, length, &request, &err);

	if (!rc && request == AXAPI_GET_STATS)
		rc = get_stats(self, &text, &err);
	else if (!rc)
		rc = get_version(&text);
	return rc ? answer_error(&err) : text;
}

/* ---- a client -------------------------------------------------------------------------------- */

static void drop(struct client *client)
{
	ax_loop_remove(client->event);
	close(client->fd);
	free(client->answer);
	*client = (struct client){.server = client->server, .fd = -1};
}

/* False: it is gone. */
static bool send_answer(struct client *client)
{
	while (client->answer) {
		const ssize_t sent = send(client->fd, client->answer + client->answer_sent,
					  client->answer_size - client->answer_sent, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return true;
		if (sent < 0) {
			drop(client);
			return false;
		}
		client->answer_sent += (size_t)sent;
		if (client->answer_sent < client->answer_size)
			continue;
		free(client->answer);
		client->answer = NULL;
		if (client->ends) {
			drop(client);
			return false;
		}
	}
	return true;
}

/* False: it is gone. */
static bool begin_answer(struct client *client, size_t length)
{
	char *text = answer(client->server, client->line, length);

	client->answer_size = text ? strlen(text) + 1 : 0;
	client->answer_sent = 0;
	client->answer = text ? realloc(text, client->answer_size + 1) : NULL;
	if (!client->answer) {
		free(text);
		drop(client);
		return false;
	}
	client->answer[client->answer_size - 1] = '\n';
	return send_answer(client);
}

/* All lines that are there, until an answer does not go out at once. False: it is gone. */
static bool serve(struct client *client)
{
	while (!client->answer) {
		const char *end = memchr(client->line, '\n', client->line_used);
		const size_t length = end ? (size_t)(end - client->line) : client->line_used;

		/* Where a line that is too long ends is not looked for. */
		if (length > AXAPI_MAX_REQUEST)
			client->ends = true;
		else if (!end)
			return true;
		if (!begin_answer(client, length))
			return false;
		client->line_used -= end ? length + 1 : length;
		if (end && client->line_used)
			memmove(client->line, end + 1, client->line_used);
	}
	return true;
}

/* False: it is gone. */
static bool take(struct client *client)
{
	const ssize_t got = recv(client->fd, client->line + client->line_used,
				 sizeof(client->line) - client->line_used, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got <= 0) {
		drop(client);
		return false;
	}
	client->heard_ns = ax_clock_ns();
	client->line_used += (size_t)got;
	return serve(client);
}

static void on_client(void *ctx, int fd, uint32_t events)
{
	struct client *client = ctx;

	(void)fd;
	if (client->answer) {
		if (!send_answer(client) || !serve(client))
			return;
	} else if (!(events & EPOLLIN)) {
		drop(client);
		return;
	} else if (!take(client)) {
		return;
	}
	if (ax_loop_modify_fd(client->event, client->answer ? EPOLLOUT : EPOLLIN))
		drop(client);
}

/* ---- the socket ------------------------------------------------------------------------------ */

/* A place that is free, or that of who was silent longest. */
static struct client *make_place(struct axapi_server *self)
{
	struct client *found = &self->clients[0];

	for (size_t i = 0; i < AX_ARRAY_LEN(self->clients); i++) {
		if (self->clients[i].fd < 0)
			return &self->clients[i];
		if (self->clients[i].heard_ns < found->heard_ns)
			found = &self->clients[i];
	}
	drop(found);
	return found;
}

static void on_connection(void *ctx, int listen_fd, uint32_t events)
{
	struct axapi_server *self = ctx;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	(void)events;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Level-triggered: what cannot be accepted must not be looked at for a while. */
		ax_log(AX_LOG_INFO, LAYER, "%s: cannot accept a client: %s", self->listener.path,
		       strerror(errno));
		ax_loop_modify_fd(self->event, 0);
		ax_loop_set_timer(self->retry, RETRY_NS, 0);
		return;
	}
	client = make_place(self);
	client->fd = fd;
	client->heard_ns = ax_clock_ns();
	if (ax_loop_add_fd(self->loop, fd, EPOLLIN, on_client, client, &client->event, NULL))
		drop(client);
}

static void on_retry(void *ctx, int fd, uint32_t events)
{
	struct axapi_server *self = ctx;

	(void)fd;
	(void)events;
	ax_loop_modify_fd(self->event, EPOLLIN);
}

/* DIRECTORY/PID-NAME.sock */
static int name_socket(const char *name, const char *directory, char *path, size_t size,
		       struct ax_error *err)
{
	char file[AXAPI_NAME_ROOM];

	axapi_file_name(name, file);
	if (snprintf(path, size, "%s/%d-%s" AXAPI_SUFFIX, directory, (int)getpid(), file) <
	    (int)size)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
			    "no socket can have a name in %s: it is too long", directory);
}

static int open_socket(struct axapi_server *self, const char *name, const char *directory,
		       struct ax_error *err)
{
	char chosen[sizeof(self->listener.path)], path[sizeof(self->listener.path)];
	int rc = axledger_make_directory(directory, chosen, sizeof(chosen), err);

	if (!rc)
		rc = name_socket(name, chosen, path, sizeof(path), err);
	if (!rc)
		rc = ax_listener_open(&self->listener, path, SOCK_STREAM, BACKLOG, err);
	if (!rc)
		rc = ax_loop_add_fd(self->loop, self->listener.fd, EPOLLIN, on_connection, self,
				    &self->event, err);
	if (!rc)
		rc = ax_loop_add_timer(self->loop, AX_TIMER_OFF, 0, on_retry, self, &self->retry,
				       err);
	return rc;
}

int axapi_server_create(struct ax_loop *loop, const char *name, const char *directory,
			struct axapi_server **ret_server, struct ax_error *err)
{
	struct axapi_server *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a socket");
	self->loop = loop;
	self->listener.fd = -1;
	for (size_t i = 0; i < AX_ARRAY_LEN(self->clients); i++)
		self->clients[i] = (struct client){.server = self, .fd = -1};
	rc = open_socket(self, name, directory, err);
	if (rc) {
		axapi_server_destroy(self);
		return rc;
	}
	*ret_server = self;
	return 0;
}

void axapi_server_show(struct axapi_server *server, struct axvm *vm)
{
	server->vm = vm;
	free(server->stats); /* of the one before */
	server->stats = NULL;
}

void axapi_server_destroy(struct axapi_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < AX_ARRAY_LEN(server->clients); i++)
		if (server->clients[i].fd >= 0)
			drop(&server->clients[i]);
	ax_loop_remove(server->retry);
	ax_loop_remove(server->event);
	ax_listener_close(&server->listener);
	free(server->stats);
	free(server);
}

const char *axapi_server_path(const struct axapi_server *server)
{
	return server->listener.path;
}
