/*
 * What a driver may do between two steps of the device: a receive buffer offered after the device
 * has seen that there is none and before the driver can see that it wants a kick for the next
 * (Spec 2.7.10). Linked with --wrap, so that it happens there each time.
 */
#include "net_driver.h"

bool __real_axvirtio_want_kicks(struct axvirtio *device, unsigned index, bool want);
bool __wrap_axvirtio_want_kicks(struct axvirtio *device, unsigned index, bool want);

static unsigned offers; /* still to be made */

bool __wrap_axvirtio_want_kicks(struct axvirtio *dev_, unsigned index, bool want)
{
	if (want && index == 0 && offers) {
		const struct buffer b = {RX_GPA, 2048, true};

		offers--;
		offer_chain(&rx[0], &b, 1);
	}
	return __real_axvirtio_want_kicks(dev_, index, want);
}

static void buffer_comes_late(enum axvirtio_net_backend backend, uint64_t features)
{
	struct axvirtio_net_config config = {0};
	const uint8_t *frame = make_frame(100, 1);
	uint8_t message[HDR + 100] = {0};
	uint32_t skip = backend == AXVIRTIO_NET_STREAM ? 4 : HDR;

	net_make_socket(backend, &config);
	net_start(features, 1, 16);
	poll_all();
	if (backend == AXVIRTIO_NET_STREAM)
		message[3] = 100;
	memcpy(message + skip, frame, 100);
	offers = 1;
	assert_int_equal(write(far_fd, message, skip + 100), skip + 100);
	poll_all();
	assert_int_equal(offers, 0);
	assert_int_equal(used_shown(&rx[0]), 1);
	assert_memory_equal(guest(&m, RX_GPA + HDR, 100), frame, 100);
	net_down();
}

static void test_late_buffer(void **state)
{
	static const uint64_t features[] = {0, NET_F(MRG_RXBUF), F_EVENT_IDX,
					    F_EVENT_IDX | NET_F(MRG_RXBUF)};

	(void)state;
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		buffer_comes_late(AXVIRTIO_NET_PACKET, features[i]);
		buffer_comes_late(AXVIRTIO_NET_STREAM, features[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
