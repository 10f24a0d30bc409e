/*
 * Which VMs run: the sockets in the directories where VMs put them. One that nobody listens on any
 * more was a killed VM's, and is removed when its process is gone, too: between making a socket and
 * listening on it there is a moment in which a living one looks the same.
 */
#include "private.h"

#include <axvm/ledger.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void axapi_file_name(const char *name, char buf[AXAPI_NAME_ROOM])
{
	size_t i = 0;

	for (; name[i] && i + 1 < AXAPI_NAME_ROOM; i++) {
		const char c = name[i];
		const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				   (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';

		buf[i] = (char)(plain ? c : '_');
	}
	buf[i] = '\0';
}

bool axapi_is_called(const struct axapi_vm *vm, const char *name_or_pid)
{
	char name[AXAPI_NAME_ROOM], pid[16];

	axapi_file_name(name_or_pid, name);
	snprintf(pid, sizeof(pid), "%d", (int)vm->pid);
	return !strcmp(vm->name, name) || !strcmp(pid, name_or_pid);
}

/* PID-NAME.sock */
static bool read_name(const char *file, struct axapi_vm *vm)
{
	const size_t length = strlen(file), suffix = strlen(AXAPI_SUFFIX);
	char *end;
	const long pid = strtol(file, &end, 10);

	if (file[0] < '1' || file[0] > '9' || *end != '-' || pid > INT32_MAX || length < suffix ||
	    strcmp(file + length - suffix, AXAPI_SUFFIX) != 0)
		return false;
	vm->pid = (pid_t)pid;
	snprintf(vm->name, sizeof(vm->name), "%.*s", (int)(file + length - suffix - end - 1),
		 end + 1);
	for (char *c = vm->name; *c; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
	return true;
}

/* No VM lets another user ask it, but root: what does is none, and is told nothing. */
static bool may_ask(uid_t owner)
{
	return geteuid() == 0 || geteuid() == owner;
}

/* Is there a VM behind this name? */
static bool look(const char *directory, const char *file, struct axapi_vm *vm)
{
	struct stat st;
	int rc;

	*vm = (struct axapi_vm){0};
	if (!read_name(file, vm) ||
	    snprintf(vm->path, sizeof(vm->path), "%s/%s", directory, file) >= (int)sizeof(vm->path))
		return false;
	if (lstat(vm->path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	vm->uid = st.st_uid;
	rc = ax_socket_probe(vm->path);
	if (rc == -ECONNREFUSED && kill(vm->pid, 0) != 0 && errno == ESRCH)
		unlink(vm->path);
	vm->is_closed = rc == -EACCES || rc == -EPERM || (!rc && !may_ask(st.st_uid));
	return !rc || vm->is_closed;
}

static int add(struct axapi_vms *vms, const struct axapi_vm *vm)
{
	struct axapi_vm *more = realloc(vms->vms, (vms->count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	vms->vms = more;
	vms->vms[vms->count++] = *vm;
	return 0;
}

static int search(const char *directory, struct axapi_vms *vms, struct ax_error *err)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	struct axapi_vm vm;
	int rc = 0;

	if (!dir)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, errno,
				    "cannot look for VMs in %s: %s", directory, strerror(errno));
	while (!rc && (entry = readdir(dir)))
		if (look(directory, entry->d_name, &vm))
			rc = add(vms, &vm);
	closedir(dir);
	return rc ? ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a list of VMs")
		  : 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct axapi_vm *left = a, *right = b;

	return left->pid != right->pid ? (left->pid > right->pid) - (left->pid < right->pid)
				       : strcmp(left->path, right->path);
}

int axapi_find(const char *directory, struct axapi_vms *ret_vms, struct ax_error *err)
{
	char paths[2][AXLEDGER_PATH_LENGTH];
	struct axapi_vms vms = {0};
	int rc = 0;

	if (directory) {
		rc = search(directory, &vms, err);
	} else {
		const size_t count = axledger_directories(paths);

		for (size_t i = 0; !rc && i < count; i++)
			rc = search(paths[i], &vms, err);
	}
	if (rc) {
		axapi_vms_free(&vms);
		return rc;
	}
	if (vms.count)
		qsort(vms.vms, vms.count, sizeof(*vms.vms), by_pid);
	*ret_vms = vms;
	return 0;
}

void axapi_vms_free(struct axapi_vms *vms)
{
	free(vms->vms);
	*vms = (struct axapi_vms){0};
}
