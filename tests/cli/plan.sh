# shellcheck shell=bash
# axvm plan: its forms, that it is deterministic, and every way to ask for what cannot be.
# shellcheck disable=SC2154 # out, err and the like are the caller's

recordings=$root/share/hosts
xeon=(--host "$recordings/e5-2680v2-2s.json")
spans=(plan -c 16 -m 48G "${xeon[@]}") # more memory than a node has

# What needs no Python is said without it.
python() {
	python3 -IS "$@" 2>>"$err"
}

check plan/default 0 "vCPU   CPU  node" "otherwise:" "housekeeping:" "┌─ node 1" \
	"guest node 1: 24G of 63G" -- "${spans[@]}"
says_where plan/on-stdout out
cp "$out" "$scratch/default"
check plan/table 0 "vCPU   CPU  node" "profile xv2" -- "${spans[@]}" --table
expect plan/table-alone "there is a drawing" test -z "$(grep ┌ "$out")"
cp "$out" "$scratch/table"
check plan/picture 0 "┌─ node 0" "io  I/O threads" -- "${spans[@]}" --picture
expect plan/picture-alone "there is a table" test -z "$(grep otherwise "$out")"
expect plan/default-is-both "it is not table and drawing" \
	cmp -s "$scratch/default" <(cat "$scratch/table" <(echo) "$out")
check plan/this-host 0 "claimed:" -- plan --memory 16M

# The same host and request give the same bytes, in every form.
for form in table picture json svg; do
	"$AXVM" "${spans[@]}" "--$form" >"$scratch/first"
	"$AXVM" "${spans[@]}" "--$form" >"$scratch/second"
	expect "plan/same-$form" "it differs, or is empty" \
		test -s "$scratch/first" -a -z "$(cmp "$scratch/first" "$scratch/second" 2>&1)"
done

