# shellcheck shell=bash
# Configuration files: everything that can be wrong with one, dump and check, and which source wins.

json() { # json FILE TEXT
	printf '%s' "$2" >"$1"
}

bad() { # bad NAME TEXT WANTED...: both dump and run must refuse it
	local name=$1 text=$2
	shift 2
	json bad.json "$text"
	check "config/$name" 2 "bad.json" "hint:" "$@" -- config dump --config bad.json
	check "config/$name-run" 2 "bad.json" "$@" -- run --config bad.json
	rm bad.json
}

bad empty '' "not valid JSON"
bad truncated '{"name": "x"' "not valid JSON"
bad trailing '{} tail' "end of file expected"
bad not-an-object '[1]' "expected an object"
bad duplicate '{"name": "a", "name": "b"}' "duplicate"
bad unknown-key '{"memory": {"sise": 1}}' "memory.sise: no such option" "did you mean memory.size?"
bad unknown-section '{"memroy": {}}' "memroy: no such option"
bad wrong-type '{"rng": "yes"}' "rng: expected true or false"
bad number-for-text '{"name": 7}' "name: expected text"
bad out-of-range '{"cpus": {"count": 0}}' "cpus.count: 0 is out of range" "from 1 to 1024"
bad huge-number '{"cpus": {"count": 99999999999999999999}}' "too big integer"
bad fraction '{"cpus": {"count": 1.5}}' "cpus.count"
bad not-utf8 "$(printf '{"name": "\xff"}')" "not valid JSON"
bad unknown-choice '{"serial": {"mode": "tcp"}}' "'tcp' is not known" "stdio, file, pty, none"
bad bad-disk '{"disks": [{"path": "a", "rw": true}]}' "disks[0].rw: no such option"

printf '{"name": "a\0b"}' >nul.json
check config/nul 2 "nul.json" "not valid JSON" -- run --config nul.json
head -c 200000 /dev/zero | tr '\0' '[' >deep.json
check config/deep 2 "deep.json" "not valid JSON" -- run --config deep.json
truncate -s 3M large.json
check config/too-large 2 "large.json" "too many for the configuration" -- run --config large.json
head -c 4096 /dev/urandom >noise.json
check config/noise 2 "noise.json" "not valid JSON" -- run --config noise.json
mkdir -p adir
check config/directory 2 "adir: not a regular file" -- run --config adir
check config/missing 2 "missing.json: No such file" "axvm config dump" -- run --config missing.json
check config/missing-value 2 "--config wants a value" -- run --config
check config/device 2 "/dev/null: not a regular file" -- run --config /dev/null
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	json secret.json '{}'
	chmod 000 secret.json
	run_it setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM" run --config secret.json
	judge config/no-permission 2 "secret.json: Permission denied"
	rm -f secret.json
else
	skip config/no-permission "needs root and setpriv"
fi

# Options that do not go together.
check config/ids-for-other-cpus 2 "cpus.ids has 1 numbers for 2 vCPUs" -- run -c 2 --cpu-ids 1
check config/same-disk-twice 2 "disks[0] and disks[1] are both a" -- run -d a -d a
check config/serial-file-without-path 2 "serial.path is not set" "--serial-path" -- \
	run --serial file
check config/serial-path-without-file 2 "serial.path is set, but serial.mode is not file" \
	"add --serial file" -- run -k off --serial-path log
check config/serial-path-with-pty 2 "serial.path is set" "hint:" -- \
	config check -k off --serial pty --serial-path log
check config/no-irq-for-linux 2 "without a timer" "--protocol flat" -- run --irq-mode none
check config/no-irq-for-disks 2 "no interrupt line" -- run --irq-mode none --protocol flat -d a
check config/seventeen-disks 2 "more than 16" -- run -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 \
	-d 9 -d 10 -d 11 -d 12 -d 13 -d 14 -d 15 -d 16 -d 17

