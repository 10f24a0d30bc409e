/*
 * bzImage by the Linux boot protocol (Documentation/arch/x86/boot.rst): checks the setup header,
 * puts the protected-mode part where the kernel wants it and chooses the 64-bit or 32-bit entry.
 * What the zero page says besides the header is zeropage.c's.
 */
#include "load.h"
#include "le.h"

#include <errno.h>
#include <string.h>

/* Setup header fields by their offset in the file, which is their offset in the zero page. */
enum {
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4,
	BOOT_FLAG = 0x1fe,
	JUMP = 0x200,
	HEADER = 0x202,
	VERSION = 0x206,
	LOADFLAGS = 0x211,
	CODE32_START = 0x214,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE = 0x234,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
};
enum { LOADED_HIGH = 0x01 };
enum { XLF_KERNEL_64 = 0x01, XLF_CAN_BE_LOADED_ABOVE_4G = 0x02 };
enum {
	VERSION_MIN = 0x206,
	VERSION_PAYLOAD = 0x208,
	VERSION_INIT_SIZE = 0x20a,
	VERSION_XLOADFLAGS = 0x20c
};

struct setup {
	uint8_t bytes[X86_SETUP_HEADER_END]; /* the file's first bytes, zero past the header */
	unsigned version;
	uint64_t kernel_offset, kernel_size; /* protected-mode part in the file */
	uint64_t load_gpa, init_size;
	unsigned xloadflags;
};

static int check_header(const struct axarch_image *image, struct setup *s, struct ax_error *err)
{
	const uint8_t *b = s->bytes;
	int rc;

	rc = axarch_image_read(image, 0, s->bytes, sizeof(s->bytes), "the setup header", err);
	if (rc < 0)
		return rc;
	if (x86_get16(b, BOOT_FLAG) != 0xaa55)
		return axarch_image_error(image, err,
					  "boot_flag at 0x1fe is 0x%04x, expected 0xaa55",
					  x86_get16(b, BOOT_FLAG));
	if (memcmp(b + HEADER, "HdrS", 4) != 0)
		return axarch_image_error(
			image, err, "magic at 0x202 is 0x%08x, expected \"HdrS\" (0x53726448)",
			x86_get32(b, HEADER));
	s->version = x86_get16(b, VERSION);
	if (s->version < VERSION_MIN)
		return axarch_image_error(
			image, err, "boot protocol version is %u.%02u, expected 2.06 or newer",
			s->version >> 8, s->version & 0xff);
	if (!(b[LOADFLAGS] & LOADED_HIGH))
		return axarch_image_error(
			image, err,
			"loadflags 0x%02x lack LOADED_HIGH: a zImage, expected a bzImage",
			b[LOADFLAGS]);
	/* The header ends where its jump instruction goes; what follows is code. */
	const unsigned end = HEADER + b[JUMP + 1];
	if (end > X86_SETUP_HEADER_END || end < CMDLINE_SIZE + 4)
		return axarch_image_error(image, err,
					  "the setup header ends at 0x%x, expected 0x%x to 0x%x",
					  end, CMDLINE_SIZE + 4, X86_SETUP_HEADER_END);
	if (s->version >= VERSION_INIT_SIZE && end < INIT_SIZE + 4)
		return axarch_image_error(
			image, err,
			"the setup header ends at 0x%x, version %u.%02u has one to 0x%x", end,
			s->version >> 8, s->version & 0xff, INIT_SIZE + 4);
	memset(s->bytes + end, 0, sizeof(s->bytes) - end);
	if (s->version >= VERSION_XLOADFLAGS)
		s->xloadflags = x86_get16(b, XLOADFLAGS);
	return 0;
}

static int check_size(const struct axarch_image *image, struct setup *s, struct ax_error *err)
{
	const uint8_t *b = s->bytes;
	/* "If this field contains 0, the real value is 4." */
	const unsigned sects = b[SETUP_SECTS] ? b[SETUP_SECTS] : 4;
	const uint64_t said = x86_get32(b, SYSSIZE) * 16ULL;

	s->kernel_offset = (sects + 1) * 512ULL;
	if (s->kernel_offset >= image->size_bytes)
		return axarch_image_error(image, err,
					  "setup_sects %u puts the kernel at offset %llu, the file "
					  "ends at %llu",
					  sects, (unsigned long long)s->kernel_offset,
					  (unsigned long long)image->size_bytes);
	s->kernel_size = image->size_bytes - s->kernel_offset;
	/* syssize counts paragraphs of 16 bytes, the last of which may be short. */
	if (said == 0 || s->kernel_size + 15 < said)
		return axarch_image_error(
			image, err,
			"is cut short: syssize says %llu bytes of kernel, the file "
			"has %llu",
			(unsigned long long)said, (unsigned long long)s->kernel_size);
	/* What follows is no kernel (a signature); some builds round syssize down. */
	if (s->kernel_size > said + 16)
		s->kernel_size = said + 16;
	if (s->version >= VERSION_PAYLOAD) {
		const uint64_t offset = x86_get32(b, PAYLOAD_OFFSET);
		const uint64_t length = x86_get32(b, PAYLOAD_LENGTH);
		if (offset + length > s->kernel_size)
			return axarch_image_error(image, err,
						  "the payload at 0x%llx + 0x%llx runs past the "
						  "kernel's 0x%llx bytes",
						  (unsigned long long)offset,
						  (unsigned long long)length,
						  (unsigned long long)s->kernel_size);
	}
	return 0;
}

