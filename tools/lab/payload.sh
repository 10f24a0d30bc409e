# shellcheck shell=bash
# What goes into the lab: the base archive (busybox, modules, init), cached by
# content, and the payload of one run (added files, their libraries, guests,
# the command), either appended to it or, when large, as a disk image.

payload_limit_mb=50

lab_busybox() { if foreign; then echo "$(userland)/bin/busybox"; else find_busybox; fi; }

# base_archive: path of the lab's base initramfs; built when its ingredients changed.
base_archive() {
	local kdir key file tmp
	kdir=$(kernel_dir "$lab_kernel")
	key=$({
		cat "$lab_dir/init" "$lab_dir/../guest/common.sh" "$(lab_busybox)"
		[ ! -f "$kdir/release" ] || cat "$kdir/release"
		printf '%s\n' "$arch" "${lab_modules[@]}"
	} | sha256sum | cut -c1-16)
	file=$AXVM_CACHE/lab/base-$key.cpio
	if [ ! -f "$file" ]; then
		need cpio depmod
		tmp=$SCRATCH/base
		stage_busybox "$tmp"
		install -m 755 "$lab_dir/init" "$tmp/init"
		stage_modules "$kdir" "$tmp" "${lab_modules[@]}"
		mkdir -p "$AXVM_CACHE/lab"
		pack_cpio "$tmp" >"$file.$$"
		mv -f "$file.$$" "$file"
		find "$AXVM_CACHE/lab" -name 'base-*' -mtime +7 -delete
	fi
	printf '%s\n' "$file"
}

# add_path HOSTPATH[:GUESTPATH]: a file or directory into the payload, with the
# shared libraries of its programs. Default place: /lab/NAME.
add_path() {
	local from=${1%%:*} to=${1#*:} file
	[ -e "$from" ] || die "--add $1: no such file or directory"
	from=$(readlink -f "$from")
	[ "$to" != "$1" ] || to=/lab/$(basename "${1%%:*}")
	case $to in
	*/) to=$to$(basename "${1%%:*}") ;;
	/*) ;;
	*) to=/lab/$to ;;
	esac
	mkdir -p "$payload${to%/*}"
	if [ -d "$from" ]; then
		mkdir -p "$payload$to"
		cp -a "$from/." "$payload$to"
		while read -r -d '' file; do
			stage_libs "$payload" "$file"
		done < <(find "$from" -type f \( -perm /111 -o -name '*.so*' \) -print0)
	else
		cp -pL "$from" "$payload$to"
		stage_libs "$payload" "$from"
	fi
}

# add_program NAME [PACKAGE]: an installed program, at its own path.
add_program() {
	local path
	path=$(command -v "$1") || die "--with: $1 is not installed; apt-get install ${2:-$1}"
	add_path "$path:$path"
}

add_tool() {
	local file
	if foreign; then
		[ "$1" = fio ] || die "--with $1: a lab of another architecture has only fio"
		add_path "$(userland)/usr/bin/fio:/usr/bin/fio"
		return
	fi
	case $1 in
	qemu)
		add_program qemu-system-x86_64 qemu-system-x86
		for file in /usr/share/qemu/{bios-microvm.bin,qboot.rom,linuxboot.bin,linuxboot_dma.bin,pvh.bin,kvmvapic.bin} \
			/usr/share/seabios/{bios-microvm.bin,bios-256k.bin,bios.bin}; do
			[ ! -f "$file" ] || add_path "$file:$file"
		done
		;;
	kvmtool)
		file=${AXVM_LKVM:-$(command -v lkvm || true)}
		[ -x "$file" ] || die "--with kvmtool: no lkvm (Debian 12 has no package); build it and point AXVM_LKVM at it"
		add_path "$file:/usr/bin/lkvm"
		;;
	bash) add_program bash; ln -sf bash "$payload$(command -v bash | sed 's,bash$,rbash,')" ;;
	fio | strace | perf | gdb | iasl | fsck.ext4 | passt) add_program "$1" ;;
	*) die "--with $1: known are bash, fio, fsck.ext4, gdb, iasl, kvmtool, passt, perf, qemu, strace" ;;
	esac
}

# add_guest NAME: a fetched kernel and its initramfs as /lab/guest/NAME/{vmlinuz,initramfs}.
add_guest() {
	local name=$1 dir
	dir=$(kernel_dir "$name")
	mkdir -p "$payload/lab/guest/$name"
	cp "$dir/vmlinuz" "$payload/lab/guest/$name/"
	"$lab_dir/../guest/mkinitramfs" --arch "$arch" -k "$name" -o "$payload/lab/guest/$name/initramfs"
}

# quote ARG...: as one line for a POSIX shell.
quote() {
	local arg out=''
	for arg; do out+=" '${arg//\'/\'\\\'\'}'"; done
	printf '%s\n' "${out# }"
}

# finish_payload: the initrd in $initrd, and $disk when the payload needs one.
finish_payload() {
	local base size
	base=$(base_archive)
	initrd=$SCRATCH/initrd disk=''
	size=$(du -sm "$payload" | cut -f1)
	if [ "$size" -le "$payload_limit_mb" ] || [ "$icount" = yes ]; then
		{
			cat "$base"
			pack_cpio "$payload"
		} >"$initrd"
		return
	fi
	need mke2fs
	disk=$SCRATCH/payload.ext4
	echo payload_disk=yes >>"$payload/.lab/settings"
	mkdir -p "$SCRATCH/small/.lab"
	cp "$payload/.lab/settings" "$SCRATCH/small/.lab/"
	{
		cat "$base"
		pack_cpio "$SCRATCH/small"
	} >"$initrd"
	touch "$payload/.lab/on-disk"
	(cd "$payload" && cpio --quiet -idm --no-preserve-owner <"$base")
	mke2fs -q -t ext4 -m 0 -O ^has_journal -E root_owner=0:0 -d "$payload" \
		"$disk" "$((size * 5 / 4 + 256))M" >"$SCRATCH/mke2fs.log" 2>&1 || die "mke2fs: $(tail -1 "$SCRATCH/mke2fs.log")"
}
