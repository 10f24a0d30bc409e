/*
 * What the kernel does against flaws of the processor, one file each. Kept is what is at work, and
 * of that the first words: the rest tells details and what is not affected.
 */
#include "host_private.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAWS     "/sys/devices/system/cpu/vulnerabilities"
#define MAX_FLAWS 64

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "Mitigation: PTI", or "KVM: Mitigation: Split huge pages". */
static const char *measure(char *text)
{
	char *at = text;

	if (!strncmp(at, "KVM: ", 5))
		at += 5;
	if (strncmp(at, "Mitigation: ", 12) != 0)
		return NULL;
	at += 12;
	at[strcspn(at, ";,")] = '\0';
	return at;
}

void axhost_read_mitigations(const char *root, struct axhost_facts *facts)
{
	char path[512], names[MAX_FLAWS][32], text[256], line[320];
	size_t count = 0, used = 0;
	struct dirent *entry;
	DIR *dir = NULL;

	if (snprintf(path, sizeof(path), "%s" FLAWS, root) < (int)sizeof(path))
		dir = opendir(path);
	if (!dir)
		return;
	while (count < MAX_FLAWS && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < sizeof(names[0]))
			snprintf(names[count++], sizeof(names[0]), "%.31s", entry->d_name);
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	for (size_t i = 0; i < count; i++) {
		const char *what;
		int length;

		axhost_text(root, text, sizeof(text), FLAWS "/%s", names[i]);
		what = measure(text);
		if (!what)
			continue;
		length = snprintf(line, sizeof(line), "%s%s: %s", used ? "; " : "", names[i], what);
		if (used + (size_t)length >= sizeof(facts->mitigations))
			return;
		memcpy(facts->mitigations + used, line, (size_t)length + 1);
		used += (size_t)length;
	}
}
