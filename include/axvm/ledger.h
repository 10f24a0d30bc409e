/*
 * ledger: what the VMs of this host hold of it, so that no two plan onto the same cores. A
 * directory with one file for each VM that runs, kept from staying behind by the kernel: an entry
 * counts only while its VM has it locked, and a lock ends with its process however that ends.
 * docs/ledger.md tells the format, and who may and who must remove what.
 *
 *     axledger_open     the planning lock: nobody else plans on this host until close
 *     axledger_held     what living VMs hold; the planner takes it
 *     axledger_claim    this VM's entry, for as long as the claim lives
 *     axledger_close    the planning lock is free; the claim stays
 *     axledger_populated, axledger_promise, axledger_release
 *
 * A ledger belongs to one thread at a time, so does a claim. Several ledgers in one process exclude
 * each other as those of several processes do, and each claim of a process counts.
 *
 * All descriptors are O_CLOEXEC: programs that are executed hold nothing. A child of fork() that
 * executes nothing shares its parent's locks: close and release free them for both, and a claim
 * that nobody releases ends when the last of the two has ended (so a VM that forks into the
 * background keeps its entry). Only one of them may use the objects.
 */
#ifndef AXVM_LEDGER_H
#define AXVM_LEDGER_H

#include <axvm/base.h>

#define AXLEDGER_WAIT_MS     10000U /* a good default: a plan takes milliseconds */
#define AXLEDGER_MAX_CPUS    8192U  /* of one VM; as many as Linux can have */
#define AXLEDGER_MAX_MEMORY  1024U  /* rows of one VM */
#define AXLEDGER_NAME_LENGTH 64U

/* Memory of one node, promised and not touched yet. The shape of struct axplace_held_memory. */
struct axledger_memory {
	uint32_t node; /* id */
	uint64_t page_size_bytes, bytes;
};

/* One VM that lives. Name and pid are what its entry says, for people; the kernel says whose it is.
 * The pid is as seen by its owner, who may be in another container. */
struct axledger_vm {
	char name[AXLEDGER_NAME_LENGTH]; /* printable ASCII */
	pid_t pid;
	uid_t uid;
	uint32_t cpu_count;
	uint64_t promised_bytes; /* 0 once it is populated */
};

/* cpus, holders and memory have the shape that struct axplace_held wants. */
struct axledger_held {
	uint32_t *cpus;    /* ids, ascending, each once, though several VMs may share one */
	uint32_t *holders; /* how many VMs have each of them */
	size_t cpu_count;
	struct axledger_memory *memory; /* one row for each node and page size, ascending */
	size_t memory_count;
	struct axledger_vm *vms; /* in no order */
	size_t vm_count;
	/* What is there under the name of an entry, but can be none of ours or is an entry of
	 * another, unprivileged user that makes no sense: it was left out of all the above. The
	 * caller warns: if there is a VM behind it, its CPUs may be used twice. */
	size_t ignored_count;
	char ignored[256]; /* the first of them and what is wrong with it */
};

struct axledger; /* opaque; open to close */
struct axledger_claim;

/*
 * Waits at most wait_ms (0: not at all) for the planning lock. `directory` must exist and belong to
 * root or this user, and be sticky if others may write there. NULL: /run/axvm, which root makes for
 * everybody; where this user may not write there, a directory of this user's, of which
 * axledger_warning tells.
 *
 * -ETIMEDOUT (AX_ERROR_TIMEOUT) names the process that has the lock; AX_ERROR_CONFIGURATION:
 * -ENOENT no such directory, -ENOTDIR none or a symbolic link, -EPERM not safe, and others of
 * open(2).
 */
int axledger_open(const char *directory, uint32_t wait_ms, struct axledger **ret_ledger,
		  struct ax_error *err) AX_MUST_CHECK;
/* The planning lock is free again; claims stay. NULL is fine. */
void axledger_close(struct axledger *ledger);

const char *axledger_directory(const struct axledger *ledger); /* until close */
/* A sentence for the log when VMs of other users are not seen, else NULL. Until close. */
const char *axledger_warning(const struct axledger *ledger);

/*
 * Reads every entry, and removes those of VMs that are gone where this user may. -EBADMSG
 * (AX_ERROR_IO) for a living entry of root's or this user's that cannot be understood: its VM holds
 * something, and nobody knows what. Other errors are the host's (too many open files, no memory).
 */
int axledger_held(struct axledger *ledger, struct axledger_held *ret_held,
		  struct ax_error *err) AX_MUST_CHECK;
void axledger_held_free(struct axledger_held *held); /* zeroed is fine */

/* ---- the directory, for what else VMs keep there --------------------------------------------- */

#define AXLEDGER_PATH_LENGTH 64U

/* The one that axledger_open would use, made and looked at as there; nothing is locked.
 * -ENAMETOOLONG when `size` is too small. */
int axledger_make_directory(const char *directory, char *path, size_t size,
			    struct ax_error *err) AX_MUST_CHECK;
/* Those in which VMs that this user may see can have something: the one of all users and this
 * user's own, as far as they are there and safe. Nothing is made. Returns how many. */
size_t axledger_directories(char paths[2][AXLEDGER_PATH_LENGTH]);

/* ---- claims ---------------------------------------------------------------------------------- */

/* What a VM is going to hold; all of it stays the caller's. */
struct axledger_request {
	const char *name;     /* for people; cut, and other than printable ASCII replaced */
	const uint32_t *cpus; /* ids, ascending, each once (the plan's claims); may be none */
	size_t cpu_count;
	const struct axledger_memory *memory; /* may be none */
	size_t memory_count;
};
/*
 * Nothing is compared with what others hold: who plans by axledger_held of the same ledger overlaps
 * only if it wants to. Everybody sees all of the entry or none of it. -EINVAL for a request that is
 * none, -ENOSPC and others of open(2), write(2) and rename(2): then there is no entry, nor a part.
 */
int axledger_claim(struct axledger *ledger, const struct axledger_request *request,
		   struct axledger_claim **ret_claim, struct ax_error *err) AX_MUST_CHECK;
/* The memory is touched, so it is missing from what the nodes have free: it counts no more as
 * promised. Needs no ledger, waits for nobody, cannot fail. */
void axledger_populated(struct axledger_claim *claim);
/* It is given back, to be taken again: it counts as promised once more, as far as nobody keeps that
 * from being said. */
void axledger_promise(struct axledger_claim *claim);
/* Removes the entry. Needs no ledger and waits for nobody. NULL is fine. */
void axledger_release(struct axledger_claim *claim);

#endif
