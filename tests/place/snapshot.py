"""What vms.sh has brought from the lab, read: a plan, what a guest tells of its machine, and what the
host's kernel tells of a VM's threads, pages and its entry in the ledger. Decides nothing.
"""
import json
import os
import re


def cpu_list(text):
    """The CPUs of "0-3,8"."""
    cpus = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().replace("\r", "")


class Thread:
    """Name, CPUs that it may run on, scheduling class and its priority (proc(5), stat 40 and 41)."""

    def __init__(self, name, cpus, policy, priority):
        self.name, self.cpus, self.policy, self.priority = name, cpus, policy, priority


def threads(directory):
    names = dict(re.findall(r"^(\d+)/comm:(.*)$", read(f"{directory}/comms"), re.M))
    cpus = dict(re.findall(r"^(\d+)/status:Cpus_allowed_list:\s*(\S*)$",
                           read(f"{directory}/affinities"), re.M))
    # The name may hold anything, so the fields are counted from behind it.
    stats = {line.split()[0]: line.rpartition(")")[2].split()
             for line in read(f"{directory}/stats").splitlines()}
    return [Thread(name, cpu_list(cpus[tid]), int(stats[tid][38]), int(stats[tid][37]))
            for tid, name in names.items() if tid in cpus and tid in stats]


class Mapping:
    """A line of numa_maps(5): policy, bytes on each node, size of pages."""

    def __init__(self, line):
        self.address, self.policy, *rest = line.split()
        values = dict(word.split("=", 1) for word in rest if "=" in word)
        self.page_bytes = 1024 * int(values.get("kernelpagesize_kB", 4))
        self.on_node = {int(key[1:]): int(value) * self.page_bytes
                        for key, value in values.items() if re.fullmatch(r"N\d+", key)}
        self.huge_bytes = 0  # transparent huge pages, by smaps

    def node(self):
        """The one that it is bound to, or None."""
        match = re.fullmatch(r"bind(?:=static)?:(\d+)", self.policy)
        return int(match.group(1)) if match else None


def mappings(directory):
    found = {m.address: m for m in map(Mapping, read(f"{directory}/numa_maps").splitlines())}
    current = None
    for line in read(f"{directory}/smaps").splitlines():
        begin = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
        if begin:
            current = found.get(begin.group(1))
        elif current and line.startswith(("AnonHugePages:", "ShmemPmdMapped:")):
            current.huge_bytes += 1024 * int(line.split()[1])
    return list(found.values())


class Entry:
    """One of the ledger, and whether bytes 0 (alive) and 1 (promised) are locked."""

    def __init__(self, text, locked):
        values = json.loads(text)
        self.name, self.cpus, self.memory = values["name"], set(values["cpus"]), values["memory"]
        self.alive, self.promised = 0 in locked, 1 in locked


def ledger(directory):
    """The entries that are alive."""
    locked = {}
    for inode, first, last in re.findall(r"OFDLCK\s+\S+\s+WRITE\s+\S+\s+\w+:\w+:(\d+) (\d+) (\d+)",
                                         read(f"{directory}/locks")):
        locked.setdefault(inode, set()).update(range(int(first), min(int(last), 8) + 1))
    inodes = {name: inode for inode, name in
              re.findall(r"^\s*(\d+) (\S+)$", read(f"{directory}/entries"), re.M)}
    found = [Entry(read(f"{directory}/{name}"), locked.get(inodes[name], set()))
             for name in sorted(os.listdir(directory)) if name.endswith(".vm")]
    return [entry for entry in found if entry.alive]


def sections(console):
    """The guest's report (init.d/topology): its lines by section."""
    found, current = {}, None
    for line in console.splitlines():
        if line.startswith("=== "):
            current = found.setdefault(line[4:], [])
        elif current is not None:
            current.append(line)
    return found


class Snapshot:
    """A VM as it was at one moment. Tests change one to see that it is noticed."""

    def __init__(self, directory):
        self.threads = threads(directory)
        self.mappings = mappings(directory)
        self.ledger = ledger(directory)


def plan(path):
    return json.loads(read(path))
