/*
 * What a struct virtio_net_hdr_v1 may say (Spec 5.1.6.2, 5.1.6.4), whoever wrote it: a guest that
 * sends, or the far end of a packet socket, which is another guest. Only what was negotiated and
 * agrees with the frame's length goes on; what is inside the frame, the receiver checks itself.
 */
#include "net.h"
#include <endian.h>

/* The feature that allows a GSO type, for one direction; 0: none does. */
static uint64_t feature_of(uint8_t gso_type, bool to_guest)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return to_guest ? NET_BIT(GUEST_TSO4) : NET_BIT(HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return to_guest ? NET_BIT(GUEST_TSO6) : NET_BIT(HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		return to_guest ? NET_BIT(GUEST_TSO4) | NET_BIT(GUEST_ECN)
				: NET_BIT(HOST_TSO4) | NET_BIT(HOST_ECN);
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		return to_guest ? NET_BIT(GUEST_TSO6) | NET_BIT(GUEST_ECN)
				: NET_BIT(HOST_TSO6) | NET_BIT(HOST_ECN);
	default:
		return 0;
	}
}

static bool is_gso_sane(const struct net *net, struct virtio_net_hdr_v1 *header, uint32_t bytes,
			bool to_guest)
{
	const uint64_t feature = feature_of(header->gso_type, to_guest);
	const uint32_t gso_size = le16toh(header->gso_size);

	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		header->gso_size = 0;
		header->hdr_len = 0;
		return true;
	}
	/* A segment has payload and headers of its own, and its checksum is not done (5.1.6.2). */
	return feature && (net->features & feature) == feature && gso_size && gso_size < bytes &&
	       le16toh(header->hdr_len) <= bytes && header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
}

static bool is_checksum_sane(struct virtio_net_hdr_v1 *header, uint32_t bytes)
{
	const uint32_t start = le16toh(header->csum_start), offset = le16toh(header->csum_offset);

	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		header->csum_start = 0;
		header->csum_offset = 0;
		return true;
	}
	return start >= ETHERNET && start + offset + 2 <= bytes;
}

bool axvirtio_net_header_from_guest(const struct net *net, struct virtio_net_hdr_v1 *header,
				    uint32_t bytes)
{
	/* A driver sets no other flag, and none without the feature (5.1.6.2.1). */
	header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->num_buffers = 0;
	if (header->flags && !net_has(net, VIRTIO_NET_F_CSUM))
		return false;
	return is_gso_sane(net, header, bytes, false) && is_checksum_sane(header, bytes);
}

bool axvirtio_net_header_to_guest(const struct net *net, struct virtio_net_hdr_v1 *header,
				  uint32_t bytes, bool *ret_checksum)
{
	header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	if (!is_gso_sane(net, header, bytes, true) || !is_checksum_sane(header, bytes))
		return false;
	/* Such a driver expects zeros and complete checksums (5.1.6.4.1). */
	if (!net_has(net, VIRTIO_NET_F_GUEST_CSUM)) {
		*ret_checksum = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->flags = 0;
		header->csum_start = 0;
		header->csum_offset = 0;
	}
	return true;
}

/* ---- the Internet checksum (RFC 1071), in pieces --------------------------------------------- */

struct net_sum axvirtio_net_sum_begin(const struct virtio_net_hdr_v1 *header)
{
	const uint32_t start = le16toh(header->csum_start);

	return (struct net_sum){.start = start, .field = start + le16toh(header->csum_offset)};
}

void axvirtio_net_sum(struct net_sum *sum, uint8_t *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, sum->at++) {
		if (sum->writing && (sum->at == sum->field || sum->at == sum->field + 1))
			bytes[i] = (uint8_t)(sum->sum >> (sum->at == sum->field ? 8 : 0));
		else if (!sum->writing && sum->at >= sum->start)
			sum->sum += (uint64_t)bytes[i] << ((sum->at - sum->start) & 1 ? 0 : 8);
	}
}

void axvirtio_net_sum_end_pass(struct net_sum *sum)
{
	while (sum->sum >> 16)
		sum->sum = (sum->sum & 0xffff) + (sum->sum >> 16);
	/* A UDP checksum of 0 would mean that there is none. */
	sum->sum = sum->sum == 0xffff ? 0xffff : ~sum->sum & 0xffff;
	sum->at = 0;
	sum->writing = true;
}
