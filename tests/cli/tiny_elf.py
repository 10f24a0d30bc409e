#!/usr/bin/env python3
"""A 64-bit ELF image of one segment at 1 MiB that powers the machine off; to standard output."""
import struct
import sys

CODE = bytes.fromhex("66ba040666b80020" "66ef" "f4")
ADDRESS, OFFSET, SIZE = 0x100000, 0x1000, 0x1000

header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, ADDRESS, 64, 0, 0, 64,
                     56, 1, 0, 0, 0)
segment = struct.pack("<IIQQQQQQ", 1, 5, OFFSET, ADDRESS, ADDRESS, SIZE, SIZE, 0x1000)
image = (header + segment).ljust(OFFSET, b"\0") + CODE.ljust(SIZE, b"\0")
sys.stdout.buffer.write(image)
