# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by tests/run, packaging/quickstart and tests/system/packages: finds out what is missing to build and to run
# the lab, and installs it. The libraries are those that configure.ac names, with their packages;
# this file adds tools alone.

# Lines "pkg-config condition|Debian package|RHEL package".
spefw_libraries() {
	sed -n -e '/^SPEFW_NEED(.*,$/ { N; s/,\n[[:space:]]*/, / }' \
		-e 's/^SPEFW_NEED(\[[A-Z_0-9]*\], \[\([^]]*\)\], \[\([^]]*\)\], \[\([^]]*\)\]).*/\1|\2|\3/p' \
		"$1/configure.ac" | sed 's/ (CRB)//'
	echo "cmocka >= 1.1|libcmocka-dev|libcmocka-devel"
	echo "libnftables >= 1.0|libnftables-dev|nftables-devel"
}

# Lines "program|Debian package|RHEL package": to build, and for the lab.
spefw_lab_tools() {
	cat <<-'END'
		gcc|gcc libc6-dev|gcc
		make|make|make
		autoreconf|autoconf|autoconf
		automake|automake|automake
		pkg-config|pkgconf|pkgconf-pkg-config
		python3|python3|python3
		ip|iproute2|iproute
		nft|nftables|nftables
		dnsmasq|dnsmasq-base|dnsmasq
	END
}

# Likewise, with what only the tests need. firewalld, fail2ban and ufw are for machines that are there for tests: on any
# other they would be one more firewall, and their tests count as skipped.
spefw_tools() {
	spefw_lab_tools
	cat <<-'END'
		unbound|unbound|unbound
		knotd|knot|knot
		iptables-nft|iptables|iptables-nft
		openssl|openssl|openssl
		conntrack|conntrack|conntrack-tools
		dbus-daemon|dbus-daemon|dbus-daemon
		squid|squid-openssl|squid
	END
	if [ -n "${CI:-}" ]; then
		echo "firewalld|firewalld|firewalld"
		echo "fail2ban-server|fail2ban|fail2ban-server"
		echo "ufw|ufw|ufw"
	fi
	command -v apt-get >/dev/null || return 0
	# RHEL and EPEL have none of these.
	cat <<-'END'
		mandoc|mandoc|
		promtool|prometheus|
		prometheus-node-exporter|prometheus-node-exporter|
		jsonschema|python3-jsonschema|
		ansible-playbook|ansible-core|
		ansible-lint|ansible-lint|
	END
}

# A second compiler, and what looks at sources: tests/static/run names the versions. What is not here is left out.
# Likewise, what looks at pages and documents that are made for others. The browser is 100 MB.
spefw_page_tools() {
	cat <<-'END'
		chromium-headless-shell|chromium-headless-shell|chromium-headless
		jsonschema|python3-jsonschema|python3-jsonschema
		tidy|tidy|tidy
	END
}

spefw_analysis_tools() {
	cat <<-'END'
		clang|clang|clang
		clang-format-14|clang-format-14|
		clang-tidy-14|clang-tidy-14|
		cppcheck|cppcheck|cppcheck
		shellcheck|shellcheck|ShellCheck
	END
}

# What makes a Debian to run tests in, which install all else there: for tests/clean-root.
spefw_root_tools() {
	echo "mmdebstrap|mmdebstrap|mmdebstrap"
}

# And what boots one as a container: for tests/system/packages alone.
spefw_container_tools() {
	spefw_root_tools
	echo "systemd-nspawn|systemd-container|systemd-container"
}

# What boots other kernels, likewise: for tests/kernels.
spefw_emulator_tools() {
	cat <<-'END'
		mmdebstrap|mmdebstrap|mmdebstrap
		qemu-system-x86_64|qemu-system-x86|qemu-kvm
		mke2fs|e2fsprogs|e2fsprogs
	END
}

spefw_has_sanitizers() {
	echo 'int main(void) { return 0; }' | gcc -fsanitize=address,undefined -x c -o /dev/null - 2>/dev/null
}

# spefw_missing_tools TOOLS: lines "what|Debian package|RHEL package" of what is missing.
spefw_missing_tools() {
	local what debian rhel
	while IFS='|' read -r what debian rhel; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$what" >/dev/null || echo "$what|$debian|$rhel"
	done < <("$1")
}

# spefw_missing TOP TOOLS: the same, and what is missing to build.
spefw_missing() {
	local what debian rhel
	spefw_missing_tools "$2"
	case $2 in spefw_root_tools | spefw_container_tools | spefw_emulator_tools) return 0 ;; esac
	while IFS='|' read -r what debian rhel; do
		pkg-config --exists "$what" 2>/dev/null || echo "$what|$debian|$rhel"
	done < <(spefw_libraries "$1")
	spefw_has_sanitizers || echo "sanitizers||libasan libubsan"
}

