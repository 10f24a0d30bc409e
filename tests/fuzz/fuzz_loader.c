/*
 * The x86_64 loader against hostile files: bzImage, ELF, raw bytes, initrd and command line.
 * Input: 8 bytes of set-up, then what the mode byte says - the file itself, or patches of
 * (offset, byte) to a valid bzImage or ELF, so that the checks behind the magic are reached.
 * Whatever loads must lie in RAM and apart from the tables; whatever does not is refused typed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86_64/load.h"
#include "arch/x86_64/le.h"

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 48 << 20, BZ_SIZE = 0x1200, ELF_SIZE = 0x400, SETUP = 8 };

static struct axarch_vm_config config = {
	.vcpu_count = 2,
	.memory_bytes = MEMORY,
	.irq_mode = AXARCH_IRQ_EMULATED,
	.acpi = true,
	.mp_table = true,
};
static struct axarch_plan plan;
static struct axas *memory;
static uint32_t apic_ids[2];
static int kernel_fd, initrd_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct axas_region_config region = {
		.name = "ram", .size_bytes = MEMORY, .flags = AXAS_RW, .fd = -1};

	(void)argc;
	(void)argv;
	MUST(x86_plan(&config, &plan, NULL) == 0);
	MUST(x86_apic_ids(&config, apic_ids, NULL) == 0);
	MUST(axas_create(plan.gpa_limit, NULL, &memory, NULL) == 0);
	MUST(axas_map(memory, &region, NULL) == 0);
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	MUST(kernel_fd >= 0 && initrd_fd >= 0);
	return 0;
}

static void make_bzimage(uint8_t *b)
{
	b[0x1f1] = 1;
	x86_put32(b, 0x1f4, (BZ_SIZE - 0x400) / 16);
	x86_put16(b, 0x1fe, 0xaa55);
	x86_put16(b, 0x200, 0x6aeb);
	x86_put32(b, 0x202, 0x53726448);
	x86_put16(b, 0x206, 0x20f);
	b[0x211] = 1;
	x86_put32(b, 0x22c, 0x7fffffff);
	x86_put32(b, 0x230, 0x200000);
	b[0x234] = 1;
	x86_put16(b, 0x236, 0x3f);
	x86_put32(b, 0x238, 2047);
	x86_put32(b, 0x24c, 0x100);
	x86_put64(b, 0x258, 0x1000000);
	x86_put32(b, 0x260, 0x200000);
}

static void make_elf(uint8_t *b)
{
	x86_put32(b, 0, 0x464c457f);
	b[4] = 2;
	b[5] = b[6] = 1;
	x86_put16(b, 16, 2);
	x86_put16(b, 18, 62);
	x86_put64(b, 24, 0x1000000);
	x86_put64(b, 32, 64);
	x86_put16(b, 54, 56);
	x86_put16(b, 56, 2);
	uint8_t *load = b + 64, *note = load + 56, *xen = b + 0x300;
	x86_put32(load, 0, 1);
	x86_put64(load, 8, 0x200);
	x86_put64(load, 24, 0x1000000);
	x86_put64(load, 32, 0x100);
	x86_put64(load, 40, 0x2000);
	x86_put32(note, 0, 4);
	x86_put64(note, 8, 0x300);
	x86_put64(note, 32, 20);
	x86_put32(xen, 0, 4);
	x86_put32(xen, 4, 4);
	x86_put32(xen, 8, 18);
	x86_put32(xen, 12, 0x6e6558);
	x86_put32(xen, 16, 0x1000010);
}

static void fill_file(int fd, const uint8_t *bytes, size_t len)
{
	MUST(ftruncate(fd, 0) == 0);
	MUST(ax_pwrite_full(fd, bytes, len, 0) == 0);
}

/* The kernel file by mode; returns false when there is none. */
static void make_kernel(unsigned mode, const uint8_t *data, size_t size)
{
	uint8_t image[BZ_SIZE] = {0};
	const size_t len = mode == 1 ? BZ_SIZE : ELF_SIZE;

	if (mode == 0 || mode == 3) {
		fill_file(kernel_fd, data, size);
		return;
	}
	if (mode == 1)
		make_bzimage(image);
	else
		make_elf(image);
	for (size_t i = 0; i + 3 <= size; i += 3) {
		size_t at = (size_t)(data[i] | data[i + 1] << 8);
		if (at < len)
			image[at] = data[i + 2];
	}
	fill_file(kernel_fd, image, len);
}

