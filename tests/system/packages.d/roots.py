# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of this tree, and Debian 12 root directories to install them in. All of it in one temporary directory."""
import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SUITE = "bookworm"
# Beside what every Debian has: the service manager, what may flush tables at boot, what sets up the network of the lab.
INCLUDE = "systemd,systemd-sysv,nftables,iproute2"
# program: package of Debian
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "dpkg-buildpackage": "dpkg-dev", "dh": "debhelper", "dnsmasq": "dnsmasq-base",
         "lintian": "lintian", "rpmbuild": "rpm", "rpmlint": "rpmlint"}


class Impossible(Exception):
    """Why the test can't run here."""


def run(*argv, log=None, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False, **more)
    if log:
        with open(log, "w", encoding="utf-8") as file:
            file.write(done.stdout)
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d\n%s" % (" ".join(argv), done.returncode, "\n".join(done.stdout.split("\n")[-60:])))
    return done.stdout


def need_tools():
    missing = sorted(package for program, package in TOOLS.items() if shutil.which(program) is None)
    if missing and shutil.which("apt-get"):
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends"] + missing, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False, env=env)
        missing = sorted(package for program, package in TOOLS.items() if shutil.which(program) is None)
    if missing:
        raise Impossible("missing: " + " ".join(missing))


def version():
    with open(os.path.join(TOP, "configure.ac"), encoding="utf-8") as file:
        return re.search(r"^AC_INIT\(\[spefw\], \[([^]]+)\]", file.read(), re.M).group(1)


def higher(text):
    """The next version: 0.1.0 -> 0.1.1."""
    head, tail = text.rsplit(".", 1)
    return "%s.%d" % (head, int(tail) + 1)


def copy_of_tree(directory, new_version):
    """The sources with another version in configure.ac."""
    run("bash", "-c", '. "$1/packaging/dependencies.sh"; spefw_copy "$1" "$2"', "copy", TOP, directory)
    path = os.path.join(directory, "configure.ac")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^(AC_INIT\(\[spefw\], \[)[^]]+", r"\g<1>" + new_version, text, flags=re.M))
    return directory


# -- packages

def _host_is_like_the_root():
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return False
    if "VERSION_CODENAME=" + SUITE not in text or not re.search(r"^ID=debian$", text, re.M):
        return False
    return subprocess.run(["dpkg-checkbuilddeps", "-Pnocheck", os.path.join(TOP, "packaging/debian/control")], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Builder:
    """Builds packages: on this machine, if it is a Debian 12 with all that is needed; else in a root directory made for that."""

    def __init__(self, work, base):
        self._work, self._base = work, base
        self.in_root = bool(os.environ.get("SPEFW_TEST_BUILD_ROOT")) or not _host_is_like_the_root()

    def deb(self, tree, name):
        """The path of the package spefw; the others are beside it."""
        out = os.path.join(self._work, name)
        os.makedirs(out)
        env = dict(os.environ, DEB_BUILD_OPTIONS="nocheck parallel=2", DEB_BUILD_PROFILES="nocheck", TMPDIR=self._work)
        if self.in_root:
            self._in_root(tree, out)
        else:
            run(os.path.join(tree, "packaging/build-deb"), out, env=env, log=out + ".log")
        [deb] = glob.glob(out + "/spefw_*.deb")
        return deb

    def _in_root(self, tree, out):
        root = self._work + "/build-root"
        if not os.path.exists(root):
            run("cp", "-a", self._base(), root)
            shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
            shutil.copytree(os.path.join(TOP, "packaging/debian"), root + "/root/control/debian")
            chroot(root, "apt-get", "install", "-qy", "--no-install-recommends", "build-essential", "autoconf", "automake", "xz-utils")
            chroot(root, "sh", "-c", "cd /root/control && echo 'spefw (0) unstable; urgency=low' >debian/changelog && "
                   "apt-get build-dep -qy --no-install-recommends -Pnocheck ./")
        shutil.copytree(tree, root + "/root/tree", symlinks=True)
        try:
            chroot(root, "env", "DEB_BUILD_OPTIONS=nocheck parallel=2", "DEB_BUILD_PROFILES=nocheck", "/root/tree/packaging/build-deb", "/root/out",
                   log=out + ".log")
            for path in glob.glob(root + "/root/out/*"):
                shutil.move(path, out)
        finally:
            shutil.rmtree(root + "/root/tree")

    def rpm(self, tree):
        """The paths of the packages. What Debian lacks of the macros is made up for."""
        out = os.path.join(self._work, "rpm")
        run(os.path.join(tree, "packaging/build-rpm"), out, "--load=" + os.path.join(HERE, "macros.systemd"), "--nodeps", "--nocheck",
            env=dict(os.environ, TMPDIR=self._work), log=out + ".log")
        return sorted(glob.glob(out + "/*.rpm"))


# -- roots

def chroot(root, *argv, log=None):
    """A command in a root that is not booted; what it mounts goes with it."""
    return run("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
               'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec env DEBIAN_FRONTEND=noninteractive LC_ALL=C '
               'PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp chroot "$0" "$@"', root, *argv, log=log)


def _sources_of_host():
    """Where this machine gets Debian from, as mmdebstrap takes it: the names of files, or nothing, which is its own default."""
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
    """A clean Debian 12, with its lists of packages."""
    base = work + "/base"
    options = []
    for scheme in ("http", "https"):
        found = subprocess.run(["apt-config", "shell", "proxy", "Acquire::%s::Proxy" % scheme], check=False, stdout=subprocess.PIPE, universal_newlines=True).stdout
        proxy = re.search(r"proxy='([^']+)'", found)
        if proxy:
            options.append('--aptopt=Acquire::%s::Proxy "%s"' % (scheme, proxy.group(1)))
    run("unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=apt", "--include=" + INCLUDE, "--skip=cleanup/apt", *options, SUITE, base,
        *_sources_of_host(), log=base + ".log")
    return base


def download_dependencies(base, deb):
    """What the package depends on, for the root's apt to find without a network."""
    resolv = base + "/etc/resolv.conf"
    shutil.copy("/etc/resolv.conf", resolv)
    shutil.copy(deb, base + "/root/spefw.deb")
    chroot(base, "apt-get", "install", "-qy", "--no-install-recommends", "--download-only", "/root/spefw.deb")
    os.unlink(base + "/root/spefw.deb")
    os.unlink(resolv)


def new_root(work, name):
    """A root of its own on top of the base."""
    root = os.path.join(work, name)
    for part in ("", "-upper", "-work"):
        os.makedirs(root + part)
    base = work + "/base"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s,upperdir=%s-upper,workdir=%s-work" % (base, root, root), root],
                          check=False, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        run("cp", "-a", base + "/.", root)
    return root
