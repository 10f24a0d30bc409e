/*
 * How a VM comes to its CPUs: which plans are followed, what is left by those who were first, and
 * what is said when nothing is. Ledgers are of this test's own; the host is whatever there is.
 */
#include "rig.h"

#include "axvm/vm_private.h"

#include <axvm/ledger.h>
#include <axvm/live.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/axvm-placement-XXXXXX";
static uint32_t cpus[CPU_SETSIZE]; /* that this process may use */
static size_t cpu_count;

static int set_up(void **state)
{
	cpu_set_t own;

	sched_getaffinity(0, sizeof(own), &own);
	for (uint32_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &own))
			cpus[cpu_count++] = i;
	return mkdtemp(directory) ? rig_warm_up(state) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(directory); /* every claim is gone */
}

static struct axledger_claim *claim(const uint32_t *ids, size_t count)
{
	struct axledger_request request = {.name = "other", .cpus = ids, .cpu_count = count};
	struct axledger_claim *ret = NULL;
	struct axledger *ledger = NULL;
	struct ax_error err = {0};

	if (axledger_open(directory, 1000, &ledger, &err) ||
	    axledger_claim(ledger, &request, &ret, &err))
		fail_msg("%s", err.message);
	axledger_close(ledger);
	return ret;
}

/* What all VMs hold: how many CPUs, and nodes whose memory is promised. */
static size_t held_cpus_and(size_t *ret_nodes)
{
	struct axledger_held held = {0};
	struct axledger *ledger = NULL;
	size_t count;

	assert_int_equal(axledger_open(directory, 1000, &ledger, NULL), 0);
	assert_int_equal(axledger_held(ledger, &held, NULL), 0);
	count = held.cpu_count;
	*ret_nodes = held.memory_count;
	axledger_held_free(&held);
	axledger_close(ledger);
	return count;
}

static size_t held_cpus(void)
{
	size_t nodes;

	return held_cpus_and(&nodes);
}

/* A spinning VM with these words and our ledger; axvm_create's answer. */
static int begin(struct rig *rig, const char *const *words)
{
	rig_init(rig, words);
	rig->options.ledger = directory;
	RIG_SCRIPT(rig, 0, STEP_SPIN);
	RIG_SCRIPT(rig, 1, STEP_SPIN);
	return rig_create(rig);
}

static void stop(struct rig *rig)
{
	if (rig->vm)
		assert_int_equal(axvm_stop(rig->vm, AXVM_STOP_CLEAN, NULL), 0);
	rig_finish(rig);
}

static int io_allowed(struct rig *rig, cpu_set_t *ret_set)
{
	struct axvm_live *live = NULL;
	pid_t tid;

	assert_int_equal(axvm_live_take(rig->vm, 0, &live, NULL), 0);
	tid = live->io[0].thread.tid;
	axvm_live_free(live);
	sched_getaffinity(tid, sizeof(*ret_set), ret_set);
	return CPU_COUNT(ret_set);
}

static int allowed_of(struct rig *rig, uint32_t vcpu, cpu_set_t *ret_set)
{
	sched_getaffinity(axvcpu_tid(axvm_vcpu(rig->vm, vcpu)), sizeof(*ret_set), ret_set);
	return CPU_COUNT(ret_set);
}

static bool is_told(struct rig *rig)
{
	struct pollfd told = {.fd = axvm_aside_fd(rig->vm), .events = POLLIN};

	return poll(&told, 1, 0) == 1;
}

/* As the owner does: waits until it is told to move, and then asks where to. */
static int aside_of(struct rig *rig, cpu_set_t *ret_set)
{
	uint64_t told;
	size_t count;
	int ids[64];

	RIG_UNTIL(is_told(rig));
	assert_int_equal(read(axvm_aside_fd(rig->vm), &told, sizeof(told)), sizeof(told));
	count = axvm_aside(rig->vm, ids, AX_ARRAY_LEN(ids));
	CPU_ZERO(ret_set);
	for (size_t i = 0; i < count && i < AX_ARRAY_LEN(ids); i++)
		CPU_SET(ids[i], ret_set);
	return (int)count;
}

/* ---- which plans are followed ---------------------------------------------------------------- */

