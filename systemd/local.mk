# SPDX-License-Identifier: GPL-2.0-or-later
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = systemd/sysusers.d/spefw.conf
dist_systemdsystemunit_DATA = systemd/spefw-metrics.timer systemd/spefw-notify.path
nodist_systemdsystemunit_DATA = systemd/spefwd.service systemd/spefw-metrics.service systemd/spefw-notify.service
EXTRA_DIST += systemd/spefwd.service.in systemd/spefw-metrics.service.in systemd/spefw-notify.service.in
CLEANFILES += $(nodist_systemdsystemunit_DATA)

unit_paths = $(SED) -e 's|@bindir[@]|$(bindir)|g' -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g'
systemd/spefwd.service: systemd/spefwd.service.in
	@$(MKDIR_P) systemd
	$(AM_V_GEN)$(unit_paths) $(srcdir)/systemd/spefwd.service.in >$@.tmp && mv $@.tmp $@
systemd/spefw-metrics.service: systemd/spefw-metrics.service.in
	@$(MKDIR_P) systemd
	$(AM_V_GEN)$(unit_paths) $(srcdir)/systemd/spefw-metrics.service.in >$@.tmp && mv $@.tmp $@
systemd/spefw-notify.service: systemd/spefw-notify.service.in
	@$(MKDIR_P) systemd
	$(AM_V_GEN)$(unit_paths) $(srcdir)/systemd/spefw-notify.service.in >$@.tmp && mv $@.tmp $@
