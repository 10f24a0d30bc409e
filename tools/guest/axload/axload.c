/*
 * axload: the load of tests and benchmarks, the same program in the guest and outside. Here are the
 * command line, the clock and the marks; disk.c, stream.c, socket.c, udp.c, cpus.c and compile.c
 * have the work.
 *
 *   axload disk FILE [rw=r|w|rw] [bs=4k] [depth=1] [jobs=1] [ops=1000] [size=64m] [seq] [cached]
 *       ops requests in all, depth of them in flight for each of jobs threads
 *   axload journal FILE [blocks=1000]        numbered blocks, each printed when it is durable
 *   axload journal FILE check=N              are the blocks 0 to N there?
 *   axload serve ADDRESS [once]              the other end of rtt, send and recv
 *   axload rtt ADDRESS [bytes=64] [ops=1000]
 *   axload send|recv ADDRESS [bytes=1m] [jobs=1] [verify]    bytes for each of jobs connections
 *   axload udp-send tcp:HOST:PORT [bytes=64] [ops=10000]
 *   axload udp-count PORT                    counts until nothing comes for a second
 *   axload idle [ms=1000]                    nothing, on all CPUs; an operation is a CPU's second
 *   axload futex [jobs=1] [ops=1000]         pairs of threads that wake each other across CPUs;
 *                                            an operation is there and back
 *   axload tlb [jobs=1] [ops=1000]           a thread maps, protects and unmaps 64 KiB while the
 *                                            others of its process run, each on a CPU
 *   axload compile [jobs=1] [ops=100]        two programs, a pipe and two files for each operation
 *   axload run COMMAND [ops=1]               what a shell makes of COMMAND
 *   axload mark N
 *
 * ADDRESS is tcp:HOST:PORT, vsock:CID:PORT, unix:PATH, or hybrid:PATH:PORT (a Unix socket that
 * wants the line "CONNECT PORT" first). mark=N: see axload.h.
 */
#include "axload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "axload: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const char *word(int argc, char **argv, const char *key, const char *otherwise)
{
	const size_t length = strlen(key);

	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], key, length) && argv[i][length] == '=')
			return argv[i] + length + 1;
	return otherwise;
}

uint64_t number(int argc, char **argv, const char *key, uint64_t otherwise)
{
	const char *text = word(argc, argv, key, NULL);
	char *end;

	if (!text)
		return otherwise;
	uint64_t value = strtoull(text, &end, 10);
	switch (*end) {
	case 'g':
		value *= 1024; /* fallthrough */
		__attribute__((fallthrough));
	case 'm':
		value *= 1024;
		__attribute__((fallthrough));
	case 'k':
		value *= 1024;
		end++;
	}
	if (end == text || *end)
		fail("%s=%s: want a number", key, text);
	return value;
}

bool flag(int argc, char **argv, const char *name)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

void mark(uint64_t value)
{
#ifdef __x86_64__
	uint32_t eax = 0, ebx, ecx, edx;
	uint64_t rax = 0xbe00 + value;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if (ebx == 0x68747541 || ebx == 0x6f677948) /* Auth, Hygo */
		__asm__ volatile("vmmcall" : "+a"(rax)::"memory");
	else
		__asm__ volatile("vmcall" : "+a"(rax)::"memory");
#else
	(void)value;
#endif
}

/* All interrupts of virtio devices since the start of the machine. */
static uint64_t virtio_irqs(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char line[4096];
	uint64_t sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':');

		if (!at || !strstr(line, "virtio"))
			continue;
		for (at++;;) {
			char *end;
			const unsigned long n = strtoul(at, &end, 10);

			if (end == at || (*end != ' ' && *end != '\t'))
				break;
			sum += n;
			at = end;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void span_begin(struct span *span, const char *name, int argc, char **argv)
{
	*span = (struct span){.name = name, .mark = number(argc, argv, "mark", 0)};
	span->irqs = virtio_irqs();
	if (span->mark) {
		mark(span->mark);
		usleep(150000);
	}
	span->cpu_ns = own_cpu_ns();
	span->start_ns = now_ns();
}

void span_end(struct span *span, uint64_t ops)
{
	const uint64_t ns = now_ns() - span->start_ns;
	const uint64_t cpu_ns = own_cpu_ns() - span->cpu_ns;
	const uint64_t irqs = virtio_irqs();

	if (span->mark) {
		usleep(20000);
		mark(span->mark + 1);
		usleep(150000);
	}
	printf("axload %s mark %llu ops %llu us %llu cpu_us %llu irqs %llu\n", span->name,
	       (unsigned long long)span->mark, (unsigned long long)ops,
	       (unsigned long long)(ns / 1000), (unsigned long long)(cpu_ns / 1000),
	       (unsigned long long)(irqs - span->irqs));
	fflush(stdout);
}

static int run(int argc, char **argv)
{
	struct span span;

	span_begin(&span, "run", argc, argv);
	const int status = system(argv[1]);
	if (status != 0)
		fail("%s: status %d", argv[1], status);
	span_end(&span, number(argc, argv, "ops", 1));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} parts[] = {
		{"disk", axload_disk},       {"journal", axload_journal},
		{"serve", axload_serve},     {"rtt", axload_stream},
		{"send", axload_stream},     {"recv", axload_stream},
		{"udp-send", axload_udp},    {"run", run},
		{"udp-count", axload_udp},   {"idle", axload_idle},
		{"futex", axload_futex},     {"tlb", axload_tlb},
		{"compile", axload_compile},
	};

	if (argc >= 3 && !strcmp(argv[1], "mark")) {
		mark(strtoull(argv[2], NULL, 0));
		return 0;
	}
	for (size_t i = 0; argc >= 3 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name))
			return parts[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: axload disk|journal FILE, serve|rtt|send|recv ADDRESS, udp-send, "
			"udp-count, idle, futex, tlb, compile, run, mark [WORD]...\n");
	return 64;
}
