/*
 * config: the configuration root. One schema (src/config/schema.c: a row per option) serves the
 * defaults, the JSON file, the command line, `axvm config dump`, --help, the shell completion and
 * the tables of the man page; every value passes the same setter and the same checks.
 *
 *   builder  --file-->  --arguments-->  finish  =>  const struct axcfg *   (frozen)
 *
 * Configuration flows down: axvm hands slices of the frozen struct to the layers below, none of
 * which parses a string or looks at a file for its settings.
 *
 * Threads: a builder belongs to one thread; a finished configuration may be read by all.
 */
#ifndef AXVM_CONFIG_H
#define AXVM_CONFIG_H

#include <axvm/base.h>

#define AXCFG_MAX_DISKS    16
#define AXCFG_MAX_REGIONS  16
#define AXCFG_MAX_CPUS     1024
#define AXCFG_MAX_NETS     8
#define AXCFG_MAX_CONSOLES 8
#define AXCFG_MAX_IO       16 /* I/O threads */

struct axcfg_uint_list {
	uint64_t *values; /* owned */
	size_t count;
};

/* Per second, and what may come at once; 0: no limit, and a tenth of a second's worth. */
struct axcfg_limit {
	uint64_t bytes, bytes_burst, ops, ops_burst;
};

struct axcfg_disk {
	char *path;
	bool read_only;
	char *serial;    /* GET_ID; NULL: the disk's name */
	bool direct;     /* O_DIRECT */
	char *base;      /* path is an overlay over it; NULL: path is the whole disk */
	uint64_t queues; /* 0: as many as suit the transport and the vCPUs */
	bool discard;    /* offer discard and write-zeroes */
	struct axcfg_limit limit;
};

/* Order of the choices in the schema. */
enum axcfg_net_type { AXCFG_NET_AUTO, AXCFG_NET_TAP, AXCFG_NET_PASST, AXCFG_NET_SWITCH };

struct axcfg_net {
	uint32_t type; /* AUTO: as tap or socket say, else passt */
	char *tap;     /* name of a tap interface; NULL: the kernel names one */
	char *socket;  /* of a running passt or switch; NULL: passt is started */
	char *mac;     /* NULL: made from the name */
	uint64_t mtu, queues;
	bool offload, vhost;
	struct axcfg_limit rx, tx;
};

enum axcfg_console_mode {
	AXCFG_CONSOLE_STDIO,
	AXCFG_CONSOLE_FILE,
	AXCFG_CONSOLE_PTY,
	AXCFG_CONSOLE_SOCKET,
	AXCFG_CONSOLE_NULL
};

struct axcfg_console {
	uint32_t mode;
	char *path; /* file, socket */
	char *name; /* the guest finds it in /dev/virtio-ports; such a port is no terminal */
};

struct axcfg_region {
	uint64_t gpa, size_bytes;
	uint32_t map_type; /* enum axas_map_type */
	char *path;        /* reserved only */
	bool read_only;
};

