/*
 * See common.h. Helpers assert, so they are called from the test's own thread only.
 */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int next_call(struct recorder *r, struct ax_error *err)
{
	r->calls++;
	if (r->calls != r->fail_at[0] && r->calls != r->fail_at[1])
		return 0;
	return ax_error_set(err, AX_ERROR_IO, EIO, "mapper told to fail at call %d", r->calls);
}

static int record_map(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
		      bool read_only, struct ax_error *err)
{
	struct recorder *r = ctx;
	int rc = next_call(r, err);

	if (rc < 0)
		return rc;
	if (slot >= RECORDER_SLOTS || r->slot[slot].live) {
		r->inconsistent = true;
		return 0;
	}
	r->slot[slot].live = true;
	r->slot[slot].read_only = read_only;
	r->slot[slot].gpa = gpa;
	r->slot[slot].size_bytes = size_bytes;
	r->slot[slot].hva = hva;
	return 0;
}

static int record_unmap(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
			struct ax_error *err)
{
	struct recorder *r = ctx;
	int rc = next_call(r, err);

	if (rc < 0)
		return rc;
	if (slot >= RECORDER_SLOTS || !r->slot[slot].live || r->slot[slot].gpa != gpa ||
	    r->slot[slot].size_bytes != size_bytes) {
		r->inconsistent = true;
		return 0;
	}
	r->slot[slot].live = false;
	return 0;
}

struct axas_mapper recorder_mapper(struct recorder *recorder)
{
	return (struct axas_mapper){.map = record_map, .unmap = record_unmap, .ctx = recorder};
}

int recorder_live(const struct recorder *recorder)
{
	int live = 0;

	for (size_t i = 0; i < RECORDER_SLOTS; i++)
		live += recorder->slot[i].live;
	return live;
}

void recorder_agrees(const struct recorder *recorder, const struct axas *as)
{
	struct axas_region_info info[RECORDER_SLOTS];
	size_t count = axas_regions(as, info, RECORDER_SLOTS);

	assert_false(recorder->inconsistent);
	assert_int_equal(recorder_live(recorder), count);
	for (size_t i = 0; i < count; i++) {
		bool found = false;
		for (size_t s = 0; s < RECORDER_SLOTS; s++) {
			found |= recorder->slot[s].live && recorder->slot[s].gpa == info[i].gpa &&
				 recorder->slot[s].size_bytes == info[i].size_bytes &&
				 recorder->slot[s].hva == info[i].hva &&
				 recorder->slot[s].read_only == !(info[i].flags & AXAS_WRITE);
		}
		assert_true(found);
	}
}

struct axas *new_space(struct recorder *recorder)
{
	struct axas_mapper mapper = recorder_mapper(recorder);
	struct ax_error err = {0};
	struct axas *as = NULL;

	assert_int_equal(axas_create(0, recorder ? &mapper : NULL, &as, &err), 0);
	return as;
}

struct axas_region_config region(uint64_t gpa, uint64_t size_bytes)
{
	return (struct axas_region_config){
		.name = "test",
		.gpa = gpa,
		.size_bytes = size_bytes,
		.flags = AXAS_RW,
		.fd = -1,
	};
}

void map_ok(struct axas *as, const struct axas_region_config *config)
{
	struct ax_error err = {0};

	if (axas_map(as, config, &err) < 0)
		fail_msg("map: %s", err.message);
}

void *host_of(const struct axas *as, uint64_t gpa)
{
	void *hva = NULL;

	assert_int_equal(axas_translate(as, gpa, &hva, NULL), 0);
	return hva;
}

void assert_regions(const struct axas *as, size_t count, const struct axas_region_info *expected)
{
	struct axas_region_info info[32];
	uint64_t total = 0;

	assert_int_equal(axas_regions(as, info, 32), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(info[i].gpa, expected[i].gpa);
		assert_int_equal(info[i].size_bytes, expected[i].size_bytes);
		assert_int_equal(info[i].flags, expected[i].flags);
		total += info[i].size_bytes;
	}
	assert_int_equal(axas_total_bytes(as), total);
}

