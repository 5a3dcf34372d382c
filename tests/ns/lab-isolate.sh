#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Isolation with real packets: an isolated session's running transfer stops at once and it gets nothing
# new, nor does its user by a new login, nor what she leaves behind at her logout, nor her uid elsewhere (not even
# what everybody may), also after a restart of svm-idfw, while another user on the same VM loses no line; a whole VM:
# nothing in, nothing out; released: access is back.
set -euo pipefail
: "${IDFW_LAB:=i$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

session_of() { lab_ctl --json who "$1" | sed -n 's/.*"session": *\([0-9]*\).*/\1/p' | sed -n 1p; }
live_marks() { # how many jump01's kernel has
	lab_in jump01 nft -j list set inet idfw live | python3 -c 'import json, sys
print(sum(len(o["set"].get("elem", [])) for o in json.load(sys.stdin)["nftables"] if "set" in o))'
}
goes_on() { [ "$(lab_pulled jump01 "$1")" -gt $((lines + 50)) ]; }
ended() { lab_ctl --json last --user "$1" --limit 5 | grep -E "\"session\": *$2," | grep -E '"closed_ms": *[0-9]' >/dev/null; }
marks_are() { [ "$(live_marks)" = "$1" ]; }
# one attempt, long enough for what the kernels alone answer
in_reaches() { lab_in client timeout 1 bash -c '</dev/tcp/10.77.1.10/22' 2>/dev/null; }
out_reaches() { lab_in jump01 timeout 1 bash -c '</dev/tcp/10.77.8.10/389' 2>/dev/null; }

left_may() { # WHAT [CMD] - what alice left behind, at a port that is everybody's
	local line
	if line=$(left "${2:-} $open"); then ok "$1: $line"; else bad "$1: $line"; fi
}
left_may_not() {
	local line rc=0
	line=$(left "${2:-} $open 700") || rc=$?
	if [ $rc = 1 ]; then ok "$1: $line"; else bad "$1: status $rc, $line"; fi
}

# what alice's uid does where no session is known: systemd --user, a cron without pam_gi
outside() { lab_in jump01 setpriv --reuid alice --clear-groups /run/lab/stream.py probe "$WEB" 80 700 >/dev/null; }
outside_not() { ! outside; }

open="/run/lab/stream.py probe $WEB 80"
lab_in jump01 sh -c 'echo "alice ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/lab; chmod 440 /etc/sudoers.d/lab'
# behind the rules that ask who somebody is, web01 is open to all
sed -e "/^section application/a rule more allow from user \"bob\" to db service postgres;" \
	-e "/rule eng-web/a rule all-web allow from any to web service http;" "$LAB_TOP/lab/policy.idfw" |
	lab_put svm /run/lab/policy.idfw
lab_ctl policy commit /run/lab/policy.idfw
lab_login alice jump01 alice
lab_login bob jump01 bob
transfer alice jump01 alice
transfer bob jump01 bob
left_begin alice
left_may "before, what alice started, at web01"
check "before, a job of alice's in no session" lab_wait_for 30 outside
session=$(session_of alice)
runs_on jump01 alice

echo "== a session is isolated: its transfer stops, the neighbour's does not"
check "3 marks are live in jump01's kernel: nobody's, alice's, bob's" lab_wait_for 30 marks_are 3
when=$(lab_now_ms)
lab_ctl isolate "$session" --reason "a test"
cut_at jump01 alice "$when" "the isolation"
check "one is not live any more" lab_wait_for 30 marks_are 2
check "nor has a job of alice's in no session a network" lab_wait_for 30 outside_not
leftover_reaches_not jump01 alice
reaches_not alice $DB 5432 "alice's session, which goes on"
reaches bob $DB 5432 "bob, on the same VM"
lab_ctl who alice | grep ' isolated ' >/dev/null && ok "who says isolated" || bad "who does not say isolated"
lab_ctl status | grep "^alice, uid .* $session .*a test" >/dev/null && ok "status says it, by whom and why" ||
	bad "status does not say it"
check "recorded" lab_wait_for 30 audited isolated alice "a test"

echo "== a new login of that uid has no access either"
lab_login again jump01 alice
reaches_not again $DB 5432 "alice after a new login"

echo "== she logs out: what she leaves behind keeps no more than the isolation left her"
left_may_not "before the logout"
lab_logout alice
lab_wait_for 30 ended alice "$session" || bad "the session does not end"
left_may_not "left behind"
[ -z "$LAB_CGROUP" ] || left_may_not "left behind, as root" sudo
check "her transfer stays cut" [ "$(lab_pulled jump01 alice)" = "$(sleep 0.5; lab_pulled jump01 alice)" ]
line=$(lab_in jump01 $open) && ok "a process of nobody: $line" || bad "a process of nobody: $line"

echo "== svm-idfw is killed and starts again: isolation stays"
lab_kill9 svm
lab_daemon svm
lab_wait_for 30 lab_in_sync || bad "not in sync after the restart"
reaches_not again $DB 5432 "alice after the restart"
left_may_not "left behind, after the restart"
lab_kill9 jump01
lab_daemon jump01
lab_wait_for 30 lab_in_sync || bad "not in sync after the agent's restart"
left_may_not "left behind, after the agent's restart"
lines=$(lab_pulled jump01 bob)
check "bob's transfer goes on" lab_wait_for 30 goes_on bob
unbroken jump01 bob "beside it, through the restart"

echo "== released: access is back, what was cut is not"
before=$(lab_pulled jump01 alice)
lab_ctl release "$session" --reason clean
reaches again $DB 5432 "alice"
left_may "what was left behind is nobody's now, it"
check "as is a job of alice's in no session" lab_wait_for 30 outside
check "recorded" lab_wait_for 30 audited released alice clean
check "her old transfer stays cut" [ "$(lab_pulled jump01 alice)" = "$before" ]

echo "== a whole VM: nothing in, nothing out"
check "before, the desk reaches jump01" lab_wait_for 30 in_reaches
check "before, jump01 reaches the directory, as everybody may" lab_wait_for 30 out_reaches
runs_on jump01 bob
when=$(lab_now_ms)
lab_ctl isolate --vm jump01
cut_at jump01 bob "$when" "the isolation of jump01"
in_reaches && bad "the desk reaches jump01" || ok "the desk does not reach jump01"
out_reaches && bad "jump01 reaches the directory" || ok "jump01 does not reach the directory"
gains alice 700 && bad "alice reaches db01" || ok "alice reaches nothing"
lab_ctl status | grep '^jump01  *isolated' >/dev/null && ok "status says it" || bad "status does not say it"
lab_ctl release --vm jump01
check "released, the desk reaches jump01" lab_wait_for 30 in_reaches
check "alice gains access again" gains alice
check "bob gains access again" gains bob
