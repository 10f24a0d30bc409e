/*
 * The error table, row by row, and how messages, hints and contexts are put together.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIND(k)                  \
	{                        \
		AX_ERROR_##k, #k \
	}
static const struct {
	enum ax_error_kind kind;
	const char *text;
} all_kinds[] = {
	KIND(NONE),
	KIND(KVM_ABSENT),
	KIND(KVM_PERMISSION),
	KIND(KVM_INIT),
	KIND(KVM_VERSION),
	KIND(MISSING_CAPABILITY),
	KIND(HARDWARE_FAILURE),
	KIND(PROFILE_REFUSED),
	KIND(VM_CREATION),
	KIND(VCPU_CREATION),
	KIND(MEMORY_ALLOCATION),
	KIND(MEMORY_SETUP),
	KIND(BOOT_STATE),
	KIND(THREAD),
	KIND(INTERNAL_EXIT),
	KIND(INVALID_STATE),
	KIND(TIMEOUT),
	KIND(MAX_ITERATIONS),
	KIND(VCPU_RUNTIME),
	KIND(MEMORY_ACCESS),
	KIND(MEMORY_ALIGNMENT),
	KIND(ALREADY_EXISTS),
	KIND(NOT_FOUND),
	KIND(CPUID_SETUP),
	KIND(REGISTER_ACCESS),
	KIND(BOOT_IMAGE),
	KIND(DISK),
	KIND(DEVICE),
	KIND(IO),
	KIND(NO_MEMORY),
	KIND(INTERNAL),
	KIND(CONFIGURATION),
	KIND(USAGE),
	KIND(UNSUPPORTED),
	KIND(IRQ_INJECTION),
	KIND(DEVICE_NOT_FOUND),
};

/* The table above is the list; a kind added to the enum must be added here too. */
static void table_is_complete(void **state)
{
	(void)state;
	assert_int_equal(AX_ARRAY_LEN(all_kinds), AX_ERROR_KIND_COUNT);
	for (size_t i = 0; i < AX_ARRAY_LEN(all_kinds); i++)
		assert_int_equal(all_kinds[i].kind, i);
}

/* "KVM_ABSENT" is named "KvmAbsent": the rows stand where they belong. */
static void names_follow_the_enum(void **state)
{
	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(all_kinds); i++) {
		char expected[64];
		size_t n = 0;
		bool upper = true;
		for (const char *c = all_kinds[i].text; *c; c++) {
			if (*c == '_') {
				upper = true;
				continue;
			}
			expected[n++] = (char)(upper ? *c : *c - 'A' + 'a');
			upper = false;
		}
		expected[n] = '\0';
		assert_string_equal(ax_error_kind_name(all_kinds[i].kind), expected);
	}
}

static void names_are_distinct(void **state)
{
	(void)state;
	for (int a = 0; a < AX_ERROR_KIND_COUNT; a++) {
		assert_true(strlen(ax_error_kind_name(a)) > 0);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(ax_error_kind_name(a), ax_error_kind_name(b));
	}
}

/* The enum is written in groups, worst first; each kind has its group's severity. */
static void severities_follow_the_groups(void **state)
{
	static const struct {
		int first, last;
		enum ax_severity severity;
	} groups[] = {
		{AX_ERROR_NONE, AX_ERROR_NONE, AX_SEVERITY_INFO},
		{AX_ERROR_KVM_ABSENT, AX_ERROR_PROFILE_REFUSED, AX_SEVERITY_FATAL},
		{AX_ERROR_VM_CREATION, AX_ERROR_INTERNAL_EXIT, AX_SEVERITY_CRITICAL},
		{AX_ERROR_INVALID_STATE, AX_ERROR_INTERNAL, AX_SEVERITY_ERROR},
		{AX_ERROR_CONFIGURATION, AX_ERROR_IRQ_INJECTION, AX_SEVERITY_WARNING},
		{AX_ERROR_DEVICE_NOT_FOUND, AX_ERROR_DEVICE_NOT_FOUND, AX_SEVERITY_INFO},
	};
	int seen = 0;

	(void)state;
	for (size_t g = 0; g < AX_ARRAY_LEN(groups); g++) {
		for (int kind = groups[g].first; kind <= groups[g].last; kind++, seen++) {
			struct ax_error err = {0};
			ax_error_set(&err, kind, EIO, "x");
			assert_int_equal(ax_error_kind_severity(kind), groups[g].severity);
			assert_int_equal(err.severity, groups[g].severity);
			bool stops = groups[g].severity >= AX_SEVERITY_CRITICAL;
			assert_int_equal(ax_error_requires_shutdown(&err), stops);
			assert_int_equal(ax_error_is_recoverable(&err), !stops);
		}
	}
	assert_int_equal(seen, AX_ERROR_KIND_COUNT);
}

