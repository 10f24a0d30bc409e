/*
 * ELF notes: finds the PVH entry (XEN_ELFNOTE_PHYS32_ENTRY, xen/include/public/elfnote.h) in one
 * PT_NOTE segment. Where the entry may lie is elf.c's to judge.
 */
#include "load.h"
#include "le.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NOTE_BYTES  (1ULL << 20)
#define NOTE_XEN_PHYS32 18u

/* Entries of namesz, descsz, type, then name and descriptor, each padded. */
int x86_find_pvh_note(const struct axarch_image *image, uint64_t offset, uint64_t size_bytes,
		      uint64_t segment_align, bool *ret_found, uint64_t *ret_entry,
		      struct ax_error *err)
{
	const uint64_t align = segment_align == 8 ? 8 : 4;
	AX_AUTO_FREE uint8_t *notes = NULL;
	int rc;

	if (size_bytes > MAX_NOTE_BYTES)
		return axarch_image_error(image, err, "notes of %llu bytes, expected at most %llu",
					  (unsigned long long)size_bytes, MAX_NOTE_BYTES);
	notes = malloc(size_bytes);
	if (!notes)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for ELF notes");
	rc = axarch_image_read(image, offset, notes, size_bytes, "the notes", err);
	if (rc < 0)
		return rc;
	for (uint64_t at = 0; at < size_bytes && size_bytes - at >= 12;) {
		const uint32_t namesz = x86_get32(notes, at), descsz = x86_get32(notes, at + 4);
		const uint32_t type = x86_get32(notes, at + 8);
		const uint64_t name = at + 12, desc = name + ax_align_up(namesz, align);
		/* Sizes of 32 bits in sums of 64: nothing wraps here. */
		const uint64_t end = desc + descsz;
		if (end > size_bytes)
			return axarch_image_error(
				image, err,
				"the note at 0x%llx (name %u, descriptor %u bytes) "
				"runs past the segment's 0x%llx bytes",
				(unsigned long long)at, namesz, descsz,
				(unsigned long long)size_bytes);
		if (type == NOTE_XEN_PHYS32 && namesz == 4 && memcmp(notes + name, "Xen", 4) == 0) {
			if (descsz != 4 && descsz != 8)
				return axarch_image_error(
					image, err, "the PVH note has %u bytes, expected 4 or 8",
					descsz);
			*ret_entry = descsz == 8 ? x86_get64(notes, desc) : x86_get32(notes, desc);
			*ret_found = true;
		}
		at = ax_align_up(end, align);
	}
	return 0;
}
