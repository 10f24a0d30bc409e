/*
 * What a hart can execute, from KVM's numbers to the names of the specifications and to the two
 * forms in which a device tree tells them: the old string and the newer list.
 * Linux' Documentation/devicetree/bindings/riscv/extensions.yaml.
 */
#include "riscv64.h"

#include <stdio.h>
#include <string.h>

/*
 * By KVM's number (enum KVM_RISCV_ISA_EXT_ID of its headers, which only grows). Not told to guests:
 * h, which KVM never gives; zkr, whose CSR "seed" would need a source of entropy here; and what is
 * younger than this table.
 */
static const char *const names[] = {
	"a",        "c",       "d",         "f",           NULL,     "i",        "m",
	"svpbmt",   "sstc",    "svinval",   "zihintpause", "zicbom", "zicboz",   "zbb",
	"ssaia",    "v",       "svnapot",   "zba",         "zbs",    "zicntr",   "zicsr",
	"zifencei", "zihpm",   "smstateen", "zicond",      "zbc",    "zbkb",     "zbkc",
	"zbkx",     "zknd",    "zkne",      "zknh",        NULL,     "zksed",    "zksh",
	"zkt",      "zvbb",    "zvbc",      "zvkb",        "zvkg",   "zvkned",   "zvknha",
	"zvknhb",   "zvksed",  "zvksh",     "zvkt",        "zfh",    "zfhmin",   "zihintntl",
	"zvfh",     "zvfhmin", "zfa",       "ztso",        "zacas",  "sscofpmf", "zimop",
	"zca",      "zcb",     "zcd",       "zcf",         "zcmop",  "zawrs",
};
_Static_assert(AX_ARRAY_LEN(names) <= RV64_EXTENSIONS, "a bit each");

/* Single letters come first, in this order; the rest as the table has them. */
static const char letters[] = "imafdcv";

void rv64_hart_add(struct rv64_hart *hart, unsigned extension)
{
	if (extension < RV64_EXTENSIONS)
		hart->extensions[extension / 64] |= 1ULL << extension % 64;
}

bool rv64_hart_has(const struct rv64_hart *hart, unsigned extension)
{
	return extension < RV64_EXTENSIONS &&
	       (hart->extensions[extension / 64] & 1ULL << extension % 64);
}

/* The name that comes after `*position` others; NULL past the last. */
static const char *next_name(const struct rv64_hart *hart, size_t *position)
{
	const size_t letter_count = sizeof(letters) - 1;

	for (size_t at = (*position)++; at < letter_count + AX_ARRAY_LEN(names);
	     at = (*position)++) {
		for (unsigned i = 0; i < AX_ARRAY_LEN(names); i++) {
			if (!names[i] || !rv64_hart_has(hart, i))
				continue;
			if (at < letter_count ? names[i][0] == letters[at] && !names[i][1]
					      : i == at - letter_count && names[i][1])
				return names[i];
		}
	}
	return NULL;
}

void rv64_isa_string(const struct rv64_hart *hart, char *buf, size_t max)
{
	size_t position = 0, used = (size_t)snprintf(buf, max, "rv64");

	for (const char *name; (name = next_name(hart, &position)) && used < max;)
		used += (size_t)snprintf(buf + used, max - used, "%s%s", name[1] ? "_" : "", name);
}

void rv64_isa_list(const struct rv64_hart *hart, char *buf, size_t max)
{
	size_t position = 0, used = 0;

	for (const char *name; (name = next_name(hart, &position));) {
		const size_t len = strlen(name) + 1;

		if (used + len >= max)
			break;
		memcpy(buf + used, name, len);
		used += len;
	}
	buf[used] = '\0';
}

const char *rv64_mmu_type(const struct rv64_hart *hart)
{
	switch (hart->satp_mode) {
	case 10:
		return "riscv,sv57";
	case 9:
		return "riscv,sv48";
	default:
		return "riscv,sv39";
	}
}
