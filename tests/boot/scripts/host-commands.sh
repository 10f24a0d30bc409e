# doctor and selftest where the KVM is complete: both find it so, on every architecture.
. scripts/lib.inc
./axvm doctor </dev/null >"$WORK/out" 2>&1 || { echo "doctor: exit status $?"; exit 1; }
grep -q KVM_CAP "$WORK/out" || { echo "doctor says nothing of KVM's capabilities"; exit 1; }
./axvm selftest </dev/null >"$WORK/out" 2>&1 || { echo "selftest: exit status $?"; exit 1; }
grep -q confirmed "$WORK/out" || { echo "selftest does not confirm the mode it started in"; exit 1; }
! grep -qi 'fail ' "$WORK/out" || { echo "selftest: a check failed"; exit 1; }
