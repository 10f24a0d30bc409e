/*
 * What no single value can tell: the checks between options, one test each (G2).
 */
#include "helpers.h"

static void test_lists_match_the_cpus(void **state)
{
	(void)state;
	refuse_words(WORDS("-c", "2", "--cpu-ids=1"), "cpus.ids has 1 numbers for 2 vCPUs",
		     "set cpus.count to 1");
	refuse_words(WORDS("--cpu-ids=1-3"), "cpus.ids has 3 numbers for 1 vCPUs",
		     "set cpus.count to 3");
	refuse_words(WORDS("-c", "3", "--cpu-affinity=0,1"), "cpus.affinity has 2 numbers",
		     "one number per vCPU");
	refuse_words(WORDS("-c", "3", "--cpu-ids=1,2,1"), "cpus.ids: 1 stands there twice", NULL);
	/* Two vCPUs may share a host CPU. */
	axcfg_destroy(config_of_words(WORDS("-c", "2", "--cpu-affinity=0,0")));
}

static void test_io_affinity(void **state)
{
	(void)state;
	axcfg_destroy(config_of_words(WORDS("--io-affinity=0-15")));
	refuse_words(WORDS("--io-affinity=0-16"), "io.affinity has 17 numbers", "one number");
	refuse_words(WORDS("--io-affinity=0-1", "--io-threads=3"), "2 numbers for 3 I/O threads",
		     NULL);
}

static void test_placement(void **state)
{
	(void)state;
	refuse_words(WORDS("--cores=own", "--overcommit"), "exclude each other", "leave out one");
	refuse_words(WORDS("--scheduler=fifo", "--placement=shared"), "a CPU for each vCPU alone",
		     "--placement dedicated");
	refuse_words(WORDS("--scheduler=rr", "--overcommit"), "a CPU for each vCPU alone", NULL);
	refuse_words(WORDS("--scheduler=fifo", "--placement=off"), "a CPU for each vCPU alone",
		     NULL);
	refuse_words(WORDS("--placement=shared", "--cpu-affinity=0"), "pins the vCPUs",
		     "leave out one");
	refuse_words(WORDS("--placement=shared", "--nodes=0"), "placement.nodes is for a plan",
		     "leave out one");
	refuse_words(WORDS("--placement=off", "--cores=own"), "placement.mode off has none", NULL);
	refuse_words(WORDS("--placement=off", "--overcommit"), "placement.overcommit", NULL);
	refuse_words(WORDS("--placement=shared", "--whole-nodes"), "placement.whole_nodes", NULL);
	refuse_words(WORDS("--priority=5"), "cpus.priority 5", "--scheduler fifo");
	refuse_words(WORDS("--priority=5", "--scheduler=batch"), "neither fifo nor rr", NULL);
	axcfg_destroy(config_of_words(WORDS("--placement=off", "--cpu-affinity=0")));
	axcfg_destroy(config_of_words(WORDS("--priority=5", "--scheduler=rr")));
	refuse_words(WORDS("-c", "3", "--scheduler=fifo", "--cpu-affinity=4,5,4"),
		     "a CPU for each vCPU alone", NULL);
	axcfg_destroy(config_of_words(WORDS("-c", "2", "--scheduler=rr", "--cpu-affinity=4,5")));
	axcfg_destroy(config_of_words(WORDS("--scheduler=batch", "--placement=shared")));
}

static void test_memory(void **state)
{
	(void)state;
	refuse_words(WORDS("--memory=16385K"), "16778240 bytes are not a multiple of 4096", NULL);
	refuse_words(WORDS("--region=gpa=0x1001,size=4K"), "memory.regions[0]: 0x1001", NULL);
	refuse_words(WORDS("--region=gpa=0x1000,size=5K"), "5120 are not both multiples", NULL);
	refuse_words(WORDS("--region=gpa=0x1000"), "memory.regions[0] has no size", NULL);
	refuse_words(WORDS("--region=gpa=0xfffffffffffff000,size=8K"), "wraps", NULL);
	refuse_words(WORDS("--region=gpa=0,size=4K,type=reserved"),
		     "a path goes with type reserved", NULL);
	refuse_words(WORDS("--region=gpa=0,size=4K,path=x"), "a path goes with type reserved",
		     NULL);
	refuse_text("{\"memory\": {\"regions\": [{}]}}", "memory.regions[0] has no size", NULL);
	axcfg_destroy(config_of_words(WORDS("--region=gpa=0,size=4K,type=reserved,path=x")));
}

static void test_devices(void **state)
{
	(void)state;
	refuse_words(WORDS("--serial=file"), "serial.path is not set", "--serial-path FILE");
	refuse_words(WORDS("--serial-path=log"), "serial.mode is not file", "--serial file");
	refuse_words(WORDS("--disk=ro"), "disks[0] has no path", "--disk PATH");
	refuse_words(WORDS("--disk=serial=x"), "disks[0] has no path", NULL);
	refuse_words(WORDS("--disk=a", "--disk=a"), "disks[0] and disks[1] are both a", NULL);
	refuse_words(WORDS("--disk=a,ro", "--disk=b", "--disk=a"), "disks[0] and disks[2]", NULL);
	axcfg_destroy(config_of_words(WORDS("--disk=a,ro", "--disk=a,ro")));
}

static void test_no_interrupts(void **state)
{
	(void)state;
	refuse_words(WORDS("--irq-mode=none"), "leaves a Linux kernel without a timer",
		     "--protocol flat");
	refuse_words(WORDS("--irq-mode=none", "--protocol=flat", "--disk=a"),
		     "no interrupt line for disks[0]", "leave out that device");
	axcfg_destroy(config_of_words(WORDS("--irq-mode=none", "--protocol=flat")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_match_the_cpus),
		cmocka_unit_test(test_io_affinity),
		cmocka_unit_test(test_placement),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_no_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
