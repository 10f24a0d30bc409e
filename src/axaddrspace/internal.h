/*
 * What the files of this layer share: the immutable table that readers search, the mutable
 * address space around it, and the host mapping behind a region.
 *
 * table.c owns the table and its publication, backing*.c, node.c, populate.c and parking.c the host
 * mappings, space.c, lock.c and change.c the writers, access*.c and placement.c the readers.
 */
#ifndef AXAS_INTERNAL_H
#define AXAS_INTERNAL_H

#include <axvm/axaddrspace.h>
#include <pthread.h>
#include <stdalign.h>

#define AXAS_HUGE_2M (2 * AX_MIB)

/* Beside AXAS_READ and AXAS_WRITE in a span's access: the monitor itself may write here. Absent
 * only where the host cannot give a writable view at all (a read-only device file). */
#define AXAS_SPAN_HOST_WRITE 0x100U

/* One mmap of this layer. Its addresses stay mapped until axas_destroy, whatever is unmapped. */
struct axas_host_memory {
	struct axas_host_memory *next;
	char *base;
	uint64_t size_bytes;
	uint64_t page_size_bytes; /* granularity at which the host can give memory back */
	uint64_t file_offset;     /* of base, in fd */
	int fd;                   /* -1: anonymous memory */
	bool owns_pages;          /* emptied on unmap: our memfd, not somebody's file */
	bool guest_writable;      /* a file opened read-only can never be made RW */
	bool host_writable;
	bool is_private; /* read-only file: populate by reading, or every page is copied */
	bool is_hugetlb;
	bool is_special; /* a device node: populate and length are its driver's affair */
	bool bound;      /* its pages come from `node` only */
	uint32_t node;
};

struct axas_region {
	struct axas_region_info info;
	struct axas_host_memory *backing;
	uint32_t slot;
};

/* What an access needs of a region; small, so that a search stays in few cache lines. */
struct axas_span {
	uint64_t gpa;
	uint64_t size_bytes;
	char *hva;
	uint32_t access;
};

/* Sorted by gpa. Never written after it is published. */
struct axas_table {
	struct axas_table *next_retired;
	size_t count;
	size_t capacity;
	uint64_t total_bytes;
	struct axas_region *regions;
	struct axas_span spans[];
};

enum axas_visit { AXAS_VISIT_READ, AXAS_VISIT_WRITE, AXAS_VISIT_LOOKUP, AXAS_VISIT_COUNT };

/* One cache line per CPU: counts who came and who left, and thereby the statistics too. */
struct axas_stripe {
	alignas(AX_CACHE_LINE) _Atomic uint64_t entered[AXAS_VISIT_COUNT];
	_Atomic uint64_t faulted[AXAS_VISIT_COUNT];
	_Atomic uint64_t left;
};
#define AXAS_STRIPES 64

struct axas {
	_Atomic(struct axas_table *) table;
	struct axas_stripe *stripes;
	uint64_t gpa_limit;
	bool has_mapper;
	struct axas_mapper mapper;
	pthread_mutex_t lock; /* everything below, and replacing the table */
	struct axas_table *retired;
	struct axas_host_memory *backings; /* still behind a region */
	struct axas_host_memory *parked;   /* address ranges kept for pointers handed out */
};

/* A reader's stay. Between enter and leave the table cannot be freed. */
struct axas_visitor {
	const struct axas_table *table;
	struct axas_stripe *stripe;
	enum axas_visit visit;
};

struct axas_visitor axas_enter(const struct axas *as, enum axas_visit visit);
/* Ends the stay, counts a fault when rc is negative; returns rc. */
int axas_leave(const struct axas_visitor *visitor, int rc);
/* One more success of another kind within a stay (copy_within reads and writes). */
void axas_count_also(const struct axas_visitor *visitor, enum axas_visit visit);

struct axas_table *axas_table_new(size_t capacity);
void axas_table_push(struct axas_table *table, const struct axas_region *region);
/* Index of the span that holds gpa; false when none does. */
bool axas_table_find(const struct axas_table *table, uint64_t gpa, size_t *ret_index);
/* Whether every byte of the range is mapped with all bits of `access`; len is not 0. */
bool axas_table_covers(const struct axas_table *table, uint64_t gpa, uint64_t len, uint32_t access,
		       size_t *ret_first);
