/* The rates that `axvm top` shows: two made-up looks, half a second apart, and what lies between.
 */
#include "top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct axvm_live_vcpu vcpus[2][2]; /* of the earlier look and the later one */
static struct axvm_live looks[2];
static struct top_vm vm;

static int begin(void **state)
{
	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	memset(looks, 0, sizeof(looks));
	for (size_t i = 0; i < 2; i++) {
		looks[i].at_ns = 1000000000 + i * 500000000;
		looks[i].vcpus = vcpus[i];
		looks[i].vcpu_count = 2;
		for (size_t v = 0; v < 2; v++) {
			vcpus[i][v].thread.tid = 100 + (pid_t)v;
			vcpus[i][v].thread.task.has_times = true;
		}
	}
	vm = (struct top_vm){.earlier = &looks[0], .later = &looks[1]};
	return 0;
}

static void is(double value, double wanted)
{
	if (!(fabs(value - wanted) < 1e-6))
		fail_msg("%g, not %g", value, wanted);
}

static void test_rate(void **state)
{
	(void)state;
	is(top_seconds(&vm), 0.5);
	is(top_rate(&vm, 100, 200), 200);
	is(top_rate(&vm, 200, 100), 0); /* who counts anew has counted nothing */
	assert_true(isnan(top_rate(&vm, AXVM_LIVE_UNKNOWN, 200)));
	assert_true(isnan(top_rate(&vm, 100, AXVM_LIVE_UNKNOWN)));
	looks[1].at_ns = looks[0].at_ns; /* the same look twice */
	assert_true(isnan(top_seconds(&vm)));
	assert_true(isnan(top_rate(&vm, 100, 200)));
	vm.earlier = NULL;
	assert_true(isnan(top_seconds(&vm)));
}

/* 0.3 s on a CPU and 0.1 s waiting for one, of 0.5. */
static void test_thread(void **state)
{
	struct top_thread_rates rates;

	(void)state;
	vcpus[0][1].thread.task.run_ns = 7;
	vcpus[1][1].thread.task.run_ns = 300000007;
	vcpus[0][1].thread.task.wait_ns = 1;
	vcpus[1][1].thread.task.wait_ns = 100000001;
	rates = top_thread(&vm, &vcpus[0][1].thread, &vcpus[1][1].thread);
	is(rates.run, 0.6);
	is(rates.steal, 0.2);
	is(top_steal(&vm), 0.2);
	/* Another thread by now, one that the kernel does not count, one that is new. */
	vcpus[0][1].thread.tid = 99;
	assert_true(isnan(top_thread(&vm, &vcpus[0][1].thread, &vcpus[1][1].thread).run));
	vcpus[0][1].thread.tid = 101;
	vcpus[1][1].thread.task.has_times = false;
	assert_true(isnan(top_thread(&vm, &vcpus[0][1].thread, &vcpus[1][1].thread).steal));
	assert_true(isnan(top_thread(&vm, NULL, &vcpus[1][0].thread).run));
}

static void test_whole(void **state)
{
	(void)state;
	looks[0].cpu_ns = 5;
	looks[1].cpu_ns = 750000005;
	is(top_cpu(&vm), 1.5);
	vcpus[1][0].kvm.exits = 10;
	vcpus[1][0].own.exits = 3;
	vcpus[1][1].kvm.exits = 20;
	is(top_exits(&vm), 60);
	/* Where the hypervisor does not count, those that reached us. */
	vcpus[0][0].kvm.exits = vcpus[1][0].kvm.exits = AXVM_LIVE_UNKNOWN;
	is(top_exits(&vm), 46);
	vcpus[1][0].kvm.halt_exits = 4;
	vcpus[1][1].kvm.halt_exits = 5;
	is(top_halts(&vm), 18);
	vm.earlier = NULL;
	assert_true(isnan(top_cpu(&vm)) && isnan(top_exits(&vm)) && isnan(top_halts(&vm)) &&
		    isnan(top_steal(&vm)));
}

/* All exits less those of the causes that are counted apart. */
static void test_other(void **state)
{
	(void)state;
	vcpus[1][1].kvm = (struct axvm_live_kvm){.exits = 100,
						 .io_exits = 10,
						 .halt_exits = 20,
						 .signal_exits = 5,
						 .irq_injections = 50};
	is(top_other(&vm, 1), 130);
	vcpus[1][1].kvm.io_exits = AXVM_LIVE_UNKNOWN; /* who knows: they are among the others */
	is(top_other(&vm, 1), 150);
	vcpus[1][1].kvm.halt_exits = 200; /* read a moment later */
	is(top_other(&vm, 1), 0);
	vm.earlier = NULL;
	assert_true(isnan(top_other(&vm, 1)));
}

static void test_ipis(void **state)
{
	static char something;
	static struct top_ipis ipis[2] = {{.tid = 100, .later = 7},
					  {.tid = 101, .earlier = 10, .later = 25}};

	(void)state;
	ipis[1].counter = (struct axhost_ipis *)(void *)&something;
	vm.ipis = ipis;
	vm.ipi_count = 2;
	assert_true(isnan(top_ipi_rate(&vm, 0)));
	is(top_ipi_rate(&vm, 1), 30);
	assert_true(isnan(top_ipi_rate(&vm, 2)));
}

static void test_astray(void **state)
{
	struct axvm_live_thread thread = {.tid = 1, .task = {.cpu = 5, .allowed = "3"}};

	(void)state;
	assert_false(top_is_astray(&thread)); /* anywhere */
	strcpy(thread.planned, "3");
	assert_false(top_is_astray(&thread)); /* asleep on 5, where it was before it was moved */
	strcpy(thread.planned, "4");
	assert_true(top_is_astray(&thread));
	thread.tid = 0;
	assert_false(top_is_astray(&thread));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rate, begin),
		cmocka_unit_test_setup(test_thread, begin),
		cmocka_unit_test_setup(test_whole, begin),
		cmocka_unit_test_setup(test_other, begin),
		cmocka_unit_test_setup(test_ipis, begin),
		cmocka_unit_test_setup(test_astray, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