/*
 * Where to. A kernel runs at pref_address unless it is loaded higher: the 32-bit and 64-bit entries
 * raise a lower load address to it themselves (arch/x86/boot/compressed/head_64.S), so a lower
 * place saves no memory. Only a pref_address inside the first MiB makes us relocate.
 */
static int place(const struct axarch_image *image, const struct axarch_plan *plan, struct setup *s,
		 struct ax_error *err)
{
	const uint8_t *b = s->bytes;
	const uint64_t ram_end = x86_plan_low_ram_end(plan);
	uint64_t end;

	s->load_gpa = X86_HIGH_RAM_GPA;
	s->init_size = s->kernel_size;
	if (s->version >= VERSION_INIT_SIZE) {
		const uint64_t align = x86_get32(b, KERNEL_ALIGNMENT);
		s->load_gpa = x86_get64(b, PREF_ADDRESS);
		if (x86_get32(b, INIT_SIZE) > s->init_size)
			s->init_size = x86_get32(b, INIT_SIZE);
		if (s->load_gpa < X86_HIGH_RAM_GPA) {
			if (!b[RELOCATABLE])
				return axarch_image_error(
					image, err,
					"pref_address is 0x%llx and the kernel is "
					"not relocatable, expected 0x100000 or "
					"more",
					(unsigned long long)s->load_gpa);
			if (!ax_is_power_of_two(align))
				return axarch_image_error(image, err,
							  "kernel_alignment is 0x%llx, expected a "
							  "power of two",
							  (unsigned long long)align);
			s->load_gpa = ax_align_up(X86_HIGH_RAM_GPA, align);
		}
	}
	if (ax_add_overflows(s->load_gpa, s->init_size, &end))
		return axarch_image_error(
			image, err, "pref_address 0x%llx + init_size 0x%llx wraps",
			(unsigned long long)s->load_gpa, (unsigned long long)s->init_size);
	if (end > ram_end) {
		axarch_image_error(
			image, err,
			"needs RAM at 0x%llx..0x%llx (init_size %llu MiB), the guest's low "
			"RAM ends at 0x%llx",
			(unsigned long long)s->load_gpa, (unsigned long long)end - 1,
			(unsigned long long)(s->init_size >> 20), (unsigned long long)ram_end);
		if (end <= X86_HOLE_GPA)
			ax_error_hint(err, "raise --memory to at least %lluM",
				      (unsigned long long)(ax_align_up(end, AX_MIB) >> 20));
		return -EINVAL;
	}
	return 0;
}

static int choose_entry(const struct axarch_image *image, enum axarch_boot_protocol protocol,
			const struct setup *s, struct x86_kernel *kernel, struct ax_error *err)
{
	const bool has_64 = s->xloadflags & XLF_KERNEL_64;

	switch (protocol) {
	case AXARCH_BOOT_AUTO:
	case AXARCH_BOOT_LINUX32:
		break;
	case AXARCH_BOOT_LINUX64:
		if (has_64)
			break;
		axarch_image_error(image, err,
				   "has no 64-bit entry: version %u.%02u, xloadflags 0x%04x, "
				   "expected 2.12 or newer with XLF_KERNEL_64 (0x0001)",
				   s->version >> 8, s->version & 0xff, s->xloadflags);
		return ax_error_hint(err, "the linux32 protocol uses its 32-bit entry");
	default:
		axarch_image_error(image, err,
				   "is a bzImage, the PVH protocol takes an ELF vmlinux");
		return ax_error_hint(err, "leave the boot protocol to auto");
	}
	if (has_64 && protocol != AXARCH_BOOT_LINUX32) {
		kernel->mode = X86_START_LONG;
		kernel->entry = s->load_gpa + 0x200;
		kernel->initrd_above_4g = s->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G;
	} else {
		kernel->mode = X86_START_PROTECTED;
		kernel->entry = s->load_gpa;
	}
	return 0;
}

int x86_load_bzimage(struct axas *memory, const struct axarch_plan *plan,
		     const struct axarch_image *image, enum axarch_boot_protocol protocol,
		     struct x86_kernel *ret_kernel, struct ax_error *err)
{
	struct x86_kernel kernel = {.handover = X86_HANDOVER_ZERO_PAGE};
	struct setup s = {.version = 0};
	int rc;

	rc = check_header(image, &s, err);
	if (rc == 0)
		rc = check_size(image, &s, err);
	if (rc == 0)
		rc = place(image, plan, &s, err);
	if (rc == 0)
		rc = choose_entry(image, protocol, &s, &kernel, err);
	if (rc == 0)
		rc = axas_load_fd(memory, s.load_gpa, image->fd, s.kernel_offset, s.kernel_size,
				  err);
	if (rc < 0)
		return rc;

	kernel.load_gpa = s.load_gpa;
	kernel.end_gpa = s.load_gpa + s.init_size;
	kernel.cmdline_max = x86_get32(s.bytes, CMDLINE_SIZE);
	/* A kernel that takes its initrd anywhere does not mean its initrd_addr_max. */
	kernel.initrd_max_gpa = s.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G
					? UINT32_MAX
					: x86_get32(s.bytes, INITRD_ADDR_MAX);
	x86_put32(s.bytes, CODE32_START, (uint32_t)s.load_gpa);
	memcpy(kernel.setup_header, s.bytes + X86_SETUP_HEADER_OFFSET, sizeof(kernel.setup_header));
	*ret_kernel = kernel;
	return 0;
}