/* Only with as->lock held; the writer's own view of the current table. */
struct axas_table *axas_table_current(const struct axas *as);
void axas_table_publish(struct axas *as, struct axas_table *next);
void axas_table_retire(struct axas *as, struct axas_table *table);

/* Show `next` to the mapper and to the readers, or leave everything as it was. Takes `next`. */
int axas_change_apply(struct axas *as, struct axas_table *next, struct ax_error *err);
/* The current table without the range, or with other flags in it. Split pieces get slots. */
struct axas_table *axas_change_without(const struct axas_table *old, uint64_t gpa,
				       uint64_t size_bytes);
struct axas_table *axas_change_flags(const struct axas_table *old, uint64_t gpa,
				     uint64_t size_bytes, uint32_t flags);
/* The current table and one region more, which gets a slot. */
struct axas_table *axas_change_with(const struct axas_table *old, struct axas_region *region);

/* What a request may say; the first two need no lock. */
int axas_check_config(const struct axas *as, const struct axas_region_config *config,
		      struct ax_error *err);
int axas_check_flags(const char *what, uint32_t flags, struct ax_error *err);
int axas_check_free(const struct axas_table *table, const struct axas_region_config *config,
		    struct ax_error *err);
/* Page-aligned, inside the limit and wholly mapped; with as->lock held. */
int axas_check_mapped(const struct axas *as, const char *what, uint64_t gpa, uint64_t size_bytes,
		      struct ax_error *err);

/* Host memory for a validated config. The caller owns *ret_backing (axas_backing_destroy). */
int axas_backing_create(const struct axas_region_config *config,
			struct axas_host_memory **ret_backing, struct ax_error *err);
/* Fills fd, offset, page size and kind of a file backing; on failure the caller closes fd. */
int axas_backing_open_file(const struct axas_region_config *config,
			   struct axas_host_memory *backing, struct ax_error *err);
void axas_backing_destroy(struct axas_host_memory *backing);
int axas_backing_populate(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes,
			  enum ax_error_kind kind, struct ax_error *err);
/* The whole of a new backing, by the threads that the config asks for. */
int axas_backing_populate_new(const struct axas_region_config *config,
			      const struct axas_host_memory *backing, struct ax_error *err);
int axas_backing_lock(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes,
		      bool populate, enum ax_error_kind kind, struct ax_error *err);
void axas_backing_unlock(const struct axas_host_memory *backing, char *hva, uint64_t size_bytes);
/* Give back what no region of `table` uses any more; the addresses stay valid. */
void axas_backing_release(const struct axas_host_memory *backing, const struct axas_table *table,
			  const char *hva, uint64_t size_bytes);
/* Close what is behind no region of `table` any more, keeping its addresses. */
void axas_backing_sweep(struct axas *as, const struct axas_table *table);
/* -ENOMEM that says what the pool holds, what is wanted and how to get it. */
int axas_pool_error(const struct axas_region_config *config, uint64_t page_size_bytes,
		    struct ax_error *err);
/* One number of the pool of a node, or of all (AXAS_ALL_NODES); -1 where there is none. */
#define AXAS_ALL_NODES UINT32_MAX
long long axas_pool_number(uint32_t node, uint64_t page_kib, const char *file);
/* A small file of /sys or /proc as a string; the number of bytes, 0 when it cannot be read. */
size_t axas_read_text(const char *path, char *buf, size_t buf_size);

/* Whether the node has what the config wants of it, before anything is mapped. */
int axas_node_check(const struct axas_region_config *config, uint64_t page_size_bytes,
		    struct ax_error *err);
/* Bind a mapping that nobody has touched yet to its node. */
int axas_node_bind(const struct axas_region_config *config, struct axas_host_memory *backing,
		   struct ax_error *err);
/* -ENOMEM of a node whose part of the pool turned out too small. */
int axas_node_pool_error(const struct axas_region_config *config, uint64_t page_size_bytes,
			 struct ax_error *err);
/* fallocate(2) whose pages come from the node of the backing, if it has one. */
int axas_node_fallocate(const struct axas_host_memory *backing, uint64_t offset,
			uint64_t size_bytes);

#endif
