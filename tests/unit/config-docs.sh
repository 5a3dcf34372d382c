#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The documents keep up with the tables: every configuration item that --help-config lists stands
# in the program's manual page (Cm), so does every long option of --help (Fl), and the page names
# no item that is gone; the example file passes -t.
set -euo pipefail
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
top_builddir=${top_builddir:-.}
failed=0

complain() {
	echo "FAIL: $*"
	failed=1
}

check_page() { # NAME ITEMS OPTIONS
	local page=$top_srcdir/docs/man/$1.8 text word given
	[ -e "$page" ] || {
		complain "there is no docs/man/$1.8"
		return
	}
	text=$(sed 's/\\-/-/g; s/\\&//g' "$page")
	for word in $2; do
		grep -qE -- "Cm $word( |\$)" <<<"$text" || complain "$1.8 does not mention $word"
	done
	for word in $3; do
		grep -qE -- "Fl( | .* )${word#-}( |\$)" <<<"$text" || complain "$1.8 does not mention $word"
	done
	# what the section CONFIGURATION gives as "It Cm x"
	given=$(sed -n '/^\.Sh CONFIGURATION/,/^\.Sh [^C]/s/^\.It Cm \([a-z-]*\).*/\1/p' <<<"$text")
	for word in $given; do
		grep -qwF -- "$word" <<<"$2" || complain "$1.8 mentions $word, which --help-config does not"
	done
}

for prog in mux/gi-mux netagent/gi-netagent svm-idfw/svm-idfw svm-scan/svm-scan fileagent/gi-fileagent; do
	name=${prog##*/}
	bin=$top_builddir/$prog
	items=$("$bin" --help-config | sed -nE 's/^\t?([a-z][a-z_-]*) .*[;}]$/\1/p' | sort -u)
	options=$("$bin" --help | grep -oE -- '--[a-z-]+' | sort -u)
	if [ -z "$items" ] || [ -z "$options" ]; then
		complain "$name lists no items or options"
	fi
	check_page "$name" "$items" "$options"
	"$bin" -t -c "$top_srcdir/etc/$name.conf" || complain "$name refuses etc/$name.conf"
done
[ $failed = 0 ] && echo 'manual pages and example files agree with the tables'
exit $failed
