/*
 * A console whose device is a sink that takes as much as the test allows.
 */
#ifndef TEST_AXDEVICE_CHR_RIG_H
#define TEST_AXDEVICE_CHR_RIG_H

#include "helpers.h"

struct sink {
	pthread_mutex_t lock;
	size_t room;
	uint8_t bytes[65536];
	size_t count;
	bool overfed; /* more came than can_receive allowed */
	_Atomic int can_send_calls;
	struct axchr *chr;
};

size_t sink_count(struct sink *sink);
void sink_allow(struct sink *sink, size_t room); /* so many bytes more */

/* A console with its sink; the loop is not started. */
struct rig {
	struct loop_thread lt;
	struct axchr *chr;
	struct sink *sink;
};
void chr_rig_setup(struct rig *rig, struct axchr_config config);
void chr_rig_teardown(struct rig *rig);
void naps(int count);
void assert_idle(struct rig *rig); /* the loop sleeps */

#endif
