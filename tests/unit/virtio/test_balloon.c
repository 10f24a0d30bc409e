/*
 * virtio-balloon: pages that are really freed and come back as zero, page numbers that are no pages
 * (must-test 9), reports by both ways of numbering queues, and statistics of any length.
 */
#include "driver.h"
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <sys/mman.h>

#define PAGE      4096ULL
#define RINGS_GPA 0x10000ULL
#define BUF_GPA   0x40000ULL
#define FREE_GPA  0x80000ULL /* from here to the end of RAM1 nothing of ours lies */
#define FREE_PFN  (FREE_GPA / PAGE)
#define MS        1000000ULL

static struct machine m;
static struct ring ring[5];
static struct axvirtio *device;
static struct axdev *dev;
static struct ax_error err;

static uint64_t f(unsigned bit)
{
	return 1ULL << bit;
}

static void create(struct axvirtio_balloon_config config)
{
	machine_init(&m);
	if (axvirtio_balloon_create("balloon0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("balloon0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	memset(guest(&m, FREE_GPA, RAM1_GPA - FREE_GPA), 7, RAM1_GPA - FREE_GPA);
	memset(guest(&m, RAM1_GPA, RAM_BYTES), 7, RAM_BYTES);
}

/* DRIVER_OK with the queues of `mask`. */
static void start(uint64_t features, unsigned mask)
{
	negotiate(dev, F_VERSION_1 | features);
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_FEAT);
	for (unsigned i = 0; i < 5; i++) {
		if (!(mask & 1u << i))
			continue;
		ring_init(&ring[i], &m, RINGS_GPA + i * 0x4000, 128);
		write_setup(dev, i,
			    &(struct axvq_setup){ring[i].desc_gpa, ring[i].avail_gpa,
						 ring[i].used_gpa, 128});
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

static void down(void)
{
	dev->ops->destroy(dev);
	machine_finish(&m);
}

/* true: given back at once. */
static bool send(unsigned queue, const struct buffer *b, unsigned count)
{
	uint32_t id, len;

	offer_chain(&ring[queue], b, count);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	while (axvirtio_poll(device))
		;
	return take_used(&ring[queue], &id, &len);
}

static bool send_pfns(unsigned queue, const uint32_t *pfn, uint32_t count)
{
	memcpy(guest(&m, BUF_GPA, 4ULL * count), pfn, 4ULL * count);
	return send(queue, &(struct buffer){BUF_GPA, 4 * count, false}, 1);
}

/* Pages of [gpa, gpa + bytes), inside one region, that the host holds memory for. */
static uint64_t resident(uint64_t gpa, uint64_t bytes)
{
	static unsigned char map[RAM_BYTES / PAGE];
	uint64_t count = 0;

	assert_int_equal(mincore(guest(&m, gpa, bytes), bytes, map), 0);
	for (uint64_t i = 0; i < bytes / PAGE; i++)
		count += map[i] & 1;
	return count;
}

static bool filled(uint64_t gpa, uint64_t bytes, uint8_t value)
{
	const uint8_t *p = guest(&m, gpa, bytes);

	for (uint64_t i = 0; i < bytes; i++) {
		if (p[i] != value)
			return false;
	}
	return true;
}

static struct axvirtio_balloon_stats stats(void)
{
	struct axvirtio_balloon_stats s;

	axvirtio_balloon_get_stats(device, &s);
	return s;
}

static void test_config(void **state)
{
	unsigned pulses;

	(void)state;
	create((struct axvirtio_balloon_config){.size_bytes = 5 * PAGE + 100});
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BALLOON);
	assert_int_equal(offered(dev) & 0xffffff, 0);
	start(0, 3);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), 5);
	assert_int_equal(stats().wanted_bytes, 5 * PAGE);
	pulses = m.pulses;
	axvirtio_balloon_set(device, 1ULL << 30);
	assert_true(m.pulses > pulses);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), (1u << 30) / PAGE);
	axvirtio_balloon_set(device, UINT64_MAX); /* more pages than there are numbers */
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), UINT32_MAX);
	assert_int_equal(stats().wanted_bytes, UINT32_MAX * PAGE);
	/* `actual` is the driver's to write, num_pages is not. */
	wr(dev, VIRTIO_MMIO_CONFIG + 4, 77);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG + 4), 77);
	assert_int_equal(stats().actual_bytes, 77 * PAGE);
	wr(dev, VIRTIO_MMIO_CONFIG, 3);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), UINT32_MAX);
	/* A new driver has given nothing. */
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG + 4), 0);
	assert_int_equal(stats().actual_bytes, 0);
	down();
	create((struct axvirtio_balloon_config){
		.deflate_on_oom = true, .report_free_pages = true, .stats_interval_ns = MS});
	assert_int_equal(offered(dev) & 0xffffff, f(VIRTIO_BALLOON_F_STATS_VQ) |
							  f(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
							  f(VIRTIO_BALLOON_F_REPORTING));
	down();
	assert_int_equal(axvirtio_balloon_class.type, 0xe5);
}

