# shellcheck shell=bash
# Kernels, initrds and disks that are missing, empty, short, corrupt, huge or not files at all.

: >empty
printf 'short' >short
head -c 65536 /dev/zero >zeros
printf '\177ELF' >elf-start
truncate -s 3G huge
truncate -s 64K disk
truncate -s 1000 odd-disk
mkdir -p adir
ln -sf nowhere dangling
mkfifo fifo

# On the fake: what is refused before any architecture looks at the bytes.
check images/kernel-missing 3 "kernel: cannot open gone: No such file" "check the path" -- \
	"${fake[@]}" -k gone
check images/kernel-dangling 3 "kernel: cannot open dangling" -- "${fake[@]}" -k dangling
check images/initrd-missing 3 "initrd: cannot open gone" "check the path" -- \
	"${fake[@]}" -k off -i gone
check images/disk-missing 4 "gone: No such file" -- "${fake[@]}" -k off -d gone
check images/disk-empty 4 "empty has 0 bytes" "truncate" -- "${fake[@]}" -k off -d empty
check images/disk-short 4 "short has 5 bytes" -- "${fake[@]}" -k off -d short
check images/disk-directory 4 "adir: Is a directory" -- "${fake[@]}" -k off -d adir
check images/disk-character-device 4 "/dev/null is neither a regular file" -- \
	"${fake[@]}" -k off -d /dev/null
check images/disk-pipe 4 "fifo" -- "${fake[@]}" -k off -d fifo,ro
check images/disk-not-in-sectors 0 -- "${fake[@]}" -k off -d odd-disk
check images/disk-fine 0 -- "${fake[@]}" -k off -d disk
check images/disk-read-only 0 -- "${fake[@]}" -k off -d disk,ro

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "$AXVM")
	printf 'x' >secret
	truncate -s 64K secret-disk
	chmod 000 secret
	chmod 444 secret-disk
	run_it "${as_nobody[@]}" "${fake[@]}" -k secret
	judge images/kernel-no-permission 3 "cannot open secret: Permission denied" "may read"
	run_it "${as_nobody[@]}" "${fake[@]}" -k off -d secret-disk
	judge images/disk-no-permission 4 "secret-disk: Permission denied"
	run_it "${as_nobody[@]}" "${fake[@]}" -k off -d secret-disk,ro
	judge images/disk-read-only-permission 0
	rm -f secret secret-disk
else
	skip images/no-permission "needs root and setpriv"
fi

# Two monitors must not write the same disk.
"$AXVM" "${fake[@]}" -k spin -d disk --serial none </dev/null >/dev/null 2>&1 &
first=$!
wait_for_guest "$first" 0
run_it "$AXVM" "${fake[@]}" -k off -d disk
judge images/disk-in-use 4 "disk" "in use"
terminate "$first" TERM
check images/disk-free-again 0 -- "${fake[@]}" -k off -d disk

if [ -n "$no_kvm" ]; then
	skip images/on-kvm "$no_kvm"
	return
fi
real=(run --no-metrics --serial none -m 64M)
check images/kernel-empty 3 "'empty': is empty" -- "${real[@]}" -k empty
check images/kernel-short 3 "'short': is of no format" "bzImage" -- "${real[@]}" -k short
check images/kernel-zeros 3 "'zeros': is of no format" -- "${real[@]}" -k zeros
check images/kernel-elf-start 3 "'elf-start': is too short" -- "${real[@]}" -k elf-start
check images/kernel-huge 3 "'huge': is of no format" -- "${real[@]}" -k huge
check images/kernel-directory 3 "'adir': is a directory" -- "${real[@]}" -k adir
check images/kernel-device 3 "'/dev/null': is not a regular file" -- "${real[@]}" -k /dev/null
check images/kernel-pipe 3 "'fifo': is not a regular file" -- "${real[@]}" -k fifo
check images/flat-empty 3 "'empty': is empty" -- "${real[@]}" --protocol flat -k empty
check images/flat-huge 3 "'huge'" "do not fit" -- "${real[@]}" --protocol flat -k huge
check images/flat-outside 3 "off" -- "${real[@]}" --protocol flat -k off --load-gpa 0x8000000
check images/flat-nowhere 2 "0xffffffffffffffff" -- "${real[@]}" --protocol flat -k off \
	--load-gpa 0xffffffffffffffff

# A kernel that loads, so that the initrd is looked at.
python3 "$here/tiny_elf.py" >vmlinux
check images/initrd-empty 3 "initrd 'empty'" -- "${real[@]}" -k vmlinux -i empty
check images/initrd-huge 3 "initrd 'huge'" -- "${real[@]}" -k vmlinux -i huge
check images/initrd-directory 3 "initrd 'adir'" -- "${real[@]}" -k vmlinux -i adir
check images/cmdline-too-long 3 "command line" -- "${real[@]}" -k vmlinux \
	--cmdline "$(head -c 70000 /dev/zero | tr '\0' c)"
for cut in 64 100 120 4000; do
	head -c "$cut" vmlinux >shortened
	check "images/kernel-cut-at-$cut" 3 "'shortened'" -- "${real[@]}" -k shortened
done
