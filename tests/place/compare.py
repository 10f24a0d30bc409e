"""How a VM differs from its plan: each function is a generator of differences in words, none when all
is as planned. Exact: a CPU more, or a page elsewhere, is a difference.
"""
import collections
import re

from snapshot import cpu_list

# sched(7)
CLASSES = {"other": 0, "fifo": 1, "rr": 2, "batch": 3}


def one_line(cpus):
    return ",".join(map(str, sorted(cpus))) or "none"


def threads(plan, snapshot, scheduler="other", priority=0):
    """Each vCPU on its one CPU, each I/O thread on all of its, the others on housekeeping CPUs."""
    wanted = {f"vcpu {i}": {vcpu["cpu"]} for i, vcpu in enumerate(plan["vcpus"])}
    wanted.update({f"io {i}": set(io["cpus"]) for i, io in enumerate(plan["io"])})
    beside = set(plan["housekeeping"]).union(*(io["cpus"] for io in plan["io"]))
    seen = collections.Counter(thread.name for thread in snapshot.threads)
    for name in wanted:
        if seen[name] != 1:
            yield f"{seen[name]} threads are called {name}"
    for thread in snapshot.threads:
        cpus = wanted.get(thread.name)
        if thread.name.startswith(("vcpu ", "io ")) and cpus is None:
            yield f"{thread.name} is not in the plan"
        elif cpus is not None and thread.cpus != cpus:
            yield f"{thread.name} may run on {one_line(thread.cpus)}, planned {one_line(cpus)}"
        if thread.name.startswith("vcpu "):
            if (thread.policy, thread.priority) != (CLASSES[scheduler], priority):
                yield f"{thread.name} has class {thread.policy} and priority {thread.priority}"
        elif cpus is None and not thread.cpus <= beside:
            yield f"{thread.name} may run on {one_line(thread.cpus)}, left are {one_line(beside)}"


def memory(plan, snapshot, populated=True):
    """What is bound to each node is what was planned there, and there it is."""
    wanted, there, huge = (collections.Counter() for _ in range(3))
    for part in plan["memory"]:
        wanted[part["node"]] += part["size_bytes"]
    sizes = {"4k": 4 << 10, "thp": 4 << 10, "2m": 2 << 20, "1g": 1 << 30}
    page_bytes = sizes[plan["memory"][0]["pages"]]
    for mapping in snapshot.mappings:
        node = mapping.node()
        if node is None:
            if mapping.policy != "default":
                yield f"{mapping.address} has the policy {mapping.policy}"
            continue
        if node not in wanted:
            yield f"{mapping.address} is bound to node {node}, which is not in the plan"
        if mapping.page_bytes != page_bytes:
            yield f"{mapping.address} has pages of {mapping.page_bytes} bytes"
        for where, size in mapping.on_node.items():
            if where != node:
                yield f"{size >> 10} KiB bound to node {node} are on node {where}"
        there[node] += mapping.on_node.get(node, 0)
        huge[node] += mapping.huge_bytes
    for node, size in wanted.items():
        if populated and there[node] != size:
            yield f"node {node} has {there[node]} bytes, planned {size}"
        if populated and plan["memory"][0]["pages"] == "thp" and huge[node] < size // 2:
            yield f"node {node} has {huge[node]} bytes in huge pages, planned {size}"


def ledger(plan, snapshot, name, populated=True):
    """One living entry of that name, with the plan's claims; no memory is promised any more."""
    entries = [entry for entry in snapshot.ledger if entry.name == name]
    if len(entries) != 1:
        yield f"the ledger has {len(entries)} entries of {name}"
        return
    entry = entries[0]
    if entry.cpus != set(plan["claims"]):
        yield f"{name} claims {one_line(entry.cpus)}, planned {one_line(plan['claims'])}"
    planned = sorted((part["node"], part["size_bytes"]) for part in plan["memory"])
    if sorted((row["node"], row["bytes"]) for row in entry.memory) != planned:
        yield f"{name} claims the memory {entry.memory}"
    if entry.promised == populated:
        yield f"{name}'s memory is {'still' if entry.promised else 'not'} promised"


def top(sample, moved=()):
    """What `axvm top --json` calls astray is what was moved."""
    if len(sample["vms"]) != 1:
        yield f"top shows {len(sample['vms'])} VMs"
    for vm in sample["vms"]:
        astray = [f"vcpu {vcpu['index']}" for vcpu in vm["vcpus"] if vcpu["astray"]]
        astray += [f"io {io['index']}" for io in vm["io"] if io["astray"]]
        astray += [f"memory {m['guest_node']}" for m in vm["memory"] if m["astray_bytes"]]
        if astray != list(moved):
            yield f"top finds astray: {', '.join(astray) or 'nothing'}"


