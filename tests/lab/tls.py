# SPDX-License-Identifier: GPL-2.0-or-later
"""Authorities, certificates, and servers that show them."""
import os
import re
import socket
import ssl
import subprocess
import threading

from . import namespaces
from .dns import A, query
from .tap import HANG

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def _openssl(*args):
    subprocess.run(["openssl"] + list(args), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def certificate(folder, name, text, authority=False):
    """A certificate that signs itself, and its key; returns the path of both in one file."""
    path = os.path.join(folder, name + ".pem")
    more = (["-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE"] if authority
            else [])
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + text, "-keyout",
             path + ".key", "-out", path + ".crt", *more)
    return _join(path, path + ".crt", path + ".key")


def _join(path, *parts):
    with open(path, "w", encoding="ascii") as out:
        for part in parts:
            with open(part, encoding="ascii") as file:
                out.write(file.read())
    os.chmod(path, 0o644)
    return path


class Authority:
    _count = 0

    def __init__(self, folder, name):
        Authority._count += 1
        self._base = os.path.join(folder, "authority%d" % Authority._count)
        certificate(folder, os.path.basename(self._base), name, authority=True)
        self.certificate = self._base + ".pem.crt"

    def issue(self, host):
        """A certificate for the host, the authority's, and the key, in one file."""
        path = "%s-%s.pem" % (self._base, host)
        _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + host, "-addext",
                 "subjectAltName=DNS:" + host, "-keyout", path + ".key", "-out", path + ".csr")
        _openssl("x509", "-req", "-in", path + ".csr", "-CA", self.certificate, "-CAkey", self._base + ".pem.key",
                 "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", path + ".crt")
        return _join(path, path + ".crt", self.certificate, path + ".key")


def trust(authority):
    """The system, as this test and its programs see it, trusts this authority alone.
    False where its store is elsewhere."""
    if not os.path.exists(BUNDLE):
        return False
    namespaces.mount(authority.certificate, BUNDLE, None, namespaces.MS_BIND)
    return True


class Server:
    """A TLS server that waits for a word and closes."""

    def __init__(self, machine, port, pem):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        with namespaces.inside(machine):
            self._socket = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            try:
                sock.settimeout(10)
                with self._context.wrap_socket(sock, server_side=True) as tls:
                    tls.recv(1024)
            except OSError:
                pass

    def close(self):
        # A thread in accept() keeps a socket that is only closed.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


def issuer_seen(lab, machine, address, name):
    """Who signed the certificate for the name that the machine gets from there, however long that takes;
    or what went wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with namespaces.inside(machine):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        with sock:
            sock.settimeout(HANG)
            sock.connect((address, 443))
            with context.wrap_socket(sock, server_hostname=name) as tls:
                text = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
    except OSError as error:
        return str(error)
    issuer = lab.run(machine, "openssl", "x509", "-noout", "-issuer", text=text).stdout
    return re.search(r"CN ?= ?(.*)", issuer).group(1).strip()


def answers(machine, resolver, name):
    """Whether a resolver answers the machine with an address."""
    answer = query(machine, resolver, name, A)
    return bool(answer and answer[1])
