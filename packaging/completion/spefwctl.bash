# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of spefwctl in bash, by `spefwctl --help`, `spefwctl VERB --help` and `spefwctl list`: there is no second
# list to keep. What a daemon knows is offered where one runs.

# The first words of the help's indented lines.
_spefwctl_verbs() {
	"$1" --help 2>/dev/null | sed -nE 's/^  ([a-z][a-z-]*).*/\1/p'
}

# PROGRAM [VERB]: a line an option, as "-s --socket PATH" or "--json".
_spefwctl_options() {
	"$@" --help 2>/dev/null |
		sed -nE 's/^ {2,6}((-[a-z]), )?(--[a-z][a-z-]*)(\[=[A-Z]+\])?( ([A-Z]+))?(  .*)?$/\2 \3 \6/p'
}

# USAGE NUMBER: of which kind that argument is, by the usage's first line: FLOW of "connections [-v] [FLOW]".
_spefwctl_argument() {
	sed -E 's/^Usage: [^ ]* [^ ]*//; s/ \[?--?[a-z-]+(\[=[A-Z]+\]| [A-Z]+)?\]?//g' <<<"$1" | tr -d '[]' |
		awk -v number="$2" '{ word = number <= NF ? $number : $NF ~ /[.][.][.]$/ ? $NF : ""
			sub(/[.]+$/, "", word); sub(/:[A-Z]+$/, "", word); print word }'
}

_spefwctl() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} verb='' kind='' words='' usage options i number=1
	local daemon=()
	options=$(_spefwctl_options "$program")
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*)
			# What follows an option may be its argument, of the kind that its name shows.
			kind=$(sed -nE "s/^(.* )?${COMP_WORDS[i]//[^a-z-]/.} (.* )?([A-Z]+)\$/\3/p" <<<" $options")
			[ "$kind" != PATH ] || daemon=(-s "${COMP_WORDS[i + 1]}")
			[ -z "$kind" ] || i=$((i + 1))
			;;
		# A colon parts words: what stands behind it is a port, of the word before it.
		:) i=$((i + 1)) kind= ;;
		*)
			[ -z "$verb" ] || number=$((number + 1))
			[ -n "$verb" ] || verb=${COMP_WORDS[i]}
			;;
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
			kind=$(_spefwctl_argument "$usage" "$number")
			;;
		esac
	fi
	COMPREPLY=()
	case $kind in
	FILE | PATH)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	[A-Z]*) words="$words $("$program" "${daemon[@]}" list "$kind" 2>/dev/null)" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _spefwctl spefwctl
