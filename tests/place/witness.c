/*
 * See witness.h.
 */
#include "witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool numa_map_of(const void *hva, struct numa_map *ret_map)
{
	FILE *file = fopen("/proc/self/numa_maps", "re");
	struct numa_map map = {.page_kib = 4};
	uint64_t pages[2] = {0}, beyond = 0;
	char line[1024], *save = NULL;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strtoull(line, NULL, 16) == (uintptr_t)hva;
	if (file)
		fclose(file);
	if (!found)
		return false;
	(void)strtok_r(line, " \n", &save);
	for (char *word; (word = strtok_r(NULL, " \n", &save));) {
		unsigned int node;
		unsigned long long n;

		if (!*map.policy)
			snprintf(map.policy, sizeof(map.policy), "%s", word);
		else if (sscanf(word, "kernelpagesize_kB=%llu", &n) == 1)
			map.page_kib = n;
		else if (sscanf(word, "N%u=%llu", &node, &n) == 2)
			*(node < 2 ? &pages[node] : &beyond) += n;
	}
	map.bytes[0] = pages[0] * map.page_kib * 1024;
	map.bytes[1] = pages[1] * map.page_kib * 1024;
	map.bytes_beyond = beyond * map.page_kib * 1024;
	*ret_map = map;
	return true;
}

uint64_t smaps_bytes(const void *hva, const char *field)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	const size_t n = strlen(field);
	char line[1024], *end;
	uint64_t bytes = 0;
	bool inside = false;

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long long start = strtoull(line, &end, 16);
		if (*end == '-')
			inside = start == (uintptr_t)hva;
		else if (inside && !strncmp(line, field, n) && line[n] == ':')
			bytes = strtoull(line + n + 1, NULL, 10) * 1024;
	}
	if (file)
		fclose(file);
	return bytes;
}

long long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long long n = -1;

	if (file && fscanf(file, "%lld", &n) != 1)
		n = -1;
	if (file)
		fclose(file);
	return n;
}

bool write_text(const char *path, const char *text)
{
	const size_t size = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, size) == (ssize_t)size;

	if (fd >= 0)
		close(fd);
	return done;
}

long long set_pool(unsigned int node, uint64_t page_kib, long long pages)
{
	char path[128], text[24];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%u/hugepages/hugepages-%llukB/nr_hugepages", node,
		 (unsigned long long)page_kib);
	snprintf(text, sizeof(text), "%lld", pages);
	write_text(path, text);
	return read_number(path);
}

long long vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "re");
	const size_t n = strlen(name);
	long long value = -1;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, n) && line[n] == ' ')
			value = strtoll(line + n, NULL, 10);
	}
	if (file)
		fclose(file);
	return value;
}
