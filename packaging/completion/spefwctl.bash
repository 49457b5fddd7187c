# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of spefwctl in bash. Verbs and options are those that `spefwctl --help` lists:
# there is no second list to keep.

# The first words of the help's indented lines; or the options with which indented lines begin, as "-s, --socket PATH".
_spefwctl_verbs() {
	"$1" --help 2>/dev/null | sed -n '/^  [a-z]/s/^  \([a-z][a-z-]*\).*/\1/p'
}

_spefwctl_options() {
	"$1" --help 2>/dev/null | sed -nE 's/^ +((-[a-z]), )?(-[a-z]|--[a-z][a-z-]*).*/\2 \3/p'
}

_spefwctl() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before='' verb='' i words='' files=''
	[ "$COMP_CWORD" -eq 0 ] || before=${COMP_WORDS[COMP_CWORD - 1]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket | -c | --config) i=$((i + 1)) ;;
		-*) ;;
		*) verb=${COMP_WORDS[i]}; break ;;
		esac
	done
	COMPREPLY=()
	case $before in
	-s | --socket | -c | --config) files=yes ;;
	*)
		case $word in
		-*) words=$(_spefwctl_options "$program") ;;
		*)
			case $verb in
			'') words=$(_spefwctl_verbs "$program") ;;
			check | diff) files=yes ;;
			export) words='nft json netsh markdown' ;;
			clear) words=--yes ;;
			# At a terminal, the first words of the table's lines; what holds no dot is its head.
			refresh)
				words=$("$program" names 2>/dev/null | sed -n 's/^\([^ ]*[.][^ ]*\) .*/\1/p' | sort -u)
				;;
			esac
			;;
		esac
		;;
	esac
	if [ -n "$files" ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}

complete -F _spefwctl spefwctl
