/*
 * The machine without a hypervisor of helpers.h.
 */
#include "helpers.h"

#include <string.h>

void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	rig_init(&m->rig);
	rig_place_devices(&m->rig, A64_VIRTIO_GPA, A64_VIRTIO_GSI);
	m->info = (struct a64_boot_info){
		.config = &m->rig.config,
		.plan = &m->rig.plan,
		.boot = &m->rig.boot,
		.machine = &m->rig.devices,
		.gic_version = 3,
	};
}

void machine_map(struct machine *m)
{
	if (a64_plan(&m->rig.config, &m->rig.plan, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	rig_map(&m->rig);
}

void machine_image(struct machine *m, uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	rig_image(&m->rig, "ARM\x64", text_offset, image_size, flags);
}

int machine_load(struct machine *m, struct a64_start *ret_start)
{
	memset(&m->rig.err, 0, sizeof(m->rig.err));
	return a64_load(m->rig.memory, &m->info, ret_start, &m->rig.err);
}

struct axfdt *machine_tree(const struct machine *m)
{
	return tree_at(m->rig.memory, A64_DTB_GPA, A64_DTB_SIZE);
}

void assert_refused(struct machine *m, enum ax_error_kind kind, const char *text)
{
	struct a64_start start = {.pc = 77};

	assert_true(machine_load(m, &start) < 0);
	assert_error(&m->rig.err, kind, text);
	assert_int_equal(start.pc, 77);
}
