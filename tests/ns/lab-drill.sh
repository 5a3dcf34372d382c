#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Drills: each thing broken once for a short time, in one lab, and everything is as docs/failure.md
# says; a fault that does more than it should is seen; a drill that is interrupted
# leaves nothing broken; nothing is touched that the driver does not name.
set -euo pipefail
: "${IDFW_LAB:=d$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
# shellcheck source=lab/drills.sh
. "$LAB_TOP/lab/drills.sh"
lab_test
echo "== each once, for less than half the shortest lease or a little more: no connection is cut"
# a machine that mends slowly may take longer than a lease: what has one of 24 h never ends
once() { # COMPONENT HOW [OPTION...]
	local fault=$1 how=$2
	shift 2
	drill 0 "$fault" "$@" --vm jump01 --for 3s && ok "$fault $how is as the table says" || differing
	check "$fault $how: facts" facts "o['type'] == 'drill' and o['fault'] == '$fault' and o['how'] == '$how' and o['as_expected'] and \
		3000 <= o['broken_ms'] and sorted(flows) == ['close', 'hold-20s', 'lasting'] and \
		flows['lasting']['shut'] == 0 and flows['lasting']['opened'] > 2 and not flows['lasting']['ended']"
}
for fault in agent mux svm directory; do
	once $fault kill
	once $fault stop --fault stop
done
once partition cut

echo "== it differs from the table, and that is seen: whoever breaks the directory breaks db01's wire as well"
cat >"$LAB_DIR/clumsy" <<-'X'
	#!/bin/bash
	. "$LAB_TOP/lab/functions.sh"
	"$LAB_TOP/lab/drill" "$@" || exit
	case $1 in
	break) lab_in host ip link set db01 down ;;
	mend) lab_in host ip link set db01 up ;;
	esac
X
chmod +x "$LAB_DIR/clumsy"
export LAB_TOP
IDFW_DRILL_DRIVER=$LAB_DIR/clumsy drill 1 directory --vm jump01 --for 2s && ok "status 1"
differing
check "the held connections" facts "not o['as_expected'] and flows['lasting']['gap_down_ms'] > 1500"
lab_in host ip addr replace fd77:3::1/64 dev db01 nodad

echo "== what cannot be run"
drill 2 agent --vm db01 --for 1s && grep -q 'no VM "db01" for drills' "$OUT" && ok "a VM that the driver does not name"
drill 2 gremlins --vm jump01 --for 1s && ok "a fault that there is none"
drill 2 partition --fault stop --vm jump01 --for 1s && ok "a fault that it does not have"
drill 2 agent --vm jump01 && ok "no --for"
lab_kill9 svm svm-idfw
drill 2 mux --vm jump01 --for 1s && ok "not all is well before it"
lab_daemon svm svm-idfw
lab_wait_for 30 lab_in_sync || bad "not in sync"
rc=0
"$LAB_BUILD/idfwctl/idfwctl" drill mux --vm jump01 --for 1s >"$OUT" 2>&1 || rc=$?
check "without a driver: status 2" [ $rc = 2 ]
check "and what to do" grep -q -- '--driver' "$OUT"

echo "== interrupted: mended all the same"
"$LAB_TOP/lab/lab" drill mux --vm jump01 --for 10m >"$OUT" 2>&1 &
pid=$!
lab_wait_for 30 lab_ended host gi-mux || bad "the mux is not broken"
kill -INT $pid
rc=0
wait $pid || rc=$?
check "status 2" [ $rc = 2 ]
check "the mux runs" lab_pid host gi-mux >/dev/null
check "all is in sync" lab_wait_for 30 lab_in_sync
check "it says so" grep -q 'all is in sync again' "$OUT"
check "the former policy is back" [ "$(lab_ctl policy show | grep -c drill-close)" = 0 ]