static void test_policy(void **state)
{
	static const struct {
		const char *host, *words[6];
		const char *unused; /* part of the reason; NULL: it is followed */
		bool floats;
	} rows[] = {
		{"e5-2680v2-2s", {"-c", "4"}, NULL},
		/* All of a node: I/O goes to the other. */
		{"e5-2680v2-2s", {"-c", "20", "-m", "8G"}, NULL},
		/* All of the host: nothing is left for anybody else, unless that is wanted. It
		 * keeps to its nodes. */
		{"e5-2680v2-2s", {"-c", "40", "-m", "8G"}, "no core would be left", true},
		{"e5-2680v2-2s", {"-c", "20", "-m", "48G"}, "no core would be left", true},
		{"e5-2680v2-2s", {"-c", "20", "-m", "48G", "--dtb=x"}, "no core would be left"},
		{"e5-2680v2-1s", {"-c", "10"}, "no core would be left"},
		{"e5-2680v2-2s", {"-c", "40", "-m", "8G", "--placement=dedicated"}, NULL},
		{"e5-2680v2-2s", {"-c", "4", "--placement=shared"}, "--placement shared"},
		{"e5-2680v2-2s", {"-c", "4", "--placement=off"}, "--placement off"},
		{"e5-2680v2-1s", {"-c", "60", "--overcommit"}, NULL},
		{"e5-2680v2-1s", {"-c", "2", "--cpu-affinity=3,3"}, NULL},
		{"i7-1165g7", {"-c", "3"}, NULL},
		{"i7-1165g7", {"-c", "8"}, "no core would be left"},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axplace_plan *plan = NULL;
		struct axhost_facts facts;
		char path[512];
		const char *why;
		struct rig rig;

		snprintf(path, sizeof(path), HOSTS "/%s.json", rows[i].host);
		assert_int_equal(axhost_load(path, &facts, NULL), 0);
		rig_init(&rig, WORDS("--placement=auto", rows[i].words[0], rows[i].words[1],
				     rows[i].words[2], rows[i].words[3], rows[i].words[4]));
		if (axvm_plan(rig.config, &facts, NULL, &plan, &rig.err))
			fail_msg("row %zu: %s", i, rig.err.message);
		why = axvm_plan_unused(rig.config, &facts, plan);
		if (rows[i].unused)
			assert_non_null(strstr(why ? why : "followed", rows[i].unused));
		else
			assert_null(why);
		assert_int_equal(axvm_plan_floats(rig.config, &facts, plan), rows[i].floats);
		axplace_free(plan);
		axhost_free(&facts);
		rig_finish(&rig);
	}
}

/* Where the vCPUs of a plan run that is kept to but for CPUs. The kernel's numbers of nodes have
 * gaps at times; a node without memory belongs to the one that its vCPUs use. */
static void test_homes(void **state)
{
	static const struct {
		const char *host, *words[4];
		uint32_t ids[2]; /* of the first two nodes */
		bool drained;    /* the second has no memory */
	} rows[] = {
		{"e5-2680v2-2s", {"-c", "20", "-m", "48G"}, {0, 1}, false},
		{"e5-2680v2-2s", {"-c", "20", "-m", "48G"}, {1, 3}, false},
		{"e5-2680v2-2s", {"-c", "20", "-m", "8G"}, {1, 3}, true},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axplace_plan *plan = NULL;
		struct axhost_facts facts;
		uint32_t homes[64];
		char path[512];
		struct rig rig;

		snprintf(path, sizeof(path), HOSTS "/%s.json", rows[i].host);
		assert_int_equal(axhost_load(path, &facts, NULL), 0);
		facts.nodes[0].id = rows[i].ids[0];
		facts.nodes[1].id = rows[i].ids[1];
		if (rows[i].drained)
			facts.nodes[1].memory_bytes = facts.nodes[1].memory_free_bytes = 0;
		rig_init(&rig, WORDS("--placement=auto", "--cores=own", rows[i].words[0],
				     rows[i].words[1], rows[i].words[2], rows[i].words[3]));
		if (axvm_plan(rig.config, &facts, NULL, &plan, &rig.err))
			fail_msg("row %zu: %s", i, rig.err.message);
		assert_int_equal(plan->memory_count, rows[i].drained ? 1 : 2);
		axvm_find_homes(&facts, plan, homes);
		for (size_t c = 0; c < facts.cpu_count; c++)
			assert_int_equal(homes[c], rows[i].drained ? 0 : facts.cpus[c].node);
		axplace_free(plan);
		axhost_free(&facts);
		rig_finish(&rig);
	}
}

