/*
 * A sample of `axvm top` for people: the VMs in a line each, or of one VM its vCPUs, I/O threads,
 * devices and memory. As many columns as fit; the most telling come first.
 */
#include "top.h"

#include <stdlib.h>
#include <string.h>

struct row { /* one vCPU */
	const struct top_vm *vm;
	size_t index;
	const struct axvm_live_vcpu *earlier, *later; /* earlier NULL: no rates yet */
};

/* ---- cells ----------------------------------------------------------------------------------- */

static void put_rate(char *buf, size_t size, double rate)
{
	if (isnan(rate))
		snprintf(buf, size, "-");
	else if (rate < 9.95)
		snprintf(buf, size, "%.1f", rate);
	else if (rate < 99999.5)
		snprintf(buf, size, "%.0f", rate);
	else if (rate < 9999500)
		snprintf(buf, size, "%.0fk", rate / 1e3);
	else
		snprintf(buf, size, "%.0fM", rate / 1e6);
}

static void put_share(char *buf, size_t size, double share)
{
	if (isnan(share))
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%.1f", share * 100);
}

static void put_index(const struct row *row, char *buf, size_t size)
{
	snprintf(buf, size, "%zu", row->index);
}

static void put_thread_cpu(const struct axvm_live_thread *thread, char *buf, size_t size)
{
	if (thread->task.cpu < 0)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%d%s", thread->task.cpu, top_is_astray(thread) ? "!" : "");
}

static void put_cpu(const struct row *row, char *buf, size_t size)
{
	put_thread_cpu(&row->later->thread, buf, size);
}

static void put_state(const struct row *row, char *buf, size_t size)
{
	snprintf(buf, size, "%s", axvcpu_state_name(row->later->state));
}

static struct top_thread_rates rates_of(const struct row *row)
{
	return top_thread(row->vm, row->earlier ? &row->earlier->thread : NULL,
			  &row->later->thread);
}

static void put_run(const struct row *row, char *buf, size_t size)
{
	put_share(buf, size, rates_of(row).run);
}

static void put_steal(const struct row *row, char *buf, size_t size)
{
	put_share(buf, size, rates_of(row).steal);
}

static void put_remote(const struct row *row, char *buf, size_t size)
{
	const struct axvm_live_vcpu *vcpu = row->later;

	put_share(buf, size,
		  vcpu->present_bytes ? (double)vcpu->remote_bytes / (double)vcpu->present_bytes
				      : (double)NAN);
}

static void put_other(const struct row *row, char *buf, size_t size)
{
	put_rate(buf, size, top_other(row->vm, row->index));
}

static void put_ipis(const struct row *row, char *buf, size_t size)
{
	put_rate(buf, size, top_ipi_rate(row->vm, row->index));
}

static void put_kicks(const struct row *row, char *buf, size_t size)
{
	put_rate(buf, size,
		 row->earlier ? top_rate(row->vm, row->earlier->own.kicks, row->later->own.kicks)
			      : (double)NAN);
}

static void put_asleep(const struct row *row, char *buf, size_t size)
{
	put_share(buf, size,
		  row->earlier ? top_rate(row->vm, row->earlier->kvm.halt_wait_ns,
					  row->later->kvm.halt_wait_ns) /
					 1e9
			       : (double)NAN);
}

/* What is too long ends where a number does: half of one would be another. */
static void put_allowed(const struct row *row, char *buf, size_t size)
{
	enum { WIDTH = 11 };
	const char *allowed = row->later->thread.task.allowed;
	size_t length = strlen(allowed);

	if (length > WIDTH) {
		length = WIDTH - 3;
		while (length && allowed[length] != ',')
			length--;
	}
	/* Of numbers so large that not one fits nothing is said. */
	snprintf(buf, size, "%.*s%s", (int)length, allowed,
		 !allowed[length] ? ""
		 : length         ? ",.."
				  : "..");
}

#define KVM_CELL(name)                                                                             \
	static void put_##name(const struct row *row, char *buf, size_t size)                      \
	{                                                                                          \
		put_rate(buf, size,                                                                \
			 row->earlier                                                              \
				 ? top_rate(row->vm, row->earlier->kvm.name, row->later->kvm.name) \
				 : (double)NAN);                                                   \
	}
KVM_CELL(exits)
KVM_CELL(halt_exits)
KVM_CELL(io_exits)
KVM_CELL(mmio_exits)
KVM_CELL(irq_exits)
KVM_CELL(hypercalls)
KVM_CELL(fault_exits)
KVM_CELL(sysreg_exits)
KVM_CELL(irq_window_exits)
KVM_CELL(signal_exits)
KVM_CELL(irq_injections)

