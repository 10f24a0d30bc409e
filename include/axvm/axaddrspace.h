/*
 * axaddrspace: the guest-physical address space of one VM - its regions, the host memory behind
 * them, and the only bounds- and overflow-checked way to touch that memory.
 *
 * Addresses are guest-physical (gpa) and sizes are bytes. Every function takes any 64-bit gpa and
 * length, 2^64-1 included, and answers with an error instead of touching a byte outside.
 *
 * Threads: map/unmap/protect/clear are serialised inside and may be called from any thread while
 * vCPUs and I/O threads use the accessors. The accessors take no lock: they read an immutable
 * table that writers replace. A host pointer obtained here stays readable and writable memory
 * until axas_destroy, even when its region is unmapped meanwhile (it is then memory that the
 * guest no longer sees), so a device can never be made to fault the monitor.
 */
#ifndef AXVM_AXADDRSPACE_H
#define AXVM_AXADDRSPACE_H

#include <axvm/base.h>
#include <sys/uio.h>

#define AXAS_PAGE_SIZE 4096ULL

struct axas; /* opaque, create/destroy */

/* Where the memory of a region comes from. The numbers are those of the configuration files. */
enum axas_map_type {
	AXAS_MAP_ALLOC = 0,     /* host memory allocated here, shown at the configured gpa */
	AXAS_MAP_IDENTICAL = 1, /* as ALLOC; the gpa is kept as configured (no HPA equality) */
	AXAS_MAP_RESERVED = 2,  /* a named file or device range, shared with others, never freed */
};

enum axas_backing {
	AXAS_BACKING_ANON,       /* memfd, 4 KiB pages */
	AXAS_BACKING_THP,        /* memfd or anonymous with MADV_HUGEPAGE: a hint, never an error */
	AXAS_BACKING_HUGETLB_2M, /* from the pool; a pool that is too small is an error at map time
				  */
	AXAS_BACKING_HUGETLB_1G,
	/* config.path, or config.fd when it is >= 0; not shorter than the region. Shared with the
	 * file when AXAS_WRITE is asked for; otherwise the monitor may patch a private view of it.
	 * Should somebody truncate it later, accesses raise SIGBUS: seal or own what is mapped. */
	AXAS_BACKING_FILE,
};

/* Of the pages that a backing asks for; those of a file are its file system's choice. */
static inline uint64_t axas_page_size(enum axas_backing backing)
{
	if (backing == AXAS_BACKING_HUGETLB_2M)
		return 2 * AX_MIB;
	return backing == AXAS_BACKING_HUGETLB_1G ? AX_GIB : AXAS_PAGE_SIZE;
}

/* Region flags. X, USER, DEVICE and UNCACHED cannot be expressed by a KVM slot and are refused
 * with AX_ERROR_UNSUPPORTED (X is accepted together with R: KVM memory is always executable). */
enum axas_flags {
	AXAS_READ = 0x1,
	AXAS_WRITE = 0x2,
	AXAS_EXEC = 0x4,
	AXAS_USER = 0x8,
	AXAS_DEVICE = 0x10,
	AXAS_UNCACHED = 0x20,
	AXAS_RW = AXAS_READ | AXAS_WRITE,
};

