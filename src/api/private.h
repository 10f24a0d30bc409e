/*
 * What both directions of the protocol share: the keys of a look and where each stands in its
 * struct (stats.c has the tables), and the names of sockets.
 */
#ifndef AXVM_API_PRIVATE_H
#define AXVM_API_PRIVATE_H

#include <axvm/api.h>

#include <jansson.h>

#define LAYER           "api"
#define AXAPI_SUFFIX    ".sock"
#define AXAPI_NAME_ROOM 40

enum axapi_type {
	AXAPI_COUNT, /* uint64_t */
	AXAPI_KNOWN, /* uint64_t; left out when it is AXVM_LIVE_UNKNOWN */
	AXAPI_NODE,  /* uint32_t; left out when it is UINT32_MAX */
	AXAPI_SMALL, /* uint32_t */
	AXAPI_ID,    /* int32_t; left out when it is negative */
	AXAPI_FLAG,  /* bool */
	AXAPI_TEXT,  /* char[size] */
};

struct axapi_key {
	const char *key;
	size_t offset;
	uint32_t size;
	enum axapi_type type;
};

/* The keys of one struct; each ends with a NULL key. */
extern const struct axapi_key axapi_vm_keys[], axapi_thread_keys[], axapi_vcpu_keys[],
	axapi_own_keys[], axapi_kvm_keys[], axapi_io_keys[], axapi_device_keys[],
	axapi_memory_keys[];

/* What a socket can be called for a VM of that name: other than letters, digits and "-_." replaced,
 * and cut. */
void axapi_file_name(const char *name, char buf[AXAPI_NAME_ROOM]);

#endif
