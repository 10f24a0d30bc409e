# A login on the serial console, and a paste of 4 KiB that arrives complete.
. scripts/lib.inc
start -c 1 -m 256M --append 'loglevel=5 axtest=login'
log_in
say 'echo answer=$((6 * 7))'
wait_for 'answer=42' 30
line=$(printf 'abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXY')
want=$(i=0; while [ $i -lt 64 ]; do echo "$line"; i=$((i + 1)); done | md5sum | cut -d' ' -f1)
say 'stty -echo; echo ready=$((1 + 1)); head -n 64 | md5sum; stty echo'
wait_for 'ready=2' 30
i=0
while [ $i -lt 64 ]; do say "$line"; i=$((i + 1)); done
wait_for "$want" 60
say 'poweroff -f'
wait_end 60
[ "$status" = 0 ] || die "exit status $status"
