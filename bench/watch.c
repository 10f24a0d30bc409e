/*
 * watch RESULT COMMAND...    runs COMMAND, a monitor, and takes stock at the marks of its guest
 *
 * Marks 2N and 2N + 1 (hypercalls 0xbe00 + mark, see tools/guest/axload) enclose a load; for each
 * pair RESULT gets the line
 *
 *   span MARK cpu NS vcpu NS exits N user N syscalls N
 *
 * CPU time of the whole process, dead threads and its vhost threads included, and of the threads
 * that run vCPUs; KVM's exits, those of them that reached the process, and its system calls, all
 * counted by the kernel's tracepoints for this process. The last line is "end STATUS".
 * Needs root and tracefs; static, so that it runs wherever the monitors do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"
#define TRACE   TRACING "/instances/watch"

enum { EXITS, USER, SYSCALLS, COUNTERS };
static const char *const counter_names[] = {"kvm/kvm_exit", "kvm/kvm_userspace_exit",
					    "raw_syscalls/sys_enter"};
static int counters[COUNTERS];

struct stock {
	uint64_t cpu_ns, vcpu_ns, count[COUNTERS];
};

static void die(const char *what)
{
	fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static bool get(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n < 0 ? 0 : n] = 0;
	return n > 0;
}

/* Counts from the command's exec on, in all its threads. */
static void count_from_exec(pid_t pid)
{
	for (int i = 0; i < COUNTERS; i++) {
		struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
					       .size = sizeof(attr),
					       .disabled = 1,
					       .inherit = 1,
					       .enable_on_exec = 1};
		char path[128], id[32];

		snprintf(path, sizeof(path), TRACING "/events/%s/id", counter_names[i]);
		if (!get(path, id, sizeof(id)))
			die(path);
		attr.config = strtoull(id, NULL, 10);
		counters[i] = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1,
					   (unsigned long)PERF_FLAG_FD_CLOEXEC);
		if (counters[i] < 0)
			die(counter_names[i]);
	}
}

static uint64_t runtime_ns(const char *dir)
{
	char path[320], text[128];

	snprintf(path, sizeof(path), "%s/schedstat", dir);
	return get(path, text, sizeof(text)) ? strtoull(text, NULL, 10) : 0;
}

/* AxVM's vCPU threads are vcpu-0 and so on, QEMU's "CPU 0/KVM". */
static uint64_t vcpus_ns(pid_t pid)
{
	char path[300], comm[64];
	uint64_t sum = 0;
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", pid, entry->d_name);
		if (!get(path, comm, sizeof(comm)) ||
		    (strncmp(comm, "CPU ", 4) != 0 && !strstr(comm, "vcpu")))
			continue;
		*strrchr(path, '/') = 0;
		sum += runtime_ns(path);
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* Kernel threads that work for the process but are none of its own. */
static uint64_t vhost_ns(pid_t pid)
{
	char path[64], comm[64], want[64];
	uint64_t sum = 0;
	struct dirent *entry;

	snprintf(want, sizeof(want), "vhost-%d\n", pid);
	DIR *dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		if (!get(path, comm, sizeof(comm)) || strcmp(comm, want) != 0)
			continue;
		*strrchr(path, '/') = 0;
		sum += runtime_ns(path);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void take_stock(pid_t pid, struct stock *ret)
{
	struct timespec t = {0};
	clockid_t clock;

	if (!clock_getcpuclockid(pid, &clock))
		clock_gettime(clock, &t);
	ret->cpu_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + vhost_ns(pid);
	ret->vcpu_ns = vcpus_ns(pid);
	for (int i = 0; i < COUNTERS; i++)
		if (read(counters[i], &ret->count[i], sizeof(ret->count[i])) < 0)
			die("perf event");
}

static void at_mark(pid_t pid, unsigned mark, FILE *out)
{
	static struct stock before;
	static unsigned begun;
	struct stock now;

	take_stock(pid, &now);
	if (mark % 2 == 0) {
		before = now;
		begun = mark;
	} else if (mark == begun + 1) {
		fprintf(out, "span %u cpu %llu vcpu %llu exits %llu user %llu syscalls %llu\n",
			begun, (unsigned long long)(now.cpu_ns - before.cpu_ns),
			(unsigned long long)(now.vcpu_ns - before.vcpu_ns),
			(unsigned long long)(now.count[EXITS] - before.count[EXITS]),
			(unsigned long long)(now.count[USER] - before.count[USER]),
			(unsigned long long)(now.count[SYSCALLS] - before.count[SYSCALLS]));
		fflush(out);
	}
}

static int trace_marks(void)
{
	if (mkdir(TRACE, 0700) < 0 && errno != EEXIST)
		die(TRACE);
	put(TRACE "/events/kvm/kvm_hypercall/filter", "nr >= 0xbe00 && nr <= 0xbeff");
	put(TRACE "/events/kvm/kvm_hypercall/enable", "1");
	put(TRACE "/trace", "\n");
	const int fd = open(TRACE "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die(TRACE "/trace_pipe");
	return fd;
}

int main(int argc, char **argv)
{
	int go[2], status = 0;
	char text[4096];
	FILE *out;

	if (argc < 3) {
		fprintf(stderr, "usage: watch RESULT COMMAND...\n");
		return 64;
	}
	struct pollfd wait = {.fd = trace_marks(), .events = POLLIN};
	out = fopen(argv[1], "we");
	if (!out || pipe2(go, O_CLOEXEC))
		die(argv[1]);
	const pid_t pid = fork();
	if (pid == 0) {
		char byte;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_DFL);
		if (read(go[0], &byte, 1) == 1)
			execvp(argv[2], argv + 2);
		fprintf(stderr, "watch: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		die("fork");
	count_from_exec(pid);
	if (write(go[1], "", 1) != 1)
		die("pipe");
	while (waitpid(pid, &status, WNOHANG) == 0) {
		poll(&wait, 1, 200);
		const ssize_t n = read(wait.fd, text, sizeof(text) - 1);
		if (n <= 0)
			continue;
		text[n] = 0;
		for (char *at = text; (at = strstr(at, "nr 0xbe")); at++)
			at_mark(pid, (unsigned)strtoul(at + 7, NULL, 16), out);
	}
	put(TRACE "/events/kvm/kvm_hypercall/enable", "0");
	fprintf(out, "end %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return fclose(out) ? 1 : 0;
}
