/*
 * The CPUID of an E5-2680 v2: what Intel documents (SDM volume 2, CPUID), what KVM of Linux 6.1
 * reports of it and adds, and what guests of AxVM do without and why. test_xv2.c compares.
 */
#ifndef AXVM_TESTS_X86_64_E5_2680V2_H
#define AXVM_TESTS_X86_64_E5_2680V2_H

#include "helpers.h"

enum reg { EAX, EBX, ECX, EDX };

/* A register of features and who has each bit. */
enum {
	CPU = 0x1,  /* the processor, as documented */
	KVM = 0x2,  /* KVM reports it */
	OWN = 0x4,  /* the hypervisor's own: the processor has no such bit */
	WAIT = 0x8, /* told by us to those that may wait without exits */
	US = 0x10,  /* told by us, as KVM leaves it to us */
};
struct feature {
	uint8_t bit;
	const char *name;
	uint8_t who;
	const char *left_out; /* why the guest is not told of what the processor has */
};

static const struct feature leaf_1_ecx[] = {
	{0, "sse3", CPU | KVM, NULL},
	{1, "pclmulqdq", CPU | KVM, NULL},
	{2, "dtes64", CPU, "KVM gives no debug store on this generation"},
	{3, "monitor", CPU | WAIT, "exits, but for guests on cores of their own"},
	{4, "ds_cpl", CPU, "KVM gives no debug store on this generation"},
	{5, "vmx", CPU | KVM, "guests of AxVM do not nest"},
	{6, "smx", CPU, "measured launch is the host's"},
	{7, "est", CPU, "frequency is the host's"},
	{8, "tm2", CPU, "temperature is the host's"},
	{9, "ssse3", CPU | KVM, NULL},
	{13, "cx16", CPU | KVM, NULL},
	{14, "xtpr", CPU,
	 "chipset's task priorities, for interrupts by redirection, are the host's"},
	{15, "pdcm", CPU | KVM, NULL},
	{17, "pcid", CPU | KVM, NULL},
	{18, "dca", CPU, "direct cache access is for the host's devices"},
	{19, "sse4_1", CPU | KVM, NULL},
	{20, "sse4_2", CPU | KVM, NULL},
	{21, "x2apic", CPU | KVM, NULL},
	{23, "popcnt", CPU | KVM, NULL},
	{24, "tsc_deadline_timer", CPU | US, NULL},
	{25, "aes", CPU | KVM, NULL},
	{26, "xsave", CPU | KVM, NULL},
	{27, "osxsave", CPU, "shows CR4, so KVM sets it when the guest does"},
	{28, "avx", CPU | KVM, NULL},
	{29, "f16c", CPU | KVM, NULL},
	{30, "rdrand", CPU | KVM, NULL},
	{31, "hypervisor", OWN | US, NULL},
};
static const struct feature leaf_1_edx[] = {
	{0, "fpu", CPU | KVM, NULL},
	{1, "vme", CPU | KVM, NULL},
	{2, "de", CPU | KVM, NULL},
	{3, "pse", CPU | KVM, NULL},
	{4, "tsc", CPU | KVM, NULL},
	{5, "msr", CPU | KVM, NULL},
	{6, "pae", CPU | KVM, NULL},
	{7, "mce", CPU | KVM, NULL},
	{8, "cx8", CPU | KVM, NULL},
	{9, "apic", CPU | KVM, NULL},
	{11, "sep", CPU | KVM, NULL},
	{12, "mtrr", CPU | KVM, NULL},
	{13, "pge", CPU | KVM, NULL},
	{14, "mca", CPU | KVM, NULL},
	{15, "cmov", CPU | KVM, NULL},
	{16, "pat", CPU | KVM, NULL},
	{17, "pse36", CPU | KVM, NULL},
	{19, "clflush", CPU | KVM, NULL},
	{21, "dts", CPU, "KVM gives no debug store on this generation"},
	{22, "acpi", CPU, "temperature is the host's"},
	{23, "mmx", CPU | KVM, NULL},
	{24, "fxsr", CPU | KVM, NULL},
	{25, "sse", CPU | KVM, NULL},
	{26, "sse2", CPU | KVM, NULL},
	{27, "ss", CPU | KVM, NULL},
	{28, "ht", CPU | US, NULL},
	{29, "tm", CPU, "temperature is the host's"},
	{31, "pbe", CPU, "belongs to the FERR pin"},
};
static const struct feature leaf_6_eax[] = {
	{0, "dtherm", CPU, "temperature is the host's"},
	{1, "ida", CPU, "frequency is the host's"},
	{2, "arat", CPU | KVM, NULL},
	{4, "pln", CPU, "power limits are the host's"},
	{5, "ecmd", CPU, "frequency is the host's"},
	{6, "pts", CPU, "temperature is the host's"},
};
static const struct feature leaf_6_ecx[] = {
	{0, "aperfmperf", CPU, "each reading would exit, and say what the host does"},
	{3, "epb", CPU, "frequency is the host's"},
};
static const struct feature leaf_7_ebx[] = {
	{0, "fsgsbase", CPU | KVM, NULL},
	/* Emulated; with an invariant TSC it spares Linux the clock's watchdog. */
	{1, "tsc_adjust", OWN | KVM, NULL},
	{7, "smep", CPU | KVM, NULL},
	{9, "erms", CPU | KVM, NULL},
};
static const struct feature leaf_7_ecx[] = {
	{2, "umip", OWN | KVM, "KVM emulates it, at an exit for each descriptor table"},
};
/* By the microcode of 2018 and 2019. */
static const struct feature leaf_7_edx[] = {
	{10, "md_clear", CPU | KVM, NULL},
	{26, "spec_ctrl", CPU | KVM, NULL},
	{27, "stibp", CPU | KVM, NULL},
	{28, "flush_l1d", CPU, "for who enters guests; KVM of Linux 6.1 keeps it"},
	{29, "arch_capabilities", OWN | KVM, NULL},
	{31, "ssbd", CPU | KVM, NULL},
};
static const struct feature leaf_d_1_eax[] = {
	{0, "xsaveopt", CPU | KVM, NULL},
};
static const struct feature leaf_80000001_ecx[] = {
	{0, "lahf_lm", CPU | KVM, NULL},
};
static const struct feature leaf_80000001_edx[] = {
	{11, "syscall", CPU | KVM, NULL}, {20, "nx", CPU | KVM, NULL},
	{26, "pdpe1gb", CPU | KVM, NULL}, {27, "rdtscp", CPU | KVM, NULL},
	{29, "lm", CPU | KVM, NULL},
};
static const struct feature leaf_80000007_edx[] = {
	{8, "invariant_tsc", CPU | KVM, NULL},
};
static const struct feature leaf_80000008_ebx[] = {
	{12, "amd_ibpb", OWN | KVM, "AMD's name of spec_ctrl"},
	{14, "amd_ibrs", OWN | KVM, "AMD's name of spec_ctrl"},
	{15, "amd_stibp", OWN | KVM, "AMD's name of stibp"},
	{24, "amd_ssbd", OWN | KVM, "AMD's name of ssbd"},
};