static const struct column {
	const char *title;
	unsigned width;
	void (*put)(const struct row *row, char *buf, size_t size);
} columns_of_vcpus[] = {
	/* 79 columns */
	{"vCPU", 4, put_index},
	{"CPU", 5, put_cpu},
	{"STATE", 8, put_state},
	{"RUN%", 6, put_run},
	{"STEAL%", 7, put_steal},
	{"REM%", 6, put_remote},
	{"EXITS", 7, put_exits},
	{"HALT", 6, put_halt_exits},
	{"IO", 6, put_io_exits},
	{"MMIO", 6, put_mmio_exits},
	{"IRQ", 6, put_irq_exits},
	{"OTHER", 6, put_other},
	{"IPI", 6, put_ipis},
	/* where there is room */
	{"HCALL", 7, put_hypercalls},
	{"FAULT", 7, put_fault_exits},
	{"WINDOW", 7, put_irq_window_exits},
	{"SYSREG", 7, put_sysreg_exits},
	{"SIGNAL", 7, put_signal_exits},
	{"INJECT", 7, put_irq_injections},
	{"KICKS", 7, put_kicks},
	{"SLEEP%", 7, put_asleep},
	{"ALLOWED", 12, put_allowed},
};

/* ---- one VM ---------------------------------------------------------------------------------- */

static void print_vcpus(FILE *out, const struct top_vm *vm, unsigned columns)
{
	size_t count = 0;
	unsigned width = 0;

	while (count < AX_ARRAY_LEN(columns_of_vcpus) &&
	       width + columns_of_vcpus[count].width <= columns)
		width += columns_of_vcpus[count++].width;
	for (size_t c = 0; c < count; c++)
		fprintf(out, "%*s", (int)columns_of_vcpus[c].width, columns_of_vcpus[c].title);
	fprintf(out, "\n");
	for (size_t v = 0; v < vm->later->vcpu_count; v++) {
		const struct row row = {vm, v, vm->earlier ? &vm->earlier->vcpus[v] : NULL,
					&vm->later->vcpus[v]};
		char cell[32];

		for (size_t c = 0; c < count; c++) {
			columns_of_vcpus[c].put(&row, cell, sizeof(cell));
			/* Numbers are never cut; the first column needs no gap. */
			fprintf(out, "%s%*s", c ? " " : "",
				(int)columns_of_vcpus[c].width - (c != 0), cell);
		}
		fprintf(out, "\n");
	}
}

static void print_io(FILE *out, const struct top_vm *vm)
{
	fprintf(out, "\n I/O  CPU  RUN%% STEAL%%   WAKES SYSCALLS     OPS\n");
	for (size_t i = 0; i < vm->later->io_count; i++) {
		const struct axvm_live_io *b = &vm->later->io[i],
					  *a = vm->earlier ? &vm->earlier->io[i] : b;
		const struct top_thread_rates rates =
			top_thread(vm, vm->earlier ? &a->thread : NULL, &b->thread);
		char cpu[16], run[16], steal[16], wakes[16], calls[16], ops[16];

		put_thread_cpu(&b->thread, cpu, sizeof(cpu));
		put_share(run, sizeof(run), rates.run);
		put_share(steal, sizeof(steal), rates.steal);
		put_rate(wakes, sizeof(wakes), top_rate(vm, a->loop.wakeups, b->loop.wakeups));
		put_rate(calls, sizeof(calls), top_rate(vm, a->loop.syscalls, b->loop.syscalls));
		put_rate(ops, sizeof(ops), top_rate(vm, a->loop.ops, b->loop.ops));
		fprintf(out, "%4zu %4s %5s %6s %7s %8s %7s\n", i, cpu, run, steal, wakes, calls,
			ops);
	}
}

/* Devices that have served nothing yet take no line. */
static void print_devices(FILE *out, const struct top_vm *vm)
{
	bool any = false;

	for (size_t i = 0; i < vm->later->device_count; i++) {
		const struct axvirtio_stats *b = &vm->later->devices[i].stats,
					    *a = vm->earlier ? &vm->earlier->devices[i].stats : b;
		const uint64_t batches = b->batches - a->batches,
			       requests = b->requests - a->requests;
		char cells[6][16], mean[16];

		if (!b->requests)
			continue;
		if (!any)
			fprintf(out, "\n%-12s %8s %8s %8s %8s %8s %8s %8s\n", "DEVICE", "REQUESTS",
				"KICKS", "BATCHES", "PER", "IRQS", "SPARED", "KiB");
		any = true;
		put_rate(cells[0], sizeof(cells[0]), top_rate(vm, a->requests, b->requests));
		put_rate(cells[1], sizeof(cells[1]), top_rate(vm, a->kicks, b->kicks));
		put_rate(cells[2], sizeof(cells[2]), top_rate(vm, a->batches, b->batches));
		put_rate(mean, sizeof(mean),
			 batches ? (double)requests / (double)batches : (double)NAN);
		put_rate(cells[3], sizeof(cells[3]), top_rate(vm, a->interrupts, b->interrupts));
		put_rate(cells[4], sizeof(cells[4]),
			 top_rate(vm, a->interrupts_suppressed, b->interrupts_suppressed));
		put_rate(cells[5], sizeof(cells[5]), top_rate(vm, a->bytes, b->bytes) / 1024);
		fprintf(out, "%-12.12s %8s %8s %8s %8s %8s %8s %8s\n", vm->later->devices[i].name,
			cells[0], cells[1], cells[2], mean, cells[3], cells[4], cells[5]);
	}
}

