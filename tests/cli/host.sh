# shellcheck shell=bash
# The host's side: no KVM device, something else in its place, no permission; doctor and selftest.

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