static void exit_statuses_are_in_range(void **state)
{
	(void)state;
	for (int kind = 0; kind < AX_ERROR_KIND_COUNT; kind++) {
		int status = ax_error_kind_exit_status(kind);
		assert_in_range(status, 1, 125);
		/* How a guest ended is told by cmd from the stop reason, not by an error. */
		assert_true(status != 10 && status != 11);
	}
}

static void exit_statuses_are_as_documented(void **state)
{
	static const struct {
		enum ax_error_kind kind;
		int status;
	} rows[] = {
		{AX_ERROR_INTERNAL, 1},
		{AX_ERROR_INVALID_STATE, 1},
		{AX_ERROR_IO, 1},
		{AX_ERROR_USAGE, 2},
		{AX_ERROR_CONFIGURATION, 2},
		{AX_ERROR_BOOT_IMAGE, 3},
		{AX_ERROR_DISK, 4},
		{AX_ERROR_DEVICE, 4},
		{AX_ERROR_INTERNAL_EXIT, 12},
		{AX_ERROR_TIMEOUT, 13},
		{AX_ERROR_MAX_ITERATIONS, 13},
		{AX_ERROR_KVM_ABSENT, 20},
		{AX_ERROR_KVM_PERMISSION, 21},
		{AX_ERROR_KVM_INIT, 22},
		{AX_ERROR_KVM_VERSION, 23},
		{AX_ERROR_MISSING_CAPABILITY, 24},
		{AX_ERROR_HARDWARE_FAILURE, 25},
		{AX_ERROR_PROFILE_REFUSED, 26},
		{AX_ERROR_MEMORY_ALLOCATION, 30},
		{AX_ERROR_MEMORY_SETUP, 30},
		{AX_ERROR_VM_CREATION, 31},
		{AX_ERROR_VCPU_CREATION, 31},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		assert_int_equal(ax_error_kind_exit_status(rows[i].kind), rows[i].status);
}

/* A user must be able to tell the ways in which a host cannot do it by the number alone. */
static void fatal_kinds_have_their_own_status(void **state)
{
	(void)state;
	for (int a = AX_ERROR_KVM_ABSENT; a <= AX_ERROR_PROFILE_REFUSED; a++) {
		for (int b = 0; b < AX_ERROR_KIND_COUNT; b++) {
			if (a != b)
				assert_int_not_equal(ax_error_kind_exit_status(a),
						     ax_error_kind_exit_status(b));
		}
	}
}

static void unknown_numbers_are_answered(void **state)
{
	(void)state;
	assert_string_equal(ax_error_kind_name(AX_ERROR_KIND_COUNT), "Internal");
	assert_string_equal(ax_error_kind_name((enum ax_error_kind) - 1), "Internal");
	assert_int_equal(ax_error_kind_exit_status((enum ax_error_kind)9999), 1);
	assert_string_equal(ax_severity_name((enum ax_severity)99), "unknown");
	assert_string_equal(ax_severity_name(AX_SEVERITY_INFO), "info");
	assert_string_equal(ax_severity_name(AX_SEVERITY_WARNING), "warning");
	assert_string_equal(ax_severity_name(AX_SEVERITY_ERROR), "error");
	assert_string_equal(ax_severity_name(AX_SEVERITY_CRITICAL), "critical");
	assert_string_equal(ax_severity_name(AX_SEVERITY_FATAL), "fatal");
}

static void set_fills_everything(void **state)
{
	struct ax_error err = {.hint = "left over"};

	(void)state;
	assert_int_equal(ax_error_set(&err, AX_ERROR_DISK, ENOENT, "no disk \"%s\"", "a.img"),
			 -ENOENT);
	assert_int_equal(err.kind, AX_ERROR_DISK);
	assert_int_equal(err.severity, AX_SEVERITY_ERROR);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_string_equal(err.message, "no disk \"a.img\"");
	assert_string_equal(err.hint, "");

	assert_int_equal(ax_error_set(&err, AX_ERROR_USAGE, 0, "what?"), -EINVAL);
	assert_int_equal(err.sys_errno, 0);
	assert_int_equal(ax_error_set(&err, AX_ERROR_IO, -EIO, "sign"), -EIO);
	assert_int_equal(err.sys_errno, EIO);
}

static void null_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(ax_error_set(NULL, AX_ERROR_IO, EPERM, "x %d", 1), -EPERM);
	assert_int_equal(ax_error_set(NULL, AX_ERROR_IO, 0, "x"), -EINVAL);
	assert_int_equal(ax_error_hint(NULL, "x"), -EINVAL);
	assert_int_equal(ax_error_context(NULL, "x"), -EINVAL);
}