/* Order of the choices in the schema. */
enum axcfg_serial_mode {
	AXCFG_SERIAL_AUTO, /* stdio, unless a virtio console is there; never in a frozen one */
	AXCFG_SERIAL_STDIO,
	AXCFG_SERIAL_FILE,
	AXCFG_SERIAL_PTY,
	AXCFG_SERIAL_NONE
};
enum axcfg_backing {
	AXCFG_BACKING_AUTO, /* as the profile says */
	AXCFG_BACKING_ANON,
	AXCFG_BACKING_THP,
	AXCFG_BACKING_HUGETLB_2M,
	AXCFG_BACKING_HUGETLB_1G,
};
enum axcfg_protocol {
	AXCFG_PROTOCOL_AUTO,
	AXCFG_PROTOCOL_LINUX64,
	AXCFG_PROTOCOL_LINUX32,
	AXCFG_PROTOCOL_PVH,
	AXCFG_PROTOCOL_FLAT,
};
enum axcfg_announce {
	AXCFG_ANNOUNCE_AUTO,
	AXCFG_ANNOUNCE_TABLES,
	AXCFG_ANNOUNCE_CMDLINE,
	AXCFG_ANNOUNCE_BOTH
};
enum axcfg_gic { AXCFG_GIC_AUTO, AXCFG_GIC_2, AXCFG_GIC_3 };
enum axcfg_uart { AXCFG_UART_AUTO, AXCFG_UART_16550, AXCFG_UART_PL011 };
enum axcfg_transport { AXCFG_TRANSPORT_AUTO, AXCFG_TRANSPORT_MMIO, AXCFG_TRANSPORT_PCI };
enum axcfg_io_engine { AXCFG_IO_AUTO, AXCFG_IO_URING, AXCFG_IO_EPOLL };
enum axcfg_placement {
	AXCFG_PLACEMENT_AUTO,
	AXCFG_PLACEMENT_DEDICATED,
	AXCFG_PLACEMENT_SHARED,
	AXCFG_PLACEMENT_OFF
};
enum axcfg_cores { AXCFG_CORES_AUTO, AXCFG_CORES_OWN, AXCFG_CORES_SMT };
enum axcfg_idle { AXCFG_IDLE_AUTO, AXCFG_IDLE_HOST, AXCFG_IDLE_GUEST };
enum axcfg_scheduler {
	AXCFG_SCHEDULER_OTHER,
	AXCFG_SCHEDULER_BATCH,
	AXCFG_SCHEDULER_FIFO,
	AXCFG_SCHEDULER_RR
};
enum axcfg_irq_mode { AXCFG_IRQ_EMULATED, AXCFG_IRQ_NONE };
enum axcfg_on_event { AXCFG_ON_EXIT, AXCFG_ON_RESTART };
enum axcfg_unclaimed { AXCFG_UNCLAIMED_IGNORE, AXCFG_UNCLAIMED_FAULT };

/* Everything one VM is built from. Strings are NULL when not set. */
struct axcfg {
	char *name;
	char *arch;    /* "auto" or an architecture's name */
	char *profile; /* "auto" or a profile's name */
	char *kvm_device;
	struct {
		char *path;
		char *initrd;
		char *dtb;     /* device tree to patch instead of making one up */
		char *cmdline; /* replaces the default command line */
		char *append;  /* goes behind it */
		uint32_t protocol;
		uint64_t load_gpa, entry, bits;
	} kernel;
	struct {
		uint64_t count;
		struct axcfg_uint_list ids;      /* hardware ids, one per vCPU, or empty */
		struct axcfg_uint_list affinity; /* host CPU per vCPU, or empty */
		uint32_t idle, scheduler;
		uint64_t priority; /* in the classes fifo and rr */
	} cpus;
	/* Where it may run and how; docs/placement.md. */
	struct {
		uint32_t mode, cores;
		struct axcfg_uint_list nodes, keep_free; /* of the host */
		uint64_t max_nodes;                      /* 0: any */
		bool spread, whole_nodes, overcommit;
	} placement;
	struct {
		uint64_t size_bytes;
		uint32_t backing;
		bool populate, prefault, lock; /* prefault: only what a plan binds to nodes */
		struct axcfg_region regions[AXCFG_MAX_REGIONS];
		size_t region_count;
	} memory;
	struct axcfg_disk disks[AXCFG_MAX_DISKS];
	size_t disk_count;
	struct axcfg_net nets[AXCFG_MAX_NETS];
	size_t net_count;
	struct axcfg_console consoles[AXCFG_MAX_CONSOLES];
	size_t console_count;
	bool rng;
	struct axcfg_limit rng_limit;
	struct {
		char *path; /* NULL: no vsock */
		uint64_t cid;
		struct axcfg_limit limit;
	} vsock;
	struct {
		bool enabled, deflate_on_oom, report_free_pages;
		uint64_t size_bytes, stats_ns;
	} balloon;
	struct {
		uint64_t threads;                /* 0: as the plan says, else one */
		struct axcfg_uint_list affinity; /* host CPU per I/O thread, or empty */
		uint32_t engine;
	} io;
	struct {
		uint32_t mode;
		char *path; /* file */
	} serial;
	struct {
		bool acpi, mp_table, pit;
		uint32_t gic, uart, irq_mode, announce, unclaimed, transport;
	} machine;
	struct {
		uint64_t timeout_ns, max_exits;
	} limits;
	uint32_t on_reboot;
	bool metrics;  /* summary when the VM ends */
	bool timeline; /* and where the time to boot went */
};