# A dump is a file that gives the same dump.
"$AXVM" config dump -k off -c 3 -m 48M -d 'a,,b,ro' --timeout 1500ms --max-exits \
	18446744073709551615 --cpu-ids 1,5-6 >full.json 2>"$err"
run_it "$AXVM" config dump --config full.json
judge config/dump-runs 0
expect config/dump-round-trip "a dump read back gives another dump" cmp -s "$out" full.json
run_it "$AXVM" config dump full.json
expect config/dump-of-a-file "it differs" cmp -s "$out" full.json
check config/flag-wins 0 '"count": 2' -- config dump --cpus 2 --cpu-ids= --config full.json
check config/not-utf8-dump 2 "kernel.cmdline" "UTF-8" -- config dump --cmdline $'\xff'

json good.json '{"kernel": {"path": "off"}, "name": "mine"}'
check config/check 0 "mine: fine" -- config check good.json
check config/check-options 0 "fine" -- config check --config good.json --memory 32M
check config/check-no-kernel 2 "no kernel is configured" "--kernel" -- config check
check config/check-missing-kernel 2 "kernel.path: cannot open gone" "check the path" -- \
	config check -k gone
check config/check-missing-disk 2 "disks[0]: cannot open disk image gone" "check the path" -- \
	config check -k off -d gone
check config/check-unknown-profile 2 "profile: 'xv9' is not known" -- \
	config check -k off --profile xv9
check config/check-unknown-arch 2 "arch: 'vax' is not known" -- config check -k off --arch vax
check config/check-region-on-ram 1 "memory.regions" -- \
	config check -k off --region gpa=0x1000,size=4K
check config/check-too-many-cpus 2 "vCPUs" -- config check -k off --arch generic -c 1000

# What it names: nothing of it is made, changed or noticed by its users (run_it looks for files).
json devices.json '{"kernel": {"path": "off"}, "name": "mine", "disks": [{"path": "mine.raw"},
	{"path": "gone.raw"}]}'
truncate -s 64K mine.raw
check config/check-file-disk 2 "disks[1]: cannot open disk image gone.raw" -- \
	config check devices.json
check config/check-disk-fine 0 "fine" -- config check -k off -d mine.raw
check config/check-disk-empty 2 "disks[0]: disk image empty.raw has 0 bytes" "truncate" -- \
	config check -k off -d "$(: >empty.raw && echo empty.raw)"
check config/check-disk-directory 2 "disks[0]: cannot open disk image adir: Is a directory" \
	"hint:" -- config check -k off -d adir
"$AXVM" "${fake[@]}" -k spin -d mine.raw --serial none </dev/null >/dev/null 2>&1 &
user=$!
wait_for_guest "$user" 0
check config/check-disk-busy 2 "disks[0]: disk image mine.raw is in use by another process" \
	"lslocks" -- config check -k off -d mine.raw
terminate "$user" TERM
check config/check-disk-free-again 0 "fine" -- config check -k off -d mine.raw
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 444 mine.raw
	run_it setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM" config check -k off -d mine.raw
	judge config/check-disk-read-only 2 "disks[0]: " "Permission denied" "--disk mine.raw,ro"
	run_it setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM" config check -k off \
		-d mine.raw,ro
	judge config/check-disk-ro 0 "fine"
	run_it setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM" config check -k off \
		--net tap=axnone0
	if [ -e /dev/net/tun ]; then
		judge config/check-no-tap 2 "nets[0]: " "hint:" "tun"
	else
		judge config/check-no-tun 2 "nets[0]: cannot open /dev/net/tun" "modprobe tun"
	fi
	chmod 644 mine.raw
else
	skip config/check-no-permission "needs root and setpriv"
