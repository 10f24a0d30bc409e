/*
 * Inside the ledger: where it lies (ledger_dir.c), what an entry's text is (ledger_entry.c), and
 * the lock bytes by which an entry lives (ledger_claim.c sets them, ledger_held.c looks,
 * ledger_sum.c adds up).
 */
#ifndef AXVM_HOST_LEDGER_PRIVATE_H
#define AXVM_HOST_LEDGER_PRIVATE_H

#include "host_private.h"

#include <axvm/ledger.h>

#include <sys/stat.h>

#define LEDGER_SUFFIX      ".vm"
#define LEDGER_TEMP_SUFFIX ".tmp"       /* and a dot in front */
#define LEDGER_ENTRY_MAX   (256u << 10) /* bytes of text: more than the largest honest one */

/* Bytes of an entry that its VM holds by an exclusive lock of its open file description. Not the
 * contents, so that the second can be given up without writing anything. */
enum ledger_byte {
	LEDGER_BYTE_ALIVE,    /* the entry counts */
	LEDGER_BYTE_PROMISED, /* its memory counts, too */
	LEDGER_BYTES
};

struct axledger {
	int fd; /* the directory; the planning lock is on it */
	char *path;
	char warning[320]; /* empty: none */
};

struct ledger_entry {
	char name[AXLEDGER_NAME_LENGTH];
	pid_t pid;
	uint32_t *cpus;
	size_t cpu_count;
	struct axledger_memory *memory;
	size_t memory_count;
};

/* -EINVAL with *ret_why, which is const; -ENOMEM. */
int axledger_entry_parse(const char *text, size_t length, struct ledger_entry *ret_entry,
			 const char **ret_why);
/* Malloc'ed, or NULL for lack of memory. */
char *axledger_entry_write(const struct axledger_request *entry, pid_t pid);
void axledger_entry_free(struct ledger_entry *entry);
/* -EINVAL with *ret_why unless the numbers are what an entry may say. */
int axledger_entry_check(const struct axledger_request *entry, const char **ret_why);
/* Printable ASCII, cut to size; anything else becomes '?'. */
void axledger_clean(char *to, size_t size, const char *from);

struct ledger_sum {
	const struct axledger *ledger;
	char *text; /* LEDGER_ENTRY_MAX + 1 bytes, for one entry at a time */
	uint32_t holders[AXHOST_MAX_CPU_ID + 1]; /* of each CPU */
	struct axledger_held held;               /* memory is not summed up before the end */
	ino_t *files;                            /* of each VM */
	size_t memory_room, vm_room;
};
/* The name is the file's, by anybody. */
void axledger_sum_ignore(struct ledger_sum *self, const char *name, const char *why);
int axledger_sum_add(struct ledger_sum *self, const struct stat *file,
		     const struct ledger_entry *entry, bool is_promised, struct ax_error *err);
/* Moves the sum out. */
int axledger_sum_finish(struct ledger_sum *self, struct axledger_held *ret_held,
			struct ax_error *err);
int axledger_no_memory(struct ax_error *err);

/* Where ledgers are by default; tests have other places. */
struct ledger_places {
	const char *shared;    /* "/run/axvm" */
	const char *temporary; /* "/tmp": has a directory for each other user */
};
/* Fill fd, path and warning; no lock yet. On failure nothing stays open. */
int axledger_place_given(struct axledger *self, const char *directory, struct ax_error *err);
int axledger_place_default(struct axledger *self, const struct ledger_places *places,
			   struct ax_error *err);
/* A NULL directory is the default. */
int axledger_place(struct axledger *self, const char *directory, struct ax_error *err);

#endif
