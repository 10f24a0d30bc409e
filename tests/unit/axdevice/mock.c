/* See mock.h. */
#include "mock.h"

#include <stdio.h>
#include <string.h>

char journal[256];

static void note(const char *what, const struct axdev *dev)
{
	size_t used = strlen(journal);

	snprintf(journal + used, sizeof(journal) - used, "%s%s ", what, dev->name);
}

static enum axdev_result mock_access(struct axdev *dev, struct axdev_access *access)
{
	struct mock *mock = (struct mock *)dev;

	mock->accesses++;
	mock->last = *access;
	if (!access->is_write)
		access->value = mock->answer;
	return mock->result;
}

static enum axdev_result plain_access(struct axdev *dev, struct axdev_access *access)
{
	(void)dev;
	access->value = 0x77;
	return AXDEV_HANDLED;
}

static void mock_reset(struct axdev *dev)
{
	note("reset:", dev);
}

static int mock_suspend(struct axdev *dev, struct ax_error *err)
{
	struct mock *mock = (struct mock *)dev;

	note("suspend:", dev);
	if (mock->suspend_rc)
		return ax_error_set(err, AX_ERROR_DEVICE, -mock->suspend_rc, "work in flight");
	return 0;
}

static int mock_resume(struct axdev *dev, struct ax_error *err)
{
	(void)err;
	note("resume:", dev);
	return 0;
}

static void mock_destroy(struct axdev *dev)
{
	note("destroy:", dev);
}

static const struct axdev_ops mock_ops = {mock_access, mock_reset, mock_suspend, mock_resume,
					  mock_destroy};
const struct axdev_ops bare_ops = {.access = plain_access};

struct mock make(const char *name, enum axdev_space space, uint64_t base, uint64_t size)
{
	struct mock mock = {.dev = {.ops = &mock_ops,
				    .class_name = "mock",
				    .resource = {{space, base, size}},
				    .resource_count = 1}};

	snprintf(mock.dev.name, sizeof(mock.dev.name), "%s", name);
	journal[0] = 0;
	return mock;
}

struct axbus *make_bus(enum axbus_missing_policy policy)
{
	struct axbus *bus;

	assert_int_equal(axbus_create(policy, &bus, NULL), 0);
	return bus;
}

void attach(struct axbus *bus, struct mock *mock)
{
	struct ax_error err = {0};

	assert_int_equal(axbus_attach(bus, &mock->dev, &err), 0);
}
