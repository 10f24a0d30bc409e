/*
 * ELF kernels: a 64-bit vmlinux (or any ELF that carries the PVH note), loaded segment by segment
 * to its physical addresses. Started through PVH where the note is, otherwise through the 64-bit
 * entry of the Linux boot protocol. Every header field is checked before anything is written.
 */
#include "load.h"
#include "le.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

enum { MAX_SEGMENTS = 64 };
#define VMLINUX_CMDLINE 2047u /* COMMAND_LINE_SIZE - 1: a vmlinux does not tell */

struct segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf {
	const struct axarch_image *image;
	uint64_t entry;
	struct segment segment[MAX_SEGMENTS];
	size_t segment_count;
	uint64_t low_gpa, end_gpa; /* all PT_LOAD segments lie between */
	bool has_pvh;
	uint64_t pvh_entry;
};

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "riscv";
	default:
		return "another machine";
	}
}

/* System V ABI, "ELF header". */
static int read_header(struct elf *elf, uint64_t *ret_phoff, unsigned *ret_phnum,
		       struct ax_error *err)
{
	const struct axarch_image *image = elf->image;
	uint8_t eh[sizeof(Elf64_Ehdr)];
	int rc = axarch_image_read(image, 0, eh, sizeof(eh), "the ELF header", err);

	if (rc < 0)
		return rc;
	if (eh[EI_CLASS] != ELFCLASS64)
		return axarch_image_error(
			image, err, "ELF class is %u, expected 2 (64-bit): use a 64-bit kernel",
			eh[EI_CLASS]);
	if (eh[EI_DATA] != ELFDATA2LSB)
		return axarch_image_error(image, err,
					  "ELF byte order is %u, expected 1 (little-endian)",
					  eh[EI_DATA]);
	if (eh[EI_VERSION] != EV_CURRENT)
		return axarch_image_error(image, err, "ELF version is %u, expected 1",
					  eh[EI_VERSION]);
	const unsigned type = x86_get16(eh, offsetof(Elf64_Ehdr, e_type));
	if (type != ET_EXEC && type != ET_DYN)
		return axarch_image_error(
			image, err, "ELF type is %u, expected 2 (executable) or 3 (shared)", type);
	const unsigned machine = x86_get16(eh, offsetof(Elf64_Ehdr, e_machine));
	if (machine != EM_X86_64)
		return axarch_image_error(image, err,
					  "ELF machine is %u (%s), expected 62 (x86_64)", machine,
					  machine_name(machine));
	const unsigned entsize = x86_get16(eh, offsetof(Elf64_Ehdr, e_phentsize));
	if (entsize != sizeof(Elf64_Phdr))
		return axarch_image_error(image, err, "e_phentsize is %u, expected %zu", entsize,
					  sizeof(Elf64_Phdr));
	const unsigned phnum = x86_get16(eh, offsetof(Elf64_Ehdr, e_phnum));
	if (phnum == 0 || phnum > MAX_SEGMENTS)
		return axarch_image_error(image, err, "e_phnum is %u, expected 1 to %d", phnum,
					  MAX_SEGMENTS);
	elf->entry = x86_get64(eh, offsetof(Elf64_Ehdr, e_entry));
	*ret_phoff = x86_get64(eh, offsetof(Elf64_Ehdr, e_phoff));
	*ret_phnum = phnum;
	return 0;
}

static int read_segments(struct elf *elf, struct ax_error *err)
{
	uint8_t table[MAX_SEGMENTS * sizeof(Elf64_Phdr)];
	uint64_t phoff = 0;
	unsigned phnum = 0;
	int rc;

	rc = read_header(elf, &phoff, &phnum, err);
	if (rc == 0)
		rc = axarch_image_read(elf->image, phoff, table, phnum * sizeof(Elf64_Phdr),
				       "the program headers (e_phoff)", err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < phnum; i++) {
		const uint8_t *ph = table + i * sizeof(Elf64_Phdr);
		elf->segment[i] = (struct segment){
			.type = x86_get32(ph, offsetof(Elf64_Phdr, p_type)),
			.flags = x86_get32(ph, offsetof(Elf64_Phdr, p_flags)),
			.offset = x86_get64(ph, offsetof(Elf64_Phdr, p_offset)),
			.vaddr = x86_get64(ph, offsetof(Elf64_Phdr, p_vaddr)),
			.paddr = x86_get64(ph, offsetof(Elf64_Phdr, p_paddr)),
			.filesz = x86_get64(ph, offsetof(Elf64_Phdr, p_filesz)),
			.memsz = x86_get64(ph, offsetof(Elf64_Phdr, p_memsz)),
			.align = x86_get64(ph, offsetof(Elf64_Phdr, p_align)),
		};
	}
	elf->segment_count = phnum;
	return 0;
}

