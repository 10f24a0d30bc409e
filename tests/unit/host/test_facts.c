/*
 * Host facts from machines in directories: what is there is read exactly, what is missing stays
 * zero, and a file full of nonsense does no harm.
 */
#include "../test.h"
#include "tree.h"

#include <axvm/host.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_ivy_bridge_ep(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/e5-2680v2", &f);
	assert_string_equal(f.vendor, "GenuineIntel");
	assert_string_equal(f.model_name, "Intel(R) Xeon(R) CPU E5-2680 v2 @ 2.80GHz");
	assert_int_equal(f.family, 6);
	assert_int_equal(f.model, 62);
	assert_int_equal(f.stepping, 4);
	assert_int_equal(f.cpus_online, 40);
	assert_int_equal(f.nodes_online, 2);
	assert_int_equal(f.memory_bytes, 131925552 * AX_KIB);
	assert_int_equal(f.memory_available_bytes, 125829120 * AX_KIB);
	assert_int_equal(f.pool_count, 2);
	assert_int_equal(f.pools[0].page_size_bytes, 2 * AX_MIB);
	assert_int_equal(f.pools[0].total, 512);
	assert_int_equal(f.pools[0].free, 500);
	assert_int_equal(f.pools[1].page_size_bytes, AX_GIB);
	assert_int_equal(f.pools[1].total, 4);
	assert_int_equal(f.pools[1].free, 3);
	assert_true(f.thp);
	assert_true(f.vmx && f.ept && f.invariant_tsc && f.x2apic && f.gbpages && f.apicv);
	assert_false(f.svm || f.npt || f.hypervisor || f.tsc_scaling);
	assert_true(f.numa_balancing);
	/* Those at work, in the first words; what is unknown or not affected is not. */
	assert_string_equal(f.mitigations,
			    "itlb_multihit: Split huge pages; l1tf: PTE Inversion; mds: Clear CPU "
			    "buffers; meltdown: PTI; spec_store_bypass: Speculative Store Bypass "
			    "disabled via prctl; spectre_v2: Retpolines");
	assert_string_equal(f.kernel_release, "6.1.0-28-amd64");
	axhost_free(&f);
}

/* The CPU has it, the module was told not to use it. */
static void test_module_parameter_counts_more(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/e5-2680v2-ept0", &f);
	assert_true(f.vmx);
	assert_false(f.ept);
	assert_false(f.apicv);
	assert_false(f.thp);
	assert_int_equal(f.pool_count, 1);
	assert_int_equal(f.pools[0].total, 0);
	axhost_free(&f);
	axhost_read(HOSTS "/epyc-7543-npt0", &f);
	assert_true(f.svm);
	assert_false(f.npt);
	axhost_free(&f);
}

static void test_epyc(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/epyc-7543", &f);
	assert_string_equal(f.vendor, "AuthenticAMD");
	assert_int_equal(f.family, 25);
	assert_int_equal(f.model, 1);
	assert_int_equal(f.cpus_online, 64);
	assert_int_equal(f.nodes_online, 8);
	assert_true(f.svm && f.tsc_scaling && f.invariant_tsc && f.x2apic && f.gbpages && f.thp);
	assert_true(f.npt);
	assert_false(f.vmx || f.ept || f.apicv || f.hypervisor);
	axhost_free(&f);
}

static void test_virtual_machine(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/cascadelake-guest", &f);
	assert_true(f.hypervisor && f.vmx && f.ept && f.apicv);
	assert_true(f.tsc_scaling); /* a VMX flag of a line of its own */
	assert_int_equal(f.nodes_online, 1);
	assert_int_equal(f.cpus_online, 4);
	axhost_free(&f);
}

/* Arm's are numbers: known ones have names. */
static void test_neoverse(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/neoverse-n1", &f);
	assert_string_equal(f.vendor, "Arm");
	assert_string_equal(f.model_name, "Neoverse N1 r4p1");
	assert_int_equal(f.family, 0);
	assert_int_equal(f.model, 0xd0c);
	assert_int_equal(f.stepping, 0x41);
	assert_int_equal(f.cpus_online, 2);
	assert_false(f.vmx || f.svm || f.hypervisor);
	axhost_free(&f);
}

