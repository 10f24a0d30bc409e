/*
 * Device trees that are none: cut off, with bits flipped, with odd headers and structures, random,
 * and files that are no files. Each is refused with reason and hint, or is a tree that can be
 * worked on and comes out correct. The checks run against the end of a page, behind which nothing
 * is mapped, for libfdt's own reads are not instrumented.
 */
#include "fdt_helpers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 1 << 16, PAGE = 4096 };

static uint8_t *wall; /* the first byte that must not be touched */

static int set_up(void **state)
{
	(void)state;
	uint8_t *map =
		mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	wall = map + ROOM;
	return mprotect(wall, PAGE, PROT_NONE);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* Everything there is to do with a tree; failures are fine, crashes and broken results are not. */
static void work_on(struct axfdt *fdt)
{
	static const char *const keep[] = {"/soc/ethernet@a000"}, *const none[] = {"/"};
	static const struct axfdt_range range = {0x80000000, 0x10000000};
	static const uint64_t ids[] = {0, 1, 2};
	const void *blob;
	size_t size;

	finish(fdt, NULL);
	const bool named = axfdt_has(fdt, keep[0]);
	assert_int_equal(axfdt_select(fdt, named ? keep : none, 1, NULL, 0, NULL), 0);
	finish(fdt, NULL);
	axfdt_set_chosen(fdt, &(struct axfdt_chosen){.cmdline = "x", .initrd = {1, 2}});
	axfdt_set_memory(fdt, &range, 1);
	axfdt_keep_cpus(fdt, ids, 3);
	if (axfdt_finish(fdt, &blob, &size, NULL) == 0)
		assert_correct(blob, size);
}

/* Returns whether it was taken. */
static bool try(const void *bytes, size_t size)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};
	uint8_t *at = wall - ax_align_up(size, 8);

	memcpy(at, bytes, size);
	const bool correct = !axfdt_check(at, size);
#ifdef HAVE_FDT_CHECK_FULL
	if (correct)
		assert_int_equal(fdt_check_full(at, size), 0);
#endif
	if (axfdt_parse(at, size, "x.dtb", &fdt, &err) == 0) {
		assert_true(correct);
		work_on(fdt);
		axfdt_destroy(fdt);
		return true;
	}
	assert_null(fdt);
	assert_int_equal(err.kind, AX_ERROR_BOOT_IMAGE);
	assert_error(&err, AX_ERROR_BOOT_IMAGE, "device tree 'x.dtb': ");
	assert_error(&err, AX_ERROR_BOOT_IMAGE, "a DTB made by dtc");
	return false;
}

static void cut_off_at_every_byte(void **state)
{
	static const char *const files[] = {"built.dts", "board.dts"};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(files); i++) {
		size_t size = 0;
		uint8_t *blob = compile(files[i], &size);
		assert_true(try(blob, size));
		for (size_t len = 0; len < size; len++)
			assert_false(try(blob, len));
		/* The same with a header that says so. */
		for (size_t len = 0; len < size; len++) {
			uint8_t *cut = malloc(size);
			memcpy(cut, blob, size);
			fdt_set_totalsize(cut, (uint32_t)len);
			assert_false(try(cut, size));
			assert_false(len >= sizeof(struct fdt_header) && try(cut, len));
			free(cut);
		}
		free(blob);
	}
}

static void bits_flipped(void **state)
{
	size_t size = 0, taken = 0;
	uint8_t *blob = compile("built.dts", &size);
	(void)state;

	for (size_t bit = 0; bit < 8 * size; bit++) {
		blob[bit / 8] ^= (uint8_t)(1 << bit % 8);
		taken += try(blob, size);
		blob[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(taken > 0 && taken < 8 * size);
	free(blob);
}

static void words_and_bytes_changed(void **state)
{
	static const uint32_t words[] = {0,          1,          2,          3,          4,
					 9,          0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff4,
					 0xfffffff8, 0xfffffffc, 0x200000};
	uint64_t seed = 42;
	size_t size = 0, taken = 0;
	uint8_t *blob = compile("board.dts", &size), *copy = malloc(size);
	(void)state;

	for (int round = 0; round < 20000; round++) {
		memcpy(copy, blob, size);
		for (uint64_t n = 1 + next_random(&seed) % 4; n; n--) {
			const uint64_t r = next_random(&seed);
			/* The header's fields once in a while. */
			const size_t at = r % 16 ? (r >> 8) % (size - 4) : (r >> 8) % 40;
			if (r >> 60 < 8)
				copy[at] = (uint8_t)(r >> 40);
			else
				fdt32_st(copy + at / 4 * 4, words[(r >> 40) % AX_ARRAY_LEN(words)]);
		}
		taken += try(copy, size);
	}
	assert_true(taken > 0);
	free(copy);
	free(blob);
}

static void random_bytes(void **state)
{
	uint8_t bytes[512];
	uint64_t seed = 7;
	(void)state;

	for (int round = 0; round < 20000; round++) {
		const size_t size = next_random(&seed) % sizeof(bytes);
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)next_random(&seed);
		if (size >= 40 && round % 2) { /* a header, and few kinds of words behind it */
			const uint32_t header[] = {
				FDT_MAGIC, (uint32_t)size, 56, 40 + 0, 40, 17, 16, 0, 0, 0};
			for (size_t i = 0; i + 4 <= size; i += 4)
				fdt32_st(bytes + i,
					 i < 40 ? header[i / 4] : next_random(&seed) % 4);
			fdt_set_size_dt_struct(bytes,
					       (uint32_t)(size > 56 ? (size - 56) & ~3U : 0));
		}
		try(bytes, size);
	}
}

static void refused_with(const void *blob, size_t size, const char *reason)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};

	assert_true(axfdt_parse(blob, size, "x.dtb", &fdt, &err) < 0);
	assert_error(&err, AX_ERROR_BOOT_IMAGE, reason);
}

