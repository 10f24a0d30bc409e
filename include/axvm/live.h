/*
 * live: what a VM does at this moment, for whoever watches it run - where each vCPU and I/O thread
 * is, what it has done since the start, where the memory lies. Counters are cumulative, so that any
 * two looks give the rates between them, and several watchers do not disturb each other.
 *
 * A look stops no vCPU and takes one lock of the VM, that of its shared CPUs, so that a thread is
 * not seen between its list and its move (docs/locking.md); what it tells of several threads was
 * read one after the other. Nothing is prepared for it: a VM that nobody looks at does nothing
 * more.
 */
#ifndef AXVM_LIVE_H
#define AXVM_LIVE_H

#include <axvm/axvm.h>
#include <axvm/virtio.h>

#define AXVM_LIVE_UNKNOWN UINT64_MAX /* the hypervisor or the kernel does not count it */

/* Of one vCPU, as the hypervisor counts (axarch.vcpu_stat). The first row is all exits, the rest of
 * the first list their causes, as far as they are counted apart. */
#define AXVM_LIVE_CAUSES(X)                                                             \
	X(exits, "all exits, those that the kernel answers too")                        \
	X(io_exits, "port accesses")                                                    \
	X(mmio_exits, "MMIO accesses that the kernel hands out")                        \
	X(sysreg_exits, "system registers")                                             \
	X(halt_exits, "halts")                                                          \
	X(yield_exits, "the guest waited for another of its CPUs")                      \
	X(hypercalls, "calls of the guest, paravirtual IPIs among them")                \
	X(fault_exits, "pages that were missing")                                       \
	X(irq_exits, "the host was interrupted")                                        \
	X(irq_window_exits, "the guest became ready for an interrupt that had to wait") \
	X(signal_exits, "signals to the thread")

#define AXVM_LIVE_COUNTS(X)                                                                 \
	X(irq_injections, "interrupts put into the guest by an entry")                      \
	X(nmi_injections, "NMIs put into the guest")                                        \
	X(tlb_flush, "flushes of the TLB by the host")                                      \
	X(preemption_reported, "taken off its CPU while the guest ran, and the guest told") \
	X(preemption_other, "taken off its CPU at another moment")                          \
	X(directed_yield_attempted, "gave its time to another vCPU: tried")                 \
	X(directed_yield_successful, "gave its time to another vCPU: done")                 \
	X(halt_attempted_poll, "halts that were polled for their end")                      \
	X(halt_successful_poll, "polls that saw the end, so that nobody slept")             \
	X(halt_wakeup, "wake-ups from a halt")                                              \
	X(halt_poll_success_ns, "time of polls that saw the end")                           \
	X(halt_poll_fail_ns, "time of polls that did not")                                  \
	X(halt_wait_ns, "time asleep in halts")

struct axvm_live_kvm {
#define AXVM_LIVE_FIELD(name, text) uint64_t name;
	AXVM_LIVE_CAUSES(AXVM_LIVE_FIELD)
	AXVM_LIVE_COUNTS(AXVM_LIVE_FIELD)
#undef AXVM_LIVE_FIELD
};

struct axvm_live_thread {
	pid_t tid;           /* 0: it has none now; the rest is empty then */
	struct ax_task task; /* times are 0 where has_times is not set */
	uint32_t node;       /* of the host, of the CPU it is on; UINT32_MAX: not known */
	/* A list as task.allowed: where it was meant to be. Empty: anywhere, or what was planned is
	 * another VM's now and it has made room. */
	char planned[128];
};

struct axvm_live_vcpu {
	struct axvm_live_thread thread;
	enum axvcpu_state state;
	struct axvcpu_stats own;
	struct axvm_live_kvm kvm;
	uint32_t guest_node; /* whose memory is its own */
	/* What of that memory lies on other nodes of the host than its CPU, of what was looked at
	 * and is there. */
	uint64_t remote_bytes, present_bytes;
};

struct axvm_live_io {
	struct axvm_live_thread thread;
	struct ax_loop_stats loop;
};

struct axvm_live_device {
	char name[32];
	struct axvirtio_stats stats;
};

struct axvm_live_memory {
	uint32_t guest_node;
	struct axas_placement placement;
};

#define AXVM_LIVE_MAX_DEVICES 64
#define AXVM_LIVE_MAX_VCPUS   8192

struct axvm_live {
	char name[64];
	char arch[32];
	pid_t pid;
	enum axvm_state state;
	uint64_t at_ns;      /* ax_clock_ns of the look */
	uint64_t runtime_ns; /* since the start */
	uint64_t cpu_ns;     /* CPU time of the process, all its threads */
	uint64_t memory_bytes;
	struct axvm_live_vcpu *vcpus;
	size_t vcpu_count;
	struct axvm_live_io *io;
	size_t io_count;
	struct axvm_live_device devices[AXVM_LIVE_MAX_DEVICES];
	size_t device_count;
	struct axvm_live_memory memory[AXARCH_MAX_NODES]; /* of each guest node */
	size_t memory_count;
};

/* Any thread while the VM is there. Looks at so many pages of the whole memory (axas_placement has
 * the rule; 0: none, and what follows from them is 0). */
int axvm_live_take(const struct axvm *vm, size_t max_pages, struct axvm_live **ret_live,
		   struct ax_error *err) AX_MUST_CHECK;
void axvm_live_free(struct axvm_live *live); /* NULL is fine */

#endif
