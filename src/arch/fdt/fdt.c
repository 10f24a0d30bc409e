/*
 * A device tree as its users see it: the object, the first failure, setters and getters by path,
 * the packed result. The bytes below, and their growth, are in tree.c.
 */
#include "fdt_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the object ------------------------------------------------------------------------------ */

void axfdt_set_label(char *label, size_t size, const char *name)
{
	if (name)
		snprintf(label, size, "device tree '%s'", name);
	else
		snprintf(label, size, "device tree");
}

int axfdt_wrap(void *blob, size_t capacity, const char *name, struct axfdt **ret_fdt,
	       struct ax_error *err)
{
	struct axfdt *fdt = calloc(1, sizeof(*fdt));

	if (!fdt) {
		free(blob);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "device tree: no memory for %zu bytes", sizeof(*fdt));
	}
	fdt->blob = blob;
	fdt->capacity = capacity;
	axfdt_set_label(fdt->label, sizeof(fdt->label), name);
	*ret_fdt = fdt;
	return 0;
}

int axfdt_create(struct axfdt **ret_fdt, struct ax_error *err)
{
	void *blob = malloc(AXFDT_GROW_BYTES);

	if (!blob)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "device tree: no memory for %d bytes", AXFDT_GROW_BYTES);
	const int rc = fdt_create_empty_tree(blob, AXFDT_GROW_BYTES);
	if (rc < 0) {
		free(blob);
		return ax_error_set(err, AX_ERROR_INTERNAL, EINVAL,
				    "device tree: an empty one cannot be made: %s",
				    fdt_strerror(rc));
	}
	return axfdt_wrap(blob, AXFDT_GROW_BYTES, NULL, ret_fdt, err);
}

void axfdt_destroy(struct axfdt *fdt)
{
	if (!fdt)
		return;
	free(fdt->blob);
	free(fdt);
}