/* Who floats is by turns on each core of its node: the guest is told of no siblings and caches. */
static void test_topology_of_floating(void **state)
{
	const struct axarch_topology *topology = NULL;
	struct axvm *vm = calloc(1, sizeof(*vm));
	struct rig rig;

	(void)state;
	assert_non_null(vm);
	assert_int_equal(axhost_load(HOSTS "/e5-2680v2-2s.json", &vm->facts, NULL), 0);
	rig_init(&rig, WORDS("--placement=auto", "-c", "40", "-m", "48G"));
	vm->config = rig.config;
	assert_int_equal(axvm_plan(rig.config, &vm->facts, NULL, &vm->placement.plan, &rig.err), 0);
	for (int floats = 0; floats < 2; floats++) {
		vm->placement.floats = floats;
		assert_int_equal(axvm_topology(vm, &topology, &rig.err), 0);
		assert_int_equal(topology->node_count, 2);
		assert_int_equal(topology->threads_per_core, floats ? 1 : 2);
		assert_int_equal(topology->vcpu_llcs == NULL, floats);
		for (uint32_t v = 0; v < 40; v++) {
			assert_int_equal(topology->vcpu_nodes[v], v / 20);
			assert_int_equal(topology->vcpu_cores[v], floats ? v : v / 2);
		}
		free((void *)(uintptr_t)topology);
	}
	axplace_free(vm->placement.plan);
	axhost_free(&vm->facts);
	free(vm);
	rig_finish(&rig);
}

/* Isolated CPUs are shared where there are no others: who has a node of such keeps to none. */
static void test_isolated_node(void **state)
{
	struct axplace_plan *plan = NULL;
	struct axhost_facts facts;
	struct rig rig;

	(void)state;
	assert_int_equal(axhost_load(HOSTS "/e5-2680v2-2s.json", &facts, NULL), 0);
	for (size_t c = 0; c < facts.cpu_count; c++)
		facts.cpus[c].isolated = facts.cpus[c].node == 1;
	rig_init(&rig, WORDS("--placement=auto", "-c", "20", "-m", "48G"));
	assert_int_equal(axvm_plan(rig.config, &facts, NULL, &plan, &rig.err), 0);
	assert_int_equal(plan->memory_count, 2);
	assert_non_null(axvm_plan_unused(rig.config, &facts, plan));
	assert_false(axvm_plan_floats(rig.config, &facts, plan));
	for (size_t c = 0; c < facts.cpu_count; c++)
		facts.cpus[c].isolated = true;
	assert_true(axvm_plan_floats(rig.config, &facts, plan));
	for (size_t c = 0; c < facts.cpu_count; c++)
		facts.cpus[c].isolated = false;
	assert_true(axvm_plan_floats(rig.config, &facts, plan));
	axplace_free(plan);
	axhost_free(&facts);
	rig_finish(&rig);
}

