/*
 * Device trees from outside. Input: three bytes of set-up, then the tree; with the lowest bit of
 * the first set, the header is put right, so that the checks of the structure are reached. What is
 * refused is refused typed; what is taken is selected, patched and packed, and must then be taken
 * again as it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/fdt/fdt_private.h"

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETUP = 3, HEADER = 40 };

/* Reserve map, structure, strings, one behind the other; their borders are where they were, as far
 * as they can be. */
static void put_right(uint8_t *blob, size_t size)
{
	const uint32_t total = (uint32_t)size & ~3U;
	uint32_t structure = fdt_off_dt_struct(blob) & ~3U;
	uint32_t strings = fdt_off_dt_strings(blob) & ~3U;

	if (total < HEADER + 16)
		return;
	if (structure < HEADER + 16 || structure > total)
		structure = HEADER + 16;
	if (strings < structure || strings > total)
		strings = total;
	fdt_set_magic(blob, FDT_MAGIC);
	fdt_set_totalsize(blob, total);
	fdt_set_off_mem_rsvmap(blob, HEADER);
	fdt_set_off_dt_struct(blob, structure);
	fdt_set_size_dt_struct(blob, strings - structure);
	fdt_set_off_dt_strings(blob, strings);
	fdt_set_size_dt_strings(blob, total - strings);
	fdt_set_version(blob, 17);
	fdt_set_last_comp_version(blob, 16);
}

/* A correct tree, by its own measure and by libfdt's. */
static void check_finished(struct axfdt *fdt)
{
	const void *blob = NULL;
	size_t size = 0;
	struct axfdt *again = NULL;

	if (axfdt_finish(fdt, &blob, &size, NULL) < 0)
		return;
	MUST(fdt_totalsize(blob) == size && size <= AXFDT_MAX_BYTES);
	MUST(fdt_check_full(blob, size) == 0);
	MUST(axfdt_parse(blob, size, NULL, &again, NULL) == 0);
	axfdt_destroy(again);
}

/* Keeps a node somewhere in the tree, drops another. */
static void select_some(struct axfdt *fdt, uint8_t keep_at, uint8_t drop_at)
{
	char keep[1024] = "/", drop[1024] = "/";
	const char *const keeps[] = {keep}, *const drops[] = {drop};
	int i = 0;

	for (int node = 0; node >= 0; node = fdt_next_node(fdt->blob, node, NULL), i++) {
		if (i == keep_at)
			MUST(fdt_get_path(fdt->blob, node, keep, sizeof(keep)) <= 0);
		if (i == drop_at)
			MUST(fdt_get_path(fdt->blob, node, drop, sizeof(drop)) <= 0);
	}
	/* Where siblings have the same name, a path may lead to another node, or nowhere. */
	const int rc = axfdt_select(fdt, keeps, 1, drops, strcmp(drop, "/") != 0, NULL);
	MUST(rc == 0 || rc == -ENOENT);
}

static void work(const uint8_t *setup, struct axfdt *fdt)
{
	static const uint64_t ids[] = {0x100, 0, 1, 0x200000000};
	static const struct axfdt_range ranges[] = {{0x40000000, 0x8000000},
						    {0x880000000, 0x80000000}};
	const struct axfdt_chosen chosen = {.cmdline = "a=1",
					    .initrd = {0x48000000, setup[0] & 2 ? 4096 : 0},
					    .seed = "12345678",
					    .seed_bytes = 8};
	const size_t cpus = 1 + (setup[0] >> 3 & 3);

	check_finished(fdt);
	select_some(fdt, setup[1], setup[2]);
	check_finished(fdt);
	axfdt_set_chosen(fdt, &chosen);
	axfdt_set_memory(fdt, ranges, 1 + (setup[0] >> 2 & 1));
	check_finished(fdt);
	axfdt_keep_cpus(fdt, setup[0] & 0x20 ? ids : NULL, cpus);
	check_finished(fdt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};

	if (size < SETUP)
		return 0;
	const uint8_t *setup = data;
	size -= SETUP;
	uint8_t *blob = malloc(size ? size : 1);
	MUST(blob);
	memcpy(blob, data + SETUP, size);
	if ((setup[0] & 1) && size >= HEADER)
		put_right(blob, size);
	if (axfdt_parse(blob, size, "fuzz", &fdt, &err) < 0) {
		MUST(err.kind == AX_ERROR_BOOT_IMAGE && err.message[0] && err.hint[0] && !fdt);
	} else {
		work(setup, fdt);
		axfdt_destroy(fdt);
	}
	free(blob);
	return 0;
}
