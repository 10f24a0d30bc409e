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
