/*
 * The header of Linux' Image, which arm64 and riscv share. What to do with it is the loaders' of
 * the two architectures. Documentation/arch/arm64/booting.rst,
 * Documentation/arch/riscv/boot-image-header.rst.
 */
#include "boot.h"

#include <endian.h>
#include <string.h>

/* Offsets in the header. */
enum { TEXT_OFFSET = 0x08, IMAGE_SIZE = 0x10, FLAGS = 0x18, MAGIC = 0x38, HEADER_BYTES = 0x40 };
#define FLAG_BIG_ENDIAN 0x1ULL
/* No kernel is larger, and no sum with it overflows. */
#define MAX_MEMORY_BYTES (1ULL << 30)
#define BASE_ALIGN       (2ULL << 20)

static uint64_t get64(const uint8_t *head, size_t offset)
{
	uint64_t v;

	memcpy(&v, head + offset, sizeof(v));
	return le64toh(v);
}

static int refuse_unknown(const struct axarch_image *image, const char *name, const uint8_t *head,
			  size_t len, struct ax_error *err)
{
	const char *guess = axarch_image_guess(head, len);

	axarch_image_error(image, err, "is %s, expected %s Image of Linux",
			   guess ? guess : "of no format known here", name);
	return ax_error_hint(err,
			     "accepted is the uncompressed Image (arch/*/boot/Image); unpack an "
			     "Image.gz or vmlinuz with gzip -d or the kernel's "
			     "scripts/extract-vmlinux");
}

static uint32_t get32(const uint8_t *head, size_t offset)
{
	uint32_t v;

	memcpy(&v, head + offset, sizeof(v));
	return le32toh(v);
}

/*
 * An Image that is also an EFI application names the file's extent in its PE sections, which the
 * kernel's own header does not: so a file that was cut short can be told. (PE Format, "Section
 * Table".) Headers that are not understood are not held against it.
 */
static int check_extent(const struct axarch_image *image, const uint8_t *head, struct ax_error *err)
{
	enum { PE_OFFSET = 0x3c, MAX_SECTIONS = 16, SECTION_BYTES = 40, COFF_BYTES = 24 };
	uint8_t coff[COFF_BYTES], sections[MAX_SECTIONS * SECTION_BYTES];
	uint64_t end = 0, at = get32(head, PE_OFFSET);

	if (memcmp(head, "MZ", 2) != 0 || at > AXAS_PAGE_SIZE)
		return 0;
	int rc = axarch_image_read(image, at, coff, sizeof(coff), "the PE header", err);
	if (rc < 0)
		return rc;
	const unsigned count = coff[6] | coff[7] << 8, optional = coff[20] | coff[21] << 8;
	if (memcmp(coff, "PE\0\0", 4) != 0 || count > MAX_SECTIONS)
		return 0;
	rc = axarch_image_read(image, at + COFF_BYTES + optional, sections, count * SECTION_BYTES,
			       "the PE section table", err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *section = sections + (size_t)i * SECTION_BYTES;
		const uint64_t section_end = (uint64_t)get32(section, 16) + get32(section, 20);

		end = section_end > end ? section_end : end;
	}
	if (end > image->size_bytes)
		return axarch_image_error(
			image, err,
			"is cut short: its PE sections end at %llu, the file has %llu bytes",
			(unsigned long long)end, (unsigned long long)image->size_bytes);
	return 0;
}

int axarch_linux_image_read(const struct axarch_image *image,
			    const struct axarch_linux_image_format *format,
			    struct axarch_linux_image *ret_header, struct ax_error *err)
{
	struct axarch_linux_image header;
	uint8_t head[HEADER_BYTES] = {0};
	const size_t len = image->size_bytes < sizeof(head) ? image->size_bytes : sizeof(head);
	int rc = axarch_image_read(image, 0, head, len, "the start of the file", err);

	if (rc < 0)
		return rc;
	if (memcmp(head + MAGIC, format->magic, sizeof(format->magic)) != 0)
		return refuse_unknown(image, format->name, head, len, err);
	rc = axarch_image_read(image, 0, head, sizeof(head), "the Image header", err);
	if (rc < 0)
		return rc;
	rc = check_extent(image, head, err);
	if (rc < 0)
		return rc;
	header = (struct axarch_linux_image){
		.text_offset = get64(head, TEXT_OFFSET),
		.memory_bytes = get64(head, IMAGE_SIZE),
		.flags = get64(head, FLAGS),
	};
	if (header.flags & FLAG_BIG_ENDIAN)
		return axarch_image_error(image, err,
					  "is big-endian (flags 0x%llx), which is not "
					  "supported",
					  (unsigned long long)header.flags);
	if (!header.memory_bytes) {
		/* The old header says nothing: the file, and a guess of its BSS. */
		header.text_offset = format->text_offset;
		header.memory_bytes = image->size_bytes + BASE_ALIGN;
	}
	if (header.memory_bytes > MAX_MEMORY_BYTES || image->size_bytes > header.memory_bytes)
		return axarch_image_error(
			image, err,
			"has image_size 0x%llx in its header, expected at least the file's %llu "
			"bytes and at most 0x%llx",
			(unsigned long long)header.memory_bytes,
			(unsigned long long)image->size_bytes,
			(unsigned long long)MAX_MEMORY_BYTES);
	if (header.text_offset % AXAS_PAGE_SIZE || header.text_offset >= MAX_MEMORY_BYTES)
		return axarch_image_error(image, err,
					  "has text_offset 0x%llx in its header, expected a "
					  "multiple of 4096 below 0x%llx",
					  (unsigned long long)header.text_offset,
					  (unsigned long long)MAX_MEMORY_BYTES);
	*ret_header = header;
	return 0;
}