static void test_inflate(void **state)
{
	uint32_t pfn[256];

	(void)state;
	create((struct axvirtio_balloon_config){0});
	start(0, 3);
	assert_int_equal(resident(RAM1_GPA, RAM_BYTES), 256);
	/* Up, down, and by twos; across the border of two regions. */
	for (unsigned i = 0; i < 64; i++)
		pfn[i] = RAM1_GPA / PAGE - 32 + i;
	assert_true(send_pfns(0, pfn, 64));
	assert_int_equal(resident(RAM1_GPA, RAM_BYTES), 256 - 32);
	assert_int_equal(resident(RAM1_GPA - 32 * PAGE, 32 * PAGE), 0);
	for (unsigned i = 0; i < 64; i++)
		pfn[i] = RAM1_GPA / PAGE + 127 - i;
	assert_true(send_pfns(0, pfn, 64));
	assert_int_equal(resident(RAM1_GPA, RAM_BYTES), 256 - 96);
	for (unsigned i = 0; i < 32; i++)
		pfn[i] = RAM1_GPA / PAGE + 128 + 2 * i;
	assert_true(send_pfns(0, pfn, 32));
	assert_int_equal(resident(RAM1_GPA, RAM_BYTES), 256 - 128);
	assert_int_equal(stats().refused, 0);
	/* Nothing else is gone, and what is comes back as zero. */
	assert_true(filled(FREE_GPA, RAM1_GPA - 32 * PAGE - FREE_GPA, 7));
	assert_true(filled(RAM1_GPA + 32 * PAGE, 32 * PAGE, 7));
	assert_true(filled(RAM1_GPA + 129 * PAGE, PAGE, 7));
	assert_true(filled(RAM1_GPA + 192 * PAGE, 64 * PAGE, 7));
	assert_true(filled(RAM1_GPA, 32 * PAGE, 0));
	assert_true(filled(RAM1_GPA + 128 * PAGE, PAGE, 0));
	assert_true(send_pfns(1, pfn, 32));
	memset(guest(&m, RAM1_GPA + 128 * PAGE, PAGE), 9, PAGE);
	assert_true(filled(RAM1_GPA + 128 * PAGE, PAGE, 9));
	/* A deflated page is not taken again. */
	assert_true(send_pfns(1, pfn, 32));
	assert_true(filled(RAM1_GPA + 128 * PAGE, PAGE, 9));
	down();
}

