# shellcheck shell=bash disable=SC2034 # the variables are used where it is sourced
# The riscv64 lab: TCG emulates the H extension; Debian 12 has no kernel, so the
# tiny one serves, with everything built in. See machine.sh for what is defined here.

lab_kernel=riscv64
lab_modules=()
# With the AIA and two CPUs QEMU 7.2 hangs at times.
default_cpus=2
[ "$aia" = no ] || default_cpus=1
kvm_modules=''
firmware_end='^Boot HART MEDELEG'
hang_commands=('info registers -a')
hang_pattern='^ *pc |^ *mhartid|^ *mstatus|^ *[msv]*cause|^ *[msv]*epc|^CPU'

machine_command() {
	local machine=virt
	append="console=ttyS0"
	if [ "$aia" = yes ]; then
		# With guest interrupt files, for KVM to use in the guest's IMSICs. In QEMU 7.2
		# level-triggered lines through the APLIC as MSI soon end as "nobody cared",
		# so console and disks do without: the SBI's console, and PCI's own MSIs.
		machine+=",aia=aplic-imsic,aia-guests=3"
		append="console=hvc0"
		bus=pci
	fi
	qemu+=(-M "$machine" -cpu "rv64,h=true$cpu_features" -smp "$cpus")
	# QEMU 7.2 describes the instruction set only by the device tree's old property.
	append+=" riscv_isa_fallback"
}
