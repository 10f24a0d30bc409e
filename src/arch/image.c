/*
 * Image files as the loader sees them: opened by the caller, checked for being files at all, read
 * with messages that name file and field. Also guesses what a file that is no kernel may be.
 */
#include "boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int axarch_image_check_entry(const struct axarch_image *image, uint64_t gpa, uint64_t entry,
			     struct ax_error *err)
{
	if (entry >= gpa && entry - gpa < image->size_bytes)
		return 0;
	return axarch_image_error(image, err, "entry 0x%llx is outside the image at 0x%llx..0x%llx",
				  (unsigned long long)entry, (unsigned long long)gpa,
				  (unsigned long long)(gpa + image->size_bytes - 1));
}

int axarch_image_error(const struct axarch_image *image, struct ax_error *err, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ax_error_set(err, AX_ERROR_BOOT_IMAGE, EINVAL, "%s '%s': %s", image->what,
			    image->name, text);
}

int axarch_image_open(int fd, const char *what, const char *name, struct axarch_image *ret_image,
		      struct ax_error *err)
{
	struct axarch_image image = {.fd = fd, .what = what, .name = name ? name : "unnamed"};
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int error = errno;
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, error, "%s '%s': cannot be read: %s",
				    what, image.name, strerror(error));
	}
	if (S_ISDIR(st.st_mode))
		return axarch_image_error(&image, err, "is a directory, expected a file");
	if (!S_ISREG(st.st_mode))
		return axarch_image_error(&image, err,
					  "is not a regular file, so its size is not known");
	if (st.st_size <= 0)
		return axarch_image_error(&image, err, "is empty");
	image.size_bytes = (uint64_t)st.st_size;
	*ret_image = image;
	return 0;
}

int axarch_image_read(const struct axarch_image *image, uint64_t offset, void *buf, size_t len,
		      const char *field, struct ax_error *err)
{
	int rc;

	if (offset > image->size_bytes || len > image->size_bytes - offset)
		return axarch_image_error(
			image, err,
			"is too short: %s takes %zu bytes at offset 0x%llx, the file has %llu",
			field, len, (unsigned long long)offset,
			(unsigned long long)image->size_bytes);
	rc = ax_pread_full(image->fd, buf, len, offset);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, -rc,
				    "%s '%s': reading %s at offset 0x%llx failed: %s", image->what,
				    image->name, field, (unsigned long long)offset, strerror(-rc));
	return 0;
}

const char *axarch_image_guess(const uint8_t *head, size_t len)
{
	static const struct {
		size_t offset;
		const char *magic;
		size_t magic_len;
		const char *what;
	} known[] = {
		{0x38, "ARM\x64", 4, "an arm64 kernel Image"},
		{0x38, "RSC\x05", 4, "a riscv kernel Image"},
		{0, "\x1f\x8b", 2, "a gzip file (unpack it first)"},
		{0,
		 "\xfd"
		 "7zXZ",
		 6, "an xz file (unpack it first)"},
		{0, "\x28\xb5\x2f\xfd", 4, "a zstd file (unpack it first)"},
		{0, "BZh", 3, "a bzip2 file (unpack it first)"},
		{0, "\x02\x21\x4c\x18", 4, "an lz4 file (unpack it first)"},
		{0, "\x04\x22\x4d\x18", 4, "an lz4 file (unpack it first)"},
		{0, "\x5d\x00\x00", 3, "an lzma file (unpack it first)"},
		{0, "\x27\x05\x19\x56", 4, "a U-Boot uImage"},
		{0, "\xd0\x0d\xfe\xed", 4, "a device tree or FIT image"},
		{0, "070701", 6, "a cpio archive (an initrd?)"},
		{0, "QFI\xfb", 4, "a qcow2 disk image"},
		{0, "#!", 2, "a script"},
		{0, "MZ", 2, "a PE/UEFI file without the header of a Linux kernel"},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(known); i++)
		if (len >= known[i].offset + known[i].magic_len &&
		    memcmp(head + known[i].offset, known[i].magic, known[i].magic_len) == 0)
			return known[i].what;
	if (len >= 0x200 && head[0x1fe] == 0x55 && head[0x1ff] == 0xaa)
		return "a boot sector or a disk image";
	return NULL;
}

int axarch_write(struct axas *memory, uint64_t gpa, const void *buf, size_t len, const char *what,
		 struct ax_error *err)
{
	int rc = axas_write(memory, gpa, buf, len);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_MEMORY_SETUP, -rc,
				    "%s: guest memory 0x%llx..0x%llx is not writable RAM", what,
				    (unsigned long long)gpa, (unsigned long long)(gpa + len - 1));
	return 0;
}
