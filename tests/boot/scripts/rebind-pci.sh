# Drivers come and go over and over, on virtio-pci (rebind.inc).
# architectures: x86_64
# shellcheck disable=SC2034
transport=pci cpus=2
. scripts/rebind.inc
