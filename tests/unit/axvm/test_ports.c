/*
 * The ports of the virtio console: which of the configured consoles is which port, whether it is a
 * terminal or a channel there, where its bytes go, and whether the kernel is told of a terminal.
 */
#include "device.h"

#include "../virtio/console_driver.h"

#define EVENT(name) VIRTIO_CONSOLE_##name

static struct rig rig;
static struct axchr_config backends[AXCFG_MAX_CONSOLES];
static int far[AXCFG_MAX_CONSOLES]; /* the host's end of each configured console */

/* The VM of these consoles; far[i] is behind the i-th. */
static void begin(const char *const *words)
{
	rig_init(&rig, words);
	for (size_t i = 0; i < AXCFG_MAX_CONSOLES; i++) {
		int fds[2];

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
		far[i] = fds[0];
		backends[i] = (struct axchr_config){.in_fd = fds[1], .out_fd = fds[1]};
	}
	rig.options.ports = backends;
	rig.options.port_count = rig.config->console_count;
	rig.options.columns = 132;
	rig.options.rows = 43;
	build(&rig);
	dev = find(&rig, "console0");
	device = axvirtio_of(dev);
	loop = axvirtio_loop(device, 0);
	m = machine_of(&rig);
}

static void end(void)
{
	rig_finish(&rig);
	for (size_t i = 0; i < AXCFG_MAX_CONSOLES; i++) {
		close(far[i]);
		close(backends[i].in_fd);
	}
}

/* `name` NULL: a terminal. What is written to the port comes out at the configured console. */
static void expect_port(uint32_t port, const char *name, size_t console)
{
	const char text[] = {'#', (char)('0' + port)};
	char got[8];

	tell(port, EVENT(PORT_READY), 1);
	if (name)
		expect_message(port, EVENT(PORT_NAME), 1, name, (uint32_t)strlen(name));
	else
		expect_message(port, EVENT(CONSOLE_PORT), 1, "", 0);
	expect_message(port, EVENT(PORT_OPEN), 1, "", 0);
	transmit(tx_of(port), text, sizeof(text));
	settle();
	assert_int_equal(recv(far[console], got, sizeof(got), 0), sizeof(text));
	assert_memory_equal(got, text, sizeof(text));
}

static void expect_ports(uint32_t count)
{
	drive(F_MULTIPORT);
	assert_int_equal(read_config(dev, 4, 4), count);
	offer_buffers(CONTROL_IN, RING_SIZE, BUFFER);
	tell(0xffffffff, EVENT(DEVICE_READY), 1);
	for (uint32_t i = 0; i < count; i++)
		expect_message(i, EVENT(PORT_ADD), 0, "", 0);
}

static bool kernel_has_hvc(void)
{
	return strstr(generic_vm_cmdline(rig_arch(&rig)), " console=hvc0") != NULL;
}

static void test_terminal(void **state)
{
	(void)state;
	begin(WORDS("--console=null"));
	assert_true(offers(dev, VIRTIO_CONSOLE_F_SIZE));
	assert_int_equal(read_config(dev, 0, 2), 132);
	assert_int_equal(read_config(dev, 2, 2), 43);
	assert_true(kernel_has_hvc());
	expect_ports(1);
	expect_port(0, NULL, 0);
	end();
}

/* Terminals before channels, each in the order given. */
static void test_order(void **state)
{
	(void)state;
	begin(WORDS("--console=null,name=a", "--console=null", "--console=null,name=b",
		    "--console=null"));
	assert_true(offers(dev, VIRTIO_CONSOLE_F_SIZE));
	assert_true(kernel_has_hvc());
	expect_ports(4);
	expect_port(0, NULL, 1);
	expect_port(1, NULL, 3);
	expect_port(2, "a", 0);
	expect_port(3, "b", 2);
	end();
}

static void test_channels_only(void **state)
{
	(void)state;
	begin(WORDS("--console=null,name=a", "--console=null,name=b"));
	assert_false(offers(dev, VIRTIO_CONSOLE_F_SIZE));
	assert_false(kernel_has_hvc());
	expect_ports(2);
	expect_port(0, "a", 0);
	expect_port(1, "b", 1);
	end();
}

/* The serial port is the kernel's choice where there is one. */
static void test_beside_serial(void **state)
{
	(void)state;
	begin(WORDS("--console=null", "--serial=stdio"));
	assert_false(kernel_has_hvc());
	end();
}

/* As many as there can be, and the last of them the terminal. */
static void test_all(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};

	(void)state;
	begin(WORDS("--console=null,name=a", "--console=null,name=b", "--console=null,name=c",
		    "--console=null,name=d", "--console=null,name=e", "--console=null,name=f",
		    "--console=null,name=g", "--console=null"));
	assert_true(kernel_has_hvc());
	expect_ports(AXCFG_MAX_CONSOLES);
	expect_port(0, NULL, 7);
	for (uint32_t i = 0; i < AX_ARRAY_LEN(names); i++) {
		offer_buffers(CONTROL_IN, 2, BUFFER);
		expect_port(i + 1, names[i], i);
	}
	end();
}

/* One that is a socket has no descriptor of the owner's, and its name is there as long as the VM.
 */
static void test_socket(void **state)
{
	char path[64], console[96];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/axvm-ports-%d", (int)getpid());
	snprintf(console, sizeof(console), "--console=socket,path=%s", path);
	begin(WORDS(console));
	assert_int_equal(access(path, F_OK), 0);
	end();
	assert_int_equal(access(path, F_OK), -1);
}

static void test_resize(void **state)
{
	(void)state;
	begin(WORDS("--console=null"));
	axvm_resize_console(rig.vm, 80, 25);
	assert_int_equal(read_config(dev, 0, 2), 80);
	assert_int_equal(read_config(dev, 2, 2), 25);
	end();
	/* Nobody's. */
	rig_init(&rig, NULL);
	build(&rig);
	axvm_resize_console(rig.vm, 80, 25);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminal),      cmocka_unit_test(test_order),
		cmocka_unit_test(test_channels_only), cmocka_unit_test(test_beside_serial),
		cmocka_unit_test(test_all),           cmocka_unit_test(test_resize),
		cmocka_unit_test(test_socket),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
