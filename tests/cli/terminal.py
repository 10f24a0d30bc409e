#!/usr/bin/env python3
"""Drives the program on a pseudo terminal: modes before, during and after each way to end."""
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

AXVM = sys.argv[1]
FAKE = ["run", "--arch", "generic", "-m", "16M", "--no-metrics"]
LIMIT_S = 30


class Session:
    """The program with a terminal of its own; the slave stays open here to look at its modes."""

    def __init__(self, arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.master)
            os.login_tty(self.slave) if hasattr(os, "login_tty") else self.login()
            os.execv(AXVM, [AXVM] + arguments)

    def login(self):
        os.setsid()
        slave = os.open(os.ttyname(self.slave), os.O_RDWR)  # becomes the controlling terminal
        for fd in (0, 1, 2):
            os.dup2(slave, fd)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.output += os.read(self.master, 65536)

    def until(self, condition):
        end = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > end:
                return False
            self.read(0.02)
        return True

    def finish(self):
        """Exit status, negative for a signal; None when it had to be killed."""
        status = []

        def ended():
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(os.waitstatus_to_exitcode(raw))
            return bool(pid)

        if not self.until(ended):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return None
        while select.select([self.master], [], [], 0)[0]:  # one read gives 4095 bytes
            self.read(0)
        return status[0]

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def runs(pid):
    """Is there a vCPU? Threads may end while they are looked at."""
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm") as comm:
                if comm.read().startswith("vcpu"):
                    return True
        except OSError:
            pass
    return False


def case(name, kernel, action, wanted, text=None):
    session = Session(FAKE + ["-k", kernel])
    why = None
    if kernel == "spin":
        if not session.until(session.is_raw):
            why = "the terminal never became raw"
        else:
            # The console is read once the machine runs.
            session.until(lambda: runs(session.pid))
            action(session)
    status = session.finish()
    if not why and status != wanted:
        why = f"status {status}, not {wanted}: {session.output[-200:]!r}"
    if not why and termios.tcgetattr(session.slave) != session.before:
        why = "the terminal is not as it was"
    if not why and text and text not in session.output:
        why = f"it does not say {text!r}: {session.output[-200:]!r}"
    session.close()
    print(f"FAIL terminal/{name}: {why}" if why else f"PASS terminal/{name}", flush=True)
    return why is None


def send(number):
    return lambda session: os.kill(session.pid, number)


def keys(*presses):
    def press(session):
        for key in presses:
            os.write(session.master, key)
            time.sleep(0.05)
    return press


def ctrl_a_twice(session):
    """Ctrl-A Ctrl-A is a Ctrl-A for the guest and stops nothing; then Ctrl-A x does."""
    os.write(session.master, b"\x01\x01")
    time.sleep(0.2)
    assert os.waitpid(session.pid, os.WNOHANG)[0] == 0
    os.write(session.master, b"\x01x")


def one_interrupt(session):
    """A single Ctrl-C is the guest's."""
    os.write(session.master, b"\x03")
    time.sleep(0.5)
    assert os.waitpid(session.pid, os.WNOHANG)[0] == 0
    os.kill(session.pid, signal.SIGTERM)


# `axvm top` draws on a screen of its own, with the keys for itself.
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


def top_case(name, action):
    session = Session(["top", "--interval", "100ms"])
    why = None
    if not session.until(lambda: session.is_raw() and session.output.count(b"vCPU") > 3):
        why = f"it does not draw: {session.output[-200:]!r}"
    else:
        why = action(session)
    status = session.finish()
    if not why and status != 0:
        why = f"status {status}: {session.output[-200:]!r}"
    if not why and termios.tcgetattr(session.slave) != session.before:
        why = "the terminal is not as it was"
    if not why and session.output.count(ENTER) != session.output.count(LEAVE):
        why = "the screen is not as it was"
    session.close()
    print(f"FAIL terminal/top-{name}: {why}" if why else f"PASS terminal/top-{name}", flush=True)
    return why is None


