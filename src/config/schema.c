/*
 * The schema: one row for every option there is, in the order of --help. Sources, dump, help,
 * completion and man page are all driven by these rows; the code that uses a value is elsewhere.
 */
#include "config_private.h"

#define AT(member)      .offset = offsetof(struct axcfg, member)
#define DISK(member)    .offset = offsetof(struct axcfg_disk, member)
#define NET(member)     .offset = offsetof(struct axcfg_net, member)
#define CONSOLE(member) .offset = offsetof(struct axcfg_console, member)
#define REGION(member)  .offset = offsetof(struct axcfg_region, member)

static const char *const serial_modes[] = {"auto", "stdio", "file", "pty", "none", NULL};
static const char *const net_types[] = {"auto", "tap", "passt", "switch", NULL};
static const char *const console_modes[] = {"stdio", "file", "pty", "socket", "null", NULL};
static const char *const transports[] = {"auto", "mmio", "pci", NULL};
static const char *const io_engines[] = {"auto", "io_uring", "epoll", NULL};
static const char *const backings[] = {"auto", "anon", "thp", "hugetlb-2M", "hugetlb-1G", NULL};
static const char *const protocols[] = {"auto", "linux64", "linux32", "pvh", "flat", NULL};
static const char *const announces[] = {"auto", "tables", "cmdline", "both", NULL};
static const char *const gics[] = {"auto", "2", "3", NULL};
static const char *const uarts[] = {"auto", "16550", "pl011", NULL};
static const char *const irq_modes[] = {"emulated", "none", NULL};
static const char *const on_events[] = {"exit", "restart", NULL};
static const char *const unclaimed[] = {"ignore", "fault", NULL};
static const char *const placements[] = {"auto", "dedicated", "shared", "off", NULL};
static const char *const core_choices[] = {"auto", "own", "smt", NULL};
static const char *const idles[] = {"auto", "host", "guest", NULL};
static const char *const schedulers[] = {"other", "batch", "fifo", "rr", NULL};
static const char *const map_types[] = {"alloc", "identical", "reserved", NULL};

#define RATE_HELP  "; 0: no limit"
#define BURST_HELP "how many may come at once; 0: a tenth of a second's"

/* The four numbers of a struct axcfg_limit at `member` of struct `in`. */
/* clang-format off */
#define LIMIT(prefix, in, member, grp, what)                                                      \
	{prefix "bw", .type = AXCFG_SIZE, .offset = offsetof(struct in, member.bytes),            \
	 .group = grp, .default_text = "0", .max = UINT64_MAX, .metavar = "SIZE",                 \
	 .help = "bytes per second " what RATE_HELP},                                             \
	{prefix "bw_burst", .type = AXCFG_SIZE, .offset = offsetof(struct in, member.bytes_burst), \
	 .group = grp, .default_text = "0", .max = UINT64_MAX, .metavar = "SIZE",                 \
	 .help = BURST_HELP},                                                                     \
	{prefix "ops", .type = AXCFG_UINT, .offset = offsetof(struct in, member.ops),             \
	 .group = grp, .default_text = "0", .max = UINT64_MAX, .metavar = "N",                    \
	 .help = "operations per second " what RATE_HELP},                                        \
	{prefix "ops_burst", .type = AXCFG_UINT, .offset = offsetof(struct in, member.ops_burst), \
	 .group = grp, .default_text = "0", .max = UINT64_MAX, .metavar = "N",                    \
	 .help = BURST_HELP}
/* clang-format on */

static const struct axcfg_option disk_fields[] = {
	{"path", .type = AXCFG_PATH, DISK(path), .metavar = "PATH",
	 .help = "raw image file or block device"},
	{"ro", .type = AXCFG_BOOL, DISK(read_only), .default_text = "false",
	 .help = "the guest may only read"},
	{"serial", .type = AXCFG_STRING, DISK(serial), .metavar = "TEXT", .max = 20,
	 .help = "serial number the guest reads (20 bytes at most)"},
	{"direct", .type = AXCFG_BOOL, DISK(direct), .default_text = "false",
	 .help = "bypass the host's page cache"},
	{"base", .type = AXCFG_PATH, DISK(base), .metavar = "PATH",
	 .help = "read-only image under PATH, which is an overlay (axvm disk overlay)"},
	{"queues", .type = AXCFG_UINT, DISK(queues), .default_text = "0", .max = 32, .metavar = "N",
	 .help = "queues; 0: one per vCPU with PCI, else one"},
	{"discard", .type = AXCFG_BOOL, DISK(discard), .default_text = "true",
	 .help = "offer discard and write-zeroes"},
	LIMIT("", axcfg_disk, limit, NULL, "read and written"),
	{NULL},
};

