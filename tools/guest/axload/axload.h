/* What the parts of axload share. */
#ifndef AXLOAD_H
#define AXLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_JOBS 64

/* Parts: the words behind the part's name; each returns the exit status. */
int axload_disk(int argc, char **argv);
int axload_journal(int argc, char **argv);
int axload_serve(int argc, char **argv);
int axload_stream(int argc, char **argv); /* rtt, send, recv */
int axload_udp(int argc, char **argv);    /* udp-send, udp-count */
int axload_idle(int argc, char **argv);
int axload_futex(int argc, char **argv);
int axload_tlb(int argc, char **argv);
int axload_compile(int argc, char **argv);

/* Ends the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

uint64_t now_ns(void);

/* The value of KEY=VALUE among the words; sizes may end in k, m or g. */
const char *word(int argc, char **argv, const char *key, const char *otherwise);
uint64_t number(int argc, char **argv, const char *key, uint64_t otherwise);
bool flag(int argc, char **argv, const char *name);

/* Between the two the load runs, and nothing else: mark=N in the words is shown to KVM (the
 * hypercalls 0xbe00 + N and N + 1), with a pause for whoever takes stock. span_end prints
 * "axload NAME mark M ops N us T cpu_us C irqs I": the time it took, that of this process' CPU,
 * and the interrupts of virtio devices. */
struct span {
	const char *name;
	uint64_t mark, start_ns, cpu_ns, irqs;
};
void span_begin(struct span *span, const char *name, int argc, char **argv);
void span_end(struct span *span, uint64_t ops);
void mark(uint64_t value);

/* Connected sockets, and the byte at each place of what is sent. ADDRESS: see axload.c. */
int connect_to(const char *address);
int listen_at(const char *address);
static inline uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

#endif