fi
if [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; then
	check config/check-no-tap-interface 2 "nets[0]: interface lo is no tap" \
		"ip tuntap add dev NAME mode tap" -- config check -k off --net tap=lo
else
	skip config/check-no-tap-interface "/dev/net/tun cannot be opened"
fi
check config/check-tap-name 2 "nets[0]: \"a/b\" is no interface name" "tap=NAME" -- \
	config check -k off --net tap=a/b
check config/check-mac 2 "nets[0]: '52:54' is not a MAC address" "six bytes" -- \
	config check -k off --net tap=t,mac=52:54
check config/check-no-switch 2 "nets[0]: cannot connect to the switch at gone.sock" \
	"axvm switch gone.sock" -- config check -k off --net switch,socket=gone.sock
check config/run-no-switch 4 "cannot connect to the switch at gone.sock" "axvm switch gone.sock" \
	-- "${fake[@]}" -k off --net switch,socket=gone.sock
"$AXVM" switch -q here.sock </dev/null >/dev/null 2>&1 &
user=$!
for ((tries = 0; tries < 200; tries++)); do
	[ ! -S here.sock ] || break
	sleep 0.05
done
check config/check-switch 0 "fine" -- config check -k off --net switch,socket=here.sock
check config/check-socket-taken 2 "vsock.path: socket here.sock: somebody listens there" \
	"choose another" -- config check -k off --vsock here.sock
terminate "$user" TERM
check config/check-no-passt-socket 2 "nets[0]: cannot connect to the passt at off: it is no socket" \
	"passt --socket" -- config check -k off --net passt,socket=off
run_it env PATH=/nonexistent "$AXVM" config check -k off --net passt
judge config/check-no-passt 2 "nets[0]: cannot start passt" "install the package passt"
check config/check-vsock-nowhere 2 "vsock.path: socket no/such: its directory does not exist" \
	"make the directory" -- config check -k off --vsock no/such
check config/check-console-file 2 "consoles[0]: cannot write no/such: No such file" \
	"directory exists" -- config check -k off --console file,path=no/such
check config/check-cpu-affinity 2 'cpus.affinity[0]: cannot pin thread "vcpu 0" to host CPU 8191' \
	"choose host CPUs" -- config check -k off --cpu-affinity 8191
check config/check-io-affinity 2 'io.affinity[0]: cannot pin thread "io 0" to host CPU 8191' \
	"choose host CPUs" -- config check -k off --io-affinity 8191

check config/check-node 2 "node 65535 is not there" "the last is" -- \
	config check -k off --nodes 65535
check config/check-too-many-cpus 2 "1024 vCPUs do not fit" "would work: " -- \
	config check -k off -c 1024 --placement dedicated --idle host

# Overlays: the pair must fit, and none is made over what is there.
check config/check-overlay-missing 2 "disks[0]: cannot open disk image over.raw" \
	"axvm disk overlay over.raw mine.raw" -- config check -k off -d over.raw,base=mine.raw
"$AXVM" disk overlay over.raw mine.raw 2>"$err"
check config/check-overlay 0 "fine" -- config check -k off -d over.raw,base=mine.raw
check config/check-overlay-base 2 "disks[0]: " "empty.raw" "hint:" -- \
	config check -k off -d over.raw,base=empty.raw
check config/check-no-overlay 2 "disks[0]: mine.raw is no overlay" "axvm disk overlay" -- \
	config check -k off -d mine.raw,base=over.raw
check config/overlay-exists 1 "cannot make overlay over.raw: File exists" "hint:" \
	"choose another name" -- disk overlay over.raw mine.raw
printf '%0100d' 0 >short.raw
check config/overlay-empty-base 4 "base empty.raw has 0 bytes, less than a sector" "hint:" \
	"truncate -s 1G empty.raw" -- disk overlay new.raw empty.raw
check config/overlay-short-base 4 "base short.raw has 100 bytes" "hint:" -- \
	disk overlay new.raw short.raw
check config/overlay-nowhere 4 "cannot make overlay no/new.raw" "hint:" "make its directory" -- \
	disk overlay no/new.raw mine.raw
rm short.raw
check config/overlay-stays 0 "fine" -- config check -k off -d over.raw,base=mine.raw
rm -f mine.raw empty.raw over.raw

check config/neither 2 "neither dump nor check" -- config
check config/neither-show 2 "'show' is neither" -- config show
