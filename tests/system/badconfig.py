#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad configurations: what exactly is reported and of which line, and that none of them changes anything; and unwise
ones."""
import json
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, Daemon, Lab, VarlinkError, frozen, main, netlink, program, vendor  # noqa: E402
from lab.checks import with_all_and_none  # noqa: E402

# Seven lines: what a case adds to them begins in line 8.
GOOD = """[server]
address = 192.0.2.25 2001:db8:2::25
resolvers = 198.51.100.53

[role ADM]
members = 203.0.113.0/24

"""

MEMBERS = """192.0.2.40
# a remark
192.0.2.41/24
admin.example.net
foo bar
"""

# Title, the file, and each line of complaint. "9: ..." is line 9 of the file; @DIR@ the directory of the files.
CASES = [
    ("a folder to be run", GOOD + "[gateway]\nnotify = /etc\n", ["9: /etc is no file: write the path of a program"]),
    ("a program with an argument", GOOD + "[gateway]\nnotify = /bin/true arg\n",
     ["9: /bin/true arg: a program gets no arguments, nor is there a blank in its path: write /bin/true"]),
    ("an address as a name", GOOD + "[name 192.0.2.1]\n",
     ["8: 192.0.2.1 is an address: [name NAME] is for names of DNS"]),
    ("an empty file", "", ["section [server] is missing: write it with address = ADDRESS of the SPE server"]),
    ("no [server]", "[gateway]\nmode = audit\n",
     ["section [server] is missing: write it with address = ADDRESS of the SPE server"]),
    ("[server] without an address", "[server]\nresolvers = 192.0.2.53\n",
     ["1: section [server] has no address: write address = ADDRESS of the SPE server"]),
    ("an address key without a value", "[server]\naddress =\n",
     ["2: key address has no value: write one, such as address = 192.0.2.25"]),
    ("a misspelt section", GOOD + "[gatway]\nmode = audit\n", ["8: unknown section [gatway]: did you mean [gateway]?"]),
    ("a section of another program", GOOD + "[Unit]\nAfter = network.target\n",
     ["8: unknown section [Unit]: the sections are [server], [gateway], [dns], [name NAME], [role NAME] and "
      "[flow NAME]"]),
    ("a name's section given twice", GOOD + "[name a.example.net]\n[name A.example.NET.]\nfamily = ipv5\n",
     ["9: section [name a.example.net] was given in line 8 already: put its keys there",
      "10: unknown value ipv5 for family: did you mean ipv4?"]),
    ("a section without its name", GOOD + "[flow]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 445\n",
     ["8: section [flow] has no name: write [flow backup-in]"]),
    ("a section that takes no name", GOOD + "[dns cache]\n", ["8: section [dns cache] has a name: write [dns]"]),
    ("a section given twice", GOOD + "[gateway]\nmode = enforce\n[gateway]\nearly_drop = no\n",
     ["10: section [gateway] was given in line 8 already: put its keys there"]),
    ("a flow given twice", GOOD + "[flow api-in]\nenabled = no\n\n[flow api-in]\nport = 18474\n",
     ["11: section [flow api-in] was given in line 8 already: put its keys there"]),
    ("a role in small letters", GOOD + "[role admins]\nmembers = 192.0.2.7\n",
     ["8: admins is not the name of a role: write a capital letter, then capital letters, digits and _, such as ADM"]),
    ("a flow in capital letters", GOOD + "[flow Backup]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 445\n",
     ["8: Backup is not the name of a flow: write a small letter, then small letters, digits and -, "
      "such as backup-in"]),
    ("a name of 41 characters", GOOD + "[flow a2345678901234567890123456789012345678901]\nfrom = 192.0.2.77\n"
     "to = SERVER\nprotocol = tcp\nport = 445\n", ["8: flow name of 41 characters: it has up to 40"]),
    ("ANY defined", GOOD + "[role ANY]\nmembers = 192.0.2.7\n",
     ["8: role ANY can't be defined: it is every computer, choose another name"]),
    ("SERVER defined as a role", GOOD + "[role SERVER]\nmembers = 192.0.2.7\n",
     ["8: role SERVER can't be defined: its addresses are the key address in [server]"]),
    ("a misspelt key", "[server]\nadress = 192.0.2.25\n",
     ["1: section [server] has no address: write address = ADDRESS of the SPE server",
      "2: unknown key adress in [server]: did you mean address?"]),
    ("a key of another section", GOOD + "[gateway]\ngrace = 1h\n",
     ["9: unknown key grace in [gateway]: it belongs in [dns]"]),
    ("a key that nobody knows", GOOD + "[gateway]\ncolour = green\n",
     ["9: unknown key colour in [gateway]: its keys are preset, mode, interception, early_drop, "
      "record, proof, log_group, nat_except, reject and notify"]),
    ("a key given twice", GOOD + "[gateway]\nmode = audit\nmode = enforce\n",
     ["10: key mode was given in line 9 already: leave one of the two"]),
    ("a list given twice", "[server]\naddress = 192.0.2.25\naddress = 192.0.2.26\n",
     ["3: key address was given in line 2 already: a list goes on in indented lines"]),
    ("a key ahead of every section", "mode = audit\n[server]\naddress = 192.0.2.25 2001:db8:2::25\n"
     "resolvers = 198.51.100.53\n\n[role ADM]\nmembers = 203.0.113.0/24\n\n",
     ["1: key mode stands ahead of every section: write [gateway] above it"]),
    ("a role that is not there", GOOD + "[gateway]\nreject = ADM ADN\n",
     ["9: unknown role ADN: did you mean ADM?"]),
    ("answers for everybody", GOOD + "[gateway]\nreject = CA ANY\n",
     ["9: ANY is every address: reject takes roles with members of their own, such as ADM",
      "9: role CA is ANY: reject takes roles with members of their own, such as ADM"]),
    ("a misspelt value", GOOD + "[gateway]\nmode = enforced\n",
     ["9: unknown value enforced for mode: did you mean enforce?"]),
    ("true for yes", GOOD + "[gateway]\nearly_drop = true\n",
     ["9: unknown value true for early_drop: write no or yes"]),
    ("a value that is far from any", GOOD + "[gateway]\ninterception = maybe\n",
     ["9: unknown value maybe for interception: write prevent, block, report or off"]),
    ("a line that is neither section nor key", GOOD + "[gateway]\nmode audit\n",
     ["9: mode audit is neither [section] nor key = value: a list goes on in indented lines"]),
    ("a colon for an equals sign", GOOD + "[gateway]\nmode: audit\n", ["9: : stands behind mode: write mode = VALUE"]),
    ("a section without its bracket", GOOD + "[gateway\nmode = audit\n",
     ["8: section [gateway has no closing bracket: write [gateway]"]),
    ("a line over the limit",
     GOOD + "[flow smtp-out]\nto = %s\n" % " ".join("198.51.100.%d" % last for last in range(100, 116)),
     ["9: line of 244 bytes: it has up to 199, a list goes on in indented lines"]),
    ("a value that is no list goes on", GOOD + "[gateway]\nmode = audit\n  enforce\n",
     ["10: key mode is not a list: it can't go on in an indented line"]),
    ("a comment without its space", GOOD + "[flow api-in]\nenabled = no;for now\n",
     ["9: ; stands in the value of enabled: put a space ahead of a comment"]),
    ("# behind a value", GOOD + "[flow api-in]\nenabled = no # for now\n",
     ["9: # begins no comment behind the value of enabled: write ; for it"]),
    ("a comment with a tab",
     GOOD + "[flow api-in]\ncomment = for\tnow\n",
     ["9: comment holds byte 0x09, which is no printable character: write plain text in UTF-8"]),
    ("a comment with a control character of UTF-8",
     GOOD + "[flow api-in]\ncomment = \u009b31m\n",
     ["9: comment holds byte 0xc2, which is no printable character: write plain text in UTF-8"]),
    ("a long comment",
     GOOD + "[flow api-in]\ncomment = %s\n" % ("x" * 161),
     ["9: comment of 161 bytes: it has up to 160"]),
    ("host bits in a prefix",
     GOOD + "[role IH]\nmembers = 192.0.2.31/24\n",
     ["9: 192.0.2.31/24 has host bits set: write 192.0.2.0/24"]),
    ("host bits in an IPv6 prefix", GOOD + "[role IH]\nmembers = 2001:db8:7::1/64\n",
     ["9: 2001:db8:7::1/64 has host bits set: write 2001:db8:7::/64"]),
    ("a prefix that is too long", GOOD + "[role IH]\nmembers = 192.0.2.0/33\n",
     ["9: 192.0.2.0/33 has no valid prefix length: it is a number from 0 to 32"]),
    ("a reversed range", GOOD + "[role IH]\nmembers = 192.0.2.9-192.0.2.3\n",
     ["9: range 192.0.2.9-192.0.2.3 is reversed: write 192.0.2.3-192.0.2.9"]),
    ("a range over two families", GOOD + "[role IH]\nmembers = 192.0.2.9-2001:db8::3\n",
     ["9: range 192.0.2.9-2001:db8::3 has ends of two families: write one range for each"]),
    ("an address out of bounds", GOOD + "[role IH]\nmembers = 192.0.2.256\n",
     ["9: 192.0.2.256 is not an address: an IPv4 address is four numbers from 0 to 255, such as 192.0.2.25"]),
    ("an address with a zone", GOOD + "[role IH]\nmembers = fe80::1%eth0\n",
     ["9: fe80::1%eth0 is not an address: write it without its zone"]),
    ("an address with a leading zero", GOOD + "[role IH]\nmembers = 192.0.2.010\n",
     ["9: 192.0.2.010 is not an address: an IPv4 address is four numbers from 0 to 255, such as 192.0.2.25"]),
    ("IPv4 in IPv6 form", GOOD + "[role IH]\nmembers = ::ffff:192.0.2.9\n",
     ["9: ::ffff:192.0.2.9 is IPv4 in IPv6 form: write 192.0.2.9"]),
    ("a name for the server's address", "[server]\naddress = archive.example.net\n",
     ["2: archive.example.net is a name: address takes addresses, prefixes, ranges, file:PATH"]),
    ("a role for the server's address", "[server]\naddress = ADM\n",
     ["2: ADM is a role: address takes addresses, prefixes, ranges, file:PATH"]),
    ("a name as resolver", GOOD.replace("198.51.100.53", "dns.example.net"),
     ["3: dns.example.net is a name: resolvers takes addresses alone"]),
    ("a prefix as resolver", GOOD.replace("198.51.100.53", "198.51.100.0/24"),
     ["3: 198.51.100.0/24 is more than one address: resolvers takes addresses alone"]),
    ("a name without a dot", GOOD + "[flow ews-out]\nto = exchange\n",
     ["9: exchange is neither an address, a name nor a role: a name holds a dot, a role is in capitals"]),
    ("a name with an empty part", GOOD + "[flow ews-out]\nto = mail..example.net\n",
     ["9: name mail..example.net has an empty part: write one dot between its parts"]),
    ("a label that is too long", GOOD + "[flow ews-out]\nto = %s.example.net\n" % ("a" * 64),
     ["9: name " + "a" * 64 + ".example.net has a part of 64 characters: they have up to 63"]),
    ("an international name in its own letters", GOOD + "[flow ews-out]\nto = b\xfccher.example.net\n",
     ["9: name b\xfccher.example.net holds letters beyond ASCII: write it in its xn-- form"]),
    ("a pattern as a member", GOOD + "[role IH]\nmembers = *.example.net\n",
     ["9: *.example.net holds a star: only the target of a flow (to) may, write single names"]),
    ("a URL", GOOD + "[flow ews-out]\nto = https://outlook.example.com/\n",
     ["9: name https://outlook.example.com/ holds ':': write the host name alone, a port goes into the key port"]),
    ("port 0", GOOD + "[flow api-in]\nport = 0\n", ["9: port 0 is out of bounds: write 1 to 65535"]),
    ("a port over the limit", GOOD + "[flow api-in]\nport = 65536\n",
     ["9: port 65536 is out of bounds: write 1 to 65535"]),
    ("a reversed range of ports", GOOD + "[flow api-in]\nport = 9000-8000\n",
     ["9: port range 9000-8000 is reversed: write 8000-9000"]),
    ("a range of ports without an end", GOOD + "[flow api-in]\nport = 8000-\n",
     ["9: port range 8000- lacks an end: write FIRST-LAST without spaces"]),
    ("a port by its service's name", GOOD + "[flow https-in]\nport = https\n",
     ["9: https is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100"]),
    ("a port for ICMP echo", GOOD + "[flow ping]\nport = 7\n",
     ["9: flow ping has no ports: icmp-echo knows none, take port out"]),
    ("an unknown protocol", GOOD + "[flow backup-in]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = sctp\nport = 445\n",
     ["11: unknown value sctp for protocol: did you mean tcp?"]),
    ("a custom flow that lacks its protocol", GOOD + "[flow backup-in]\nfrom = 192.0.2.77\nto = SERVER\nport = 445\n",
     ["8: custom flow backup-in has no protocol: it needs from, to, protocol and port"]),
    ("a built-in flow nearly right", GOOD + "[flow license-ot]\nenabled = no\n",
     ["8: flow license-ot is not built in and has no from: did you mean license-out?"]),
    ("an unknown role", GOOD + "[flow api-in]\nfrom = ADN\n", ["9: unknown role ADN: did you mean ADM?"]),
    ("a role that is nowhere near", GOOD + "[flow api-in]\nfrom = CAS\n", ["9: unknown role CAS: did you mean CA?"]),
    ("a role that holds itself", GOOD + "[role A]\nmembers = B\n\n[role B]\nmembers = A\n",
     ["12: role A is a member of itself: take it out here"]),
    ("an address in two protected roles", GOOD + "[role IH]\nmembers = 192.0.2.25\nprotected = yes\n",
     ["9: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one"]),
    ("a protected role with a name", GOOD + "[role IH]\nmembers = ih.example.net\nprotected = yes\n",
     ["9: ih.example.net in protected role IH: a protected role has addresses alone, no names"]),
    ("a protected role without members", GOOD + "[role IH]\nprotected = yes\n",
     ["8: protected role IH has no members: write members = ADDRESS, or take protected out"]),
    ("a protected role that is ANY", GOOD + "[role IH]\nmembers = any\nprotected = yes\n",
     ["8: protected role IH can't be ANY: name the addresses to guard"]),
    ("the gateway's own address as the server's", GOOD.replace("2001:db8:2::25", "192.0.2.1"),
     ["2: 192.0.2.1 is this gateway's own address: guarding it would lock the gateway: name the server's alone"]),
    ("a network that holds the gateway", GOOD.replace("2001:db8:2::25", "192.0.2.0-192.0.2.7"),
     ["2: 192.0.2.1 is this gateway's own address: guarding it would lock the gateway: name the server's alone"]),
    ("a duration without its unit", GOOD + "[dns]\ngrace = 30\n",
     ["9: grace = 30 has no unit: write 30s, or m, h or d for s"]),
    ("a duration in words", GOOD + "[dns]\ngrace = 1 hour\n",
     ["9: grace = 1 hour is not a duration: write a number and s, m, h or d, such as 30s"]),
    ("a duration out of bounds", GOOD + "[dns]\nstale = 400d\n",
     ["9: stale = 400d is out of bounds: write 1s to 365d"]),
    ("limits that cross", GOOD + "[dns]\nmin_interval = 1h\nmax_interval = 1m\n",
     ["10: min_interval 1h is over max_interval 1m: write a max_interval that is no less"]),
    ("a DNS server by name", GOOD + "[dns]\nservers = dns.example.net\n",
     ["9: dns.example.net is not the address of a DNS server: write addresses such as 192.0.2.53 or 192.0.2.53#5353, "
      "or system"]),
    ("a DNS server's port out of bounds", GOOD + "[dns]\nservers = 192.0.2.53#70000\n",
     ["9: port 70000 is out of bounds: write 1 to 65535"]),
    ("system beside others", GOOD + "[dns]\nservers = 192.0.2.53 system\n",
     ["9: servers holds system beside others: write it alone"]),
    ("an interface's name that is too long", GOOD.replace("\n\n[role", "\ninterface = averyverylonglinkname\n\n[role"),
     ["4: interface name averyverylonglinkname has 21 characters: it has up to 15"]),
    ("auto beside others", GOOD.replace("\n\n[role", "\ninterface = eth0 auto\n\n[role"),
     ["4: interface holds auto or any beside others: write it alone"]),
    ("a log group out of bounds", GOOD + "[gateway]\nlog_group = 65536\n",
     ["9: log_group = 65536 is not a number from 0 to 65535: write one"]),
    ("a file that is not there", GOOD + "[role IH]\nmembers = file:@DIR@/missing.txt\n",
     ["9: file @DIR@/missing.txt is missing: check its path, or put it back"]),
    ("a relative file", GOOD + "[role IH]\nmembers = file:admins.txt\n",
     ["9: file @DIR@/admins.txt is missing: check its path, or put it back"]),
    ("a bad line in a file of members", GOOD + "[role IH]\nmembers = file:@DIR@/members.txt\n",
     ["@DIR@/members.txt:3: 192.0.2.41/24 has host bits set: write 192.0.2.0/24",
      "@DIR@/members.txt:5: more than one member in a line: write one a line"]),
    ("a binary file", b'[server]\naddress = 192.0.2.25\x00\n',
     ["2: byte 0x00: this is a binary file, write plain text"]),
    ("broken UTF-8", b'[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 198.51.100.53\n\n[role ADM]\n'
     b'members = 203.0.113.0/24\n\n[flow ews-out]\nto = mail\xff.example.net\n',
     ["9: name mail?.example.net holds letters beyond ASCII: write it in its xn-- form"]),
    ("UTF-16", b'\xff\xfe[\x00s\x00e\x00r\x00v\x00e\x00r\x00]\x00\n'
     b'\x00a\x00d\x00d\x00r\x00e\x00s\x00s\x00 \x00=\x00 \x001\x009\x002\x00.\x000\x00.\x002\x00.\x002\x005\x00\n\x00',
     ["1: this is UTF-16: save it as UTF-8"]),
    ("several at once", "[server]\naddress = 192.0.2.25/24 192.0.2.300\nresolver = 192.0.2.53\n\n[gatway]\n"
     "mode = audit\n\n[flow api-in]\nport = 99999\nenabled = ja\nport = 1\n",
     ["2: 192.0.2.25/24 has host bits set: write 192.0.2.0/24",
      "2: 192.0.2.300 is not an address: an IPv4 address is four numbers from 0 to 255, such as 192.0.2.25",
      "3: unknown key resolver in [server]: did you mean resolvers?",
      "5: unknown section [gatway]: did you mean [gateway]?", "9: port 99999 is out of bounds: write 1 to 65535",
      "10: unknown value ja for enabled: write no or yes",
      "11: key port was given in line 9 already: a list goes on in indented lines"]),]


def refused(daemon):
    """The errors of a reload that must fail; None where it did not."""
    try:
        daemon.reload()
    except VarlinkError as error:
        return error.parameters["errors"] if error.error == "org.spefw.Gateway.ConfigInvalid" else [error.error]
    return None


def each_is_told_and_changes_nothing(tap):
    """Message and line, from --check and from reload; the running policy stays."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        path = os.path.join(daemon.dir, "bad.ini")
        with open(os.path.join(daemon.dir, "members.txt"), "w", encoding="ascii") as file:
            file.write(MEMBERS)
        before, generation = frozen(daemon.table(handles=True), handles=True), daemon.status()["generation"]
        for title, text, complaints in CASES:
            data = (text.encode() if isinstance(text, str) else text).replace(b"@DIR@", daemon.dir.encode())
            for name in (path, daemon.config):
                with open(name, "wb") as file:
                    file.write(data)

            def expected(name):
                return [complaint.replace("@DIR@", daemon.dir) if complaint.startswith("@DIR@")
                        else "%s:%s%s" % (name, "" if complaint[0].isdigit() else " ",
                                          complaint.replace("@DIR@", daemon.dir)) for complaint in complaints]
            done = daemon.run("spefwd", "--check", "-c", path)
            tap.equal((done.returncode, done.stderr.rstrip("\n").split("\n")), (1, expected(path)),
                      title + ": shown by --check")
            errors = refused(daemon)
            tap.equal(errors, [line for line in expected(daemon.config) if " warning: " not in line],
                      title + ": shown by reload")
            same = frozen(daemon.table(handles=True), handles=True) == before
            status = daemon.status()
            tap.equal((same, status["generation"], status["config"]["matches_disk"]), (True, generation, False),
                      title + ": nothing changed")


