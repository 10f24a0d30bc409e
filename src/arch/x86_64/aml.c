/*
 * The AML encoder of aml.h. Knows the byte code, not what it describes: that is dsdt.c.
 */
#include "aml.h"
#include "le.h"

#include <assert.h>
#include <string.h>

/* ACPI 6.4 table 20.2 and the resource tags of section 6.4. */
enum {
	ZERO_OP = 0x00,
	ONE_OP = 0x01,
	NAME_OP = 0x08,
	BYTE_PREFIX = 0x0a,
	WORD_PREFIX = 0x0b,
	DWORD_PREFIX = 0x0c,
	STRING_PREFIX = 0x0d,
	QWORD_PREFIX = 0x0e,
	SCOPE_OP = 0x10,
	BUFFER_OP = 0x11,
	PACKAGE_OP = 0x12,
	EXT_OP_PREFIX = 0x5b,
	DEVICE_OP = 0x82,
};
enum {
	TAG_IRQ_NO_FLAGS = 0x22,
	TAG_IO = 0x47,
	TAG_END = 0x79,
	TAG_MEMORY32_FIXED = 0x86,
	TAG_DWORD_SPACE = 0x87,
	TAG_WORD_SPACE = 0x88,
	TAG_EXTENDED_IRQ = 0x89,
};

void x86_aml_bytes(struct x86_aml *aml, const void *bytes, size_t len)
{
	if (aml->overflow || len > aml->max - aml->len) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->buf + aml->len, bytes, len);
	aml->len += len;
}

static void put_byte(struct x86_aml *aml, uint8_t byte)
{
	x86_aml_bytes(aml, &byte, 1);
}

static void put_name(struct x86_aml *aml, const char *name)
{
	if (*name == '\\')
		put_byte(aml, (uint8_t)*name++);
	assert(strlen(name) == 4);
	x86_aml_bytes(aml, name, 4);
}

static void put_integer(struct x86_aml *aml, uint64_t v)
{
	uint8_t bytes[9];

	if (v <= 1) {
		put_byte(aml, v ? ONE_OP : ZERO_OP);
		return;
	}
	const size_t size = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
	bytes[0] = size == 1   ? BYTE_PREFIX
		   : size == 2 ? WORD_PREFIX
		   : size == 4 ? DWORD_PREFIX
			       : QWORD_PREFIX;
	x86_put64(bytes, 1, v);
	x86_aml_bytes(aml, bytes, 1 + size);
}

size_t x86_aml_open_scope(struct x86_aml *aml, const char *name)
{
	put_byte(aml, SCOPE_OP);
	const size_t mark = aml->len;
	put_name(aml, name);
	return mark;
}

size_t x86_aml_open_device(struct x86_aml *aml, const char *name)
{
	put_byte(aml, EXT_OP_PREFIX);
	put_byte(aml, DEVICE_OP);
	const size_t mark = aml->len;
	put_name(aml, name);
	return mark;
}

/* PkgLength counts itself: one byte up to 63, else 4 bits and one to three bytes more. */
void x86_aml_close(struct x86_aml *aml, size_t mark)
{
	uint8_t bytes[4];
	size_t size = 1;

	if (aml->overflow)
		return;
	const size_t body = aml->len - mark;
	if (body + 1 < 1u << 6) {
		bytes[0] = (uint8_t)(body + 1);
	} else {
		size = body + 2 < 1u << 12 ? 2 : body + 3 < 1u << 20 ? 3 : 4;
		const size_t total = body + size;
		bytes[0] = (uint8_t)((size - 1) << 6 | (total & 0xf));
		for (size_t i = 1; i < size; i++)
			bytes[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	}
	if (size > aml->max - aml->len) {
		aml->overflow = true;
		return;
	}
	memmove(aml->buf + mark + size, aml->buf + mark, body);
	memcpy(aml->buf + mark, bytes, size);
	aml->len += size;
}

void x86_aml_name_integer(struct x86_aml *aml, const char *name, uint64_t value)
{
	put_byte(aml, NAME_OP);
	put_name(aml, name);
	put_integer(aml, value);
}

void x86_aml_name_string(struct x86_aml *aml, const char *name, const char *value)
{
	put_byte(aml, NAME_OP);
	put_name(aml, name);
	put_byte(aml, STRING_PREFIX);
	x86_aml_bytes(aml, value, strlen(value) + 1);
}

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four hexadecimal digits, the bytes in big-endian order. */
void x86_aml_name_eisaid(struct x86_aml *aml, const char *name, const char *id)
{
	uint8_t bytes[5] = {DWORD_PREFIX};

	assert(strlen(id) == 7);
	const unsigned letters = (unsigned)(id[0] - '@') << 10 | (unsigned)(id[1] - '@') << 5 |
				 (unsigned)(id[2] - '@');
	bytes[1] = (uint8_t)(letters >> 8);
	bytes[2] = (uint8_t)letters;
	bytes[3] = (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4]));
	bytes[4] = (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6]));
	put_byte(aml, NAME_OP);
	put_name(aml, name);
	x86_aml_bytes(aml, bytes, sizeof(bytes));
}

