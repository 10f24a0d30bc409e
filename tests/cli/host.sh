# shellcheck shell=bash
# The host's side: no KVM device, something else in its place, no permission; doctor, host and selftest.

check host/no-device 20 "gone is not there" "hint:" "modprobe" -- run -k off --kvm-device gone
check host/not-kvm 22 "/dev/null" "hint:" -- run -k off --kvm-device /dev/null
check host/a-file 22 "off" -- run -k off --kvm-device off
check host/a-directory 22 "." -- run -k off --kvm-device .
check host/doctor-no-device 20 "This host cannot run VMs" "What to do" -- \
	doctor --kvm-device gone
check host/doctor-not-kvm 22 "This host cannot run VMs" -- doctor --kvm-device=/dev/null
check host/selftest-no-device 20 "gone is not there" -- selftest --kvm-device gone
check host/selftest-not-kvm 22 "/dev/null" -- selftest --kvm-device=/dev/null
run_it "$AXVM" doctor
# Without a usable KVM it says so by its status; the report is complete all the same.
[ -n "$no_kvm" ] || expect host/doctor-status "not 0 where VMs run" test "$status" -eq 0
judge host/doctor "$status" "Host" "processor" "Profiles" "xv2" "generic" "Verdict"

# Facts of this host, and of recorded ones.
recordings=$root/share/hosts
check host/facts 0 "Host" "layout" "Nodes" "Limits" "<- chosen" -- host
says_where host/facts-on-stdout out
check host/recorded 0 "E5-2680 v2" "2 sockets x 10 cores x 2 threads" "0-9,20-29" "Distances" \
	"8192/8192" "mds" "xv2" -- host --host "$recordings/e5-2680v2-2s.json"
check host/recorded-odd 0 "47 threads" "none" "CPUs offline" "4-5,28-29" \
	-- host "--host=$recordings/odd-nodes.json"
check host/recorded-json 0 -- host --json --host "$recordings/epyc-7543-nps4.json"
expect host/recorded-json-exact "it differs from the recording" \
	cmp -s "$out" "$recordings/epyc-7543-nps4.json"
check host/save-without-file 2 "--save wants a value" "--save FILE" -- host --save --json
expect host/save-no-option "a file is called like an option" test ! -e ./--json
check host/no-recording 2 "missing.json" "hint:" "--save" -- host --host missing.json
printf '{"axvm_host": 1, "vendr": 1}' >wrong.json
check host/wrong-recording 2 "wrong.json: vendr: no such key" "hint:" -- host --host wrong.json
echo 'CPUs: 4' >wrong.json
check host/no-json 2 "wrong.json:1:" "not valid JSON" "hint:" "axvm host --save" -- \
	host --host wrong.json
rm wrong.json
check host/directory 2 "not a regular file" "hint:" "axvm host --save" -- host --host .
"$AXVM" host --save saved.json && "$AXVM" host --host saved.json --save again.json
expect host/save-exact "a saved host does not come back" cmp -s saved.json again.json
ln -s saved.json link.json
echo old >saved.json
"$AXVM" host --host again.json --save link.json
expect host/save-replaces "the file is not the new one" cmp -s saved.json again.json
expect host/save-keeps-link "the link is gone" test -L link.json
expect host/save-leaves-nothing "a temporary file is left" \
	test "$(echo saved.json*)" = saved.json
rm -f saved.json again.json link.json
check host/save-nowhere 1 "cannot write nowhere/x.json" "hint:" "its directory is not there" -- \
	host --save nowhere/x.json
# As /dev/stdout is, but a link of our own: one that is replaced by mistake does no harm.
ln -s /proc/self/fd/1 to-stdout
check host/save-stdout 0 '"axvm_host": 1' -- host --save to-stdout
expect host/save-into-pipe "nothing came through" \
	grep -q axvm_host <("$AXVM" host --save to-stdout | cat)
expect host/save-stdout-stays "the link is gone" test -L to-stdout
rm to-stdout
mkfifo fifo
cat fifo >copy &
"$AXVM" host --save fifo
wait $!
expect host/save-into-fifo "nothing came through" grep -q axvm_host copy
expect host/save-fifo-stays "the fifo is gone" test -p fifo
rm -f fifo copy

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	skip host/no-permission "needs root and setpriv"
else
	: >device
	chmod 000 device
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM")
	run_it "${as_nobody[@]}" run -k off --kvm-device device
	judge host/no-permission 21 "device may not be opened by user 65534" "hint:" "usermod"
	run_it "${as_nobody[@]}" doctor --kvm-device device
	judge host/doctor-no-permission 21 "may not be opened"
	rm -f device
fi

# A profile refuses a host that is not its own, naming what is missing. The override is to choose.
if grep -q '^model[[:space:]]*: 62$' /proc/cpuinfo; then
	skip host/profile-refuses "this is an Ivy Bridge-EP"
else
	check host/profile-refuses 26 "profile xv2 refuses this host" "Ivy Bridge-EP" \
		"--profile auto" -- "${fake[@]}" -k off --profile xv2
fi
check host/profile-generic 0 -- "${fake[@]}" -k off --profile generic
check host/profile-is-logged 0 "generic as asked for" -- "${fake[@]}" -k off --profile generic -v

if [ -n "$no_kvm" ]; then
	skip host/selftest "$no_kvm"
else
	run_it "$AXVM" selftest
	if grep -q ' 0 failed' "$out"; then
		judge host/selftest 0 "AxVM self-test"
	else
		judge host/selftest-partial-kvm 1 "AxVM self-test" "axvm doctor"
	fi
	check host/doctor-fine 0 "KVM_CAP_USER_MEMORY" -- doctor
fi
