/*
 * The VMs that `axvm top` watches: found and asked. A VM that ends is forgotten, one that is new is
 * seen first without rates.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 1000U /* of all that are asked */
#define RETRY_MS   5     /* for a place in a queue, which cannot be polled for */

/* ---- looking --------------------------------------------------------------------------------- */

static void forget(struct top_vm *vm)
{
	for (size_t i = 0; i < vm->ipi_count; i++)
		axhost_ipis_close(vm->ipis[i].counter);
	free(vm->ipis);
	axvm_live_free(vm->earlier);
	axvm_live_free(vm->later);
	axapi_disconnect(vm->client);
	*vm = (struct top_vm){0};
}

/* vCPU threads are known after the first look; their IPIs count from then on. */
static void count_ipis(struct top_vm *vm)
{
	const struct axvm_live *live = vm->later;
	uid_t uid;

	/* Thread ids mean something to us only if its process has the same number here. */
	if (!vm->ipis && axapi_peer(vm->client, &uid) == live->pid) {
		vm->ipis = calloc(live->vcpu_count + 1, sizeof(*vm->ipis));
		vm->ipi_count = vm->ipis ? live->vcpu_count : 0;
	}
	for (size_t i = 0; vm->ipis && i < vm->ipi_count && i < live->vcpu_count; i++) {
		struct top_ipis *ipis = &vm->ipis[i];

		if (ipis->tid != live->vcpus[i].thread.tid) {
			axhost_ipis_close(ipis->counter);
			*ipis = (struct top_ipis){.tid = live->vcpus[i].thread.tid};
			if (ipis->tid && axhost_ipis_open(ipis->tid, &ipis->counter, NULL))
				ipis->counter = NULL;
		}
		ipis->earlier = ipis->later;
		if (ipis->counter)
			ipis->later = axhost_ipis_read(ipis->counter);
	}
}

/* As far as it goes without waiting. -ETIMEDOUT: it can be tried again. */
static int ask(struct top *top, struct top_vm *vm, struct ax_error *err)
{
	struct axvm_live *live;
	int rc = 0;

	if (!vm->client) {
		rc = axapi_connect(vm->found.path, 0, &vm->client, err);
		if (!rc)
			rc = axapi_check_peer(vm->client, &vm->found, err);
	}
	if (!rc)
		rc = axapi_get_stats(vm->client, 0, &live, err);
	if (rc)
		return rc;
	axvm_live_free(vm->earlier);
	vm->earlier = vm->later;
	vm->later = live;
	/* It has been started anew: nothing can be subtracted. */
	if (vm->earlier && (vm->earlier->vcpu_count != live->vcpu_count ||
			    vm->earlier->io_count != live->io_count ||
			    vm->earlier->device_count != live->device_count ||
			    live->at_ns - live->runtime_ns > vm->earlier->at_ns)) {
		axvm_live_free(vm->earlier);
		vm->earlier = NULL;
	}
	if (top->wants_ipis)
		count_ipis(vm);
	return 0;
}

static struct top_vm *find_known(const struct top *top, const struct axapi_vm *found)
{
	for (size_t i = 0; i < top->count; i++)
		if (!strcmp(top->vms[i].found.path, found->path))
			return &top->vms[i];
	return NULL;
}

/* ---- errors that help ------------------------------------------------------------------------ */

static int none_runs(const struct top *top, struct ax_error *err)
{
	if (top->closed) {
		ax_error_set(err, AX_ERROR_NOT_FOUND, EACCES,
			     "no VM that this user may ask runs, but %zu of other users",
			     top->closed);
		return ax_error_hint(err, "ask as their user, or as root");
	}
	ax_error_set(err, AX_ERROR_NOT_FOUND, ENOENT, "no VM runs");
	return ax_error_hint(err, "start one with `axvm run`; in another container or with another "
				  "AXVM_RUN_DIR it is not seen");
}

/* One more of a list for a hint, of which `left` are to come, this one included. False: there was
 * room for their number only. */
static bool list_one(char *list, size_t size, const char *item, size_t left)
{
	const size_t used = strlen(list);

	if (used + 2 + strlen(item) + sizeof(" and 4294967295 more") > size) {
		snprintf(list + used, size - used, " and %zu more", left);
		return false;
	}
	snprintf(list + used, size - used, "%s%s", used ? ", " : "", item);
	return true;
}

static int not_among(const struct top *top, const struct axapi_vms *vms, struct ax_error *err)
{
	char names[256] = "", one[128];
	bool room = true;

	for (size_t i = 0; i < vms->count && room; i++) {
		snprintf(one, sizeof(one), "%s (%d)", vms->vms[i].name, (int)vms->vms[i].pid);
		room = list_one(names, sizeof(names), one, vms->count - i);
	}
	ax_error_set(err, AX_ERROR_NOT_FOUND, ENOENT, "no VM '%.64s' runs", top->wanted);
	return vms->count ? ax_error_hint(err, "these run: %s", names)
			  : ax_error_hint(err, "none runs at all");
}

/* Names are the users'. */
static int too_many(const struct top *top, struct ax_error *err)
{
	char pids[256] = "", one[64];
	bool room = true;

	for (size_t i = 0; i < top->count && room; i++) {
		snprintf(one, sizeof(one), "%d (user %u)", (int)top->vms[i].found.pid,
			 (unsigned)top->vms[i].found.uid);
		room = list_one(pids, sizeof(pids), one, top->count - i);
	}
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%zu VMs are called '%.64s'", top->count,
		     top->wanted);
	return ax_error_hint(err, "name one by its pid: %s", pids);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct asked {
	struct top_vm vm;
	int rc;
	struct ax_error err;
};

