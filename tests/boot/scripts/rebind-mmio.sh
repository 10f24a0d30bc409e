# Drivers come and go a hundred times, on virtio-mmio (rebind.inc).
# architectures: x86_64
# shellcheck disable=SC2034
transport=mmio
. scripts/rebind.inc