uint64_t resident_bytes(void *hva, uint64_t size_bytes)
{
	size_t pages = size_bytes / PAGE;
	unsigned char *map = malloc(pages);
	uint64_t resident = 0;

	assert_non_null(map);
	assert_int_equal(mincore(hva, size_bytes, map), 0);
	for (size_t i = 0; i < pages; i++)
		resident += (map[i] & 1) * PAGE;
	free(map);
	return resident;
}

/* What follows `field` for the mapping that holds hva; false when there is none. */
static bool smaps_field(const void *hva, const char *field, char *text, size_t text_size)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false, found = false;

	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file)) {
		uint64_t start, end;
		size_t n = strlen(field);
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
			inside = (uintptr_t)hva >= start && (uintptr_t)hva < end;
		} else if (inside && !strncmp(line, field, n) && line[n] == ':') {
			snprintf(text, text_size, "%s", line + n + 1);
			found = true;
		}
	}
	fclose(file);
	return found;
}

long long smaps_bytes(const void *hva, const char *field)
{
	char text[512];

	return smaps_field(hva, field, text, sizeof(text)) ? strtoll(text, NULL, 10) * 1024 : -1;
}

bool smaps_flag(const void *hva, const char *flag)
{
	char text[512], word[8];

	snprintf(word, sizeof(word), " %s ", flag);
	return smaps_field(hva, "VmFlags", text, sizeof(text)) && strstr(text, word);
}

size_t count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	size_t lines = 0;

	assert_non_null(file);
	for (int c; (c = getc(file)) != EOF;)
		lines += c == '\n';
	fclose(file);
	return lines;
}

long long status_bytes(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[512];
	long long value = -1;
	size_t n = strlen(field);

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, field, n) && line[n] == ':')
			value = strtoll(line + n + 1, NULL, 10) * 1024;
	}
	fclose(file);
	return value;
}

uint8_t temp_file_byte(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 4096);
}

int temp_file(uint64_t size_bytes)
{
	int fd = memfd_create("axas-test", MFD_CLOEXEC);
	uint8_t *bytes = malloc(size_bytes + 1);

	assert_true(fd >= 0);
	assert_non_null(bytes);
	for (uint64_t i = 0; i < size_bytes; i++)
		bytes[i] = temp_file_byte(i);
	assert_int_equal(ax_pwrite_full(fd, bytes, size_bytes, 0), 0);
	free(bytes);
	return fd;
}

int policy_at(const void *hva, int *ret_node)
{
	unsigned long mask[17] = {0};
	int mode = -1, bits = 0;

	*ret_node = -1;
	if (syscall(SYS_get_mempolicy, &mode, mask, 1025UL, hva, (unsigned long)MPOL_F_ADDR) < 0)
		return -1;
	for (int node = 0; node < 1024; node++) {
		if (mask[node / 64] >> (node % 64) & 1) {
			*ret_node = node;
			bits++;
		}
	}
	if (bits != 1)
		*ret_node = -1;
	return mode;
}

bool refuse(const struct refusal *refusal)
{
#define ARGUMENT(n) offsetof(struct seccomp_data, args[n])
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->nr, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(1)), /* its lower half: little-endian */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, refusal->mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal->value, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, refusal->least, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->errnum),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
#undef ARGUMENT
	const struct sock_fprog program = {AX_ARRAY_LEN(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

void in_child(int (*fn)(const void *arg), const void *arg)
{
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(fn(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED) {
		print_message("skipped: no system call filter here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

void skip_without_numa(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long mask = 1;
	int status = 0;
	bool has;

	assert_true(page != MAP_FAILED);
	has = syscall(SYS_mbind, page, PAGE, MPOL_BIND, &mask, 65UL, 0) == 0 &&
	      syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0) == 0;
	munmap(page, PAGE);
	if (!has) {
		print_message("skipped: no mbind or move_pages here\n");
		skip();
	}
}

struct axas_region_config on_node(uint32_t node, uint64_t gpa, uint64_t size_bytes)
{
	struct axas_region_config config = region(gpa, size_bytes);

	config.bind = true;
	config.node = node;
	return config;
}

struct axas_placement placement(const struct axas *as, uint64_t gpa, uint64_t size_bytes,
				size_t max_pages)
{
	struct axas_placement result = {0};
	struct ax_error err = {0};

	if (axas_placement(as, gpa, size_bytes, max_pages, &result, &err) < 0)
		fail_msg("placement: %s", err.message);
	return result;
}