struct axas_region_config {
	const char *name;    /* for messages and listings; copied */
	uint64_t gpa;        /* multiple of the backing's page size */
	uint64_t size_bytes; /* likewise, not 0 */
	enum axas_map_type type;
	enum axas_backing backing;
	uint32_t flags; /* enum axas_flags */
	bool populate;  /* all pages present when map returns; otherwise on first touch */
	bool lock;      /* mlock; failure is reported, nothing stays mapped */
	/* Its pages lie on this node of the host and the kernel leaves them there; not for FILE.
	 * From the huge-page pool they come at once, populate or not: the kernel promises pages of
	 * the pool, not of a node's part of it, and a promise that it cannot keep ends in SIGBUS.
	 */
	bool bind;
	uint32_t node; /* with `bind` */
	/* Populating takes a thread on each of these host CPUs (one named twice gets two); with
	 * none the caller does it. The CPUs had better be of the node: each zeroes what it brings.
	 * Borrowed until map returns; all threads are gone by then. */
	const uint32_t *populate_cpus;
	size_t populate_cpu_count;
	/* Told of so many bytes more that populating has brought, at least every 16 MiB or page;
	 * by any of its threads, several at once. Other than 0 ends it: map returns -ECANCELED.
	 * NULL: nobody asks. */
	int (*on_populated)(void *ctx, uint64_t bytes);
	void *ctx;
	const char *path;   /* AXAS_BACKING_FILE */
	int fd;             /* AXAS_BACKING_FILE: >= 0 is used (duplicated) instead of path */
	uint64_t fd_offset; /* page-aligned */
};

/* The part of a node's memory that a region of ordinary pages which is bound and populated cannot
 * have: the kernel's watermarks are in it. Who plans for a node leaves more (src/place/memory.c).
 */
static inline uint64_t axas_node_reserve(uint64_t node_bytes)
{
	return node_bytes / 128;
}

/* A region as it is now, for listings. A run-time unmap in the middle of a region leaves two. */
struct axas_region_info {
	char name[32];
	uint64_t gpa;
	uint64_t size_bytes;
	enum axas_map_type type;
	enum axas_backing backing;
	uint32_t flags;
	uint64_t page_size_bytes;
	void *hva;
	bool locked;
	bool bound;    /* its pages are to lie on `node` */
	uint32_t node; /* with `bound` */
};

/*
 * Who shows the memory to the guest (the kvm layer's slots; a recorder in tests). Called with the
 * address space's writer lock held, before the table changes for map, after it for unmap. `slot`
 * is a small number, unique among live regions, reused after unmap. Return 0 or a negative errno
 * with err filled; a failing map leaves the address space as it was. A split shows as one unmap of
 * the whole slot and a map of each piece: the guest is without the slot in between.
 */
struct axas_mapper {
	int (*map)(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
		   bool read_only, struct ax_error *err);
	int (*unmap)(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
		     struct ax_error *err);
	void *ctx;
};

/* gpa_limit: first address past the guest-physical space (1 << phys_bits); 0: 2^52.
 * mapper may be NULL (no guest sees it); it is copied. The caller owns *ret_as. */
int axas_create(uint64_t gpa_limit, const struct axas_mapper *mapper, struct axas **ret_as,
		struct ax_error *err) AX_MUST_CHECK;
/* NULL is fine; no accessor may be running. Unmaps what is left from the mapper, whose ctx
 * therefore outlives the address space. */
void axas_destroy(struct axas *as);

/* -EEXIST overlap, -EINVAL misaligned / zero / past the limit / bad flags / no such node or CPU,
 * -ENOMEM pool, memory or the node's share of them too small, -ECANCELED by on_populated, -EPERM a
 * node that the cpuset or a system call filter forbids, -ENOTSUP flags KVM cannot express, or a
 * node for a file. On error nothing has changed. */
int axas_map(struct axas *as, const struct axas_region_config *config,
	     struct ax_error *err) AX_MUST_CHECK;
/* Any page-aligned range that lies wholly in mapped regions; may span and split regions. Memory
 * of ALLOC regions goes back to the host at once. -ENOENT when part of it is not mapped. */
int axas_unmap(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err);
/* Set the guest's access to AXAS_READ or AXAS_RW, splitting regions where needed. Guest and
 * device writes to a read-only range fail; axas_write_host still works. A file mapped read-only
 * cannot become writable: -EACCES. */
int axas_protect(struct axas *as, uint64_t gpa, uint64_t size_bytes, uint32_t flags,
		 struct ax_error *err);
