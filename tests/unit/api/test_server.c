/*
 * One VM's end of the protocol, asked by clients of every kind: those that ask well, in pieces and
 * many lines at once, and those that write nonsense, never read, never write, or come in crowds.
 * The VM goes on, and who asks well is answered.
 */
#include "../axvm/rig.h"

#include <axvm/api.h>

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK "{\"get\":\"stats\"}\n"

struct fixture {
	struct rig rig;
	struct ax_loop *loop;
	struct ax_thread *thread;
	struct axapi_server *server;
	char directory[64], path[108];
};

static void control(void *arg)
{
	struct fixture *self = arg;

	(void)ax_loop_run(self->loop, NULL);
}

static int setup(void **state)
{
	struct fixture *self = calloc(1, sizeof(*self));
	const struct ax_thread_config config = {.name = "control"};
	struct ax_error err = {0};

	snprintf(self->directory, sizeof(self->directory), "/tmp/axvm-api-XXXXXX");
	assert_non_null(mkdtemp(self->directory));
	rig_init(&self->rig, WORDS("-c", "2", "--name", "my vm/1"));
	RIG_SCRIPT(&self->rig, 0, STEP_IN(0x60, 1), STEP_SPIN);
	RIG_SCRIPT(&self->rig, 1, STEP_SPIN);
	rig_boot(&self->rig);
	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &self->loop, &err), 0);
	if (axapi_server_create(self->loop, "my vm/1", self->directory, &self->server, &err))
		fail_msg("%s", err.message);
	axapi_server_show(self->server, self->rig.vm);
	snprintf(self->path, sizeof(self->path), "%s", axapi_server_path(self->server));
	assert_int_equal(ax_thread_start(&config, control, self, &self->thread, &err), 0);
	*state = self;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *self = *state;

	ax_loop_stop(self->loop);
	ax_thread_join(self->thread);
	axapi_server_destroy(self->server);
	axapi_server_destroy(NULL);
	assert_int_equal(access(self->path, F_OK), -1);
	assert_int_equal(rmdir(self->directory), 0); /* nothing is left in it */
	ax_loop_destroy(self->loop);
	axvm_request_stop(self->rig.vm, AXVM_STOP_CLEAN);
	rig_end(&self->rig);
	rig_finish(&self->rig);
	free(self);
	return 0;
}

/* ---- a client with bare hands ---------------------------------------------------------------- */

static int reach(const struct fixture *self)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", self->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One byte within 20 s; 0 at the end. */
static int hear_byte(int fd, char *byte)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&pollfd, 1, 20000), 1);
	return (int)recv(fd, byte, 1, 0);
}

/* The next line as JSON; NULL: the connection has ended. */
static json_t *hear(int fd)
{
	static char line[1 << 20];
	size_t used = 0;

	while (used < sizeof(line)) {
		const int got = hear_byte(fd, &line[used]);

		if (got <= 0)
			return NULL;
		if (line[used] == '\n') {
			json_t *root = json_loadb(line, used, 0, NULL);

			assert_non_null(root);
			return root;
		}
		used++;
	}
	fail_msg("a line without end");
	return NULL;
}

static void expect(int fd, const char *key)
{
	json_t *root = hear(fd);

	assert_non_null(root);
	assert_int_equal(json_object_size(root), 1);
	if (!json_object_get(root, key))
		fail_msg("no %s in %s", key, json_dumps(root, 0));
	json_decref(root);
}

static void expect_end(int fd)
{
	assert_null(hear(fd));
}

static uint64_t exits_of(struct rig *rig, uint32_t vcpu)
{
	struct axvcpu_stats stats;

	axvcpu_get_stats(axvm_vcpu(rig->vm, vcpu), &stats);
	return stats.exits;
}

/* ---- */

