# SPDX-License-Identifier: GPL-2.0-or-later
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = packaging/completion/_spefwctl
prometheusdir = $(pkgdatadir)/prometheus
dist_prometheus_DATA = packaging/prometheus/spefw.rules.yml
grafanadir = $(pkgdatadir)/grafana
dist_grafana_DATA = packaging/grafana/spefw-fleet.json packaging/grafana/spefw-gateway.json
EXTRA_DIST += packaging/prometheus/spefw.rules.test.yml packaging/ansible
EXTRA_DIST += packaging/build-deb packaging/build-rpm packaging/debian packaging/rpm packaging/dependencies.sh \
	packaging/quickstart packaging/release packaging/completion/spefwctl.bash packaging/completion/check \
	tests/system/packages tests/system/packages.d

# bash-completion looks for files with the name of the command.
install-data-local:
	$(MKDIR_P) $(DESTDIR)$(bashcompletiondir)
	$(INSTALL_DATA) $(srcdir)/packaging/completion/spefwctl.bash $(DESTDIR)$(bashcompletiondir)/spefwctl
uninstall-local:
	rm -f $(DESTDIR)$(bashcompletiondir)/spefwctl

# Verbs and options that the help lists are those that the completions offer.
TESTS += packaging/completion/check