/* Those that were found, are wanted and may be asked; what is known of them goes with them. */
static size_t choose(struct top *top, const struct axapi_vms *vms, struct asked *asked)
{
	size_t count = 0;

	top->closed = 0;
	for (size_t i = 0; i < vms->count; i++) {
		struct top_vm *known = find_known(top, &vms->vms[i]);

		if (top->wanted && !axapi_is_called(&vms->vms[i], top->wanted))
			continue;
		if (vms->vms[i].is_closed) {
			top->closed++;
			continue;
		}
		asked[count] = (struct asked){.vm = {.found = vms->vms[i]}, .rc = -ETIMEDOUT};
		if (known) {
			asked[count].vm = *known;
			*known = (struct top_vm){0};
		}
		count++;
	}
	return count;
}

/* By one that ends, or that has room for so many and drops who was silent longest: connecting again
 * tells. */
static bool was_dropped(int rc)
{
	return rc == -ECONNRESET || rc == -EPIPE;
}

/* All at once and within one limit: however many hang, they hold up the others no longer than one.
 */
static void ask_all(struct top *top, struct asked *asked, size_t count, struct pollfd *fds)
{
	const uint64_t end_ns = ax_clock_ns() + TIMEOUT_MS * 1000000ULL;
	bool waits = true;

	for (uint64_t now = 0; waits && now < end_ns;) {
		bool retries = false;
		int left_ms;

		waits = false;
		for (size_t i = 0; i < count; i++) {
			fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
			if (asked[i].rc == -ETIMEDOUT)
				asked[i].rc = ask(top, &asked[i].vm, &asked[i].err);
			if (was_dropped(asked[i].rc)) {
				axapi_disconnect(asked[i].vm.client);
				asked[i].vm.client = NULL;
				asked[i].rc = -ETIMEDOUT;
			}
			if (asked[i].rc != -ETIMEDOUT)
				continue;
			waits = true;
			if (asked[i].vm.client)
				fds[i].fd = axapi_fd(asked[i].vm.client);
			else
				retries = true;
		}
		now = ax_clock_ns();
		left_ms = now < end_ns ? (int)((end_ns - now) / 1000000) + 1 : 0;
		if (waits)
			(void)poll(fds, count, retries && left_ms > RETRY_MS ? RETRY_MS : left_ms);
	}
}

/* Keeps those that have answered. The first failure is told when nothing else can be. */
static size_t keep(struct top *top, struct asked *asked, size_t count, struct top_vm *kept,
		   struct ax_error *first)
{
	size_t kept_count = 0;

	top->silent = top->late = 0;
	for (size_t i = 0; i < count; i++) {
		const struct ax_error *err = &asked[i].err;

		if (!asked[i].rc) {
			kept[kept_count++] = asked[i].vm;
			continue;
		}
		forget(&asked[i].vm);
		/* Gone between being found and being asked is no failure. */
		if (err->sys_errno == ECONNREFUSED || err->sys_errno == ENOENT)
			continue;
		top->silent++;
		top->late += asked[i].rc == -ETIMEDOUT;
		if (first->kind == AX_ERROR_NONE)
			*first = *err;
	}
	return kept_count;
}

static int no_memory(struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a look");
}

/* A look at each of those that were found; the others are forgotten. */
static int renew(struct top *top, const struct axapi_vms *vms, struct ax_error *first)
{
	AX_AUTO_FREE struct asked *asked = calloc(vms->count + 1, sizeof(*asked));
	AX_AUTO_FREE struct pollfd *fds = calloc(vms->count + 1, sizeof(*fds));
	struct top_vm *kept = calloc(vms->count + 1, sizeof(*kept));
	size_t count;

	if (!asked || !fds || !kept) {
		free(kept);
		return no_memory(first);
	}
	count = choose(top, vms, asked);
	ask_all(top, asked, count, fds);
	count = keep(top, asked, count, kept, first);
	top_finish(top);
	top->vms = kept;
	top->count = count;
	top->seen = top->seen || count;
	return 0;
}

int top_look(struct top *top, struct ax_error *err)
{
	struct ax_error first = {0};
	struct axapi_vms vms = {0};
	int rc = axapi_find(run_directory(), &vms, err);

	if (rc)
		return rc;
	rc = renew(top, &vms, &first);
	if (!rc && top->seen && !top->count && top->late) {
		rc = 0; /* it is stopped, or waits for a CPU, and may come back */
	} else if (rc || (!top->count && first.kind != AX_ERROR_NONE)) {
		*err = first;
		rc = -first.sys_errno;
	} else if (!top->count) {
		rc = top->wanted && !top->closed ? not_among(top, &vms, err) : none_runs(top, err);
	} else if (top->count > 1 && top->wanted) {
		rc = too_many(top, err);
	}
	axapi_vms_free(&vms);
	return rc;
}

void top_finish(struct top *top)
{
	for (size_t i = 0; i < top->count; i++)
		forget(&top->vms[i]);
	free(top->vms);
	top->vms = NULL;
	top->count = 0;
}
