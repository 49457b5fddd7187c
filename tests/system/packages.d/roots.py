# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of this tree, and Debian root directories to install them in. All of it in one temporary directory."""
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SUITE = os.environ.get("SPEFW_TEST_PACKAGES", "")
SUITE = "bookworm" if SUITE in ("", "1") else SUITE
# Beside what every Debian has: the service manager, users, what may flush tables at boot,
# what sets up the network of the lab.
INCLUDE = "systemd,systemd-sysv,passwd,nftables,iproute2"
# What judges the packages, and builds those of the other family.
JUDGES = ("createrepo-c", "dnf", "lintian", "rpm", "rpmlint", "zsh")
# What doc/examples/debian-repository needs.
REPREPRO = ("reprepro", "gpg", "gpg-agent")
# Whose macros the RPMs are built with, one after the other.
RHEL = ("el9", "el10")
STUB = """Name: stub
Version: 1
Release: 1
Summary: Stands for the packages of a distribution
License: none
BuildArch: noarch
%s
%%description
It provides what others need.
%%files
"""


class Impossible(Exception):
    """Why the test can't run here."""


_running, _ends = set(), threading.Event()


def run(*argv, log=None):
    """A command's output, once it is done; RuntimeError if it failed."""
    if _ends.is_set():
        raise RuntimeError("%s: not begun" % argv[0])
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True) as process:
        _running.add(process)
        output, _ = process.communicate()
        _running.discard(process)
    if log:
        with open(log, "w", encoding="utf-8") as file:
            file.write(output)
    if process.returncode != 0:
        raise RuntimeError("%s: exit %d\n%s" % (" ".join(argv), process.returncode,
                                                "\n".join(output.split("\n")[-60:])))
    return output


def stop():
    """Ends the commands that run, and lets no other begin."""
    _ends.set()
    for process in list(_running):
        process.kill()


def need_tools(tools="spefw_container_tools"):
    """What boots containers, or another list of packaging/dependencies.sh, is installed if it is missing."""
    done = subprocess.run(["bash", "-c", '. "$1/packaging/dependencies.sh"; spefw_dependencies "$1" "$2"', "need", TOP,
                           tools], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    if done.returncode != 0:
        raise Impossible(done.stdout.strip().split("\n")[-1])


def timed(title, function, *args):
    """Calls it, and prints how long that took: progress, no measure."""
    began = time.monotonic()
    value = function(*args)
    print("# %s: %.1f s" % (title, time.monotonic() - began), flush=True)
    return value


def version():
    with open(os.path.join(TOP, "configure.ac"), encoding="utf-8") as file:
        return re.search(r"^AC_INIT\(\[spefw\], \[([^]]+)\]", file.read(), re.M).group(1)


def higher(text):
    """The next version: 0.1.0 -> 0.1.1."""
    head, tail = text.rsplit(".", 1)
    return "%s.%d" % (head, int(tail) + 1)


# -- roots

def chroot(root, *argv, log=None, bind=None):
    """A command in a root that is not booted; what it mounts goes with it. `bind`: a directory that is its /mnt."""
    return run("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", 'mount -t proc proc "$0/proc" && '
               'mount --bind /dev "$0/dev" && { [ -z "$1" ] || mount --bind "$1" "$0/mnt"; } && shift && '
               'exec env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root '
               'TMPDIR=/tmp chroot "$0" "$@"', root, bind or "", *argv, log=log)


def _sources_of_host():
    """Where this machine gets Debian from, as mmdebstrap takes it: the names of files, or nothing,
    which is its own default."""
    with open("/etc/os-release", encoding="utf-8") as file:
        text = file.read()
    if not re.search(r"^ID=debian$", text, re.M):
        return []
    files = []
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        with open(path, encoding="utf-8") as file:
            stanzas = [stanza for stanza in re.split(r"\n\s*\n", file.read()) if stanza.strip()]
        if all(re.search(r"^Suites:.*\b%s\b" % SUITE, stanza, re.M | re.I) for stanza in stanzas):
            files.append(path)
    if files:
        return files
    try:
        with open("/etc/apt/sources.list", encoding="utf-8") as file:
            lines = [line for line in file if re.match(r"deb\s.*\s%s(-\w+)?\s" % SUITE, line)]
    except OSError:
        lines = []
    return ["\n".join(lines)] if lines else []


def make_base(work):
    """A clean Debian, with its lists of packages. Impossible where none is to be had."""
    base = work + "/base"
    options = []
    for scheme in ("http", "https"):
        found = subprocess.run(["apt-config", "shell", "proxy", "Acquire::%s::Proxy" % scheme], check=False,
                               stdout=subprocess.PIPE, universal_newlines=True).stdout
        proxy = re.search(r"proxy='([^']+)'", found)
        if proxy:
            options.append('--aptopt=Acquire::%s::Proxy "%s"' % (scheme, proxy.group(1)))
    # Nothing of it outlives the test: no need to wait for the disk, nor for translations.
    options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Retries "5"']
    try:
        run("unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=apt", "--include=" + INCLUDE,
            "--skip=cleanup/apt", *options, SUITE, base, *_sources_of_host(), log=base + ".log")
    except RuntimeError as error:
        lines = str(error).strip().split("\n")
        raise Impossible("no Debian root can be made: %s" %
                         next((line for line in lines if line.startswith("E: ")), lines[-1])) from None
    return base


def new_root(work, name):
    """A root of its own on top of the base, with the packages that spefw depends on at hand once these are
    downloaded."""
    root = os.path.join(work, name)
    for part in ("", "-upper", "-work"):
        os.makedirs(root + part)
    base = work + "/base"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                           "lowerdir=%s,upperdir=%s-upper,workdir=%s-work" % (base, root, root), root],
                          check=False, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        run("cp", "-a", "--reflink=auto", base + "/.", root)
    for path in glob.glob(work + "/archives/*.deb"):
        shutil.copy(path, root + "/var/cache/apt/archives")
    return root


