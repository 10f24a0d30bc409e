/*
 * axvm run: one VM from its configuration to its end. This thread is the VM's control thread: it
 * waits for signals, for the escape key and for the VM's own stop; it never touches guest data.
 */
#include "cmd.h"

#include <axvm/api.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { MAX_CPUS = 8192 }; /* as many as a Linux can have */

struct session {
	struct axvm *vm;
	struct axledger_claim *claim; /* of the VM before a restart */
	struct ax_loop *loop;
	struct axapi_server *server; /* for `axvm top`; NULL: nobody can look */
	struct console console;
	struct passt passt;
	int signal_fd;
	size_t disk_count;
	bool stop_asked; /* by signal or key: ends a VM that would be restarted, too */
	bool is_aside;   /* this thread is where a VM has room for it, */
	cpu_set_t home[MAX_CPUS / CPU_SETSIZE]; /* and was there before */
};

/* The files behind the disks may be others now, or larger. */
static void look_at_disks(struct session *session)
{
	for (size_t i = 0; i < session->disk_count; i++) {
		struct ax_error err = {0};

		if (axvm_replace_disk(session->vm, i, NULL, &err))
			(void)report_error(&err);
	}
}

static void on_signal(void *ctx, int fd, uint32_t events)
{
	struct session *session = ctx;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		uint16_t columns, rows;

		if (console_size(&columns, &rows))
			axvm_resize_console(session->vm, columns, rows);
		return;
	}
	if (info.ssi_signo == SIGUSR1) {
		look_at_disks(session);
		return;
	}
	ax_log(AX_LOG_INFO, "run", "%s: stopping", strsignal((int)info.ssi_signo));
	session->stop_asked = true;
	axvm_request_stop(session->vm, AXVM_STOP_CLEAN);
}

static void on_escape(void *ctx, int fd, uint32_t events)
{
	struct session *session = ctx;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	session->stop_asked = true;
	axvm_request_stop(session->vm, AXVM_STOP_CLEAN);
}

static void on_stopped(void *ctx, int fd, uint32_t events)
{
	struct session *session = ctx;

	(void)fd;
	(void)events;
	ax_loop_stop(session->loop);
}

/* Before any thread exists, so that all of them inherit the mask. */
static int open_signals(struct session *session, struct ax_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (session->signal_fd < 0)
		return ax_error_set(err, AX_ERROR_INTERNAL, errno, "cannot watch signals: %s",
				    strerror(errno));
	return 0;
}

/* vCPUs with CPUs of their own share them with nobody, so not with us and our helpers, be they this
 * VM's or another's. */
static void step_aside(struct session *session)
{
	int cpus[MAX_CPUS];
	const size_t count = axvm_aside(session->vm, cpus, MAX_CPUS);

	if (!count)
		return;
	for (size_t i = 0; i < session->passt.count; i++)
		if (session->passt.pids[i] > 0)
			(void)ax_task_move(session->passt.pids[i], cpus, count);
	ax_task_move_named("vhost-*", cpus, count); /* threads of ours since Linux 6.4 */
	if (ax_task_move(0, cpus, count) == 0)
		session->is_aside = true;
}

/* The next plan, after a restart, must see all of them again. */
static void step_back(struct session *session)
{
	if (session->is_aside)
		(void)sched_setaffinity(0, sizeof(session->home), session->home);
	session->is_aside = false;
}

static void on_aside(void *ctx, int fd, uint32_t events)
{
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		step_aside(ctx);
}

/* Who looks at the VM is served on this thread, and waits while there is none yet, or none between
 * a restart and the next start. A VM that nobody can look at is a VM all the same. */
static void serve(struct session *session, const char *name)
{
	struct ax_error err = {0};

	if (axapi_server_create(session->loop, name, run_directory(), &session->server, &err))
		ax_log(AX_LOG_INFO, "run", "`axvm top` will not see this VM: %s", err.message);
	else
		ax_log(AX_LOG_INFO, "run", "`axvm top` asks at %s",
		       axapi_server_path(session->server));
}

/* What is there for all VMs of the session. */
static int open_session(struct session *session, const struct axcfg *config, struct ax_error *err)
{
	struct ax_event *event;
	int rc = console_open(&session->console, config, err);

	if (!rc)
		rc = ax_loop_create(AX_LOOP_EPOLL, &session->loop, err);
	if (!rc)
		rc = ax_loop_add_fd(session->loop, session->signal_fd, EPOLLIN, on_signal, session,
				    &event, err);
	if (!rc)
		rc = ax_loop_add_fd(session->loop, session->console.wake_fd, EPOLLIN, on_escape,
				    session, &event, err);
	if (!rc)
		serve(session, config->name);
	return rc;
}

static void close_session(struct session *session)
{
	axapi_server_destroy(session->server);
	ax_loop_destroy(session->loop);
	console_close(&session->console);
}

