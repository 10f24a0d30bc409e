/*
 * The machine without a hypervisor of helpers.h.
 */
#include "helpers.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, len, 0), 0);
	return fd;
}

void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->config = (struct axarch_vm_config){
		.name = "test",
		.vcpu_count = 2,
		.memory_bytes = 512 * AX_MIB,
		.irq_mode = AXARCH_IRQ_EMULATED,
	};
	for (uint32_t i = 0; i < RV64_VIRTIO_SLOTS; i++)
		m->device[i] = (struct axarch_device){
			.kind = AXARCH_DEVICE_VIRTIO_MMIO,
			.gpa = RV64_VIRTIO_GPA + i * AXAS_PAGE_SIZE,
			.size_bytes = AXAS_PAGE_SIZE,
			.gsi = RV64_VIRTIO_GSI + i,
		};
	m->devices = (struct axarch_machine){
		.devices = m->device,
		.device_count = 2,
		.has_serial = true,
	};
	m->boot = (struct axarch_boot){
		.kernel_fd = -1,
		.kernel_name = "test-kernel",
		.initrd_fd = -1,
		.initrd_name = "test-initrd",
		.dtb_fd = -1,
		.cmdline = "panic=-1",
	};
	/* imafdc, zicsr, zifencei, sstc */
	static const unsigned extensions[] = {0, 1, 2, 3, 5, 6, 8, 20, 21};
	for (size_t i = 0; i < AX_ARRAY_LEN(extensions); i++)
		rv64_hart_add(&m->hart, extensions[i]);
	m->hart.timebase_hz = 10000000;
	m->hart.satp_mode = 9;
	m->info = (struct rv64_boot_info){
		.config = &m->config,
		.plan = &m->plan,
		.boot = &m->boot,
		.machine = &m->devices,
		.hart = &m->hart,
		.irqchip = RV64_IRQCHIP_PLIC,
		.aia_ids = 255,
	};
}

void machine_map(struct machine *m)
{
	if (rv64_plan(&m->config, &m->plan, &m->err) < 0)
		fail_msg("%s", m->err.message);
	assert_int_equal(axas_create(m->plan.gpa_limit, NULL, &m->memory, &m->err), 0);
	for (size_t i = 0; i < m->plan.memory_count; i++) {
		const struct axas_region_config region = {
			.name = "ram",
			.gpa = m->plan.memory[i].gpa,
			.size_bytes = m->plan.memory[i].size_bytes,
			.backing = AXAS_BACKING_ANON,
			.flags = AXAS_RW,
			.fd = -1,
		};
		if (axas_map(m->memory, &region, &m->err) < 0)
			fail_msg("%s", m->err.message);
	}
}

static void replace(int *fd, int with)
{
	if (*fd >= 0)
		close(*fd);
	*fd = with;
}

void machine_finish(struct machine *m)
{
	replace(&m->boot.kernel_fd, -1);
	replace(&m->boot.initrd_fd, -1);
	replace(&m->boot.dtb_fd, -1);
	axas_destroy(m->memory);
}

void machine_kernel(struct machine *m, const void *bytes, size_t len)
{
	replace(&m->boot.kernel_fd, file_of(bytes, len));
}

void machine_image(struct machine *m, uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	uint8_t image[IMAGE_BYTES];
	const uint64_t words[] = {htole64(text_offset), htole64(image_size), htole64(flags)};

	memset(image, 0xa5, sizeof(image));
	memcpy(image, "MZ", 2); /* as kernels with an EFI stub begin */
	memcpy(image + 8, words, sizeof(words));
	memcpy(image + 0x38, "RSC\x05", 4);
	machine_kernel(m, image, sizeof(image));
}

void machine_initrd(struct machine *m, uint64_t size_bytes)
{
	replace(&m->boot.initrd_fd, file_of("070701", size_bytes < 6 ? (size_t)size_bytes : 6));
	assert_int_equal(ftruncate(m->boot.initrd_fd, (off_t)size_bytes), 0);
}

int machine_load(struct machine *m, struct rv64_start *ret_start)
{
	memset(&m->err, 0, sizeof(m->err));
	return rv64_load(m->memory, &m->info, ret_start, &m->err);
}

struct axfdt *machine_tree(const struct machine *m)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};
	uint32_t head[2];

	assert_int_equal(axas_read(m->memory, rv64_dtb_gpa(&m->plan), head, sizeof(head)), 0);
	assert_int_equal(be32toh(head[0]), 0xd00dfeed);
	const uint32_t size = be32toh(head[1]);
	assert_true(size <= RV64_DTB_SIZE);
	void *blob = malloc(size);
	assert_non_null(blob);
	assert_int_equal(axas_read(m->memory, rv64_dtb_gpa(&m->plan), blob, size), 0);
	if (axfdt_parse(blob, size, "guest", &fdt, &err) < 0)
		fail_msg("%s", err.message);
	free(blob);
	return fdt;
}

void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text)
{
	if (err->kind != kind)
		fail_msg("error kind %s, expected %s: %s", ax_error_kind_name(err->kind),
			 ax_error_kind_name(kind), err->message);
	if (!strstr(err->message, text) && !strstr(err->hint, text))
		fail_msg("'%s' (%s) does not mention '%s'", err->message, err->hint, text);
}

uint32_t cell_at(const struct axfdt *fdt, const char *path, const char *property, size_t index)
{
	size_t size = 0;
	const uint8_t *value = axfdt_get(fdt, path, property, &size);
	uint32_t cell = 0;

	if (!value || size < 4 * (index + 1)) {
		fail_msg("%s has no %s of %zu cells", path, property, index + 1);
		return 0;
	}
	memcpy(&cell, value + 4 * index, sizeof(cell));
	return be32toh(cell);
}

uint64_t cells_at(const struct axfdt *fdt, const char *path, const char *property, size_t index)
{
	return (uint64_t)cell_at(fdt, path, property, 2 * index) << 32 |
	       cell_at(fdt, path, property, 2 * index + 1);
}

void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text)
{
	size_t size = 0;
	const char *value = axfdt_get(fdt, path, property, &size);

	if (!value) {
		fail_msg("%s has no %s", path, property);
		return;
	}
	assert_int_equal(size, strlen(text) + 1);
	assert_memory_equal(value, text, size);
}

void assert_refused(struct machine *m, enum ax_error_kind kind, const char *text)
{
	struct rv64_start start = {.pc = 77};

	assert_true(machine_load(m, &start) < 0);
	assert_error(&m->err, kind, text);
	assert_int_equal(start.pc, 77);
}

/* ---- dtc ------------------------------------------------------------------------------------- */

static char *contents(int fd, size_t *ret_size)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	char *bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(ax_pread_full(fd, bytes, (size_t)st.st_size, 0), 0);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

char *run_dtc(const char *from, const char *to, const void *input, size_t size, size_t *ret_size)
{
	const int in = file_of(input, size), out = file_of("", 0), complaints = file_of("", 0);
	const pid_t child = fork();
	/* Sources have no labels, which dtc does not like. */
	const bool is_source = !strcmp(from, "dts");
	size_t said_size = 0;
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(complaints, STDERR_FILENO);
		execlp("dtc", "dtc", is_source ? "-qqs" : "-s", "-I", from, "-O", to, "-",
		       (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(in);
	assert_int_equal(waitpid(child, &status, 0), child);
	char *said = contents(complaints, &said_size);
	char *made = contents(out, ret_size);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		free(said);
		free(made);
		print_message("dtc is not installed (package device-tree-compiler)\n");
		skip();
	}
	if (said_size || !WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("dtc: %s", said);
	free(said);
	return made;
}
