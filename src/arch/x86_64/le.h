/*
 * Little-endian fields at byte offsets of a buffer: how every boot protocol and firmware table here
 * is written and read, so that no struct layout or host byte order matters.
 */
#ifndef AXVM_ARCH_X86_64_LE_H
#define AXVM_ARCH_X86_64_LE_H

#include <stddef.h>
#include <stdint.h>

static inline void x86_put16(void *buf, size_t offset, uint16_t v)
{
	uint8_t *p = (uint8_t *)buf + offset;
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void x86_put32(void *buf, size_t offset, uint32_t v)
{
	x86_put16(buf, offset, (uint16_t)v);
	x86_put16(buf, offset + 2, (uint16_t)(v >> 16));
}

static inline void x86_put64(void *buf, size_t offset, uint64_t v)
{
	x86_put32(buf, offset, (uint32_t)v);
	x86_put32(buf, offset + 4, (uint32_t)(v >> 32));
}

static inline uint16_t x86_get16(const void *buf, size_t offset)
{
	const uint8_t *p = (const uint8_t *)buf + offset;
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t x86_get32(const void *buf, size_t offset)
{
	return x86_get16(buf, offset) | (uint32_t)x86_get16(buf, offset + 2) << 16;
}

static inline uint64_t x86_get64(const void *buf, size_t offset)
{
	return x86_get32(buf, offset) | (uint64_t)x86_get32(buf, offset + 4) << 32;
}

/* The byte that makes `len` bytes sum to zero when it replaces a zero among them. */
static inline uint8_t x86_checksum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

#endif
