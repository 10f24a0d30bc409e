/*
 * A recorded host from a hostile file. What is accepted keeps the promises of host.h, and comes
 * back from its own text as the same text; what is refused says so.
 */
#include <axvm/host.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_promises(const struct axhost_facts *facts)
{
	uint32_t packages = 0, cores = 0, llcs = 0, online = 0;

	check(facts->cpu_count && facts->node_count && facts->nodes_online == facts->node_count);
	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		check(!i || cpu->id > cpu[-1].id);
		check(cpu->online ||
		      (!cpu->allowed && cpu->core == AXHOST_NONE && cpu->node == AXHOST_NONE));
		if (!cpu->online)
			continue;
		online++;
		check(cpu->node < facts->node_count);
		check(cpu->package <= packages && cpu->core <= cores && cpu->llc <= llcs);
		packages += cpu->package == packages;
		cores += cpu->core == cores;
		llcs += cpu->llc == llcs;
	}
	check(online && online == facts->cpus_online);
	for (size_t i = 0; i < facts->node_count; i++) {
		check(!i || facts->nodes[i].id > facts->nodes[i - 1].id);
		check(facts->nodes[i].memory_free_bytes <= facts->nodes[i].memory_bytes);
		check(facts->distances[i * facts->node_count + i] == 10);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct axhost_facts facts = {0}, back = {0};
	struct ax_error err = {0};
	char *text = NULL, *again = NULL, *copy = malloc(len ? len : 1); /* to the byte, for ASan */
	int rc;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	rc = axhost_load_text("host.json", copy, len, &facts, &err);
	free(copy);
	if (rc) {
		check(err.kind != AX_ERROR_NONE && err.message[0] && !facts.cpus);
		return 0;
	}
	check_promises(&facts);
	check(axhost_save(&facts, &text, &err) == 0);
	check(axhost_load_text("again", text, strlen(text), &back, &err) == 0);
	check(axhost_save(&back, &again, &err) == 0 && !strcmp(text, again));
	axhost_free(&facts);
	axhost_free(&back);
	free(text);
	free(again);
	return 0;
}
