# architectures: x86_64
# A terminal of the virtio console has the size of ours, and follows it.
. scripts/lib.inc
script=$(command -v script) || script=./script
rm -f "$WORK/in"
mkfifo "$WORK/in"
"$script" -qfec "stty rows 33 cols 101; tty >$WORK/tty; exec ./axvm run -c 1 -m 256M \
	--kernel guest/6.1/vmlinuz --initrd guest/6.1/initramfs --console stdio \
	--append 'loglevel=5 axtest=login axmod=virtio_mmio,virtio_pci,virtio_console'" \
	/dev/null <"$WORK/in" >"$WORK/out" 2>&1 &
# shellcheck disable=SC2034 # for lib.inc
pid=$!
exec 9>"$WORK/in"
log_in
say 'echo size=$(stty size)'
wait_for 'size=33 101' 30
stty -F "$(cat "$WORK/tty")" rows 50 cols 132
say 'until [ "$(stty size)" = "50 132" ]; do sleep 1; done; echo size=$(stty size)'
wait_for 'size=50 132' 30
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
