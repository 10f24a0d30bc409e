/* Ends nobody asked for: each is a named exit with registers to show, and the loop stops. */
#include "guest.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

GUEST_CODE(end_fault);

/* What neither the guest nor KVM can go on from; which that is differs much. */
GUEST_TEST(end_fault, "end-fault")
{
	struct guest guest;
	char dump[4096];

	guest_create(&guest, &(struct guest_config){.vcpus = 2});
	GUEST_LOAD(&guest, end_fault);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.ended && guest_arch.is_fault(&guest.end), "it ended with %s: %s",
	      axvcpu_exit_name(guest.end.kind), guest.end_err.message);
	axvcpu_dump(guest.vcpu[0], dump, sizeof(dump));
	CHECK(guest_arch.shows_fault(dump), "what was dumped:\n%s", dump);
	axvcpu_dump(guest.vcpu[0], dump, 20);
	CHECK(strlen(dump) == 19, "a short buffer holds %zu bytes", strlen(dump));
	guest_destroy(&guest);
}

GUEST_CODE(end_efault);

/* Memory whose file was cut short under it: the host's failure, told as such. */
GUEST_TEST(end_efault, "end-efault")
{
	struct guest guest;
	int fd = memfd_create("cut", MFD_CLOEXEC);
	const struct axas_region_config region = {
		.name = "cut",
		.gpa = GUEST_EXTRA_GPA,
		.size_bytes = 0x10000,
		.type = AXAS_MAP_RESERVED,
		.backing = AXAS_BACKING_FILE,
		.flags = AXAS_RW,
		.fd = fd,
	};

	guest_create(&guest, &(struct guest_config){0});
	CHECK_EQ(ftruncate(fd, 0x10000), 0);
	CHECK_OK(axas_map(guest.memory, &region, &guest.err), &guest.err);
	CHECK_EQ(ftruncate(fd, 0), 0);
	GUEST_LOAD(&guest, end_efault);
	guest_start(&guest);
	guest_finish(&guest);
	if (guest.done && guest_arch.kvm_is_partial())
		guest_skip("a paravirtual KVM makes it a device access");
	CHECK(guest.ended && !guest.done, "the payload read memory that is not there");
	CHECK(guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR ||
		      guest.end.kind == AXVCPU_EXIT_NESTED_PAGE_FAULT,
	      "it ended with %s", axvcpu_exit_name(guest.end.kind));
	if (guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR)
		CHECK_EQ(guest.end_err.kind, AX_ERROR_VCPU_RUNTIME);
	else
		CHECK_EQ(guest.end.fault.gpa, GUEST_EXTRA_GPA);
	close(fd);
	guest_destroy(&guest);
}
