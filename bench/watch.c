/*
 * watch [-c] RESULT COMMAND...    runs COMMAND, a monitor; takes stock at the marks of its guest
 *
 * Marks 2N and 2N + 1 (hypercalls 0xbe00 + mark, see tools/guest/axload) enclose a load; for each
 * pair RESULT gets the line
 *
 *   span MARK cpu NS vcpu NS exits N user N syscalls N
 *
 * CPU time of the whole process, dead threads and its vhost threads included, and of the threads
 * that run vCPUs; KVM's exits, those of them that reached the process, and its system calls, all
 * counted by the kernel's tracepoints for this process. With -c the line goes on with the exits by
 * cause and the guest's interrupts between CPUs. The last line is
 *
 *   end STATUS faults N exits N ...       the page faults of the process, and all that was counted
 *
 * Needs root and tracefs; static, so that it runs wherever the monitors do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"
#define TRACE   TRACING "/instances/watch"

/* AMD's and Intel's exit codes: APM volume 2 appendix C, SDM volume 3 appendix C. */
#define EXIT(svm, vmx) "(isa == 2 && exit_reason == " #svm ") || (isa == 1 && " vmx ")"
#define IS(vmx)        "exit_reason == " #vmx
/* Linux' vectors for IPIs, from IRQ_WORK on; below are the timer's and the devices'. */
#define IPI_VECTOR "vec >= 0xf6"

static const struct counter {
	const char *name, *event, *filter;
} counters[] = {
	{"exits", "kvm/kvm_exit", NULL},
	{"user", "kvm/kvm_userspace_exit", NULL},
	{"syscalls", "raw_syscalls/sys_enter", NULL},
	/* with -c: exits */
	{"halt", "kvm/kvm_exit", EXIT(0x78, IS(12))},
	{"host", "kvm/kvm_exit", EXIT(0x60, IS(1))},
	{"window", "kvm/kvm_exit", EXIT(0x64, IS(7))},
	{"npf", "kvm/kvm_exit", EXIT(0x400, "(" IS(48) " || " IS(49) ")")},
	{"hypercall", "kvm/kvm_exit", EXIT(0x81, IS(18))},
	{"pause", "kvm/kvm_exit", EXIT(0x77, IS(40))},
	{"msr", "kvm/kvm_exit", EXIT(0x7c, "(" IS(31) " || " IS(32) ")")},
	{"io", "kvm/kvm_exit", EXIT(0x7b, IS(30))},
	{"cpuid", "kvm/kvm_exit", EXIT(0x72, IS(10))},
	/* what the MSRs and hypercalls were, and what came of them */
	{"icr", "kvm/kvm_msr", "write == 1 && ecx == 0x830"},
	{"deadline", "kvm/kvm_msr", "write == 1 && ecx == 0x6e0"},
	{"eoi", "kvm/kvm_msr", "write == 1 && ecx == 0x80b"},
	{"pvipi", "kvm/kvm_hypercall", "nr == 10"},
	{"sent", "kvm/kvm_apic_ipi", NULL},
	{"received", "kvm/kvm_apic_accept_irq", IPI_VECTOR},
};
enum { ALWAYS = 3, COUNTERS = sizeof(counters) / sizeof(counters[0]) };
static int counting[COUNTERS];
static int counter_count = ALWAYS;

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
	for (int i = 0; i < counter_count; i++) {
		const struct counter *counter = &counters[i];
		struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
					       .size = sizeof(attr),
					       .disabled = 1,
					       .inherit = 1,
					       .enable_on_exec = 1};
		char path[128], id[32];

		snprintf(path, sizeof(path), TRACING "/events/%s/id", counter->event);
		if (!get(path, id, sizeof(id)))
			die(path);
		attr.config = strtoull(id, NULL, 10);
		counting[i] = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1,
					   (unsigned long)PERF_FLAG_FD_CLOEXEC);
		if (counting[i] < 0 ||
		    (counter->filter &&
		     ioctl(counting[i], PERF_EVENT_IOC_SET_FILTER, counter->filter) < 0))
			die(counter->name);
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

static void read_counts(uint64_t *counts)
{
	for (int i = 0; i < counter_count; i++)
		if (read(counting[i], &counts[i], sizeof(counts[i])) < 0)
			die("perf event");
}

static void print_counts(const uint64_t *counts, FILE *out)
{
	for (int i = 0; i < counter_count; i++)
		fprintf(out, " %s %" PRIu64, counters[i].name, counts[i]);
	fputc('\n', out);
	fflush(out);
}

static void take_stock(pid_t pid, struct stock *ret)
{
	struct timespec t = {0};
	clockid_t clock;

	if (!clock_getcpuclockid(pid, &clock))
		clock_gettime(clock, &t);
	ret->cpu_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + vhost_ns(pid);
	ret->vcpu_ns = vcpus_ns(pid);
	read_counts(ret->count);
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
		for (int i = 0; i < counter_count; i++)
			now.count[i] -= before.count[i];
		fprintf(out, "span %u cpu %" PRIu64 " vcpu %" PRIu64, begun,
			now.cpu_ns - before.cpu_ns, now.vcpu_ns - before.vcpu_ns);
		print_counts(now.count, out);
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
	uint64_t counts[COUNTERS];
	struct rusage usage;
	char text[4096];
	FILE *out;

	if (argc > 1 && !strcmp(argv[1], "-c")) {
		counter_count = COUNTERS;
		argc--;
		argv++;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: watch [-c] RESULT COMMAND...\n");
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
	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		poll(&wait, 1, 200);
		const ssize_t n = read(wait.fd, text, sizeof(text) - 1);
		if (n <= 0)
			continue;
		text[n] = 0;
		for (char *at = text; (at = strstr(at, "nr 0xbe")); at++)
			at_mark(pid, (unsigned)strtoul(at + 7, NULL, 16), out);
	}
	put(TRACE "/events/kvm/kvm_hypercall/enable", "0");
	fprintf(out, "end %d faults %ld",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
		usage.ru_minflt + usage.ru_majflt);
	read_counts(counts);
	print_counts(counts, out);
	return fclose(out) ? 1 : 0;
}
