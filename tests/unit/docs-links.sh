#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the documents name exists: files behind links, paths and file names in back quotes, verbs of
# ./dev and idfwctl, manual pages; and each test, seed directory and scenario that exists is named
# in a module.am, or it would never run.
set -euo pipefail
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
top_builddir=${top_builddir:-.}
failed=0 looked=0

complain() {
	echo "FAIL: $*"
	failed=1
}

cd "$top_srcdir"
files=$(find . \( -name .git -o -name 'build*' -o -name autom4te.cache -o -name m4 \) -prune -o -type f -printf '%P\n')
dev_verbs=$(./dev help | sed -nE 's/^  ([a-z]+).*/\1/p')
ctl_verbs=$("$top_builddir/idfwctl/idfwctl" --help | grep -oE '[a-z]+')
mapfile -t ams < <(grep '\.am$' <<<"$files")
named=$(cat "${ams[@]}" | tr -s ' \t=\\' '\n' | sort -u) # files and programs of the build
rooms='lib|fw|policy|epsec|pam_gi|netagent|fileagent|mux|svm-idfw|svm-scan|idfwctl|lab|tests|docs|etc'

# placeholders and patterns: NAME, X, <x>, x*, a{b,c}
is_pattern() { [[ $1 =~ NAME|[*{\<]|\bX\b ]]; }

check_path() { # DOCUMENT PATH: from the top, or from the document
	looked=$((looked + 1))
	[ -e "$2" ] || [ -e "$(dirname "$1")/$2" ] || complain "$1: there is no $2"
}

check_word() { # DOCUMENT WORD: what stands in back quotes, up to the first space
	local word=${2%%[:,;]*}
	is_pattern "$word" && return
	if [[ $word =~ ^($rooms)/[A-Za-z0-9_./-]+$ ]]; then
		looked=$((looked + 1))
		[ -e "$word" ] || [ -e "$word.c" ] || grep -qxF -- "$word" <<<"$named" ||
			complain "$1: there is no $word"
	elif [[ $word =~ ^[a-z0-9_-]+\.(c|h|sh|am|scn|proto|md)$ ]]; then
		looked=$((looked + 1))
		grep -qE "(^|/)${word//./\\.}\$" <<<"$files" || complain "$1: no file is named $word"
	fi
	return 0
}

check_commands() { # DOCUMENT
	local verb
	while read -r verb; do
		looked=$((looked + 1))
		grep -qx -- "$verb" <<<"$dev_verbs" || complain "$1: ./dev has no $verb"
	done < <(grep -oE '\./dev [a-z]+' "$1" | sed 's/.* //' | sort -u)
	while read -r verb; do
		looked=$((looked + 1))
		grep -qx -- "$verb" <<<"$ctl_verbs" || complain "$1: idfwctl has no $verb"
	done < <(grep -oE '(^|`)idfwctl [a-z]+' "$1" | sed 's/.* //' | sort -u)
	while read -r verb; do
		looked=$((looked + 1))
		[ -e "docs/man/$verb" ] || complain "$1: there is no page docs/man/$verb"
	done < <(grep -oE '\b(gi-[a-z]+|svm-[a-z]+|idfwctl|idfw-[a-z]+|pam_gi|epsec)\([1-8]\)' "$1" |
		sed 's/(\(.\))/.\1/' | sort -u)
}

for doc in README.md HACKING.md SECURITY.md CHANGELOG.md docs/*.md docs/adr/*.md lab/README.md tests/replay/README.md; do
	while read -r word; do check_path "$doc" "$word"; done < <(
		grep -oE '\]\([^)]+\)' "$doc" | sed 's/^](//; s/)$//; s/#.*//' | grep -vE '^https?:|^$')
	while read -r word; do check_word "$doc" "$word"; done < <(
		grep -oE '`[^` ]+' "$doc" | tr -d '`' | sort -u)
	check_commands "$doc"
done
[ $looked -ge 100 ] || complain "only $looked names were found in the documents"

while read -r test; do
	case $test in
	tests/*/*-lib.sh) continue ;;
	*.c) test=${test%.c} ;;
	esac
	grep -qxF -- "$test" <<<"$named" || complain "$test is in no module.am: it never runs"
done < <(grep -E '^tests/(ns/.*\.sh|unit/.*\.sh|unit/.*/test_[^/]*\.c|fuzz/fuzz_[^/]*\.c|replay/.*\.scn)$' <<<"$files")
# the table of scenarios: each row names one; check_word has looked whether they exist
while read -r row; do
	grep -qE '`[a-z0-9-]+\.scn`' <<<"$row" || complain "tests/replay/README.md: no scenario in: $row"
done < <(grep '^|' tests/replay/README.md | grep -vE '^\|(---|.* scenario \|$)')
for src in tests/fuzz/fuzz_*.c; do
	name=${src##*/fuzz_}
	[ -n "$(ls -A "tests/fuzz/corpus/${name%.c}" 2>/dev/null)" ] || complain "$src has no seeds"
done
[ $failed = 0 ] && echo "$looked names in the documents exist; every test is in the build"
exit $failed