static void test_hostile_pages(void **state)
{
	static const uint32_t bad[] = {0x200, 0x3ff, 0x401, 0xd0000, 0x80000000, 0xffffffff};
	struct buffer pieces[24], many[100];
	uint32_t pfn[32];

	(void)state;
	create((struct axvirtio_balloon_config){0});
	start(0, 3);
	memset(axas_ptr(m.memory, ROM_GPA, PAGE, AXAS_READ), 5, PAGE);
	assert_true(send_pfns(0, bad, AX_ARRAY_LEN(bad)));
	assert_int_equal(stats().refused, AX_ARRAY_LEN(bad));
	pfn[0] = ROM_GPA / PAGE;
	assert_true(send_pfns(0, pfn, 1));
	assert_true(filled(ROM_GPA, PAGE, 5));
	assert_int_equal(stats().refused, AX_ARRAY_LEN(bad) + 1);
	/* Runs that begin in memory and end outside, by either side. */
	for (unsigned i = 0; i < 32; i++)
		pfn[i] = HOLE_GPA / PAGE - 16 + i;
	assert_true(send_pfns(0, pfn, 32));
	assert_int_equal(stats().refused, AX_ARRAY_LEN(bad) + 17);
	assert_true(filled(HOLE_GPA - 17 * PAGE, PAGE, 7));
	assert_true(filled(HOLE_GPA - 16 * PAGE, 16 * PAGE, 0));
	/* The same page again and again. */
	for (unsigned i = 0; i < 32; i++)
		pfn[i] = FREE_PFN;
	assert_true(send_pfns(0, pfn, 32));
	assert_true(filled(FREE_GPA, PAGE, 0));
	assert_true(filled(FREE_GPA + PAGE, PAGE, 7));
	/* Framing does not matter (2.7.4): numbers in pieces of three bytes, and a rest. */
	for (unsigned i = 0; i < 18; i++)
		pfn[i] = FREE_PFN + 2 + i;
	memcpy(guest(&m, BUF_GPA, 72), pfn, 72);
	for (unsigned i = 0; i < 24; i++)
		pieces[i] = (struct buffer){BUF_GPA + 3ULL * i, i < 23 ? 3 : 2, false};
	assert_true(send(0, pieces, 24));
	assert_true(filled(FREE_GPA + 2 * PAGE, 17 * PAGE, 0));
	assert_true(filled(FREE_GPA + 19 * PAGE, PAGE, 7));
	/* No number at all, and buffers of the wrong direction. */
	assert_true(send(0, &(struct buffer){BUF_GPA, 3, false}, 1));
	assert_true(send(0, &(struct buffer){BUF_GPA, 0, false}, 1));
	assert_true(send(0, &(struct buffer){BUF_GPA, 64, true}, 1));
	assert_true(send(1, &(struct buffer){BUF_GPA, 3, true}, 1));
	/* An array far longer than any driver's does not keep the loop: the rest is refused. */
	for (unsigned i = 0; i < 100; i++)
		many[i] = (struct buffer){RAM1_GPA, RAM_BYTES, false};
	memset(guest(&m, RAM1_GPA, RAM_BYTES), 0xff, RAM_BYTES);
	ring[0].free_desc = 0;
	assert_true(send(0, many, 100));
	assert_int_equal(stats().refused, AX_ARRAY_LEN(bad) + 17 + 100 * RAM_BYTES / 4);
	assert_false(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	/* Its own rings. */
	pfn[0] = RINGS_GPA / PAGE;
	send_pfns(0, pfn, 1);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 0);
	down();
}

/* A page of the huge-page pool goes whole or not at all. */
static void test_hugetlb(void **state)
{
	const uint64_t gpa = 0x800000;
	const struct axas_region_config config = {
		.name = "huge",
		.gpa = gpa,
		.size_bytes = 4 * AX_MIB,
		.backing = AXAS_BACKING_HUGETLB_2M,
		.flags = AXAS_RW,
		.fd = -1,
	};
	uint32_t pfn[1024];

	(void)state;
	create((struct axvirtio_balloon_config){0});
	if (axas_map(m.memory, &config, NULL) < 0) {
		down();
		print_message("skipped: no two free 2 MiB pages in this host's pool\n");
		skip();
	}
	memset(guest(&m, gpa, 4 * AX_MIB), 7, 4 * AX_MIB);
	start(0, 3);
	for (unsigned i = 0; i < 1024; i++)
		pfn[i] = gpa / PAGE + 1023 - i;
	assert_true(send_pfns(0, pfn, 511));
	assert_int_equal(stats().refused, 511);
	assert_true(filled(gpa, 4 * AX_MIB, 7));
	assert_true(send_pfns(0, pfn, 700)); /* more than one piece of our reading */
	assert_int_equal(stats().refused, 511 + 700 - 512);
	assert_true(filled(gpa, 2 * AX_MIB, 7));
	assert_true(filled(gpa + 2 * AX_MIB, 2 * AX_MIB, 0));
	down();
}

/* ---- reports --------------------------------------------------------------------------------- */