def by_spefwctl(tap):
    """spefwctl reload and check: the errors on standard error, exit 1."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        title, text, complaints = CASES[-1]
        daemon.write(text)
        for words in (["reload"], ["check", daemon.config]):
            done = daemon.ctl(*words, check=False)
            missing = [complaint for complaint in complaints if "%s:%s" % (daemon.config, complaint) not in done.stderr]
            tap.equal((done.returncode, missing), (1, []),
                      "spefwctl %s: every error of the file, not the first alone" % words[0])
        missing = os.path.join(daemon.dir, "missing.ini")
        for done in (daemon.run("spefwd", "--check", "-c", missing), daemon.ctl("check", missing, check=False)):
            tap.ok(done.returncode == 1 and missing + ": missing" in done.stderr,
                   "a file that is not there", done.stderr)
        daemon.write(GOOD + "[gateway]\nnotify = /nonexistent\n")
        for done in (daemon.run("spefwd", "--check", "-c", daemon.config), daemon.ctl("check", daemon.config)):
            tap.ok(done.returncode == 0 and "%s:9: warning: /nonexistent is missing: changes of health" % daemon.config
                   in done.stderr + done.stdout, "a program that is not there", done)
        done = daemon.run("spefwd", "--check", "-c", daemon.dir)
        tap.ok(done.returncode == 1 and daemon.dir in done.stderr, "a directory", done.stderr)


def good_ones(tap):
    """What looks odd and is right."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        with open(os.path.join(daemon.dir, "members.txt"), "w", encoding="ascii") as file:
            file.write("# the administrators\r\n203.0.113.7\r\n\r\n  2001:db8:3::/64   # the other family\r\n"
                       "admin.example.net\n")
        for title, text in (
                ("a byte order mark", "\ufeff" + GOOD),
                ("line ends of Windows", GOOD.replace("\n", "\r\n")),
                ("no line end at the end", GOOD.rstrip("\n")),
                ("remarks", "; one\n# two\n" + GOOD.replace("192.0.2.25 ", "192.0.2.25 ; three\n  ; four\n  ")
                 + "[flow api-in]\nenabled = no ; five\n"),
                ("a list in indented lines",
                 GOOD.replace("203.0.113.0/24", "203.0.113.0/24,\n  2001:db8:3::/64\n\t203.0.113.9-203.0.113.12")),
                ("members in a file", GOOD.replace("203.0.113.0/24", "file:%s/members.txt" % daemon.dir)),
                ("a whole network behind one role",
                 GOOD + "[role IH]\nmembers = 192.0.2.128/25 2001:db8:2:1::/64\nprotected = yes\n"),
                ("multi-server mode by roles", GOOD.replace("[role ADM]", "[gateway]\npreset = none\n\n[role ADM]")
                 + "[role CAS]\nmembers = 192.0.2.30\nprotected = yes\n\n[flow cas-in]\nfrom = ANY\nto = CAS\n"
                 "protocol = tcp\nport = 443, 993\n")):
            data = text.encode()
            with open(daemon.config, "wb") as file:
                file.write(data)
            done = daemon.run("spefwd", "--check", "-c", daemon.config)
            tap.ok(done.returncode == 0, title + ": taken", done.stderr)
            tap.equal(refused(daemon), None, title + ": in force")


