/*
 * The machine without a hypervisor of helpers.h.
 */
#include "helpers.h"

#include <string.h>

void machine_init(struct machine *m)
{
	/* imafdc, zicsr, zifencei, sstc */
	static const unsigned extensions[] = {0, 1, 2, 3, 5, 6, 8, 20, 21};

	memset(m, 0, sizeof(*m));
	rig_init(&m->rig);
	rig_place_devices(&m->rig, RV64_VIRTIO_GPA, RV64_VIRTIO_GSI);
	for (size_t i = 0; i < AX_ARRAY_LEN(extensions); i++)
		rv64_hart_add(&m->hart, extensions[i]);
	m->hart.timebase_hz = 10000000;
	m->hart.satp_mode = 9;
	m->info = (struct rv64_boot_info){
		.config = &m->rig.config,
		.plan = &m->rig.plan,
		.boot = &m->rig.boot,
		.machine = &m->rig.devices,
		.hart = &m->hart,
		.irqchip = RV64_IRQCHIP_PLIC,
		.aia_ids = 255,
	};
}

void machine_map(struct machine *m)
{
	if (rv64_plan(&m->rig.config, &m->rig.plan, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	rig_map(&m->rig);
}

void machine_image(struct machine *m, uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	rig_image(&m->rig, "RSC\x05", text_offset, image_size, flags);
}

int machine_load(struct machine *m, struct rv64_start *ret_start)
{
	memset(&m->rig.err, 0, sizeof(m->rig.err));
	return rv64_load(m->rig.memory, &m->info, ret_start, &m->rig.err);
}

struct axfdt *machine_tree(const struct machine *m)
{
	return tree_at(m->rig.memory, rv64_dtb_gpa(&m->rig.plan), RV64_DTB_SIZE);
}

void assert_refused(struct machine *m, enum ax_error_kind kind, const char *text)
{
	struct rv64_start start = {.pc = 77};

	assert_true(machine_load(m, &start) < 0);
	assert_error(&m->rig.err, kind, text);
	assert_int_equal(start.pc, 77);
}