static void context_and_hint_compose(void **state)
{
	struct ax_error err = {0};

	(void)state;
	ax_error_set(&err, AX_ERROR_DISK, EACCES, "open: Permission denied");
	assert_int_equal(ax_error_hint(&err, "chmod %s", "a.img"), -EACCES);
	assert_int_equal(ax_error_context(&err, "disk %d", 3), -EACCES);
	assert_int_equal(ax_error_context(&err, "vm \"%s\"", "web"), -EACCES);
	assert_string_equal(err.message, "vm \"web\": disk 3: open: Permission denied");
	assert_string_equal(err.hint, "chmod a.img");
	assert_int_equal(err.kind, AX_ERROR_DISK);
	ax_error_hint(&err, "other");
	assert_string_equal(err.hint, "other");
}

/* An error may be rewritten out of its own text. */
static void arguments_may_alias(void **state)
{
	struct ax_error err = {0};

	(void)state;
	ax_error_set(&err, AX_ERROR_IO, EIO, "inner");
	ax_error_set(&err, AX_ERROR_DISK, EIO, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
	ax_error_context(&err, "again %s", err.message);
	assert_string_equal(err.message, "again outer (inner): outer (inner)");
	ax_error_hint(&err, "see %s", err.message);
	ax_error_hint(&err, "%s!", err.hint);
	assert_string_equal(err.hint, "see again outer (inner): outer (inner)!");
}

static void long_texts_are_cut(void **state)
{
	struct ax_error err = {0};
	char text[2048];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ax_error_set(&err, AX_ERROR_IO, EIO, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	ax_error_hint(&err, "%s", text);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
	ax_error_context(&err, "ctx");
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_memory_equal(err.message, "ctx: xxx", 8);
	ax_error_context(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_null(strchr(err.message, ':'));

	/* Every length around the edge keeps the terminator inside. */
	for (size_t len = sizeof(err.message) - 8; len < sizeof(err.message) + 8; len++) {
		ax_error_set(&err, AX_ERROR_IO, EIO, "%.*s", (int)len, text);
		ax_error_context(&err, "c");
		size_t want = len + 3 < sizeof(err.message) ? len + 3 : sizeof(err.message) - 1;
		assert_int_equal(strlen(err.message), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_complete),
		cmocka_unit_test(names_follow_the_enum),
		cmocka_unit_test(names_are_distinct),
		cmocka_unit_test(severities_follow_the_groups),
		cmocka_unit_test(exit_statuses_are_in_range),
		cmocka_unit_test(exit_statuses_are_as_documented),
		cmocka_unit_test(fatal_kinds_have_their_own_status),
		cmocka_unit_test(unknown_numbers_are_answered),
		cmocka_unit_test(set_fills_everything),
		cmocka_unit_test(null_is_accepted),
		cmocka_unit_test(context_and_hint_compose),
		cmocka_unit_test(arguments_may_alias),
		cmocka_unit_test(long_texts_are_cut),
	};
	return cmocka_run_group_tests_name("base-error", tests, NULL, NULL);
}
