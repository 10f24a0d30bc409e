/*
 * The split virtqueue against arbitrary ring contents. Input: 2 bytes of set-up, then guest memory
 * from address 0: descriptors at 0, avail ring at 0x200, used ring at 0x400, the rest free.
 * Whatever pop lets through must lie in guest memory and keep the order and counts it claims.
 */
#include "virtio_machine.h"

#define IOV_MAX_ 40

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	machine_init();
	return 0;
}

static void check_chain(const struct axvq *vq, const struct axvq_chain *chain)
{
	uint64_t readable = 0, writable = 0;

	MUST(chain->head < vq->size);
	MUST(chain->readable + chain->writable <= IOV_MAX_);
	for (uint32_t i = 0; i < chain->readable + chain->writable; i++) {
		const struct iovec *iov = &chain->iov[i];

		MUST(iov->iov_len > 0);
		MUST(in_guest(iov->iov_base, iov->iov_len));
		*(i < chain->readable ? &readable : &writable) += iov->iov_len;
	}
	MUST(readable == chain->readable_bytes && writable == chain->writable_bytes);
	MUST(readable + writable <= 1ULL << 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct axvq_setup setup = {.desc_gpa = 0, .avail_gpa = 0x200, .used_gpa = 0x400};
	struct axvq vq = {0};
	enum axvq_error why = AXVQ_OK;
	struct iovec iov[IOV_MAX_];
	struct axvq_chain chain;
	uint64_t features = 0;
	unsigned taken = 0;
	int r;

	if (size < 2)
		return 0;
	load_memory(data + 2, size - 2);
	setup.size = 1u << (data[0] & 7);
	if (data[0] & 8) /* rings anywhere at all */
		memcpy(&setup, data + 2, size - 2 < sizeof(setup) ? size - 2 : sizeof(setup));
	if (data[1] & 1)
		features |= 1ULL << VIRTIO_RING_F_EVENT_IDX;
	if (data[1] & 2)
		features |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	if (axvq_start(&vq, memory, &setup, 32, features, &why) < 0) {
		MUST(why != AXVQ_OK && vq.size == 0);
		return 0;
	}
	axvq_disable_kicks(&vq);
	while ((r = axvq_pop(&vq, iov, (data[1] >> 4) + IOV_MAX_ - 15, &chain)) > 0) {
		check_chain(&vq, &chain);
		/* Writing may change the rings under us, as any device's write may. */
		for (uint32_t i = chain.readable; i < chain.readable + chain.writable; i++)
			memset(iov[i].iov_base, data[0], iov[i].iov_len < 64 ? iov[i].iov_len : 64);
		axvq_push(&vq, chain.head, (uint32_t)chain.writable_bytes);
		if (data[1] & 4)
			axvq_publish(&vq);
		if (++taken > 4 * vq.size)
			break;
	}
	MUST(r >= 0 || vq.broken != AXVQ_OK);
	axvq_publish(&vq);
	axvq_enable_kicks(&vq);
	return 0;
}
