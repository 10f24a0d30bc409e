/*
 * The PLIC: which sources wait for whom, claims and completions, and the level of each hart's
 * external interrupt. KVM has none of its own. plic_dev.c puts its registers on the bus.
 * RISC-V Platform-Level Interrupt Controller Specification 1.0.0.
 */
#include "riscv64.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY_BASE  0x0ULL
#define PENDING_BASE   0x1000ULL
#define ENABLE_BASE    0x2000ULL
#define ENABLE_STRIDE  0x80ULL
#define CONTEXT_BASE   0x200000ULL
#define CONTEXT_STRIDE 0x1000ULL
#define CONTEXT_LIMIT  0x0ULL /* in a context: threshold */
#define CONTEXT_CLAIM  0x4ULL /* read: claim, write: complete */
#define PRIORITY_MASK  7u
#define SOURCE_BIT(n)  (1ULL << (n))
#define ALL_SOURCES    (~SOURCE_BIT(0)) /* 0 is no source */
_Static_assert(RV64_SOURCES == 64, "a word holds a set of sources");

struct context {
	uint64_t enabled;
	uint64_t claimed; /* and not completed */
	uint8_t threshold;
	bool output; /* what the hart was told */
};

struct rv64_plic {
	void (*output)(void *ctx, uint32_t context, bool level);
	void *ctx;

	pthread_mutex_t lock; /* everything below; outputs are called under it, in order */
	uint8_t priority[RV64_SOURCES];
	uint64_t level;   /* lines as the devices drive them */
	uint64_t pending; /* asked for, and nobody has claimed it yet */
	uint64_t serving; /* claimed and not completed: the gateway lets nothing pass */
	uint64_t again;   /* an edge came meanwhile */
	uint32_t context_count;
	struct context contexts[];
};

int rv64_plic_create(uint32_t contexts, void (*output)(void *ctx, uint32_t context, bool level),
		     void *ctx, struct rv64_plic **ret_plic, struct ax_error *err)
{
	struct rv64_plic *plic = calloc(1, sizeof(*plic) + contexts * sizeof(plic->contexts[0]));

	if (!plic)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the PLIC");
	plic->output = output;
	plic->ctx = ctx;
	plic->context_count = contexts;
	pthread_mutex_init(&plic->lock, NULL);
	*ret_plic = plic;
	return 0;
}

void rv64_plic_destroy(struct rv64_plic *plic)
{
	if (!plic)
		return;
	pthread_mutex_destroy(&plic->lock);
	free(plic);
}

uint64_t rv64_plic_size(uint32_t contexts)
{
	return CONTEXT_BASE + contexts * CONTEXT_STRIDE;
}

/* ---- who gets what: lock held ---------------------------------------------------------------- */

/* The best of the sources above a priority: the highest, of equals the first. 0: none. */
static uint32_t best(const struct rv64_plic *plic, uint64_t sources, unsigned above)
{
	uint32_t found = 0;

	for (; sources; sources &= sources - 1) {
		const uint32_t source = (uint32_t)__builtin_ctzll(sources);

		if (plic->priority[source] > above) {
			above = plic->priority[source];
			found = source;
		}
	}
	return found;
}

static void drive(struct rv64_plic *plic, uint32_t context, bool level)
{
	plic->contexts[context].output = level;
	if (plic->output)
		plic->output(plic->ctx, context, level);
}

static void update_outputs(struct rv64_plic *plic)
{
	for (uint32_t i = 0; i < plic->context_count; i++) {
		const struct context *context = &plic->contexts[i];
		const uint64_t candidates = plic->pending & context->enabled;
		const bool level = candidates && best(plic, candidates, context->threshold) != 0;

		if (level != context->output)
			drive(plic, i, level);
	}
}

/* Claiming looks at priority 0, which is "never", but not at the threshold. */
static uint32_t claim(struct rv64_plic *plic, struct context *context)
{
	const uint32_t source = best(plic, plic->pending & context->enabled, 0);

	if (!source)
		return 0;
	plic->pending &= ~SOURCE_BIT(source);
	plic->serving |= SOURCE_BIT(source);
	context->claimed |= SOURCE_BIT(source);
	return source;
}

/*
 * The specification has a completion ignored when the source is not enabled for the context. Here
 * the one that claimed may complete all the same: a source that was moved to another hart
 * meanwhile would be dead otherwise.
 */
static void complete(struct rv64_plic *plic, struct context *context, uint32_t source)
{
	const uint64_t bit = source < RV64_SOURCES ? SOURCE_BIT(source) : 0;

	if (!(plic->serving & bit & (context->enabled | context->claimed)))
		return;
	plic->serving &= ~bit;
	for (uint32_t i = 0; i < plic->context_count; i++)
		plic->contexts[i].claimed &= ~bit;
	plic->pending |= (plic->level | plic->again) & bit;
	plic->again &= ~bit;
}

