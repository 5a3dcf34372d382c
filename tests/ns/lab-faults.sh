#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Faults, in one lab: each daemon killed with -9 in turn and all at once while people come and go,
# the directory down, the disk full. Nothing recorded is lost, the others go on, state converges.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root'
	exit 77
}
export IDFW_BUILD=${top_builddir:?} IDFW_LAB=f$$
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"

ending() {
	local rc=$?
	trap '' INT TERM HUP
	[ "$rc.$FAILED" = 0.0 ] || lab_logs
	lab_down || rc=1
	[ "$FAILED" = 0 ] || rc=1
	echo "faults: $FAILED checks failed, status $rc"
	exit "$rc"
}
trap ending EXIT
trap 'exit 1' HUP INT TERM

# su_session USER: a session through PAM that needs no directory to authenticate (root's su)
su_session() {
	lab_spawn jump01 "su-$1" su - "$1" -s /bin/sh -c 'exec sleep 600'
}
su_end() { lab_signal jump01 "su-$1" KILL; }

# as USER HOST PORT [MS]: a process of the user on jump01 tries a new connection
as() {
	local id
	id=$(lab_in jump01 id -u "$1")
	lab_in jump01 setpriv --reuid "$id" --regid "$id" --clear-groups \
		/run/lab/stream.py "${@:2}"
}
gains() { as "$1" until $DB 5432 open "${2:-5000}" >/dev/null; }
loses() { as "$1" until $DB 5432 shut "${2:-5000}" >/dev/null; }
live() { lab_ctl --json who "$1" | grep -E "\"vm\": *\"jump01\"" >/dev/null; }
not_live() { ! live "$1"; }
ended_in_last() {
	lab_ctl --json last --user "$1" --limit 1 | grep -E '"closed_ms": *[0-9]' >/dev/null
}

echo "== the agent is killed: rules stay, a logout meanwhile is seen after its restart"
lab_up
lab_daemons
lab_login alice jump01 alice
reaches alice $DB 5432 "before"
transfer alice jump01 alice
lab_kill9 jump01
sleep 0.3
reaches alice $DB 5432 "new connection while the agent is dead"
lab_daemon jump01
lab_wait_for 10 lab_in_sync || bad "jump01 is not in sync after the agent's restart"
sleep 0.5
unbroken jump01 alice "over the agent's restart"
lab_kill9 jump01
lab_logout alice
when=$(lab_now_ms)
lab_daemon jump01
check "her session ends" lab_wait_for 5 not_live alice
cut_at jump01 alice "$when" "logout while the agent was dead" 3000
check "recorded" ended_in_last alice

echo "== the mux is killed: a login meanwhile is delivered after its restart"
lab_login bob jump01 bob
lab_kill9 host
lab_login alice jump01 alice
reaches_not bob $DB 5432 "bob meanwhile"
lab_daemon host
check "alice gains access" gains alice
check "alice is known" lab_wait_for 5 live alice
lab_wait_for 10 lab_in_sync || bad "not in sync after the mux's restart"
transfer alice jump01 alice
lab_kill9 host
sleep 0.5
lab_daemon host
lab_wait_for 10 lab_in_sync || bad "not in sync after the mux's second restart"
sleep 0.5
unbroken jump01 alice "over the mux's restart"

echo "== the service VM's daemon is killed: sessions survive, logins meanwhile are delivered"
lab_kill9 svm
su_session carol
lab_logout bob
reaches alice $DB 5432 "alice, new connection while svm-idfw is dead"
lab_daemon svm
lab_wait_for 10 lab_in_sync || bad "not in sync after svm-idfw's restart"
check "alice is still known" lab_wait_for 5 live alice
check "carol, who came meanwhile, is known" lab_wait_for 5 live carol
check "bob, who went meanwhile, is not" lab_wait_for 5 not_live bob
unbroken jump01 alice "over svm-idfw's restart"
check "every login was recorded once" [ "$(lab_ctl --json last --limit 1000 |
	grep -c -E '"user": *"(alice|bob|carol)"')" = 4 ]

echo "== all of them are killed, while people come and go"
lab_kill9 jump01
lab_kill9 host
lab_kill9 svm
lab_logout alice
su_session bob
for m in jump01 host svm; do lab_daemon $m; done
lab_wait_for 15 lab_in_sync || bad "not in sync after the restart of all"
check "alice went" lab_wait_for 5 not_live alice
check "bob came" lab_wait_for 5 live bob
check "alice's access is closed" loses alice

echo "== killed at any moment: a login and a kill, again and again"
for ms in 0 2 5 10 20 50; do
	for m in jump01 host svm; do
		su_session alice
		sleep "$(printf '0.%03d' $ms)"
		lab_kill9 $m
		lab_daemon $m
		gains alice 15000 || bad "killing $m $ms ms after the login: alice has no access"
		su_end alice
		loses alice 15000 || bad "killing $m $ms ms after the login: alice keeps access"
	done
done
check "in sync" lab_wait_for 10 lab_in_sync
check "nobody but bob and carol is live" lab_wait_for 5 not_live alice

echo "== the directory is down: logins are recorded, cached groups serve, others wait for it"
su_end carol
lab_wait_for 5 not_live carol || bad "carol is still there"
lab_ad_group_add eng carol
sleep 1
lab_signal dc samba KILL
su_session alice
check "alice, known from before, gains access" gains alice
su_session carol
check "carol is recorded" lab_wait_for 5 live carol
lab_dc_run
check "carol gains access when the directory is back" gains carol 10000
lab_ad_group_del eng carol
check "and loses it again" loses carol

echo "== the service VM's disk is full: events stay with the agents until they fit"
su_end alice
su_end carol
lab_wait_for 5 not_live alice || bad "alice is still there"
lab_kill9 svm
lab_in svm sh -c 'cp -a /var/lib/idfw /run/idfw-kept && mount -t tmpfs -o size=4m,uid=990,gid=990 full /var/lib/idfw &&
	cp -a /run/idfw-kept/. /var/lib/idfw/'
lab_daemon svm
lab_wait_for 10 lab_in_sync || bad "not in sync on the small disk"
lab_in svm sh -c 'dd if=/dev/zero of=/var/lib/idfw/filler bs=4k 2>/dev/null; true'
for _ in {1..60}; do
	su_session alice
	su_end alice
done
su_session alice
check "alice gains access with a full database" gains alice
check "it is said loudly" lab_wait_for 5 grep -qiE 'full|no space|disk' "$LAB_DIR/log/svm-svm-idfw.log"
check "status is not well" [ "$(lab_ctl status >/dev/null 2>&1; echo $?)" = 1 ]
lab_in svm rm /var/lib/idfw/filler
recorded() { [ "$(lab_ctl --json audit --user alice --limit 10000 | grep -c '"kind": *"login"')" -ge "$1" ]; }
check "all 61 logins are recorded after it has room again" lab_wait_for 20 recorded 61
