/* virtio-mmio as a driver first meets it (VIRTIO 1.2, 4.2.2): who is there, and nobody where the
 * plan has a window but no device. */
#include "guest.h"

#include <axvm/virtio_devices.h>

GUEST_CODE(virtio_mmio_id);

GUEST_TEST(virtio_mmio_id, "virtio-mmio-id")
{
	struct guest guest;
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	CHECK_OK(ax_loop_create(AX_LOOP_AUTO, &loop, &err), &err);
	guest_create(&guest, &(struct guest_config){.loop = loop});
	CHECK(guest.plan.device_count >= 2, "%u windows", guest.plan.device_count);
	const struct axvirtio_rng_config config = {
		.place = {.gpa = guest.plan.device_gpa, .gsi = guest.plan.device_gsi[0]},
		.fd = -1,
	};
	CHECK_OK(axdev_create("virtio-rng", "rng0", &config, sizeof(config), &guest.services, &dev,
			      &err),
		 &err);
	CHECK_OK(axbus_attach(guest.bus, dev, &err), &err);
	GUEST_LOAD(&guest, virtio_mmio_id);
	guest_set_data(&guest, 0x100, guest.plan.device_gpa);
	guest_set_data(&guest, 0x108, guest.plan.device_gpa + guest.plan.device_stride);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 0x74726976); /* "virt" */
	CHECK_EQ(guest_data(&guest, 8), 2);
	CHECK_EQ(guest_data(&guest, 16), 4);     /* an entropy source */
	CHECK_EQ(guest_data(&guest, 24) & 1, 1); /* VIRTIO_F_VERSION_1 */
	CHECK_EQ(guest_data(&guest, 32), 3);     /* ACKNOWLEDGE, DRIVER */
	CHECK(guest_data(&guest, 40) >= 8, "its queue has %llu entries",
	      (unsigned long long)guest_data(&guest, 40));
	CHECK_EQ(guest_data(&guest, 48), 0xffffffff);
	guest_destroy(&guest);
	ax_loop_destroy(loop);
}