/* "memory 512M: node 0 98%, node 1 2%; 31% of it not there" */
static void print_memory(FILE *out, const struct axvm_live *live)
{
	struct axas_placement sum = {0};
	char size[32];
	uint64_t present;

	for (size_t i = 0; i < live->memory_count; i++) {
		const struct axas_placement *part = &live->memory[i].placement;

		sum.looked_bytes += part->looked_bytes;
		sum.absent_bytes += part->absent_bytes;
		sum.astray_bytes += part->astray_bytes;
		for (unsigned n = 0; n < AXAS_PLACEMENT_NODES; n++)
			sum.on_node[n] += part->on_node[n];
	}
	present = sum.looked_bytes - sum.absent_bytes;
	fprintf(out, "memory %s:", ax_format_size(live->memory_bytes, size, sizeof(size)));
	if (!sum.looked_bytes)
		fprintf(out, " the host does not say where it lies");
	else if (!present)
		fprintf(out, " none of it touched yet");
	for (unsigned n = 0, told = 0; present && n < AXAS_PLACEMENT_NODES; n++)
		if (sum.on_node[n])
			fprintf(out, "%s node %u %.0f%%", told++ ? "," : "", n,
				(double)sum.on_node[n] * 100 / (double)present);
	if (present && sum.absent_bytes)
		fprintf(out, "; %.0f%% of it not there",
			(double)sum.absent_bytes * 100 / (double)sum.looked_bytes);
	if (sum.astray_bytes)
		fprintf(out, "; %.0f%% not on its node",
			(double)sum.astray_bytes * 100 / (double)present);
	fprintf(out, "\n");
}

static void print_one(FILE *out, const struct top_vm *vm, unsigned columns)
{
	const struct axvm_live *live = vm->later;
	const unsigned long long seconds = live->runtime_ns / 1000000000;
	char cpu[16], steal[16], exits[16], halts[16];
	bool astray = false;

	put_share(cpu, sizeof(cpu), top_cpu(vm));
	put_share(steal, sizeof(steal), top_steal(vm));
	put_rate(exits, sizeof(exits), top_exits(vm));
	put_rate(halts, sizeof(halts), top_halts(vm));
	fprintf(out, "%s (pid %d) %s, up %llu:%02llu:%02llu, %zu vCPU%s\n", live->name,
		(int)vm->found.pid, axvm_state_name(live->state, AXVM_NAMING_AXVM), seconds / 3600,
		seconds / 60 % 60, seconds % 60, live->vcpu_count,
		live->vcpu_count == 1 ? "" : "s");
	fprintf(out, "%s%% CPU, %s%% stolen; %s exits/s, %s halts/s\n", cpu, steal, exits, halts);
	print_memory(out, live);
	fprintf(out, "\n");
	print_vcpus(out, vm, columns);
	print_io(out, vm);
	print_devices(out, vm);
	for (size_t v = 0; v < live->vcpu_count; v++)
		astray = astray || top_is_astray(&live->vcpus[v].thread);
	for (size_t i = 0; i < live->io_count; i++)
		astray = astray || top_is_astray(&live->io[i].thread);
	if (astray)
		fprintf(out, "\n! may run elsewhere than planned\n");
}

/* ---- all VMs --------------------------------------------------------------------------------- */

static void print_list(FILE *out, const struct top *top)
{
	fprintf(out, "%7s %-24s %-10s %5s %7s %7s %8s %8s\n", "PID", "NAME", "STATE", "vCPUs",
		"CPU%", "STEAL%", "EXITS/s", "MEMORY");
	for (size_t i = 0; i < top->count; i++) {
		const struct top_vm *vm = &top->vms[i];
		char cpu[16], steal[16], exits[16], size[32];

		put_share(cpu, sizeof(cpu), top_cpu(vm));
		put_share(steal, sizeof(steal), top_steal(vm));
		put_rate(exits, sizeof(exits), top_exits(vm));
		fprintf(out, "%7d %-24.24s %-10s %5zu %7s %7s %8s %8s\n", (int)vm->found.pid,
			vm->later->name, axvm_state_name(vm->later->state, AXVM_NAMING_AXVM),
			vm->later->vcpu_count, cpu, steal, exits,
			ax_format_size(vm->later->memory_bytes, size, sizeof(size)));
	}
}

void top_print_tables(FILE *out, const struct top *top, unsigned columns)
{
	if (top->count == 1)
		print_one(out, &top->vms[0], columns);
	else if (top->count)
		print_list(out, top);
	if (top->closed)
		fprintf(out, "\n%zu more of other users, who alone may ask\n", top->closed);
	if (top->silent)
		fprintf(out, "\n%zu%s did not answer\n", top->silent, top->count ? " more" : "");
}