/* Memory of two nodes fits on none of them alone: it is bound only if the guest has two nodes. */
static void test_binding(void **state)
{
	static const struct {
		const char *host, *cpus, *option;
		size_t nodes;
		bool binds;
	} rows[] = {
		{"e5-2680v2-2s", "20", "--placement=auto", 1, true},
		{"e5-2680v2-2s", "24", "--placement=auto", 2, true},
		{"e5-2680v2-2s", "24", "--dtb=x", 2, false},
		{"e5-2680v2-2s", "2", "--cpu-ids=4,8", 1, true},
		{"e5-2680v2-1s", "2", "--placement=auto", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axplace_plan *plan = NULL;
		struct axhost_facts facts;
		char path[512];
		struct rig rig;

		snprintf(path, sizeof(path), HOSTS "/%s.json", rows[i].host);
		assert_int_equal(axhost_load(path, &facts, NULL), 0);
		rig_init(&rig, WORDS("-m", "8G", "-c", rows[i].cpus, rows[i].option));
		if (axvm_plan(rig.config, &facts, NULL, &plan, &rig.err))
			fail_msg("row %zu: %s", i, rig.err.message);
		assert_int_equal(plan->memory_count, rows[i].nodes);
		assert_int_equal(axvm_plan_binds(rig.config, &facts, plan), rows[i].binds);
		axplace_free(plan);
		axhost_free(&facts);
		rig_finish(&rig);
	}
}

/* Pages of a pool that are asked for by name are had or refused; transparent ones are a wish. */
static void test_pages(void **state)
{
	static const struct {
		const char *backing;
		int rc;
	} rows[] = {{"auto", 0}, {"thp", 0}, {"hugetlb-2M", -ENOMEM}, {"hugetlb-1G", -ENOMEM}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axplace_plan *plan = NULL;
		struct axhost_facts facts;
		struct rig rig;

		assert_int_equal(axhost_load(HOSTS "/i7-1165g7.json", &facts, NULL), 0);
		facts.nodes[0].pool_count = 0;
		rig_init(&rig, WORDS("-m", "4G", "--memory-backing", rows[i].backing));
		assert_int_equal(axvm_plan(rig.config, &facts, NULL, &plan, &rig.err), rows[i].rc);
		if (rows[i].rc)
			assert_non_null(strstr(rig.err.hint, "--memory-backing"));
		axplace_free(plan);
		axhost_free(&facts);
		rig_finish(&rig);
	}
}

/* ---- on this host ---------------------------------------------------------------------------- */

static void test_off_leaves_all_to_the_kernel(void **state)
{
	struct axledger_claim *others = claim(cpus, cpu_count);
	struct rig rig;
	cpu_set_t set;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("-c", "2")), 0);
	assert_null(axvm_placement(rig.vm));
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(allowed_of(&rig, 1, &set), cpu_count);
	assert_int_equal(held_cpus(), cpu_count);
	stop(&rig);
	axledger_release(others);
}

/* A VM alone that shares is left to the scheduler, and holds nothing. */
static void test_shared_alone(void **state)
{
	struct rig rig;
	cpu_set_t set;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(allowed_of(&rig, 0, &set), cpu_count);
	assert_int_equal(held_cpus(), 0);
	stop(&rig);
}

static void test_shared_beside_another(void **state)
{
	static const char *const modes[] = {"--placement=auto", "--placement=shared"};
	struct axledger_claim *others;

	(void)state;
	if (cpu_count < 2) {
		print_message("SKIP: one CPU\n");
		skip();
	}
	others = claim(cpus + 1, cpu_count - 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(modes); i++) {
		struct rig rig;
		cpu_set_t set;

		assert_int_equal(begin(&rig, WORDS("-c", "2", modes[i])), 0);
		assert_null(axvm_placement(rig.vm));
		assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
		for (uint32_t v = 0; v < 2; v++) {
			assert_int_equal(allowed_of(&rig, v, &set), 1);
			assert_true(CPU_ISSET(cpus[0], &set));
		}
		stop(&rig);
	}
	assert_int_equal(held_cpus(), cpu_count - 1);
	axledger_release(others);
}

static void wait_for_allowed(struct rig *rig, int count)
{
	cpu_set_t set;

	for (uint32_t v = 0; v < 2; v++) {
		RIG_UNTIL(allowed_of(rig, v, &set) == count);
		assert_true(CPU_ISSET(cpus[0], &set));
	}
}

/* Isolated CPUs are not for those who share, unless all others are claimed. */
static void test_shared_spares_isolated(void **state)
{
	struct axledger_claim *others;
	struct rig rig;
	cpu_set_t set;

	(void)state;
	if (cpu_count < 2) {
		print_message("SKIP: one CPU\n");
		skip();
	}
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	assert_true(rig.vm->placement.spare_isolated);
	rig.vm->facts.cpus[0].isolated = true;
	assert_int_equal(rig.vm->facts.cpus[0].id, cpus[0]);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	others = claim(cpus + 1, cpu_count - 1);
	wait_for_allowed(&rig, 1);
	axledger_release(others);
	RIG_UNTIL(allowed_of(&rig, 0, &set) == (int)cpu_count - 1 && !CPU_ISSET(cpus[0], &set));
	RIG_UNTIL(io_allowed(&rig, &set) == (int)cpu_count - 1 && !CPU_ISSET(cpus[0], &set));
	stop(&rig);
}

/* Moved to another cpuset, it may be allowed none of the CPUs that are left: it stays, and says so.
 */
