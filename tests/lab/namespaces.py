# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces of one's own: no root needed, nothing of the host is touched.

enter() moves the whole test program into a new user, mount and network namespace. Inside it,
`ip netns` works (/run is a fresh tmpfs), and so do nftables, NAT and conntrack. Python gets os.setns
in 3.12 alone, hence the few lines of ctypes.
"""
import contextlib
import ctypes
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 1 << 18, 0x1000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The system does not allow such namespaces; the text names what and why."""


def _call(function, *arguments):
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare(flags):
    _call(_libc.unshare, flags)


def setns(fd, kind=CLONE_NEWNET):
    _call(_libc.setns, fd, kind)


def mount(source, target, kind=None, flags=0, options=None):
    def text(value):
        return None if value is None else value.encode()
    _call(_libc.mount, text(source), text(target), text(kind), ctypes.c_ulong(flags), text(options))


def umount(target):
    """What was mounted there by this test."""
    _call(_libc.umount2, target.encode(), 0)


def die_with_parent(number=signal.SIGKILL):
    """For a child: whatever happens to the test, its processes end. Call it between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, number)


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _map_identities(pid):
    """Root gives the namespace many users, so that tests can act as another one; a plain user has but itself."""
    if os.geteuid() == 0:
        try:
            _write("/proc/%d/uid_map" % pid, "0 0 65535")
            _write("/proc/%d/gid_map" % pid, "0 0 65535")
            return
        except OSError:
            pass
    uid, gid = os.geteuid(), os.getegid()
    _write("/proc/%d/setgroups" % pid, "deny")
    _write("/proc/%d/uid_map" % pid, "0 %d 1" % uid)
    _write("/proc/%d/gid_map" % pid, "0 %d 1" % gid)


def _own_mounts():
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    resolv = os.path.realpath("/etc/resolv.conf")
    mount("lab", "/run", "tmpfs", 0, "mode=755")
    os.makedirs("/run/netns")
    with open("/run/resolv.conf", "w", encoding="ascii"):
        pass
    if resolv.startswith("/run/"):
        os.makedirs(os.path.dirname(resolv), exist_ok=True)
        if resolv != "/run/resolv.conf":
            os.symlink("/run/resolv.conf", resolv)
    elif os.path.exists(resolv):
        mount("/run/resolv.conf", resolv, None, MS_BIND)


def _supervise(child, ready, go):
    """The outer half: gives the child its identities, then waits and passes its exit status on."""
    os.read(ready, 1)
    try:
        _map_identities(child)
    except OSError as error:
        print("mapping identities: %s" % error, file=sys.stderr)
    os.write(go, b"x")
    os.close(go)

    def forward(number, _frame):
        os.kill(child, number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def enter():
    """Returns inside the new namespaces (in a child; the caller's process waits for it). Raises Refused.

    Call it before any thread exists."""
    sys.stdout.flush()
    sys.stderr.flush()
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(ready_write)
        os.close(go_read)
        _supervise(child, ready_read, go_write)
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    # Without this, SIGTERM would end the test without its `finally` clauses.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.close(ready_read)
    os.close(go_write)
    refused = None
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    except OSError as error:
        refused = error
    os.write(ready_write, b"x")
    os.read(go_read, 1)
    os.close(ready_write)
    os.close(go_read)
    try:
        if refused is not None:
            # A container may forbid user namespaces and yet give root the others.
            unshare(CLONE_NEWNS | CLONE_NEWNET)
        _own_mounts()
    except OSError as error:
        raise Refused("namespaces are not allowed here: %s (try: sysctl kernel.unprivileged_userns_clone=1, "
                      "user.max_user_namespaces, "
                      "or run as root)" % (refused or error)) from error


@contextlib.contextmanager
def inside(name):
    """This thread's new sockets belong to the named namespace; they keep it after the block."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open("/run/netns/" + name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(other)
        try:
            yield
        finally:
            setns(own)
    finally:
        os.close(own)
        os.close(other)


def joiner(name, uid=None, gid=None):
    """A preexec_fn: the child runs in the namespace, as the user (group gid, else of the same number),
    and never outlives the test."""
    def prepare():
        die_with_parent()
        fd = os.open("/run/netns/" + name, os.O_RDONLY)
        setns(fd)
        os.close(fd)
        if uid is not None:
            if hasattr(os, "setgroups"):
                with contextlib.suppress(PermissionError):
                    os.setgroups([])
            group = uid if gid is None else gid
            os.setresgid(group, group, group)
            os.setresuid(uid, uid, uid)
            die_with_parent()
    return prepare


def has_second_user():
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return sum(int(line.split()[2]) for line in file) > 1


__all__ = ["Refused", "enter", "inside", "joiner", "has_second_user"]
