/*
 * What the files of `axvm top` share: the VMs that are watched and the last two looks at each
 * (top_watch.c), whose rates (top_rates.c) are shown as tables (top_table.c) or JSON (top_json.c),
 * on a terminal in place (top_screen.c). The words of the command line are cmd_top.c's.
 */
#ifndef AXVM_CMD_TOP_H
#define AXVM_CMD_TOP_H

#include "cmd.h"

#include <axvm/api.h>
#include <axvm/host.h>

#include <math.h>
#include <stdio.h>

struct top_ipis {
	struct axhost_ipis *counter; /* NULL: they cannot be counted */
	pid_t tid;
	uint64_t earlier, later;
};

struct top_vm {
	struct axapi_vm found;
	struct axapi_client *client;
	struct axvm_live *earlier, *later; /* earlier NULL: there was one look only */
	struct top_ipis *ipis;             /* of each vCPU; NULL: not counted */
	size_t ipi_count;
};

struct top {
	const char *wanted; /* a name or a pid; NULL: all */
	bool wants_ipis;
	bool seen; /* there was a VM */
	struct top_vm *vms;
	size_t count;
	size_t closed; /* VMs of other users, which were not asked */
	size_t silent; /* VMs that did not answer, or nothing that can be understood */
	size_t late;   /* of these, those that may still do so */
};

/* One look at each VM: finds those that are new, forgets those that have ended. AX_ERROR_NOT_FOUND
 * when there is none, or not the one that is wanted. */
int top_look(struct top *top, struct ax_error *err);
void top_finish(struct top *top);

/* ---- what the two looks give: NAN where it is not known -------------------------------------- */

double top_seconds(const struct top_vm *vm);
/* By second. */
double top_rate(const struct top_vm *vm, uint64_t earlier, uint64_t later);
/* Counters of a member of the VM's parts, by second. */
struct top_thread_rates {
	double run, steal; /* shares of one CPU: 0 to 1 */
};
struct top_thread_rates top_thread(const struct top_vm *vm, const struct axvm_live_thread *earlier,
				   const struct axvm_live_thread *later);
double top_ipi_rate(const struct top_vm *vm, size_t vcpu);
double top_cpu(const struct top_vm *vm);   /* CPUs that the process has used */
double top_steal(const struct top_vm *vm); /* CPUs that its vCPUs have waited for */
double top_exits(const struct top_vm *vm); /* of all vCPUs, as KVM counts, else as we do */
double top_halts(const struct top_vm *vm);
/* Exits by none of the causes that are counted apart. */
double top_other(const struct top_vm *vm, size_t vcpu);
/* May the thread run on other CPUs than was planned? */
bool top_is_astray(const struct axvm_live_thread *thread);

/* ---- showing it ------------------------------------------------------------------------------ */

/* All VMs in a line each, or all of the only one. */
void top_print_tables(FILE *out, const struct top *top, unsigned columns);
/* One object in one line. */
int top_print_json(FILE *out, const struct top *top, struct ax_error *err);

/* Standard output; where it is a terminal that can do more than print, it is drawn on in place. */
struct top_screen {
	bool is_terminal, has_keys;
	unsigned columns, rows;
};
void top_screen_open(struct top_screen *screen);
void top_screen_close(struct top_screen *screen); /* as it was */
void top_screen_measure(struct top_screen *screen);
/* Cut to the terminal's size. */
void top_screen_draw(const struct top_screen *screen, const char *text);

#endif
