/*
 * What a RISC-V processor calls itself in /proc/cpuinfo: a vendor's JEDEC number, which is a name
 * here where it is well known, a microarchitecture where the device tree tells one, and else the
 * base of its instruction set.
 */
#include "host_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	uint32_t id;
	const char *name;
} vendors[] = {
	{0x31e, "Andes"},
	{0x489, "SiFive"},
	{0x5b7, "T-Head"},
	{0x710, "SpacemiT"},
};

/* The word behind the colon, up to `end` or the line's. */
static void copy_word(const char *line, char end, char *buf, size_t size)
{
	const char *word = strchr(line, ':');
	const char stop[] = {end, '\n', '\0'};

	if (!word)
		return;
	word += 1 + strspn(word + 1, " \t");
	snprintf(buf, size, "%.*s", (int)strcspn(word, stop), word);
}

void axhost_read_riscv_line(const char *line, struct axhost_facts *facts)
{
	char number[24] = "";

	if (!strncmp(line, "uarch\t", 6)) {
		copy_word(line, '\n', facts->model_name, sizeof(facts->model_name));
	} else if (!strncmp(line, "isa\t", 4) && !facts->model_name[0]) {
		copy_word(line, '_', facts->model_name, sizeof(facts->model_name));
	} else if (!strncmp(line, "mvendorid\t", 10)) {
		copy_word(line, '\n', number, sizeof(number));
		const uint32_t id = (uint32_t)strtoul(number, NULL, 0);
		/* 0 is an implementation without a vendor, such as an emulator. */
		if (id)
			snprintf(facts->vendor, sizeof(facts->vendor), "0x%x", id);
		else
			snprintf(facts->vendor, sizeof(facts->vendor), "no vendor");
		for (size_t i = 0; i < AX_ARRAY_LEN(vendors); i++)
			if (vendors[i].id == id)
				snprintf(facts->vendor, sizeof(facts->vendor), "%s",
					 vendors[i].name);
	}
}
