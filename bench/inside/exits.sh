# Exits to userspace by cause, as KVM's tracepoints tell them; part of bench/exits.
#   exits.sh KERNEL [read]    of a boot to init, or of 64 MiB read from a disk after it
# shellcheck shell=sh
. inside/lib.sh
what=${2:-end}

# count WHO: the causes in $work/WHO as "number<TAB>cause", all exits from guest mode in $work/WHO.all.
count() {
	trace_on 32768
	event kvm/kvm_userspace_exit
	event kvm/kvm_mmio
	event kvm/kvm_hypercall 'nr >= 0xbe00 && nr <= 0xbeff'
	# A port exit carries port and direction: AMD's number of it, and Intel's.
	event kvm/kvm_exit 'exit_reason == 123 || exit_reason == 30'
	clocked "$1"
	trace_end
	! grep -q 'nr 0xbeff' "$work/trace" || fail "$1: the guest could not read its disk"
	awk -v from="$first" -v to="$last" '
		function hex(text, n, i) {
			sub(/^0x/, "", text)
			for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
			return n
		}
		function after(word, i) { for (i = 1; i < NF; i++) if ($i == word) return $(i + 1) }
		/kvm_hypercall: / { nr = after("nr"); if (nr == from) { on = 1; next } if (nr == to) exit }
		/kvm_exit: / {
			info = hex(after("info1"))
			amd = / reason (io|IOIO) /
			port = sprintf("0x%x %s", int(info / 65536) % 65536,
				(amd ? info % 2 : int(info / 8) % 2) ? "read" : "write")
		}
		/kvm_mmio: / { split($0, part, /gpa /); split(part[2], word, " "); gpa = word[1]; kind = /mmio write/ ? "write" : "read" }
		/kvm_userspace_exit: / && (on || from == "") {
			reason = after("reason")
			sub(/KVM_EXIT_/, "", reason)
			cause = reason == "IO" ? "port " port : reason == "MMIO" ? "memory " gpa " " kind : reason
			number[cause]++
		}
		END { for (cause in number) printf "%d\t%s\n", number[cause], cause }' "$work/trace" >"$work/$1"
}

if [ "$what" = read ]; then
	first=0xbe02 last=0xbe03 title='while 64 MiB are read from /dev/vda, 512 requests of 128 KiB'
	truncate -s 64M "$work/disk"
	disk=$work/disk
else
	first='' last=0xbe01 title='from power-on to init, no serial port'
fi
linux "$1" "$what"
count axvm
count qemu
header "exits to userspace (Linux $1, 1 vCPU; $title)"
awk -F '\t' '{ n[$2, FILENAME ~ /qemu$/] = $1; all[FILENAME ~ /qemu$/] += $1; seen[$2] = 1 }
	END {
		for (cause in seen) printf "%-58s %10d %10d\n", cause, n[cause, 0], n[cause, 1] | "sort -k 4nr -k 1"
		close("sort -k 4nr -k 1")
		printf "%-58s %10d %10d %9s\n", "all", all[0], all[1], all[0] ? sprintf("%.2f", all[1] / all[0]) : "-"
	}' "$work/axvm" "$work/qemu"
