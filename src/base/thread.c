/*
 * Threads: named, pinned and in their scheduling class before their function runs, with a small
 * stack of their own, deaf to every signal but the kick.
 *
 * Owns: the kick signal and its empty handler. Leaves to callers: which CPU is the right one, and
 * ending the thread's function before joining.
 */
#include "cpu_mask.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_STACK_BYTES (256 * AX_KIB)
#define NAME_BYTES          16 /* TASK_COMM_LEN, with its NUL */

struct ax_thread {
	pthread_t pthread;
	void (*fn)(void *arg);
	void *arg;
	char name[NAME_BYTES];
	bool pinned;
	struct cpu_mask wanted;
	int policy, priority;
	int missing_cpu;  /* asked for but not granted; -1: none. Written before `started`. */
	int policy_errno; /* likewise; 0: granted */
	pid_t tid;
	sem_t started;
};

static void on_kick(int sig)
{
	(void)sig; /* its only use is that the system call returns EINTR */
}

static void install_kick_handler(void)
{
	struct sigaction action = {.sa_handler = on_kick}; /* no SA_RESTART */

	sigemptyset(&action.sa_mask);
	sigaction(SIGRTMIN + 1, &action, NULL);
}

/*
 * Blocked in every thread: all that someone sends us. Not blocked: the kick, and the signals that
 * stand for a fault of the running instruction - blocking those would not hold them back, it would
 * only take the program's handler away (SIGBUS of a truncated backing ends in a clean exit).
 */
static void thread_signal_mask(sigset_t *ret_mask)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

	sigfillset(ret_mask);
	for (size_t i = 0; i < AX_ARRAY_LEN(faults); i++)
		sigdelset(ret_mask, faults[i]);
	sigdelset(ret_mask, SIGRTMIN + 1);
}

/* What this thread was refused, or -1. The kernel drops unknown CPUs from a mask in silence. */
static int find_missing_cpu(const struct cpu_mask *wanted)
{
	struct cpu_mask granted = {0};

	if (sched_getaffinity(0, sizeof(granted), granted.sets) != 0)
		return -1;
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (CPU_ISSET_S(cpu, sizeof(*wanted), wanted->sets) &&
		    !CPU_ISSET_S(cpu, sizeof(granted), granted.sets))
			return cpu;
	}
	return -1;
}

static void *thread_main(void *opaque)
{
	struct ax_thread *thread = opaque;

	pthread_setname_np(pthread_self(), thread->name);
	thread->tid = gettid();
	thread->missing_cpu = thread->pinned ? find_missing_cpu(&thread->wanted) : -1;
	if (thread->policy != SCHED_OTHER &&
	    sched_setscheduler(0, thread->policy,
			       &(struct sched_param){.sched_priority = thread->priority}) != 0)
		thread->policy_errno = errno;
	bool go = thread->missing_cpu < 0 && !thread->policy_errno;
	void (*fn)(void *arg) = thread->fn;
	void *arg = thread->arg;
	sem_post(&thread->started);
	if (go)
		fn(arg);
	return NULL;
}

/* A thread of its own finds out what the cpuset allows, so that the caller's mask stays as it is.
 */
static void *probe_allowed_main(void *opaque)
{
	struct cpu_mask *allowed = opaque;
	struct cpu_mask all;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), all.sets);
	(void)sched_getaffinity(0, sizeof(*allowed), allowed->sets);
	return NULL;
}

static int refuse_cpu(struct ax_error *err, const char *name, int cpu)
{
	struct cpu_mask allowed = {0};
	pthread_t probe;
	char list[160] = "unknown";

	if (pthread_create(&probe, NULL, probe_allowed_main, &allowed) == 0) {
		pthread_join(probe, NULL);
		ax_cpu_mask_format(&allowed, list, sizeof(list));
	}
	ax_error_set(err, AX_ERROR_THREAD, EINVAL,
		     "cannot pin thread \"%s\" to host CPU %d: not among the allowed CPUs %s", name,
		     cpu, list);
	return ax_error_hint(err, "choose host CPUs out of %s, or widen the cpuset", list);
}

static int refuse_policy(struct ax_error *err, const struct ax_thread *thread)
{
	const bool real_time = thread->policy == SCHED_FIFO || thread->policy == SCHED_RR;

	ax_error_set(err, AX_ERROR_THREAD, thread->policy_errno,
		     "cannot give thread \"%s\" the scheduling class %d with priority %d: %s",
		     thread->name, thread->policy, thread->priority,
		     strerror(thread->policy_errno));
	return ax_error_hint(err, real_time && thread->policy_errno == EPERM
					  ? "it takes CAP_SYS_NICE, or a limit of real-time "
					    "priority (ulimit -r) that high"
					  : "choose another scheduling class");
}