def release(root):
    """Before its directory is removed."""
    if os.path.ismount(root):
        subprocess.run(["umount", "-l", root], check=False)


def download_dependencies(work, deb):
    """What the package depends on, for apt to find where there is no network."""
    root = new_root(work, "download")
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
    shutil.copy(deb, root + "/root/spefw.deb")
    chroot(root, "apt-get", "install", "-qy", "--no-install-recommends", "--download-only", "/root/spefw.deb")
    os.makedirs(work + "/archives")
    for path in glob.glob(root + "/var/cache/apt/archives/*.deb"):
        shutil.copy(path, work + "/archives")
    release(root)


def install(root, deb, *packages):
    """The package, and others that apt fetches."""
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
    shutil.copy(deb, root + "/root/spefw.deb")
    chroot(root, "apt-get", "install", "-qy", "--no-install-recommends", "/root/spefw.deb", *packages)


# -- shared between programs: what one has built, another one need not build. SPEFW_TEST_SHARE is a directory for that.

def share(work, deb):
    """Tells the other program where the clean root and the package are, or by `deb` None that there are none.
    Nothing changes them."""
    directory = os.environ.get("SPEFW_TEST_SHARE")
    if directory:
        with open(directory + "/built.new", "w", encoding="utf-8") as file:
            json.dump({"suite": SUITE, "base": work + "/base", "deb": deb}, file)
        os.rename(directory + "/built.new", directory + "/built")


