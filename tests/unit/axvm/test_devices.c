/*
 * A disk that grows while the VM runs; which transport devices are on and where they stand; the
 * entropy device's limit; and devices on several I/O threads: every class there is on one machine,
 * built, run and ended without anything left behind. Other classes have files of their own.
 */
#include "device.h"

#include "axvm/vm_private.h"

#define SECTORS 64

static const char *new_disk(void)
{
	static char bytes[SECTORS * 512];

	return rig_file(bytes, sizeof(bytes));
}

/* The capacity as the guest reads it: le64 at the start of the config space (Spec 5.2.4). */
static uint64_t capacity_of(struct rig *rig)
{
	const struct axdev *disk = axbus_find(axvm_bus(rig->vm), "disk0");
	const struct axvirtio *device = axvirtio_of(disk);
	uint64_t sectors = 0;

	assert_non_null(device);
	memcpy(&sectors, device->config, sizeof(sectors));
	return sectors;
}

static void test_disk_grows(void **state)
{
	const char *disk = new_disk();
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--disk", disk));
	RIG_SCRIPT(&rig, 0, STEP_SPIN);
	rig_boot(&rig);
	assert_int_equal(capacity_of(&rig), SECTORS);
	assert_int_equal(truncate(disk, 2 * SECTORS * 512), 0);
	assert_int_equal(axvm_replace_disk(rig.vm, 0, NULL, &rig.err), 0);
	assert_int_equal(capacity_of(&rig), 2 * SECTORS);
	assert_int_equal(axvm_replace_disk(rig.vm, 1, NULL, &rig.err), -ENODEV);
	assert_non_null(strstr(rig.err.message, "no disk 1"));
	/* Refused: the old one stays. */
	assert_true(axvm_replace_disk(rig.vm, 0, "/nonexistent/disk", &rig.err) < 0);
	assert_int_equal(capacity_of(&rig), 2 * SECTORS);
	rig_finish(&rig);
}

#define REQUESTS 31

static void test_entropy_limit(void **state)
{
	static const struct {
		const char *config;
		unsigned burst;
	} cases[] = {
		{"{}", REQUESTS},
		{"{\"rng_limit\": {\"ops\": 1, \"ops_burst\": 9}}", 9},
		{"{\"rng_limit\": {\"bw\": \"1K\", \"bw_burst\": \"1K\"}}", 16},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const uint64_t since_ns = ax_clock_ns();
		const struct buffer buffer = {RAM1_GPA, 64, true};
		struct axdev *dev;
		struct machine m;
		struct ring ring;
		struct rig rig;
		uint32_t id, len;
		unsigned count = 0;

		rig_init(&rig, WORDS("--rng", "--config",
				     rig_file(cases[i].config, strlen(cases[i].config))));
		build(&rig);
		dev = find(&rig, "rng0");
		m = machine_of(&rig);
		ring_init(&ring, &m, 0x10000, 32);
		negotiate(dev, F_VERSION_1);
		start_queue(dev, &ring);
		for (unsigned k = 0; k < REQUESTS; k++)
			offer_chain(&ring, &buffer, 1);
		wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (axvirtio_poll(axvirtio_of(dev)))
			;
		while (take_used(&ring, &id, &len))
			count++;
		expect_burst(count, cases[i].burst, 16, since_ns);
		rig_finish(&rig);
	}
}

/* ---- transports ------------------------------------------------------------------------------ */

/* Left open, several queues decide. */
static void test_transport(void **state)
{
	static const struct {
		const char *option, *value, *transport;
		bool pci;
	} cases[] = {
		{"--disk", "d", "auto", false},
		{"--disk", "d,queues=1", "auto", false},
		{"--disk", "d,queues=2", "auto", true},
		{"--disk", "d,queues=2", "mmio", false},
		{"--disk", "d", "pci", true},
		{"--net", "tap=t", "auto", false},
		{"--net", "tap=t,queues=2", "auto", true},
		{"--net", "tap=t,queues=2", "mmio", false},
		{"--net", "tap=t,vhost", "pci", true},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct axvm vm = {0};
		struct rig rig;

		rig_init(&rig, WORDS("-c4", "--transport", cases[i].transport, "--disk", "first",
				     cases[i].option, cases[i].value));
		vm.config = rig.config;
		vm.plan.pci.ecam_gpa = 0xe0000000;
		assert_int_equal(axvm_wants_pci(&vm), cases[i].pci);
		/* A platform without is asked for it only where the user does. */
		vm.plan.pci.ecam_gpa = 0;
		assert_int_equal(axvm_wants_pci(&vm), !strcmp(cases[i].transport, "pci"));
		rig_finish(&rig);
	}
}

