/*
 * What an Arm processor calls itself in /proc/cpuinfo: numbers of implementer and part (MIDR_EL1,
 * Arm DDI 0487), which are names here where they are well known.
 */
#include "host_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	uint32_t implementer;
	const char *name;
} implementers[] = {
	{0x41, "Arm"},       {0x42, "Broadcom"}, {0x43, "Cavium"},  {0x46, "Fujitsu"},
	{0x48, "HiSilicon"}, {0x4e, "NVIDIA"},   {0x50, "APM"},     {0x51, "Qualcomm"},
	{0x53, "Samsung"},   {0x61, "Apple"},    {0x70, "Phytium"}, {0xc0, "Ampere"},
};

static const struct {
	uint32_t implementer, part;
	const char *name;
} parts[] = {
	{0x41, 0xd03, "Cortex-A53"},  {0x41, 0xd05, "Cortex-A55"},  {0x41, 0xd07, "Cortex-A57"},
	{0x41, 0xd08, "Cortex-A72"},  {0x41, 0xd09, "Cortex-A73"},  {0x41, 0xd0a, "Cortex-A75"},
	{0x41, 0xd0b, "Cortex-A76"},  {0x41, 0xd0c, "Neoverse N1"}, {0x41, 0xd40, "Neoverse V1"},
	{0x41, 0xd49, "Neoverse N2"}, {0x41, 0xd4f, "Neoverse V2"}, {0x48, 0xd01, "TSV110"},
	{0xc0, 0xac3, "Ampere-1"},
};

/* The number behind the colon of "CPU part\t: 0xd0c". */
static bool number(const char *line, const char *key, uint32_t *ret)
{
	const char *colon = strchr(line, ':');

	if (strncmp(line, key, strlen(key)) != 0 || !colon)
		return false;
	*ret = axhost_count(strtoul(colon + 1, NULL, 0));
	return true;
}

void axhost_read_arm_line(const char *line, struct axhost_arm *arm)
{
	if (number(line, "CPU implementer", &arm->implementer))
		arm->present = true;
	number(line, "CPU variant", &arm->variant);
	number(line, "CPU part", &arm->part);
	number(line, "CPU revision", &arm->revision);
}

void axhost_name_arm(const struct axhost_arm *arm, struct axhost_facts *facts)
{
	const char *part = NULL;

	if (!arm->present)
		return;
	facts->model = arm->part;
	facts->stepping = axhost_count(arm->variant << 4 | (arm->revision & 0xf));
	snprintf(facts->vendor, sizeof(facts->vendor), "0x%x", arm->implementer & 0xff);
	for (size_t i = 0; i < AX_ARRAY_LEN(implementers); i++)
		if (implementers[i].implementer == arm->implementer)
			snprintf(facts->vendor, sizeof(facts->vendor), "%s", implementers[i].name);
	for (size_t i = 0; i < AX_ARRAY_LEN(parts); i++)
		if (parts[i].implementer == arm->implementer && parts[i].part == arm->part)
			part = parts[i].name;
	if (part)
		snprintf(facts->model_name, sizeof(facts->model_name), "%s r%up%u", part,
			 arm->variant, arm->revision);
	else
		snprintf(facts->model_name, sizeof(facts->model_name), "part 0x%x r%up%u",
			 arm->part, arm->variant, arm->revision);
}
