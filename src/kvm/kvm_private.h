/*
 * Private to src/kvm and its unit tests: the structs behind kvm.h and the seam through which every
 * system call on a KVM file descriptor goes, so that tests can stand in for the kernel.
 */
#ifndef AXVM_KVM_PRIVATE_H
#define AXVM_KVM_PRIVATE_H

#include <axvm/kvm.h>

#include <linux/kvm.h>
#include <pthread.h>

/* Exits younger than the oldest kernel headers AxVM builds with. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39 /* Linux 6.8: KVM_RUN fails with EFAULT or EHWPOISON beside it */
#endif

/* What the kernel offers, as a table: both return -1 and set errno when they fail. */
struct axkvm_sys {
	int (*open)(const char *path, int flags);
	int (*ioctl)(int fd, unsigned long request, unsigned long arg);
};
extern const struct axkvm_sys axkvm_real_sys;

struct axkvm {
	const struct axkvm_sys *sys;
	int fd;
	int version;
	_Atomic size_t run_bytes; /* KVM_GET_VCPU_MMAP_SIZE, asked once; 0: not yet */
};

/* The routing table (routes.c). Pins first, then one entry for each GSI that has a message. */
struct axkvm_routes {
	pthread_mutex_t lock;
	struct kvm_irq_routing *table; /* NULL: KVM has its default */
	uint32_t room;                 /* entries allocated */
	uint32_t pin_count;
};

struct axkvm_vm {
	struct axkvm *kvm;
	int fd;
	struct axkvm_routes routes;
};

struct axkvm_vcpu {
	struct axkvm_vm *vm;
	unsigned long id;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;

	/* The answer to a system register or hypercall exit is in the exit the caller was given;
	 * it goes into the run page before the next entry. NULL: none is awaited. */
	struct axvcpu_exit *answer;
	/* complete() found another exit where it expected none: the next run returns it. */
	bool stashed;
	/* Somebody asked for immediate_exit; complete() borrows that byte and must not lose it. */
	_Atomic bool kicked;

	/* The descriptors are read when first asked for: most runs never look. */
	int stats_fd; /* -1 or a negative errno: KVM has none, or `stats` owns it */
	pthread_mutex_t stats_lock;
	_Atomic bool stats_read;
	struct axkvm_stats *_Atomic stats;
};

int axkvm_open_with(const struct axkvm_sys *sys, const char *device, struct axkvm **ret_kvm,
		    struct ax_error *err) AX_MUST_CHECK;

/* ioctl through the seam; 0 or more, or a negative errno. */
int axkvm_call(const struct axkvm *kvm, int fd, unsigned long request, unsigned long arg);
int axkvm_call_ptr(const struct axkvm *kvm, int fd, unsigned long request, void *arg);

void axkvm_routes_init(struct axkvm_routes *routes);
void axkvm_routes_finish(struct axkvm_routes *routes);

/* kvm_run as KVM left it after a KVM_RUN that returned 0 -> *exit. Never fails. */
void axkvm_decode(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit);

/* A statistics file that is already open; takes fd over on success. */
int axkvm_stats_parse(int fd, struct axkvm_stats **ret_stats, struct ax_error *err);

#endif
