#!/usr/bin/env python3
"""A VM that is none, for `axvm top`: sockets of this process in a directory, behind which somebody
does what no VM should.

usage: top_vm.py DIRECTORY NAME BEHAVIOUR [COUNT]
    still          every look is the same one
    silent COUNT   of so many sockets none ever answers
    drops COUNT    before each answer so many are asked and leave without one
"""
import json
import os
import signal
import socket
import sys

directory, name, behaviour, *rest = sys.argv[1:]
count = int(rest[0]) if rest else 1
DEVICE = {"name": "blk0", "requests": 10, "kicks": 4, "batches": 5, "bytes": 4096, "errors": 0, "irqs": 2,
          "irqs_suppressed": 1}
LOOK = {"name": name, "arch": "x86_64", "pid": os.getpid(), "state": "Running", "at_ns": 1000000000,
        "runtime_ns": 1000, "cpu_ns": 10, "memory_bytes": 4096, "vcpus": [], "io": [],
        "devices": [DEVICE], "memory": []}


def listen(as_name):
    """Under its name only when it listens."""
    path = f"{directory}/{os.getpid()}-{as_name}.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".new")
    listener.listen(4)
    os.rename(path + ".new", path)
    return listener


def answer(client):
    client.sendall(json.dumps({"stats": LOOK}).encode() + b"\n")


def serve(listener):
    client, _ = listener.accept()
    while client.recv(1024):
        answer(client)


def drop(listener):
    for left in range(count, -1, -1):
        client, _ = listener.accept()
        if client.recv(1024) and not left:
            answer(client)
        client.close()


if behaviour == "silent":
    listeners = [listen(f"{name}{i}") for i in range(count)]
    signal.pause()
else:
    with listen(name) as only:
        while True:
            (drop if behaviour == "drops" else serve)(only)
