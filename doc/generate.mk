# SPDX-License-Identifier: GPL-2.0-or-later
# Pages with parts that the programs' tables make. The tarball has them, so that who builds from it need not run this.
noinst_PROGRAMS += doc/generate_cli
doc_generate_cli_SOURCES = doc/generate_cli.c
doc_generate_cli_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cli
doc_generate_cli_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += doc/spefwctl.8.in doc/spefwd.8.in
MAINTAINERCLEANFILES += doc/spefwctl.8 doc/spefwd.8

doc/spefwctl.8: doc/spefwctl.8.in doc/generate_cli.c cli/verbs.c cli/verbs_metrics.c | doc/generate_cli$(EXEEXT)
	$(AM_V_GEN)doc/generate_cli$(EXEEXT) <$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
doc/spefwd.8: doc/spefwd.8.in doc/generate_cli.c daemon/core/health.h | doc/generate_cli$(EXEEXT)
	$(AM_V_GEN)doc/generate_cli$(EXEEXT) <$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
