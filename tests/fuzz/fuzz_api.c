/*
 * Both ends of the protocol from a hostile other side: a line as a request, and as a VM's answer.
 * What is taken keeps its promises, and an answer comes back from its own text as it was.
 */
#include <axvm/api.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_text(const char *text, size_t room)
{
	check(memchr(text, '\0', room));
	for (; *text; text++)
		check(*text >= 0x20 && *text < 0x7f);
}

static void check_thread(const struct axvm_live_thread *thread)
{
	check_text(thread->task.allowed, sizeof(thread->task.allowed));
	check_text(thread->planned, sizeof(thread->planned));
	check(thread->tid >= 0 && thread->task.cpu >= -1);
}

static void check_answer(const struct axvm_live *live)
{
	struct axvm_live *back = NULL;
	char *text = NULL, *again = NULL;

	check_text(live->name, sizeof(live->name));
	check(live->vcpu_count <= AXVM_LIVE_MAX_VCPUS && live->io_count <= AXCFG_MAX_IO);
	check(live->device_count <= AXVM_LIVE_MAX_DEVICES &&
	      live->memory_count <= AXARCH_MAX_NODES);
	for (size_t v = 0; v < live->vcpu_count; v++)
		check_thread(&live->vcpus[v].thread);
	for (size_t i = 0; i < live->io_count; i++)
		check_thread(&live->io[i].thread);
	check(axapi_stats_to_text(live, &text, NULL) == 0 && !strchr(text, '\n'));
	check(axapi_stats_from_text(text, strlen(text), &back, NULL) == 0);
	check(axapi_stats_to_text(back, &again, NULL) == 0 && !strcmp(text, again));
	axvm_live_free(back);
	free(text);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len ? len : 1); /* to the byte, for ASan */
	enum axapi_request request = AXAPI_REQUEST_COUNT;
	struct axvm_live *live = NULL;
	struct ax_error err = {0};
	int rc;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	rc = axapi_parse_request(copy, len, &request, &err);
	check(rc ? rc == -EINVAL && err.message[0] && err.hint[0] && request == AXAPI_REQUEST_COUNT
		 : request < AXAPI_REQUEST_COUNT && len <= AXAPI_MAX_REQUEST);
	err = (struct ax_error){0};
	rc = axapi_stats_from_text(copy, len, &live, &err);
	check(rc ? !live && err.message[0] : live != NULL);
	if (live)
		check_answer(live);
	axvm_live_free(live);
	free(copy);
	return 0;
}