int axas_clear(struct axas *as, struct ax_error *err); /* unmap everything */
/* mlock / munlock what lies in the range; locking makes it resident. Regions are not split: one
 * is listed as locked while all of it is. */
int axas_lock(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err);
int axas_unlock(struct axas *as, uint64_t gpa, uint64_t size_bytes, struct ax_error *err);

/*
 * Give the host pages of a range back: they read as zero from then on, and come back when touched.
 * Any thread; any range, of which only whole pages of memory that may be given back are: writable,
 * not locked, allocated here (no files, no RESERVED regions); from the huge-page pool whole huge
 * pages. Returns how many bytes were; what is missing was not memory of that kind. Pages of a bound
 * region come back on its node. A huge page that is touched again when the pool, or what that node
 * has of it, is empty by then raises SIGBUS. Pointers handed out stay good, and
 * writes of devices that are under way land in the old page, the new one, or nowhere.
 */
uint64_t axas_discard(struct axas *as, uint64_t gpa, uint64_t size_bytes);
/* The same for memory told by a host address, as descriptor chains have it. */
uint64_t axas_discard_host(struct axas *as, const void *hva, uint64_t size_bytes);

/* Copies up to `max` regions, in gpa order; returns how many there are. */
size_t axas_regions(const struct axas *as, struct axas_region_info *regions, size_t max);
uint64_t axas_total_bytes(const struct axas *as);

/* Where pages are, to be compared with where they were meant to be. Bytes; what a sample found is
 * not scaled up: with a bounded look `looked_bytes` is less than `mapped_bytes`. */
#define AXAS_PLACEMENT_NODES 64
#define AXAS_PLACEMENT_PAGES 65536
struct axas_placement {
	uint64_t mapped_bytes; /* of the range that was asked about */
	uint64_t looked_bytes; /* = absent + on_node[...] + on_higher_node */
	uint64_t absent_bytes; /* no page yet, given back, or swapped out */
	uint64_t astray_bytes; /* of a bound region, and on another node */
	uint64_t on_node[AXAS_PLACEMENT_NODES];
	uint64_t on_higher_node; /* nodes from AXAS_PLACEMENT_NODES on */
};

/* Is mbind not forbidden altogether, as by the system call filter of a container? */
bool axas_can_bind(void);

/* Any thread, while the guest runs; any range. Looks at `max_pages` pages (0: AXAS_PLACEMENT_PAGES;
 * SIZE_MAX: all) or one more for each region: the range is cut into so many equal parts, and one
 * page of each is looked at, the same one every time. A page that only the file of a backing has,
 * and no page table of ours, counts as absent. -ENOSYS or -EPERM when the host gives no answer
 * (move_pages(2)). */
int axas_placement(const struct axas *as, uint64_t gpa, uint64_t size_bytes, size_t max_pages,
		   struct axas_placement *ret_placement, struct ax_error *err) AX_MUST_CHECK;

/* ---- access ---------------------------------------------------------------------------------- */

/* Counted across all accessors; readable at any time (memory reads / writes / faults of O1). */
struct axas_stats {
	uint64_t reads, writes, faults;
};
void axas_get_stats(const struct axas *as, struct axas_stats *ret_stats);

/* Whole ranges only, spanning adjacent regions: -EFAULT (and nothing copied) when a byte of
 * gpa..gpa+len-1 is unmapped, wraps, or is read-only for a write. len 0 is 0 for any gpa. */
int axas_read(const struct axas *as, uint64_t gpa, void *buf, size_t len);
int axas_write(const struct axas *as, uint64_t gpa, const void *buf, size_t len);
int axas_write_host(const struct axas *as, uint64_t gpa, const void *buf,
		    size_t len); /* ignores
				  * AXAS_READ-only */
int axas_fill(const struct axas *as, uint64_t gpa, uint8_t byte, uint64_t len);
static inline int axas_zero(const struct axas *as, uint64_t gpa, uint64_t len)
{
	return axas_fill(as, gpa, 0, len);
}
int axas_copy_within(const struct axas *as, uint64_t dst_gpa, uint64_t src_gpa, uint64_t len);

