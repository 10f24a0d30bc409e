/*
 * Helpers of the address-space tests: a mapper that records its slots and fails on command, a
 * region config in one line, and what the kernel says about a host address.
 */
#ifndef TEST_AXADDRSPACE_COMMON_H
#define TEST_AXADDRSPACE_COMMON_H

#include "../test.h"

#include <axvm/axaddrspace.h>

#define PAGE AXAS_PAGE_SIZE

#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER true
#elif defined(__has_feature)
#define THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define THREAD_SANITIZER false
#endif

#define RECORDER_SLOTS 64
struct recorder {
	struct {
		bool live, read_only;
		uint64_t gpa, size_bytes;
		void *hva;
	} slot[RECORDER_SLOTS];
	int calls;
	int fail_at[2];    /* call numbers (from 1) that fail; 0: none */
	bool inconsistent; /* a slot was mapped twice, unmapped while free, or unmapped wrongly */
};

struct axas_mapper recorder_mapper(struct recorder *recorder);
int recorder_live(const struct recorder *recorder);
/* The guest's view equals the listing, slot by slot. */
void recorder_agrees(const struct recorder *recorder, const struct axas *as);

struct axas *new_space(struct recorder *recorder); /* recorder may be NULL */
struct axas_region_config region(uint64_t gpa, uint64_t size_bytes);
void map_ok(struct axas *as, const struct axas_region_config *config);
void *host_of(const struct axas *as, uint64_t gpa);
void assert_regions(const struct axas *as, size_t count, const struct axas_region_info *expected);

uint64_t resident_bytes(void *hva, uint64_t size_bytes); /* mincore */
/* A kB field of the mapping that holds hva, in bytes; -1 when there is none. */
long long smaps_bytes(const void *hva, const char *field);
/* Whether VmFlags of that mapping has a two-letter flag ("hg": huge pages are wanted). */
bool smaps_flag(const void *hva, const char *flag);
size_t count_mappings(void);               /* of this process */
long long status_bytes(const char *field); /* of /proc/self/status */
struct axas_region_config on_node(uint32_t node, uint64_t gpa, uint64_t size_bytes);
/* Containers forbid mbind and move_pages, and some kernels have neither. */
void skip_without_numa(void);
struct axas_placement placement(const struct axas *as, uint64_t gpa, uint64_t size_bytes,
				size_t max_pages); /* axas_placement, which succeeds */
/* The policy of the memory at hva (get_mempolicy): mode and flags, and the one node of its mask, -1
 * when there is not one. -1: this kernel has none. */
int policy_at(const void *hva, int *ret_node);
/* From now on this process's system calls `nr` fail with errnum, those that have
 * (argument 1 & mask) == value and argument 2 >= least (unsigned, 32 bits); once, in a child. */
struct refusal {
	long nr;
	uint32_t mask, value, least;
	int errnum;
};
bool refuse(const struct refusal *refusal);
/* fn in a child: it returns 0 or a failing line, which fails the test, or SKIPPED. */
#define SKIPPED 0xfe
void in_child(int (*fn)(const void *arg), const void *arg);
#define CHECK(condition)                             \
	do {                                         \
		if (!(condition))                    \
			return (__LINE__ % 250) + 1; \
	} while (0)

int temp_file(uint64_t size_bytes); /* an unlinked file; byte i is i * 7 + i / 4096 */
uint8_t temp_file_byte(uint64_t offset);

#endif