# Seven of the kinds that there are, with the line of each in what is added to GOOD.
UNWISE = """[role ADMN]
members = 203.0.113.128/25
[flow api-in]
port = 18474
[flow web-in]
from = ANY
to = SERVER
protocol = tcp
port = 443
[flow console-in]
from = any
[flow icewarp-out]
enabled = no
[flow ews-out]
to = graph.microsoft.com
[name my.mailstor.com]
family = ipv4
[flow more-in]
from = ANY
to = SERVER
protocol = tcp
port = 18474
"""
WARNINGS = [
    "8: warning: no flow uses the role ADMN: write it in the from or to of a flow, or did you mean ADM?",
    "11: warning: flow api-in is not at 8474/tcp: the vendor's command-line client knows no other port: "
    "write port = 8474",
    "12: warning: flow web-in opens nothing that flow https-in does not: narrow or disable https-in as well",
    "18: warning: flow console-in is open to ANY: the vendor says ADM alone: write from = ADM",
    "22: warning: graph.microsoft.com needs login.microsoftonline.com to sign in, which no flow opens at 443/tcp: "
    "write login.microsoftonline.com in the to of flow ews-out",
    "23: warning: no enabled flow uses the name my.mailstor.com, its section has no effect: "
    "did you mean my.mailstore.com?",
    "25: warning: flow more-in opens port 18474 of api-in to ANY: the vendor says ADM alone: take the port out, "
    "or write from = ADM"]


