# shellcheck shell=bash disable=SC2034 # the variables are used where it is sourced
# The x86 lab: TCG emulates AMD's nested SVM. See machine.sh for what is defined here.

lab_kernel=6.1
lab_modules=(
	virtio_mmio virtio_pci virtio_blk virtio_net virtio_console ext4 crc32c_generic
	kvm kvm_amd tun tap vhost_net vhost_vsock loop dm_flakey null_blk
)
default_cpus=1
kvm_modules="kvm-amd npt=$npt"
firmware_end=''
hang_commands=('info registers' 'info lapic' 'info pic')
hang_pattern='^[RCE]|^GS|lapic|IRR|ISR|LVTT|APR|^irq'

# tsc_khz: the rate of the host's TSC, which TCG hands through. Without it the
# lab's kernel calibrates against timers that lag on a loaded host, and hangs.
tsc_khz() {
	local khz
	if [ "$icount" = yes ]; then echo 1000000; return; fi
	khz=${AXVM_LAB_TSC_KHZ:-}
	[ -n "$khz" ] || khz=$(cat /sys/devices/system/cpu/cpu0/tsc_freq_khz 2>/dev/null || true)
	[ -n "$khz" ] || khz=$(awk -F: '/^model name/ && match($2, /@ *[0-9.]+GHz/) {
		split(substr($2, RSTART), f, /[@ G]+/); printf "%d", f[2] * 1000000; exit }' /proc/cpuinfo)
	[ -n "$khz" ] || khz=$(awk -F: '/^cpu MHz/ { printf "%d", $2 * 1000; exit }' /proc/cpuinfo)
	[ -n "$khz" ] || die "cannot tell the TSC rate of this host; set AXVM_LAB_TSC_KHZ"
	echo "$khz"
}

machine_command() {
	local model
	if [ "$numa" = yes ]; then
		bus=pci
		# An E5-2680 v2 in all but the vendor, whom kvm_amd insists on.
		model="IvyBridge,vendor=AuthenticAMD,family=6,model=62,stepping=4"
		model+=",model-id=Intel(R) Xeon(R) CPU E5-2680 v2 @ 2.80GHz,+svm,+npt,+svme-addr-chk,+vgif,+pdpe1gb"
		qemu+=(-M q35 -cpu "$model$cpu_features")
		two_nodes
	else
		# TCG does not intercept XSETBV, so KVM would lose the guest's XCR0.
		model="max,+svm,+pdpe1gb,-xsave,-avx,-avx2,-fma,-f16c,-pku,-mpx"
		qemu+=(-M "microvm,rtc=on" -cpu "$model$cpu_features" -smp "$cpus")
	fi
	append="console=ttyS0 reboot=t tsc=reliable tsc_early_khz=$(tsc_khz) no_timer_check mitigations=off"
}
