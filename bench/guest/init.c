/*
 * The init of the guests that are measured: no libc, nothing on the console. bench= on the kernel's
 * command line, which the kernel hands on as an environment variable, says what it does:
 *
 *   end    ends the machine
 *   idle   sleeps for ever
 *   read   reads 64 MiB of /dev/vda in requests of 128 KiB, between marks 2 and 3; ends
 *   queue  reads 2048 times 4 KiB at random, one by one, between marks 2 and 3; the same with 32 in
 *          flight, between 3 and 4; ends
 *
 * A mark is a hypercall that no hypervisor knows: a trace of KVM shows it, and it costs no exit to
 * userspace. The first instructions are mark 1. A step that fails is mark 255, and ends.
 */
#include <asm/unistd.h>
#include <linux/aio_abi.h>
#include <linux/reboot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB 1024UL
#define MIB (1024 * KIB)

enum { O_RDONLY = 0, O_DIRECT = 040000, DEPTH = 32, READS = 2048, DISK_MIB = 64, MARKS = 0xbe00 };

static char buffer[DEPTH * 128 * KIB] __attribute__((aligned(4096)));

static long call(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

static bool amd;

static void mark(uint8_t value)
{
	unsigned long nr = MARKS + value;

	if (amd)
		__asm__ volatile("vmmcall" : "+a"(nr)::"memory");
	else
		__asm__ volatile("vmcall" : "+a"(nr)::"memory");
}

static void find_vendor(void)
{
	uint32_t eax = 0, ebx, ecx, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	amd = ebx == 0x68747541 || ebx == 0x6f677948; /* Auth, Hygo */
}

/* By the port of first.S when the kernel lets user space have ports, else by a restart, which is a
 * triple fault (reboot=t). */
static _Noreturn void end(void)
{
	if (!call(__NR_iopl, 3, 0, 0, 0, 0))
		__asm__ volatile("outw %0, %1" ::"a"((uint16_t)0x2000), "d"((uint16_t)0x604));
	for (;;)
		call(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		     LINUX_REBOOT_CMD_RESTART, 0, 0);
}

static void must(long ret)
{
	if (ret >= 0)
		return;
	mark(255);
	end();
}

static void pause_ms(long ms)
{
	long nap[2] = {ms / 1000, ms % 1000 * 1000000};

	call(__NR_nanosleep, (long)nap, 0, 0, 0, 0);
}

/* The drivers lie in the order in which they are needed as /modules/a.ko, /modules/b.ko, ...; a
 * kernel that has them built in comes without. */
static long open_disk(void)
{
	char path[] = "/modules/a.ko";
	long fd;

	for (; (fd = call(__NR_open, (long)path, O_RDONLY, 0, 0, 0)) >= 0; path[9]++)
		must(call(__NR_finit_module, fd, (long)"", 0, 0, 0));
	must(call(__NR_mount, (long)"dev", (long)"/dev", (long)"devtmpfs", 0, 0));
	for (int tries = 0; tries < 100; tries++) {
		fd = call(__NR_open, (long)"/dev/vda", O_RDONLY | O_DIRECT, 0, 0, 0);
		if (fd >= 0)
			break;
		pause_ms(20);
	}
	must(fd);
	return fd;
}

static void read_all(long fd)
{
	for (uint64_t at = 0; at < DISK_MIB * MIB; at += 128 * KIB)
		if (call(__NR_pread64, fd, (long)buffer, 128 * KIB, (long)at, 0) != 128 * KIB)
			must(-1);
}

/* Where the next 4 KiB are read: the same sequence in every run. */
static uint64_t next_offset(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % (DISK_MIB * MIB / (4 * KIB)) * 4 * KIB;
}

static void read_one_by_one(long fd)
{
	for (int i = 0; i < READS; i++)
		if (call(__NR_pread64, fd, (long)buffer, 4 * KIB, (long)next_offset(), 0) !=
		    4 * KIB)
			must(-1);
}

static void submit(unsigned long ctx, struct iocb *one)
{
	one->aio_offset = (int64_t)next_offset();
	must(call(__NR_io_submit, (long)ctx, 1, (long)&one, 0, 0));
}

static void read_in_flight(long fd)
{
	static struct iocb requests[DEPTH];
	static struct io_event events[DEPTH];
	unsigned long ctx = 0;
	int started = 0, done = 0;

	must(call(__NR_io_setup, DEPTH, (long)&ctx, 0, 0, 0));
	for (; started < DEPTH; started++) {
		requests[started].aio_data = (uint64_t)started;
		requests[started].aio_fildes = (uint32_t)fd;
		requests[started].aio_lio_opcode = IOCB_CMD_PREAD;
		requests[started].aio_buf = (uint64_t)(buffer + started * 4 * KIB);
		requests[started].aio_nbytes = 4 * KIB;
		submit(ctx, &requests[started]);
	}
	while (done < READS) {
		long n = call(__NR_io_getevents, (long)ctx, 1, DEPTH, (long)events, 0);

		must(n);
		for (long i = 0; i < n; i++, done++) {
			if (events[i].res != 4 * KIB)
				must(-1);
			if (started++ < READS)
				submit(ctx, &requests[events[i].data]);
		}
	}
}

static _Noreturn __attribute__((used)) void start(char **stack)
{
	long argc = (long)stack[0];
	char **env = stack + argc + 2;
	char what = 'e';

	find_vendor();
	mark(1);
	for (; *env; env++) {
		const char *key = "bench=", *at = *env;

		while (*key && *key == *at)
			key++, at++;
		if (!*key)
			what = *at;
	}
	if (what == 'i') {
		for (;;)
			call(__NR_pause, 0, 0, 0, 0, 0);
	}
	if (what == 'r') {
		long fd = open_disk();

		mark(2);
		read_all(fd);
		mark(3);
	}
	if (what == 'q') {
		long fd = open_disk();

		mark(2);
		read_one_by_one(fd);
		mark(3);
		read_in_flight(fd);
		mark(4);
	}
	end();
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov	%rsp, %rdi\n"
	"	and	$-16, %rsp\n"
	"	call	start\n");
