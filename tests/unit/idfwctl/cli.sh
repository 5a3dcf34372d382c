#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cli.sh - what idfwctl prints for canned answers, byte for byte
#
# tests/golden/idfwctl/NAME.case: a line "args ..." (shell words), then the answer as fake_svm
# reads it. NAME.out: what came out. IDFWCTL_GOLDEN_WRITE=DIR writes the latter anew.
set -u
top=${top_srcdir:-.} build=${top_builddir:-.}
golden=$top/tests/golden/idfwctl
export TZ=UTC TERM=dumb LC_ALL=C
unset IDFW_SOCKET IDFW_SCAN_SOCKET
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
failed=0 n=0

# a policy as large as svm-idfw takes, and one that is larger
{ echo 'default in drop; default out allow;'; yes '# padding that nobody reads' | head -c 4194000; echo; } >"$dir/large.idfw"
{ cat "$dir/large.idfw"; head -c 1000 /dev/zero | tr '\0' '#'; } >"$dir/too-large.idfw"
cp "$golden"/*.idfw "$dir"

cd "$dir" || exit 99
for file in "$golden"/*.case; do
	name=$(basename "$file" .case)
	args=()
	eval "args=($(sed -n 's/^args //p' "$file"))"
	echo "no request" >request
	"$build/tests/unit/idfwctl/fake_svm" "$dir/sock" "$file" request \
		"$build/idfwctl/idfwctl" -s "$dir/sock" --scan-socket "$dir/sock" "${args[@]}" >out 2>err </dev/null
	rc=$?
	{ cat out; echo "---- stderr"; cat err; echo "---- exit $rc"; cat request; } |
		sed "s|$dir/||g" >got
	n=$((n + 1))
	if [ -n "${IDFWCTL_GOLDEN_WRITE:-}" ]; then
		cp got "$IDFWCTL_GOLDEN_WRITE/$name.out"
	elif ! diff -u "$golden/$name.out" got; then
		echo "FAIL: $name"
		failed=1
	fi
done
[ "$n" -gt 0 ] || exit 99

# the same answers with texts that others may have written made hostile: a colour, C1's CSI, text from
# right to left. None of it may come out, nor make it fail in another way
keys='name|upn|dn|sid|user|vm|why|directory|uri|server|group|rhost|tty|service|id|asked|domain|text|account_why|error|by|reason|what|path|leader|kind|closed|peer'
hostile=0
for file in "$golden"/*.case; do
	grep -q '^row ' "$file" && ! grep -q '^args .*--json' "$file" || continue
	sed -E 's/"('"$keys"')":"/&\\u001b[31m\\u009b2J\\u202e/g; s/":\["/&\\u001b[31m\\u009b2J\\u202e/g' "$file" >hostile.case
	eval "args=($(sed -n 's/^args //p' "$file"))"
	timeout 120 "$build/tests/unit/idfwctl/fake_svm" "$dir/sock" hostile.case request \
		"$build/idfwctl/idfwctl" -s "$dir/sock" --scan-socket "$dir/sock" "${args[@]}" >out 2>&1 </dev/null
	rc=$?
	if [ $rc -ge 5 ] || grep -qaP '\x1b|\xc2\x9b|\xe2\x80\xae' out; then
		echo "FAIL: ${file##*/}: hostile names come out, or exit $rc"
		cat -v out
		failed=1
	fi
	grep -qF '?[31m' out && hostile=$((hostile + 1))
done
[ $hostile -ge 25 ] || { echo "FAIL: hostile names are shown in $hostile cases only"; failed=1; }

# colours: on a terminal only, and not when the user wants none
on_terminal() { # VARIABLE=VALUE...
	env "$@" "$build/tests/unit/idfwctl/fake_svm" "$dir/sock" "$golden/status-well.case" request \
		"$(command -v script)" -qec "'$build/idfwctl/idfwctl' -s '$dir/sock' status" /dev/null
}
if command -v script >/dev/null; then
	on_terminal TERM=xterm | grep -q $'\033\\[32mall is well' || { echo "FAIL: no colours on a terminal"; failed=1; }
	on_terminal TERM=xterm NO_COLOR=1 | grep -q $'\033' && { echo "FAIL: colours despite NO_COLOR"; failed=1; }
	n=$((n + 2))
else
	echo "not tried, for want of script(1): colours on a terminal"
fi
# a scan's bar: on a terminal only, gone at the end
if command -v script >/dev/null; then
	"$build/tests/unit/idfwctl/fake_svm" "$dir/sock" "$golden/scan-now.case" request "$(command -v script)" \
		-qec "'$build/idfwctl/idfwctl' --scan-socket '$dir/sock' scan now web01 /home" /dev/null >bar
	grep -q '100 % of 2700 files' bar || { echo "FAIL: no bar on a terminal"; failed=1; }
	tr '\r' '\n' <bar | tail -6 | grep -q '2700 files, 56.1 MB: 1 found' || { echo "FAIL: no last word behind the bar"; failed=1; }
	"$build/tests/unit/idfwctl/fake_svm" "$dir/sock" "$golden/scan-now.case" request "$(command -v script)" \
		-qec "stty cols 40; '$build/idfwctl/idfwctl' --scan-socket '$dir/sock' scan now web01 /home" /dev/null >bar
	tr '\r' '\n' <bar | grep '###' | grep -q '.\{44\}' && { echo "FAIL: a bar wider than the terminal"; failed=1; }
	grep -q '####' bar || { echo "FAIL: no bar on a narrow terminal"; failed=1; }
	n=$((n + 2))
fi

# the two sockets are two; the environment names each
out=$(IDFW_SOCKET=$dir/none IDFW_SCAN_SOCKET=$dir/nothing "$build/idfwctl/idfwctl" scan status 2>&1)
case $out in *"svm-scan is not running at"*nothing*--scan-socket*) ;; *) echo "FAIL: scan socket: $out"; failed=1 ;; esac
out=$(IDFW_SOCKET=$dir/none IDFW_SCAN_SOCKET=$dir/nothing "$build/idfwctl/idfwctl" who 2>&1)
case $out in *"svm-idfw is not running at"*none*"-s SOCKET"*) ;; *) echo "FAIL: socket: $out"; failed=1 ;; esac
n=$((n + 2))
echo "$n cases"
exit $failed
