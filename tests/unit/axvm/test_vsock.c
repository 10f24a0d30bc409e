/*
 * What the configuration says of the vsock is what both sides find: the guest's address, the host's
 * path and the rate limit.
 */
#include "device.h"

#include "../virtio/vsock_driver.h"

#define PACKETS 20

static struct rig rig;

static const char *json(const char *text)
{
	return rig_file(text, strlen(text));
}

static void up_with(const char *config)
{
	make_directory();
	rig_init(&rig, config ? WORDS("--vsock", path, "--vsock-cid=5", "--config", config)
			      : WORDS("--vsock", path, "--vsock-cid=5"));
	build(&rig);
	dev = find(&rig, "vsock0");
	device = axvirtio_of(dev);
	m = machine_of(&rig);
	start_driver(RX_SIZE);
	assert_true(settle());
}

static void end(void)
{
	rig_finish(&rig);
	remove_directory();
}

static void test_address(void **state)
{
	uint32_t port;
	int fd;

	(void)state;
	up_with(NULL);
	assert_int_equal(read_config(dev, 0, 8), CID);
	fd = host_opens(1234, &port); /* by its path */
	guest_writes(port, 1234, "hello");
	expect_text(fd, "hello");
	close(fd);
	end();
}

/* How many packets that ask for nothing are taken at once. */
static unsigned taken_at_once(void)
{
	const struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_RST, 1, 1);
	uint32_t id, len;
	unsigned count = 0;

	for (unsigned i = 0; i < PACKETS; i++)
		offer_packet(&hdr, NULL, 0);
	assert_true(settle());
	while (take_used(&tx, &id, &len))
		count++;
	return count;
}

static void test_limit(void **state)
{
	static const struct {
		const char *config;
		unsigned burst;
	} cases[] = {
		{"{}", PACKETS},
		{"{\"vsock\": {\"ops\": 1, \"ops_burst\": 7}}", 7},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const uint64_t since_ns = ax_clock_ns();

		up_with(json(cases[i].config));
		expect_burst(taken_at_once(), cases[i].burst, 1, since_ns);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
