/*
 * A cursor over host vectors that belong to the caller: it is moved and trimmed in place.
 */
#ifndef AXVM_VIRTIO_IOV_H
#define AXVM_VIRTIO_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct iov_cursor {
	struct iovec *iov;
	unsigned count;
};

enum iov_move { IOV_SKIP, IOV_GATHER, IOV_SCATTER };

/* Advance by up to n bytes, copying to (gather) or from (scatter) buf. Returns bytes passed. */
static inline size_t iov_advance(struct iov_cursor *cursor, enum iov_move move, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n && cursor->count) {
		struct iovec *iov = cursor->iov;
		const size_t step = n - done < iov->iov_len ? n - done : iov->iov_len;

		if (move == IOV_GATHER)
			memcpy((uint8_t *)buf + done, iov->iov_base, step);
		else if (move == IOV_SCATTER)
			memcpy(iov->iov_base, (uint8_t *)buf + done, step);
		iov->iov_base = (uint8_t *)iov->iov_base + step;
		iov->iov_len -= step;
		done += step;
		if (!iov->iov_len) {
			cursor->iov++;
			cursor->count--;
		}
	}
	return done;
}

#endif
