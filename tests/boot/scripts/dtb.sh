# --dtb: a tree that a guest read from its own machine, patched for another number of CPUs and size of
# memory, boots again; what else stands in it stays, here the machine's name.
# architectures: aarch64 riscv64
. scripts/lib.inc

boot() { ./axvm run -k guest/6.1/vmlinuz -i guest/6.1/initramfs "$@" </dev/null >"$WORK/out" 2>&1; }

boot -c 4 -m 256M --append 'loglevel=5 axtest=devicetree' || { echo "exit status $?"; exit 1; }
tr -d '\r' <"$WORK/out" | sed '1,/^=== fdt$/d; /^=== end$/,$d' | base64 -d >"$WORK/given.dtb"
[ "$(head -c 4 "$WORK/given.dtb" | od -An -tx1 | tr -d ' ')" = d00dfeed ] || { echo "no tree came out"; exit 1; }
boot -c 3 -m 384M --dtb "$WORK/given.dtb" --append 'loglevel=5 axtest=cpus,report axcpus=3'
status=$?
rm "$WORK/given.dtb"
[ $status = 0 ] || { echo "exit status $status with the given tree"; exit 1; }
grep -q 'AXTEST cpus ok' "$WORK/out" || { echo "three CPUs did not come up"; exit 1; }
kib=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' "$WORK/out")
[ "${kib:-0}" -gt 300000 ] || { echo "the guest has ${kib:-no} KiB"; exit 1; }
