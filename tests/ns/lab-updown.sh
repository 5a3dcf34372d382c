#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab leaves nothing behind: after down, after an interrupted up, after a crashed up; and two
# labs stand side by side without touching each other.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root'
	exit 77
}
export IDFW_BUILD=${top_builddir:?}
lab=${top_srcdir:?}/lab/lab
one=u$$a two=u$$b

clean() {
	local name
	for name in $one $two; do
		IDFW_LAB=$name "$lab" down || true
	done
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAIL: $*"
	exit 1
}

# nothing_left NAME: no file, no mount, and no process that has one of the lab's mounts
nothing_left() {
	local p
	[ ! -e "/tmp/idfw-lab-$1" ] || fail "$1: files"
	! grep -F "/idfw-lab-$1/" /proc/self/mountinfo || fail "$1: mounts"
	for p in /proc/[0-9]*; do
		! grep -qsF "/idfw-lab-$1/" "$p/mountinfo" || fail "$1: process $p: $(tr '\0' ' ' <"$p/cmdline")"
	done
}

echo "== interrupted while it comes up, at several moments"
# log/machine-M.log: the very moment when the machine's process begins
for at in . log/machine-host.log log/machine-svm.log m/svm/ready; do
	IDFW_LAB=$one setsid "$lab" up bare &
	pid=$!
	until [ -e "/tmp/idfw-lab-$one/$at" ]; do
		[ -d /proc/$pid ] || break
	done
	kill -TERM $pid 2>/dev/null || fail "$at: it ended by itself"
	wait $pid && fail "$at: came up though interrupted"
	IDFW_LAB=$one "$lab" down
	nothing_left $one
done

echo "== killed while it comes up; down finds what is there"
IDFW_LAB=$one setsid "$lab" up bare &
pid=$!
for _ in {1..3000}; do
	[ ! -e "/tmp/idfw-lab-$one/pid/jump01" ] || break
	sleep 0.01
done
[ -e "/tmp/idfw-lab-$one/pid/jump01" ] || fail 'it does not get on its way'
kill -KILL -- -$pid
wait $pid || true
IDFW_LAB=$one "$lab" down
nothing_left $one

echo "== two labs side by side"
IDFW_LAB=$one "$lab" up bare
IDFW_LAB=$two "$lab" up bare
! IDFW_LAB=$one "$lab" up bare 2>/dev/null || fail 'the same lab came up twice'
[ "$(IDFW_LAB=$one "$lab" ssh jump01 alice id -un)" = alice ] || fail 'no login in the first'
! IDFW_LAB=$one "$lab" shell jump01 ls /tmp/idfw-lab-$two 2>/dev/null || fail 'a VM sees the labs'"'"' files'
IDFW_LAB=$one "$lab" down
nothing_left $one
IDFW_LAB=$two "$lab" status
[ "$(IDFW_LAB=$two "$lab" ssh web01 bob id -un)" = bob ] || fail 'no login in the second after the first went'
IDFW_LAB=$two "$lab" down
nothing_left $two
echo "ok"