static int run_to_end(struct session *session, struct ax_error *err)
{
	struct ax_event *stopped = NULL, *aside = NULL;
	int rc = ax_loop_add_fd(session->loop, axvm_stop_fd(session->vm), EPOLLIN, on_stopped,
				session, &stopped, err);

	if (!rc)
		rc = ax_loop_add_fd(session->loop, axvm_aside_fd(session->vm), EPOLLIN, on_aside,
				    session, &aside, err);
	if (!rc)
		rc = axvm_start(session->vm, err);
	if (!rc) {
		if (session->server)
			axapi_server_show(session->server, session->vm);
		rc = ax_loop_run(session->loop, err);
		if (session->server)
			axapi_server_show(session->server, NULL);
	}
	ax_loop_remove(stopped);
	ax_loop_remove(aside);
	if (!rc)
		rc = axvm_wait(session->vm, err);
	return rc;
}

/* One VM, once. Returns the exit status; *ret_again when it is to be started anew. */
static int run_once(struct session *session, const struct axcfg *config, bool *ret_again)
{
	struct axvm_stop_info info = {0};
	struct ax_error err = {0};
	struct axvm_options options = {
		.exec_ns = program_start_ns,
		.ledger = run_directory(),
		.claim = session->claim,
		.console =
			{
				.in_fd = session->console.serial.in_fd,
				.out_fd = session->console.serial.out_fd,
				.input_filter = console_filter,
				.ctx = &session->console,
			},
		.ports = session->console.chr,
		.port_count = config->console_count,
	};
	int status, rc = passt_start(&session->passt, config, &err);
	struct progress progress;
	bool is_stopped;

	*ret_again = false;
	options.net_fds = session->passt.fds;
	options.net_fd_count = session->passt.count;
	(void)console_size(&options.columns, &options.rows);
	session->claim = NULL;
	progress_begin(&progress);
	options.on_memory = progress_memory;
	options.on_memory_ctx = &progress;
	if (rc)
		axledger_release(options.claim);
	else
		rc = axvm_create(config, &options, &session->vm, &err);
	is_stopped = progress_end(&progress) && rc == -ECANCELED;
	if (!rc) {
		step_aside(session);
		rc = run_to_end(session, &err);
	}
	step_back(session);
	if (rc) {
		console_close(&session->console);
		axvm_destroy(session->vm);
		session->vm = NULL;
		passt_stop(&session->passt);
		/* Asked for before there was anything to stop: no error. */
		return is_stopped ? 0 : report_error(&err);
	}
	axvm_get_stop_info(session->vm, &info);
	status = axvm_stop_exit_status(info.reason, &info.error);
	if (info.reason == AXVM_STOP_RESET && config->on_reboot == AXCFG_ON_RESTART) {
		/* A reset may have come before the user's wish, but that is what counts then. */
		*ret_again = !session->stop_asked;
		status = 0;
	}
	if (!*ret_again) {
		console_close(
			&session->console); /* the terminal is the user's again before we print */
		if (info.error.kind != AX_ERROR_NONE)
			(void)report_error(&info.error);
		if (info.registers[0])
			fprintf(stderr, "%s\n", info.registers);
		if (config->timeline)
			timeline_print(session->vm);
		if (config->metrics && !report_is_quiet())
			summary_print(session->vm);
	}
	if (*ret_again)
		session->claim = axvm_take_claim(session->vm);
	axvm_destroy(session->vm);
	session->vm = NULL;
	passt_stop(&session->passt);
	return status;
}

static int run_config(const struct axcfg *config)
{
	struct session session = {.signal_fd = -1, .disk_count = config->disk_count};
	struct ax_error err = {0};
	bool again;
	int status, rc = open_signals(&session, &err);

	(void)sched_getaffinity(0, sizeof(session.home), session.home);
	allow_files((uint32_t)config->cpus.count);
	if (!rc)
		rc = open_session(&session, config, &err);
	if (rc) {
		close_session(&session);
		status = report_error(&err);
	} else {
		do
			status = run_once(&session, config, &again);
		while (again);
		close_session(&session);
	}
	if (session.signal_fd >= 0)
		close(session.signal_fd);
	return status;
}

static int run(int argc, char **argv)
{
	struct axcfg_builder *builder = NULL;
	const struct axcfg *config = NULL;
	struct ax_error err = {0};
	int rc = axcfg_builder_create(&builder, &err), status;

	if (!rc)
		rc = axcfg_builder_args(builder, argc, argv, report_verbosity, NULL, &err);
	if (!rc)
		rc = axcfg_builder_finish(builder, &config, &err);
	axcfg_builder_destroy(builder);
	status = rc ? report_error(&err) : run_config(config);
	axcfg_destroy(config);
	return status;
}

static void help(void)
{
	help_options();
	printf("\nExit status: 0 the guest powered off, or it was stopped by Ctrl-C, SIGTERM or "
	       "Ctrl-A x;\n"
	       "10 reboot, 11 panic, 12 guest fault, 13 limit reached; 2 wrong usage or "
	       "configuration, 3 boot\n"
	       "image, 4 disk; 20 and above: this host (see axvm(1)).\n"
	       "\nExamples:\n"
	       "  axvm run -k vmlinuz -i initrd.img -c 2 -m 512M\n"
	       "  axvm run -k vmlinuz --disk root.img --disk data.img,ro --serial pty\n"
	       "  axvm run --config vm.json --timeline\n");
}

const struct command cmd_run = {
	.name = "run",
	.operands = "[OPTIONS] [KERNEL]",
	.summary = "boot a guest and stay with it until it ends",
	.run = run,
	.help = help,
	.takes_config = true,
	.takes_files = true,
};