/* And all devices of the VM go there. */
static void test_transport_is_used(void **state)
{
	const char *disk = new_disk();
	char queues[128];
	struct rig rig;

	(void)state;
	snprintf(queues, sizeof(queues), "%s,queues=2", disk);
	for (int round = 0; round < 2; round++) {
		struct axvirtio_mmio_info info;

		rig_init(&rig, WORDS("--disk", round ? queues : disk, "--rng"));
		build(&rig);
		assert_int_equal(axbus_find(axvm_bus(rig.vm), "pci0") != NULL, round);
		assert_int_equal(axvirtio_mmio_get_info(find(&rig, "disk0"), &info),
				 round ? -ENODEV : 0);
		assert_int_equal(axvirtio_mmio_get_info(find(&rig, "rng0"), &info),
				 round ? -ENODEV : 0);
		rig_finish(&rig);
	}
}

/* ---- places ---------------------------------------------------------------------------------- */

/* A window and a line each, in the guest's order; the loader is told the same; I/O threads in turn.
 */
static void test_places(void **state)
{
	static const char *const names[] = {"disk0", "disk1", "balloon0", "rng0"};
	struct ax_loop *loops[2] = {NULL};
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--io-threads=2", "--rng", "--balloon", "--disk", new_disk(), "--disk",
			     new_disk()));
	build(&rig);
	assert_int_equal(rig.vm->device_count, AX_ARRAY_LEN(names));
	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++) {
		struct axdev *dev = find(&rig, names[i]);
		const struct axarch_device *told = &rig.vm->devices[i];
		struct ax_loop *loop = axvirtio_loop(axvirtio_of(dev), 0);
		struct axvirtio_mmio_info info;

		assert_int_equal(axvirtio_mmio_get_info(dev, &info), 0);
		assert_int_equal(info.gpa, GENERIC_DEVICE_GPA + i * GENERIC_DEVICE_STRIDE);
		assert_int_equal(info.gsi, GENERIC_FIRST_GSI + i);
		assert_int_equal(told->kind, AXARCH_DEVICE_VIRTIO_MMIO);
		assert_int_equal(told->gpa, info.gpa);
		assert_int_equal(told->gsi, info.gsi);
		assert_int_equal(told->size_bytes, AXVIRTIO_MMIO_SIZE);
		if (i < 2)
			loops[i] = loop;
		assert_ptr_equal(loop, loops[i % 2]);
	}
	assert_ptr_not_equal(loops[0], loops[1]);
	rig_finish(&rig);
}

/* Who asks for no device has none, and without interrupt lines nobody has. */
static void test_no_devices(void **state)
{
	static const char *const more[][4] = {
		{NULL}, {"--rng", "--irq-mode=none", "--protocol=flat", NULL}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(more); i++) {
		struct rig rig;

		rig_init(&rig, more[i]);
		build(&rig);
		assert_int_equal(rig.vm->virtio_count, 0);
		assert_null(axbus_find(axvm_bus(rig.vm), "rng0"));
		rig_finish(&rig);
	}
}

/* A name that is taken: the device is not there then, and nothing is left of it. */
static void test_name_is_taken(void **state)
{
	struct axvirtio_rng_config config = {
		.place = {.gpa = GENERIC_DEVICE_GPA + GENERIC_DEVICE_STRIDE,
			  .gsi = GENERIC_FIRST_GSI + 1},
		.fd = -1,
	};
	struct holdings before;
	struct axdev *dev = NULL;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--rng"));
	build(&rig);
	holdings_read(&before);
	assert_int_equal(
		axvm_attach(rig.vm, "virtio-rng", "rng0", &config, sizeof(config), &dev, &rig.err),
		-EEXIST);
	assert_null(dev);
	holdings_check(&before);
	rig_finish(&rig);
}

/* One of each, on four threads and on either transport; ends as it began. */
static void test_all_of_them(void **state)
{
	static const char *const transports[] = {"mmio", "pci"};
	const char *disk = new_disk();
	char vsock[128];
	struct holdings before = {0};

	(void)state;
	snprintf(vsock, sizeof(vsock), "%s.sock", disk);
	for (int round = 0; round < 20; round++) {
		const char *transport = transports[round % 2];
		struct rig rig;

		if (round == 2)
			holdings_read(&before);
		rig_init(&rig,
			 WORDS("-c", "2", "--transport", transport, "--io-threads=4", "--rng",
			       "--balloon", "--vsock", vsock, "--console=null", "--disk", disk));
		RIG_SCRIPT(&rig, 0, STEP_SPIN);
		RIG_SCRIPT(&rig, 1, STEP_SPIN);
		if (rig_create(&rig))
			fail_msg("%s: %s", transport, rig.err.message);
		assert_non_null(axbus_find(axvm_bus(rig.vm), "vsock0"));
		if (round % 4 < 2) {
			assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
			assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
			assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
		}
		rig_finish(&rig);
		assert_int_equal(access(vsock, F_OK), -1);
	}
	holdings_check(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_grows),    cmocka_unit_test(test_entropy_limit),
		cmocka_unit_test(test_transport),     cmocka_unit_test(test_transport_is_used),
		cmocka_unit_test(test_places),        cmocka_unit_test(test_no_devices),
		cmocka_unit_test(test_name_is_taken), cmocka_unit_test(test_all_of_them),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
