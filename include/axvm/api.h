/*
 * api: what another process may ask of a VM that runs. Each VM has a Unix stream socket beside the
 * ledger (ledger.h says where that is), named PID-NAME.sock and open to its own user and root. A
 * line is a request, one JSON object; a line comes back for each, in order:
 *
 *     {"get":"stats"}       {"stats":{...}}      a look at the VM (live.h)
 *     {"get":"version"}     {"version":{...}}    of the program and of this protocol
 *     anything else         {"error":{"kind":...,"message":...,"hint":...}}
 *
 * docs/top.md has the keys. Requests of other verbs than "get" are to come; who asks something that
 * this version does not know gets an error and may go on.
 */
#ifndef AXVM_API_H
#define AXVM_API_H

#include <axvm/base.h>
#include <axvm/live.h>

#define AXAPI_VERSION     1
#define AXAPI_MAX_REQUEST 1024U       /* bytes of a line, without its end */
#define AXAPI_MAX_ANSWER  (16U << 20) /* likewise */
#define AXAPI_MAX_CLIENTS 32U         /* one more, and who was silent longest is dropped */
#define AXAPI_LOOK_PAGES  1024U       /* of the memory, for one answer */
#define AXAPI_LOOK_NS     20000000ULL /* an answer younger than this is given again */

/* ---- one VM's end: on a loop of its control thread ------------------------------------------- */

enum axapi_request { AXAPI_GET_STATS, AXAPI_GET_VERSION, AXAPI_REQUEST_COUNT };
/* One line without its end. AX_ERROR_USAGE names what is wrong with it. */
int axapi_parse_request(const char *line, size_t length, enum axapi_request *ret_request,
			struct ax_error *err);

struct axapi_server;
/*
 * Listens for as long as it lives, for a VM of that name; costs nothing while nobody asks.
 * directory NULL: the ledger's. Clients cannot hold anybody up: what they do not read waits in one
 * buffer each, and until it is gone no other request of theirs is looked at. The loop must outlive
 * it.
 */
int axapi_server_create(struct ax_loop *loop, const char *name, const char *directory,
			struct axapi_server **ret_server, struct ax_error *err) AX_MUST_CHECK;
/* It answers for this VM from now on, which may be the next of its name. NULL: there is none, and
 * until there is the loop may not run: who asks waits. On the loop's thread. */
void axapi_server_show(struct axapi_server *server, struct axvm *vm);
void axapi_server_destroy(struct axapi_server *server); /* removes the socket; NULL is fine */
const char *axapi_server_path(const struct axapi_server *server);

/* ---- the other end --------------------------------------------------------------------------- */

struct axapi_vm {
	char path[108];
	char name[64]; /* as in the socket's: what a file cannot be called is replaced */
	pid_t pid;     /* as its own process sees it */
	uid_t uid;
	bool is_closed; /* another user's, who alone may ask it, or root */
};
struct axapi_vms {
	struct axapi_vm *vms; /* by pid */
	size_t count;
};
/* VMs that run. Sockets of those that were killed are removed on the way, where this user may.
 * directory NULL: wherever VMs of this user, and those of others that may be seen, have them. */
int axapi_find(const char *directory, struct axapi_vms *ret_vms,
	       struct ax_error *err) AX_MUST_CHECK;
/* By its name, as far as that shows in a socket's, or its pid in decimal. */
bool axapi_is_called(const struct axapi_vm *vm, const char *name_or_pid);
void axapi_vms_free(struct axapi_vms *vms); /* zeroed is fine */

struct axapi_client;
/* Waits at most timeout_ms for a connection: -ETIMEDOUT. Where other users may make names, what was
 * found may be a way to another's socket by now: nothing is sent before the caller asks, who can
 * see whose it is. */
int axapi_connect(const char *path, uint32_t timeout_ms, struct axapi_client **ret_client,
		  struct ax_error *err) AX_MUST_CHECK;
/* The process that listens there, as this one sees it (0: it cannot), and its user. */
pid_t axapi_peer(const struct axapi_client *client, uid_t *ret_uid);
/* Does the process listen there whose pid and user the name of the socket tells? Anybody may make
 * names in a directory for all. */
int axapi_check_peer(const struct axapi_client *client, const struct axapi_vm *vm,
		     struct ax_error *err) AX_MUST_CHECK;
void axapi_disconnect(struct axapi_client *client); /* NULL is fine */
/*
 * Asks, and waits at most timeout_ms for the answer. After -ETIMEDOUT the next call goes on waiting
 * for that answer: who asks many VMs calls it with 0 for each, polls for all of them (POLLIN), and
 * calls it again for those that have something. After another error the connection is of no more
 * use, but for one that the VM answered with.
 */
int axapi_get_stats(struct axapi_client *client, uint32_t timeout_ms, struct axvm_live **ret_live,
		    struct ax_error *err) AX_MUST_CHECK;
int axapi_fd(const struct axapi_client *client);

/* ---- a look as text -------------------------------------------------------------------------- */

/* One line without its end, malloc'ed. */
int axapi_stats_to_text(const struct axvm_live *live, char **ret_text,
			struct ax_error *err) AX_MUST_CHECK;
/* From whom it may: everything is checked, keys that are not known are skipped. -EBADMSG, or the
 * error that the other side answered with. */
int axapi_stats_from_text(const char *text, size_t length, struct axvm_live **ret_live,
			  struct ax_error *err) AX_MUST_CHECK;

#endif
