/*
 * The machine without a hypervisor of helpers.h.
 */
#include "helpers.h"

#include <string.h>

void machine_init(struct machine *m, uint64_t memory_bytes, uint32_t vcpu_count)
{
	struct rig *rig = &m->rig;

	memset(m, 0, sizeof(*m));
	rig_init(rig);
	rig->config.vcpu_count = vcpu_count;
	rig->config.memory_bytes = memory_bytes;
	rig->config.acpi = true;
	rig->config.legacy_pit = true;
	rig->devices.announce = AXARCH_ANNOUNCE_TABLES;
	rig->boot.cmdline = "console=ttyS0 panic=-1";
	if (x86_plan(&rig->config, &rig->plan, &rig->err) < 0)
		fail_msg("%s", rig->err.message);
	assert_int_equal(x86_apic_ids(&rig->config, m->apic_ids, &rig->err), 0);
	for (uint32_t i = 0; i < rig->plan.device_count; i++) {
		rig->device[i].gpa = rig->plan.device_gpa + i * rig->plan.device_stride;
		rig->device[i].size_bytes = rig->plan.device_stride;
		rig->device[i].gsi = rig->plan.device_gsi[i];
	}
	m->info = (struct x86_boot_info){
		.config = &rig->config,
		.plan = &rig->plan,
		.boot = &rig->boot,
		.machine = &rig->devices,
		.apic_ids = m->apic_ids,
		.has_pic = true,
	};
	rig_map(rig);
}

int machine_load(struct machine *m, struct x86_start *ret_start)
{
	memset(&m->rig.err, 0, sizeof(m->rig.err));
	return x86_load(m->rig.memory, &m->info, ret_start, &m->rig.err);
}

void peek(const struct machine *m, uint64_t gpa, void *buf, size_t len)
{
	assert_int_equal(axas_read(m->rig.memory, gpa, buf, len), 0);
}

uint64_t peek64(const struct machine *m, uint64_t gpa)
{
	uint64_t v = 0;
	assert_int_equal(axas_read_u64(m->rig.memory, gpa, &v), 0);
	return v;
}

uint32_t peek32(const struct machine *m, uint64_t gpa)
{
	uint32_t v = 0;
	assert_int_equal(axas_read_u32(m->rig.memory, gpa, &v), 0);
	return v;
}

uint16_t peek16(const struct machine *m, uint64_t gpa)
{
	uint16_t v = 0;
	assert_int_equal(axas_read_u16(m->rig.memory, gpa, &v), 0);
	return v;
}

uint8_t peek8(const struct machine *m, uint64_t gpa)
{
	uint8_t v = 0;
	assert_int_equal(axas_read_u8(m->rig.memory, gpa, &v), 0);
	return v;
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
