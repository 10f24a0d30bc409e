# Drivers come and go over and over, on virtio-mmio (rebind.inc). On one CPU: the interrupt handler of
# Linux' virtio_mmio walks the list of queues without a lock (Debian's 6.1.0-56), queues are taken off it
# before the interrupt is freed, and where both happen at once the handler follows one that is gone.
# architectures: x86_64
# shellcheck disable=SC2034
transport=mmio cpus=1
. scripts/rebind.inc
