# shellcheck shell=bash
# Standard streams that are closed, full or broken, and where the serial console may go.

# say FILE TEXT: a guest of the fake that prints and powers off
say() {
	bytes "$1" 14 "$(printf %02x ${#2})"
	printf '%s\x30' "$2" >>"$1"
}
say hello "hello from the guest"

run_it "$AXVM" "${fake[@]}" -k hello
judge streams/output 0 "hello from the guest"
expect streams/output-exact "'$(cat "$out")'" test "$(cat "$out")" = "hello from the guest"

with() { # with NAME STATUS REDIRECTION COMMAND...: the redirection is done by a shell of its own
	local name=$1 wanted=$2 redirection=$3
	shift 3
	# shellcheck disable=SC2016 # the other shell's arguments
	run_it bash -c '"$@" '"$redirection" - "$@"
	judge "streams/$name" "$wanted"
}
with stdin-closed 0 '<&-' "$AXVM" "${fake[@]}" -k hello
with stdout-closed 0 '>&-' "$AXVM" "${fake[@]}" -k hello
with stderr-closed 0 '2>&-' "$AXVM" run --arch generic -m 16M -k hello
with all-closed 0 '<&- >&- 2>&-' "$AXVM" run --arch generic -m 16M -k hello
with all-closed-fails 3 '<&- >&- 2>&-' "$AXVM" "${fake[@]}" -k gone
with stdin-write-only 0 '</dev/null 0>/dev/null' "$AXVM" "${fake[@]}" -k hello
with stdout-full 0 '>/dev/full' "$AXVM" "${fake[@]}" -k hello
with stdin-file 0 '<hello' "$AXVM" "${fake[@]}" -k hello
with stdin-directory 0 '<.' "$AXVM" "${fake[@]}" -k hello
# shellcheck disable=SC2016
with stdout-no-reader 0 '| true; exit "${PIPESTATUS[0]}"' "$AXVM" "${fake[@]}" -k hello
for command in version "config dump" doctor "completion bash" help "run --help"; do
	# shellcheck disable=SC2086
	with "${command// /-}-full" 1 '>/dev/full' "$AXVM" $command
	# shellcheck disable=SC2086
	with "${command// /-}-closed" 1 '>&-' "$AXVM" $command
done

# A signal must still get through when descriptor 0 or 1 came closed.
for redirection in '<&-' '>&-' '<&- >&-'; do
	# shellcheck disable=SC2016
	bash -c 'exec "$@" '"$redirection" - "$AXVM" "${fake[@]}" -k spin 2>"$err" &
	pid=$!
	wait_for_guest "$pid" 0
	terminate "$pid" TERM
	judge "streams/sigterm-with-$redirection" 0
done

# The console in a file.
run_it "$AXVM" "${fake[@]}" -k hello --serial file --serial-path "$scratch/console"
judge streams/serial-file 0
expect streams/serial-file-exact "'$(cat "$scratch/console")'" \
	test "$(cat "$scratch/console")" = "hello from the guest"
check streams/serial-file-full 0 -- "${fake[@]}" -k hello --serial file --serial-path /dev/full
check streams/serial-file-nowhere 2 "serial.path: cannot write no/such: No such file" \
	"directory exists" -- "${fake[@]}" -k hello --serial file --serial-path no/such
check streams/serial-file-directory 2 "serial.path: cannot write ." -- \
	"${fake[@]}" -k hello --serial file --serial-path .
check streams/serial-none 0 -- "${fake[@]}" -k hello --serial none
expect streams/serial-none-is-silent "it printed" test ! -s "$out"
check streams/serial-pty 0 "serial console on /dev/pts/" -- "${fake[@]}" -k hello --serial pty

# Logging: levels, and the environment's word.
check streams/verbose 0 "axvm: info: " -- "${fake[@]}" -k off --profile generic -v
check streams/verbose-word 0 "axvm: info: " -- "${fake[@]}" -k off --profile generic --verbose
run_it "$AXVM" "${fake[@]}" -k off --profile generic
expect streams/silent-by-default "it said something" test ! -s "$err"
run_it env AXVM_DEBUG=1 "$AXVM" "${fake[@]}" -k off --profile generic
judge streams/debug-environment 0 "axvm: info: "
run_it env AXVM_DEBUG=0 "$AXVM" "${fake[@]}" -k off --profile generic
expect streams/debug-off "it said something" test ! -s "$err"

# A reader of the log that has stopped does not stop the guest with it.
mkfifo stuck
exec 9<>stuck
dd if=/dev/zero of=stuck bs=4096 count=16 2>/dev/null
with log-stuck 0 '2>stuck' "$AXVM" "${fake[@]}" -k off --profile generic -v
exec 9>&-
rm stuck
