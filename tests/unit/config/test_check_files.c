/*
 * The look at what a configuration names: every way in which a thing of the host can be the wrong
 * one, that the option, the value and a way out are named, and that nothing has changed after it.
 */
#include "helpers.h"

#include <axvm/virtio_devices.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR 512

static char directory[64], kernel[160], disk[160], empty[160], gone[160], fifo[160];

static const char *in_scratch(char *buf, const char *name)
{
	snprintf(buf, 160, "%s/%s", directory, name);
	return buf;
}

/* What is made once, and must be the same after each look. */
static int start(void **state)
{
	static const char sectors[8 * SECTOR];

	if (scratch_start(state))
		return -1;
	snprintf(kernel, sizeof(kernel), "%s", scratch_file("kernel", "x", 1));
	snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(kernel, '/') - kernel),
		 kernel);
	snprintf(disk, sizeof(disk), "%s", scratch_file("disk", sectors, sizeof(sectors)));
	snprintf(empty, sizeof(empty), "%s", scratch_file("empty", "", 0));
	in_scratch(gone, "gone");
	return mkfifo(in_scratch(fifo, "fifo"), 0600);
}

static int check(const char *const *words, struct ax_error *err)
{
	const struct axcfg *config = config_of_words(words);
	int rc;

	*err = (struct ax_error){0};
	rc = axcfg_check_files(config, err);
	axcfg_destroy(config);
	return rc;
}

static void fine(const char *const *words)
{
	struct ax_error err;

	if (check(words, &err))
		fail_msg("%s (%s)", err.message, err.hint);
}

