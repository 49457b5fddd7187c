# SPDX-License-Identifier: GPL-2.0-or-later
dist_man_MANS += doc/check_spefw.8 doc/spefw.7 doc/spefwd.8 doc/spefwctl.8 doc/spefw.ini.5
exampledir = $(docdir)/examples
dist_example_DATA = doc/examples/bridge.ini doc/examples/debian-repository doc/examples/microsoft-365.ini \
	doc/examples/multi-server.ini \
	doc/examples/nat.ini doc/examples/notify-mail doc/examples/one-to-one-nat.ini doc/examples/proxy.ini \
	doc/examples/two-servers.ini
EXTRA_DIST += README.md NEWS CONTRIBUTING.md SECURITY.md doc/architecture.md doc/proof.md

# The keys in spefw.ini(5) come from the table of keys. The page is part of the tarball, and remade where the table
# is newer, not where only the program is: so a tarball can be built for another machine than this one.
noinst_PROGRAMS += doc/reference
doc_reference_SOURCES = doc/reference.c
doc_reference_LDADD = libcore.a
EXTRA_DIST += doc/spefw.ini.5.in
MAINTAINERCLEANFILES += doc/spefw.ini.5
doc/spefw.ini.5: doc/spefw.ini.5.in doc/reference.c daemon/core/config.h daemon/core/config_keys.c \
		daemon/core/config_types.c | doc/reference$(EXEEXT)
	$(AM_V_GEN)doc/reference$(EXEEXT) <$(srcdir)/doc/spefw.ini.5.in >$@.tmp && mv $@.tmp $@
