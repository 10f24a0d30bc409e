# shellcheck shell=bash
# What the guest-image and lab scripts share: messages, the cache directory,
# a scratch directory that is always removed, and the staging of busybox,
# kernel modules and cpio archives. Sourced, never run.

# Caller's name for messages, e.g. "mkinitramfs: no such kernel".
PROG=${PROG:-${0##*/}}
AXVM_CACHE=${AXVM_CACHE:-$HOME/.cache/axvm}
# A failing $(function) ends the script too.
shopt -s inherit_errexit
# depmod, mke2fs and debugfs are not in an ordinary user's PATH.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s: %s\n' "$PROG" "$*" >&2; }
die() { say "$*"; exit 1; }
usage_error() { say "$* (see $PROG --help)"; exit 64; }

# The text between "# usage:" and the first line that is no comment, of the script $1.
print_usage() { sed -n '/^# usage:/,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$1"; }

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null 2>&1 ||
			die "'$tool' is missing; install it with: apt-get install $(package_of "$tool")"
	done
}

package_of() {
	case $1 in
	depmod) echo kmod ;;
	mke2fs | debugfs) echo e2fsprogs ;;
	busybox) echo busybox-static ;;
	dpkg | dpkg-deb) echo dpkg ;;
	apt-get | apt-cache) echo apt ;;
	dpkg-source) echo dpkg-dev ;;
	xz) echo xz-utils ;;
	flock | lscpu) echo util-linux ;;
	ninja) echo ninja-build ;;
	readelf) echo binutils ;;
	*-linux-gnu-gcc) echo "gcc-${1%-gcc}" ;;
	*-linux-gnu-*) echo "binutils-${1%-*}" ;;
	qemu-system-x86_64) echo qemu-system-x86 ;;
	qemu-system-aarch64) echo qemu-system-arm ;;
	qemu-system-riscv64) echo qemu-system-misc ;;
	*) echo "$1" ;;
	esac
}

# SCRATCH: a private directory, gone when the script ends. Scripts that set an
# EXIT trap of their own remove it themselves.
make_scratch() {
	SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/axvm-$PROG.XXXXXX")
	trap 'rm -rf "$SCRATCH"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# replace_dir FROM TO: puts a complete directory in place; of two racing writers
# one wins, and the other's copy is dropped.
replace_dir() {
	local from=$1 to=$2 staged=$2.new.$$
	mkdir -p "${to%/*}"
	cp -a "$from" "$staged"
	if [ -d "$to" ]; then mv "$to" "$to.old.$$"; fi
	mv -T "$staged" "$to" 2>/dev/null || rm -rf "$staged"
	rm -rf "$to.old.$$"
}

find_busybox() {
	local bb=${AXVM_BUSYBOX:-}
	[ -n "$bb" ] || bb=$(command -v busybox) || die "no busybox; install it with: apt-get install busybox-static"
	[ -x "$bb" ] || die "AXVM_BUSYBOX=$bb is not an executable"
	if ldd "$bb" >/dev/null 2>&1; then
		die "$bb is dynamically linked, and an initramfs needs the static one: apt-get install busybox-static"
	fi
	readlink -f "$bb"
}

# The architecture that images are made for; scripts with --arch set it.
arch=$(uname -m)

# set_arch ARCH: for what --arch says.
set_arch() {
	case $1 in
	x86_64 | aarch64 | riscv64) arch=$1 ;;
	*) usage_error "--arch $1: want x86_64, aarch64 or riscv64" ;;
	esac
}

# foreign: are images for another architecture than this machine's?
foreign() { [ "$arch" != "$(uname -m)" ]; }

# userland: directory of the foreign programs; fetched when it is not there.
userland() { "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/fetch-userland" "$arch"; }

# stage_busybox DIR: busybox and a link for each applet, as on a merged-less system.
stage_busybox() {
	local dir=$1 bb path programs
	if foreign; then
		programs=$(userland)
		bb=$programs/bin/busybox
	else
		bb=$(find_busybox)
	fi
	mkdir -p "$dir"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,tmp,run,root,etc,mnt,lib,var}
	install -m 755 "$bb" "$dir/bin/busybox"
	while read -r path; do
		[ "$path" = bin/busybox ] || [ -e "$dir/$path" ] || ln -s /bin/busybox "$dir/$path"
	done < <(if foreign; then cat "$programs/applets"; else "$bb" --list-full; fi)
}