/* RISC-V has a vendor's number, and perhaps a microarchitecture. */
static void test_riscv(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/sifive-u74", &f);
	assert_string_equal(f.vendor, "SiFive");
	assert_string_equal(f.model_name, "sifive,u74-mc");
	assert_int_equal(f.family, 0);
	assert_int_equal(f.cpus_online, 2);
	axhost_free(&f);
	axhost_read(HOSTS "/riscv-emulated", &f);
	assert_string_equal(f.vendor, "no vendor");
	assert_string_equal(f.model_name, "rv64imafdch");
	assert_int_equal(f.cpus_online, 1);
	axhost_free(&f);
}

static void test_nothing_there(void **state)
{
	struct axhost_facts f, zero = {.nodes_online = 1};

	(void)state;
	memset(&f, 0xff, sizeof(f));
	axhost_read("/nonexistent", &f);
	assert_int_equal(f.nodes_online, zero.nodes_online);
	assert_int_equal(f.cpus_online, 0);
	assert_string_equal(f.vendor, "");
	assert_string_equal(f.model_name, "");
	assert_string_equal(f.kernel_release, "");
	assert_int_equal(f.memory_bytes, 0);
	assert_int_equal(f.pool_count, 0);
	assert_false(f.vmx || f.svm || f.ept || f.thp || f.x2apic || f.apicv);
	axhost_free(&f);
}

static void test_root_too_long(void **state)
{
	struct axhost_facts f;
	char root[1024];

	(void)state;
	memset(root, 'r', sizeof(root) - 1);
	root[0] = '/';
	root[sizeof(root) - 1] = '\0';
	axhost_read(root, &f);
	assert_int_equal(f.cpus_online, 0);
	axhost_free(&f);
}

static void test_nonsense(void **state)
{
	static const char flags[] =
		"processor\t: 0\nvendor_id\t\nmodel name\t:\ncpu family\t: many\nmodel\t\t: -1\n"
		"stepping\t: 99999999999999999999\nflags\t\t: vmxx xvmx svm2 ept_ad x2apicx "
		"constant_tsc\n";
	struct axhost_facts f;
	char root[] = "/tmp/axvm-host-XXXXXX", *noise = malloc(100000);

	(void)state;
	assert_non_null(noise);
	assert_non_null(mkdtemp(root));
	tree_put(root, "/proc/cpuinfo", flags, sizeof(flags) - 1);
	axhost_read(root, &f);
	assert_int_equal(f.cpus_online, 1);
	assert_string_equal(f.vendor, "");
	assert_string_equal(f.model_name, "");
	assert_int_equal(f.family, 0);
	/* Whole words only, and an invariant TSC is two of them. */
	assert_false(f.vmx || f.svm || f.ept || f.x2apic || f.invariant_tsc);

	/* Lines without an end, bytes without a meaning, names longer than their place. */
	for (size_t i = 0; i < 100000; i++)
		noise[i] = (char)(i * 31 + i / 256);
	memcpy(noise, "processor\nmodel name\t: ", 23);
	tree_put(root, "/proc/cpuinfo", noise, 100000);
	tree_put(root, "/proc/meminfo", noise, 100000);
	tree_put(root, "/proc/sys/kernel/osrelease", noise + 50, 1000);
	tree_put(root, "/sys/kernel/mm/transparent_hugepage/enabled", "", 0);
	tree_put(root, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "many", 4);
	tree_put(root, "/sys/devices/system/node/nodes/x", "", 0);
	axhost_free(&f);
	axhost_read(root, &f);
	assert_true(strlen(f.model_name) < sizeof(f.model_name));
	assert_false(f.thp);
	assert_int_equal(f.pool_count, 1);
	assert_int_equal(f.pools[0].total, 0);
	assert_int_equal(f.nodes_online, 1);
	tree_remove(root);
	free(noise);
	axhost_free(&f);
}

/* This machine's facts hold together. */
static void test_this_machine(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read("", &f);
	assert_true(f.cpus_online >= 1);
	assert_true(f.memory_bytes >= f.memory_available_bytes);
	assert_true(f.memory_available_bytes > 0);
	assert_true(f.kernel_release[0] >= '0' && f.kernel_release[0] <= '9');
	for (size_t i = 0; i < f.pool_count; i++)
		assert_true(f.pools[i].free <= f.pools[i].total);
	axhost_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ivy_bridge_ep),
		cmocka_unit_test(test_module_parameter_counts_more),
		cmocka_unit_test(test_epyc),
		cmocka_unit_test(test_virtual_machine),
		cmocka_unit_test(test_neoverse),
		cmocka_unit_test(test_riscv),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_root_too_long),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