static void test_shared_elsewhere(void **state)
{
	struct axledger_claim *others;
	struct rig rig;
	cpu_set_t set;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	for (size_t i = 0; i < rig.vm->facts.cpu_count; i++)
		rig.vm->facts.cpus[i].id += 4096; /* as if it had been on others */
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	others = claim(cpus, 1);
	RIG_UNTIL(rig.vm->placement.sharing.is_crowded);
	assert_int_equal(allowed_of(&rig, 0, &set), cpu_count);
	stop(&rig);
	axledger_release(others);
}

/* What is claimed while it runs is left to who has claimed it, for as long as that is so. */
static void test_shared_follows(void **state)
{
	struct axledger_claim *others;
	struct rig rig;

	(void)state;
	if (cpu_count < 2) {
		print_message("SKIP: one CPU\n");
		skip();
	}
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	others = claim(cpus + 1, cpu_count - 1); /* before its threads are there */
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	wait_for_allowed(&rig, 1);
	axledger_release(others);
	wait_for_allowed(&rig, (int)cpu_count);
	others = claim(cpus + 1, cpu_count - 1);
	wait_for_allowed(&rig, 1);
	/* With nothing left it stays where it is. */
	axledger_release(others);
	wait_for_allowed(&rig, (int)cpu_count);
	others = claim(cpus, cpu_count);
	usleep(200000);
	wait_for_allowed(&rig, (int)cpu_count);
	stop(&rig);
	axledger_release(others);
}

static uint64_t io_wakeups(struct rig *rig)
{
	struct axvm_live *live = NULL;
	uint64_t wakeups;

	assert_int_equal(axvm_live_take(rig->vm, 0, &live, NULL), 0);
	wakeups = live->io[0].loop.wakeups;
	axvm_live_free(live);
	return wakeups;
}

/* Any user may fill the directory with files: that hides no claim, and costs a VM a few looks for
 * each 20 ms instead of one for each file. */
