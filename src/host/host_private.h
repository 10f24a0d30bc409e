/*
 * Private to src/host: text files below a root, and the parts that facts come in.
 */
#ifndef AXVM_HOST_PRIVATE_H
#define AXVM_HOST_PRIVATE_H

#include <axvm/host.h>

/* Greater numbers of CPUs and nodes than Linux can be built for. */
#define AXHOST_MAX_CPU_ID  65535U
#define AXHOST_MAX_NODE_ID 1023U
#define AXHOST_MAX_LEVEL   8U    /* of caches */
#define AXHOST_LIST_BYTES  32768 /* the text of a list of CPUs */
#define AXHOST_LOCAL       10U   /* distance of a node to itself, ACPI 6.5, 5.2.17 */
#define AXHOST_REMOTE      20U   /* and to others where nobody tells */

/* ---- text.c ---------------------------------------------------------------------------------- */

/* The file's text without its last newline, cut to buf; its length, and "" when there is none. */
size_t axhost_text(const char *root, char *buf, size_t size, const char *path, ...) AX_PRINTF(4, 5);
uint64_t axhost_number(const char *root, const char *path, ...) AX_PRINTF(2, 3);
/* Numbers that no kernel says become the greatest that a recording holds. */
uint32_t axhost_count(uint64_t number);
uint64_t axhost_bytes(uint64_t number, uint64_t unit);
bool axhost_is_yes(const char *root, const char *path);

/* Goes through a list as the kernel writes it, "0-9,20-29". Zero-initialise but for `at`. */
struct axhost_list {
	const char *at;
	uint32_t max, next, last;
	bool inside;
};
bool axhost_list_next(struct axhost_list *list, uint32_t *ret_id);
size_t axhost_list_count(const char *text, uint32_t max);

/* What is not printable ASCII becomes a question mark. */
void axhost_clean(char *text);

/* ---- arm.c, riscv.c: lines of /proc/cpuinfo -------------------------------------------------- */

struct axhost_arm {
	bool present;
	uint32_t implementer, variant, part, revision;
};
/* A line of the first processor's paragraph; those that are not Arm's change nothing. */
void axhost_read_arm_line(const char *line, struct axhost_arm *arm);
/* Vendor, model and stepping, when there were such lines. */
void axhost_name_arm(const struct axhost_arm *arm, struct axhost_facts *facts);

/* The same for RISC-V, straight into vendor and model. */
void axhost_read_riscv_line(const char *line, struct axhost_facts *facts);

/* ---- topology, in this order; -ENOMEM or 0 --------------------------------------------------- */

/* cpus.c: which CPUs there are, and caches. `online` is a list. */
int axhost_read_cpus(const char *root, const char *online, struct axhost_facts *facts);
/* nodes.c: nodes, distances, pools, and the node of each CPU */
int axhost_read_nodes(const char *root, struct axhost_facts *facts);
/* groups.c: packages, last level caches and cores */
void axhost_read_groups(const char *root, struct axhost_facts *facts);
struct axhost_cpu *axhost_find_cpu(const struct axhost_facts *facts, uint32_t id); /* or NULL */
void axhost_sum_pools(struct axhost_facts *facts);

/* limits.c: what this process may use. Memory and CPU time by our cgroup and those above it, and,
 * when `affinity`, CPUs and memory nodes. */
void axhost_read_limits(const char *root, struct axhost_facts *facts, bool affinity);
/* mitigations.c */
void axhost_read_mitigations(const char *root, struct axhost_facts *facts);

#endif
