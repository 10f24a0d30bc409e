/*
 * What the kernel tells of a thread of this process while it runs: the CPU it is on, the CPUs it
 * may be on, and how long it had one or waited for one. Nothing is stopped by the question.
 */
#include "cpu_mask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* proc(5) /proc/PID/stat: after the name, which may have anything in it but ends with the last ")",
 * field 3 follows. */
#define FIRST_FIELD     3
#define FIELD_PROCESSOR 39

/* A line of /proc/self/task/TID/FILE, cut to buf. */
static int read_line(pid_t tid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, file);
	AX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, buf, size - 1);
	if (length < 0)
		return -errno;
	buf[length] = '\0';
	return 0;
}

static int find_cpu(const char *line)
{
	const char *at = strrchr(line, ')');
	int cpu = -1;

	for (int field = FIRST_FIELD; at && field <= FIELD_PROCESSOR; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%d", &cpu) == 1 ? cpu : -1;
}

void ax_cpu_mask_format(const struct cpu_mask *mask, char *buf, size_t buf_size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!CPU_ISSET_S(cpu, sizeof(*mask), mask->sets))
			continue;
		int last = cpu;
		while (last + 1 < MAX_CPUS && CPU_ISSET_S(last + 1, sizeof(*mask), mask->sets))
			last++;
		const char *comma = used ? "," : "";
		char range[32];
		if (last > cpu)
			snprintf(range, sizeof(range), "%s%d-%d", comma, cpu, last);
		else
			snprintf(range, sizeof(range), "%s%d", comma, cpu);
		if (used + strlen(range) + sizeof("...") > buf_size) {
			snprintf(buf + used, buf_size - used, "...");
			return;
		}
		used += (size_t)snprintf(buf + used, buf_size - used, "%s", range);
		cpu = last;
	}
}

static struct cpu_mask mask_of(const int *cpus, size_t count)
{
	struct cpu_mask mask = {0};

	for (size_t i = 0; i < count; i++)
		if (cpus[i] >= 0 && cpus[i] < MAX_CPUS)
			CPU_SET_S(cpus[i], sizeof(mask), mask.sets);
	return mask;
}

char *ax_format_cpus(const int *cpus, size_t count, char *buf, size_t buf_size)
{
	const struct cpu_mask mask = mask_of(cpus, count);

	ax_cpu_mask_format(&mask, buf, buf_size);
	return buf;
}

static void look_at_mask(pid_t tid, struct ax_task *task)
{
	struct cpu_mask mask = {0};

	if (sched_getaffinity(tid, sizeof(mask), mask.sets) != 0)
		return;
	task->allowed_count = (uint32_t)CPU_COUNT_S(sizeof(mask), mask.sets);
	ax_cpu_mask_format(&mask, task->allowed, sizeof(task->allowed));
}

int ax_task_move(pid_t tid, const int *cpus, size_t count)
{
	const struct cpu_mask mask = mask_of(cpus, count);

	return sched_setaffinity(tid, sizeof(mask), mask.sets) != 0 ? -errno : 0;
}

void ax_cpu_mask_move_named(const struct cpu_mask *mask, const char *pattern)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *item;
	char name[32];

	while (tasks && (item = readdir(tasks))) {
		const pid_t tid = (pid_t)strtol(item->d_name, NULL, 10);

		if (tid <= 0 || read_line(tid, "comm", name, sizeof(name)))
			continue;
		name[strcspn(name, "\n")] = '\0';
		/* One that has ended, or that the kernel keeps where it is, stays. */
		if (fnmatch(pattern, name, 0) == 0)
			(void)sched_setaffinity(tid, sizeof(*mask), mask->sets);
	}
	if (tasks)
		closedir(tasks);
}

void ax_task_move_named(const char *pattern, const int *cpus, size_t count)
{
	const struct cpu_mask mask = mask_of(cpus, count);

	ax_cpu_mask_move_named(&mask, pattern);
}

int ax_task_look(pid_t tid, struct ax_task *ret_task)
{
	struct ax_task task = {.cpu = -1};
	unsigned long long run_ns, wait_ns;
	char line[1024];
	int rc = read_line(tid, "stat", line, sizeof(line));

	if (rc)
		return rc;
	task.cpu = find_cpu(line);
	look_at_mask(tid, &task);
	/* Documentation/scheduler/sched-stats.rst; not in every kernel. */
	if (read_line(tid, "schedstat", line, sizeof(line)) == 0 &&
	    sscanf(line, "%llu %llu", &run_ns, &wait_ns) == 2) {
		task.has_times = true;
		task.run_ns = run_ns;
		task.wait_ns = wait_ns;
	}
	*ret_task = task;
	return 0;
}