/* Fills thread->wanted. A negative errno for a number that no Linux could have. */
static int collect_cpus(struct ax_thread *thread, const struct ax_thread_config *config,
			struct ax_error *err)
{
	if (!config->cpus || !config->cpu_count)
		return 0;
	for (size_t i = 0; i < config->cpu_count; i++) {
		int cpu = config->cpus[i];
		if (cpu < 0 || cpu >= MAX_CPUS)
			return refuse_cpu(err, thread->name, cpu);
		CPU_SET_S(cpu, sizeof(thread->wanted), thread->wanted.sets);
	}
	thread->pinned = true;
	return 0;
}

/* pthread_create with the attributes; positive error number as pthread_create's. */
static int create_pthread(struct ax_thread *thread, size_t stack_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	sigset_t mask, saved;
	pthread_attr_t attr;

	if (!stack_bytes)
		stack_bytes = DEFAULT_STACK_BYTES;
	if (stack_bytes < least)
		stack_bytes = least;

	int rc = pthread_attr_init(&attr);
	if (rc != 0)
		return rc;
	rc = pthread_attr_setstacksize(&attr, ax_align_up(stack_bytes, page));
	if (rc == 0 && thread->pinned)
		rc = pthread_attr_setaffinity_np(&attr, sizeof(thread->wanted),
						 thread->wanted.sets);
	if (rc == 0) {
		/* The mask is inherited: the thread never lives with another one. */
		thread_signal_mask(&mask);
		pthread_sigmask(SIG_SETMASK, &mask, &saved);
		rc = pthread_create(&thread->pthread, &attr, thread_main, thread);
		pthread_sigmask(SIG_SETMASK, &saved, NULL);
	}
	pthread_attr_destroy(&attr);
	return rc;
}

int ax_thread_start(const struct ax_thread_config *config, void (*fn)(void *arg), void *arg,
		    struct ax_thread **ret_thread, struct ax_error *err)
{
	static pthread_once_t kick_once = PTHREAD_ONCE_INIT;

	pthread_once(&kick_once, install_kick_handler);

	struct ax_thread *thread = calloc(1, sizeof(*thread));
	if (!thread)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a thread");
	thread->fn = fn;
	thread->arg = arg;
	thread->policy = config->policy;
	thread->priority = config->priority;
	snprintf(thread->name, sizeof(thread->name), "%s", config->name ? config->name : "ax");
	sem_init(&thread->started, 0, 0);

	int rc = collect_cpus(thread, config, err);
	if (rc < 0)
		goto fail;
	rc = create_pthread(thread, config->stack_bytes);
	if (rc == EINVAL && thread->pinned) { /* not one CPU of the mask exists */
		rc = refuse_cpu(err, thread->name, config->cpus[0]);
		goto fail;
	}
	if (rc != 0) {
		rc = ax_error_set(err, AX_ERROR_THREAD, rc, "cannot start thread \"%s\": %s",
				  thread->name, strerror(rc));
		if (rc == -EAGAIN)
			ax_error_hint(err, "raise the limit of processes (ulimit -u, pids.max of "
					   "the control group)");
		goto fail;
	}
	while (sem_wait(&thread->started) != 0)
		; /* EINTR */
	if (thread->missing_cpu >= 0 || thread->policy_errno) {
		pthread_join(thread->pthread, NULL);
		rc = thread->policy_errno ? refuse_policy(err, thread)
					  : refuse_cpu(err, thread->name, thread->missing_cpu);
		goto fail;
	}
	*ret_thread = thread;
	return 0;
fail:
	sem_destroy(&thread->started);
	free(thread);
	return rc;
}

void ax_thread_join(struct ax_thread *thread)
{
	if (!thread)
		return;
	int rc = pthread_join(thread->pthread, NULL);
	assert(rc == 0); /* a thread that joins itself, or twice */
	(void)rc;
	sem_destroy(&thread->started);
	free(thread);
}

pid_t ax_thread_tid(const struct ax_thread *thread)
{
	return thread->tid;
}

void ax_thread_kick(struct ax_thread *thread)
{
	/* POSIX keeps the id valid until the join: for a thread that has returned this does
	 * nothing. (gettid + tgkill would not do: the number may belong to another by then.) */
	/* A real-time signal is refused while the user's queue of signals is full, whoever filled
	 * it; a kick that is not sent would leave a vCPU in the guest. When our own kicks fill it,
	 * one is pending already, so there is an end to trying. */
	for (int tries = 0; tries < 1000; tries++) {
		if (pthread_kill(thread->pthread, SIGRTMIN + 1) != EAGAIN)
			return;
		sched_yield();
	}
}
