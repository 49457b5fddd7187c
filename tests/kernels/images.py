# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks for the emulator: a Debian with what the tests need, and kernels of several releases beside,
each with a start of its own.

All of it is Debian's packages, laid out below one directory a release; nothing is installed on this machine."""
import glob
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "system", "packages.d"))
import roots  # noqa: E402

# name: whose kernel, whose userland
KERNELS = {"5.10": ("bullseye", "bookworm"), "6.1": ("bookworm", "bookworm"), "6.12": ("trixie", "trixie"),
           "newest": ("sid", "trixie")}
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
# What a gateway has, and what the lab needs at the least; and what the other system tests need beside.
GATEWAY = ("udev", "kmod", "systemd", "systemd-sysv", "dbus", "nftables", "iptables-persistent", "iproute2",
           "conntrack", "python3", "dnsmasq-base", "e2fsprogs")
TESTS = ("unbound", "knot", "iptables", "openssl", "squid-openssl", "dbus-daemon", "firewalld", "libcmocka0", "procps",
         "gcc", "libc6-dev")
MODULES = ("virtio_pci", "virtio_blk", "ext4")
# What takes time at boot or shutdown and proves nothing about spefw.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "man-db.timer", "systemd-timesyncd.service", "getty@tty1.service",
          "serial-getty@ttyS0.service", "systemd-random-seed.service", "logrotate.timer",
          "systemd-machine-id-commit.service", "systemd-update-utmp.service", "systemd-pstore.service",
          "ldconfig.service", "systemd-binfmt.service", "unbound.service", "unbound-resolvconf.service", "knot.service",
          "squid.service", "firewalld.service", "dnsmasq.service", "ssl-cert.service")
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
until [ -b /dev/vda ]; do /bin/busybox usleep 20000; done
/bin/busybox mount -t ext4 /dev/vda /root || /bin/busybox poweroff -f
/bin/busybox mount --move /dev /root/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /sbin/init
"""
UNITS = {
    # The network comes up as any network does: after network-pre.target. It stays up as long as the kernel does.
    "lab-network.service": """[Unit]
DefaultDependencies=no
Requires=local-fs.target
After=network-pre.target local-fs.target systemd-sysctl.service
Before=network.target
Wants=network.target
IgnoreOnIsolate=yes
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 /srv/spefw/tests/kernels/guest/network.py
[Install]
WantedBy=multi-user.target
""",
    # It sees all that comes through until the kernel stops: systemd spares what is called @ in its last round of kills.
    "lab-witness.service": """[Unit]
DefaultDependencies=no
Requires=lab-network.service
After=lab-network.service
IgnoreOnIsolate=yes
[Service]
ExecStart=@/usr/bin/python3 @witness /srv/spefw/tests/kernels/guest/witness.py
KillMode=none
StandardOutput=null
[Install]
WantedBy=multi-user.target
""",
    # Something that is slow to stop, as is usual: all services that stop before the network does go meanwhile.
    "lab-slow.service": """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sleep 8
[Install]
WantedBy=multi-user.target
""",
    "lab-agent.service": """[Unit]
