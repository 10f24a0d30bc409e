/* virtio-mmio as a driver first meets it (VIRTIO 1.2, 4.2.2): who is there, and nobody where the
 * plan has a window but no device. */
#include "guest.h"

#include <axvm/virtio.h>

GUEST_CODE(code, 64,
	   "mov 0x200100, %rsi; mov $0x200000, %edi; xor %eax, %eax; mov %eax, 0x70(%rsi)\n"
	   "mov (%rsi), %eax; mov %rax, (%rdi); mov 4(%rsi), %eax; mov %rax, 8(%rdi)\n"
	   "mov 8(%rsi), %eax; mov %rax, 16(%rdi); movl $1, 0x14(%rsi); mov 0x10(%rsi), %eax\n"
	   "mov %rax, 24(%rdi); movl $3, 0x70(%rsi); mov 0x70(%rsi), %eax; mov %rax, 32(%rdi)\n"
	   "movl $0, 0x30(%rsi); mov 0x34(%rsi), %eax; mov %rax, 40(%rdi)\n"
	   "mov 0x200108, %rsi; mov (%rsi), %eax; mov %rax, 48(%rdi)" GUEST_DONE);

GUEST_TEST(virtio_mmio_id, "virtio-mmio-id")
{
	struct guest guest;
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	CHECK_OK(ax_loop_create(&loop, &err), &err);
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
	guest_load(&guest, code, code_end);
	guest_set_data(&guest, 0x100, guest.plan.device_gpa);
	guest_set_data(&guest, 0x108, guest.plan.device_gpa + guest.plan.device_stride);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
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