/* Little-endian guest integers; aligned ones are single accesses (no tearing). */
int axas_read_u8(const struct axas *as, uint64_t gpa, uint8_t *ret);
int axas_read_u16(const struct axas *as, uint64_t gpa, uint16_t *ret);
int axas_read_u32(const struct axas *as, uint64_t gpa, uint32_t *ret);
int axas_read_u64(const struct axas *as, uint64_t gpa, uint64_t *ret);
int axas_write_u8(const struct axas *as, uint64_t gpa, uint8_t v);
int axas_write_u16(const struct axas *as, uint64_t gpa, uint16_t v);
int axas_write_u32(const struct axas *as, uint64_t gpa, uint32_t v);
int axas_write_u64(const struct axas *as, uint64_t gpa, uint64_t v);

/*
 * Host address of a range that is contiguous on the host (lies in one region), or NULL.
 * `access` is AXAS_READ, AXAS_WRITE or AXAS_RW. Valid until axas_destroy.
 */
void *axas_ptr(const struct axas *as, uint64_t gpa, uint64_t len, uint32_t access);

/* Host address of gpa and how many bytes are contiguous from there (the *remaining* bytes of its
 * region, not the region's size). -EFAULT when unmapped. */
int axas_translate(const struct axas *as, uint64_t gpa, void **ret_hva, uint64_t *ret_limit);

/* The range as host vectors for readv/writev. Returns the number of vectors, -EFAULT as above,
 * -E2BIG when it needs more than max. */
int axas_iovec(const struct axas *as, uint64_t gpa, uint64_t len, uint32_t access,
	       struct iovec *iov, int max);

/* Read exactly len bytes of a file at `offset` straight into guest memory (boot images). */
int axas_load_fd(const struct axas *as, uint64_t gpa, int fd, uint64_t offset, uint64_t len,
		 struct ax_error *err);

/* ---- layout planner -------------------------------------------------------------------------- */

/* What an address range is for; used before any slot exists. */
enum axas_layout_kind {
	AXAS_LAYOUT_MEMORY,
	AXAS_LAYOUT_RESERVED,         /* no RAM and no device here (told to the guest) */
	AXAS_LAYOUT_BOOT_DESCRIPTION, /* tables inside memory: ACPI, FDT, MP, zero page */
	AXAS_LAYOUT_EMULATED_DEVICE,
	AXAS_LAYOUT_PASSTHROUGH,
};

struct axas_layout_range {
	const char *name; /* static or owned by the caller for the layout's life */
	enum axas_layout_kind kind;
	uint64_t gpa;
	uint64_t size_bytes;
	uint64_t hpa; /* PASSTHROUGH only: must have the same offset in its page as gpa */
};

/* Sorted by gpa, free of overlap except BOOT_DESCRIPTION inside MEMORY. Caller-owned storage. */
#define AXAS_LAYOUT_MAX 128
struct axas_layout {
	struct axas_layout_range range[AXAS_LAYOUT_MAX];
	size_t count;
};

/* -EINVAL zero length or mismatched page offset, -EOVERFLOW wrap or past 2^52, -EEXIST conflict
 * (the message names both), -ENOSPC full. Adjacent MEMORY (or PASSTHROUGH with adjacent hpa)
 * ranges of the same name merge. On error the layout is unchanged. */
int axas_layout_add(struct axas_layout *layout, const struct axas_layout_range *range,
		    struct ax_error *err);
/* First free gap of size_bytes, aligned, within [low, high), touching nothing in the layout. */
int axas_layout_find_gap(const struct axas_layout *layout, uint64_t low, uint64_t high,
			 uint64_t size_bytes, uint64_t align, uint64_t *ret_gpa,
			 struct ax_error *err);
const char *axas_layout_kind_name(enum axas_layout_kind kind);

#endif