# kernel_dir NAME|DIR: where a fetched kernel lives, with a hint when it does not.
kernel_dir() {
	local dir=$1 maker="fetch-kernels $1"
	case $dir in */*) ;; *) dir=$AXVM_CACHE/kernels/$1 ;; esac
	case $1 in
	tiny) maker="build-tiny-kernel" ;;
	riscv64) maker="build-tiny-kernel --arch riscv64" ;;
	esac
	[ -f "$dir/vmlinuz" ] || die "no kernel '$1' in $dir; run tools/guest/$maker first"
	printf '%s\n' "$dir"
}

# stage_modules KERNELDIR DIR NAME...: the named modules and all they depend on,
# unpacked, under DIR/lib/modules/RELEASE with fresh dependency tables. A module
# that this kernel has built in, or does not know, is left out.
stage_modules() {
	local kdir=$1 dir=$2 release base path name
	shift 2
	[ -f "$kdir/release" ] || return 0
	release=$(<"$kdir/release")
	base=$kdir/lib/modules/$release
	local out=$dir/lib/modules/$release
	mkdir -p "$out"
	cp "$base"/modules.{builtin,builtin.modinfo,order} "$out/"
	# Names compare with '-' and '_' alike.
	for name; do printf '%s\n' "${name//-/_}"; done |
		awk -v dep="$base/modules.dep" '
			function key(p) { sub(/.*\//, "", p); sub(/\.ko.*/, "", p); gsub(/-/, "_", p); return p }
			BEGIN {
				while ((getline line < dep) > 0) {
					n = split(line, f, /:? +|:$/)
					path[key(f[1])] = line
				}
			}
			$1 in path {
				n = split(path[$1], f, /[: ]+/)
				for (i = 1; i <= n; i++) if (f[i] != "") print f[i]
			}' | sort -u |
		while read -r path; do
			mkdir -p "$out/${path%/*}"
			case $path in
			*.xz) xz -dc "$base/$path" >"$out/${path%.xz}" ;;
			*.zst) zstd -qdc "$base/$path" >"$out/${path%.zst}" ;;
			*) cp "$base/$path" "$out/$path" ;;
			esac
		done
	depmod -b "$dir" "$release"
	find "$out" -name 'modules.*' ! -name modules.dep ! -name modules.alias ! -name modules.softdep -delete
}

# pack_cpio DIR: DIR as an uncompressed newc archive owned by root, on stdout;
# the same content gives the same bytes.
pack_cpio() {
	find "$1" -mindepth 1 -exec touch -h -d @0 {} +
	(cd "$1" && find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z |
		cpio --null --quiet --reproducible -R 0:0 -H newc -o)
}

# is_elf FILE
is_elf() { [ "$(head -c4 "$1" | tr -d '\0')" = $'\x7fELF' ]; }

# libs_of FILE: the paths of the shared libraries of a program of this machine. A static one has none,
# which ldd calls a failure.
libs_of() {
	{ ldd "$1" 2>/dev/null || true; } | awk '/=> not found/ { print "missing " $1; next }
		/=> \// { print $3; next } $1 ~ /^\// { print $1 }'
}

# foreign_libs_of FILE: "FROM TO" for each shared library of a foreign program, from
# the cross compiler's C library; TO is where its loader looks.
foreign_libs_of() {
	local from=/usr/$arch-linux-gnu/lib name
	readelf -ld "$1" 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)].*/\1/p; s/.*(NEEDED).*\[\(.*\)]/\1/p' |
		while read -r name; do
			if [ ! -f "$from/${name##*/}" ]; then
				echo "missing $name"
				continue
			fi
			case $name in
			/*) echo "$from/${name##*/} $name" ;;
			*) echo "$from/$name /lib/$arch-linux-gnu/$name" ;;
			esac
			[ "$name" = "${1##*/}" ] || foreign_libs_of "$from/${name##*/}"
		done
}

# stage_libs DIR FILE...: the shared libraries of the FILEs, at the paths where
# their loader looks for them.
stage_libs() {
	local dir=$1 file from to
	shift
	for file; do
		is_elf "$file" || continue
		if foreign; then foreign_libs_of "$file"; else libs_of "$file"; fi
	done | sort -u | while read -r from to; do
		[ "$from" != missing ] || die "library $to not found"
		to=${to:-$from}
		[ -e "$dir$to" ] || install -D -m 755 "$from" "$dir$to"
	done
}

# build_axload FILE: the load of tests and benchmarks (axload/axload.c), static.
build_axload() {
	local cc=${CC:-gcc}
	if foreign; then cc=$arch-linux-gnu-gcc; fi
	need "$cc"
	mkdir -p "${1%/*}"
	"$cc" -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -pthread -o "$1" \
		"$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"/axload/*.c
}
