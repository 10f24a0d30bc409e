/*
 * What tests of the ledger stand on: a directory of their own, claims in a line, and children,
 * whose exit status tells how they fared.
 */
#ifndef AXVM_TESTS_LEDGER_RIG_H
#define AXVM_TESTS_LEDGER_RIG_H

#include "../test.h"

#include <axvm/ledger.h>

#include <sys/types.h>

#define RIG_WAIT_MS 60000 /* only a hang is longer */
#define RIG_NOBODY  65534

/* Child's verdicts beside 0; anything else is the line at which it failed, modulo 200. */
#define RIG_SKIP 201

struct rig {
	char path[64]; /* mode 1777 */
};

int rig_setup(void **state);
int rig_teardown(void **state);

struct axledger *rig_open(const struct rig *rig);
struct axledger_claim *rig_claim_in(struct axledger *ledger, const char *name, uint32_t first_cpu,
				    uint32_t cpu_count, uint64_t bytes);
/* Opens, claims and closes. */
struct axledger_claim *rig_claim(const struct rig *rig, const char *name, uint32_t first_cpu,
				 uint32_t cpu_count, uint64_t bytes);
struct axledger_held rig_held(const struct rig *rig); /* freed by the caller */

/* A file of that name; when `is_locked`, as a living VM's. The descriptor, or -1. */
int rig_plant(const struct rig *rig, const char *name, const char *text, size_t length,
	      bool is_locked);
size_t rig_files(const struct rig *rig); /* without . and .. */
bool rig_exists(const struct rig *rig, const char *name);

/* Runs fn in a child; its exit status. A user of RIG_NOBODY needs root. */
int rig_run(int (*fn)(const struct rig *rig), const struct rig *rig, uid_t user);
/* The same, but the child stays (fn returned 0) until rig_end or rig_kill. */
pid_t rig_stay(int (*fn)(const struct rig *rig), const struct rig *rig, uid_t user);
void rig_kill(pid_t pid);

#define RIG_CHECK(condition)                       \
	do {                                       \
		if (!(condition))                  \
			return 1 + __LINE__ % 200; \
	} while (0)

#endif
