# SPDX-License-Identifier: GPL-2.0-or-later
# All but main, so that tests can run whole commands in their own process.
noinst_LIBRARIES += libctl.a
libctl_a_SOURCES = \
	cli/call.c \
	cli/client.c cli/client.h \
	cli/ctl.c cli/ctl.h \
	cli/export.h cli/export_document.c cli/export_html.c cli/export_markdown.c cli/export_page.c \
	cli/export_picture.c cli/export_warnings.c \
	cli/draft.c cli/draft.h \
	cli/help.c \
	cli/init.h cli/init_ask.c \
	cli/metrics.h \
	cli/output.h cli/output_json.c cli/output_text.c \
	cli/paragraph.c cli/screen.c cli/screen.h \
	cli/spefwd.c cli/spefwd.h \
	cli/table.c \
	cli/text_watch.c \
	cli/text_cut.c cli/text_details.c cli/text_names.c cli/text_status.c \
	cli/text_cures.c cli/text_diff.c cli/text_drops.c \
	cli/text_explain.c \
	cli/text_proof.c \
	cli/text_flows.c \
	cli/text_history.c \
	cli/text_usage.c \
	cli/verbs.c \
	cli/verbs_change.c \
	cli/verbs_diff.c \
	cli/verbs_doctor.c \
	cli/verbs_drops.c cli/verbs_drops.h \
	cli/verbs_edit.c \
	cli/verbs_explain.c \
	cli/verbs_export.c \
	cli/verbs_history.c \
	cli/verbs_init.c \
	cli/verbs_list.c \
	cli/verbs_metrics.c \
	cli/verbs_offline.c \
	cli/verbs_read.c \
	cli/verbs_usage.c cli/verbs_grants.c cli/text_grants.c \
	cli/verbs_watch.c \
	cli/wait.c cli/wait.h

bin_PROGRAMS += spefwctl
# What `export json` prints, for the programs that read it.
schemadir = $(pkgdatadir)
dist_schema_DATA = include/spefw/export.schema.json
spefwctl_SOURCES = cli/main.c include/spefw/protocol.h
spefwctl_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)

# For Nagios and its kin: it is run by its path there.
plugin_PROGRAMS += check_spefw
check_spefw_SOURCES = cli/check.c include/spefw/protocol.h
check_spefw_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