# spefw_without_services SUDO COMMAND...: installs programs, and starts none of them as a service: Debian would, now and
# at each boot.
spefw_without_services() (
	sudo=$1 policy=/usr/sbin/policy-rc.d
	shift
	if [ ! -e "$policy" ]; then
		trap '$sudo rm -f "$policy"' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy"
	fi
	DEBIAN_FRONTEND=noninteractive $sudo "$@" || exit
	for service in unbound knot squid prometheus prometheus-node-exporter firewalld fail2ban ufw; do
		case " $* " in *" $service"[\ -]*) $sudo systemctl --quiet disable "$service" 2>/dev/null ;; esac
	done
	true
)

# spefw_repositories SUDO: most -devel packages of RHEL and its kin are in CRB, some in EPEL; Fedora has them all.
spefw_repositories() (
	sudo=$1
	. /etc/os-release
	release=${VERSION_ID%%.*}
	case $ID in
	fedora) return ;;
	rhel) $sudo subscription-manager repos --enable "codeready-builder-for-rhel-$release-$(uname -m)-rpms" ;;
	*) $sudo dnf install -y dnf-plugins-core && $sudo dnf config-manager --set-enabled crb ;;
	esac
	# RHEL itself has no package that brings EPEL.
	rpm -q epel-release >/dev/null || $sudo dnf install -y epel-release ||
		$sudo dnf install -y "https://dl.fedoraproject.org/pub/epel/epel-release-latest-$release.noarch.rpm"
)

# spefw_dependencies TOP [TOOLS]: 0 when all is there (now). TOOLS: the function that lists tools,
# instead of spefw_tools.
spefw_dependencies() {
	local top=$1 tools=${2:-spefw_tools} missing sudo='' field
	local -a install packages
	PATH=$PATH:/usr/sbin:/sbin
	missing=$(spefw_missing "$top" "$tools")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		sudo=$(command -v sudo) || sudo=none
	fi
	if command -v apt-get >/dev/null; then
		field=2 install=(apt-get install -y --no-install-recommends)
	elif command -v dnf >/dev/null; then
		field=3 install=(dnf install -y)
	else
		echo "missing, and neither apt-get nor dnf is here to install it:"
		cut -d'|' -f1 <<<"$missing"
		return 1
	fi >&2
	mapfile -t packages < <(cut -d'|' -f"$field" <<<"$missing" | tr ' ' '\n' | grep .)
	install+=("${packages[@]}")
	if [ "$sudo" = none ]; then
		echo "missing: $(cut -d'|' -f1 <<<"$missing" | tr '\n' ' ')" >&2
		echo "as root: ${install[*]}" >&2
		return 1
	fi
	echo "installing: ${packages[*]}" >&2
	if [ "$field" -eq 2 ]; then
		$sudo apt-get update -q >&2 || echo "apt-get update failed: trying with the lists that are here" >&2
		spefw_without_services "$sudo" "${install[@]}" >&2
	else
		spefw_repositories "$sudo" >&2
		$sudo "${install[@]}" >&2
	fi
	missing=$(spefw_missing "$top" "$tools")
	[ -z "$missing" ] && return 0
	echo "still missing: $(cut -d'|' -f1 <<<"$missing" | tr '\n' ' ')" >&2
	return 1
}

# spefw_optional TOOLS: installs, as root, those of them that are missing and that this system has packages of.
spefw_optional() {
	local missing name
	local -a packages=()
	missing=$(spefw_missing_tools "$1")
	[ -n "$missing" ] && [ "$(id -u)" -eq 0 ] || return 0
	if command -v apt-get >/dev/null; then
		apt-get update -q >&2
		while IFS='|' read -r _ name _; do
			! apt-cache show "$name" >/dev/null 2>&1 || packages+=("$name")
		done <<<"$missing"
		[ ${#packages[@]} -eq 0 ] || spefw_without_services '' apt-get install -y --no-install-recommends \
			"${packages[@]}" >&2
	elif command -v dnf >/dev/null; then
		mapfile -t packages < <(cut -d'|' -f3 <<<"$missing" | grep .)
		[ ${#packages[@]} -eq 0 ] || dnf install -y --setopt=strict=0 "${packages[@]}" >&2
	fi
}

# spefw_copy TOP DIR: the sources, without products of earlier builds, so that TOP stays as it is.
spefw_copy() {
	mkdir -p "$2"
	if git -C "$1" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		(cd "$1" && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
			[ -e "$file" ] && printf '%s\0' "$file"
		done | tar -c --null -T - -f -) | tar -x -C "$2" -f -
	else
		tar -c -C "$1" --exclude=.git --exclude='*.o' --exclude='*.a' --exclude=.deps \
			--exclude=autom4te.cache --exclude=./build* \
			--exclude=./config.status --exclude=./Makefile --exclude=./config.h -f - . | tar -x -C "$2" -f -
	fi
}
