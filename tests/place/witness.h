/*
 * What the kernel says about memory and nodes in its files: a witness beside the system calls that
 * the code under test asks. Numbers of pools and of settings can be written here too.
 */
#ifndef AXVM_TESTS_PLACE_WITNESS_H
#define AXVM_TESTS_PLACE_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The line of /proc/self/numa_maps of the mapping that begins at hva. */
struct numa_map {
	char policy[32];
	uint64_t bytes[2];     /* on nodes 0 and 1 */
	uint64_t bytes_beyond; /* on others */
	uint64_t page_kib;
};
bool numa_map_of(const void *hva, struct numa_map *ret_map);

/* kB of a field of /proc/self/smaps of the mapping that begins at hva, in bytes. */
uint64_t smaps_bytes(const void *hva, const char *field);

long long read_number(const char *path); /* -1: cannot */
bool write_text(const char *path, const char *text);
/* The pool of a node: set to so many pages; returns how many there are then. */
long long set_pool(unsigned int node, uint64_t page_kib, long long pages);
/* The value of a line "name value" of /proc/vmstat. */
long long vmstat(const char *name);

#endif
