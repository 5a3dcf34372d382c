#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job, end to end, and a demo that is interrupted in the middle: both leave nothing.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root'
	exit 77
}
export IDFW_BUILD=${top_builddir:?} IDFW_LAB=d$$
demo=${top_srcdir:?}/lab/demo
out=$(mktemp)

clean() {
	"$top_srcdir/lab/lab" down || true
	rm -f "$out"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAIL: $*"
	exit 1
}

nothing_left() {
	local p
	[ ! -e "/tmp/idfw-lab-$IDFW_LAB" ] || fail "files"
	! grep -F "/idfw-lab-$IDFW_LAB/" /proc/self/mountinfo || fail "mounts"
	for p in /proc/[0-9]*; do
		! grep -qsF "/idfw-lab-$IDFW_LAB/" "$p/mountinfo" || fail "process $p"
	done
}

"$demo" || fail "the demo failed"
nothing_left

# with job control the demo is a process group of its own; a run in the background may be deaf to SIGINT
set -m
env --default-signal=INT "$demo" >"$out" 2>&1 &
pid=$!
set +m
for _ in {1..1800}; do
	grep -q '^4\.' "$out" && break
	sleep 0.05
done
grep -q '^4\.' "$out" || fail "the demo did not come to step 4"
kill -INT -- -$pid
rc=0
wait $pid || rc=$?
grep -v '^   [|>]' "$out"
[ $rc = 130 ] || fail "interrupted demo: status $rc"
nothing_left

# nobody reads on, as in "demo | head"
rc=0
env --default-signal=PIPE "$demo" | sed 6q || rc=$?
nothing_left
echo "ok"
