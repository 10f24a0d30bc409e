/*
 * What other VMs claim after this one has begun is theirs from then on, and what they give up is
 * there again: the first I/O thread watches the ledger and has threads moved that have no CPU
 * claimed for them. Those are all of a VM that shares (sharing.c), and here the I/O threads and the
 * helpers (aside.c) of one with a plan. What the configuration pins stays. Without inotify or a
 * ledger nobody is moved.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* An entry's lock goes a moment after its file is closed, which is what the kernel tells of. And
 * whoever fills the directory with files makes us look no more often than this. */
#define SETTLE_NS 20000000ULL
/* While a VM starts, some of its threads are not there yet. */
#define MAX_TRIES 250

static bool is_claimed_here(const struct axvm *vm, uint32_t id)
{
	const struct axplace_plan *plan = vm->placement.plan;

	return plan && axvm_has_id(plan->claims, plan->claim_count, id);
}

/* Of a thread that is on its way to another mask: on the loop whose thread that is. */
struct move {
	struct ax_loop *loop;
	size_t count;
	int ids[];
};

static void move_io(void *arg)
{
	struct move *move = arg;

	if (ax_task_move(0, move->ids, move->count) == 0)
		ax_loop_confine(move->loop);
	free(move);
}

/* CPUs that nobody has claimed; among those planned also our own. NULL: none, or no memory. */
static struct move *collect(const struct axvm *vm, const struct axledger_held *held,
			    struct vm_cpus among)
{
	const struct axhost_facts *facts = &vm->facts;
	struct move *move = malloc(sizeof(*move) + facts->cpu_count * sizeof(*move->ids));

	if (!move)
		return NULL;
	move->count = 0;
	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];
		bool wanted = !among.count && axvm_is_for_all(vm, cpu);

		for (size_t k = 0; k < among.count && !wanted; k++)
			wanted = among.ids[k] == (int)cpu->id && cpu->online && cpu->allowed;
		if (wanted && (!axvm_has_id(held->cpus, held->cpu_count, cpu->id) ||
			       (among.count && is_claimed_here(vm, cpu->id))))
			move->ids[move->count++] = (int)cpu->id;
	}
	if (move->count)
		return move;
	free(move);
	return NULL;
}

/* As planned while there is room, else wherever there is, else beside our vCPUs. */
static struct move *find_room(const struct axvm *vm, const struct axledger_held *held,
			      struct vm_cpus planned)
{
	const struct axplace_plan *plan = vm->placement.plan;
	const struct vm_cpus choices[] = {
		planned, {0}, {(const int *)plan->claims, plan->claim_count}};
	struct move *move = NULL;

	for (size_t i = 0; i < AX_ARRAY_LEN(choices) && !move; i++)
		move = collect(vm, held, choices[i]);
	return move;
}

/* CPU numbers are small: the same objects as ints. */
static struct vm_cpus housekeeping(const struct axvm *vm)
{
	const struct axplace_plan *plan = vm->placement.plan;

	return (struct vm_cpus){(const int *)plan->housekeeping, plan->housekeeping_count};
}

static void move_all(struct axvm *vm, const struct axledger_held *held)
{
	struct move *move;

	for (unsigned i = vm->config->io.affinity.count; i < vm->io_count; i++) {
		move = find_room(vm, held, axvm_io_cpus(vm, i));
		if (!move)
			continue;
		move->loop = vm->io_loops[i];
		if (ax_loop_post(vm->io_loops[i], move_io, move))
			free(move);
	}
	move = find_room(vm, held, housekeeping(vm));
	if (move)
		axvm_move_aside(vm, move->ids, move->count);
	free(move);
}

/* Has anybody else claimed one of them? */
static bool is_wanted(const struct axvm *vm, const struct axledger_held *held, struct vm_cpus cpus)
{
	for (size_t i = 0; i < cpus.count; i++)
		if (axvm_has_id(held->cpus, held->cpu_count, (uint32_t)cpus.ids[i]) &&
		    !is_claimed_here(vm, (uint32_t)cpus.ids[i]))
			return true;
	return false;
}

static void spare(struct axvm *vm, const struct axledger_held *held)
{
	bool wanted = is_wanted(vm, held, housekeeping(vm));

	for (unsigned i = vm->config->io.affinity.count; i < vm->io_count; i++)
		wanted |= is_wanted(vm, held, axvm_io_cpus(vm, i));
	/* Who was moved by somebody else stays there. */
	if (atomic_exchange(&vm->placement.yielded, wanted) || wanted)
		move_all(vm, held);
}

static void make_room(void *ctx, int fd, uint32_t events)
{
	struct axvm *vm = ctx;
	struct vm_placement *place = &vm->placement;
	struct axledger_held held = {0};
	struct axledger *ledger = NULL;
	struct ax_error err = {0};
	bool again = false;
	int rc;

	(void)fd;
	(void)events;
	ax_loop_modify_fd(place->watch, EPOLLIN);
	rc = axledger_open(place->directory, 0, &ledger, &err);
	if (!rc)
		rc = axledger_held(ledger, &held, &err);
	axledger_close(ledger);
	if (rc == -ETIMEDOUT) /* somebody plans just now */
		again = true;
	else if (rc)
		ax_log(AX_LOG_WARN, "placement", "%s does not see what others claim: %s",
		       vm->config->name, err.message);
	else if (place->plan && !place->floats)
		spare(vm, &held);
	else
		again = !axvm_share_anew(vm, &held) && ++place->tries < MAX_TRIES;
	if (again)
		ax_loop_set_timer(place->settle, SETTLE_NS, 0);
	axledger_held_free(&held);
}

static void on_change(void *ctx, int fd, uint32_t events)
{
	struct axvm *vm = ctx;
	char names[4096]; /* which they are does not matter */

	(void)events;
	while (read(fd, names, sizeof(names)) > 0)
		;
	ax_loop_modify_fd(vm->placement.watch, 0);
	vm->placement.tries = 0;
	ax_loop_set_timer(vm->placement.settle, SETTLE_NS, 0);
}

/* An entry gets its name when it is complete, and is closed with its VM. */
void axvm_watch_claims(struct axvm *vm, const struct axledger *ledger)
{
	struct vm_placement *place = &vm->placement;

	place->directory = strdup(axledger_directory(ledger));
	place->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!place->directory || place->watch_fd < 0 ||
	    inotify_add_watch(place->watch_fd, place->directory,
			      IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		ax_log(AX_LOG_WARN, "placement",
		       "%s will not leave CPUs that others claim later: %s%s", vm->config->name,
		       strerror(errno),
		       errno == EMFILE
			       ? "; raise fs.inotify.max_user_instances (sysctl), or ulimit -n"
		       : errno == ENOSPC ? "; raise fs.inotify.max_user_watches (sysctl)"
					 : "");
}

int axvm_follow_claims(struct axvm *vm, struct ax_error *err)
{
	struct vm_placement *place = &vm->placement;
	int rc;

	if (!place->directory || place->watch_fd < 0)
		return 0;
	rc = ax_loop_add_timer(vm->io_loops[0], AX_TIMER_OFF, 0, make_room, vm, &place->settle,
			       err);
	return rc ? rc
		  : ax_loop_add_fd(vm->io_loops[0], place->watch_fd, EPOLLIN, on_change, vm,
				   &place->watch, err);
}