void x86_aml_name_package(struct x86_aml *aml, const char *name, const uint8_t *values,
			  uint8_t count)
{
	put_byte(aml, NAME_OP);
	put_name(aml, name);
	put_byte(aml, PACKAGE_OP);
	const size_t mark = aml->len;
	put_byte(aml, count);
	for (uint8_t i = 0; i < count; i++)
		put_integer(aml, values[i]);
	x86_aml_close(aml, mark);
}

/* ---- resources (ACPI 6.4 section 6.4) -------------------------------------------------------- */

static void add_resource(struct x86_aml_resources *res, const uint8_t *bytes, size_t len)
{
	assert(len <= sizeof(res->bytes) - res->len);
	memcpy(res->bytes + res->len, bytes, len);
	res->len += len;
}

void x86_aml_memory32(struct x86_aml_resources *res, uint32_t base, uint32_t size)
{
	uint8_t d[12] = {TAG_MEMORY32_FIXED, 9, 0, 1 /* read and write */};
	x86_put32(d, 4, base);
	x86_put32(d, 8, size);
	add_resource(res, d, sizeof(d));
}

void x86_aml_interrupt(struct x86_aml_resources *res, uint32_t gsi)
{
	enum { CONSUMER = 1, EDGE = 2 }; /* active-high and exclusive are zeroes */
	uint8_t d[9] = {TAG_EXTENDED_IRQ, 6, 0, CONSUMER | EDGE, 1 /* how many */};
	x86_put32(d, 5, gsi);
	add_resource(res, d, sizeof(d));
}

/* Address space descriptors (6.4.3.5): length, type, flags, flags of the type; then granularity,
 * minimum, maximum, translation and length. Neither end moves; a flag of 0 is "producer". */
enum { SPACE_MEMORY = 0, SPACE_BUS = 2, SPACE_FIXED = 0xc, SPACE_READ_WRITE = 1 };

void x86_aml_bus_numbers(struct x86_aml_resources *res, uint8_t first, uint8_t last)
{
	uint8_t d[16] = {TAG_WORD_SPACE, 13, 0, SPACE_BUS, SPACE_FIXED};
	x86_put16(d, 8, first);
	x86_put16(d, 10, last);
	x86_put16(d, 14, (uint16_t)(last - first + 1));
	add_resource(res, d, sizeof(d));
}

void x86_aml_memory_window(struct x86_aml_resources *res, uint32_t base, uint32_t size)
{
	uint8_t d[26] = {TAG_DWORD_SPACE, 23, 0, SPACE_MEMORY, SPACE_FIXED, SPACE_READ_WRITE};
	x86_put32(d, 10, base);
	x86_put32(d, 14, base + size - 1);
	x86_put32(d, 22, size);
	add_resource(res, d, sizeof(d));
}

void x86_aml_io(struct x86_aml_resources *res, uint16_t base, uint8_t size)
{
	uint8_t d[8] = {TAG_IO, 1 /* decodes 16 bits */};
	x86_put16(d, 2, base);
	x86_put16(d, 4, base);
	d[6] = 1; /* alignment */
	d[7] = size;
	add_resource(res, d, sizeof(d));
}

void x86_aml_irq_no_flags(struct x86_aml_resources *res, uint8_t irq)
{
	uint8_t d[3] = {TAG_IRQ_NO_FLAGS};
	x86_put16(d, 1, (uint16_t)(1u << irq));
	add_resource(res, d, sizeof(d));
}

void x86_aml_name_resources(struct x86_aml *aml, const char *name, struct x86_aml_resources *res)
{
	uint8_t end[2] = {TAG_END, 0};

	add_resource(res, end, sizeof(end));
	res->bytes[res->len - 1] = x86_checksum(res->bytes, res->len);
	put_byte(aml, NAME_OP);
	put_name(aml, name);
	put_byte(aml, BUFFER_OP);
	const size_t mark = aml->len;
	put_integer(aml, res->len);
	x86_aml_bytes(aml, res->bytes, res->len);
	x86_aml_close(aml, mark);
}
