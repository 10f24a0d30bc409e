/* The serial port end to end: a byte in wakes the guest by its line and comes back doubled. */
#include "guest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void run_loop(void *arg)
{
	struct ax_error err = {0};

	if (ax_loop_run(arg, &err) < 0)
		ax_log(AX_LOG_ERROR, "test", "%s", err.message);
}

void guest_echo(enum axarch_uart uart, const char *code, const char *code_end)
{
	static const char sent[] = "HAL the guest, echo this q",
			  want[] = "IBM!uif!hvftu-!fdip!uijt!r";
	const struct ax_thread_config config = {.name = "io"};
	struct ax_thread *thread = NULL;
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};
	struct guest guest;
	char got[64] = "";
	size_t used = 0;
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	CHECK_OK(ax_loop_create(AX_LOOP_AUTO, &loop, &err), &err);
	guest_create(&guest,
		     &(struct guest_config){
			     .loop = loop, .in_fd = fds[0], .out_fd = fds[0], .uart = uart});
	guest_load(&guest, code, code_end);
	CHECK_OK(ax_thread_start(&config, run_loop, loop, &thread, &err), &err);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	CHECK_EQ(write(fds[1], sent, sizeof(sent) - 1), sizeof(sent) - 1);
	guest_finish_done(&guest);
	for (unsigned i = 0; i < 10000 && used < sizeof(want) - 1; i++) {
		ssize_t n = read(fds[1], got + used, sizeof(got) - 1 - used);
		if (n > 0)
			used += (size_t)n;
		else
			guest_sleep_ms(1);
	}
	CHECK(!strcmp(got, want), "\"%s\" came back", got);
	ax_loop_stop(loop);
	ax_thread_join(thread);
	guest_destroy(&guest);
	ax_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

GUEST_CODE(uart_echo);

GUEST_TEST(uart_echo, "uart-echo")
{
	guest_echo(AXARCH_UART_AUTO, code_uart_echo, code_uart_echo_end);
}
