# shellcheck shell=bash
# What every benchmark does before its part in inside/ runs where the KVM is: find the program,
# build the guests and the clock, choose the place. Sourced by all but loop
# and place.
#
#   AXVM_BUILD=DIR  the build of axvm (default: build)
#   AXVM_LAB=host|lab  where, instead of what `tools/lab/lab probe` finds
lab_options=()
bench_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root_dir=$(dirname "$bench_dir")
PROG=${0##*/}
# shellcheck source=../tools/guest/common.sh
. "$root_dir/tools/guest/common.sh"

# prepare_tools: $SCRATCH/stage with axvm, the clock and the payloads.
prepare_tools() {
	local axvm=${AXVM_BUILD:-$root_dir/build}/src/cmd/axvm cc=${CC:-gcc}
	local bare=(-O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -no-pie -static
		-nostdlib -Wl,--build-id=none -Wl,-z,noexecstack)
	[ -x "$axvm" ] || die "$axvm is not built; run make first"
	need qemu-system-x86_64 "$cc"
	make_scratch
	stage=$SCRATCH/stage
	mkdir -p "$stage/inside"
	cp "$axvm" "$stage/axvm"
	cp "$bench_dir"/inside/* "$stage/inside/"
	"$cc" -O2 -Wall -Wextra -Werror -static -o "$stage/clock" "$bench_dir/clock.c"
	"$cc" "${bare[@]}" -Wl,-N -Wl,--no-warn-rwx-segments -Wl,-Ttext=0x100000 \
		-o "$stage/first.elf" "$bench_dir/guest/first.S"
	"$cc" "${bare[@]}" -DIDLE -Wl,-N -Wl,--no-warn-rwx-segments -Wl,-Ttext=0x100000 \
		-o "$stage/idle.elf" "$bench_dir/guest/first.S"
	"$cc" "${bare[@]}" -DTOUCH=0x20000000 -Wl,-N -Wl,--no-warn-rwx-segments -Wl,-Ttext=0x100000 \
		-o "$stage/touch.elf" "$bench_dir/guest/first.S"
	"$cc" "${bare[@]}" -DFIRMWARE -Wl,-Ttext=0 -Wl,--oformat=binary \
		-o "$stage/first.fw" "$bench_dir/guest/first.S"
	"$cc" "${bare[@]}" -s -o "$SCRATCH/init" "$bench_dir/guest/init.c"
}

# prepare_guest KERNEL: $stage/KERNEL/{vmlinuz,initrd}; the archive holds the init and the drivers
# that this kernel has as modules.
prepare_guest() {
	local kernel=$1 kdir tree=$SCRATCH/tree-$1 modules=$SCRATCH/modules-$1 letters=abcdefghij file
	local n=0
	kdir=$(kernel_dir "$kernel")
	mkdir -p "$stage/$kernel" "$tree"/{dev,modules} "$modules"
	cp "$kdir/vmlinuz" "$stage/$kernel/"
	install -m 755 "$SCRATCH/init" "$tree/init"
	if [ -f "$kdir/release" ]; then
		stage_modules "$kdir" "$modules" virtio_mmio virtio_blk
		# What a driver needs stands behind it in the table, the most basic last.
		while read -r file; do
			cp "$file" "$tree/modules/${letters:n++:1}.ko"
		done < <(awk -v dir="$modules/lib/modules/$(<"$kdir/release")/" '
			/\/virtio_(mmio|blk)\.ko/ {
				sub(":", "")
				for (i = NF; i >= 1; i--) { sub(/\.(xz|zst)$/, "", $i); if (!seen[$i]++) print dir $i }
			}' "$modules/lib/modules/$(<"$kdir/release")/modules.dep")
	fi
	pack_cpio "$tree" >"$stage/$kernel/initrd"
}

# inside PART [ARG]...: runs inside/PART.sh on this host when $place says so, or its KVM is complete,
# else in the lab: deterministic unless $lab_clock is "real".
inside() {
	local where clock=(--icount)
	[ "${lab_clock:-}" != real ] || clock=()
	where=${place:-$("$root_dir/tools/lab/lab" probe 2>/dev/null)}
	if [ "$where" = host ]; then
		(cd "$stage" && WHERE=host sh "inside/$1.sh" "${@:2}")
		return
	fi
	"$root_dir/tools/lab/lab" run "${clock[@]}" --timeout "${lab_timeout:-900}" --memory 3G --with qemu \
		"${lab_options[@]}" --env WHERE=lab --env "CLOCK=${lab_clock:-}" \
		--add "$stage:/lab/bench" -- "cd /lab/bench && sh inside/$1.sh ${*:2}" |
		sed -u -e '/^LAB rc=0$/d' -e '/^$/d'
}
