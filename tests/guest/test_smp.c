/* Several CPUs: started by INIT and SIPI, each with its own APIC id everywhere it can be read. */
#include "guest.h"

/*
 * The bootstrap processor copies the trampoline to 0x8000 and starts all others at once. Each
 * counts itself at 0x7000 and leaves its APIC id (CPUID leaf 1) at 0x7004 + 4 * count.
 */
GUEST_CODE(start_code, 64,
	   "jmp 2f\n.code16\n"
	   "1: xor %ax, %ax; mov %ax, %ds; mov $1, %eax; cpuid; shr $24, %ebx; mov $1, %eax\n"
	   "lock xadd %eax, 0x7000; mov %eax, %edi; shl $2, %edi; mov %ebx, 0x7004(%di)\n"
	   "mov $0xb, %eax; xor %ecx, %ecx; cpuid; mov %edx, 0x7044(%di)\n"
	   "lock incl 0x7080; 3: cli; hlt; jmp 3b\n.code64\n"
	   "2: cld; lea 1b(%rip), %rsi; mov $0x8000, %edi; mov $2b-1b, %ecx; rep movsb\n"
	   "mov $0xfee00000, %esi; movl $0x1ff, 0xf0(%rsi)\n"
	   "movl $0xc4500, 0x300(%rsi); mov $0x100000, %ecx; 4: dec %ecx; jnz 4b\n"
	   "movl $0xc4608, 0x300(%rsi)\n"
	   "5: mov 0x200000, %eax; cmp %eax, 0x7080; jne 5b\n"
	   "mov $1, %eax; cpuid; shr $24, %ebx; mov %ebx, 0x200008\n"
	   "mov $0xb, %eax; xor %ecx, %ecx; cpuid; mov %edx, 0x20000c\n"
	   "mov 0x20(%rsi), %eax; shr $24, %eax; mov %eax, 0x200010" GUEST_DONE);

static uint32_t word(const struct guest *guest, uint64_t gpa)
{
	uint32_t value = 0;

	CHECK_EQ(axas_read_u32(guest->memory, gpa, &value), 0);
	return value;
}

static void start_all(const uint32_t ids[4], const uint32_t *hardware_ids)
{
	struct guest guest;
	uint32_t seen = 0;

	guest_create(&guest, &(struct guest_config){.vcpus = 4, .hardware_ids = hardware_ids});
	guest_load(&guest, start_code, start_code_end);
	guest_set_data(&guest, 0, 3);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s; %u CPUs came", axvcpu_exit_name(guest.end.kind),
	      word(&guest, 0x7080));
	CHECK_EQ(word(&guest, GUEST_DATA_GPA + 8), ids[0]);    /* leaf 1 */
	CHECK_EQ(word(&guest, GUEST_DATA_GPA + 0xc), ids[0]);  /* leaf 0xB */
	CHECK_EQ(word(&guest, GUEST_DATA_GPA + 0x10), ids[0]); /* the LAPIC itself */
	for (unsigned i = 0; i < 3; i++) {
		uint32_t id = word(&guest, 0x7004 + 4 * i);
		CHECK_EQ(word(&guest, 0x7044 + 4 * i), id);
		for (unsigned k = 1; k < 4; k++)
			if (ids[k] == id)
				seen |= 1u << k;
	}
	CHECK(seen == 0xe, "ids %u %u %u started", word(&guest, 0x7004), word(&guest, 0x7008),
	      word(&guest, 0x700c));
	guest_destroy(&guest);
}

GUEST_TEST(smp_start, "smp-start")
{
	start_all((const uint32_t[]){0, 1, 2, 3}, NULL);
}

GUEST_TEST(smp_ids, "smp-ids")
{
	static const uint32_t ids[] = {2, 5, 0, 9};

	start_all(ids, ids);
}
