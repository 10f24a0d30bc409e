/*
 * Synthetic boot images: a valid bzImage and a valid ELF kernel, as bytes that a test (or the fuzz
 * target) damages before the loader sees them. Header-only so that the fuzz target can use it.
 */
#ifndef AXVM_TESTS_X86_64_IMAGES_H
#define AXVM_TESTS_X86_64_IMAGES_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "le.h"

/* ---- bzImage --------------------------------------------------------------------------------- */

enum {
	BZ_SETUP_SECTS = 2,
	BZ_KERNEL_OFFSET = (BZ_SETUP_SECTS + 1) * 512,
	BZ_KERNEL_SIZE = 0x4000,
	BZ_SIZE = BZ_KERNEL_OFFSET + BZ_KERNEL_SIZE,
	BZ_PREF_ADDRESS = 0x1000000,
	BZ_INIT_SIZE = 0x400000,
	BZ_INITRD_MAX = 0x7fffffff,
	BZ_CMDLINE_SIZE = 2047,
};

/* Boot protocol 2.15, relocatable, both entries, as a distribution kernel has it. */
static inline void image_bzimage(uint8_t bytes[BZ_SIZE])
{
	memset(bytes, 0, BZ_SIZE);
	bytes[0x1f1] = BZ_SETUP_SECTS;
	x86_put32(bytes, 0x1f4, BZ_KERNEL_SIZE / 16);
	x86_put16(bytes, 0x1fe, 0xaa55);
	bytes[0x200] = 0xeb;
	bytes[0x201] = 0x6a; /* the header ends at 0x26c */
	memcpy(bytes + 0x202, "HdrS", 4);
	x86_put16(bytes, 0x206, 0x20f);
	bytes[0x211] = 0x01;
	x86_put32(bytes, 0x214, 0x100000);
	x86_put32(bytes, 0x22c, BZ_INITRD_MAX);
	x86_put32(bytes, 0x230, 0x200000);
	bytes[0x234] = 1;
	bytes[0x235] = 0x15;
	x86_put16(bytes, 0x236, 0x3f);
	x86_put32(bytes, 0x238, BZ_CMDLINE_SIZE);
	x86_put32(bytes, 0x248, 0x300);
	x86_put32(bytes, 0x24c, BZ_KERNEL_SIZE - 0x400);
	x86_put64(bytes, 0x258, BZ_PREF_ADDRESS);
	x86_put32(bytes, 0x260, BZ_INIT_SIZE);
	for (size_t i = BZ_KERNEL_OFFSET; i < BZ_SIZE; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* ---- ELF ------------------------------------------------------------------------------------- */

enum {
	ELF_TEXT_OFFSET = 0x1000,
	ELF_TEXT_SIZE = 0x2000,
	ELF_DATA_OFFSET = 0x3000,
	ELF_DATA_SIZE = 0x800,
	ELF_DATA_MEMSZ = 0x5000,
	ELF_NOTE_OFFSET = 0x3800,
	ELF_NOTE_SIZE = 20 + 20 + 20, /* another note, the PVH one, one more */
	ELF_IMAGE_SIZE = 0x4000,
	ELF_TEXT_PADDR = 0x1000000,
	ELF_DATA_PADDR = 0x1200000,
	ELF_PVH_ENTRY = ELF_TEXT_PADDR + 0x120,
	/* Where the fields of program header n stand. */
	ELF_PHDR = 64,
	ELF_PHDR_SIZE = 56,
};

static inline void image_phdr(uint8_t *bytes, unsigned n, uint32_t type, uint64_t offset,
			      uint64_t vaddr, uint64_t paddr, uint64_t filesz, uint64_t memsz)
{
	uint8_t *ph = bytes + ELF_PHDR + (size_t)n * ELF_PHDR_SIZE;
	x86_put32(ph, offsetof(Elf64_Phdr, p_type), type);
	x86_put32(ph, offsetof(Elf64_Phdr, p_flags), PF_R | PF_X);
	x86_put64(ph, offsetof(Elf64_Phdr, p_offset), offset);
	x86_put64(ph, offsetof(Elf64_Phdr, p_vaddr), vaddr);
	x86_put64(ph, offsetof(Elf64_Phdr, p_paddr), paddr);
	x86_put64(ph, offsetof(Elf64_Phdr, p_filesz), filesz);
	x86_put64(ph, offsetof(Elf64_Phdr, p_memsz), memsz);
	x86_put64(ph, offsetof(Elf64_Phdr, p_align), type == PT_NOTE ? 4 : 0x200000);
}

static inline void image_note(uint8_t *note, const char *owner, uint32_t type, uint32_t value)
{
	x86_put32(note, 0, 4);
	x86_put32(note, 4, 4);
	x86_put32(note, 8, type);
	memcpy(note + 12, owner, 4);
	x86_put32(note, 16, value);
}

static inline void image_elf(uint8_t bytes[ELF_IMAGE_SIZE])
{
	const uint64_t base = 0xffffffff80000000ULL;

	memset(bytes, 0, ELF_IMAGE_SIZE);
	memcpy(bytes, ELFMAG, SELFMAG);
	bytes[EI_CLASS] = ELFCLASS64;
	bytes[EI_DATA] = ELFDATA2LSB;
	bytes[EI_VERSION] = EV_CURRENT;
	x86_put16(bytes, offsetof(Elf64_Ehdr, e_type), ET_EXEC);
	x86_put16(bytes, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
	x86_put32(bytes, offsetof(Elf64_Ehdr, e_version), EV_CURRENT);
	x86_put64(bytes, offsetof(Elf64_Ehdr, e_entry), ELF_TEXT_PADDR);
	x86_put64(bytes, offsetof(Elf64_Ehdr, e_phoff), ELF_PHDR);
	x86_put16(bytes, offsetof(Elf64_Ehdr, e_ehsize), sizeof(Elf64_Ehdr));
	x86_put16(bytes, offsetof(Elf64_Ehdr, e_phentsize), ELF_PHDR_SIZE);
	x86_put16(bytes, offsetof(Elf64_Ehdr, e_phnum), 3);
	image_phdr(bytes, 0, PT_LOAD, ELF_TEXT_OFFSET, base + ELF_TEXT_PADDR, ELF_TEXT_PADDR,
		   ELF_TEXT_SIZE, ELF_TEXT_SIZE);
	image_phdr(bytes, 1, PT_LOAD, ELF_DATA_OFFSET, base + ELF_DATA_PADDR, ELF_DATA_PADDR,
		   ELF_DATA_SIZE, ELF_DATA_MEMSZ);
	image_phdr(bytes, 2, PT_NOTE, ELF_NOTE_OFFSET, base, 0, ELF_NOTE_SIZE, ELF_NOTE_SIZE);
	image_note(bytes + ELF_NOTE_OFFSET, "GNU", 3, 1);
	image_note(bytes + ELF_NOTE_OFFSET + 20, "Xen", 18, ELF_PVH_ENTRY);
	image_note(bytes + ELF_NOTE_OFFSET + 40, "Xen", 6, 2);
	for (size_t i = ELF_TEXT_OFFSET; i < ELF_NOTE_OFFSET; i++)
		bytes[i] = (uint8_t)(i * 5 + (i >> 8));
}

/* Without the PVH note (its type becomes another one's). */
static inline void image_elf_drop_pvh(uint8_t bytes[ELF_IMAGE_SIZE])
{
	x86_put32(bytes, ELF_NOTE_OFFSET + 20 + 8, 99);
}

#endif
