# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of spefwctl in bash, by `spefwctl --help` and `spefwctl VERB --help`: there is no second list to keep.

# The first words of the help's indented lines.
_spefwctl_verbs() {
	"$1" --help 2>/dev/null | sed -nE 's/^  ([a-z][a-z-]*).*/\1/p'
}

# PROGRAM [VERB]: a line an option, as "-s --socket PATH" or "--json".
_spefwctl_options() {
	"$@" --help 2>/dev/null | sed -nE 's/^ {2,6}((-[a-z]), )?(--[a-z][a-z-]*)( ([A-Z]+))?(  .*)?$/\2 \3 \5/p'
}

_spefwctl() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} verb='' kind='' words='' usage options i
	options=$(_spefwctl_options "$program")
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*)
			# What follows an option may be its argument, of the kind that its name shows.
			kind=$(sed -nE "s/^(.* )?${COMP_WORDS[i]//[^a-z-]/.} (.* )?([A-Z]+)\$/\3/p" <<<" $options")
			[ -z "$kind" ] || i=$((i + 1))
			;;
		*) [ -n "$verb" ] || verb=${COMP_WORDS[i]} ;;
		esac
	done
	if [ "$i" -eq "$COMP_CWORD" ]; then
		kind=
		case $word,$verb in
		-*,?*) words=$(_spefwctl_options "$program" "$verb" | sed 's/[A-Z]*$//') ;;
		-*) words=$(printf '%s\n' "$options" | sed 's/[A-Z]*$//') ;;
		*,) words=$(_spefwctl_verbs "$program") ;;
		*)
			# Options that it can't do without, or its arguments.
			usage=$("$program" "$verb" --help 2>/dev/null | sed -n 1p)
			words=$(grep -oE ' --[a-z][a-z-]*' <<<"$usage")
			[[ $usage != *' [FILE]' ]] || kind=FILE
			# At a terminal, the first words of the table's lines; what holds no dot is its head.
			[[ $usage != *' [NAME...]' ]] ||
				words=$("$program" names 2>/dev/null | sed -n 's/^\([^ ]*[.][^ ]*\) .*/\1/p' | sort -u)
			;;
		esac
	fi
	COMPREPLY=()
	case $kind in
	FILE | PATH)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word") ;;
	esac
}

complete -F _spefwctl spefwctl
