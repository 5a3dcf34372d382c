#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# help.sh - idfwctl's help fits a screen, and the manual page and the completion say the same
set -u
top=${top_srcdir:-.} ctl=${top_builddir:-.}/idfwctl/idfwctl
man=$top/docs/man/idfwctl.8 completion=$top/etc/idfwctl.bash-completion
failed=0
fail() { echo "FAIL: $*"; failed=1; }

help=$("$ctl" --help) || fail "--help ends with $?"
[ "$(wc -l <<<"$help")" -le 24 ] || fail "--help has more than 24 lines"
[ "$(awk '{ print length($0) }' <<<"$help" | sort -n | tail -1)" -le 80 ] || fail "--help is too wide"

# the verbs: lines of two blanks and a small letter, up to the first option
# a family's line ("scan VERB") stands for those that its own help lists
lines() { sed -n 's/^  \([a-z][a-z ]*[a-z]\)[ [A-Z|].*/\1/p' | sed 's/  .*//'; }
families=$(sed -n 's/^  \([a-z]*\) VERB .*/\1/p' <<<"$help")
verbs=$(for v in $(lines <<<"$help"); do
	if grep -qx "$v" <<<"$families"; then "$ctl" "$v" --help | lines; else echo "$v"; fi
done)
for f in $families; do
	[ "$("$ctl" "$f" --help | awk '{ print length($0) }' | sort -n | tail -1)" -le 80 ] || fail "$f --help is too wide"
done
known="status who last audit fim kick isolate release explain render drill policy check policy show policy commit dir collisions dir groups dir sync dir test dir status dir lookup"
known="$known scan status scan test scan explain scan now scan reload quarantine list quarantine restore quarantine purge"
[ "$(echo $verbs)" = "$known" ] || fail "verbs in --help: $(echo $verbs)"
man_verbs=$(sed -n 's/^\.It Ic \([a-z ]*[a-z]\).*/\1/p' "$man")
[ "$(echo $man_verbs)" = "$known" ] || fail "verbs in the manual page: $(echo $man_verbs)"

# options: "verb --option VALUE" from the help of each, against "verb" .It Fl -option Ar value
options() { # VERB...
	"$ctl" "$@" --help | sed -n 's/^  \(--[a-z-]*\)\( [A-Z][A-Z]*\)\{0,1\}  *.*/\1\2/p'
}
from_help=$(while read -r verb; do
	# shellcheck disable=SC2086
	options $verb | sed "s/^/$verb /"
	# shellcheck disable=SC2086
	"$ctl" $verb --help | awk 'length($0) > 80 { exit 1 }' || echo "$verb --help is too wide"
	"$ctl" $verb --help | head -1 | grep -q "^usage: idfwctl .* $verb" || echo "$verb: no synopsis"
done <<<"$verbs" | sort)
from_man=$(awk '/^\.It Ic / { sub(/^\.It Ic /, ""); sub(/ (Ar|Op|Oo) .*/, ""); verb = $0 }
	/^\.It Fl -/ { o = $3; v = $5; if ($4 == "Ar") print verb " -" o " " toupper(v); else print verb " -" o }' \
	"$man" | sort)
[ "$from_help" = "$from_man" ] || { fail "options of verbs differ"; diff <(echo "$from_help") <(echo "$from_man"); }

for o in socket scan-socket json help version; do
	grep -q -- "--$o" <<<"$help" || fail "--$o is not in --help"
	grep -q "Fl -$o" "$man" || fail "--$o is not in the manual page"
done
for code in $(sed -n '/^exit codes:/,$p' <<<"$help" | grep -o '[0-9][0-9]*'); do
	sed -n '/^\.Sh EXIT STATUS/,/^\.Sh/p' "$man" | grep -q "^\.It $code\$" || fail "exit code $code is not in the manual page"
done
grep -q "$(sed -n 's/.*default \(.*\)/\1/p' <<<"$help" | head -1)" "$man" || fail "the default socket is not in the manual page"

# completion: ask it, as bash would
complete_words() { # WORD...: what is offered for the last one
	# shellcheck disable=SC1090
	bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _idfwctl; printf "%s\n" "${COMPREPLY[@]}"' \
		"$completion" "$@" | sort | tr '\n' ' '
}
[ "$(complete_words idfwctl "")" = "audit dir drill explain fim isolate kick last policy quarantine release render scan status who " ] || fail "completion of verbs: $(complete_words idfwctl "")"
for f in $families; do
	want=$(sed -n "s/^$f //p" <<<"$verbs" | sort | tr '\n' ' ')
	[ "$(complete_words idfwctl "$f" "")" = "$want" ] || fail "completion of $f: $(complete_words idfwctl "$f" "")"
done
while read -r verb; do
	# shellcheck disable=SC2086
	want=$({ options $verb | sed 's/ .*//'; printf '%s\n' --help --json --socket --scan-socket; } | sort | tr '\n' ' ')
	# shellcheck disable=SC2086
	got=$(complete_words idfwctl $verb --)
	[ "$got" = "$want" ] || fail "completion of $verb: $got, not $want"
done <<<"$verbs"
[ $failed = 0 ] && echo "help, manual page and completion agree"
exit $failed