def outside(plan, snapshot, name):
    yield from threads(plan, snapshot)
    yield from memory(plan, snapshot)
    yield from ledger(plan, snapshot, name)


def floating(plan, snapshot, name, left):
    """Its vCPUs and I/O threads may run on all of what nobody has claimed of their nodes, `left`; the
    rest is as planned. It claims memory only."""
    homes = [part["node"] for part in plan["memory"]]
    wanted = {f"vcpu {i}": vcpu["guest_node"] for i, vcpu in enumerate(plan["vcpus"])}
    wanted.update({f"io {i}": io["guest_node"] for i, io in enumerate(plan["io"])})
    names = [thread.name for thread in snapshot.threads]
    for missing in set(wanted) - set(names):
        yield f"there is no {missing}"
    for thread in snapshot.threads:
        cpus = set().union(*left.values())
        if thread.name in wanted:
            cpus = left[homes[wanted[thread.name]]]
        if thread.cpus != cpus:
            yield f"{thread.name} may run on {one_line(thread.cpus)}, left are {one_line(cpus)}"
    yield from memory(plan, snapshot)
    yield from ledger({**plan, "claims": []}, snapshot, name)


def shared(snapshot, name, cpus):
    """A VM that follows no plan: all its threads may run on exactly these CPUs; it claims nothing."""
    if any(entry.name == name for entry in snapshot.ledger):
        yield f"the ledger has an entry of {name}"
    for thread in snapshot.threads:
        if thread.cpus != cpus:
            yield f"{thread.name} may run on {one_line(thread.cpus)}, left are {one_line(cpus)}"
    for mapping in snapshot.mappings:
        if mapping.policy != "default":
            yield f"{mapping.address} has the policy {mapping.policy}"


# ---- inside ----------------------------------------------------------------------------------


def by_cpu(lines, what):
    """{CPU: value} of lines like "cpu3/topology/core_id:1"."""
    pattern = re.compile(rf"cpu(\d+)/{what}:(.*)")
    return {int(m.group(1)): m.group(2) for m in map(pattern.fullmatch, lines) if m}


def groups(values):
    """Which CPUs have the same value, whatever it is."""
    found = collections.defaultdict(set)
    for cpu, value in values.items():
        found[value].add(cpu)
    return sorted(map(sorted, found.values()))


class Wanted:
    """What a guest of this plan is to see."""

    def __init__(self, plan):
        vcpus = plan["vcpus"]
        self.count = len(vcpus)
        self.nodes = range(len(plan["memory"]))
        self.node_of = {i: vcpu["guest_node"] for i, vcpu in enumerate(vcpus)}
        self.cpus = [{i for i in self.node_of if self.node_of[i] == node} for node in self.nodes]
        self.core_of = {i: vcpu["core"] for i, vcpu in enumerate(vcpus)}
        self.bytes = [part["size_bytes"] for part in plan["memory"]]
        self.distances = [part["distances"] for part in plan["memory"]]


def guest_nodes(wanted, report):
    """/sys/devices/system/node, and the SRAT behind it where there is one."""
    text = "\n".join(report["nodes"])
    everywhere = set(wanted.nodes)
    for what, nodes in (("online", everywhere), ("has_memory", everywhere),
                        ("has_cpu", {n for n in wanted.nodes if wanted.cpus[n]})):
        seen = re.search(rf"/{what}:(\S*)", text)
        if not seen or cpu_list(seen.group(1)) != nodes:
            yield f"nodes {what}: {seen.group(1) if seen else 'not told'}"
    for node in wanted.nodes:
        cpus = re.search(rf"^node{node}/cpulist:(\S*)", text, re.M)
        if not cpus or cpu_list(cpus.group(1)) != wanted.cpus[node]:
            yield f"node {node} has CPUs {cpus.group(1) if cpus else 'not told'}"
        distances = re.search(rf"^node{node}/distance:(.*)", text, re.M)
        if not distances or list(map(int, distances.group(1).split())) != wanted.distances[node]:
            yield f"node {node} has distances {distances.group(1) if distances else 'not told'}"
        total = re.search(rf"Node {node} MemTotal:\s*(\d+) kB", text)
        size = int(total.group(1)) << 10 if total else 0
        # The kernel keeps some of it for itself, of small nodes more in proportion.
        if not wanted.bytes[node] // 2 < size <= wanted.bytes[node]:
            yield f"node {node} has {size} bytes, planned {wanted.bytes[node]}"
    ranges = re.findall(r"SRAT: Node (\d+) PXM \d+ \[mem 0x(\w+)-0x(\w+)\]",
                        "\n".join(report["numa"]))
    told = collections.Counter()
    for node, first, last in ranges:
        told[int(node)] += int(last, 16) + 1 - int(first, 16)
    if len(wanted.nodes) > 1 and ranges and [told[n] for n in wanted.nodes] != wanted.bytes:
        yield f"the SRAT gives the nodes {dict(told)} bytes, planned {wanted.bytes}"


