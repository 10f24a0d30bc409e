/*
 * What ACPICA says to our tables: each is disassembled and compiled again by iasl without an error
 * or a warning. Skipped where iasl is not installed.
 */
#include "helpers.h"
#include "le.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char output[1 << 18];

/* iasl in the directory with one or two arguments; its output goes to text. Returns its exit
 * status, 127 when there is no iasl. */
static int run_iasl(const char *first, const char *second, char *text, size_t text_size)
{
	int pipes[2], status = 0;
	size_t len = 0;
	ssize_t n;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(pipes[1], STDOUT_FILENO);
		dup2(pipes[1], STDERR_FILENO);
		if (chdir(directory) == 0)
			execlp("iasl", "iasl", first, second, (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, text_size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void save(const struct machine *m, uint64_t gpa, uint32_t size, const char *name)
{
	uint8_t *bytes = malloc(size);
	char path[128];

	peek(m, gpa, bytes, size);
	snprintf(path, sizeof(path), "%s/%s.dat", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, size, 0), 0);
	close(fd);
	free(bytes);
}

static void judge(const char *name)
{
	char data[64], source[64];

	snprintf(data, sizeof(data), "%s.dat", name);
	snprintf(source, sizeof(source), "%s.dsl", name);
	if (run_iasl("-d", data, output, sizeof(output)) != 0 || strstr(output, "Warning") ||
	    strstr(output, "Error"))
		fail_msg("iasl -d %s: %s", data, output);
	if (run_iasl(source, NULL, output, sizeof(output)) != 0 ||
	    !strstr(output, "0 Errors, 0 Warnings"))
		fail_msg("iasl %s: %s", source, output);
}

static void judge_machine(struct machine *m)
{
	uint64_t rsdp;

	if (x86_write_acpi(m->rig.memory, &m->info, &rsdp, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	const uint64_t xsdt = peek64(m, rsdp + 24);
	const uint64_t facp = peek64(m, xsdt + 36), apic = peek64(m, xsdt + 44);
	save(m, xsdt, peek32(m, xsdt + 4), "xsdt");
	save(m, facp, peek32(m, facp + 4), "facp");
	save(m, apic, peek32(m, apic + 4), "apic");
	save(m, peek32(m, facp + 36), 64, "facs");
	save(m, peek64(m, facp + 140), peek32(m, peek64(m, facp + 140) + 4), "dsdt");
	/* The RSDP is no table to iasl; test_tables.c checks it. */
	if (m->rig.devices.has_pci) {
		const uint64_t mcfg = peek64(m, xsdt + 52);
		save(m, mcfg, peek32(m, mcfg + 4), "mcfg");
		judge("mcfg");
	}
	judge("xsdt");
	judge("facp");
	judge("apic");
	judge("facs");
	judge("dsdt");
}

/* The disassembly says what the table is to say. */
static void look_for(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.dsl", directory, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	const ssize_t len = read(fd, output, sizeof(output) - 1);
	assert_true(len > 0);
	output[len] = '\0';
	close(fd);
	if (!strstr(output, text))
		fail_msg("%s: no \"%s\"", path, text);
}

/* SRAT and SLIT of two nodes and of four, one of which has memory alone and one CPUs alone. */
static void nodes_accepted_by_iasl(void **state)
{
	static const uint64_t two[] = {2 * AX_GIB, 2 * AX_GIB};
	static const uint64_t four[] = {2 * AX_GIB, AX_GIB, AX_GIB, 0};
	static const uint8_t two_far[] = {10, 21, 21, 10};
	static const uint8_t four_far[] = {10, 20, 30, 40, 20, 10, 20, 30,
					   30, 20, 10, 20, 40, 30, 20, 10};
	static uint32_t nodes[300];
	static const struct {
		uint32_t vcpus, node_count;
		const char *srat, *slit;
	} rows[] = {
		{4, 2, "Apic ID : 03", "Locality   1 : 15 0A"},
		{300, 4, "Apic ID : 0000012B", "Locality   3 : 28 1E 14 0A"},
	};
	(void)state;

	if (run_iasl("-v", NULL, output, sizeof(output)) == 127)
		skip();
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const bool is_four = rows[i].node_count == 4;
		const struct axarch_topology topology = {.node_count = rows[i].node_count,
							 .node_bytes = is_four ? four : two,
							 .vcpu_nodes = nodes,
							 .distances = is_four ? four_far : two_far,
							 .threads_per_core = 2};
		struct machine m;
		uint64_t rsdp;

		/* Nodes 0, 1 and 3 of the four. */
		for (uint32_t n = 0; n < rows[i].vcpus; n++)
			nodes[n] = is_four ? n % 3 + n % 3 / 2 : n / 2;
		machine_init(&m, 64 * AX_MIB, rows[i].vcpus);
		m.rig.config.memory_bytes = 4 * AX_GIB;
		m.rig.config.topology = &topology;
		assert_int_equal(x86_plan(&m.rig.config, &m.rig.plan, NULL), 0);
		assert_int_equal(x86_apic_ids(&m.rig.config, m.apic_ids, NULL), 0);
		if (x86_write_acpi(m.rig.memory, &m.info, &rsdp, &m.rig.err) < 0)
			fail_msg("%s", m.rig.err.message);
		const uint64_t xsdt = peek64(&m, rsdp + 24);
		const uint64_t srat = peek64(&m, xsdt + 52), slit = peek64(&m, xsdt + 60);
		save(&m, srat, peek32(&m, srat + 4), "srat");
		save(&m, slit, peek32(&m, slit + 4), "slit");
		judge("srat");
		judge("slit");
		look_for("srat", rows[i].srat);
		look_for("slit", rows[i].slit);
		rig_finish(&m.rig);
	}
}

static void accepted_by_iasl(void **state)
{
	static const struct {
		uint32_t vcpus;
		bool serial;
		size_t devices;
		bool pci;
	} rows[] = {{1, true, 2, false},
		    {4, false, 0, true},
		    {20, true, 17, false},
		    {300, true, 1, true}};
	(void)state;

	if (run_iasl("-v", NULL, output, sizeof(output)) == 127) {
		print_message("iasl is not installed (package acpica-tools)\n");
		skip();
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct machine m;
		machine_init(&m, 64 * AX_MIB, rows[i].vcpus);
		m.rig.devices.has_serial = rows[i].serial;
		m.rig.devices.device_count = rows[i].devices;
		m.rig.devices.has_pci = rows[i].pci;
		judge_machine(&m);
		rig_finish(&m.rig);
	}
}

static int make_directory(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	snprintf(directory, sizeof(directory), "%.40s/axvm-iasl-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	(void)state;

	while (dir && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(accepted_by_iasl),
					   cmocka_unit_test(nodes_accepted_by_iasl)};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
