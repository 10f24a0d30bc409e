# Drivers come and go over and over, on virtio-mmio (rebind.inc).
# architectures: x86_64
# shellcheck disable=SC2034
transport=mmio
. scripts/rebind.inc
