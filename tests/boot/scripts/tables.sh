# iasl takes the guest's own ACPI tables apart and together again without an error or warning.
# architectures: x86_64
. scripts/lib.inc
command -v iasl >/dev/null || { echo "no iasl here"; exit 1; }
start -c 4 -m 256M --transport pci --append 'loglevel=5 axtest=login'
log_in
for table in DSDT FACP APIC MCFG; do
	say "echo begin-$table; gzip -c /sys/firmware/acpi/tables/$table | base64; echo end-$table=\$((2 + 2))"
	wait_for "end-$table=4" 60
done
say 'poweroff -f'
wait_end 60
cd "$WORK" || exit 1
for table in DSDT FACP APIC MCFG; do
	tr -d '\r' <out | sed -n "/^begin-$table/,/^end-$table=4/p" | sed '1d;$d' | base64 -d | gunzip >"$table.dat" ||
		die "cannot read the guest's $table"
	iasl -d "$table.dat" >iasl.log 2>&1 || die "iasl -d $table: $(grep -m1 -i error iasl.log)"
	iasl -ve "$table.dsl" >iasl.log 2>&1 || die "iasl $table: $(grep -m1 -i error iasl.log)"
	grep -q ' 0 Errors' iasl.log || grep -q 'Compilation successful' iasl.log || die "iasl $table"
done
