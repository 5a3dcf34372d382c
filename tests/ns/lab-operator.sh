#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What an operator does while people work: a policy with mistakes, a policy that opens and one that
# closes, a kick; each shows on running transfers, not only on new connections.
set -euo pipefail
: "${IDFW_LAB:=o$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

# commit: the policy on stdin
commit() {
	lab_put svm /run/lab/policy.idfw
	lab_ctl policy commit /run/lab/policy.idfw
}
generation() { lab_ctl --json status | sed -n 's/.*"type": *"svm".*"generation": *\([0-9]*\).*/\1/p'; }
with_rule() {
	sed "/^section application/a rule more $1;" "$LAB_TOP/lab/policy.idfw"
}

lab_login alice jump01 alice
lab_login bob jump01 bob
transfer alice jump01 alice
reaches_not bob $DB 5432 "bob, not in eng"

echo "== a policy with mistakes changes nothing"
before=$(generation)
rc=0
out=$(with_rule 'allow from enng to db service postgres' | commit 2>&1) || rc=$?
check "it is refused with status 1" [ $rc = 1 ]
check "with its place and a caret" grep -qE 'policy.idfw:[0-9]+:[0-9]+: error' <<<"$out"
check "the generation stays $before" [ "$(generation)" = "$before" ]
reaches alice $DB 5432 "alice"

echo "== a policy that names bob opens at once, without a login"
with_rule 'allow from user "bob" to db service postgres' | commit
check "the generation is higher" [ "$(generation)" -gt "$before" ]
check "bob gains access" gains bob
transfer bob jump01 bob
check "all VMs run it" lab_wait_for 30 lab_in_sync

echo "== it survives a kill of svm-idfw"
lab_kill9 svm
lab_daemon svm
lab_wait_for 30 lab_in_sync || bad "not in sync after the restart"
reaches bob $DB 5432 "bob, after the restart"

echo "== the first policy again: bob's transfer is cut, alice's ran through all that"
runs_on jump01 bob
when=$(lab_now_ms)
lab_ctl policy commit /etc/idfw/policy.idfw
cut_at jump01 bob "$when" "the commit"
reaches_not bob $DB 5432 "bob"
unbroken jump01 alice "through three policies and a restart"

echo "== a kick"
session=$(lab_ctl --json who alice | sed -n 's/.*"session": *\([0-9]*\).*/\1/p')
when=$(lab_now_ms)
lab_ctl kick "$session" --reason "a test"
cut_at jump01 alice "$when" "the kick"
leftover_reaches_not jump01 alice
check "recorded" lab_wait_for 30 audited kick alice "a test"
lab_login again jump01 alice
reaches again $DB 5432 "alice after a new login"

echo "== a rule that forbids bob does not forbid alice, who is on the same VM"
transfer again jump01 alice
with_rule 'drop from user "Bob@corp.example" to db' | commit
reaches_not bob $DB 5432 "bob"
reaches again $DB 5432 "alice"
lines=$(lab_pulled jump01 alice)
goes_on() { [ "$(lab_pulled jump01 alice)" -gt $((lines + 50)) ]; }
check "alice's transfer goes on" lab_wait_for 30 goes_on
unbroken jump01 alice "beside bob"

echo "== root on jump01: the table is not his to change; a chain beside it that could bypass it is told"
rc=0
out=$(lab_in jump01 nft insert rule inet idfw output accept 2>&1) || rc=$?
check "refused" [ $rc != 0 ]
check "with the kernel's reason" grep -q 'not permitted' <<<"$out"
lab_in jump01 nft flush ruleset
reaches_not bob $DB 5432 "bob, after flush ruleset"
lab_in jump01 nft add table inet evil
lab_in jump01 nft add chain inet evil out '{ type filter hook output priority -10; }'
lab_in jump01 nft add rule inet evil out meta skuid 65533 ct mark set 1
told() { # CODE - what status ends with, and whether it names the chain
	local out rc=0 named=0
	out=$(lab_ctl status 2>/dev/null) || rc=$?
	grep -q 'inet evil out' <<<"$out" || named=1
	[ $rc = "$1" ] && [ $named != "$1" ]
}
check "status names it, and ends with 1" lab_wait_for 60 told 1
check "recorded" lab_wait_for 60 audited alarm '' 'inet evil out'
lab_in jump01 nft delete table inet evil
check "it goes from status with the chain" lab_wait_for 60 told 0
check "and that is recorded" lab_wait_for 60 audited alarm '' 'over.*true.*inet evil out'

echo "== answers"
rc=0
lab_ctl kick 999999 >/dev/null 2>&1 || rc=$?
check "no such session is status 4" [ $rc = 4 ]
rc=0
lab_ctl who nobody-of-that-name >/dev/null 2>&1 || rc=$?
check "nobody of that name is status 1" [ $rc = 1 ]
lab_well() { lab_ctl status >/dev/null; }
check "status is well" lab_wait_for 30 lab_well
lab_in svm setpriv --reuid 2001 --regid 2001 --clear-groups /run/lab/build/idfwctl/idfwctl \
	-s /run/idfw/svm.sock status >/dev/null 2>&1 && bad "anybody may ask the control socket" ||
	ok "the control socket is not for everybody"
