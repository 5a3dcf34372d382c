#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each daemon killed with -9 in turn, all at once, and at many moments, while people come and go:
# nothing recorded is lost, the others go on, open connections stay, state converges.
set -euo pipefail
: "${IDFW_LAB:=f$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

reboot_in_last() { lab_ctl --json last --user "$1" --limit 1 | grep -E '"reason": *"reboot"' >/dev/null; }

nothing_out() {
	! lab_in "$1" /run/lab/stream.py probe $DB 5432 700 >/dev/null && ! lab_in "$1" /run/lab/stream.py probe $WEB 80 700 >/dev/null
}

echo "== the agent is killed: rules stay, a logout meanwhile is seen after its restart"
lab_login alice jump01 alice
reaches alice $DB 5432 "before"
transfer alice jump01 alice
lab_kill9 jump01
reaches alice $DB 5432 "new connection while the agent is dead"
lab_daemon jump01
lab_wait_for 30 lab_in_sync || bad "jump01 is not in sync after the agent's restart"
unbroken jump01 alice "over the agent's restart"
lab_kill9 jump01
lab_logout alice
when=$(lab_now_ms)
lab_daemon jump01
check "her session ends" lab_wait_for 30 not_live alice
cut_at jump01 alice "$when" "logout while the agent was dead"
check "recorded" lab_wait_for 30 ended_in_last alice

echo "== the mux is killed: a login meanwhile is delivered after its restart"
lab_login bob jump01 bob
lab_kill9 host
lab_login alice jump01 alice
reaches_not bob $DB 5432 "bob meanwhile"
lab_daemon host
check "alice gains access" gains alice
check "alice is known" lab_wait_for 30 live alice
lab_wait_for 30 lab_in_sync || bad "not in sync after the mux's restart"
transfer alice jump01 alice
lab_kill9 host
lab_daemon host
lab_wait_for 30 lab_in_sync || bad "not in sync after the mux's second restart"
unbroken jump01 alice "over the mux's restart"

echo "== the service VM's daemon is killed: sessions survive, logins meanwhile are delivered"
lab_kill9 svm
su_session carol
lab_logout bob
reaches alice $DB 5432 "alice, new connection while svm-idfw is dead"
lab_daemon svm
lab_wait_for 30 lab_in_sync || bad "not in sync after svm-idfw's restart"
check "alice is still known" lab_wait_for 30 live alice
check "carol, who came meanwhile, is known" lab_wait_for 30 live carol
check "bob, who went meanwhile, is not" lab_wait_for 30 not_live bob
unbroken jump01 alice "over svm-idfw's restart"
recorded() { lab_ctl --json last --limit 1000 | grep -c -E '"user": *"(alice|bob|carol)"'; }
all_recorded() { [ "$(recorded)" -ge 4 ]; }
lab_wait_for 30 all_recorded || true
check "every login was recorded once" [ "$(recorded)" = 4 ]

su_end carol
check "carol went" lab_wait_for 30 not_live carol

echo "== all of them are killed, while people come and go"
lab_kill9 host
lab_kill9 svm
su_session bob
lab_wait_for 30 grep -q 'of bob (su-l' "$LAB_DIR/log/jump01-gi-netagent.log" || bad "the agent did not hear of bob"
lab_kill9 jump01
lab_logout alice
for m in jump01 host svm; do lab_daemon $m; done
lab_wait_for 30 lab_in_sync || bad "not in sync after the restart of all"
check "alice went" lab_wait_for 30 not_live alice
check "bob came" lab_wait_for 30 live bob
check "alice's access is closed" loses alice

echo "== the wire between host and service VM is cut for 2 s"
lab_login alice jump01 alice
transfer alice jump01 alice
lab_in host ip link set svm down
su_session carol
sleep 2
reaches alice $DB 5432 "alice, new connection meanwhile"
lab_in host ip link set svm up
lab_in host ip addr replace fd77:9::1/64 dev svm nodad
check "carol, who came meanwhile, is known" lab_wait_for 30 live carol
lab_wait_for 30 lab_in_sync || bad "not in sync after the partition"
unbroken jump01 alice "over the partition"
lab_logout alice
su_end carol
check "carol went" lab_wait_for 30 not_live carol

echo "== the VM loses power: its sessions end, others' do not"
lab_in db01 true
lab_login alice web01 alice
su_session carol
check "carol is known" lab_wait_for 30 live carol
lab_reboot jump01
check "its agent has not been started: nothing goes out" nothing_out jump01
check "who has to mend it gets in" lab_wait_for 30 lab_tcp_open client 10.77.1.10 22
lab_in client rm -f /run/lab/go
# shellcheck disable=SC2016
lab_in client bash -c 'exec 3<>/dev/tcp/10.77.1.10/22 && read -r -t 90 line <&3 && echo "$line"
	until [ -e /run/lab/go ]; do sleep 0.05; done
	printf "SSH-2.0-test\r\n" >&3; timeout 90 head -c 100 <&3 | wc -c' >"$LAB_DIR/held" 2>&1 &
held=$!
check "sshd answers" lab_wait_for 30 grep -q '^SSH-2.0' "$LAB_DIR/held"
lab_daemon jump01
lab_wait_for 30 lab_in_sync || bad "not in sync after the reboot"
lab_in client touch /run/lab/go
wait $held
check "the connection that began under the base ruleset goes on under the policy" grep -qx 100 "$LAB_DIR/held"
check "carol's session ended with the boot" lab_wait_for 30 not_live carol
check "alice on web01 is still there" [ -n "$(lab_ctl --json who alice)" ]
check "recorded as a reboot" lab_wait_for 30 reboot_in_last carol
reaches alice $DB 5432 "alice from web01"
lab_logout alice

echo "== killed at any moment: a login and a kill, again and again"
for ms in 0 2 5 10 20 50; do
	for m in jump01 host svm; do
		su_session alice
		sleep "$(printf '0.%03d' $ms)"
		lab_kill9 $m
		lab_daemon $m
		gains alice 30000 || bad "killing $m $ms ms after the login: alice has no access"
		su_end alice
		loses alice 30000 || bad "killing $m $ms ms after the login: alice keeps access"
	done
done
check "in sync" lab_wait_for 30 lab_in_sync
check "alice is not live" lab_wait_for 30 not_live alice
