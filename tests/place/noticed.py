"""Tests of compare: what was as planned is changed in one place, and the change must be noticed. A
comparison that notices nothing is worse than none.
"""
import copy

import compare
from snapshot import Thread


def thread(snapshot, name):
    return next(t for t in snapshot.threads if t.name == name)


def bound(snapshot, node):
    return next(m for m in snapshot.mappings if m.node() == node)


def entry(snapshot):
    return next(e for e in snapshot.ledger if e.name == "spanning")


def move_page(snapshot, size):
    mapping = bound(snapshot, 1)
    mapping.on_node[1] -= size
    mapping.on_node[0] = size


def drop_page(snapshot):
    bound(snapshot, 0).on_node[0] -= 4096


def swap_vcpus(snapshot):
    a, b = thread(snapshot, "vcpu 0"), thread(snapshot, "vcpu 1")
    a.cpus, b.cpus = b.cpus, a.cpus


# (what is changed, the change, a part of what must be said)
OUTSIDE = [
    ("a vCPU may run on one more", lambda s: thread(s, "vcpu 5").cpus.add(19), "vcpu 5 may run"),
    ("vCPUs are swapped", swap_vcpus, "vcpu 0 may run"),
    ("a vCPU is missing", lambda s: s.threads.remove(thread(s, "vcpu 15")), "0 threads are"),
    ("a vCPU too many", lambda s: s.threads.append(Thread("vcpu 16", {1}, 0, 0)), "not in the plan"),
    ("an I/O thread too many", lambda s: s.threads.append(Thread("io 7", {0}, 0, 0)), "io 7 is not"),
    ("an I/O thread elsewhere", lambda s: thread(s, "io 0").cpus.add(1), "io 0 may run"),
    ("another class", lambda s: setattr(thread(s, "vcpu 2"), "policy", 1), "has class 1"),
    ("another thread among them", lambda s: s.threads.append(Thread("x", {1}, 0, 0)), "x may run"),
    ("a page elsewhere", lambda s: move_page(s, 4096), "4 KiB bound to node 1 are on node 0"),
    ("a page missing", drop_page, "node 0 has"),
    ("another policy", lambda s: setattr(bound(s, 1), "policy", "prefer:1"), "policy prefer:1"),
    ("bound to both", lambda s: setattr(bound(s, 1), "policy", "bind:0-1"), "policy bind:0-1"),
    ("not bound", lambda s: setattr(bound(s, 0), "policy", "default"), "node 0 has 0 bytes"),
    ("bound to another", lambda s: setattr(bound(s, 1), "policy", "bind:2"), "not in the plan"),
    ("pages of 2M", lambda s: setattr(bound(s, 1), "page_bytes", 2 << 20), "has pages of"),
    ("no huge pages", lambda s: setattr(bound(s, 0), "huge_bytes", 0), "in huge pages"),
    ("no entry", lambda s: s.ledger.remove(entry(s)), "0 entries"),
    ("a claim missing", lambda s: entry(s).cpus.discard(min(entry(s).cpus)), "spanning claims"),
    ("a claim too many", lambda s: entry(s).cpus.add(19), "spanning claims"),
    ("other memory", lambda s: entry(s).memory.pop(), "claims the memory"),
    ("still promised", lambda s: setattr(entry(s), "promised", True), "still promised"),
]


def replace(section, old, new):
    """The guest tells something else; the text must have been there."""
    def change(report):
        text = "\n".join(report[section])
        assert old in text, (section, old)
        report[section] = text.replace(old, new, 1).split("\n")
    return change


INSIDE = [
    ("one node", replace("nodes", "online:0-1", "online:0"), "nodes online"),
    ("no memory", replace("nodes", "has_memory:0-1", "has_memory:0"), "nodes has_memory"),
    ("a CPU elsewhere", replace("nodes", "node0/cpulist:0-7", "node0/cpulist:0-8"), "node 0 has CPUs"),
    ("a distance", replace("nodes", "node1/distance:21 10", "node1/distance:20 10"), "distances"),
    ("more memory", replace("nodes", "Node 1 MemTotal:", "Node 1 MemTotal: 999"), "node 1 has"),
    ("the SRAT", replace("numa", "Node 1 PXM 1 [mem 0x1", "Node 1 PXM 1 [mem 0x0"), "SRAT"),
    ("a CPU offline", replace("cpus", "online:0-15", "online:0-14"), "online"),
    ("siblings", replace("cpus", "cpu3/topology/thread_siblings_list:3",
                         "cpu3/topology/thread_siblings_list:2-3"), "thread_siblings_list"),
    ("one package", replace("cpus", "cpu3/topology/package_cpus_list:0-7",
                            "cpu3/topology/package_cpus_list:0-15"), "package_cpus_list"),
    ("the same APIC id", replace("apicids", "1 ", "0 "), "APIC ids"),
    ("lscpu's nodes", replace("lscpu", "NUMA node1 CPU(s):", "NUMA node2 CPU(s):"), "lscpu: node 1"),
    ("lscpu's table", replace("lscpu-p", "\n15,15,1,1", "\n15,15,1,0"), "lscpu -p: nodes"),
    ("lscpu's sockets", replace("lscpu-p", "\n15,15,1,1", "\n15,15,0,1"), "lscpu -p: sockets"),
    ("lscpu's cores", replace("lscpu-p", "\n15,15,1,1", "\n15,14,1,1"), "lscpu -p: cores"),
    ("numactl's nodes", replace("numactl", "available: 2", "available: 1"), "another number"),
    ("numactl's CPUs", replace("numactl", "node 1 cpus: 8 ", "node 1 cpus: "), "numactl -H: node 1"),
    ("numactl's distances", replace("numactl", "  1:  21", "  1:  20"), "other distances"),
    ("numactl's sizes", replace("numactl", "node 1 size: ", "node 1 size: 9"), "MB"),
    ("a warning", lambda report: report["warnings"].append("<4>[ 1.0] NUMA: broken"), "warns"),
    ("half of the report", lambda report: report.pop("end"), "did not tell its end"),
]


def missed(plan, snapshot, report):
    """A line for each change that was not noticed."""
    for name, change, words in OUTSIDE:
        changed = copy.deepcopy(snapshot)
        change(changed)
        if not any(words in text for text in compare.outside(plan, changed, "spanning")):
            yield f"{name}: not noticed"
    for name, change, words in INSIDE:
        changed = copy.deepcopy(report)
        change(changed)
        if not any(words in text for text in compare.guest(plan, changed)):
            yield f"{name}: not noticed in the guest"