static void test_shared_follows_in_a_flood(void **state)
{
	struct axledger_claim *others;
	uint64_t wakeups, start_ns;
	struct rig rig;
	cpu_set_t set;
	char path[64];

	(void)state;
	if (cpu_count < 2) {
		print_message("SKIP: one CPU\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	others = claim(cpus + 1, cpu_count - 1);
	start_ns = ax_clock_ns();
	wakeups = io_wakeups(&rig);
	/* For as long as it takes: it may wait for a CPU itself. */
	for (int i = 0; i < 1000 || (i < 20000 && allowed_of(&rig, 0, &set) != 1); i++) {
		const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		close(fd);
		unlink(path);
		usleep(500);
	}
	assert_int_equal(allowed_of(&rig, 0, &set), 1);
	RIG_UNTIL(io_wakeups(&rig) > wakeups);
	wakeups = io_wakeups(&rig) - wakeups;
	assert_in_range(wakeups, 1, 20 + 4 * ((ax_clock_ns() - start_ns) / 20000000));
	stop(&rig);
	axledger_release(others);
}

/* A ledger that somebody names is used or it is an error; there are other VMs in it, perhaps. */
static void test_named_ledger(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--placement=auto"));
	rig.options.ledger = "/dev/null/ledger";
	assert_int_not_equal(rig_create(&rig), 0);
	assert_int_equal(rig.err.kind, AX_ERROR_CONFIGURATION);
	rig_finish(&rig);
}

static void test_nothing_is_left(void **state)
{
	static const char *const modes[] = {"--placement=auto", "--placement=shared",
					    "--placement=dedicated"};
	struct axledger_claim *others = claim(cpus, cpu_count);
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(modes); i++) {
		assert_int_equal(begin(&rig, WORDS(modes[i])), -ENOSPC);
		assert_int_equal(rig.err.kind, AX_ERROR_CONFIGURATION);
		assert_non_null(strstr(rig.err.hint, "--overcommit"));
		rig_finish(&rig);
	}
	/* Told to, it takes the CPUs of others. */
	assert_int_equal(begin(&rig, WORDS("--placement=auto", "--overcommit")), 0);
	assert_non_null(axvm_placement(rig.vm));
	assert_false(axvm_placement(rig.vm)->dedicated);
	stop(&rig);
	axledger_release(others);
}

/* By a plan: pinned, claimed for as long as the VM lives, and found to be so. */
static void test_dedicated(void **state)
{
	const struct axplace_plan *plan;
	struct axvm_drift drift;
	struct rig rig;
	cpu_set_t set;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated")), 0);
	plan = axvm_placement(rig.vm);
	assert_non_null(plan);
	assert_int_equal(held_cpus(), plan->claim_count);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(allowed_of(&rig, 0, &set), 1);
	assert_true(CPU_ISSET(plan->vcpus[0].cpu, &set));
	axvm_get_drift(rig.vm, &drift);
	assert_int_equal(drift.vcpus + drift.io_threads, 0);
	assert_string_equal(drift.first, "");
	/* Somebody moves it away. */
	if (cpu_count > 1) {
		CPU_SET(cpus[plan->vcpus[0].cpu == cpus[0]], &set);
		assert_int_equal(
			sched_setaffinity(axvcpu_tid(axvm_vcpu(rig.vm, 0)), sizeof(set), &set), 0);
		axvm_get_drift(rig.vm, &drift);
		assert_int_equal(drift.vcpus, 1);
		assert_non_null(strstr(drift.first, "vcpu 0"));
	}
	stop(&rig);
	assert_int_equal(held_cpus(), 0);
}

/* With all CPUs its own, a guest still shares them: with who does its I/O. */
static void test_all_cpus(void **state)
{
	struct rig rig;
	char count[24];

	(void)state;
	snprintf(count, sizeof(count), "%zu", cpu_count);
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated", "-c", count)), 0);
	assert_false(axvm_is_alone(rig.vm));
	stop(&rig);
}

/* Who has whole nodes is no less alone for it. */
static void test_whole_nodes(void **state)
{
	struct rig rig;
	bool alone;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated")), 0);
	alone = axvm_is_alone(rig.vm);
	stop(&rig);
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated", "--whole-nodes")), 0);
	assert_int_equal(axvm_is_alone(rig.vm), alone);
	stop(&rig);
}

/* Who shares makes room for those who claim later, and comes back when they are gone. */
static void test_makes_room(void **state)
{
	struct axledger_claim *others;
	struct rig rig;
	cpu_set_t set;

	(void)state;
	if (cpu_count < 2) {
		print_message("SKIP: one CPU\n");
		skip();
	}
	assert_int_equal(begin(&rig, WORDS("--placement=shared", "-c", "2")), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(allowed_of(&rig, 0, &set), cpu_count);
	others = claim(cpus, 1);
	for (uint32_t v = 0; v < 2; v++) {
		RIG_UNTIL(allowed_of(&rig, v, &set) == (int)cpu_count - 1);
		assert_false(CPU_ISSET(cpus[0], &set));
	}
	RIG_UNTIL(io_allowed(&rig, &set) == (int)cpu_count - 1);
	assert_false(CPU_ISSET(cpus[0], &set));
	assert_int_equal(aside_of(&rig, &set), cpu_count - 1);
	assert_false(CPU_ISSET(cpus[0], &set));
	axledger_release(others);
	RIG_UNTIL(allowed_of(&rig, 1, &set) == (int)cpu_count);
	RIG_UNTIL(io_allowed(&rig, &set) == (int)cpu_count);
	assert_int_equal(aside_of(&rig, &set), cpu_count);
	stop(&rig);
}

/* vCPUs have their claim; I/O threads, which have none, leave their CPUs to who claims these. */
static void test_plan_makes_room(void **state)
{
	const struct axplace_plan *plan;
	struct axledger_claim *others;
	struct axvm_drift drift;
	struct rig rig;
	cpu_set_t set;
	int rest;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated")), 0);
	plan = axvm_placement(rig.vm);
	rest = (int)(cpu_count - plan->claim_count - plan->housekeeping_count);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	if (rest <= 0) {
		stop(&rig);
		print_message("SKIP: no CPU is left to go to\n");
		skip();
	}
	others = claim(plan->housekeeping, plan->housekeeping_count);
	RIG_UNTIL(io_allowed(&rig, &set) == rest && !CPU_ISSET(plan->housekeeping[0], &set));
	assert_false(CPU_ISSET(plan->vcpus[0].cpu, &set));
	assert_int_equal(allowed_of(&rig, 0, &set), 1);
	assert_true(CPU_ISSET(plan->vcpus[0].cpu, &set));
	axledger_release(others);
	RIG_UNTIL(io_allowed(&rig, &set) == (int)plan->io[0].cpu_count &&
		  CPU_ISSET(plan->io[0].cpus[0], &set));
	/* And then it is as planned again. */
	RIG_UNTIL((axvm_get_drift(rig.vm, &drift), !drift.first[0]));
	stop(&rig);
}

/* With all else claimed, who does its I/O goes to the CPUs that are its own. */
static void test_plan_has_its_own_left(void **state)
{
	const struct axplace_plan *plan;
	struct axledger_claim *others;
	struct axvm_drift drift;
	uint32_t rest[CPU_SETSIZE];
	size_t count = 0;
	struct rig rig;
	cpu_set_t set;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated")), 0);
	plan = axvm_placement(rig.vm);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	for (size_t i = 0; i < cpu_count; i++) {
		bool is_ours = false;

		for (size_t k = 0; k < plan->claim_count; k++)
			is_ours |= plan->claims[k] == cpus[i];
		if (!is_ours)
			rest[count++] = cpus[i];
	}
	others = claim(rest, count);
	RIG_UNTIL(io_allowed(&rig, &set) == (int)plan->claim_count &&
		  CPU_ISSET(plan->claims[0], &set));
	/* That is where it should be now. */
	axvm_get_drift(rig.vm, &drift);
	assert_int_equal(drift.io_threads, 0);
	if (count) {
		assert_int_equal(aside_of(&rig, &set), plan->claim_count);
		assert_true(CPU_ISSET(plan->claims[0], &set));
	}
	axledger_release(others);
	RIG_UNTIL(io_allowed(&rig, &set) == (int)plan->io[0].cpu_count &&
		  CPU_ISSET(plan->io[0].cpus[0], &set));
	if (count) {
		assert_int_equal(aside_of(&rig, &set), plan->housekeeping_count);
		assert_true(CPU_ISSET(plan->housekeeping[0], &set));
	}
	stop(&rig);
}

/* Made anew, it has the CPUs that it had: nobody can take them meanwhile. */
static void test_in_place_of_another(void **state)
{
	struct axledger_claim *kept;
	struct rig rig, other;
	size_t nodes;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated")), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, NULL), 0);
	axledger_populated(rig.vm->placement.claim); /* as on a host with several nodes */
	(void)held_cpus_and(&nodes);
	assert_int_equal(nodes, 0);
	kept = axvm_take_claim(rig.vm);
	assert_non_null(kept);
	rig_finish(&rig);
	assert_true(held_cpus_and(&nodes) > 0);
	assert_int_equal(nodes, 1); /* what it gives back is for the next */
	if (cpu_count == 1) {
		assert_int_equal(begin(&other, WORDS("--placement=dedicated")), -ENOSPC);
		rig_finish(&other);
	}
	rig_init(&rig, WORDS("--placement=dedicated"));
	rig.options.ledger = directory;
	rig.options.claim = kept;
	RIG_SCRIPT(&rig, 0, STEP_SPIN);
	assert_int_equal(rig_create(&rig), 0);
	assert_int_equal(held_cpus(), axvm_placement(rig.vm)->claim_count);
	stop(&rig);
	assert_int_equal(held_cpus(), 0);
}

/* ---- what the architecture and the devices are told ------------------------------------------ */

static struct {
	struct axarch_cpu_policy cpu;
	bool has_topology;
	uint32_t first_llc;
} told;

static int spy_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		    struct ax_error *err)
{
	told.cpu = config->cpu;
	told.has_topology = config->topology != NULL;
	told.first_llc = told.has_topology ? config->topology->vcpu_llcs[0] : UINT32_MAX;
	return axarch_generic.plan(config, ret_plan, err);
}

static void test_told(void **state)
{
	static const struct {
		const char *words[4];
		bool own_waits, topology;
	} rows[] = {
		{{"--placement=dedicated", "--idle=guest"}, true, true},
		{{"--placement=shared", "--idle=host"}, false, false},
		{{"--placement=shared", "--idle=guest"}, true, false},
		{{"--placement=dedicated", "--cpu-ids=5", "--idle=host"}, false, false},
		/* A bare payload gets only what it asks for. */
		{{"--placement=dedicated", "--protocol=flat", "--idle=auto"}, false, true},
		{{"--placement=dedicated", "--protocol=flat", "--idle=guest"}, true, true},
	};
	struct axarch spy = axarch_generic;

	(void)state;
	spy.plan = spy_plan;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const uint32_t halt = AXARCH_WAIT_HALT;
		struct rig rig;

		rig_init(&rig, WORDS(rows[i].words[0], rows[i].words[1], rows[i].words[2]));
		rig.options.ledger = directory;
		rig.options.arch = &spy;
		RIG_SCRIPT(&rig, 0, STEP_SPIN);
		if (rig_create(&rig))
			fail_msg("row %zu: %s", i, rig.err.message);
		assert_int_equal(!!(told.cpu.own_waits & halt), rows[i].own_waits);
		assert_int_equal(told.has_topology, rows[i].topology);
		for (size_t k = 0; told.has_topology && k < rig.vm->facts.cpu_count; k++)
			if (rig.vm->facts.cpus[k].id == axvm_placement(rig.vm)->vcpus[0].cpu)
				assert_int_equal(told.first_llc, rig.vm->facts.cpus[k].llc);
		stop(&rig);
	}
}

