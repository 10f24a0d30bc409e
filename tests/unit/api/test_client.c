/*
 * The asking end and whoever may have a socket there: one that is silent, never stops, says too
 * much, or goes away. It gives up with a reason, in bounded time and memory.
 */
#include "../test.h"

#include <axvm/api.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
	const char *text; /* its answer */
	size_t times;     /* so often */
	bool stays;       /* until the client leaves */
	bool silent;      /* it does not say all: the client need not wait long */
	int rc;           /* what the client makes of it */
	const char *says; /* part of its message, or NULL */
	int listener;
};

/* Accept, hear a line, answer. */
static void *play(void *arg)
{
	const struct peer *peer = arg;
	const int fd = accept(peer->listener, NULL, NULL);
	char line[256];
	ssize_t sent = recv(fd, line, sizeof(line), 0);

	for (size_t i = 0; i < peer->times && sent > 0; i++)
		sent = send(fd, peer->text, strlen(peer->text), MSG_NOSIGNAL);
	while (peer->stays && recv(fd, line, sizeof(line), 0) > 0)
		;
	close(fd);
	return NULL;
}

static char directory[64];
static struct sockaddr_un address;

static int listen_at(int backlog)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(directory, "/tmp/axvm-client-XXXXXX");
	assert_non_null(mkdtemp(directory));
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void unlisten(int fd)
{
	close(fd);
	unlink(address.sun_path);
	rmdir(directory);
}

static void ask(const struct peer *row)
{
	struct axapi_client *client = NULL;
	struct axvm_live *live = NULL;
	struct peer peer = *row;
	struct ax_error err = {0};
	pthread_t thread;

	peer.listener = listen_at(1);
	assert_int_equal(pthread_create(&thread, NULL, play, &peer), 0);
	assert_int_equal(axapi_connect(address.sun_path, 20000, &client, &err), 0);
	assert_int_equal(axapi_get_stats(client, row->silent ? 100 : 20000, &live, &err), row->rc);
	assert_null(live);
	if (row->says && !strstr(err.message, row->says) && !strstr(err.hint, row->says))
		fail_msg("\"%s\", \"%s\": no \"%s\"", err.message, err.hint, row->says);
	axapi_disconnect(client);
	pthread_join(thread, NULL);
	unlisten(peer.listener);
}

static void test_peers(void **state)
{
	static char much[1 << 16];
	const struct peer peers[] = {
		{.silent = true, .stays = true, .rc = -ETIMEDOUT, .says = "does not answer"},
		{.text = "{", .times = 1, .silent = true, .stays = true, .rc = -ETIMEDOUT},
		{.rc = -ECONNRESET, .says = "it has ended"},
		{.text = "{\"stats\"", .times = 1, .rc = -ECONNRESET},
		{.text = "hello\n", .times = 1, .stays = true, .rc = -EBADMSG},
		{.text = "{}\n{}\n", .times = 1, .stays = true, .rc = -EPROTO},
		/* 32 MiB without an end of line: twice what is taken. */
		{.text = much, .times = 512, .stays = true, .rc = -EMSGSIZE},
	};

	(void)state;
	memset(much, 'x', sizeof(much) - 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(peers); i++)
		ask(&peers[i]);
}

/* Who does not wait asks once, and takes the answer when all of it has come. */
static void test_piecemeal(void **state)
{
	static const char *const pieces[] = {"{\"stats\":{\"name\":\"slow\",",
					     "\"vcpus\":[],\"io\":[],",
					     "\"devices\":[],\"memory\":[]}}"};
	const int listener = listen_at(0);
	struct axapi_client *client = NULL, *other = NULL;
	struct axvm_live *live = NULL;
	struct ax_error err = {0};
	char line[256];
	int fd = -1;

	(void)state;
	assert_int_equal(axapi_connect(address.sun_path, 0, &client, &err), 0);
	/* A queue that is full is no reason to wait either. */
	assert_int_equal(axapi_connect(address.sun_path, 0, &other, &err), -ETIMEDOUT);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(axapi_get_stats(client, 0, &live, &err), -ETIMEDOUT);
		fd = round ? fd : accept(listener, NULL, NULL);
		for (size_t i = 0; i < AX_ARRAY_LEN(pieces); i++) {
			assert_int_equal(send(fd, pieces[i], strlen(pieces[i]), 0),
					 strlen(pieces[i]));
			assert_int_equal(axapi_get_stats(client, 0, &live, &err), -ETIMEDOUT);
		}
		assert_null(live);
		assert_int_equal(send(fd, "\n", 1, 0), 1);
		assert_int_equal(axapi_get_stats(client, 0, &live, &err), 0);
		assert_string_equal(live->name, "slow");
		axvm_live_free(live);
		live = NULL;
		assert_int_equal(recv(fd, line, sizeof(line), MSG_DONTWAIT),
				 strlen("{\"get\":\"stats\"}\n"));
	}
	close(fd);
	axapi_disconnect(client);
	unlisten(listener);
}

static void test_nobody(void **state)
{
	struct axapi_client *client = NULL;
	struct ax_error err = {0};
	char path[200];

	(void)state;
	assert_int_equal(axapi_connect("/tmp/axvm-no-such-socket", 100, &client, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "it has ended"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(axapi_connect(path, 100, &client, &err), -ENAMETOOLONG);
	assert_null(client);
	axapi_disconnect(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_piecemeal),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
