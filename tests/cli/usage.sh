# shellcheck shell=bash
# Words: no arguments, help of everything, commands and options that do not exist, completion.

check usage/no-arguments 2 "Usage: axvm COMMAND" -- 
for word in help --help -h; do
	check "usage/$word" 0 "Commands:" "axvm doctor" -- "$word"
done
says_where usage/help-on-stdout out
for command in run selftest doctor host plan config disk switch completion version help; do
	check "usage/help-of-$command" 0 "Usage: axvm $command" -- "$command" --help
	check "usage/help-before-$command" 0 "Usage: axvm $command" -- help "$command"
	check "usage/h-of-$command" 0 "Usage: axvm $command" -- "$command" -h
done
check usage/help-lists-options 0 "--memory SIZE" "--disk PATH" "--config FILE" "Exit status" \
	-- run --help
check usage/help-of-nothing 2 "no command 'nothing'" "hint:" -- help nothing
check usage/help-of-two 2 "'extra' is not expected" "hint:" -- help run extra
check usage/disk-of-nothing 2 "expected overlay NEW BASE" "hint:" -- disk
check usage/disk-of-one 2 "expected overlay NEW BASE" "hint:" -- disk overlay new
check usage/disk-of-three 2 "'more' is not expected" "hint:" -- disk overlay new base more
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
# Every subcommand with options of its own reads them in the same way.
for command in host doctor selftest top switch version; do
	check "usage/unknown-option-of-$command" 2 "$command: '--all' is not expected" \
		"hint: \`axvm $command --help\`" -- "$command" --all
done
for flag in host/save host/host doctor/kvm-device selftest/kvm-device top/interval top/count \
	plan/host; do
	check "usage/value-missing-of-$flag" 2 "--${flag#*/} wants a value" "hint: write --${flag#*/} " \
		-- "${flag%/*}" "--${flag#*/}"
done
for flag in host/json top/json; do
	check "usage/value-too-many-of-$flag" 2 "--${flag#*/} takes no value" -- "${flag%/*}" "--${flag#*/}=x"
done
check usage/word-too-many-of-host 2 "'x' is not expected" -- host x
check usage/word-behind-the-options 2 "'--json' is not expected" -- host -- --json

check usage/memory-too-small 2 "--memory: 1M is out of range" "from 16M to 64T" -- run --memory 1M
check usage/memory-is-no-size 2 "-m: 'lots' is not a size" "from 16M to 64T" -- run -m lots
check usage/memory-too-large 2 "128T" -- run --memory 128T
check usage/memory-beyond-numbers 2 "too large" -- run --memory 99999999999999999999G
check usage/memory-not-in-pages 2 "not a multiple of 4096" -- run --memory 16385K
check usage/no-cpus 2 "-c: 0 is out of range" "from 1 to 1024" -- run -c 0
check usage/too-many-cpus 2 "1025 is out of range" -- run --cpus 1025
check usage/negative-cpus 2 "'-1' is not a whole number" "from 1 to 1024" -- run --cpus -1
check usage/ids-are-no-list 2 "is not a list of numbers" "hint: numbers up to" -- run --cpu-ids 1,x
check usage/switch-is-neither 2 "'maybe' is not true or false" "yes and no" -- run --rng=maybe
check usage/path-is-empty 2 "'' is not a path" "hint:" -- run --kernel=
check usage/cpus-beyond-machine 2 "256 vCPUs" -- "${fake[@]}" -k off --cpus 256
check usage/memory-beyond-machine 2 "64G" -- "${fake[@]}" -k off --memory 65G
check usage/cpu-that-is-not-there 2 "9999" -- "${fake[@]}" -k spin --cpu-affinity 9999
check usage/unknown-arch 2 "arch: 'vax' is not known" "generic" -- run --arch vax -k off
expect usage/unknown-arch-offers-what-runs "it offers what refuses to run" test -z "$(grep loongarch "$err")"
check usage/check-unknown-arch 2 "arch: 'vax' is not known" "generic" -- config check --arch vax -k off
# shellcheck disable=SC2154 # root is the caller's
if [ -d "$root/src/arch/loongarch64" ]; then
	check usage/arch-not-there-yet 1 "not implemented on loongarch64 yet" \
		"How to add an architecture" -- run --arch loongarch64 -k "$AXVM"
	check usage/check-arch-not-there-yet 1 "not implemented on loongarch64 yet" -- \
		config check --arch loongarch64 -k "$AXVM"