def guest_cpus(wanted, report):
    """Packages are nodes, cores hold the threads that the plan puts side by side."""
    lines = report["cpus"]
    if f"online:0-{wanted.count - 1}" not in lines:
        yield "not all CPUs are online"
    for what, values in (("package_cpus_list", wanted.node_of),
                         ("thread_siblings_list", wanted.core_of)):
        want = {cpu: group for group in groups(values) for cpu in group}
        seen = by_cpu(lines, f"topology/{what}")
        if sorted(seen) != list(range(wanted.count)):
            yield f"{what} of CPUs {one_line(seen)} only"
        for cpu, text in sorted(seen.items()):
            if cpu_list(text) != set(want.get(cpu, ())):
                yield f"CPU {cpu}: {what} {text}, planned {want.get(cpu)}"
    ids = " ".join(report["apicids"]).split()
    if ids and (len(ids) != wanted.count or len(set(ids)) != wanted.count):
        yield f"APIC ids {' '.join(ids)}"


def guest_lscpu(wanted, report):
    """lscpu's words, and its table."""
    text = "\n".join(report.get("lscpu", ()))
    said = {key.strip(): value.strip() for key, _, value in
            (line.partition(":") for line in text.splitlines())}
    want = {"CPU(s)": str(wanted.count), "On-line CPU(s) list": f"0-{wanted.count - 1}",
            "Socket(s)": str(len(wanted.nodes)), "NUMA node(s)": str(len(wanted.nodes)),
            "Core(s) per socket": str(len(set(wanted.core_of.values())) // len(wanted.nodes)),
            "Thread(s) per core": str(wanted.count // len(set(wanted.core_of.values())))}
    for key, value in want.items():
        if said.get(key) != value:
            yield f"lscpu: {key}: {said.get(key)}, planned {value}"
    for node in wanted.nodes:
        cpus = said.get(f"NUMA node{node} CPU(s)", "")
        if cpu_list(cpus) != wanted.cpus[node]:
            yield f"lscpu: node {node} has CPUs {cpus}"
    rows = [list(map(int, line.split(","))) for line in report.get("lscpu-p", ())
            if re.fullmatch(r"[\d,]+", line) and line.count(",") == 3]
    columns = [{row[0]: row[column] for row in rows} for column in range(4)]
    if groups(columns[1]) != groups(wanted.core_of):
        yield f"lscpu -p: cores {groups(columns[1])}"
    if groups(columns[2]) != groups(wanted.node_of):
        yield f"lscpu -p: sockets {groups(columns[2])}"
    if columns[3] != wanted.node_of:
        yield f"lscpu -p: nodes {groups(columns[3])}"


def guest_numactl(wanted, report):
    text = "\n".join(report.get("numactl", ()))
    if f"available: {len(wanted.nodes)} nodes" not in text:
        yield "numactl -H: another number of nodes"
    for node in wanted.nodes:
        cpus = re.search(rf"^node {node} cpus: (.*)$", text, re.M)
        if not cpus or set(map(int, cpus.group(1).split())) != wanted.cpus[node]:
            yield f"numactl -H: node {node} has CPUs {cpus.group(1) if cpus else 'not told'}"
        size = re.search(rf"^node {node} size: (\d+) MB$", text, re.M)
        mib = wanted.bytes[node] >> 20
        if not size or not mib // 2 < int(size.group(1)) <= mib:
            yield f"numactl -H: node {node} has {size.group(1) if size else '?'} MB"
        distances = re.search(rf"^\s*{node}:\s*(.*)$", text, re.M)
        if not distances or list(map(int, distances.group(1).split())) != wanted.distances[node]:
            yield f"numactl -H: node {node} has other distances"


def guest_complaints(report):
    """Warnings about the machine's description; others are other tests' concern."""
    for line in report["warnings"]:
        if re.search(r"srat|slit|numa|topolog|smpboot|sched|apic|core_id|package|\bllc\b|distance",
                     line, re.I):
            yield f"the guest warns: {line}"


def guest(plan, report, programs=(guest_lscpu, guest_numactl)):
    """The programs are those that this guest has brought along."""
    missing = {"nodes", "cpus", "apicids", "numa", "warnings", "end"} - set(report)
    if missing:
        yield f"the guest did not tell its {', '.join(sorted(missing))}"
        return
    wanted = Wanted(plan)
    for check in (guest_nodes, guest_cpus, *programs):
        yield from check(wanted, report)
    yield from guest_complaints(report)