def unshare():
    """Before they are removed: nobody begins with them any more, and who has begun is waited for."""
    directory = os.environ.get("SPEFW_TEST_SHARE")
    if directory:
        share("", None)
        with open(directory + "/lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


@contextlib.contextmanager
def shared(suite, bound=1800):
    """{"base", "deb"} of the other program, once it has built them, there until the block ends; or None."""
    directory = os.environ.get("SPEFW_TEST_SHARE")
    if not directory or not suite:
        yield None
        return
    end = time.monotonic() + bound
    while not os.path.exists(directory + "/built") and time.monotonic() < end:
        time.sleep(0.5)
    with open(directory + "/lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            with open(directory + "/built", encoding="utf-8") as file:
                built = json.load(file)
        except FileNotFoundError:
            built = {"deb": None}
        yield built if built["deb"] and built["suite"] == suite else None


# -- packages

class Workshop:
    """A root with what builds the packages, and nothing else: what is missing from their build dependencies shows."""

    def __init__(self, work):
        self._work, self.root, self.nice = work, new_root(work, "workshop"), 0
        shutil.copy("/etc/resolv.conf", self.root + "/etc/resolv.conf")
        run("bash", "-c", '. "$1/packaging/dependencies.sh"; spefw_copy "$1" "$2"', "copy", TOP,
            self.root + "/root/tree")
        # As in README.
        self._in("sh", "-c", "cd /root/tree && apt-get build-dep -qy --no-install-recommends -Pnocheck ./packaging",
                 log=work + "/workshop.log")

    def _in(self, *argv, **more):
        return chroot(self.root, "nice", "-n", str(self.nice), *argv, **more)

    def _judge(self, *argv):
        """The exit status of a program, and its output."""
        output = self._in("sh", "-c", '"$@"; echo "exit $?"', "judge", *argv)
        text, status = output.rstrip("\n").rsplit("exit ", 1)
        return int(status), text

    def deb(self, name, new_version=None):
        """The path of the package spefw, by build-deb; the others are beside it.
        `new_version` instead of the tree's own."""
        path = self.root + "/root/tree/configure.ac"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            if new_version:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(re.sub(r"^(AC_INIT\(\[spefw\], \[)[^]]+", r"\g<1>" + new_version, text, flags=re.M))
            self._in("env", "DEB_BUILD_OPTIONS=nocheck parallel=2", "DEB_BUILD_PROFILES=nocheck",
                     "/root/tree/packaging/build-deb", "/root/" + name, log=os.path.join(self._work, name + ".log"))
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        shutil.copytree(self.root + "/root/" + name, os.path.join(self._work, name))
        [deb] = glob.glob(os.path.join(self._work, name, "spefw_*.deb"))
        return deb

    def install_judges(self):
        self._in("apt-get", "install", "-qy", "--no-install-recommends", *JUDGES, *REPREPRO,
                 log=self._work + "/judges.log")

    def lintian(self, name):
        return self._judge("sh", "-c", "lintian --allow-root --fail-on=error,warning --show-overrides "
                           "/root/%s/*.changes 2>&1" % name)

    def rpm(self):
        """{release: the paths of its RPMs}. What Debian lacks of the macros is made up for."""
        paths = {}
        for name in RHEL:
            loads = []
            for macros in ("macros.systemd", "macros." + name):
                shutil.copy(os.path.join(HERE, macros), self.root + "/root")
                loads.append("--load=/root/" + macros)
            self._in("/root/tree/packaging/build-rpm", "/root/rpm/" + name, *loads, "--nodeps", "--nocheck",
                     log="%s/rpm-%s.log" % (self._work, name))
            paths[name] = sorted(glob.glob("%s/root/rpm/%s/*.rpm" % (self.root, name)))
        return paths

    def rpmlint(self):
        """{release: (exit status, output)}"""
        return {name: self._judge("sh", "-c", "rpmlint --config /root/tree/packaging/rpm/rpmlint.toml "
                                  "/root/rpm/%s/*.rpm 2>&1" % name) for name in RHEL}

    def repository(self, *names):
        """For each package, by its name as deb() had it: what a web server would have of the repository then."""
        folders = []
        for number, name in enumerate(names):
            [deb] = glob.glob("%s/root/%s/spefw_*.deb" % (self.root, name))
            self._in("/root/tree/doc/examples/debian-repository", "/root/repository", deb[len(self.root):])
            folders.append("%s/repository-%d" % (self._work, number))
            shutil.copytree(self.root + "/root/repository/public", folders[-1])
        return folders

    def completions(self, deb):
        """What the tree's own check finds in both shells' completions and the program in a package."""
        run("dpkg-deb", "-x", deb, self.root + "/root/unpacked")
        return self._judge("sh", "-c", "/root/tree/packaging/completion/check /root/unpacked/usr/bin/spefwctl 2>&1")


class Repository:
    """A repository for dnf in the workshop, with the RPMs of one release, and one that stands for the distribution."""

    def __init__(self, workshop, name):
        self._workshop, self._name = workshop, name
        [binary] = [path for path in glob.glob("%s/root/rpm/%s/*.rpm" % (workshop, name))
                    if not path.endswith(".src.rpm") and "-debug" not in path]
        needs = chroot(workshop, "rpm", "-qpR", binary[len(workshop):]).split("\n")
        provides = sorted({need.split(" ")[0] for need in needs if need and not re.match(r"rpmlib|config\(", need)})
        with open(workshop + "/root/stub.spec", "w", encoding="ascii") as file:
            file.write(STUB % "\n".join("Provides: " + need for need in provides))
        folder = "/root/rpm/" + name
        chroot(workshop, "rpmbuild", "-bb", "--define", "_rpmdir " + folder, "/root/stub.spec")
        chroot(workshop, "createrepo_c", folder)

    def dnf(self, root, *argv):
        """dnf's output, for a root of its own."""
        return chroot(self._workshop, "dnf", "--installroot=/mnt", "--releasever=9", "--setopt=reposdir=/nonexistent",
                      "--repofrompath=here,/root/rpm/" + self._name, "--nogpgcheck", "-y", *argv, bind=root)