static void test_well(void **state)
{
	struct fixture *self = *state;
	struct axapi_client *client;
	struct axvm_live *live = NULL, *later = NULL;
	struct axapi_vms vms = {0};
	struct ax_error err = {0};
	struct stat st;
	uid_t uid;

	assert_int_equal(stat(self->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(axapi_find(self->directory, &vms, &err), 0);
	assert_int_equal(vms.count, 1);
	assert_int_equal(vms.vms[0].pid, getpid());
	assert_string_equal(vms.vms[0].name, "my_vm_1");
	assert_true(axapi_is_called(&vms.vms[0], "my vm/1"));
	if (axapi_connect(vms.vms[0].path, 20000, &client, &err))
		fail_msg("%s", err.message);
	assert_int_equal(axapi_peer(client, &uid), getpid());
	assert_int_equal(uid, geteuid());
	if (axapi_get_stats(client, 20000, &live, &err))
		fail_msg("%s", err.message);
	assert_string_equal(live->name, "my vm/1");
	assert_int_equal(live->vcpu_count, 2);
	assert_int_equal(live->vcpus[0].thread.tid, axvcpu_tid(axvm_vcpu(self->rig.vm, 0)));
	/* Another look later is another. */
	usleep(2 * AXAPI_LOOK_NS / 1000);
	axvcpu_kick(axvm_vcpu(self->rig.vm, 1));
	RIG_UNTIL(exits_of(&self->rig, 1) > 0);
	if (axapi_get_stats(client, 20000, &later, &err))
		fail_msg("%s", err.message);
	assert_true(later->at_ns > live->at_ns);
	assert_true(later->vcpus[1].own.exits > live->vcpus[1].own.exits);
	axvm_live_free(live);
	axvm_live_free(later);
	axapi_disconnect(client);
	axapi_disconnect(NULL);
	axapi_vms_free(&vms);
}

/* Lines in pieces, several in one, and an end without one. */
static void test_pieces(void **state)
{
	struct fixture *self = *state;
	int fd = reach(self);

	for (const char *c = ASK; *c; c++) {
		const char one[] = {*c, 0};

		say(fd, one);
		usleep(1000);
	}
	expect(fd, "stats");
	say(fd, ASK "{\"get\":\"version\"}\n{}\n" ASK "{\"get\":\"ver");
	expect(fd, "stats");
	expect(fd, "version");
	expect(fd, "error");
	expect(fd, "stats");
	say(fd, "sion\"}\r\n");
	expect(fd, "version");
	/* Whoever says no more is still answered. */
	say(fd, ASK);
	shutdown(fd, SHUT_WR);
	expect(fd, "stats");
	expect_end(fd);
	close(fd);
}

static void test_garbage(void **state)
{
	static const char zeros[64];
	struct fixture *self = *state;
	char line[AXAPI_MAX_REQUEST + 2];
	int fd = reach(self);

	say(fd, "GET / HTTP/1.1\n\n\xff\xfe\n");
	for (int i = 0; i < 3; i++)
		expect(fd, "error");
	assert_int_equal(send(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	say(fd, "\n");
	expect(fd, "error");
	/* The longest line there may be ... */
	memset(line, ' ', sizeof(line));
	memcpy(line, ASK, sizeof(ASK) - 2);
	line[AXAPI_MAX_REQUEST] = '\n';
	assert_int_equal(send(fd, line, AXAPI_MAX_REQUEST + 1, 0), AXAPI_MAX_REQUEST + 1);
	expect(fd, "stats");
	/* ... and one more: told why, and that is all. */
	memset(line, 'x', sizeof(line));
	(void)!send(fd, line, sizeof(line), MSG_NOSIGNAL);
	expect(fd, "error");
	expect_end(fd);
	close(fd);
	fd = reach(self);
	say(fd, ASK);
	expect(fd, "stats");
	close(fd);
}

/* Asks again and again, and never reads: it is not read from any more, and others are answered. */
static void test_never_reads(void **state)
{
	struct fixture *self = *state;
	const int deaf = reach(self), fd = reach(self);
	size_t sent = 0;
	int idle = 0;

	while (idle < 200 && sent < (64 << 20)) {
		const ssize_t n = send(deaf, ASK ASK ASK ASK, 4 * (sizeof(ASK) - 1),
				       MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		} else {
			assert_int_equal(errno, EAGAIN);
			idle++;
			usleep(1000);
		}
	}
	assert_true(sent < (64 << 20));
	for (int i = 0; i < 20; i++) {
		say(fd, ASK);
		expect(fd, "stats");
	}
	/* When it does read, all its answers come. */
	for (int i = 0; i < 20; i++)
		expect(deaf, "stats");
	close(deaf);
	say(fd, ASK);
	expect(fd, "stats");
	close(fd);
}

/* A crowd that says nothing: each newcomer is served, and takes the place of the most silent. */
static void test_crowd(void **state)
{
	struct fixture *self = *state;
	int fds[3 * AXAPI_MAX_CLIENTS];
	unsigned open_ones = 0;

	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++) {
		fds[i] = reach(self);
		say(fds[i], ASK);
		expect(fds[i], "stats");
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++) {
		struct pollfd pollfd = {.fd = fds[i], .events = POLLIN};
		const bool is_new = i >= AX_ARRAY_LEN(fds) - AXAPI_MAX_CLIENTS;

		assert_int_equal(poll(&pollfd, 1, is_new ? 0 : 20000), is_new ? 0 : 1);
		open_ones += is_new;
		if (!is_new)
			expect_end(fds[i]);
	}
	assert_int_equal(open_ones, AXAPI_MAX_CLIENTS);
	say(fds[AX_ARRAY_LEN(fds) - 1], ASK);
	expect(fds[AX_ARRAY_LEN(fds) - 1], "stats");
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* Gone before, while and after it is answered. */
static void test_gone(void **state)
{
	struct fixture *self = *state;

	for (int i = 0; i < 50; i++) {
		const int fd = reach(self);

		if (i % 3)
			say(fd, i % 3 == 1 ? ASK : "{\"get\"");
		close(fd);
	}
	const int fd = reach(self);

	say(fd, ASK);
	expect(fd, "stats");
	close(fd);
}

/* Many questions in a moment are answered by one look. */
static void test_hurried(void **state)
{
	struct fixture *self = *state;
	const int fd = reach(self);
	json_int_t times[10];
	int same = 0;

	for (size_t i = 0; i < AX_ARRAY_LEN(times); i++)
		say(fd, ASK);
	for (size_t i = 0; i < AX_ARRAY_LEN(times); i++) {
		json_t *root = hear(fd);

		times[i] = json_integer_value(
			json_object_get(json_object_get(root, "stats"), "at_ns"));
		same += i && times[i] == times[i - 1];
		json_decref(root);
	}
	assert_true(same > 0);
	close(fd);
}

/* What a killed process of the same number has left is replaced; a directory that is not there, or
 * is no one's, is an error that says so and leaves nothing. */
static void test_places(void **state)
{
	struct fixture *self = *state;
	struct axapi_server *server = NULL;
	struct ax_error err = {0};
	struct ax_loop *loop;
	char path[256];

	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &loop, &err), 0);
	/* Somebody listens there: ourselves. */
	assert_int_equal(axapi_server_create(loop, "my vm/1", self->directory, &server, &err),
			 -EADDRINUSE);
	assert_int_equal(axapi_server_create(loop, "my vm/1", "/tmp/axvm-not-there", &server, &err),
			 -ENOENT);
	snprintf(path, sizeof(path), "%s/%0100d", self->directory, 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(axapi_server_create(loop, "my vm/1", path, &server, &err), -ENAMETOOLONG);
	assert_null(server);
	rmdir(path);
	ax_loop_destroy(loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_well),  TEST(test_pieces), TEST(test_garbage), TEST(test_never_reads),
		TEST(test_crowd), TEST(test_gone),   TEST(test_hurried), TEST(test_places),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
