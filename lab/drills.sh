# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lab/drills.sh - what the tests of drills ask: is a drill's status and last row so? To be sourced
# behind lab/checks.sh, with the lab up.
export IDFW_LAB IDFW_BUILD
OUT=$LAB_DIR/drill.out

drill() { # STATUS ARG...: with that exit status
	local rc=0 want=$1
	shift
	"$LAB_TOP/lab/lab" drill --json "$@" >"$OUT" 2>&1 || rc=$?
	[ $rc = "$want" ] && return
	bad "drill $*: status $rc, not $want"
	cat "$OUT"
	return 1
}
# facts EXPRESSION: true of the drill's last row, o
facts() {
	python3 -c '
import json, sys
o = json.loads(open(sys.argv[1]).read().splitlines()[-1])
flows = {f["flow"]: f for f in o["flows"]}
sys.exit(not eval(sys.argv[2]))' "$OUT" "$1" || {
		tail -n 1 "$OUT"
		return 1
	}
}
differing() { python3 -c '
import json, sys
for f in json.loads(open(sys.argv[1]).read().splitlines()[-1])["findings"]:
    if f["differs"]: print("   |", f["what"] + ":", f["measured"])' "$OUT"; }
