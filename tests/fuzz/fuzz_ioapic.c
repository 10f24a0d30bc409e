/*
 * The IOAPIC against arbitrary accesses, lines and ends: a program of small instructions. After
 * each the messages that KVM would know must follow from the registers as a guest reads them, and
 * no level line may be high, unmasked and forgotten.
 */
#include "arch/x86_64/ioapic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define SELECT 0x00
#define WINDOW 0x10
#define RIRR   (1ULL << 14)
#define LEVEL  (1ULL << 15)
#define MASKED (1ULL << 16)

struct shadow {
	bool refuses, refused; /* of LAPICs: now, and since pins were last judged */
	bool has_route[X86_IOAPIC_PINS];
	struct x86_msi route[X86_IOAPIC_PINS];
	uint32_t lines;
};

static void route(void *ctx, uint32_t pin, const struct x86_msi *msi)
{
	struct shadow *shadow = ctx;

	MUST(pin < X86_IOAPIC_PINS);
	shadow->has_route[pin] = msi != NULL;
	if (msi)
		shadow->route[pin] = *msi;
}

static bool send(void *ctx, const struct x86_msi *msi)
{
	struct shadow *shadow = ctx;

	MUST(msi->address >> 20 == 0xfee);
	shadow->refused |= shadow->refuses;
	return !shadow->refuses;
}

static uint64_t entry_of(struct x86_ioapic *ioapic, uint32_t pin)
{
	uint64_t entry;

	x86_ioapic_write(ioapic, SELECT, 0x11 + 2 * pin);
	entry = (uint64_t)x86_ioapic_read(ioapic, WINDOW) << 32;
	x86_ioapic_write(ioapic, SELECT, 0x10 + 2 * pin);
	return entry | x86_ioapic_read(ioapic, WINDOW);
}

static void judge(struct x86_ioapic *ioapic, const struct shadow *shadow)
{
	const uint32_t selected = x86_ioapic_read(ioapic, SELECT);

	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++) {
		const uint64_t entry = entry_of(ioapic, pin), kvm = shadow->route[pin].address;

		MUST(!(entry & 0x0001fffffffe1000ULL));
		MUST(!(entry & RIRR) || entry & LEVEL);
		MUST(shadow->has_route[pin] == (!(entry & MASKED) || entry & RIRR));
		if (shadow->has_route[pin]) {
			MUST((kvm >> 12 & 0xff) == entry >> 56);
			MUST((kvm >> 5 & 0x7f) == (entry >> 49 & 0x7f));
			MUST((shadow->route[pin].data & 0x7ff) == (entry & 0x7ff));
		}
		if (!shadow->refused && shadow->lines >> pin & 1 && entry & LEVEL)
			MUST(entry & (RIRR | MASKED));
	}
	x86_ioapic_write(ioapic, SELECT, selected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shadow shadow = {.refuses = false};
	const struct x86_ioapic_sink sink = {.route = route, .send = send, .ctx = &shadow};
	struct x86_ioapic *ioapic = NULL;
	uint32_t value;

	MUST(x86_ioapic_create(&sink, &ioapic, NULL) == 0);
	for (; size >= 6; data += 6, size -= 6) {
		value = (uint32_t)data[2] << 24 | (uint32_t)data[3] << 16 | data[4] << 8 | data[5];
		switch (data[0] % 7) {
		case 0:
			x86_ioapic_write(ioapic, SELECT, value);
			break;
		case 1:
			x86_ioapic_write(ioapic, WINDOW, value);
			break;
		case 2:
			x86_ioapic_write(ioapic, data[1], value);
			break;
		case 3:
			if (x86_ioapic_set_level(ioapic, data[1], value & 1) < 0)
				MUST(data[1] >= X86_IOAPIC_PINS);
			else
				shadow.lines =
					(shadow.lines & ~(1u << data[1])) | (value & 1) << data[1];
			break;
		case 4:
			x86_ioapic_end(ioapic, data[1]);
			break;
		case 5:
			shadow.refuses = value & 1;
			break;
		case 6:
			if (value % 64 == 0)
				x86_ioapic_reset(ioapic);
			break;
		}
		judge(ioapic, &shadow);
	}
	x86_ioapic_destroy(ioapic);
	return 0;
}
