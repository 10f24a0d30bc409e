#!/usr/bin/env python3
"""Drives the program on a pseudo terminal: modes before, during and after each way to end."""
import os
import pty
import select
import signal
import sys
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
        self.read(0)
        return status[0]

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def case(name, kernel, action, wanted, text=None):
    session = Session(FAKE + ["-k", kernel])
    why = None
    if kernel == "spin":
        if not session.until(session.is_raw):
            why = "the terminal never became raw"
        else:
            # The console is read once the machine runs.
            running = f"/proc/{session.pid}/task"
            session.until(lambda: any(
                open(f"{running}/{task}/comm").read().startswith("vcpu")
                for task in os.listdir(running)))
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
        case("interrupt-thrice", "spin", keys(b"\x03", b"\x03", b"\x03"), 0),
    ]
    return 0 if all(results) else 1


sys.exit(main())
