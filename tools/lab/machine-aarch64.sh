# shellcheck shell=bash disable=SC2034 # the variables are used where it is sourced
# The arm64 lab: TCG emulates EL2, and Debian's kernel has KVM built in. See
# machine.sh for what is defined here.

lab_kernel=arm64-6.1
lab_modules=(
	virtio_mmio virtio_pci virtio_blk virtio_net virtio_console ext4 crc32c_generic
	tun tap vhost_net vhost_vsock loop dm_flakey null_blk
)
default_cpus=2
kvm_modules=''
firmware_end=''
hang_commands=('info registers -a')
hang_pattern='^ *PC=|^PSTATE|^X[0-9]|^CPU'

machine_command() {
	# neoverse-n1 has VHE, so KVM runs at EL2; with cortex-a72 it runs at EL1 (nVHE).
	local model=neoverse-n1
	[ "$nvhe" = no ] || model=cortex-a72
	qemu+=(-M "virt,virtualization=on,gic-version=${gic:-3}" -cpu "$model$cpu_features")
	if [ "$numa" = yes ]; then two_nodes; else qemu+=(-smp "$cpus"); fi
	append="console=ttyAMA0 mitigations=off"
}
