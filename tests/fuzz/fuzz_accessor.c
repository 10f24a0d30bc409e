/*
 * The address space under random operations, against a page-and-byte model: the input is a list
 * of commands (map, unmap, protect, every accessor) with addresses drawn from a small window and
 * from the edges of 64 bits. Any answer or byte that differs from the model aborts.
 */
#include <axvm/axaddrspace.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE   AXAS_PAGE_SIZE
#define WINDOW 24 /* pages of the model, from gpa 0 */
#define LIMIT  (WINDOW * PAGE)

struct model {
	int region[WINDOW]; /* 0: unmapped; equal numbers side by side: one region */
	bool read_only[WINDOW];
	uint8_t bytes[WINDOW * AXAS_PAGE_SIZE];
	int next_region;
};

struct input {
	const uint8_t *data;
	size_t left;
};

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static uint64_t take_number(struct input *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | take(in);
	return v;
}

/* Mostly inside the window and near page edges, sometimes anything. */
static uint64_t take_address(struct input *in)
{
	uint8_t kind = take(in);

	if (kind < 160)
		return (uint64_t)(take(in) % (WINDOW + 2)) * PAGE +
		       (uint64_t)(int64_t)(int8_t)take(in);
	if (kind < 220)
		return (uint64_t)take(in) << 9 | (kind & 7);
	if (kind < 240)
		return -(uint64_t)take(in);
	return take_number(in);
}

static uint64_t take_length(struct input *in)
{
	uint8_t kind = take(in);

	if (kind < 120)
		return take(in);
	if (kind < 220)
		return (uint64_t)(take(in) % (WINDOW + 2)) * PAGE +
		       (uint64_t)(int64_t)(int8_t)take(in);
	if (kind < 240)
		return -(uint64_t)take(in);
	return take_number(in);
}

static bool allowed(const struct model *m, uint64_t gpa, uint64_t len, bool write)
{
	if (len && (gpa >= LIMIT || len > LIMIT - gpa))
		return false;
	for (uint64_t p = gpa / PAGE; len && p <= (gpa + len - 1) / PAGE; p++) {
		if (!m->region[p] || (write && m->read_only[p]))
			return false;
	}
	return true;
}

/* Bytes of the same region from gpa on; 0 when it is unmapped. */
static uint64_t remaining(const struct model *m, uint64_t gpa)
{
	uint64_t p = gpa / PAGE;

	if (gpa >= LIMIT || !m->region[p])
		return 0;
	while (p < WINDOW && m->region[p] == m->region[gpa / PAGE])
		p++;
	return p * PAGE - gpa;
}

/* Whatever of the region lies behind `page` becomes a region of its own. */
static void cut(struct model *m, uint64_t page)
{
	int region;

	if (!page || page >= WINDOW || !m->region[page] || m->region[page] != m->region[page - 1])
		return;
	region = m->region[page];
	m->next_region++;
	for (uint64_t p = page; p < WINDOW && m->region[p] == region; p++)
		m->region[p] = m->next_region;
}

static void change(struct axas *as, struct model *m, struct input *in, uint8_t op)
{
	uint64_t gpa = take(in) % WINDOW, pages = take(in) % (WINDOW / 2) + 1;
	uint64_t end = gpa + pages < WINDOW ? gpa + pages : WINDOW;
	bool all = gpa + pages <= WINDOW, none = true, read_only = op & 8;
	struct axas_region_config config = {
		.gpa = gpa * PAGE,
		.size_bytes = pages * PAGE,
		.backing = op & 16 ? AXAS_BACKING_THP : AXAS_BACKING_ANON,
		.flags = read_only ? AXAS_READ : AXAS_RW,
	};
	int rc;

	for (uint64_t p = gpa; p < end; p++) {
		all = all && m->region[p];
		none = none && !m->region[p];
	}
	switch (op % 3) {
	case 0:
		rc = axas_map(as, &config, NULL);
		REQUIRE(rc == (gpa + pages > WINDOW ? -EINVAL : none ? 0 : -EEXIST));
		if (rc < 0)
			return;
		m->next_region++;
		for (uint64_t p = gpa; p < end; p++) {
			m->region[p] = m->next_region;
			m->read_only[p] = read_only;
		}
		memset(m->bytes + gpa * PAGE, 0, pages * PAGE);
		return;
	case 1:
		rc = axas_unmap(as, gpa * PAGE, pages * PAGE, NULL);
		REQUIRE(rc == (gpa + pages > WINDOW ? -EINVAL : all ? 0 : -ENOENT));
		if (rc < 0)
			return;
		cut(m, gpa);
		cut(m, end);
		for (uint64_t p = gpa; p < end; p++)
			m->region[p] = 0;
		return;
	default:
		rc = axas_protect(as, gpa * PAGE, pages * PAGE, config.flags, NULL);
		REQUIRE(rc == (gpa + pages > WINDOW ? -EINVAL : all ? 0 : -ENOENT));
		if (rc < 0)
			return;
		/* A region that is right already is not cut. */
		if (m->read_only[gpa] != read_only)
			cut(m, gpa);
		if (m->read_only[end - 1] != read_only)
			cut(m, end);
		for (uint64_t p = gpa; p < end; p++)
			m->read_only[p] = read_only;
	}
}