#define REGISTER(leaf, subleaf, reg, list)                   \
	{                                                    \
		leaf, subleaf, reg, list, AX_ARRAY_LEN(list) \
	}
static const struct {
	uint32_t leaf, subleaf;
	enum reg reg;
	const struct feature *features;
	size_t count;
} registers[] = {
	REGISTER(0x1, 0, ECX, leaf_1_ecx),
	REGISTER(0x1, 0, EDX, leaf_1_edx),
	REGISTER(0x6, 0, EAX, leaf_6_eax),
	REGISTER(0x6, 0, ECX, leaf_6_ecx),
	REGISTER(0x7, 0, EBX, leaf_7_ebx),
	REGISTER(0x7, 0, ECX, leaf_7_ecx),
	REGISTER(0x7, 0, EDX, leaf_7_edx),
	REGISTER(0xd, 1, EAX, leaf_d_1_eax),
	REGISTER(0x80000001, 0, ECX, leaf_80000001_ecx),
	REGISTER(0x80000001, 0, EDX, leaf_80000001_edx),
	REGISTER(0x80000007, 0, EDX, leaf_80000007_edx),
	REGISTER(0x80000008, 0, EBX, leaf_80000008_ebx),
};

/* What is no feature: numbers, texts, the list of leaves. */
static const struct x86_cpuid_entry others[] = {
	{0x0, 0, false, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69},
	{0x1, 0, false, 0x306e4, 0x00200800, 0, 0},
	{0x2, 0, false, 0x76036301, 0x00f0b2ff, 0, 0x00ca0000},
	{0x4, 0, true, 0x3c004121, 0x1c0003f, 0x3f, 0},
	{0x4, 1, true, 0x3c004122, 0x1c0003f, 0x3f, 0},
	{0x4, 2, true, 0x3c004143, 0x1c0003f, 0x1ff, 0},
	{0x4, 3, true, 0x3c07c163, 0x4c0003f, 0x4fff, 6},
	{0x4, 4, true, 0, 0, 0, 0},
	{0x6, 0, false, 0, 0, 0, 0},
	{0x7, 0, true, 0, 0, 0, 0},
	{0xa, 0, false, 0x07300402, 0, 0, 0x603},
	{0xb, 0, true, 1, 2, 0x100, 0x0a},
	{0xb, 1, true, 5, 20, 0x201, 0x0a},
	{0xd, 0, true, 7, 0x240, 0x340, 0},
	{0xd, 1, true, 0, 0, 0, 0},
	{0xd, 2, true, 0x100, 0x240, 0, 0},
	{0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	{0x40000001, 0, false, 0x0100fefb, 0, 0, 0},
	{0x80000000, 0, false, 0x80000008, 0, 0, 0},
	{0x80000001, 0, false, 0, 0, 0, 0},
	{0x80000002, 0, false, 0x20202020, 0x49202020, 0x6c65746e, 0x20295228},
	{0x80000003, 0, false, 0x6e6f6558, 0x20295228, 0x20555043, 0x322d3545},
	{0x80000004, 0, false, 0x20303836, 0x40203276, 0x382e3220, 0x7a484730},
	{0x80000006, 0, false, 0, 0, 0x01006040, 0},
	{0x80000007, 0, false, 0, 0, 0, 0},
	{0x80000008, 0, false, 0x302e, 0, 0, 0},
};
/* The processor's own leaf 5. */
static const struct x86_cpuid_entry leaf_5 = {0x5, 0, false, 0x40, 0x40, 3, 0x1120};

#endif