int rv64_plic_set_level(struct rv64_plic *plic, uint32_t source, bool level)
{
	if (!source || source >= RV64_SOURCES)
		return -ENODEV;
	const uint64_t bit = SOURCE_BIT(source);

	pthread_mutex_lock(&plic->lock);
	if (!level) {
		plic->level &= ~bit; /* what was asked for stays so */
	} else if (!(plic->level & bit)) {
		plic->level |= bit;
		if (plic->serving & bit)
			plic->again |= bit;
		else
			plic->pending |= bit;
		update_outputs(plic);
	}
	pthread_mutex_unlock(&plic->lock);
	return 0;
}

void rv64_plic_reset(struct rv64_plic *plic)
{
	pthread_mutex_lock(&plic->lock);
	memset(plic->priority, 0, sizeof(plic->priority));
	plic->pending = plic->level;
	plic->serving = 0;
	plic->again = 0;
	for (uint32_t i = 0; i < plic->context_count; i++) {
		plic->contexts[i].enabled = 0;
		plic->contexts[i].claimed = 0;
		plic->contexts[i].threshold = 0;
	}
	update_outputs(plic);
	pthread_mutex_unlock(&plic->lock);
}

/* ---- registers ------------------------------------------------------------------------------- */

enum reg_kind { REG_NONE, REG_PRIORITY, REG_PENDING, REG_ENABLE, REG_THRESHOLD, REG_CLAIM };
struct reg {
	enum reg_kind kind;
	uint32_t index; /* source, or word of a set */
	uint32_t context;
};

static struct reg find(const struct rv64_plic *plic, uint64_t offset)
{
	const uint32_t words = RV64_SOURCES / 32;
	struct reg reg = {.kind = REG_NONE};

	if (offset % 4)
		return reg;
	if (offset < PRIORITY_BASE + 4 * RV64_SOURCES) {
		reg.kind = REG_PRIORITY;
		reg.index = (uint32_t)(offset / 4);
	} else if (offset >= PENDING_BASE && offset < PENDING_BASE + 4 * words) {
		reg.kind = REG_PENDING;
		reg.index = (uint32_t)(offset - PENDING_BASE) / 4;
	} else if (offset >= ENABLE_BASE &&
		   offset < ENABLE_BASE + plic->context_count * ENABLE_STRIDE) {
		reg.context = (uint32_t)((offset - ENABLE_BASE) / ENABLE_STRIDE);
		reg.index = (uint32_t)((offset - ENABLE_BASE) % ENABLE_STRIDE) / 4;
		reg.kind = reg.index < words ? REG_ENABLE : REG_NONE;
	} else if (offset >= CONTEXT_BASE && offset < rv64_plic_size(plic->context_count)) {
		const uint64_t inside = (offset - CONTEXT_BASE) % CONTEXT_STRIDE;

		reg.context = (uint32_t)((offset - CONTEXT_BASE) / CONTEXT_STRIDE);
		reg.kind = inside == CONTEXT_LIMIT   ? REG_THRESHOLD
			   : inside == CONTEXT_CLAIM ? REG_CLAIM
						     : REG_NONE;
	}
	return reg;
}

bool rv64_plic_read(struct rv64_plic *plic, uint64_t offset, uint32_t *ret_value)
{
	const struct reg reg = find(plic, offset);
	struct context *context = &plic->contexts[reg.context];
	uint32_t value = 0;

	pthread_mutex_lock(&plic->lock);
	switch (reg.kind) {
	case REG_PRIORITY:
		value = plic->priority[reg.index];
		break;
	case REG_PENDING:
		value = (uint32_t)(plic->pending >> 32 * reg.index);
		break;
	case REG_ENABLE:
		value = (uint32_t)(context->enabled >> 32 * reg.index);
		break;
	case REG_THRESHOLD:
		value = context->threshold;
		break;
	case REG_CLAIM:
		value = claim(plic, context);
		update_outputs(plic);
		break;
	case REG_NONE:
		break;
	}
	pthread_mutex_unlock(&plic->lock);
	*ret_value = value;
	return reg.kind != REG_NONE;
}

bool rv64_plic_write(struct rv64_plic *plic, uint64_t offset, uint32_t value)
{
	const struct reg reg = find(plic, offset);
	struct context *context = &plic->contexts[reg.context];
	const unsigned shift = 32 * reg.index % 64;

	pthread_mutex_lock(&plic->lock);
	switch (reg.kind) {
	case REG_PRIORITY:
		if (reg.index)
			plic->priority[reg.index] = value & PRIORITY_MASK;
		break;
	case REG_ENABLE:
		context->enabled &= ~(0xffffffffULL << shift);
		context->enabled |= (uint64_t)value << shift & ALL_SOURCES;
		break;
	case REG_THRESHOLD:
		context->threshold = value & PRIORITY_MASK;
		/* A hart writes it when it starts, and KVM has forgotten its interrupts then. */
		drive(plic, reg.context, context->output);
		break;
	case REG_CLAIM:
		complete(plic, context, value);
		break;
	case REG_PENDING: /* read-only */
	case REG_NONE:
		break;
	}
	update_outputs(plic);
	pthread_mutex_unlock(&plic->lock);
	return reg.kind != REG_NONE;
}