static void report_by(unsigned queue, uint64_t features, unsigned mask)
{
	const struct buffer b[] = {
		{RAM1_GPA - 16 * PAGE, 32 * PAGE, true},
		{RAM1_GPA + 64 * PAGE + 100, 2 * PAGE, true},
		{RAM1_GPA + 128 * PAGE, 0, true},
	};
	const struct buffer wrong = {RAM1_GPA + 200 * PAGE, PAGE, false};

	create((struct axvirtio_balloon_config){.report_free_pages = true,
						.stats_interval_ns = 3600000 * MS});
	start(features, mask);
	assert_true(send(queue, b, 3));
	assert_int_equal(stats().reported_bytes, 33 * PAGE);
	assert_int_equal(stats().refused, 1);
	assert_int_equal(resident(RAM1_GPA, RAM_BYTES), 256 - 17);
	assert_true(filled(RAM1_GPA - 17 * PAGE, PAGE, 7));
	assert_true(filled(RAM1_GPA - 16 * PAGE, 16 * PAGE, 0));
	assert_true(filled(RAM1_GPA + 64 * PAGE, PAGE, 7));
	assert_true(filled(RAM1_GPA + 65 * PAGE, PAGE, 0));
	assert_true(filled(RAM1_GPA + 66 * PAGE, PAGE, 7));
	assert_true(send(queue, &wrong, 1));
	assert_true(filled(RAM1_GPA + 200 * PAGE, PAGE, 7));
	down();
}

static void test_reporting(void **state)
{
	const uint64_t reporting = f(VIRTIO_BALLOON_F_REPORTING);

	(void)state;
	report_by(2, reporting, 7); /* numbered by those that exist */
	report_by(3, reporting | f(VIRTIO_BALLOON_F_STATS_VQ), 15);
	report_by(4, reporting, 0x13); /* as 5.5.2 numbers them */
	report_by(4, reporting | f(VIRTIO_BALLOON_F_STATS_VQ), 0x17);
}

/* A queue that was not negotiated is not served, and nothing is taken by it. */
static void test_not_negotiated(void **state)
{
	const struct buffer b = {RAM1_GPA, PAGE, true};

	(void)state;
	create((struct axvirtio_balloon_config){.report_free_pages = true});
	start(0, 0x1f);
	for (unsigned i = 2; i < 5; i++)
		assert_false(send(i, &b, 1));
	assert_true(filled(RAM1_GPA, PAGE, 7));
	down();
}

/* ---- statistics ------------------------------------------------------------------------------ */

static uint32_t put_stat(uint32_t at, uint16_t tag, uint64_t value)
{
	const struct virtio_balloon_stat s = {.tag = tag, .val = value};

	memcpy(guest(&m, BUF_GPA + at, sizeof(s)), &s, sizeof(s));
	return at + (uint32_t)sizeof(s);
}

/* The device has looked at it; it may have asked again already, on a host that is slow. */
static void give_stats(const struct buffer *b)
{
	offer_chain(&ring[2], b, 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
	axvirtio_poll(device);
}

/* Wait until the device asks again. */
static void asked_again(void)
{
	const uint64_t end_ns = ax_clock_ns() + 20000 * MS;
	uint32_t id, len;

	while (!take_used(&ring[2], &id, &len)) {
		axvirtio_poll(device);
		assert_true(ax_clock_ns() < end_ns);
	}
}

static void test_statistics(void **state)
{
	uint64_t updated_ns, began_ns;
	uint32_t len = 0;

	(void)state;
	create((struct axvirtio_balloon_config){.stats_interval_ns = 20 * MS});
	start(f(VIRTIO_BALLOON_F_STATS_VQ), 7);
	assert_int_equal(stats().updated_ns, 0);
	assert_true(stats().free_memory == UINT64_MAX);
	len = put_stat(len, VIRTIO_BALLOON_S_MEMFREE, 111);
	len = put_stat(len, 4711, 1); /* unknown tags are none of our business */
	len = put_stat(len, VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX - 1);
	len = put_stat(len, VIRTIO_BALLOON_S_HTLB_PGFAIL, 3);
	began_ns = ax_clock_ns();
	give_stats(&(struct buffer){BUF_GPA, len + 5, false});
	updated_ns = stats().updated_ns;
	assert_true(updated_ns >= began_ns);
	assert_int_equal(stats().free_memory, 111);
	assert_true(stats().total_memory == UINT64_MAX - 1);
	assert_int_equal(stats().hugetlb_failures, 3);
	assert_true(stats().swap_in == UINT64_MAX);
	/* Asked again, and again. */
	for (uint64_t i = 0; i < 3; i++) {
		asked_again();
		put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 200 + i);
		give_stats(&(struct buffer){BUF_GPA, len, false});
		assert_int_equal(stats().free_memory, 200 + i);
	}
	assert_true(stats().updated_ns > updated_ns);
	down();
}

