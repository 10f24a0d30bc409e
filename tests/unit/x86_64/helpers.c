/*
 * The machine without a hypervisor of helpers.h.
 */
#include "helpers.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, len, 0), 0);
	return fd;
}

static void map_memory(struct machine *m)
{
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

void machine_init(struct machine *m, uint64_t memory_bytes, uint32_t vcpu_count)
{
	memset(m, 0, sizeof(*m));
	m->config = (struct axarch_vm_config){
		.name = "test",
		.vcpu_count = vcpu_count,
		.memory_bytes = memory_bytes,
		.irq_mode = AXARCH_IRQ_EMULATED,
		.acpi = true,
		.legacy_pit = true,
	};
	if (x86_plan(&m->config, &m->plan, &m->err) < 0)
		fail_msg("%s", m->err.message);
	assert_int_equal(x86_apic_ids(&m->config, m->apic_ids, &m->err), 0);
	for (uint32_t i = 0; i < m->plan.device_count; i++) {
		m->device[i].gpa = m->plan.device_gpa + i * m->plan.device_stride;
		m->device[i].size_bytes = m->plan.device_stride;
		m->device[i].gsi = m->plan.device_gsi[i];
	}
	m->devices = (struct axarch_machine){
		.devices = m->device,
		.device_count = 2,
		.announce = AXARCH_ANNOUNCE_TABLES,
		.has_serial = true,
	};
	m->boot = (struct axarch_boot){
		.kernel_fd = -1,
		.kernel_name = "test-kernel",
		.initrd_fd = -1,
		.initrd_name = "test-initrd",
		.cmdline = "console=ttyS0 panic=-1",
	};
	m->info = (struct x86_boot_info){
		.config = &m->config,
		.plan = &m->plan,
		.boot = &m->boot,
		.machine = &m->devices,
		.apic_ids = m->apic_ids,
	};
	map_memory(m);
}

void machine_finish(struct machine *m)
{
	if (m->boot.kernel_fd >= 0)
		close(m->boot.kernel_fd);
	if (m->boot.initrd_fd >= 0)
		close(m->boot.initrd_fd);
	axas_destroy(m->memory);
}

void machine_kernel(struct machine *m, const void *bytes, size_t len)
{
	if (m->boot.kernel_fd >= 0)
		close(m->boot.kernel_fd);
	m->boot.kernel_fd = file_of(bytes, len);
}

void machine_initrd(struct machine *m, uint64_t size_bytes)
{
	if (m->boot.initrd_fd >= 0)
		close(m->boot.initrd_fd);
	m->boot.initrd_fd = file_of("070701", size_bytes < 6 ? (size_t)size_bytes : 6);
	assert_int_equal(ftruncate(m->boot.initrd_fd, (off_t)size_bytes), 0);
}

int machine_load(struct machine *m, struct x86_start *ret_start)
{
	memset(&m->err, 0, sizeof(m->err));
	return x86_load(m->memory, &m->info, ret_start, &m->err);
}

void peek(const struct machine *m, uint64_t gpa, void *buf, size_t len)
{
	assert_int_equal(axas_read(m->memory, gpa, buf, len), 0);
}

uint64_t peek64(const struct machine *m, uint64_t gpa)
{
	uint64_t v = 0;
	assert_int_equal(axas_read_u64(m->memory, gpa, &v), 0);
	return v;
}

uint32_t peek32(const struct machine *m, uint64_t gpa)
{
	uint32_t v = 0;
	assert_int_equal(axas_read_u32(m->memory, gpa, &v), 0);
	return v;
}

uint16_t peek16(const struct machine *m, uint64_t gpa)
{
	uint16_t v = 0;
	assert_int_equal(axas_read_u16(m->memory, gpa, &v), 0);
	return v;
}

uint8_t peek8(const struct machine *m, uint64_t gpa)
{
	uint8_t v = 0;
	assert_int_equal(axas_read_u8(m->memory, gpa, &v), 0);
	return v;
}

void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text)
{
	if (err->kind != kind)
		fail_msg("error kind %s, expected %s: %s", ax_error_kind_name(err->kind),
			 ax_error_kind_name(kind), err->message);
	if (!strstr(err->message, text) && !strstr(err->hint, text))
		fail_msg("'%s' (%s) does not mention '%s'", err->message, err->hint, text);
}

uint8_t byte_sum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum;
}

uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}
