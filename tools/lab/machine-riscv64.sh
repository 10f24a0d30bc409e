# shellcheck shell=bash disable=SC2034 # the variables are used where it is sourced
# The riscv64 lab: TCG emulates the H extension; Debian 12 has no kernel, so the
# tiny one serves, with everything built in. See machine.sh for what is defined here.

lab_kernel=riscv64
lab_modules=()
default_cpus=2
kvm_modules=''
hang_commands=('info registers -a')
hang_pattern='^ *pc |^ *mhartid|^ *mstatus|^ *[msv]*cause|^ *[msv]*epc|^CPU'

machine_command() {
	local machine=virt
	# With IMSICs, and guest interrupt files for KVM's in-kernel AIA to use.
	[ "$aia" = no ] || machine+=",aia=aplic-imsic,aia-guests=3"
	qemu+=(-M "$machine" -cpu "rv64,h=true$cpu_features" -smp "$cpus")
	# QEMU 7.2 describes the instruction set only by the device tree's old property.
	append="console=ttyS0 riscv_isa_fallback"
}
