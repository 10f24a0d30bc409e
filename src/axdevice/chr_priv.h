/*
 * The character backend's own types, shared by its files: chr.c (creation and the wake-up),
 * chr_output.c (ring and draining), chr_input.c (reading with back-pressure), chr_fd.c (file
 * descriptors that must not block and must not be changed for others), chr_socket.c (clients that
 * come and go).
 */
#ifndef AXDEVICE_CHR_PRIV_H
#define AXDEVICE_CHR_PRIV_H

#include <axvm/axdevice.h>
#include <pthread.h>

#define CHR_LAYER      "chr"
#define CHR_RING_BYTES (64 * 1024u) /* power of two */
#define CHR_IN_BYTES   4096u

/* How a descriptor is used without ever blocking and without O_NONBLOCK on somebody else's. */
enum chr_fd_kind {
	CHR_FD_NONE,
	CHR_FD_FILE,     /* no readiness (regular file, /dev/null): used directly */
	CHR_FD_NONBLOCK, /* nonblocking description: our own, or its owner made it so */
	CHR_FD_SOCKET,   /* MSG_DONTWAIT does it per call */
	CHR_FD_SHARED,   /* blocking and not ours: poll, then a transfer that poll has promised */
};

struct chr_fd {
	enum chr_fd_kind kind;
	int fd;                 /* ours: a reopened or duplicated one; -1 for NONE */
	size_t write_max;       /* SHARED: bytes that a writable poll promises */
	struct ax_event *event; /* registered while we wait for readiness */
};

/* A backend whose other end comes and goes: the client's two descriptors are the axchr's. */
struct chr_socket {
	struct ax_listener listen;
	struct ax_event *event;  /* asleep while there is a client */
	struct ax_event *retry;  /* timer: accept failed for want of something */
	struct ax_event *hangup; /* a client that sends no more but reads */
	bool connected;
	bool input_ended;
};

struct axchr {
	struct axchr_config config;
	struct chr_socket socket;
	struct ax_loop *loop;
	struct axchr_device device; /* all NULL: none bound */
	int wake_fd;
	struct ax_event *wake_event;
	_Atomic uint64_t wakeups; /* writes to wake_fd */

	/* Output. Positions run freely, slot = position mod ring size. sent <= tapped <= filled
	 * (modulo 2^32). Producers move `filled`, the loop's thread the other two, all under lock;
	 * bytes between them are stable for the loop's thread without it. */
	pthread_mutex_t lock;
	uint32_t filled, tapped, sent;
	bool wake_due;   /* the loop has been told and has not looked yet, or waits for EPOLLOUT */
	bool fell_short; /* a send took less than it was given: can_send is owed */
	uint8_t *ring;
	struct chr_fd out; /* NONE once the reader is gone: everything is discarded */
	bool out_loss_logged;

	/* Input, loop's thread only but for the flag. */
	struct chr_fd in;
	uint8_t in_buffer[CHR_IN_BYTES]; /* filtered, waiting for the device */
	size_t in_start, in_count;
	_Atomic bool in_blocked; /* bytes wait for the device: resume_input has work to do */
};

/* chr_fd.c. open never fails: what cannot be used becomes CHR_FD_NONE with a warning. */
void axchr_fd_open(struct chr_fd *self, int fd, bool for_write);
void axchr_fd_close(struct chr_fd *self);
/* As read(2) and write(2) with a negative errno; -EAGAIN instead of blocking. */
ssize_t axchr_fd_write(const struct chr_fd *self, const uint8_t *bytes, size_t count);
ssize_t axchr_fd_read(const struct chr_fd *self, uint8_t *bytes, size_t count);
/* Wait for readiness on the loop. -EPERM turns the descriptor into CHR_FD_FILE. */
int axchr_fd_watch(struct chr_fd *self, struct ax_loop *loop, uint32_t events, ax_event_fn *fn,
		   void *ctx);
void axchr_fd_unwatch(struct chr_fd *self);

/* chr_socket.c, loop's thread. All but open and close may be called for any backend. */
int axchr_socket_open(struct axchr *chr, const char *path, struct ax_error *err);
void axchr_socket_close(struct axchr *chr);
static inline bool axchr_is_socket(const struct axchr *chr)
{
	return chr->socket.listen.fd >= 0;
}
void axchr_socket_end_input(struct axchr *chr); /* the client sends no more */
/* Part from a client that is gone and whose input has been taken. */
void axchr_socket_settle(struct axchr *chr);

void axchr_wake(struct axchr *chr);

/* Loop's thread. */
void axchr_drain(struct axchr *chr);
void axchr_pump(struct axchr *chr);

/* System calls spent on waking the loop, for tests and benchmarks. */
uint64_t axchr_wakeups(const struct axchr *chr);

#endif