def unwise_ones(tap):
    """Warnings: by check, with a reload and at the start; none of them stops anything."""
    with Lab(tap) as lab:
        daemon = Daemon(lab, GOOD + UNWISE)
        shadowed = ("10: warning: flow api-in opens nothing that flow more-in does not: "
                    "narrow or disable more-in as well")
        expected = ["%s:%s" % (daemon.config, line)
                    for line in sorted(WARNINGS + [shadowed], key=lambda line: int(line.split(":")[0]))]
        done = daemon.run("spefwd", "--check", "-c", daemon.config)
        tap.equal((done.returncode, done.stderr.rstrip("\n").split("\n")), (0, expected), "--check")
        done = daemon.ctl("check", daemon.config, check=False)
        tap.equal((done.returncode, done.stderr.rstrip("\n").split("\n")), (0, expected), "spefwctl check")
        tap.ok("%d warnings" % len(expected) in done.stdout, "which counts them", done.stdout)
        daemon.start()
        missing = [line for line in expected if line not in daemon.log()]
        tap.equal(missing, [], "logged at the start")
        daemon.write(GOOD)
        tap.equal(daemon.reload()["warnings"], [], "a reload without")
        daemon.write(GOOD + UNWISE)
        tap.equal(daemon.reload()["warnings"], expected, "a reload with them is taken")


