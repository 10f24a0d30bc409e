/*
 * The limit of open files of this process: a vCPU takes two of them, and shells start programs with
 * 1024. What a user or service manager has set as the hard limit stays.
 */
#include "cmd.h"

#include <sys/resource.h>

void allow_files(uint32_t vcpus)
{
	/* Devices and their queues beside the vCPUs' own and their statistics. */
	const rlim_t want = 1024 + 4 * (rlim_t)vcpus;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= want)
		return;
	files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
	/* Should it not be let, the file that is one too many says so. */
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		ax_log(AX_LOG_DEBUG, "axvm", "the limit of open files cannot be raised");
}