static bool apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

static void check_started(const struct axarch_boot *boot, const struct x86_start *start,
			  uint64_t initrd_size)
{
	uint32_t gpa = 0, size = 0;

	if (boot->protocol == AXARCH_BOOT_FLAT) {
		MUST(axarch_plan_is_ram(&plan, start->rip + ((uint64_t)start->real_cs << 4), 1));
		return;
	}
	MUST(axarch_plan_is_ram(&plan, start->rip, 1) && start->rip >= X86_HIGH_RAM_GPA);
	if (!initrd_size)
		return;
	if (start->rbx) {
		MUST(axas_read_u32(memory, X86_PVH_INFO_GPA + 0x40, &gpa) == 0);
		MUST(axas_read_u32(memory, X86_PVH_INFO_GPA + 0x48, &size) == 0);
	} else {
		MUST(axas_read_u32(memory, X86_ZERO_PAGE_GPA + 0x218, &gpa) == 0);
		MUST(axas_read_u32(memory, X86_ZERO_PAGE_GPA + 0x21c, &size) == 0);
	}
	MUST(size == initrd_size && gpa % 4096 == 0 && gpa >= X86_HIGH_RAM_GPA);
	MUST(axarch_plan_is_ram(&plan, gpa, size));
	MUST(apart(gpa, size, start->rip, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned bits[] = {16, 32, 64, 8};
	char cmdline[4096];
	struct x86_start start = {.rip = 0};
	struct ax_error err = {0};

	if (size < SETUP)
		return 0;
	const unsigned mode = data[0] & 3;
	const size_t cmdline_max = (size_t)(data[1] | data[2] << 8) % sizeof(cmdline);
	const uint64_t initrd_size = (uint64_t)(data[3] | data[4] << 8) << (data[5] & 15);
	const uint8_t knobs = data[6];
	struct axarch_device device = {.gpa = X86_DEVICE_GPA, .size_bytes = 0x1000, .gsi = 5};
	const struct axarch_machine machine = {
		.devices = &device, .device_count = knobs & 1, .announce = knobs >> 1 & 3};
	struct axarch_boot boot = {
		.kernel_fd = kernel_fd,
		.initrd_fd = -1,
		.cmdline = cmdline,
		.protocol = (enum axarch_boot_protocol)(knobs >> 3 & 3),
		.flat_bits = bits[knobs >> 5 & 3],
	};

	data += SETUP;
	size -= SETUP;
	if (mode == 3) { /* flat: the load address and entry come first */
		if (size < 16)
			return 0;
		boot.protocol = AXARCH_BOOT_FLAT;
		boot.load_gpa = x86_get64(data, 0) >> (knobs & 0x18);
		boot.entry = x86_get64(data, 8) >> (knobs & 0x18);
		data += 16;
		size -= 16;
	}
	/* The command line is the front of the same bytes, up to its first NUL. */
	snprintf(cmdline, sizeof(cmdline), "%.*s", (int)(cmdline_max < size ? cmdline_max : size),
		 (const char *)data);
	make_kernel(mode, data, size);
	if (initrd_size) {
		MUST(ftruncate(initrd_fd, (off_t)initrd_size) == 0);
		boot.initrd_fd = initrd_fd;
	}

	const struct x86_boot_info info = {.config = &config,
					   .plan = &plan,
					   .boot = &boot,
					   .machine = &machine,
					   .apic_ids = apic_ids,
					   .has_pic = true};
	const int rc = x86_load(memory, &info, &start, &err);
	if (rc < 0) {
		MUST(err.kind == AX_ERROR_BOOT_IMAGE || err.kind == AX_ERROR_CONFIGURATION);
		MUST(err.message[0] && start.rip == 0);
		return 0;
	}
	check_started(&boot, &start, initrd_size);
	return 0;
}
