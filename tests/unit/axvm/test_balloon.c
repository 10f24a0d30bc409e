/*
 * The balloon: what the configuration says of it is what the guest's driver finds, its statistics
 * are asked for as often as that says, and its size can be changed while the VM runs.
 */
#include "device.h"

#include <linux/virtio_balloon.h>

#define STATS 2 /* the queue (Spec 5.5.2) */

static void test_balloon(void **state)
{
	struct axvirtio_balloon_stats stats;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--balloon", "--balloon-size=4M"));
	RIG_SCRIPT(&rig, 0, STEP_SPIN);
	rig_boot(&rig);
	assert_int_equal(axvm_set_balloon(rig.vm, 8 << 20, &rig.err), 0);
	axvirtio_balloon_get_stats(axvirtio_of(axbus_find(axvm_bus(rig.vm), "balloon0")), &stats);
	assert_int_equal(stats.wanted_bytes, 8 << 20);
	assert_int_equal(stats.actual_bytes, 0);
	rig_finish(&rig);

	rig_init(&rig, WORDS("--rng"));
	assert_int_equal(rig_create(&rig), 0);
	assert_int_equal(axvm_set_balloon(rig.vm, 8 << 20, &rig.err), -ENODEV);
	assert_non_null(strstr(rig.err.hint, "--balloon"));
	rig_finish(&rig);
}

static void test_balloon_options(void **state)
{
	static const char said[] =
		"{\"balloon\": {\"deflate_on_oom\": false, \"free_page_reporting\": false}}";
	struct axdev *dev;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--balloon", "--balloon-size=4M"));
	build(&rig);
	dev = find(&rig, "balloon0");
	assert_int_equal(read_config(dev, 0, 4), (4 << 20) / 4096);
	assert_true(offers(dev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
	assert_true(offers(dev, VIRTIO_BALLOON_F_REPORTING));
	assert_false(offers(dev, VIRTIO_BALLOON_F_STATS_VQ));
	rig_finish(&rig);

	rig_init(&rig, WORDS("--balloon", "--balloon-stats=10s", "--config",
			     rig_file(said, strlen(said))));
	build(&rig);
	dev = find(&rig, "balloon0");
	assert_int_equal(read_config(dev, 0, 4), 0);
	assert_false(offers(dev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
	assert_false(offers(dev, VIRTIO_BALLOON_F_REPORTING));
	assert_true(offers(dev, VIRTIO_BALLOON_F_STATS_VQ));
	rig_finish(&rig);
}

/* Does the device give the driver's buffer of statistics back, to be filled anew, by then? */
static bool is_asked(const char *interval, unsigned within_ms)
{
	const struct buffer buffer = {RAM1_GPA, sizeof(struct virtio_balloon_stat), false};
	const uint64_t end_ns = ax_clock_ns() + within_ms * 1000000ULL;
	struct axvq_setup setup;
	struct axdev *dev;
	struct machine m;
	struct ring ring;
	struct rig rig;
	uint32_t id, len;
	bool asked = false;

	rig_init(&rig, WORDS("--balloon", "--balloon-stats", interval));
	build(&rig);
	dev = find(&rig, "balloon0");
	m = machine_of(&rig);
	ring_init(&ring, &m, 0x10000, 2);
	setup = ring_setup(&ring);
	negotiate(dev, F_VERSION_1 | 1ULL << VIRTIO_BALLOON_F_STATS_VQ);
	write_setup(dev, STATS, &setup);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
	offer_chain(&ring, &buffer, 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, STATS);
	while (!asked && ax_clock_ns() < end_ns) {
		if (!axvirtio_poll(axvirtio_of(dev)))
			rig_pause_a_little();
		asked = take_used(&ring, &id, &len);
	}
	rig_finish(&rig);
	return asked;
}

static void test_interval(void **state)
{
	(void)state;
	assert_true(is_asked("10ms", 20000));
	assert_false(is_asked("30s", 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balloon),
		cmocka_unit_test(test_balloon_options),
		cmocka_unit_test(test_interval),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