/* Two vCPUs of a node that two threads serve: one each. */
static void test_io_near(void **state)
{
	struct rig rig;

	(void)state;
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated", "-c", "2", "--overcommit",
					   "--io-threads=2")),
			 0);
	assert_non_null(rig.vm->services.io_of_vcpu);
	assert_int_equal(rig.vm->services.vcpu_count, 2);
	assert_int_equal(rig.vm->services.io_of_vcpu[0], 0);
	assert_int_equal(rig.vm->services.io_of_vcpu[1], 1);
	stop(&rig);
}

static void test_impossible(void **state)
{
	struct rig rig;
	char many[32];

	(void)state;
	snprintf(many, sizeof(many), "%zu", cpu_count + 1);
	assert_int_equal(begin(&rig, WORDS("--placement=dedicated", "-c", many)), -ENOSPC);
	assert_true(rig.err.hint[0]);
	rig_finish(&rig);
	/* The same is no error while nobody insists. */
	assert_int_equal(begin(&rig, WORDS("--placement=auto", "-c", many)), 0);
	assert_null(axvm_placement(rig.vm));
	stop(&rig);
	/* All CPUs for threads that never give theirs away: nobody is left for I/O. */
	snprintf(many, sizeof(many), "%zu", cpu_count);
	assert_int_equal(begin(&rig, WORDS("--placement=auto", "--scheduler=fifo", "-c", many)),
			 -ENOSPC);
	assert_non_null(strstr(rig.err.message, "no core is left for I/O"));
	rig_finish(&rig);
	assert_int_equal(begin(&rig, WORDS("--placement=auto", "--nodes=65535")), -EINVAL);
	assert_non_null(strstr(rig.err.message, "node 65535"));
	rig_finish(&rig);
	assert_int_equal(begin(&rig, WORDS("--placement=auto", "--cpu-affinity=65535")), -EINVAL);
	assert_non_null(strstr(rig.err.message, "CPU 65535"));
	rig_finish(&rig);
	assert_int_equal(held_cpus(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_homes),
		cmocka_unit_test(test_topology_of_floating),
		cmocka_unit_test(test_isolated_node),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_off_leaves_all_to_the_kernel),
		cmocka_unit_test(test_shared_alone),
		cmocka_unit_test(test_shared_beside_another),
		cmocka_unit_test(test_shared_spares_isolated),
		cmocka_unit_test(test_shared_elsewhere),
		cmocka_unit_test(test_shared_follows),
		cmocka_unit_test(test_shared_follows_in_a_flood),
		cmocka_unit_test(test_named_ledger),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_dedicated),
		cmocka_unit_test(test_all_cpus),
		cmocka_unit_test(test_whole_nodes),
		cmocka_unit_test(test_makes_room),
		cmocka_unit_test(test_plan_makes_room),
		cmocka_unit_test(test_plan_has_its_own_left),
		cmocka_unit_test(test_in_place_of_another),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_io_near),
		cmocka_unit_test(test_impossible),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
