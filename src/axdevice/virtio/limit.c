/*
 * The buckets' arithmetic and the timers of queues that wait. What is charged when is the devices'
 * matter; what the guest finds out is that a request takes longer.
 */
#include "limit.h"
#include <limits.h>

#define NS_PER_S      1000000000ULL
#define MAX_TOKENS_S  (1ULL << 34) /* 2^64 tokens last 34 years then */
#define MAX_WAIT_NS   (3600 * NS_PER_S)
#define DEFAULT_BURST 10 /* what comes in a tenth of a second */

__extension__ typedef unsigned __int128 uint128; /* any time by any rate */

/* ---- one bucket ------------------------------------------------------------------------------ */

static uint64_t tokens_at(const struct limit_bucket *bucket, uint64_t elapsed_ns)
{
	const uint128 all = (uint128)elapsed_ns * bucket->per_s;
	const uint128 tokens = (all / NS_PER_S) >> bucket->shift;

	return tokens > UINT64_MAX ? UINT64_MAX : (uint64_t)tokens;
}

static void bucket_init(struct limit_bucket *bucket, uint64_t per_s, uint64_t burst)
{
	*bucket = (struct limit_bucket){.per_s = per_s};
	if (!burst)
		burst = per_s / DEFAULT_BURST;
	while (per_s >> bucket->shift > MAX_TOKENS_S)
		bucket->shift++;
	bucket->burst = burst >> bucket->shift;
	/* Less than one could never be taken. */
	if (!bucket->burst)
		bucket->burst = 1;
}

/* How long until the bucket has a token; 0: it has one. */
static uint64_t bucket_wait_ns(struct limit_bucket *bucket, uint64_t elapsed_ns)
{
	const uint64_t now = bucket->per_s ? tokens_at(bucket, elapsed_ns) : 0;
	uint64_t paid = atomic_load_explicit(&bucket->paid, memory_order_relaxed);
	uint128 at_ns;

	if (!bucket->per_s)
		return 0;
	/* A full bucket takes no more: time that was not used is lost. Never backwards, however
	 * late this thread is with its `now`. */
	while (paid < now &&
	       !atomic_compare_exchange_weak_explicit(&bucket->paid, &paid, now,
						      memory_order_relaxed, memory_order_relaxed))
		;
	if (paid <= now || paid - now < bucket->burst)
		return 0;
	/* When there will be paid - burst + 1 tokens; 94 bits and at most 30 of shift. */
	at_ns = (uint128)(paid - bucket->burst + 1) * NS_PER_S;
	at_ns = ((at_ns << bucket->shift) + bucket->per_s - 1) / bucket->per_s;
	at_ns -= elapsed_ns;
	return at_ns < MAX_WAIT_NS ? (uint64_t)at_ns : MAX_WAIT_NS;
}

static void bucket_charge(struct limit_bucket *bucket, uint64_t amount)
{
	const uint64_t tokens = amount >> bucket->shift;
	uint64_t paid = atomic_load_explicit(&bucket->paid, memory_order_relaxed);
	uint64_t sum;

	if (!bucket->per_s || !tokens)
		return;
	do {
		if (ax_add_overflows(paid, tokens, &sum))
			sum = UINT64_MAX;
	} while (!atomic_compare_exchange_weak_explicit(
		&bucket->paid, &paid, sum, memory_order_relaxed, memory_order_relaxed));
}

/* ---- both ------------------------------------------------------------------------------------ */

void limit_init_at(struct limit *limit, const struct axvirtio_limit *config, uint64_t now_ns)
{
	*limit = (struct limit){.start_ns = now_ns};
	bucket_init(&limit->bytes, config->bytes_per_s, config->bytes_burst);
	bucket_init(&limit->ops, config->ops_per_s, config->ops_burst);
}

void limit_init(struct limit *limit, const struct axvirtio_limit *config)
{
	limit_init_at(limit, config, ax_clock_ns());
}

uint64_t limit_may_take_at(struct limit *limit, uint64_t now_ns)
{
	const uint64_t elapsed_ns = now_ns > limit->start_ns ? now_ns - limit->start_ns : 0;
	const uint64_t bytes_ns = bucket_wait_ns(&limit->bytes, elapsed_ns);
	const uint64_t ops_ns = bucket_wait_ns(&limit->ops, elapsed_ns);

	return bytes_ns > ops_ns ? bytes_ns : ops_ns;
}

bool limit_may_take(struct limit *limit, struct limit_waiter *waiter)
{
	uint64_t wait_ns;

	if (!limit_active(limit))
		return true;
	wait_ns = limit_may_take_at(limit, ax_clock_ns());
	if (!wait_ns)
		return true;
	atomic_fetch_add_explicit(&limit->throttled.value, 1, memory_order_relaxed);
	ax_loop_set_timer(waiter->timer, wait_ns, 0);
	return false;
}

/* No clock is read: what is charged was taken when limit_may_take last looked. */
void limit_charge(struct limit *limit, uint64_t bytes)
{
	bucket_charge(&limit->bytes, bytes);
	bucket_charge(&limit->ops, 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void on_timer(void *ctx, int fd, uint32_t events)
{
	const struct limit_waiter *waiter = ctx;

	(void)fd;
	(void)events;
	axvirtio_wake(waiter->device, waiter->index);
}

int limit_waiter_init(struct limit_waiter *waiter, const struct limit *limit,
		      struct axvirtio *device, unsigned index, struct ax_error *err)
{
	*waiter = (struct limit_waiter){.device = device, .index = index};
	if (!limit_active(limit))
		return 0;
	return ax_loop_add_timer(axvirtio_loop(device, index), AX_TIMER_OFF, 0, on_timer, waiter,
				 &waiter->timer, err);
}

void limit_waiter_finish(struct limit_waiter *waiter)
{
	ax_loop_remove(waiter->timer);
	waiter->timer = NULL;
}