After=multi-user.target
IgnoreOnIsolate=yes
[Service]
Environment=HOME=/root LC_ALL=C PYTHONDONTWRITEBYTECODE=1 SPEFW_TEST_PATIENCE=8
ExecStart=/usr/bin/python3 /srv/spefw/tests/kernels/guest/agent.py
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
[Install]
WantedBy=default.target
""",
}


def _shop(work, suite):
    """A root where apt knows the packages of another release."""
    root = os.path.join(work, "fetch-" + suite)
    if os.path.isdir(root):
        return root
    roots.new_root(work, "fetch-" + suite)
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
    if suite != roots.SUITE:
        for path in glob.glob(root + "/etc/apt/sources.list*"):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        with open(root + "/etc/apt/sources.list", "w", encoding="ascii") as file:
            file.write("deb http://deb.debian.org/debian %s main\n" % suite)
        # A mirror that stands still is as good: what is signed is signed.
        with open(root + "/etc/apt/apt.conf.d/90lab", "w", encoding="ascii") as file:
            file.write('Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n')
        roots.chroot(root, "apt-get", "update", "-q")
    return root


def _download(root, *packages):
    """The files of these packages."""
    directory = root + "/download"
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)
    roots.chroot(root, "sh", "-c", 'cd /download && apt-get -q -o APT::Sandbox::User=root download "$@"', "sh",
                 *packages)
    return sorted(glob.glob(directory + "/*.deb"))


def _kernel_packages(work, suite):
    """Of the release's kernel for virtual machines: its image and its modules.
    It has the netfilter modules that the other flavour has."""
    root = _shop(work, suite)
    printed = roots.chroot(root, "apt-cache", "depends", "--recurse", "--important", "linux-image-cloud-amd64")
    return _download(root,
                     *sorted(set(re.findall(r"\b(linux-(?:image|base|binary|modules)-[0-9]\S*-cloud-amd64)\b",
                                            printed))))


def add_kernel(work, guest, suite):
    """Unpacks a kernel into the root `guest`; returns {"version", "vmlinuz", "initrd"}, paths outside of it."""
    unpacked = os.path.join(work, "kernel-" + suite)
    for deb in _kernel_packages(work, suite):
        roots.run("dpkg-deb", "-x", deb, unpacked)
    [modules] = glob.glob(unpacked + "/lib/modules/*") + glob.glob(unpacked + "/usr/lib/modules/*")
    version = os.path.basename(modules)
    [vmlinuz] = glob.glob(unpacked + "/boot/vmlinuz-*") + glob.glob(modules + "/vmlinuz")
    os.makedirs(guest + "/usr/lib/modules", exist_ok=True)
    roots.run("cp", "-a", modules, guest + "/usr/lib/modules/" + version)
    roots.chroot(guest, "depmod", version)
    initrd = os.path.join(work, "initrd-" + version)
    [busybox] = _download(_shop(work, roots.SUITE), "busybox-static")
    roots.run("dpkg-deb", "-x", busybox, work + "/busybox")
    [program] = [path
                 for path in (work + "/busybox/bin/busybox", work + "/busybox/usr/bin/busybox") if os.path.exists(path)]
    printed = roots.chroot(guest, "sh", "-c", 'version=$1; shift; for module; '
                        'do modprobe -S "$version" --show-depends "$module" || exit; done', "sh", version, *MODULES)
    files, seen = [("init", INIT.encode()), ("bin/busybox", _read(program))], []
    for path in re.findall(r"(?m)^insmod (\S+)", printed):
        if path not in seen:
            seen.append(path)
            name = os.path.basename(path)
            files.append(("modules/%02d-%s" % (len(seen), re.sub(r"\.ko.*", ".ko", name)), _unpacked(guest + path)))
    with open(initrd, "wb") as file:
        _write_cpio(file, files)
    kept = os.path.join(work, "vmlinuz-" + version)
    shutil.copy(vmlinuz, kept)
    return {"version": version, "vmlinuz": kept, "initrd": initrd}


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _unpacked(path):
    if path.endswith(".xz"):
        return lzma.decompress(_read(path))
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    return _read(path)


def _write_cpio(out, files):
    """An archive as the kernel takes it for its first file system."""
    number = 0

    def put(name, mode, data=b"", device=(0, 0)):
        nonlocal number
        number += 1
        head = "070701" + "".join("%08x" % value for value in (number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0],
                                                               device[1], len(name) + 1, 0)) + name + "\0"
        for part in (head.encode(), data):
            out.write(part + b"\0" * (-len(part) % 4))
    for name in ("bin", "dev", "proc", "modules", "root"):
        put(name, stat.S_IFDIR | 0o755)
    put("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for name, data in files:
        put(name, stat.S_IFREG | 0o755, data)
    put("TRAILER!!!", 0)


def make_guest(work, debs, whole):
    """The gateway's root directory: not yet with spefw, but with its packages at hand. `whole`:
    for all system tests."""
    root = roots.new_root(work, "guest")
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
    # What it depends on: apt in the guest finds it there.
    roots.chroot(root, "apt-get", "install", "-qy", "--no-install-recommends", *GATEWAY, *(TESTS if whole else ()),
                 log=work + "/guest.log")
    roots.chroot(root, "apt-get", "install", "-qy", "--no-install-recommends", "--download-only",
                 "/mnt/" + os.path.basename(debs[0]), bind=os.path.dirname(debs[0]))
    os.makedirs(root + "/srv/debs")
    for number, deb in enumerate(debs):
        shutil.copy(deb, "%s/srv/debs/%s.deb" % (root, ("spefw", "newer")[number]))
    roots.run("bash", "-c", '. "$1/packaging/dependencies.sh"; spefw_copy "$1" "$2"', "copy", TOP, root + "/srv/spefw")
    for name, text in UNITS.items():
        with open(root + "/etc/systemd/system/" + name, "w", encoding="ascii") as file:
            file.write(text)
    roots.run("systemctl", "--root", root, "enable", "lab-agent.service")
    roots.run("systemctl", "--root", root, "set-default", "multi-user.target")
    for name in MASKED:
        path = root + "/etc/systemd/system/" + name
        if not os.path.lexists(path):
            os.symlink("/dev/null", path)
    for name in ("nftables", "netfilter-persistent"):
        roots.run("systemctl", "--root", root, "disable", name)
    os.makedirs(root + "/etc/systemd/journald.conf.d", exist_ok=True)
    for path, text in (("/etc/hostname", "gateway\n"), ("/etc/fstab", ""),
                       ("/etc/resolv.conf", "nameserver 198.51.100.53\n"),
                       ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
                       ("/etc/systemd/journald.conf.d/lab.conf",
                        "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nForwardToConsole=no\n")):
        with open(root + path, "w", encoding="ascii") as file:
            file.write(text)
    os.makedirs(root + "/var/log/journal", exist_ok=True)
    return root


def make_disk(root, path):
    """A file system with all that is below `root`, and room for more."""
    size = int(subprocess.run(["du", "-s", "--block-size=1M", root], check=True, stdout=subprocess.PIPE,
                              universal_newlines=True).stdout.split()[0])
    roots.run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", root,
              path, "%dM" % (size * 5 // 4 + 600))
    return path