static const struct axcfg_option net_fields[] = {
	{"type", .type = AXCFG_CHOICE, NET(type), .default_text = "auto", .choices = net_types,
	 .metavar = "TYPE", .help = "tap, passt (no privileges needed) or switch (axvm switch)"},
	{"tap", .type = AXCFG_STRING, NET(tap), .max = 15, .metavar = "NAME",
	 .help = "tap interface of the host; made when it is not there"},
	{"socket", .type = AXCFG_PATH, NET(socket), .metavar = "PATH",
	 .help = "socket of a running passt or switch"},
	{"mac", .type = AXCFG_STRING, NET(mac), .max = 17, .metavar = "MAC",
	 .help = "address, like 52:54:00:12:34:56; made from the VM's name when not given"},
	{"mtu", .type = AXCFG_UINT, NET(mtu), .default_text = "0", .max = 65535, .metavar = "BYTES",
	 .help = "largest packet to tell the guest; 0: nothing"},
	{"queues", .type = AXCFG_UINT, NET(queues), .default_text = "1", .min = 1, .max = 16,
	 .metavar = "N", .help = "queue pairs (tap)"},
	{"offload", .type = AXCFG_BOOL, NET(offload), .default_text = "true",
	 .help = "offer checksum and segmentation offloads"},
	{"vhost", .type = AXCFG_BOOL, NET(vhost), .default_text = "false",
	 .help = "let the host's kernel move the packets (tap and PCI; trusted guests only)"},
	LIMIT("rx_", axcfg_net, rx, NULL, "received"),
	LIMIT("tx_", axcfg_net, tx, NULL, "sent"),
	{NULL},
};

static const struct axcfg_option console_fields[] = {
	{"mode", .type = AXCFG_CHOICE, CONSOLE(mode), .default_text = "stdio",
	 .choices = console_modes, .metavar = "MODE", .help = "where its bytes go and come from"},
	{"path", .type = AXCFG_PATH, CONSOLE(path), .metavar = "PATH",
	 .help = "file or socket of that mode"},
	{"name", .type = AXCFG_STRING, CONSOLE(name), .max = 31, .metavar = "NAME",
	 .help = "a byte channel /dev/virtio-ports/NAME instead of a terminal"},
	{NULL},
};

static const struct axcfg_option region_fields[] = {
	{"gpa", .type = AXCFG_ADDRESS, REGION(gpa), .max = UINT64_MAX, .metavar = "ADDRESS",
	 .help = "guest-physical address"},
	{"size", .type = AXCFG_SIZE, REGION(size_bytes), .min = 4096, .max = UINT64_MAX,
	 .metavar = "SIZE", .help = "size"},
	{"type", .type = AXCFG_CHOICE, REGION(map_type), .default_text = "alloc",
	 .choices = map_types, .metavar = "TYPE",
	 .help = "alloc, identical or reserved (a named file, shared)"},
	{"path", .type = AXCFG_PATH, REGION(path), .metavar = "PATH",
	 .help = "file behind a reserved region"},
	{"ro", .type = AXCFG_BOOL, REGION(read_only), .default_text = "false",
	 .help = "the guest may only read"},
	{NULL},
};

