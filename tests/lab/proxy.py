# SPDX-License-Identifier: GPL-2.0-or-later
"""squid, as a proxy that opens the TLS of connections that were not meant for it."""
import os
import shutil

from . import tls
from .tap import wait_for
from .topology import DNS

CONFIG = """http_port 3127
https_port %(port)d %(kind)s ssl-bump generate-host-certificates=on tls-cert=%(dir)s/proxy.pem
sslcrtd_program %(helper)s -s %(dir)s/certs -M 4MB
sslproxy_cert_error allow all
tls_outgoing_options flags=DONT_VERIFY_PEER,DONT_VERIFY_DOMAIN
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
http_access allow all
cache deny all
access_log none
cache_log %(dir)s/cache.log
pid_filename %(dir)s/squid.pid
coredump_dir %(dir)s
visible_hostname proxy.example.net
dns_nameservers %(dns)s
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
"""
HELPERS = ("/usr/lib/squid/security_file_certgen", "/usr/lib64/squid/security_file_certgen")


class Missing(Exception):
    """It can't run here; the text has the reason."""


class Squid:
    """On one machine, until the lab ends. kind: "intercept", for what is redirected to it, or "tproxy". Its
    certificates are by "Proxy Authority"."""

    def __init__(self, lab, machine, kind, port):
        helper = next((path for path in HELPERS if os.path.exists(path)), None)
        if not shutil.which("squid") or not helper or not shutil.which("openssl"):
            raise Missing("squid with TLS is missing: install squid-openssl and openssl")
        folder = os.path.join(lab.dir, "squid")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        tls.certificate(folder, "proxy", "Proxy Authority", authority=True)
        made = lab.run(machine, helper, "-c", "-s", os.path.join(folder, "certs"), "-M", "4MB", check=False)
        if made.returncode:
            raise Missing("its certificate helper fails: " + made.stderr.strip())
        lab.run(machine, "chmod", "-R", "a+rwX", folder)
        with open(os.path.join(folder, "squid.conf"), "w", encoding="ascii") as file:
            file.write(CONFIG % {"dir": folder, "helper": helper, "dns": DNS[4], "kind": kind, "port": port})
        process = lab.start(machine, "squid", "-N", "-f", os.path.join(folder, "squid.conf"))
        wait_for(lambda: process.poll() is not None or ":%d " % port in lab.run(machine, "ss", "-lnt").stdout,
                 "squid listens")
        if process.poll() is not None:
            with open(process.log, encoding="utf-8", errors="replace") as file:
                raise Missing("it does not start here: " + " ".join(file.read().split()[-30:]))
