/* Opening /dev/kvm: each way it can fail has its own error, and says what to do. */
#include "fake.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void open_absent(void **state)
{
	struct ax_error err = {0};
	struct axkvm *kvm = NULL;

	(void)state;
	assert_int_equal(axkvm_open("/nonexistent/kvm", &kvm, &err), -ENOENT);
	assert_int_equal(err.kind, AX_ERROR_KVM_ABSENT);
	assert_non_null(strstr(err.message, "/nonexistent/kvm"));
	assert_non_null(strstr(err.hint, "modprobe"));
	assert_null(kvm);
	assert_int_equal(axkvm_open("/nonexistent/kvm", &kvm, NULL), -ENOENT);
}

static void open_not_kvm(void **state)
{
	struct ax_error err = {0};
	struct axkvm *kvm = NULL;

	(void)state;
	assert_true(axkvm_open("/dev/null", &kvm, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_KVM_INIT);
	assert_non_null(strstr(err.hint, "not the KVM device"));
	assert_true(axkvm_open("/", &kvm, &err) < 0); /* a directory */
	assert_int_equal(err.kind, AX_ERROR_KVM_INIT);
	assert_null(kvm);
}

/* In a child that is nobody, as root may open everything. 0: as expected. */
static int try_as_nobody(const char *path)
{
	struct ax_error err = {0};
	struct axkvm *kvm = NULL;

	if (geteuid() == 0 && setuid(65534) < 0)
		return 2;
	if (axkvm_open(path, &kvm, &err) != -EACCES || err.kind != AX_ERROR_KVM_PERMISSION)
		return 1;
	return strstr(err.hint, "usermod -aG kvm") ? 0 : 1;
}

static void open_denied(void **state)
{
	char path[] = "/tmp/axvm-kvm-XXXXXX";
	int fd = mkstemp(path), status = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0), 0);
	close(fd);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(try_as_nobody(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_version(void **state)
{
	struct ax_error err = {0};
	struct axkvm *kvm = NULL;

	(void)state;
	fake = (struct fake){.version = 11};
	assert_int_equal(axkvm_open_with(&fake_sys, NULL, &kvm, &err), -ENOTSUP);
	assert_int_equal(err.kind, AX_ERROR_KVM_VERSION);
	assert_non_null(strstr(err.message, "version 11, not 12"));
	fake.version = -ENOTTY;
	assert_int_equal(axkvm_open_with(&fake_sys, NULL, &kvm, &err), -ENOTTY);
	assert_int_equal(err.kind, AX_ERROR_KVM_INIT);
	assert_null(kvm);
}

static void require_names_all(void **state)
{
	static const struct axkvm_requirement list[] = {
		{KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "hear"},
		{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "do this"},
		{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "do that"},
	};
	struct fixture f;

	(void)state;
	fixture_create(&f);
	assert_int_equal(axkvm_api_version(f.kvm), KVM_API_VERSION);
	assert_int_equal(axkvm_require(f.kvm, list, 3, &f.err), 0);
	fake.missing[0] = KVM_CAP_IRQCHIP;
	fake.missing[1] = KVM_CAP_IOEVENTFD;
	assert_int_equal(axkvm_require(f.kvm, list, 3, &f.err), -ENOTSUP);
	assert_int_equal(f.err.kind, AX_ERROR_MISSING_CAPABILITY);
	assert_non_null(strstr(f.err.message, "2 of"));
	assert_non_null(strstr(f.err.message, "KVM_CAP_IRQCHIP, KVM_CAP_IOEVENTFD"));
	assert_non_null(strstr(f.err.hint, "KVM_CAP_IRQCHIP to do this"));
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_absent),       cmocka_unit_test(open_not_kvm),
		cmocka_unit_test(open_denied),       cmocka_unit_test(open_version),
		cmocka_unit_test(require_names_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