static bool is_loaded(const struct segment *s)
{
	return s->type == PT_LOAD && s->memsz;
}

static int check_in_file(const struct elf *elf, size_t i, struct ax_error *err)
{
	const struct segment *s = &elf->segment[i];
	uint64_t end;

	if (ax_add_overflows(s->offset, s->filesz, &end) || end > elf->image->size_bytes)
		return axarch_image_error(
			elf->image, err,
			"segment %zu: p_offset 0x%llx + p_filesz 0x%llx is past the "
			"file's end at 0x%llx",
			i, (unsigned long long)s->offset, (unsigned long long)s->filesz,
			(unsigned long long)elf->image->size_bytes);
	return 0;
}

static int check_in_ram(const struct elf *elf, const struct axarch_plan *plan, size_t i,
			struct ax_error *err)
{
	const struct segment *s = &elf->segment[i];
	const uint64_t ram_end = x86_plan_low_ram_end(plan);
	uint64_t end;

	if (s->filesz > s->memsz)
		return axarch_image_error(
			elf->image, err, "segment %zu: p_filesz 0x%llx is more than p_memsz 0x%llx",
			i, (unsigned long long)s->filesz, (unsigned long long)s->memsz);
	if (ax_add_overflows(s->paddr, s->memsz, &end))
		return axarch_image_error(
			elf->image, err, "segment %zu: p_paddr 0x%llx + p_memsz 0x%llx wraps", i,
			(unsigned long long)s->paddr, (unsigned long long)s->memsz);
	if (s->paddr < X86_HIGH_RAM_GPA)
		return axarch_image_error(
			elf->image, err,
			"segment %zu: p_paddr 0x%llx is in the first MiB, where the "
			"boot tables are, expected 0x100000 or more",
			i, (unsigned long long)s->paddr);
	if (end > ram_end) {
		axarch_image_error(elf->image, err,
				   "segment %zu: needs RAM at 0x%llx..0x%llx, the guest's low RAM "
				   "ends at 0x%llx",
				   i, (unsigned long long)s->paddr, (unsigned long long)end - 1,
				   (unsigned long long)ram_end);
		if (end <= X86_HOLE_GPA)
			ax_error_hint(err, "raise --memory to at least %lluM",
				      (unsigned long long)(ax_align_up(end, AX_MIB) >> 20));
		return -EINVAL;
	}
	for (size_t j = 0; j < i; j++) {
		const struct segment *o = &elf->segment[j];
		if (is_loaded(o) && s->paddr < o->paddr + o->memsz && o->paddr < end)
			return axarch_image_error(
				elf->image, err, "segments %zu and %zu overlap at 0x%llx", j, i,
				(unsigned long long)(s->paddr > o->paddr ? s->paddr : o->paddr));
	}
	return 0;
}

static int check_segments(struct elf *elf, const struct axarch_plan *plan, struct ax_error *err)
{
	elf->low_gpa = UINT64_MAX;
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *s = &elf->segment[i];
		int rc = 0;
		if (s->type == PT_LOAD || s->type == PT_NOTE)
			rc = check_in_file(elf, i, err);
		/* memsz 0 loads nothing, but with a filesz it is malformed all the same. */
		if (rc == 0 && s->type == PT_LOAD && (s->memsz || s->filesz))
			rc = check_in_ram(elf, plan, i, err);
		if (rc < 0)
			return rc;
		if (!is_loaded(s))
			continue;
		if (s->paddr < elf->low_gpa)
			elf->low_gpa = s->paddr;
		if (s->paddr + s->memsz > elf->end_gpa)
			elf->end_gpa = s->paddr + s->memsz;
	}
	if (!elf->end_gpa)
		return axarch_image_error(elf->image, err,
					  "has no PT_LOAD segment among its %zu, nothing to load",
					  elf->segment_count);
	return 0;
}

static bool is_loaded_code(const struct elf *elf, uint64_t gpa)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *s = &elf->segment[i];
		if (is_loaded(s) && gpa >= s->paddr && gpa - s->paddr < s->filesz)
			return true;
	}
	return false;
}