fi
check usage/unknown-profile 2 "profile: 'xv9' is not known" "auto, xv2, zen2, generic" -- \
	"${fake[@]}" -k off --profile xv9
check usage/no-kernel 2 "no kernel is configured" "--kernel PATH" -- "${fake[@]}"

for shell in bash zsh fish; do
	name=usage/completion-$shell
	run_it "$AXVM" completion "$shell"
	cp "$out" "$scratch/completion"
	judge "$name-runs" 0 memory doctor save no-metrics quiet # of the schema, commands, host, all
	if ! command -v "$shell" >/dev/null; then
		skip "$name-is-valid" "$shell is not installed"
	elif "$shell" -n "$scratch/completion" 2>"$err"; then
		pass "$name-is-valid"
	else
		fail "$name-is-valid" "$shell -n does not like it"
	fi
done
check usage/completion-of-what 2 "bash, zsh or fish" "hint:" -- completion
check usage/completion-of-tcsh 2 "bash, zsh or fish" "hint:" -- completion tcsh

# The script does complete: completes WORD..., the last of which is being typed.
"$AXVM" completion bash >"$scratch/completion"
completes() {
	# shellcheck disable=SC2016
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _axvm
		printf "%s\n" "${COMPREPLY[@]}"' - "$scratch/completion" "$@" 2>"$err"
}
while read -r wanted words; do
	# shellcheck disable=SC2086
	if completes $words | grep -qx -- "$wanted"; then
		pass "usage/completes-$wanted"
	else
		fail "usage/completes-$wanted" "bash does not complete '$words'"
	fi
done <<'END'
doctor axvm doc
--memory axvm run --memo
stdio axvm run --serial std
file axvm run --serial = fi
hugetlb-1G axvm run --memory-backing hugetlb-1
passt axvm plan --net pa
--no-rng axvm run --no-r
-q axvm top -q
--quiet axvm host --q
check axvm config ch
--config axvm config check --con
overlay axvm disk over
zsh axvm completion z
switch axvm help sw
--picture axvm plan --p
--cpus axvm plan --cp
--kvm-device axvm doctor --kvm
--count axvm top --interval 2s --c
--save axvm host --json --s
off axvm host --save of
spin axvm run sp
END
while read -r unwanted words; do
	# shellcheck disable=SC2086
	if completes $words | grep -qx -- "$unwanted"; then
		fail "usage/does-not-complete-$unwanted" "bash offers it for '$words'"
	else
		pass "usage/does-not-complete-$unwanted"
	fi
done <<'END'
--memory axvm doctor --
--serial axvm selftest --
--disk axvm switch --
--kernel axvm host --json --
--cpus axvm top --interval 2s --
--host axvm run --
off axvm help of
spin axvm disk sp
crash axvm top cr
reset axvm run --cpus re
END

# What is offered is never refused. The last words are, so that nothing starts.
"$AXVM" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
	words=("$command")
	[ "$command" != config ] || words+=(check)
	[ "$command" != disk ] || words+=(overlay)
	[ "$command" != completion ] || words+=(zsh)
	[ "$command" != help ] || words+=(run)
	offered=$(completes axvm "${words[@]}" -)
	[ -n "$offered" ] || echo "$command: nothing is offered"
	for flag in $offered; do
		"$AXVM" "${words[@]}" "$flag" --nonsense --nonsense 2>&1 </dev/null |
			grep -E -- "(^| )'?$flag'? is not" | sed "s/^/$command: /"
	done
done >"$scratch/refused"
expect usage/offers-what-is-taken "$(cat "$scratch/refused")" test ! -s "$scratch/refused"