static void vectors(struct axas *as, const struct model *m, uint64_t gpa, uint64_t len, bool write)
{
	struct iovec iov[WINDOW];
	int max = WINDOW, n;
	uint64_t at = gpa;

	n = axas_iovec(as, gpa, len, write ? AXAS_RW : AXAS_READ, iov, max);
	if (!allowed(m, gpa, len, write)) {
		REQUIRE(n == -EFAULT);
		return;
	}
	for (int i = 0; i < n; i++) {
		uint64_t rest = remaining(m, at), want = gpa + len - at;
		REQUIRE(iov[i].iov_len == (want < rest ? want : rest));
		REQUIRE(!memcmp(iov[i].iov_base, m->bytes + at, iov[i].iov_len));
		at += iov[i].iov_len;
	}
	REQUIRE(n >= 0 && at == gpa + len);
	if (n)
		REQUIRE(axas_iovec(as, gpa, len, AXAS_READ, iov, n - 1) == -E2BIG);
}

static void pointers(struct axas *as, const struct model *m, uint64_t gpa, uint64_t len, bool write)
{
	uint64_t limit = 1, rest = remaining(m, gpa);
	void *hva = NULL;
	char *p = axas_ptr(as, gpa, len, write ? AXAS_WRITE : AXAS_READ);

	REQUIRE(axas_translate(as, gpa, &hva, &limit) == (rest ? 0 : -EFAULT));
	if (rest)
		REQUIRE(limit == rest && !memcmp(hva, m->bytes + gpa, rest));
	if (p)
		REQUIRE(p == hva);
	REQUIRE((p != NULL) == (rest && len <= rest && !(write && m->read_only[gpa / PAGE])));
}

static void integers(struct axas *as, struct model *m, uint64_t gpa, uint64_t v)
{
	uint64_t u64 = 0, expected = 0;
	uint32_t u32 = 0;
	uint16_t u16 = 0;
	uint8_t u8 = 0;

	REQUIRE(axas_write_u64(as, gpa, v) == (allowed(m, gpa, 8, true) ? 0 : -EFAULT));
	if (allowed(m, gpa, 8, true))
		memcpy(m->bytes + gpa, &v, 8);
	REQUIRE(axas_write_u16(as, gpa, (uint16_t)~v) == (allowed(m, gpa, 2, true) ? 0 : -EFAULT));
	if (allowed(m, gpa, 2, true))
		memcpy(m->bytes + gpa, &(uint16_t){(uint16_t)~v}, 2);
	for (size_t n = 1; n <= 8; n *= 2) {
		int rc = n == 1   ? axas_read_u8(as, gpa, &u8)
			 : n == 2 ? axas_read_u16(as, gpa, &u16)
			 : n == 4 ? axas_read_u32(as, gpa, &u32)
				  : axas_read_u64(as, gpa, &u64);
		REQUIRE(rc == (allowed(m, gpa, n, false) ? 0 : -EFAULT));
		if (rc)
			break;
		memcpy(&expected, m->bytes + gpa, n);
		REQUIRE(expected == (n == 1 ? u8 : n == 2 ? u16 : n == 4 ? u32 : u64));
	}
}

static void access_once(struct axas *as, struct model *m, struct input *in, uint8_t op)
{
	static uint8_t buf[WINDOW * AXAS_PAGE_SIZE];
	uint64_t gpa = take_address(in), len = take_length(in), src;
	bool readable = allowed(m, gpa, len, false), writable = allowed(m, gpa, len, true);
	uint8_t byte = take(in);

	switch (op % 8) {
	case 0:
		REQUIRE(axas_read(as, gpa, buf, len) == (readable ? 0 : -EFAULT));
		if (readable && len)
			REQUIRE(!memcmp(buf, m->bytes + gpa, len));
		return;
	case 1:
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(byte + i * 7);
		REQUIRE(axas_write(as, gpa, buf, len) == (writable ? 0 : -EFAULT));
		if (writable && len)
			memcpy(m->bytes + gpa, buf, len);
		return;
	case 2:
		memset(buf, byte, sizeof(buf));
		REQUIRE(axas_write_host(as, gpa, buf, len) == (readable ? 0 : -EFAULT));
		if (readable && len)
			memcpy(m->bytes + gpa, buf, len);
		return;
	case 3:
		REQUIRE(axas_fill(as, gpa, byte, len) == (writable ? 0 : -EFAULT));
		if (writable && len)
			memset(m->bytes + gpa, byte, len);
		return;
	case 4:
		src = take_address(in);
		writable = writable && allowed(m, src, len, false);
		REQUIRE(axas_copy_within(as, gpa, src, len) == (writable ? 0 : -EFAULT));
		if (writable && len)
			memmove(m->bytes + gpa, m->bytes + src, len);
		return;
	case 5:
		integers(as, m, gpa, len);
		return;
	case 6:
		vectors(as, m, gpa, len, byte & 1);
		return;
	default:
		pointers(as, m, gpa, len, byte & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t all[AXAS_PAGE_SIZE];
	struct input in = {data, size};
	struct axas *as = NULL;
	struct model *m = calloc(1, sizeof(*m));

	if (!m || axas_create(LIMIT, NULL, &as, NULL) < 0)
		abort();
	while (in.left) {
		uint8_t op = take(&in);
		if (op & 1)
			change(as, m, &in, op >> 1);
		else
			access_once(as, m, &in, op >> 1);
	}
	for (uint64_t p = 0; p < WINDOW; p++) {
		REQUIRE(axas_read(as, p * PAGE, all, PAGE) == (m->region[p] ? 0 : -EFAULT));
		if (m->region[p])
			REQUIRE(!memcmp(all, m->bytes + p * PAGE, PAGE));
	}
	axas_destroy(as);
	free(m);
	return 0;
}
