#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The soak: a short one finds no difference, and then sees what is changed behind its back; one whose checker does not know a rule finds it, keeps a
# history that is shorter and goes wrong again, and not for a checker that knows it; Ctrl-C in the middle
# leaves nothing behind.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root (namespaces, mounts)'
	exit 77
}
export IDFW_BUILD=${top_builddir:?} IDFW_LAB=k$$
soak=${top_srcdir:?}/lab/soak
dir=$(mktemp -d)
pid=

clean() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	"$top_srcdir/lab/lab" down || true
	rm -rf "$dir"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAIL: $*"
	exit 1
}
steps() { grep -c '"do":' "$1"; }

echo "== no difference"
"$soak" --steps 26 --seed 123 --shrink 0 --keep "$dir/none.json" --verbose >"$dir/out" || {
	rc=$?
	cat "$dir/out"
	fail "status $rc"
}
cat "$dir/out"
for seen in 'a wall before .* is seen: [1-9]' 'should not be is seen: [1-9]'; do
	grep -q "$seen" "$dir/out" || fail "not: $seen"
done
[ ! -e "$dir/none.json" ] || fail 'a history is kept for nothing'

echo "== a checker that does not know a rule finds a difference, and what makes it"
rc=0
"$soak" --steps 26 --seed 123 --forget eng-db --shrink 300 --keep "$dir/one.json" >"$dir/out" || rc=$?
cat "$dir/out"
[ $rc = 1 ] || fail "status $rc"
grep -q 'DIFFERENCE (open): .*alice.* reaches .*/5432' "$dir/out" || fail 'not the difference'
all=$(sed -n 's/.* \([0-9]*\) steps, .* differences in .*/\1/p' "$dir/out")
[ "$(steps "$dir/one.json")" -lt "$all" ] || fail "$(steps "$dir/one.json") steps of $all are kept"

echo "== again, from the file"
rc=0
"$soak" --replay "$dir/one.json" --keep "$dir/two.json" || rc=$?
[ $rc = 1 ] || fail "status $rc"
sed -i 's/"forget": "eng-db"/"forget": ""/' "$dir/one.json"
"$soak" --replay "$dir/one.json" --keep "$dir/two.json" || fail "status $? with the rule known"

echo "== interrupted"
"$soak" --steps 1000 --seed 3 --verbose >"$dir/out" &
pid=$!
for _ in {1..4000}; do
	! grep -q 'step 2' "$dir/out" || break
	sleep 0.02
done
kill -TERM $pid
rc=0
wait $pid || rc=$?
pid=
[ $rc = 130 ] || fail "interrupted: status $rc"
[ ! -e "/tmp/idfw-lab-$IDFW_LAB" ] || fail 'files are left'
for p in /proc/[0-9]*; do
	! grep -qsF "/idfw-lab-$IDFW_LAB/" "$p/mountinfo" || fail "process $p is left"
done
echo ok