/* A tree of these structure words and the strings "a\0". */
static size_t assemble(uint8_t *blob, const uint32_t *words, size_t count)
{
	const uint32_t header[] = {FDT_MAGIC, 0, 56, 0, 40, 17, 16, 0, 2, 4 * (uint32_t)count};

	memset(blob, 0, 56);
	for (size_t i = 0; i < 10; i++)
		fdt32_st(blob + 4 * i, header[i]);
	for (size_t i = 0; i < count; i++)
		fdt32_st(blob + 56 + 4 * i, words[i]);
	memcpy(blob + 56 + 4 * count, "a", 2);
	fdt_set_off_dt_strings(blob, 56 + 4 * (uint32_t)count);
	fdt_set_totalsize(blob, 58 + 4 * (uint32_t)count);
	return 58 + 4 * count;
}

static void odd_structures(void **state)
{
	enum { BEGIN = 1, END = 2, PROP = 3, NOP = 4, DONE = 9, A = 0x61000000 };
	static const struct {
		const char *reason; /* NULL: fine */
		uint32_t words[16];
		size_t count;
	} rows[] = {
		{NULL, {BEGIN, 0, END, DONE}, 4},
		{NULL, {BEGIN, 0, NOP, PROP, 0, 0, NOP, BEGIN, A, END, NOP, END, DONE}, 13},
		{"no root", {DONE}, 1},
		{"no root", {NOP, BEGIN, 0, END, DONE}, 5},
		{"no root", {PROP, 0, 0, DONE}, 4},
		{"root with a name", {BEGIN, A, END, DONE}, 4},
		{"behind its root", {BEGIN, 0, END, BEGIN, 0, END, DONE}, 7},
		{"behind its root", {BEGIN, 0, END, NOP, DONE}, 5},
		{"behind its root", {BEGIN, 0, END, PROP, 0, 0, DONE}, 7},
		{"behind a subnode", {BEGIN, 0, BEGIN, A, END, PROP, 0, 0, END, DONE}, 10},
		{"behind its root", {BEGIN, 0, END, END, DONE}, 5},
		{"ends inside a node", {BEGIN, 0, DONE}, 3},
		{"without an end", {BEGIN, 0, END}, 3},
		{"without an end", {BEGIN, A | 0x616161}, 2},
		{"without an end", {BEGIN, 0, PROP, 100, 0, END, DONE}, 7},
		{"without an end", {BEGIN, 0, PROP, 0xffffffff, 0, END, DONE}, 7},
		{"without an end", {BEGIN, 0, PROP, 0xfffffff8, 0, END, DONE}, 7},
		{"without an end", {BEGIN, 0, PROP, 0xfffffff4, 0, END, DONE}, 7},
		{"without an end", {BEGIN, 0, PROP, 0xffffffec, 0, END, DONE}, 7},
		{"property that reaches outside", {BEGIN, 0, PROP, 0, 2, END, DONE}, 7},
		{"property that reaches outside", {BEGIN, 0, PROP, 0, 0xffffffff, END, DONE}, 7},
		{"property with an odd name", {BEGIN, 0, PROP, 0, 1, END, DONE}, 7},
		{"node with an odd name", {BEGIN, 0, BEGIN, 0, END, END, DONE}, 7},
		{"node with an odd name", {BEGIN, 0, BEGIN, 0x612f6200, END, END, DONE}, 7},
		{"node with an odd name", {BEGIN, 0, BEGIN, 0x61206200, END, END, DONE}, 7},
		{"without an end", {BEGIN, 0, 5, END, DONE}, 5},
	};
	uint8_t blob[256], deep[2048];
	uint32_t words[3 * 65 + 1];
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const size_t size = assemble(blob, rows[i].words, rows[i].count);
		if (rows[i].reason)
			refused_with(blob, size, rows[i].reason);
		else
			assert_true(try(blob, size));
		assert_int_equal(try(blob, size), !rows[i].reason);
	}
	for (size_t depth = 64; depth <= 65; depth++) {
		for (size_t i = 0; i < depth; i++) {
			words[2 * i] = BEGIN;
			words[2 * i + 1] = i ? A : 0;
			words[2 * depth + i] = END;
		}
		words[3 * depth] = DONE;
		const size_t size = assemble(deep, words, 3 * depth + 1);
		if (depth == 64)
			assert_true(try(deep, size));
		else
			refused_with(deep, size, "too deep");
	}
}

