/*
 * What Arm's PrimeCell peripherals have in common: 32-bit registers in a 4 KiB page, the last eight
 * of which tell what the peripheral is. How an access of any width meets them is decided here.
 */
#ifndef AXDEVICE_PRIMECELL_H
#define AXDEVICE_PRIMECELL_H

#include <axvm/axdevice.h>

#define PRIMECELL_SIZE      0x1000u
#define PRIMECELL_PERIPH_ID 0xfe0u /* four registers of a byte each */
#define PRIMECELL_CELL_ID   0xff0u /* the same four in every PrimeCell */

/*
 * The peripheral sits on a bus without byte lanes: an access that starts at a register reads the
 * low bytes of it, or writes it with zeroes above; a wider one goes on with the next register.
 * Bytes of which no register starts read as zero and are written to nobody.
 */
static inline void axdev_primecell_access(struct axdev_access *access, void *dev,
					  uint32_t (*read)(void *dev, uint32_t offset),
					  void (*write)(void *dev, uint32_t offset, uint32_t value))
{
	uint64_t value = 0;

	for (unsigned i = 0; i < access->width; i++) {
		uint32_t offset = (uint32_t)access->offset + i;

		if (offset % 4)
			continue;
		if (access->is_write)
			write(dev, offset, (uint32_t)(access->value >> (8 * i)));
		else
			value |= (uint64_t)read(dev, offset) << (8 * i);
	}
	if (!access->is_write)
		access->value =
			access->width < 8 ? value & ((1ULL << (8 * access->width)) - 1) : value;
}

/* The identification registers; zero for every other offset. */
static inline uint32_t axdev_primecell_id(const uint8_t periph_id[4], uint32_t offset)
{
	static const uint8_t cell_id[4] = {0x0d, 0xf0, 0x05, 0xb1};

	if (offset >= PRIMECELL_CELL_ID && offset < PRIMECELL_SIZE)
		return cell_id[(offset - PRIMECELL_CELL_ID) / 4];
	if (offset >= PRIMECELL_PERIPH_ID && offset < PRIMECELL_CELL_ID)
		return periph_id[(offset - PRIMECELL_PERIPH_ID) / 4];
	return 0;
}

#endif