/* e_entry is physical in a vmlinux; other kernels give the virtual address. */
static int physical_entry(const struct elf *elf, uint64_t *ret_gpa, struct ax_error *err)
{
	if (is_loaded_code(elf, elf->entry)) {
		*ret_gpa = elf->entry;
		return 0;
	}
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *s = &elf->segment[i];
		if (is_loaded(s) && elf->entry >= s->vaddr && elf->entry - s->vaddr < s->filesz) {
			*ret_gpa = s->paddr + (elf->entry - s->vaddr);
			return 0;
		}
	}
	return axarch_image_error(elf->image, err,
				  "e_entry 0x%llx lies in no loaded segment (0x%llx..0x%llx)",
				  (unsigned long long)elf->entry, (unsigned long long)elf->low_gpa,
				  (unsigned long long)elf->end_gpa - 1);
}

static int choose_entry(const struct elf *elf, enum axarch_boot_protocol protocol,
			struct x86_kernel *kernel, struct ax_error *err)
{
	if (protocol == AXARCH_BOOT_LINUX32) {
		axarch_image_error(elf->image, err,
				   "is an ELF file, the linux32 protocol takes a bzImage");
		return ax_error_hint(err, "leave the boot protocol to auto");
	}
	if (protocol == AXARCH_BOOT_PVH && !elf->has_pvh) {
		axarch_image_error(
			elf->image, err,
			"has no PVH note (owner \"Xen\", type 18): expected a kernel built "
			"with CONFIG_PVH");
		return ax_error_hint(err, "the linux64 protocol needs no note");
	}
	if (!elf->has_pvh || protocol == AXARCH_BOOT_LINUX64) {
		kernel->handover = X86_HANDOVER_ZERO_PAGE;
		kernel->mode = X86_START_LONG;
		kernel->initrd_above_4g = true;
		return physical_entry(elf, &kernel->entry, err);
	}
	if (!is_loaded_code(elf, elf->pvh_entry))
		return axarch_image_error(elf->image, err,
					  "the PVH entry 0x%llx lies in no loaded segment "
					  "(0x%llx..0x%llx)",
					  (unsigned long long)elf->pvh_entry,
					  (unsigned long long)elf->low_gpa,
					  (unsigned long long)elf->end_gpa - 1);
	kernel->handover = X86_HANDOVER_PVH;
	kernel->mode = X86_START_PROTECTED;
	kernel->entry = elf->pvh_entry;
	return 0;
}

static int load_segments(struct axas *memory, const struct elf *elf, struct ax_error *err)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *s = &elf->segment[i];
		int rc = 0;
		if (!is_loaded(s))
			continue;
		if (s->filesz)
			rc = axas_load_fd(memory, s->paddr, elf->image->fd, s->offset, s->filesz,
					  err);
		if (rc < 0)
			return rc;
		rc = axas_zero(memory, s->paddr + s->filesz, s->memsz - s->filesz);
		if (rc < 0)
			return ax_error_set(err, AX_ERROR_MEMORY_SETUP, -rc,
					    "kernel '%s': segment %zu: RAM at 0x%llx is not "
					    "writable",
					    elf->image->name, i,
					    (unsigned long long)(s->paddr + s->filesz));
	}
	return 0;
}

int x86_load_elf(struct axas *memory, const struct axarch_plan *plan,
		 const struct axarch_image *image, enum axarch_boot_protocol protocol,
		 struct x86_kernel *ret_kernel, struct ax_error *err)
{
	struct x86_kernel kernel = {
		.cmdline_max = VMLINUX_CMDLINE,
		.initrd_max_gpa = UINT32_MAX,
	};
	struct elf elf = {.image = image};
	int rc;

	rc = read_segments(&elf, err);
	if (rc == 0)
		rc = check_segments(&elf, plan, err);
	for (size_t i = 0; rc == 0 && i < elf.segment_count; i++) {
		const struct segment *s = &elf.segment[i];
		if (s->type == PT_NOTE && s->filesz)
			rc = x86_find_pvh_note(image, s->offset, s->filesz, s->align, &elf.has_pvh,
					       &elf.pvh_entry, err);
	}
	if (rc == 0)
		rc = choose_entry(&elf, protocol, &kernel, err);
	if (rc == 0)
		rc = load_segments(memory, &elf, err);
	if (rc < 0)
		return rc;
	kernel.load_gpa = elf.low_gpa;
	kernel.end_gpa = elf.end_gpa;
	*ret_kernel = kernel;
	return 0;
}
