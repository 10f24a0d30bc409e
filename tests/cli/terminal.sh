# shellcheck shell=bash
# The terminal is the guest's while it runs and the user's again however the program ends.

if python3 "$here/terminal.py" "$AXVM" >"$out" 2>"$err"; then
	cat "$out"
else
	cat "$out"
	grep -q '^FAIL' "$out" || fail terminal "the pseudo terminal could not be driven"
	failed=1
fi