/* Whatever its length and content, a buffer goes back and the next is looked at (must-test 9). */
static void test_bad_statistics(void **state)
{
	static const uint32_t lengths[] = {0, 1, 9, 11, 655360};
	uint64_t refreshed_ns;
	uint32_t id, used_len;

	(void)state;
	create((struct axvirtio_balloon_config){.stats_interval_ns = 2 * MS});
	start(f(VIRTIO_BALLOON_F_STATS_VQ), 7);
	put_stat(0, VIRTIO_BALLOON_S_AVAIL, 5);
	give_stats(&(struct buffer){BUF_GPA, 10, false});
	assert_int_equal(stats().available_memory, 5);
	refreshed_ns = stats().updated_ns;
	for (size_t i = 0; i < AX_ARRAY_LEN(lengths); i++) {
		asked_again();
		give_stats(&(struct buffer){BUF_GPA, lengths[i], false});
		if (lengths[i] < 10) /* said nothing: what it said before stands */
			assert_int_equal(stats().updated_ns, refreshed_ns);
		else
			assert_true(stats().updated_ns > refreshed_ns);
	}
	asked_again();
	give_stats(&(struct buffer){BUF_GPA, 10, true}); /* the wrong direction */
	asked_again();
	/* Several at once: one at a time, and none is lost. */
	put_stat(0, VIRTIO_BALLOON_S_AVAIL, 6);
	for (unsigned i = 0; i < 5; i++)
		offer_chain(&ring[2], &(struct buffer){BUF_GPA, 10, false}, 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
	for (unsigned i = 0; i < 5; i++)
		asked_again();
	assert_false(take_used(&ring[2], &id, &used_len));
	assert_int_equal(stats().available_memory, 6);
	assert_false(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	down();
}

static void test_statistics_reset(void **state)
{
	uint32_t id, len;
	uint64_t end_ns;

	(void)state;
	create((struct axvirtio_balloon_config){.stats_interval_ns = 5 * MS});
	start(f(VIRTIO_BALLOON_F_STATS_VQ), 7);
	put_stat(0, VIRTIO_BALLOON_S_AVAIL, 5);
	give_stats(&(struct buffer){BUF_GPA, 10, false});
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(stats().updated_ns, 0);
	start(f(VIRTIO_BALLOON_F_STATS_VQ), 7);
	/* The old driver's buffer is not given back to the new one. */
	end_ns = ax_clock_ns() + 30 * MS;
	while (ax_clock_ns() < end_ns)
		axvirtio_poll(device);
	assert_false(take_used(&ring[2], &id, &len));
	give_stats(&(struct buffer){BUF_GPA, 10, false});
	asked_again();
	down();
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *set_always(void *arg)
{
	struct axvirtio_balloon_stats s;

	for (uint64_t i = 0; i < 2000; i++) {
		axvirtio_balloon_set(arg, i * PAGE);
		axvirtio_balloon_get_stats(arg, &s);
	}
	return NULL;
}

static void test_set_from_any_thread(void **state)
{
	uint32_t pfn[16];
	pthread_t thread;

	(void)state;
	create((struct axvirtio_balloon_config){.stats_interval_ns = MS});
	assert_int_equal(pthread_create(&thread, NULL, set_always, device), 0);
	for (uint32_t i = 0; i < 200; i++) {
		start(f(VIRTIO_BALLOON_F_STATS_VQ), 7);
		send(2, &(struct buffer){BUF_GPA, 10, false}, 1);
		for (uint32_t k = 0; k < 16; k++)
			pfn[k] = RAM1_GPA / PAGE + (i + k) % 256;
		assert_true(send_pfns(0, pfn, 16));
		wr(dev, VIRTIO_MMIO_CONFIG + 4, i);
	}
	pthread_join(thread, NULL);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG), 1999);
	assert_int_equal(stats().wanted_bytes, 1999 * PAGE);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),           cmocka_unit_test(test_inflate),
		cmocka_unit_test(test_hostile_pages),    cmocka_unit_test(test_hugetlb),
		cmocka_unit_test(test_reporting),        cmocka_unit_test(test_not_negotiated),
		cmocka_unit_test(test_statistics),       cmocka_unit_test(test_bad_statistics),
		cmocka_unit_test(test_statistics_reset), cmocka_unit_test(test_set_from_any_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
