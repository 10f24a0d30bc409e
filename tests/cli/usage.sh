# shellcheck shell=bash
# Words: no arguments, help of everything, commands and options that do not exist, completion.

check usage/no-arguments 2 "Usage: axvm COMMAND" -- 
for word in help --help -h; do
	check "usage/$word" 0 "Commands:" "axvm doctor" -- "$word"
done
says_where usage/help-on-stdout out
for command in run selftest doctor host plan config completion version; do
	check "usage/help-of-$command" 0 "Usage: axvm $command" -- "$command" --help
	check "usage/help-before-$command" 0 "Usage: axvm $command" -- help "$command"
	check "usage/h-of-$command" 0 "Usage: axvm $command" -- "$command" -h
done
check usage/help-lists-options 0 "--memory SIZE" "--disk PATH" "--config FILE" "Exit status" \
	-- run --help
check usage/help-of-nothing 2 "no command 'nothing'" -- help nothing
check usage/unknown-command 2 "there is no command 'strat'" "hint:" -- strat
says_where usage/unknown-command-on-stderr err
check usage/empty-command 2 "there is no command ''" -- ""
check usage/version 0 "axvm " -- version
check usage/version-flag 0 "axvm " -- --version
check usage/version-letter 0 "axvm " -- -V
check usage/version-takes-nothing 2 "'please' is not expected" "hint:" -- version please

check usage/unknown-option 2 "--memroy is not an option" "did you mean --memory?" -- \
	run --memroy 512M
check usage/unknown-letter 2 "-z is not an option" "axvm run --help" -- run -z
check usage/missing-value 2 "--kernel wants a value" "--kernel PATH" -- run --kernel
check usage/too-many-words 2 "'two' is one word too many" -- run one two
check usage/switch-with-value 2 "--no-rng takes no value" -- run --no-rng=yes
check usage/unknown-option-of-host 2 "'--all' is not expected" -- host --all
check usage/value-missing-of-host 2 "'--save' is not expected" -- host --save
check usage/unknown-option-of-doctor 2 "'--all' is not expected" -- doctor --all
check usage/unknown-option-of-selftest 2 "'--all' is not expected" -- selftest --all
check usage/value-missing-of-doctor 2 "'--kvm-device' is not expected" -- doctor --kvm-device

check usage/memory-too-small 2 "--memory: 1M is out of range" "from 16M to 64T" -- run --memory 1M
check usage/memory-is-no-size 2 "-m: 'lots' is not a size" -- run -m lots
check usage/memory-too-large 2 "128T" -- run --memory 128T
check usage/memory-beyond-numbers 2 "too large" -- run --memory 99999999999999999999G
check usage/memory-not-in-pages 2 "not a multiple of 4096" -- run --memory 16385K
check usage/no-cpus 2 "-c: 0 is out of range" "from 1 to 1024" -- run -c 0
check usage/too-many-cpus 2 "1025 is out of range" -- run --cpus 1025
check usage/negative-cpus 2 "'-1' is not a whole number" -- run --cpus -1
check usage/cpus-beyond-machine 2 "256 vCPUs" -- "${fake[@]}" -k off --cpus 256
check usage/memory-beyond-machine 2 "64G" -- "${fake[@]}" -k off --memory 65G
check usage/cpu-that-is-not-there 31 "9999" -- "${fake[@]}" -k spin --cpu-affinity 9999
check usage/unknown-arch 2 "arch: 'vax' is not known" "generic" -- run --arch vax -k off
# shellcheck disable=SC2154 # root is the caller's
if [ -d "$root/src/arch/loongarch64" ]; then
	check usage/arch-not-there-yet 1 "not implemented on loongarch64 yet" \
		"How to add an architecture" -- run --arch loongarch64 -k "$AXVM"
	check usage/check-arch-not-there-yet 1 "not implemented on loongarch64 yet" -- \
		config check --arch loongarch64 -k "$AXVM"
fi
check usage/unknown-profile 2 "profile: 'xv9' is not known" "auto, xv2, generic" -- \
	"${fake[@]}" -k off --profile xv9
check usage/no-kernel 3 "has no kernel to start" "--kernel PATH" -- "${fake[@]}"

for shell in bash zsh fish; do
	name=usage/completion-$shell
	run_it "$AXVM" completion "$shell"
	cp "$out" "$scratch/completion"
	judge "$name-runs" 0 memory doctor
	if ! command -v "$shell" >/dev/null; then
		skip "$name-is-valid" "$shell is not installed"
	elif "$shell" -n "$scratch/completion" 2>"$err"; then
		pass "$name-is-valid"
	else
		fail "$name-is-valid" "$shell -n does not like it"
	fi
done
check usage/completion-of-what 2 "bash, zsh or fish" -- completion
check usage/completion-of-tcsh 2 "bash, zsh or fish" -- completion tcsh

# The script does complete.
"$AXVM" completion bash >"$scratch/completion"
completes() {
	# shellcheck disable=SC2016
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _axvm
		printf "%s\n" "${COMPREPLY[@]}"' - "$scratch/completion" "$@" 2>"$err"
}
for try in "doctor axvm doc" "--memory axvm run --memo" "stdio axvm run --serial std" \
	"check axvm config ch" "--picture axvm plan --p" "--memory axvm plan --memo"; do
	read -r wanted words <<<"$try"
	# shellcheck disable=SC2086
	if completes $words | grep -qx -- "$wanted"; then
		pass "usage/completes-$wanted"
	else
		fail "usage/completes-$wanted" "bash does not complete '$words'"
	fi
done