static void refuse(const char *const *words, const char *message, const char *hint)
{
	const struct axcfg *config = config_of_words(words);
	struct ax_error err;

	assert_true(check(words, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
	assert_int_equal(ax_error_kind_exit_status(err.kind), 2);
	assert_true(ax_error_is_recoverable(&err));
	if (!strstr(err.message, message))
		fail_msg("'%s' is not '%s'", err.message, message);
	if (!strstr(err.hint, hint) || !err.hint[0])
		fail_msg("the hint of '%s' is '%s', not '%s'", err.message, err.hint, hint);
	/* Who does not want to know is told by the result alone. */
	assert_true(axcfg_check_files(config, NULL) < 0);
	axcfg_destroy(config);
}

/* The words of a configuration that is fine but for what follows; one buffer each. */
#define WITH(...) WORDS("-k", kernel, __VA_ARGS__)

static const char *word(const char *format, const char *path)
{
	static char buffers[8][512];
	static unsigned next;
	char *buffer = buffers[next++ % AX_ARRAY_LEN(buffers)];
	const char *at = strchr(format, '@');

	assert_non_null(at);
	snprintf(buffer, sizeof(buffers[0]), "%.*s%s%s", (int)(at - format), format, path, at + 1);
	return buffer;
}

/* ---- images and regions ---------------------------------------------------------------------- */

static void test_images(void **state)
{
	(void)state;
	refuse(WORDS("-c", "1"), "no kernel is configured", "--kernel PATH");
	refuse(WORDS("-k", gone), word("kernel.path: cannot open @: No such file", gone),
	       "check the path");
	refuse(WORDS("-k", directory), word("kernel.path: @ is a directory", directory), "");
	refuse(WORDS("-k", empty), word("kernel.path: @ is empty", empty), "");
	refuse(WORDS("-k", fifo), word("kernel.path: @ is not a regular file", fifo), "");
	refuse(WITH("-i", gone), word("kernel.initrd: cannot open @", gone), "check the path");
	refuse(WITH("-i", empty), word("kernel.initrd: @ is empty", empty), "");
	refuse(WITH("--dtb", gone), word("kernel.dtb: cannot open @", gone), "check the path");
	fine(WITH("-i", kernel, "--dtb", kernel));
}

static void test_regions(void **state)
{
	(void)state;
	refuse(WITH("--region=gpa=0x1000,size=4K",
		    word("--region=gpa=0,size=4K,type=reserved,path=@", gone)),
	       word("memory.regions[1]: cannot open @", gone), "check the path");
	refuse(WITH(word("--region=gpa=0,size=4K,type=reserved,path=@", directory)),
	       "memory.regions[0]: ", "");
	fine(WITH(word("--region=gpa=0,size=4K,type=reserved,path=@", disk)));
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void test_disks(void **state)
{
	char odd[160];

	(void)state;
	snprintf(odd, sizeof(odd), "%s", scratch_file("odd", kernel, 100));
	refuse(WITH("-d", disk, "-d", gone), word("disks[1]: cannot open disk image @", gone),
	       "check the path");
	refuse(WITH("-d", directory), word("disks[0]: cannot open disk image @", directory), "");
	refuse(WITH("-d", word("@,ro", directory)), "is neither a regular file nor", "");
	refuse(WITH("-d", fifo), word("disks[0]: disk image @ is neither", fifo), "");
	refuse(WITH("-d", "/dev/null"), "disks[0]: disk image /dev/null is neither", "");
	refuse(WITH("-d", empty), word("disks[0]: disk image @ has 0 bytes", empty), "truncate -s");
	refuse(WITH("-d", odd), "has 100 bytes, less than one block of 512", "truncate -s");
	/* The run leaves out what is no whole sector. */
	assert_int_equal(truncate(odd, SECTOR + 1), 0);
	fine(WITH("-d", odd, "-d", word("@,ro", disk), "-d", word("@,ro", disk)));
}

/* Whoever has the lock that the run would take, and only then. */
static void test_locks(void **state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	AX_AUTO_CLOSE int fd = open(disk, O_RDWR | O_CLOEXEC);
	AX_AUTO_CLOSE int other = open(disk, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	refuse(WITH("-d", disk), word("disks[0]: disk image @ is in use by another process", disk),
	       "lslocks");
	fine(WITH("-d", word("@,ro", disk)));
	lock.l_type = F_WRLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	refuse(WITH("-d", disk), "in use by another process", "use a copy");
	refuse(WITH("-d", word("@,ro", disk)), "which may write to it", "lslocks");
	lock.l_type = F_UNLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fine(WITH("-d", disk));
	/* No lock was left. */
	lock.l_type = F_WRLCK;
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
}

/* A lock that goes away soon is waited for, as the run does: that of a monitor just killed. */
static void test_lock_of_the_dead(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int locked[2], status;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(locked, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const int fd = open(disk, O_RDWR | O_CLOEXEC);

		if (fcntl(fd, F_OFD_SETLK, &lock) != 0 || write(locked[1], "", 1) != 1)
			_exit(1);
		usleep(200000);
		_exit(0);
	}
	close(locked[1]);
	assert_int_equal(read(locked[0], &byte, 1), 1);
	fine(WITH("-d", disk));
	close(locked[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_two_names(void **state)
{
	char name[160], over[160], both[400];
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(link(disk, in_scratch(name, "name")), 0);
	assert_int_equal(axvirtio_blk_make_overlay(in_scratch(over, "over"), disk, &err), 0);
	refuse(WITH("-d", disk, "-d", name), "is the same file as", "one disk's alone");
	refuse(WITH("-d", word("@,ro", disk), "-d", name), "disks[1]: ", "add ro");
	fine(WITH("-d", word("@,ro", disk), "-d", word("@,ro", name)));
	/* A base is read only, and shared by those who do no more. */
	snprintf(both, sizeof(both), "%s,base=%s", over, disk);
	refuse(WITH("-d", disk, "-d", both), "disks[1]: its base ", "one disk's alone");
	refuse(WITH("-d", both, "-d", disk), "is the same file as the base ", "");
	fine(WITH("-d", both, "-d", word("@,ro", disk)));
	assert_int_equal(unlink(name), 0);
	assert_int_equal(unlink(over), 0);
}

static void test_overlays(void **state)
{
	char over[160], both[400], bytes[64];
	struct ax_error err = {0};
	struct stat before, after;

	(void)state;
	in_scratch(over, "over");
	snprintf(both, sizeof(both), "%s,base=%s", over, disk);
	refuse(WITH("-d", both), word("disks[0]: cannot open disk image @", over),
	       "make it: axvm disk overlay");
	assert_int_equal(axvirtio_blk_make_overlay(over, disk, &err), 0);
	assert_int_equal(stat(over, &before), 0);
	fine(WITH("-d", both));
	assert_int_equal(stat(over, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	refuse(WITH("-d", word("@,base=/nonexistent/base", over)),
	       "disks[0]: cannot open disk image /nonexistent/base", "check the path");
	/* Another base, and none at all. */
	snprintf(both, sizeof(both), "%s,base=%s", over,
		 scratch_file("other", memset(bytes, 0, sizeof(bytes)), sizeof(bytes)));
	refuse(WITH("-d", both), "was made over another base than", "make a new overlay");
	snprintf(both, sizeof(both), "%s,base=%s", kernel, disk);
	refuse(WITH("-d", both), "is no overlay that can be used: it is too short", "");
	snprintf(both, sizeof(both), "%s,base=%s", disk, kernel);
	refuse(WITH("-d", both), "is no overlay that can be used", "");
	assert_int_equal(unlink(over), 0);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* This thread's right to make interfaces, and back. */
static bool set_admin(bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const unsigned i = CAP_TO_INDEX(CAP_NET_ADMIN), mask = CAP_TO_MASK(CAP_NET_ADMIN);

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	if (on && !(data[i].permitted & mask))
		return false;
	data[i].effective = on ? data[i].effective | mask : data[i].effective & ~mask;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
	return true;
}

static void test_tap_names(void **state)
{
	(void)state;
	refuse(WITH("--net=tap"), "nets[0]: \"\" is no interface name", "tap=NAME");
	refuse(WITH("--net=tap=a/b"), "nets[0]: \"a/b\" is no interface name", "tap=NAME");
	refuse(WITH("--net=tap=tap%d"), "\"tap%d\" is no interface name", "tap=NAME");
	refuse(WITH("--transport=pci", "--net=tap=axnone0,vhost,rx_bw=1M"),
	       "nets[0]: vhost keeps to no limit", "leave out vhost");
}

static void test_taps(void **state)
{
	(void)state;
	if (access("/dev/net/tun", R_OK | W_OK)) {
		refuse(WITH("--net=tap=axnone0"), "nets[0]: cannot open /dev/net/tun",
		       "/dev/net/tun");
		return;
	}
	refuse(WITH("--net=tap=lo"), "nets[0]: interface lo is no tap",
	       "ip tuntap add dev NAME mode tap");
	refuse(WITH("--net=tap=lo,queues=2"), "nets[0]: interface lo is no tap",
	       "ip tuntap add dev NAME mode tap multi_queue");
	assert_true(set_admin(false));
	refuse(WITH("--net=tap=axnone0"),
	       "nets[0]: there is no tap interface axnone0, and you may not make one",
	       "ip tuntap add dev axnone0 mode tap user NAME");
	refuse(WITH("--net=tap=axnone0,queues=4"), "there is no tap interface axnone0",
	       "ip tuntap add dev axnone0 mode tap multi_queue user NAME");
	/* Who may make one gets one from the run. */
	if (!set_admin(true))
		skip();
	fine(WITH("--net=tap=axnone0"));
	assert_int_equal(access("/sys/class/net/axnone0", F_OK), -1);
}

static int listening(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void test_switch_and_passt(void **state)
{
	static const struct {
		const char *word, *what, *start;
		int type;
	} kinds[] = {
		{"--net=switch,socket=@", "switch", "axvm switch @", SOCK_SEQPACKET},
		{"--net=passt,socket=@", "passt", "passt --socket @", SOCK_STREAM},
	};
	char path[160], message[256], longer[200];

	(void)state;
	in_scratch(path, "net");
	snprintf(longer, sizeof(longer), "/tmp/%0150d", 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++) {
		const char *start = word(kinds[i].start, path);
		int fd;

		snprintf(message, sizeof(message),
			 "nets[0]: cannot connect to the %s at %s: ", kinds[i].what, path);
		refuse(WITH(word(kinds[i].word, path)), message, start);
		fd = listening(path, kinds[i].type);
		fine(WITH(word(kinds[i].word, path)));
		assert_int_equal(accept(fd, NULL, NULL), -1); /* nobody was there */
		assert_int_equal(errno, EAGAIN);
		close(fd);
		refuse(WITH(word(kinds[i].word, path)), "Connection refused", start);
		assert_int_equal(unlink(path), 0);
		refuse(WITH(word(kinds[i].word, disk)), "it is no socket", kinds[i].what);
		refuse(WITH(word(kinds[i].word, longer)), "has 155 bytes, at most 107", "shorter");
	}
}

static void test_passt_program(void **state)
{
	const char *now = getenv("PATH");
	AX_AUTO_FREE char *path = strdup(now ? now : "/bin:/usr/bin");
	char program[160], both[400];
	int fd;

	(void)state;
	assert_int_equal(setenv("PATH", directory, 1), 0);
	refuse(WITH("--net=passt"), "nets[0]: cannot start passt: No such file",
	       "install the package passt");
	fd = open(in_scratch(program, "passt"), O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	close(fd);
	snprintf(both, sizeof(both), "/nonexistent:%s", directory);
	assert_int_equal(setenv("PATH", both, 1), 0);
	fine(WITH("--net=passt"));
	assert_int_equal(unlink(program), 0);
	assert_int_equal(setenv("PATH", path, 1), 0);
}

/* ---- consoles and sockets -------------------------------------------------------------------- */

static void test_console_files(void **state)
{
	char path[160];

	(void)state;
	refuse(WITH("--serial=file", "--serial-path=/nonexistent/log"),
	       "serial.path: cannot write /nonexistent/log: No such file", "directory exists");
	refuse(WITH("--console=null", word("--console=file,path=@", directory)),
	       word("consoles[1]: cannot write @: Is a directory", directory), "");
	refuse(WITH(word("--console=file,path=@/x", disk)), "consoles[0]: cannot write", "");
	fine(WITH(word("--console=file,path=@", in_scratch(path, "log"))));
	assert_int_equal(access(path, F_OK), -1);
	/* Neither emptied nor held open for a reader. */
	fine(WITH(word("--console=file,path=@", disk), "--serial=file",
		  word("--serial-path=@", fifo)));
}

static void test_sockets(void **state)
{
	char path[160], longer[200];
	int fd;

	(void)state;
	in_scratch(path, "socket");
	snprintf(longer, sizeof(longer), "/tmp/%0150d", 0);
	fine(WITH(word("--vsock=@", path), word("--console=socket,path=@-c", path)));
	assert_int_equal(access(path, F_OK), -1);
	refuse(WITH("--vsock=/nonexistent/s"),
	       "vsock.path: socket /nonexistent/s: its directory does not exist",
	       "make the directory");
	refuse(WITH("--console=socket,path=/nonexistent/s"),
	       "consoles[0]: socket /nonexistent/s: its directory does not exist", "");
	refuse(WITH(word("--vsock=@", longer)), "155 bytes is too long, at most 107", "shorter");
	refuse(WITH("--console=null", word("--console=socket,path=@", longer)),
	       "consoles[1]: ", "shorter");
	refuse(WITH(word("--vsock=@", disk)), "there is something else of that name", "");
	fd = listening(path, SOCK_STREAM);
	refuse(WITH(word("--vsock=@", path)), "somebody listens there", "choose another");
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	fine(WITH(word("--vsock=@", path))); /* the run replaces it */
	refuse(WITH(word("--vsock=@", path), word("--console=socket,path=@", path)),
	       word("vsock.path and consoles[0] are both the socket @", path), "another path");
	refuse(WITH("--console=null,name=a", word("--console=socket,path=@", path),
		    word("--console=socket,path=@,name=b", path)),
	       word("consoles[1] and consoles[2] are both the socket @", path), "another path");
	assert_int_equal(unlink(path), 0);
}

/* ---- without permission ---------------------------------------------------------------------- */

static void as_nobody(void)
{
	char path[160];

	if (setgid(65534) || setuid(65534))
		_exit(1);
	refuse(WITH("-d", disk), word("disks[0]: cannot open disk image @: Permission", disk),
	       word("add ro: --disk @,ro", disk));
	fine(WITH("-d", word("@,ro", disk)));
	refuse(WITH("-d", word("@,ro", in_scratch(path, "secret"))), "Permission denied",
	       "check its permissions");
	refuse(WITH("-i", path), "kernel.initrd: cannot open", "may read");
	refuse(WITH(word("--region=gpa=0,size=4K,type=reserved,path=@", disk)),
	       "memory.regions[0]: cannot open", "read and write");
	refuse(WITH(word("--console=file,path=@", disk)), "cannot write", "may write there");
	refuse(WITH(word("--console=file,path=@", in_scratch(path, "log"))),
	       "consoles[0]: cannot write", "may write there");
	refuse(WITH(word("--vsock=@", path)), "vsock.path: cannot make socket", "may write");
	refuse(WITH(word("--net=switch,socket=@", in_scratch(path, "net"))),
	       "nets[0]: cannot connect to the switch", "may this user use its socket?");
	_exit(0);
}

static void test_permissions(void **state)
{
	char path[160];
	int status, fd;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(directory, 0755), 0);
	scratch_file("secret", "x", 1);
	assert_int_equal(chmod(in_scratch(path, "secret"), 0), 0);
	fd = listening(in_scratch(path, "net"), SOCK_SEQPACKET);
	assert_int_equal(chmod(path, 0600), 0);
	pid = fork();
	if (pid == 0)
		as_nobody();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

static void test_affinity(void **state)
{
	cpu_set_t before, after;
	char both[64];
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	snprintf(both, sizeof(both), "%d,%d", first, first);
	fine(WITH("-c", "2", word("--cpu-affinity=@", both), word("--io-affinity=@", both)));
	snprintf(both, sizeof(both), "%d,8191", first);
	refuse(WITH("-c", "2", word("--cpu-affinity=@", both)),
	       "cpus.affinity[1]: cannot pin thread \"vcpu 1\" to host CPU 8191: not among the "
	       "allowed CPUs",
	       "choose host CPUs out of");
	refuse(WITH(word("--io-affinity=@", both)),
	       "io.affinity[1]: cannot pin thread \"io 1\" to host CPU 8191", "choose host CPUs");
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

/* The scratch directory as start() has left it. */
static void test_nothing_changed(void **state)
{
	static const char sectors[8 * SECTOR];
	char bytes[9 * SECTOR];
	AX_AUTO_CLOSE int fd = open(disk, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(sectors));
	assert_memory_equal(bytes, sectors, sizeof(sectors));
	assert_int_equal(access(gone, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_lock_of_the_dead),
		cmocka_unit_test(test_two_names),
		cmocka_unit_test(test_overlays),
		cmocka_unit_test(test_tap_names),
		cmocka_unit_test(test_taps),
		cmocka_unit_test(test_switch_and_passt),
		cmocka_unit_test(test_passt_program),
		cmocka_unit_test(test_console_files),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_nothing_changed),
	};

	return cmocka_run_group_tests(tests, start, scratch_finish);
}