/* ---- building -------------------------------------------------------------------------------- */

struct axcfg_builder;
int axcfg_builder_create(struct axcfg_builder **ret_builder, struct ax_error *err) AX_MUST_CHECK;
void axcfg_builder_destroy(struct axcfg_builder *builder); /* NULL is fine */
/* Values of a JSON file over what is set so far. Errors name file, key, value and expectation. */
int axcfg_builder_file(struct axcfg_builder *builder, const char *path, struct ax_error *err);
int axcfg_builder_json(struct axcfg_builder *builder, const char *name, const char *text,
		       size_t length, struct ax_error *err);
/*
 * Command-line words (argv[0] is skipped). Lists given here replace those of a file. Words that
 * are no options: the first is the kernel, a second is an error. "config" options name files and
 * are read before all other words. Flags of the program itself ("-v") are offered to `extra` (may
 * be NULL), once each: it returns 0 when it knows the flag, -ENOENT when it does not.
 */
int axcfg_builder_args(struct axcfg_builder *builder, int argc, char *const *argv,
		       int (*extra)(void *ctx, const char *flag), void *ctx, struct ax_error *err);
/* One value by its schema key ("memory.size"); a list option takes one more item. */
int axcfg_builder_set(struct axcfg_builder *builder, const char *key, const char *value,
		      struct ax_error *err);
/* Cross-checks, then freezes. The builder is empty afterwards whatever happens. */
int axcfg_builder_finish(struct axcfg_builder *builder, const struct axcfg **ret_config,
			 struct ax_error *err) AX_MUST_CHECK;
void axcfg_destroy(const struct axcfg *config); /* NULL is fine */

/* ---- looking at it --------------------------------------------------------------------------- */

/* The configuration as JSON that axcfg_builder_file accepts; *ret_text is malloc'ed, the caller's.
 */
int axcfg_dump(const struct axcfg *config, char **ret_text, struct ax_error *err);
/* "52:54:00:12:34:56". -EINVAL: no such form; -EADDRNOTAVAIL: zero or a group address. */
int axcfg_parse_mac(const char *text, uint8_t ret_mac[6]);
/*
 * Would a run find what it names usable on this host, now: images, disks and their locks, taps,
 * sockets, CPUs? For `config check`; `run` finds out by itself. Nothing is made, changed, locked or
 * connected to. Errors name the option ("disks[0]") and are all of the configuration.
 */
int axcfg_check_files(const struct axcfg *config, struct ax_error *err);

enum axcfg_type {
	AXCFG_BOOL,
	AXCFG_UINT,     /* decimal or 0x, within min..max */
	AXCFG_SIZE,     /* 512M; a bare number counts MiB */
	AXCFG_ADDRESS,  /* as UINT, shown in hexadecimal */
	AXCFG_DURATION, /* 10s, 500ms, 2m; a bare number counts seconds; kept in ns */
	AXCFG_STRING,
	AXCFG_PATH,
	AXCFG_CHOICE,
	AXCFG_UINTS,   /* 0,2,4-7 */
	AXCFG_OBJECTS, /* repeatable: PATH[,key=value...] */
};

/* One row of the schema, for help, completion and documentation. */
struct axcfg_option {
	const char *key;   /* in files: "memory.size" */
	const char *flag;  /* "memory"; NULL: files only */
	const char *alias; /* another long flag, or NULL */
	char short_flag;   /* 'm', or 0 */
	enum axcfg_type type;
	const char *default_text; /* NULL: not set */
	const char *metavar;      /* "SIZE" */
	const char *help;         /* one line */
	const char *group;        /* "Memory" */
	uint64_t min, max;
	const char *const *choices; /* NULL-terminated */
	/* Where the value stands. */
	size_t offset, count_offset, item_size, item_max;
	const struct axcfg_option *fields; /* OBJECTS: the item's own rows, key NULL ends */
};
const struct axcfg_option *axcfg_option_at(size_t index); /* NULL past the end */

#endif