void axfdt_fail(struct axfdt *fdt, enum ax_error_kind kind, int sys_errno, const char *path,
		const char *property, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (fdt->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fdt->failed = true;
	ax_error_set(&fdt->error, kind, sys_errno, "%s: %.160s%s%.60s%s%s", fdt->label,
		     path ? path : "", property ? ", property " : "", property ? property : "",
		     path || property ? ": " : "", text);
}

void axfdt_fail_rc(struct axfdt *fdt, int rc, const char *path, const char *property)
{
	axfdt_fail(fdt, AX_ERROR_INTERNAL, EINVAL, path, property, "%s", fdt_strerror(rc));
}

/* ---- nodes ----------------------------------------------------------------------------------- */

void axfdt_node(struct axfdt *fdt, const char *path)
{
	axfdt_make(fdt, path);
}

void axfdt_remove(struct axfdt *fdt, const char *path)
{
	if (fdt->failed)
		return;
	const int node = axfdt_find(fdt->blob, path);
	if (node == -FDT_ERR_NOTFOUND)
		return;
	axfdt_forget_last(fdt);
	const int rc = node > 0 ? fdt_del_node(fdt->blob, node) : -FDT_ERR_BADPATH;
	if (rc < 0)
		axfdt_fail_rc(fdt, rc, path, NULL);
}

void axfdt_remove_property(struct axfdt *fdt, const char *path, const char *property)
{
	if (fdt->failed)
		return;
	const int node = axfdt_find(fdt->blob, path);
	axfdt_forget_last(fdt);
	const int rc = node < 0 ? node : fdt_delprop(fdt->blob, node, property);
	if (rc < 0 && rc != -FDT_ERR_NOTFOUND)
		axfdt_fail_rc(fdt, rc, path, property);
}

/* ---- properties ------------------------------------------------------------------------------ */

static void *reserve_at(struct axfdt *fdt, const char *path, const char *property, size_t size)
{
	const int node = axfdt_make(fdt, path);

	return node < 0 ? NULL : axfdt_reserve(fdt, node, path, property, size);
}

void axfdt_set_bytes(struct axfdt *fdt, const char *path, const char *property, const void *bytes,
		     size_t count)
{
	void *value = reserve_at(fdt, path, property, count);

	if (value && count)
		memcpy(value, bytes, count);
}

void axfdt_set_empty(struct axfdt *fdt, const char *path, const char *property)
{
	reserve_at(fdt, path, property, 0);
}

void axfdt_set_cells(struct axfdt *fdt, const char *path, const char *property,
		     const uint32_t *cells, size_t count)
{
	fdt32_t *value =
		reserve_at(fdt, path, property, count <= AXFDT_MAX_BYTES ? count * 4 : SIZE_MAX);

	for (size_t i = 0; value && i < count; i++)
		fdt32_st(value + i, cells[i]);
}

void axfdt_set_u64s(struct axfdt *fdt, const char *path, const char *property,
		    const uint64_t *values, size_t count)
{
	/* Values stand at multiples of four bytes, not of eight. */
	uint8_t *value =
		reserve_at(fdt, path, property, count <= AXFDT_MAX_BYTES ? count * 8 : SIZE_MAX);

	for (size_t i = 0; value && i < count; i++) {
		const fdt64_t cells = cpu_to_fdt64(values[i]);
		memcpy(value + 8 * i, &cells, 8);
	}
}

void axfdt_set_u32(struct axfdt *fdt, const char *path, const char *property, uint32_t value)
{
	axfdt_set_cells(fdt, path, property, &value, 1);
}

void axfdt_set_u64(struct axfdt *fdt, const char *path, const char *property, uint64_t value)
{
	axfdt_set_u64s(fdt, path, property, &value, 1);
}

void axfdt_set_string(struct axfdt *fdt, const char *path, const char *property, const char *value)
{
	axfdt_set_bytes(fdt, path, property, value, strlen(value) + 1);
}

void axfdt_set_strings(struct axfdt *fdt, const char *path, const char *property,
		       const char *values)
{
	const char *end = values;

	while (*end)
		end += strlen(end) + 1;
	axfdt_set_bytes(fdt, path, property, values, (size_t)(end - values));
}

bool axfdt_has(const struct axfdt *fdt, const char *path)
{
	return axfdt_find(fdt->blob, path) >= 0;
}

const void *axfdt_get(const struct axfdt *fdt, const char *path, const char *property,
		      size_t *ret_size)
{
	const int node = axfdt_find(fdt->blob, path);
	int len = 0;
	const void *value = node < 0 ? NULL : fdt_getprop(fdt->blob, node, property, &len);

	if (value && ret_size)
		*ret_size = (size_t)len;
	return value;
}

bool axfdt_find_compatible(const struct axfdt *fdt, const char *compatible, char *ret_path,
			   size_t size)
{
	const int node = fdt_node_offset_by_compatible(fdt->blob, -1, compatible);

	if (node >= 0 && fdt_get_path(fdt->blob, node, ret_path, (int)size) == 0)
		return true;
	*ret_path = '\0';
	return false;
}

uint32_t axfdt_get_u32(const struct axfdt *fdt, const char *path, const char *property,
		       uint32_t otherwise)
{
	const int node = axfdt_find(fdt->blob, path);

	return node < 0 ? otherwise : axfdt_cell(fdt->blob, node, property, otherwise);
}

static uint64_t read_number(const uint8_t **at, uint32_t cells)
{
	uint64_t number = 0;

	for (; cells > 0; cells--, *at += 4)
		number = number << 32 | fdt32_ld((const fdt32_t *)(const void *)*at);
	return number;
}

size_t axfdt_get_ranges(const struct axfdt *fdt, const char *path, struct axfdt_range *ret_ranges,
			size_t max)
{
	const int node = axfdt_find(fdt->blob, path);
	const int parent = node < 0 ? node : fdt_parent_offset(fdt->blob, node);
	int len = 0;

	if (parent < 0)
		return 0;
	/* The defaults are the specification's (2.3.5). */
	const uint32_t address = axfdt_cell(fdt->blob, parent, "#address-cells", 2);
	const uint32_t size = axfdt_cell(fdt->blob, parent, "#size-cells", 1);
	const uint8_t *at = fdt_getprop(fdt->blob, node, "reg", &len);
	if (!at || address < 1 || address > 2 || size < 1 || size > 2 ||
	    (uint32_t)len % (4 * (address + size)))
		return 0;
	const size_t count = (uint32_t)len / (4 * (address + size));
	for (size_t i = 0; i < count && i < max; i++) {
		ret_ranges[i].gpa = read_number(&at, address);
		ret_ranges[i].size_bytes = read_number(&at, size);
	}
	return count;
}

/* ---- the result ------------------------------------------------------------------------------ */

int axfdt_finish(struct axfdt *fdt, const void **ret_blob, size_t *ret_size, struct ax_error *err)
{
	if (!fdt->failed) {
		const int rc = fdt_pack(fdt->blob);
		if (rc < 0)
			axfdt_fail_rc(fdt, rc, NULL, NULL);
	}
	if (fdt->failed) {
		if (err)
			*err = fdt->error;
		return fdt->error.sys_errno ? -fdt->error.sys_errno : -EINVAL;
	}
	*ret_blob = fdt->blob;
	*ret_size = fdt_totalsize(fdt->blob);
	return 0;
}

int axfdt_write(struct axfdt *fdt, struct axas *memory, uint64_t gpa, uint64_t max,
		struct ax_error *err)
{
	const void *blob = NULL;
	size_t size = 0;
	int rc = axfdt_finish(fdt, &blob, &size, err);

	if (rc < 0)
		return rc;
	if (gpa % 8)
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "%s: 0x%llx is no multiple of 8", fdt->label,
				    (unsigned long long)gpa);
	if (size > max)
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, ENOSPC,
				    "%s: is %zu bytes, there is room for %llu at 0x%llx",
				    fdt->label, size, (unsigned long long)max,
				    (unsigned long long)gpa);
	rc = axas_write(memory, gpa, blob, size);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_MEMORY_SETUP, -rc,
				    "%s: guest memory 0x%llx..0x%llx is not writable RAM",
				    fdt->label, (unsigned long long)gpa,
				    (unsigned long long)(gpa + size - 1));
	return 0;
}
