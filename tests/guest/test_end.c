/* Ends nobody asked for: each is a named exit with registers to show, and the loop stops. */
#include "guest.h"
#include "kvm_x86.h" /* to break a vCPU as no interface lets one */

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* An IDT with no entries turns the first exception into a triple fault. */
GUEST_CODE(triple_code, 64,
	   "mov $0x1234567, %ebx; lidt empty(%rip); ud2\n.balign 8\nempty: .word 0; .quad 0");

GUEST_TEST(end_triple_fault, "end-triple-fault")
{
	struct guest guest;
	char dump[4096];

	guest_create(&guest, &(struct guest_config){.vcpus = 2});
	guest_load(&guest, triple_code, triple_code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_SYSTEM_DOWN);
	CHECK_EQ(guest.end.system.event, AXVCPU_SYSTEM_TRIPLE_FAULT);
	axvcpu_dump(guest.vcpu[0], dump, sizeof(dump));
	/* AMD leaves a processor in shutdown undefined, so KVM resets it before anyone can look. */
	CHECK(strstr(dump, "rbx 0000000001234567") || strstr(dump, "rip 000000000000fff0"),
	      "no RBX in:\n%s", dump);
	CHECK(strstr(dump, "cr3 ") && strstr(dump, "\ncs ") && strstr(dump, "code at "), "%s",
	      dump);
	axvcpu_dump(guest.vcpu[0], dump, 20);
	CHECK(strlen(dump) == 19, "a short buffer holds %zu bytes", strlen(dump));
	guest_destroy(&guest);
}

GUEST_CODE(spin_code, 64, "1: jmp 1b");

/* A code segment that is 64-bit and 32-bit at once: no processor enters that. */
GUEST_TEST(end_fail_entry, "end-fail-entry")
{
	struct guest guest;
	struct kvm_sregs sregs;
	int fd;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, spin_code, spin_code_end);
	fd = axkvm_vcpu_fd(guest.vm->vcpus[0]->kvm);
	CHECK_EQ(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.l = sregs.cs.db = 1;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		guest_skip("this KVM refuses such registers at once");
	guest_start(&guest);
	for (int i = 0; i < 300 && !guest.ended; i++)
		guest_sleep_ms(1);
	if (!guest.ended && !x86_host_has_virtualization())
		guest_skip("a paravirtual KVM enters with any code segment");
	guest_finish(&guest);
	CHECK(guest.end.kind == AXVCPU_EXIT_FAIL_ENTRY ||
		      guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR,
	      "it ended with %s", axvcpu_exit_name(guest.end.kind));
	guest_destroy(&guest);
}

GUEST_CODE(touch_code, 64, "mov $0x8000000, %esi; mov (%rsi), %rax" GUEST_DONE);

/* Memory whose file was cut short under it: the host's failure, told as such. */
GUEST_TEST(end_efault, "end-efault")
{
	struct guest guest;
	int fd = memfd_create("cut", MFD_CLOEXEC);
	const struct axas_region_config region = {
		.name = "cut",
		.gpa = 0x8000000,
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
	guest_load(&guest, touch_code, touch_code_end);
	guest_start(&guest);
	guest_finish(&guest);
	if (guest.done && !x86_host_has_virtualization())
		guest_skip("a paravirtual KVM makes it a device access");
	CHECK(guest.ended && !guest.done, "the payload read memory that is not there");
	CHECK(guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR ||
		      guest.end.kind == AXVCPU_EXIT_NESTED_PAGE_FAULT,
	      "it ended with %s", axvcpu_exit_name(guest.end.kind));
	if (guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR)
		CHECK_EQ(guest.end_err.kind, AX_ERROR_VCPU_RUNTIME);
	else
		CHECK_EQ(guest.end.fault.gpa, 0x8000000);
	close(fd);
	guest_destroy(&guest);
}