# For programs: vCPUs on CPUs of their own, half of them on each node, and all of the memory.
run_it "$AXVM" "${spans[@]}" --json
judge plan/json 0
expect plan/json-parses "not the plan that was asked for" python -c '
import json, sys
plan = json.load(open(sys.argv[1]))
assert len({v["cpu"] for v in plan["vcpus"]}) == 16
assert sorted(v["node"] for v in plan["vcpus"]) == [0] * 8 + [1] * 8
assert sum(m["size_bytes"] for m in plan["memory"]) == 48 << 30' "$out"
for recording in "$recordings"/*.json; do
	run_it "$AXVM" plan -c 3 -m 1G --svg --host "$recording"
	expect "plan/svg-$(basename "$recording" .json)" "not well-formed, or no vCPU 2 in it" python -c '
import sys, xml.dom.minidom
dom = xml.dom.minidom.parse(sys.argv[1])
assert dom.documentElement.tagName == "svg"
assert "2" in [t.firstChild.data for t in dom.getElementsByTagName("text") if t.firstChild]' "$out"
done

# Lines of a terminal that has no UTF-8 are ASCII, and the same otherwise.
run_it env LC_ALL=C "$AXVM" "${spans[@]}"
judge plan/ascii 0 "+- node 0" "+--+" "| cache 0"
expect plan/ascii-alone "there is more than ASCII" test -z "$(LC_ALL=C grep -n '[^ -~]' "$out")"
sed 's/[┌┬┐└┴┘]/+/g; s/─/-/g; s/│/|/g' "$scratch/default" >"$scratch/translated"
expect plan/ascii-same "it is another drawing" cmp -s "$out" "$scratch/translated"
run_it env LC_ALL=no_SUCH.locale "$AXVM" "${spans[@]}" --picture
judge plan/unknown-locale 0 "+- node 0"

# As wide as the terminal, or 80: widths COMMAND... prints those of the lines with a frame.
widths() {
	python -c '
import sys
print(*{len(l.rstrip("\r\n")) for l in open(sys.argv[1], encoding="utf-8", newline="\n") if l[0] in "┌│└"})' "$1"
}
"$AXVM" "${spans[@]}" --picture >"$scratch/picture"
expect plan/80-columns "lines are $(widths "$scratch/picture") wide" \
	test "$(widths "$scratch/picture")" = 80
python - "$AXVM" "${spans[@]}" --picture >"$scratch/narrow" <<'END'
import fcntl, os, pty, struct, subprocess, sys, termios
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
child = subprocess.Popen(sys.argv[1:], stdout=slave)
os.close(slave)
try:
    while data := os.read(master, 65536):
        sys.stdout.buffer.write(data)
except OSError:
    pass  # the other side is closed
child.wait()
END
expect plan/50-columns "lines are $(widths "$scratch/narrow") wide" \
	test "$(widths "$scratch/narrow")" = 50

# Options are those of run, wherever they stand; their values are no flags of ours.
echo '{"cpus": {"count": 16}, "memory": {"size": "48G"}}' >vm.json
check plan/config-file 0 -- plan --config vm.json "${xeon[@]}"
expect plan/config-file-same "it differs from the options" cmp -s "$out" "$scratch/default"
rm vm.json
check plan/host-first 0 -- plan "--host=${xeon[1]}" --vcpus=16 --memory 49152 -k nowhere
expect plan/host-first-same "it differs" cmp -s "$out" "$scratch/default"
check plan/values-are-no-flags 0 -- "${spans[@]}" --append=--host --name=--json --cmdline=--svg
expect plan/values-are-no-flags-same "it differs" cmp -s "$out" "$scratch/default"
check plan/io-threads 0 "         3          1" -- "${spans[@]}" --io-threads 4
check plan/io-affinity 0 "--io-affinity is no part of a plan" -- \
	plan --io-affinity 3 "${xeon[@]}"
check plan/profile 0 "profile generic" -- "${spans[@]}" --profile generic
check plan/pages 0 " 1g  10" -- plan -m 8G --memory-backing hugetlb-1G "${xeon[@]}"
check plan/two-forms 2 "--json and --svg are two forms" "hint:" -- "${spans[@]}" --json --svg
check plan/form-twice 0 '"vcpus"' -- "${spans[@]}" --json --json
check plan/host-without-value 2 "--host wants a value" "--host FILE" -- plan --host
check plan/unknown-option 2 "--tabel is not an option" "hint:" -- plan --tabel
check plan/unknown-recording 2 "missing.json" "hint:" -- plan --host missing.json
echo '{"axvm_host": 1, "vendr": 1}' >wrong.json
check plan/wrong-recording 2 "wrong.json" "hint:" -- plan --host wrong.json
rm wrong.json
check plan/unknown-profile 2 "profile: 'xv9' is not known" "hint:" -- plan --profile xv9 "${xeon[@]}"
check plan/profile-refuses 26 "profile xv2 refuses" "VT-x" \
	"hint: this profile is for no other processor; --profile auto takes" -- \
	plan --profile xv2 --host "$recordings/epyc-7543-nps4.json"
# What is suggested is spelled as the help spells it.
check plan/backing-as-spelled 0 "--memory-backing hugetlb-1G" -- host --host "$recordings/e5-2680v2-2s.json"

check plan/all-cores-of-nodes 0 "would follow this plan but for its CPUs" "no core would be left" \
	"hint: --placement dedicated" -- plan -c 20 -m 48G --host "$recordings/e5-2680v2-2s.json"
check plan/all-cores 0 "would not follow this plan" "no core would be left" -- \
	plan -c 10 --host "$recordings/e5-2680v2-1s.json"
check plan/fifo-needs-a-core 2 "no core is left for I/O beside the 20 vCPUs" "hint: ask for fewer vCPUs, or leave" -- \
	plan -c 20 -m 4G --scheduler fifo --host "$recordings/e5-2680v2-1s.json"
check plan/fifo-on-siblings 2 "no core is left for I/O beside the 20 vCPUs" "or --cores smt, or leave" -- \
	plan -c 20 -m 48G --scheduler fifo --host "$recordings/e5-2680v2-2s.json"
check plan/fifo-on-siblings-fits 0 "on none of their cores" -- \
	plan -c 20 -m 48G --scheduler fifo --cores smt --table --host "$recordings/e5-2680v2-2s.json"

check plan/none-shares 2 "do not fit" "would share CPUs instead" -- \
	plan -c 21 -m 4G --host "$recordings/e5-2680v2-1s.json"
check plan/none-dedicated 2 "do not fit" -- \
	plan -c 21 -m 4G --placement dedicated --host "$recordings/e5-2680v2-1s.json"
expect plan/none-dedicated-is-a-must "it says that it would share" \
	test -z "$(grep instead "$err")"

check plan/no-memory-shares 2 "are not free" "would share CPUs instead" -- \
	plan -c 2 -m 4T --host "$recordings/e5-2680v2-1s.json"
check plan/no-recording 2 "cannot open the recorded host" -- plan --host /nowhere
expect plan/no-recording-is-no-refusal "it says that it would share" test -z "$(grep instead "$err")"
run_it env AXVM_RUN_DIR=/nowhere "$AXVM" plan -c 1 -m 64M
judge plan/no-ledger 2 "cannot open the ledger /nowhere"
expect plan/no-ledger-is-no-refusal "it says that it would share" test -z "$(grep instead "$err")"

check plan/pages-on-four-nodes 2 "hint: for n in 0:" " 3:" "nr_hugepages; done; would work: " -- \
	plan -c 60 -m 200G --memory-backing hugetlb-1G --host "$recordings/epyc-7543-nps4.json"

# Sockets whose memory is interleaved are one node, and are told apart nevertheless.
python -c '
import json, sys
host = json.load(open(sys.argv[1]))
host["nodes"], host["distances"] = host["nodes"][:1], [[10]]
for cpu in host["cpus"]:
    cpu["node"] = 0
json.dump(host, open("interleaved.json", "w"))' "${xeon[1]}"
check plan/two-sockets-one-node 0 "node 0, sockets 0-1" "cache 1, socket 1" -- \
	plan -c 4 -m 4G --picture --host interleaved.json
rm -f interleaved.json

# A recording may come from anybody: it sends nothing to the terminal that looks at it.
sed 's/"model_name": "[^"]*"/"model_name": "a \\u001b[31mred one"/' "${xeon[1]}" >red.json
check plan/recorded-escape 0 "a ?[31mred one" -- host --host red.json
rm red.json

# CPUs by name.
check plan/pins 0 "    0     9     0" "    1    39     1" "pinned by the request" -- \
	plan -c 2 --cpu-affinity 9,39 "${xeon[@]}"
check plan/pins-shared 0 "CPUs shared" "vCPU that shares its CPU" -- \
	plan -c 2 --cpu-affinity 7,7 "${xeon[@]}"
check plan/pin-not-there 2 "CPU 99, where vCPU 1 is to run, is not there" "hint:" "up to 39" -- \
	plan -c 2 --cpu-affinity 0,99 "${xeon[@]}"
check plan/other-nodes 2 "node 0 has 0 in 0 cores" "; 1 offline, 47 on nodes left out" -- \
	plan -c 4 -m 2G --nodes 6 --host "$recordings/odd-nodes.json"
check plan/pin-offline 2 "CPU 14" "is offline" "echo 1 > /sys/devices/system/cpu/cpu14/online" -- \
	plan --cpu-affinity 14 --host "$recordings/odd-nodes.json"
check plan/pins-too-few 2 "cpus.affinity has 1 numbers for 2 vCPUs" -- \
	plan -c 2 --cpu-affinity 0 "${xeon[@]}"

# follow NAME ARGUMENTS...: a request that cannot be, and then each thing that its hint says would work.
follow() {
	local name=$1 hint part
	shift
	check "$name" 2 "hint:" "would work: " -- plan "$@"
	sed -n 's/.*would work: //p' "$err" | sed 's/, or /\n/g' >"$scratch/ways"
	expect "$name-ways" "no hint is understood" test -s "$scratch/ways"
	while read -r part; do
		case $part in
		*'names CPUs twice') hint=(--cpu-affinity "$(twice "$@")") ;;
		'smaller pages by --memory-backing') hint=(--memory-backing thp) ;;
		--*) read -ra hint <<<"${part/ with / }" ;;
		*)
			fail "$name: $part" "a hint that says no option"
			continue
			;;
		esac
		check "$name: $part" 0 "claimed:" -- plan "$@" "${hint[@]}" --table
	done <"$scratch/ways"
}

# CPUs 0 to 39 again and again, for the -c N that comes first.
twice() {
	local n cpus=()
	for ((n = 0; n < $2; n++)); do
		cpus+=($((n % 40)))
	done
	(IFS=, && echo "${cpus[*]}")
}

follow plan/too-many-cpus -c 60 "${xeon[@]}"
follow plan/too-much-memory -c 20 -m 512G "${xeon[@]}"
follow plan/too-much-of-both -c 500 -m 1T "${xeon[@]}"
follow plan/too-few-pages -c 4 -m 64G --memory-backing hugetlb-1G "${xeon[@]}"
follow plan/no-pages -m 4G --memory-backing hugetlb-1G --host "$recordings/i7-1165g7.json"
follow plan/odd-memory -c 6 -m 900G --host "$recordings/odd-nodes.json"
follow plan/epyc-memory -c 60 -m 4T --host "$recordings/epyc-7543-nps4.json"
check plan/pages-how-to 2 "echo 32 > /sys/devices/system/node/node0/hugepages" -- \
	plan -c 4 -m 64G --memory-backing hugetlb-1G "${xeon[@]}"
check plan/half-a-page 2 "no multiple of its pages of 1G" "--memory 1G would do" -- \
	plan -m 700M --memory-backing hugetlb-1G "${xeon[@]}"
