/*
 * KVM's binary statistics (KVM_GET_STATS_FD; Documentation/virt/kvm/api.rst 4.133): the descriptors
 * are read once, values with one pread each. Every offset the file states is checked against its
 * own descriptors' sizes; only the first item of a histogram is offered.
 */
#include "kvm_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far beyond what any KVM has; a file that claims more is not one of its. */
#define MAX_STATS     4096u
#define MAX_NAME_SIZE 256u

struct stat_entry {
	const char *name;
	uint64_t offset; /* in the file */
};

struct axkvm_stats {
	int fd;
	size_t count;
	char *names; /* count strings of name_size bytes */
	struct stat_entry entries[];
};

static int malformed(struct ax_error *err, const char *what, uint64_t value)
{
	return ax_error_set(err, AX_ERROR_INTERNAL, EBADMSG,
			    "KVM's statistics are malformed: %s is %" PRIu64, what, value);
}

static int read_entries(struct axkvm_stats *stats, const struct kvm_stats_header *header,
			const char *descs, struct ax_error *err)
{
	size_t step = sizeof(struct kvm_stats_desc) + header->name_size;

	for (size_t i = 0; i < header->num_desc; i++) {
		struct kvm_stats_desc desc;
		const char *raw = descs + i * step;
		char *name = stats->names + i * header->name_size;

		memcpy(&desc, raw, sizeof(desc));
		memcpy(name, raw + sizeof(desc), header->name_size);
		if (!memchr(name, '\0', header->name_size))
			return malformed(err, "an unterminated name, number", i);
		if (desc.size == 0)
			return malformed(err, "the size of a statistic", 0);
		stats->entries[i].name = name;
		stats->entries[i].offset = (uint64_t)header->data_offset + desc.offset;
	}
	return 0;
}

int axkvm_stats_parse(int fd, struct axkvm_stats **ret_stats, struct ax_error *err)
{
	struct kvm_stats_header header;
	int ret = ax_pread_full(fd, &header, sizeof(header), 0);
	if (ret < 0)
		return ax_error_set(err, AX_ERROR_IO, -ret, "KVM's statistics header: %s",
				    strerror(-ret));
	if (header.num_desc == 0 || header.num_desc > MAX_STATS)
		return malformed(err, "the number of statistics", header.num_desc);
	if (header.name_size == 0 || header.name_size > MAX_NAME_SIZE)
		return malformed(err, "the size of names", header.name_size);

	size_t count = header.num_desc;
	size_t desc_bytes = count * (sizeof(struct kvm_stats_desc) + header.name_size);
	AX_AUTO_FREE char *descs = malloc(desc_bytes);
	struct axkvm_stats *stats = calloc(1, sizeof(*stats) + count * sizeof(stats->entries[0]));
	char *names = malloc(count * header.name_size);
	if (!descs || !stats || !names) {
		free(stats);
		free(names);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %zu statistics",
				    count);
	}
	stats->fd = -1;
	stats->count = count;
	stats->names = names;
	ret = ax_pread_full(fd, descs, desc_bytes, header.desc_offset);
	if (ret < 0)
		ax_error_set(err, AX_ERROR_IO, -ret, "the descriptors of KVM's statistics: %s",
			     strerror(-ret));
	else
		ret = read_entries(stats, &header, descs, err);
	if (ret < 0) {
		axkvm_stats_close(stats);
		return ret;
	}
	stats->fd = fd;
	*ret_stats = stats;
	return 0;
}

int axkvm_stats_open(int vm_or_vcpu_fd, struct axkvm_stats **ret_stats, struct ax_error *err)
{
	int fd = axkvm_real_sys.ioctl(vm_or_vcpu_fd, KVM_GET_STATS_FD, 0);
	if (fd < 0) {
		int error = errno;
		ax_error_set(err, AX_ERROR_UNSUPPORTED, error, "KVM_GET_STATS_FD: %s",
			     strerror(error));
		ax_error_hint(err, "KVM has statistics since Linux 5.14");
		return -error;
	}
	int ret = axkvm_stats_parse(fd, ret_stats, err);
	if (ret < 0)
		close(fd);
	return ret;
}

void axkvm_stats_close(struct axkvm_stats *stats)
{
	if (!stats)
		return;
	if (stats->fd >= 0)
		close(stats->fd);
	free(stats->names);
	free(stats);
}

int axkvm_stats_read(const struct axkvm_stats *stats, const char *name, uint64_t *ret_value)
{
	for (size_t i = 0; i < stats->count; i++) {
		uint64_t value;

		if (strcmp(stats->entries[i].name, name) != 0)
			continue;
		int ret = ax_pread_full(stats->fd, &value, sizeof(value), stats->entries[i].offset);
		if (ret < 0)
			return ret;
		*ret_value = value;
		return 0;
	}
	return -ENOENT;
}

const char *axkvm_stats_name(const struct axkvm_stats *stats, size_t index)
{
	return index < stats->count ? stats->entries[index].name : NULL;
}