static const struct axcfg_option rows[] = {
	{"kernel.path", "kernel", .short_flag = 'k', .type = AXCFG_PATH, AT(kernel.path),
	 .group = "Boot", .metavar = "PATH", .help = "kernel: bzImage, ELF vmlinux or flat image"},
	{"kernel.initrd", "initrd", .short_flag = 'i', .type = AXCFG_PATH, AT(kernel.initrd),
	 .group = "Boot", .metavar = "PATH", .help = "initial ramdisk"},
	{"kernel.dtb", "dtb", .type = AXCFG_PATH, AT(kernel.dtb), .group = "Boot",
	 .metavar = "PATH", .help = "device tree to start from (aarch64, riscv64)"},
	{"kernel.cmdline", "cmdline", .type = AXCFG_STRING, AT(kernel.cmdline), .group = "Boot",
	 .metavar = "TEXT", .help = "kernel command line instead of the default one"},
	{"kernel.append", "append", .type = AXCFG_STRING, AT(kernel.append), .group = "Boot",
	 .metavar = "TEXT", .help = "words to add to the kernel command line"},
	{"kernel.protocol", "protocol", .type = AXCFG_CHOICE, AT(kernel.protocol), .group = "Boot",
	 .default_text = "auto", .choices = protocols, .metavar = "NAME",
	 .help = "how the kernel is entered"},
	{"kernel.load_gpa", "load-gpa", .type = AXCFG_ADDRESS, AT(kernel.load_gpa), .group = "Boot",
	 .default_text = "0x100000", .max = UINT64_MAX, .metavar = "ADDRESS",
	 .help = "where a flat image is loaded"},
	{"kernel.entry", "entry", .type = AXCFG_ADDRESS, AT(kernel.entry), .group = "Boot",
	 .max = UINT64_MAX, .default_text = "0", .metavar = "ADDRESS",
	 .help = "where a flat image starts; 0: at its first byte"},
	{"kernel.bits", "bits", .type = AXCFG_UINT, AT(kernel.bits), .group = "Boot", .min = 16,
	 .max = 64, .default_text = "64", .metavar = "16|32|64",
	 .help = "mode in which a flat image starts"},

	{"cpus.count", "cpus", .alias = "vcpus", .short_flag = 'c', .type = AXCFG_UINT,
	 AT(cpus.count), .group = "Processors", .default_text = "1", .min = 1,
	 .max = AXCFG_MAX_CPUS, .metavar = "N", .help = "number of vCPUs"},
	{"cpus.ids", "cpu-ids", .type = AXCFG_UINTS, AT(cpus.ids), .group = "Processors",
	 .max = UINT32_MAX, .metavar = "LIST",
	 .help = "hardware id (APIC id) of each vCPU, e.g. 0,2,4-7"},
	{"cpus.affinity", "cpu-affinity", .type = AXCFG_UINTS, AT(cpus.affinity),
	 .group = "Processors", .max = 65535, .metavar = "LIST",
	 .help = "host CPU on which each vCPU thread is pinned"},
	{"cpus.idle", "idle", .type = AXCFG_CHOICE, AT(cpus.idle), .group = "Processors",
	 .default_text = "auto", .choices = idles, .metavar = "WHO",
	 .help = "who has a host CPU while its vCPU halts: host, or guest (no exit, no wake-up); "
		 "auto: guest on dedicated cores that are tickless"},
	{"cpus.scheduler", "scheduler", .type = AXCFG_CHOICE, AT(cpus.scheduler),
	 .group = "Processors", .default_text = "other", .choices = schedulers, .metavar = "CLASS",
	 .help = "scheduling class of vCPU threads; fifo and rr on dedicated cores only"},
	{"cpus.priority", "priority", .type = AXCFG_UINT, AT(cpus.priority), .group = "Processors",
	 .default_text = "1", .min = 1, .max = 99, .metavar = "N",
	 .help = "their priority in the classes fifo and rr"},

	{"placement.mode", "placement", .type = AXCFG_CHOICE, AT(placement.mode),
	 .group = "Placement", .default_text = "auto", .choices = placements, .metavar = "MODE",
	 .help = "dedicated: run by the plan or not at all; shared: on CPUs that no other VM has; "
		 "off: anywhere; auto: dedicated where the host has cores to spare, else shared, "
		 "but on the plan's nodes where there are several"},
	{"placement.nodes", "nodes", .type = AXCFG_UINTS, AT(placement.nodes), .group = "Placement",
	 .max = 65535, .metavar = "LIST", .help = "NUMA nodes of the host that may be used"},
	{"placement.max_nodes", "max-nodes", .type = AXCFG_UINT, AT(placement.max_nodes),
	 .group = "Placement", .default_text = "0", .max = 65535, .metavar = "N",
	 .help = "how many nodes at most; 0: any number"},
	{"placement.spread", "spread", .type = AXCFG_BOOL, AT(placement.spread),
	 .group = "Placement", .default_text = "false",
	 .help = "evenly over all nodes instead of the fewest that hold it"},
	{"placement.whole_nodes", "whole-nodes", .type = AXCFG_BOOL, AT(placement.whole_nodes),
	 .group = "Placement", .default_text = "false",
	 .help = "no other VM may have CPUs of the nodes that it has vCPUs on"},
	{"placement.cores", "cores", .type = AXCFG_CHOICE, AT(placement.cores),
	 .group = "Placement", .default_text = "auto", .choices = core_choices, .metavar = "WHICH",
	 .help = "own: a core for each vCPU; smt: siblings first; auto: own while there are "
		 "enough"},
	{"placement.keep_free", "keep-free", .type = AXCFG_UINTS, AT(placement.keep_free),
	 .group = "Placement", .max = 65535, .metavar = "LIST", .help = "host CPUs to leave alone"},
	{"placement.overcommit", "overcommit", .type = AXCFG_BOOL, AT(placement.overcommit),
	 .group = "Placement", .default_text = "false",
	 .help = "several vCPUs may share a CPU, also with other VMs, when CPUs run out"},

	{"memory.size", "memory", .short_flag = 'm', .type = AXCFG_SIZE, AT(memory.size_bytes),
	 .group = "Memory", .default_text = "1024M", .min = 16 * AX_MIB, .max = 64 * 1024 * AX_GIB,
	 .metavar = "SIZE", .help = "guest memory: 512M, 8G; a bare number counts MiB"},
	{"memory.backing", "memory-backing", .type = AXCFG_CHOICE, AT(memory.backing),
	 .group = "Memory", .default_text = "auto", .choices = backings, .metavar = "KIND",
	 .help = "pages behind guest memory"},
	{"memory.populate", "populate", .type = AXCFG_BOOL, AT(memory.populate), .group = "Memory",
	 .default_text = "false", .help = "make all guest memory present before the start"},
	{"memory.prefault", "prefault", .type = AXCFG_BOOL, AT(memory.prefault), .group = "Memory",
	 .default_text = "true",
	 .help = "before the start make present what the plan binds to nodes, on hosts with "
		 "several"},
	{"memory.lock", "lock", .type = AXCFG_BOOL, AT(memory.lock), .group = "Memory",
	 .default_text = "false", .help = "keep guest memory from being swapped"},
	{"memory.regions", "region", .type = AXCFG_OBJECTS, AT(memory.regions), .group = "Memory",
	 .count_offset = offsetof(struct axcfg, memory.region_count),
	 .item_size = sizeof(struct axcfg_region), .item_max = AXCFG_MAX_REGIONS,
	 .fields = region_fields, .metavar = "gpa=A,size=S[,...]",
	 .help = "a further memory region"},

	{"disks", "disk", .short_flag = 'd', .type = AXCFG_OBJECTS, AT(disks), .group = "Devices",
	 .count_offset = offsetof(struct axcfg, disk_count), .item_size = sizeof(struct axcfg_disk),
	 .item_max = AXCFG_MAX_DISKS, .fields = disk_fields, .metavar = "PATH[,ro][,...]",
	 .help = "virtio-blk disk on a raw file or block device; repeatable"},
	{"nets", "net", .short_flag = 'n', .type = AXCFG_OBJECTS, AT(nets), .group = "Devices",
	 .count_offset = offsetof(struct axcfg, net_count), .item_size = sizeof(struct axcfg_net),
	 .item_max = AXCFG_MAX_NETS, .fields = net_fields, .metavar = "TYPE[,tap=NAME][,...]",
	 .help = "virtio-net card: tap=NAME, passt or switch; repeatable"},
	{"consoles", "console", .type = AXCFG_OBJECTS, AT(consoles), .group = "Devices",
	 .count_offset = offsetof(struct axcfg, console_count),
	 .item_size = sizeof(struct axcfg_console), .item_max = AXCFG_MAX_CONSOLES,
	 .fields = console_fields, .metavar = "MODE[,path=PATH][,name=NAME]",
	 .help = "port of the virtio console: stdio, pty, file, socket or null; repeatable"},
	{"vsock.path", "vsock", .type = AXCFG_PATH, AT(vsock.path), .group = "Devices",
	 .metavar = "PATH", .help = "virtio-vsock behind this Unix socket (CONNECT PORT)"},
	{"vsock.cid", "vsock-cid", .type = AXCFG_UINT, AT(vsock.cid), .group = "Devices",
	 .default_text = "3", .min = 3, .max = 4294967294, .metavar = "CID",
	 .help = "the guest's vsock address"},
	LIMIT("vsock.", axcfg, vsock.limit, "Devices", "through the vsock"),
	{"balloon.enabled", "balloon", .type = AXCFG_BOOL, AT(balloon.enabled), .group = "Devices",
	 .default_text = "false", .help = "virtio-balloon, by which the guest gives memory back"},
	{"balloon.size", "balloon-size", .type = AXCFG_SIZE, AT(balloon.size_bytes),
	 .group = "Devices", .default_text = "0", .max = 64 * 1024 * AX_GIB, .metavar = "SIZE",
	 .help = "memory the guest is asked to give back at the start"},
	{"balloon.deflate_on_oom", .type = AXCFG_BOOL, AT(balloon.deflate_on_oom),
	 .group = "Devices", .default_text = "true",
	 .help = "the guest may take memory back when it runs out"},
	{"balloon.free_page_reporting", .type = AXCFG_BOOL, AT(balloon.report_free_pages),
	 .group = "Devices", .default_text = "true",
	 .help = "the guest tells which pages it does not use"},
	{"balloon.stats", "balloon-stats", .type = AXCFG_DURATION, AT(balloon.stats_ns),
	 .group = "Devices", .default_text = "0", .max = 86400000000000, .metavar = "TIME",
	 .help = "how often the guest is asked for its memory figures; 0: never"},
	{"rng", "rng", .type = AXCFG_BOOL, AT(rng), .group = "Devices", .default_text = "true",
	 .help = "virtio-rng entropy device"},
	LIMIT("rng_limit.", axcfg, rng_limit, "Devices", "of entropy"),
	{"serial.mode", "serial", .type = AXCFG_CHOICE, AT(serial.mode), .group = "Devices",
	 .default_text = "auto", .choices = serial_modes, .metavar = "MODE",
	 .help = "where the serial console goes; auto: stdio, or none beside --console"},
	{"serial.path", "serial-path", .type = AXCFG_PATH, AT(serial.path), .group = "Devices",
	 .metavar = "PATH", .help = "file that --serial file writes"},

	{"machine.acpi", "acpi", .type = AXCFG_BOOL, AT(machine.acpi), .group = "Machine",
	 .default_text = "true", .help = "describe the machine by ACPI"},
	{"machine.mp_table", "mp-table", .type = AXCFG_BOOL, AT(machine.mp_table),
	 .group = "Machine", .default_text = "true",
	 .help = "describe it by an MP table as well (for acpi=off)"},
	{"machine.pit", "pit", .type = AXCFG_BOOL, AT(machine.pit), .group = "Machine",
	 .default_text = "true", .help = "offer a PIT timer (not beside APIC ids above 255)"},
	{"machine.gic", "gic", .type = AXCFG_CHOICE, AT(machine.gic), .group = "Machine",
	 .default_text = "auto", .choices = gics, .metavar = "VERSION",
	 .help = "interrupt controller of an aarch64 machine"},
	{"machine.uart", "uart", .type = AXCFG_CHOICE, AT(machine.uart), .group = "Machine",
	 .default_text = "auto", .choices = uarts, .metavar = "KIND",
	 .help = "serial port: 16550, or pl011 on aarch64"},
	{"machine.irq_mode", "irq-mode", .type = AXCFG_CHOICE, AT(machine.irq_mode),
	 .group = "Machine", .default_text = "emulated", .choices = irq_modes, .metavar = "MODE",
	 .help = "interrupt controllers"},
	{"machine.transport", "transport", .type = AXCFG_CHOICE, AT(machine.transport),
	 .group = "Machine", .default_text = "auto", .choices = transports, .metavar = "KIND",
	 .help = "virtio over mmio (starts fastest) or pci (an interrupt per queue); auto: pci "
		 "where a device is given several queues"},
	{"machine.announce", "announce", .type = AXCFG_CHOICE, AT(machine.announce),
	 .group = "Machine", .default_text = "auto", .choices = announces, .metavar = "HOW",
	 .help = "tell the guest of its devices by tables, command line or both"},
	{"machine.unclaimed", "unclaimed", .type = AXCFG_CHOICE, AT(machine.unclaimed),
	 .group = "Machine", .default_text = "ignore", .choices = unclaimed, .metavar = "POLICY",
	 .help = "an access that no device claims: ignore it or stop with a fault"},

	{"io.threads", "io-threads", .type = AXCFG_UINT, AT(io.threads), .group = "I/O",
	 .default_text = "0", .max = AXCFG_MAX_IO, .metavar = "N",
	 .help = "threads that serve the devices; 0: as many as the plan has, else one"},
	{"io.affinity", "io-affinity", .type = AXCFG_UINTS, AT(io.affinity), .group = "I/O",
	 .max = 65535, .metavar = "LIST", .help = "host CPU on which each I/O thread is pinned"},
	{"io.engine", "io-engine", .type = AXCFG_CHOICE, AT(io.engine), .group = "I/O",
	 .default_text = "auto", .choices = io_engines, .metavar = "KIND",
	 .help = "how files and packets are moved: io_uring where the kernel has it"},

	{"name", "name", .type = AXCFG_STRING, AT(name), .group = "Run", .default_text = "vm",
	 .max = 32, .metavar = "NAME", .help = "name of the VM in messages"},
	{"profile", "profile", .type = AXCFG_STRING, AT(profile), .group = "Run",
	 .default_text = "auto", .max = 32, .metavar = "NAME",
	 .help = "host profile: auto, or one of `axvm doctor`'s list"},
	{"arch", "arch", .type = AXCFG_STRING, AT(arch), .group = "Run", .default_text = "auto",
	 .max = 32, .metavar = "NAME",
	 .help = "architecture: auto (this machine's own), its name, or the fake `generic`"},
	{"kvm_device", "kvm-device", .type = AXCFG_PATH, AT(kvm_device), .group = "Run",
	 .default_text = "/dev/kvm", .metavar = "PATH", .help = "KVM device node"},
	{"limits.timeout", "timeout", .type = AXCFG_DURATION, AT(limits.timeout_ns), .group = "Run",
	 .default_text = "0", .max = UINT64_MAX, .metavar = "TIME",
	 .help = "stop the VM after 10s, 500ms, 2m; 0: never"},
	{"limits.max_exits", "max-exits", .type = AXCFG_UINT, AT(limits.max_exits), .group = "Run",
	 .default_text = "0", .max = UINT64_MAX, .metavar = "N",
	 .help = "stop after N exits of one vCPU; 0: never"},
	{"on_reboot", "on-reboot", .type = AXCFG_CHOICE, AT(on_reboot), .group = "Run",
	 .default_text = "exit", .choices = on_events, .metavar = "ACTION",
	 .help = "the guest reboots: exit (status 10) or restart it"},
	{"metrics", "metrics", .type = AXCFG_BOOL, AT(metrics), .group = "Run",
	 .default_text = "true", .help = "print a summary when the VM ends"},
	{"timeline", "timeline", .type = AXCFG_BOOL, AT(timeline), .group = "Run",
	 .default_text = "false",
	 .help = "print where the time from exec to the guest's init went"},
	{NULL},
};

_Static_assert(AX_ARRAY_LEN(rows) <= AXCFG_MAX_ROWS, "a command line remembers which it has seen");

const struct axcfg_option *axcfg_option_at(size_t index)
{
	return index < AX_ARRAY_LEN(rows) && rows[index].key ? &rows[index] : NULL;
}
