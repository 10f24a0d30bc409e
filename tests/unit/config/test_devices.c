/*
 * Devices in the configuration: what follows from the options given (the backend of a card, whether
 * there is a serial port), and the checks between them, one test each.
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void test_what_follows(void **state)
{
	const struct axcfg *c =
		config_of_words(WORDS("--net=tap=t0", "--net=passt", "--net=mtu=1400"));

	(void)state;
	assert_int_equal(c->nets[0].type, AXCFG_NET_TAP);
	assert_string_equal(c->nets[0].tap, "t0");
	assert_int_equal(c->nets[1].type, AXCFG_NET_PASST);
	assert_int_equal(c->nets[2].type, AXCFG_NET_PASST);
	assert_int_equal(c->nets[2].mtu, 1400);
	assert_int_equal(c->serial.mode, AXCFG_SERIAL_STDIO);
	axcfg_destroy(c);

	c = config_of_words(WORDS("--console=stdio", "--io-affinity=3,4"));
	assert_int_equal(c->serial.mode, AXCFG_SERIAL_NONE);
	assert_int_equal(c->io.threads, 2);
	axcfg_destroy(c);

	/* A console elsewhere leaves the terminal to the serial port. */
	c = config_of_words(WORDS("--console=socket,path=s,name=a"));
	assert_int_equal(c->serial.mode, AXCFG_SERIAL_STDIO);
	assert_int_equal(c->consoles[0].mode, AXCFG_CONSOLE_SOCKET);
	axcfg_destroy(c);
}

static void test_limits(void **state)
{
	const struct axcfg *c =
		config_of_words(WORDS("--disk=a,bw=10M,bw_burst=1M,ops=100,ops_burst=7",
				      "--net=tap=t,rx_bw=1K,tx_ops=5"));

	(void)state;
	assert_int_equal(c->disks[0].limit.bytes, 10 * AX_MIB);
	assert_int_equal(c->disks[0].limit.bytes_burst, AX_MIB);
	assert_int_equal(c->disks[0].limit.ops, 100);
	assert_int_equal(c->disks[0].limit.ops_burst, 7);
	assert_int_equal(c->nets[0].rx.bytes, 1024);
	assert_int_equal(c->nets[0].tx.ops, 5);
	assert_int_equal(c->nets[0].tx.bytes, 0);
	axcfg_destroy(c);
	refuse_words(WORDS("--disk=a,ops=-1"), "'-1' is not a whole number", NULL);
	refuse_words(WORDS("--disk=a,bw=fast"), "'fast' is not a size", NULL);
}

static void test_disks(void **state)
{
	(void)state;
	refuse_words(WORDS("--disk=a,base=a"), "a is its own base", "axvm disk overlay");
	refuse_words(WORDS("--disk=a,queues=33"), "33 is out of range", NULL);
	axcfg_destroy(config_of_words(WORDS("--disk=a,base=b", "--disk=c,base=b")));
}

static void test_backends(void **state)
{
	(void)state;
	refuse_words(WORDS("--net=passt,tap=t"), "both the tap t and another backend", "one of");
	refuse_words(WORDS("--net=tap=t,socket=s"), "both the tap t and another backend", NULL);
	refuse_words(WORDS("--net=tap,socket=s"), "a tap has no socket", NULL);
	refuse_words(WORDS("--net=switch"), "which switch?", "axvm switch PATH");
	refuse_words(WORDS("--net=passt,queues=2"), "only a tap has more than one", "tap=NAME");
	refuse_words(WORDS("--net=tap=t", "--net=tap=t"),
		     "nets[0] and nets[1] are both on the tap t", NULL);
	refuse_words(WORDS("--net=tap=t,vhost"), "vhost goes with a tap and with PCI only",
		     "--transport pci");
	refuse_words(WORDS("--net=tap=t,mtu=67"), "an MTU of 67", NULL);
	refuse_words(WORDS("--net=tap=a-name-of-16-byt"), "at most 15", NULL);
	axcfg_destroy(config_of_words(WORDS("--transport=pci", "--net=tap=t,vhost,queues=4")));
}

static void test_mac(void **state)
{
	static const char *const malformed[] = {
		"",
		"52:54:00:12:34",
		"52:54:00:12:34:5",
		"52:54:00:12:34:567",
		"52-54-00-12-34-56",
		"52:54:00:12:34:5g",
		"52:54:00:12:34:56:",
		" 2:54:00:12:34:56",
	};
	const struct axcfg *c = config_of_words(WORDS("--net=tap=t,mac=52:54:00:aB:34:56"));
	uint8_t mac[6] = {0};

	(void)state;
	assert_int_equal(axcfg_parse_mac(c->nets[0].mac, mac), 0);
	assert_memory_equal(mac, "\x52\x54\x00\xab\x34\x56", 6);
	axcfg_destroy(c);
	for (size_t i = 0; i < AX_ARRAY_LEN(malformed); i++)
		assert_int_equal(axcfg_parse_mac(malformed[i], mac), -EINVAL);
	assert_int_equal(axcfg_parse_mac("00:00:00:00:00:00", mac), -EADDRNOTAVAIL);
	assert_int_equal(axcfg_parse_mac("01:00:5e:00:00:01", mac), -EADDRNOTAVAIL);
	assert_int_equal(axcfg_parse_mac("ff:ff:ff:ff:ff:ff", mac), -EADDRNOTAVAIL);
	assert_memory_equal(mac, "\x52\x54\x00\xab\x34\x56", 6);
	refuse_words(WORDS("--net=tap=t,mac=nonsense"), "'nonsense' is not a MAC address",
		     "52:54:00:12:34:56");
	refuse_words(WORDS("--net=tap=t,mac=03:00:00:00:00:01"), "no address of a single card",
		     "must be even");
}

static void test_consoles(void **state)
{
	(void)state;
	refuse_words(WORDS("--console=stdio", "--console=stdio"), "2 consoles want this terminal",
		     "--serial none");
	refuse_words(WORDS("--console=stdio", "--serial=stdio"), "2 consoles want this terminal",
		     NULL);
	refuse_words(WORDS("--console=file"), "consoles[0]: path goes with", "path=PATH");
	refuse_words(WORDS("--console=pty,path=x"), "consoles[0]: path goes with", NULL);
	refuse_words(WORDS("--console=tcp"), "'tcp' is not known", "socket");
	refuse_words(WORDS("--vsock=s", "--vsock-cid=2"), "2 is out of range", "3 to 4294967294");
}

static void test_balloon_and_threads(void **state)
{
	(void)state;
	refuse_words(WORDS("--balloon-size=1M"), "there is no balloon", "--balloon");
	refuse_words(WORDS("--balloon", "--balloon-size=1G"),
		     "cannot give back 1024 MiB of its 1024", NULL);
	refuse_words(WORDS("--balloon", "--balloon-stats=9ms"), "every 9000000 ns", "10ms or more");
	refuse_words(WORDS("--io-threads=2", "--io-affinity=1"), "has 1 numbers for 2 I/O threads",
		     NULL);
	refuse_words(WORDS("--io-threads=17"), "17 is out of range", NULL);
	refuse_words(WORDS("--irq-mode=none", "--protocol=flat", "--vsock=s"),
		     "no interrupt line for vsock", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_follows),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_consoles),
		cmocka_unit_test(test_balloon_and_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
