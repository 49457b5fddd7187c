# SPDX-License-Identifier: GPL-2.0-or-later
# System tests: programs in network namespaces. They are no part of `make check`, which must work everywhere.
system_tests = delta revocation revoked forged layout lock lockout stopping observe docs first ownership matrix names \
	dns_cases dns_lies rotation names_boot transit nat badconfig reload life cli interception spoof expect flood \
	beside odd_packets doctor resolver vrf flowtable source_routes bridge
system_test_files = $(system_tests:%=tests/system/%.py)
EXTRA_DIST += tests/system/hardening.py tests/system/fdstore.py tests/system/kills.py tests/system/faults.py \
	tests/system/faultlib.c
EXTRA_DIST += tests/kernels/run tests/kernels/images.py tests/kernels/guest/agent.py tests/kernels/guest/common.py \
	tests/kernels/guest/machine_life.py tests/kernels/guest/network.py tests/kernels/guest/witness.py
EXTRA_DIST += tests/run tests/mutation/run tests/clean-root .ci/run packaging/dependencies.sh packaging/quickstart \
	$(lab_files) $(system_test_files)
lab_files = tests/lab/__init__.py tests/lab/checks.py tests/lab/manager.py tests/lab/netlink.py tests/lab/sessions.py \
	tests/lab/daemon.py tests/lab/dns.py tests/lab/dns_servers.py tests/lab/named.py tests/lab/namespaces.py \
	tests/lab/nflog.py tests/lab/packets.py tests/lab/proxy.py tests/lab/quickstart.py tests/lab/resolver.py \
	tests/lab/services.py tests/lab/streams.py tests/lab/tap.py tests/lab/tls.py tests/lab/topology.py \
	tests/lab/varlink.py tests/lab/vendor.py

.PHONY: check-system
check-system: spefwd spefwctl spefw-resolver tests/system/resolver_hook
	@status=0; for test in $(system_test_files); do \
		echo "== $$test"; SPEFW_BUILD=$(abs_top_builddir) $(PYTHON3) $(srcdir)/$$test || status=1; done; exit $$status
PYTHON3 = python3