def stopped(session):
    """Ctrl-Z gives the terminal back until it goes on."""
    os.write(session.master, b"\x1a")
    ended = lambda: os.waitpid(session.pid, os.WNOHANG | os.WUNTRACED)[0]
    if not session.until(ended):
        return "Ctrl-Z does not stop it"
    session.read(0.1)
    if session.is_raw() or session.output.count(ENTER) != session.output.count(LEAVE):
        return "stopped, it keeps the terminal"
    os.kill(session.pid, signal.SIGCONT)
    if not session.until(session.is_raw):
        return "it does not go on"
    os.write(session.master, b"q")


def top_dumb():
    """A terminal that can only print gets one table after the other."""
    os.environ["TERM"] = "dumb"
    session = Session(["top", "--interval", "100ms"])
    why = None
    if not session.until(lambda: session.output.count(b"vCPU") > 6):
        why = f"it does not print: {session.output[-200:]!r}"
    keys(b"\x03")(session)
    status = session.finish()
    if not why and status != 0:
        why = f"status {status}: {session.output[-200:]!r}"
    if not why and b"\x1b" in session.output:
        why = f"it draws: {session.output[-200:]!r}"
    session.close()
    os.environ["TERM"] = "xterm"
    print(f"FAIL terminal/top-dumb: {why}" if why else "PASS terminal/top-dumb", flush=True)
    return why is None


def top_cases():
    directory, outer = tempfile.mkdtemp(), os.environ["AXVM_RUN_DIR"]
    os.environ["AXVM_RUN_DIR"] = directory
    os.environ["TERM"] = "xterm"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([AXVM] + FAKE + ["-k", "spin", "--placement", "off"], **quiet) as vm:
        end = time.monotonic() + LIMIT_S
        # Not its socket: that is there before the VM is, and top waits for it a second only.
        while not runs(vm.pid) and time.monotonic() < end:
            time.sleep(0.02)
        results = [
            top_case("q", lambda session: keys(b"xq")(session)),
            top_case("ctrl-c", lambda session: keys(b"\x03")(session)),
            top_case("sigterm", lambda session: send(signal.SIGTERM)(session)),
            top_case("sighup", lambda session: send(signal.SIGHUP)(session)),
            top_case("ctrl-z", stopped),
            top_dumb(),
            top_case("vm-ends", lambda session: vm.terminate()),
        ]
    os.environ["AXVM_RUN_DIR"] = outer
    shutil.rmtree(directory)
    return all(results)


def main():
    nothing = lambda session: None
    results = [
        case("poweroff", "off", nothing, 0, b"Ctrl-A x stops it"),
        case("reboot", "reset", nothing, 10),
        case("panic", "crash", nothing, 11),
        case("no-kernel", "gone", nothing, 3, b"cannot open gone"),
        case("sigterm", "spin", send(signal.SIGTERM), 0),
        case("sigint", "spin", send(signal.SIGINT), 0),
        case("sighup", "spin", send(signal.SIGHUP), 0),
        case("sigquit", "spin", send(signal.SIGQUIT), 0),
        case("sigsegv", "spin", send(signal.SIGSEGV), -signal.SIGSEGV),
        case("sigabrt", "spin", send(signal.SIGABRT), -signal.SIGABRT),
        case("sigusr2", "spin", send(signal.SIGUSR2), -signal.SIGUSR2),
        case("sigbus", "spin", send(signal.SIGBUS), 30, b"memory behind the guest is gone"),
        case("escape-x", "spin", keys(b"\x01", b"x"), 0),
        case("escape-in-one-read", "spin", keys(b"abc\x01x"), 0),
        case("escape-help", "spin", keys(b"\x01h", b"\x01x"), 0, b"Ctrl-A x  stop the VM"),
        case("escape-itself", "spin", ctrl_a_twice, 0),
        case("interrupt-once", "spin", one_interrupt, 0),
        # In one go: they count when they come within a second.
        case("interrupt-thrice", "spin", keys(b"\x03\x03\x03"), 0),
    ]
    return 0 if all([*results, top_cases()]) else 1


sys.exit(main())