def copies(tap):
    """A relative file: begins where the INI file is, so a copy elsewhere has the files beside it."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        other = os.path.join(daemon.dir, "copy")
        os.mkdir(other)
        copy = os.path.join(other, "spefw.ini")
        lists = [os.path.join(where, "admins.txt") for where in (daemon.dir, other)]

        def write(path, text):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)

        def check(path):
            done = daemon.ctl("check", path, check=False)
            return done.returncode, done.stderr
        text = GOOD.replace("203.0.113.0/24", "file:admins.txt")
        for path in (daemon.config, copy):
            write(path, text)
        write(lists[0], "203.0.113.7\n")
        tap.equal(check(daemon.config), (0, ""), "the original")
        tap.equal(check(copy), (1, "%s:6: file %s is missing: check its path, or put it back\n" % (copy, lists[1])),
                  "a copy without the file beside it")
        write(lists[1], "203.0.113.9/24\n")
        tap.equal(check(copy), (1, "%s:1: 203.0.113.9/24 has host bits set: write 203.0.113.0/24\n" % lists[1]),
                  "a copy with another file beside it: that one is judged")
        tap.equal(check(daemon.config), (0, ""), "and the original as before")
        for path in ("spefw.ini", "./spefw.ini", "../copy/spefw.ini"):
            done = lab.run("gateway", "env", "-C", other, program("spefwctl"), "check", path, check=False)
            file = os.path.join(os.path.dirname(path), "admins.txt")
            tap.equal((done.returncode, done.stderr),
                      (1, "%s:1: 203.0.113.9/24 has host bits set: write 203.0.113.0/24\n" % file),
                      "as the path is given: %s" % path)
        write(lists[1], "203.0.113.9\n")
        daemon.reload()
        roles = {role["name"]: role["members"] for role in daemon.call("Flows")["roles"]}
        tap.equal(roles["ADM"], ["203.0.113.7"], "what is in force is the file beside the configuration in force")


def rename_chain(name):
    """In our table, by netlink: nft takes no such names."""
    def message(kind, flags, family, resource, *payload):
        body = struct.pack(">BBH", family, 0, resource) + b"".join(payload)
        return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        sock.send(message(16, 1, 0, netlink.NFNL_SUBSYS_NFTABLES)
                  + message(netlink.NFNL_SUBSYS_NFTABLES << 8 | netlink.NEWCHAIN, 0x401, netlink.NFPROTO_INET, 0,
                            netlink.attribute(1, "spefw"), netlink.attribute(3, name + b"\0"))
                  + message(17, 1, 0, netlink.NFNL_SUBSYS_NFTABLES))


def no_utf8(tap):
    """Bytes that are no UTF-8, wherever something comes from outside: what is wrong is shown all the same,
    and nothing fails."""
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        # Each path that the daemon is given, and one that the configuration names.
        daemon = Daemon(lab, lab.config(), name="d\udcfc\udcff")
        members = os.path.join(daemon.dir, "m\udce4.txt")
        with open(members, "w", encoding="ascii") as file:
            file.write("203.0.113.7\n")
        good = lab.config().replace("[gateway]", "[role MORE]\nmembers = file:%s\n[flow more-in]\nfrom = MORE\n"
                                    "to = SERVER\nprotocol = tcp\nport = 5000\n\n[gateway]" % members, 1)

        def write(text):
            with open(daemon.config, "wb") as file:
                file.write(os.fsencode(text))
        write(good)
        daemon.start()
        status = daemon.wait_status(lambda now: now["health"] == "ok", "healthy")
        tap.ok(status["config"]["path"].endswith("/d??/spefw.ini"), "paths: status is a reply, the bytes are ?",
               status["config"])
        roles = {role["name"]: role["members"] for role in daemon.call("Flows")["roles"]}
        tap.equal(roles.get("MORE"), ["203.0.113.7"], "a file that is named so is read")
        done = daemon.ctl("status", check=False)
        tap.equal((done.returncode, done.stderr), (0, ""), "spefwctl status")
        # A name of an interface, which the kernel takes to be any bytes.
        write(good.replace("[role MORE]", "\n[role MORE]").replace("interface = auto", "").replace(
            "[server]", "[server]\ninterface = lan l\udce4n", 1))
        daemon.reload()
        status = daemon.status()
        tap.ok(any("l?n" in text for text in daemon.reasons(status, "interface-missing")),
               "a misspelt interface is reported", status["reasons"])
        # What is refused, quoted; and what changed.
        write(good + "[flow \udcff]\nport = \udcfe\n")
        try:
            daemon.reload()
            tap.ok(False, "refused")
        except VarlinkError as error:
            tap.ok(error.error.endswith("ConfigInvalid") and any("?" in one for one in error.parameters["errors"]),
                   "refused: each error is shown", error)
        tap.ok("config-refused" in daemon.reason_codes(),
               "that it was refused is reported, with its path", daemon.reasons())
        done = daemon.ctl("doctor", "-c", daemon.config, "--json", check=False)
        tap.ok(done.stderr == "" and any(one["check"] == "config" for one in json.loads(done.stdout)["findings"]),
               "doctor shows it", (done.stdout, done.stderr))
        write(good)
        daemon.reload()
        # What another program names so. Where the table is owned, it can't.
        with lab.inside("gateway"):
            rename_chain(b"evil\xff\x1b[2J")
        if daemon.status()["ownership"] == "monitor":
            status = daemon.wait_status(lambda now: now["guards"]["repaired"], "repaired")
            tap.ok("chain added or changed evil??[2J" in status["guards"].get("last_repair", ""), "a chain's name",
                   status["guards"])
        tap.ok("\x1b" not in daemon.log() and "\ufffd" not in daemon.log(), "nor is there any of it in the log")
        daemon.stop()
        done = daemon.ctl("doctor", "-c", daemon.config, "--json", check=False)
        tap.ok(any(one["check"] == "spefwd" and one["evidence"].endswith("/d??/control.sock")
                   for one in json.loads(done.stdout)["findings"]),
               "doctor without a daemon, by that path", done.stdout)
        done = daemon.ctl("status", "--json", check=False)
        tap.ok(done.returncode == 3 and json.loads(done.stdout)["reasons"], "status without a daemon",
               (done.returncode, done.stdout, done.stderr))


if __name__ == "__main__":
    main(each_is_told_and_changes_nothing, by_spefwctl, good_ones, unwise_ones, copies, *with_all_and_none(no_utf8))