static void odd_headers(void **state)
{
	static const struct {
		size_t field;
		uint32_t value;
		const char *reason;
	} rows[] = {
		{0, 0xd00dfeee, "0xd00dfeed"},
		{1, 39, "shorter than its header"},
		{1, 0xffffffff, "cut off"},
		{2, 36, "inside its header"},
		{2, 58, "odd offset"},
		{2, 0xfffffff0, "past its end"},
		{3, 36, "inside its header"},
		{3, 0xffffffff, "past its end"},
		{4, 44, "odd offset"},
		{4, 32, "inside its header"},
		{4, 0xfffffff8, "past its end"},
		{5, 16, "version"},
		{6, 18, "version"},
		{8, 0xffffffff, "past its end"},
		{9, 0xfffffffc, "past its end"},
		{9, 15, "odd offset"},
	};
	static const uint32_t words[] = {1, 0, 2, 9};
	uint8_t blob[256], *large = calloc(1, AXFDT_MAX_BYTES + 1);
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const size_t size = assemble(blob, words, 4);
		fdt32_st(blob + 4 * rows[i].field, rows[i].value);
		refused_with(blob, size, rows[i].reason);
	}
	/* Bytes behind the tree are nobody's business, up to the limit. */
	const size_t size = assemble(large, words, 4);
	assert_true(try(large, size + 100));
	struct axfdt *fdt = NULL;
	assert_int_equal(axfdt_parse(large, AXFDT_MAX_BYTES, NULL, &fdt, NULL), 0);
	axfdt_destroy(fdt);
	refused_with(large, AXFDT_MAX_BYTES + 1, "larger than 2 MiB");
	/* Strings without an end of their own, and one that goes on and on. */
	fdt_set_size_dt_strings(large, 1);
	refused_with(large, AXFDT_MAX_BYTES, "strings block without an end");
	memset(large + size - 2, 'a', 300);
	fdt_set_size_dt_strings(large, 301);
	fdt_set_totalsize(large, (uint32_t)size + 400);
	refused_with(large, AXFDT_MAX_BYTES, "more than 255 bytes");
	/* A structure that is its own strings takes no more than it came in. */
	assemble(large, words, 4);
	fdt_set_off_dt_strings(large, 40);
	try(large, size);
	free(large);
}

static void refused_file(int fd, const char *reason)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};

	assert_true(axfdt_load(fd, "board.dtb", &fdt, &err) < 0);
	assert_null(fdt);
	assert_error(&err, AX_ERROR_BOOT_IMAGE, "device tree 'board.dtb': ");
	assert_error(&err, AX_ERROR_BOOT_IMAGE, reason);
	if (fd >= 0)
		close(fd);
}

static void files(void **state)
{
	static const char text[] =
		"/dts-v1/;\n/ {\n\tmodel = \"x\";\n\tcompatible = \"x,y\";\n};\n";
	struct axfdt *fdt = NULL;
	int pipes[2];
	(void)state;

	refused_file(-1, "cannot be read");
	refused_file(open("/", O_RDONLY | O_CLOEXEC), "is a directory");
	refused_file(open("/dev/zero", O_RDONLY | O_CLOEXEC), "is not a regular file");
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	close(pipes[1]);
	refused_file(pipes[0], "is not a regular file");
	refused_file(memfd_create("empty", MFD_CLOEXEC), "is empty");
	int fd = memfd_create("huge", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	refused_file(fd, "is larger than 2 MiB");
	fd = memfd_create("text", MFD_CLOEXEC);
	assert_int_equal(ax_pwrite_full(fd, text, sizeof(text) - 1, 0), 0);
	refused_file(dup(fd), "and is text");
	refused_file(fd, "a .dts must be compiled first");
	fd = memfd_create("zeroes", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 4096), 0);
	refused_file(fd, "expected a flattened device tree");

	size_t size = 0;
	void *blob = compile("board.dts", &size);
	fd = memfd_create("good", MFD_CLOEXEC);
	assert_int_equal(ax_pwrite_full(fd, blob, size, 0), 0);
	assert_int_equal(axfdt_load(fd, NULL, &fdt, NULL), 0);
	assert_text(fdt, "/", "model", "AxVM test board");
	axfdt_destroy(fdt);
	close(fd);
	free(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_off_at_every_byte),
		cmocka_unit_test(bits_flipped),
		cmocka_unit_test(words_and_bytes_changed),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(odd_structures),
		cmocka_unit_test(odd_headers),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
