/*
 * File backings: which file, may it be mapped as asked, and is it long enough.
 *
 * What the check cannot do: a file that another process truncates while it is mapped makes every
 * access past its new end raise SIGBUS, in the guest's vCPU thread (KVM_RUN returns EFAULT) as in
 * ours. The accessor cannot turn that into an error; a program that maps files it does not control
 * should have them sealed (F_SEAL_SHRINK on a memfd) or install a SIGBUS handler that ends the VM.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *file_name(const struct axas_region_config *config)
{
	return config->fd < 0 ? config->path : "(file descriptor)";
}

static int file_error(const struct axas_region_config *config, int errnum, const char *what,
		      struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_IO, errnum, "region \"%s\": file %s: %s: %s",
			    config->name, file_name(config), what, strerror(errnum));
}

static int open_or_dup(const struct axas_region_config *config, bool writable,
		       struct axas_host_memory *backing, struct ax_error *err)
{
	int mode;

	if (config->fd < 0) {
		backing->fd = open(config->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		return backing->fd < 0 ? file_error(config, errno, "open", err) : 0;
	}
	backing->fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 0);
	mode = backing->fd < 0 ? -1 : fcntl(backing->fd, F_GETFL);
	if (mode < 0)
		return file_error(config, errno, "dup", err);
	mode &= O_ACCMODE;
	if (mode == O_WRONLY || (writable && mode != O_RDWR))
		return file_error(config, EACCES,
				  writable ? "not open for reading and writing"
					   : "not open for reading",
				  err);
	return 0;
}

static int check_length(const struct axas_region_config *config, const struct stat *st, int fd,
			struct ax_error *err)
{
	uint64_t end, length = (uint64_t)st->st_size;

	if (S_ISBLK(st->st_mode)) {
		off_t at_end = lseek(fd, 0, SEEK_END);
		if (at_end < 0)
			return file_error(config, errno, "lseek", err);
		length = (uint64_t)at_end;
	}
	if (!ax_add_overflows(config->fd_offset, config->size_bytes, &end) && end <= length)
		return 0;
	ax_error_set(
		err, AX_ERROR_IO, EINVAL,
		"region \"%s\": file %s has %llu bytes, the region needs %llu from offset %llu",
		config->name, file_name(config), (unsigned long long)length,
		(unsigned long long)config->size_bytes, (unsigned long long)config->fd_offset);
	ax_error_hint(err, "Give a file at least as long as the region or a smaller region; a byte "
			   "past the end of the file would end the monitor with SIGBUS.");
	return -EINVAL;
}

int axas_backing_open_file(const struct axas_region_config *config,
			   struct axas_host_memory *backing, struct ax_error *err)
{
	bool writable = config->flags & AXAS_WRITE;
	struct statfs fs;
	struct stat st;
	uint64_t mask;
	int rc = open_or_dup(config, writable, backing, err);

	if (rc < 0)
		return rc;
	if (fstat(backing->fd, &st) < 0 || fstatfs(backing->fd, &fs) < 0)
		return file_error(config, errno, "fstat", err);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return file_error(config, EINVAL, "neither a file nor a device", err);
	if (S_ISCHR(st.st_mode)) {
		backing->is_special = true; /* has no length; its driver refuses at mmap */
	} else {
		rc = check_length(config, &st, backing->fd, err);
		if (rc < 0)
			return rc;
	}
	if (fs.f_type == HUGETLBFS_MAGIC) {
		backing->is_hugetlb = true;
		backing->page_size_bytes = (uint64_t)fs.f_bsize;
	}
	backing->file_offset = config->fd_offset;
	backing->guest_writable = writable;
	/* Read-only memory is mapped private, so that the monitor may still patch what the guest
	 * reads without the file changing. Not from the huge-page pool, where each private page
	 * would need a second one. */
	backing->is_private = !writable && !backing->is_hugetlb;
	backing->host_writable = writable || backing->is_private;
	mask = backing->page_size_bytes - 1;
	if ((config->gpa | config->size_bytes | config->fd_offset) & mask)
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "region \"%s\": gpa 0x%llx, size 0x%llx and file offset 0x%llx "
				    "must be multiples of the file's page size, %llu",
				    config->name, (unsigned long long)config->gpa,
				    (unsigned long long)config->size_bytes,
				    (unsigned long long)config->fd_offset,
				    (unsigned long long)(mask + 1));
	return 0;
}
