#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whose a packet is: the login session's, by its cgroup, whatever uid sends it. alice (group eng) may
# reach db01, bob may not. What they become by sudo and su, what is nobody's, what is left behind
# after a logout, two logins of one user, a login that the agent did not see. And services that the
# policy names by uid or by unit.
set -euo pipefail
: "${IDFW_LAB:=s$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
[ -n "$LAB_CGROUP" ] || {
	echo 'SKIP: needs a writable cgroup v2'
	exit 77
}
lab_test
lab_in jump01 sh -c 'printf "%s\n" "alice ALL=(ALL) NOPASSWD: ALL" "bob ALL=(ALL) NOPASSWD: ALL" \
	>/etc/sudoers.d/lab; chmod 440 /etc/sudoers.d/lab'
probe="/run/lab/stream.py probe $DB 5432"
may() { # LOGIN WHAT CMD...
	local line
	if line=$(lab_run "$1" "${*:3} $probe"); then ok "$2: $line"; else bad "$2: $line"; fi
}
may_not() {
	local line
	if line=$(lab_run "$1" "${*:3} $probe 700"); then bad "$2: $line"; else ok "$2: $line"; fi
}

echo "== alice is alice, whatever she becomes"
lab_login a jump01 alice
may a "alice" ''
may a "alice, as root by sudo" sudo
may a "alice, as bob by sudo" sudo -u bob
may a "alice, as root in a shell of sudo -i" sudo -i
may a "alice, as bob by root's su" sudo su bob -s /bin/sh -c "'$probe';" true
echo "== bob is bob, also as alice"
lab_login b jump01 bob
may_not b "bob" ''
may_not b "bob, as root" sudo
may_not b "bob, as alice by sudo" sudo -u alice
lab_logout b

echo "== nobody: a root daemon, a process that merely has alice's uid"
# no_one WHAT CMD... - from outside all sessions
no_one() {
	local line
	if line=$(lab_in jump01 "${@:2}" /run/lab/stream.py probe $DB 5432 700); then
		bad "$1: $line"
	else
		ok "$1: $line"
	fi
}
no_one "a process of root" env
no_one "alice's uid, no session" setpriv --reuid 2001 --regid 2001 --clear-groups

echo "== what a logout leaves behind loses access: at once, for good, and cannot become somebody"
left_begin a
lab_run a 'tmux -L t new-session -d "exec bash" && tmux -L t has-session -t 0' ||
	bad "tmux does not start"
left_may_not() { # WHAT CMD
	local line rc=0
	line=$(left "$2 $probe 700") || rc=$?
	if [ $rc = 1 ]; then ok "$1: $line"; else bad "$1: status $rc, $line"; fi
}
if line=$(left "$probe"); then ok "before it: $line"; else bad "before it: $line"; fi
transfer a jump01 alice
start=$(lab_now_ms)
lab_logout a
cut_at jump01 alice "$start" "the transfer that she left running"
left_may_not "left behind" ""
left_may_not "left behind, as root" sudo
left_may_not "left behind, as bob" "sudo -u bob"
left_may_not "left behind, as alice again" "sudo -u alice"
lab_login c jump01 alice
may c "alice, logged in again" ''
left_may_not "left behind, while she is logged in again" ""
lab_send c "tmux -L t new-window -d '$probe >tmux.out 2>&1; echo \$? >tmux.rc'"
lab_answer c || bad "tmux is not there"
lab_wait_for 30 lab_in jump01 test -s /home/alice/tmux.rc || bad "no answer out of tmux"
check "the tmux of before is nobody's, whoever attaches to it" \
	[ "$(lab_in jump01 cat /home/alice/tmux.rc)" != 0 ]

echo "== two logins of one user: the end of one is not the other's"
lab_login d jump01 alice
transfer c jump01 alice
may d "the other one" ''
lab_logout d
may c "the first, after the other's logout" ''
unbroken jump01 alice "through the other's logout"

echo "== a daemon that she starts is in her session"
lab_run c "sudo sh -c 'setsid /run/lab/stream.py until $DB 5432 shut 60000 >/home/alice/daemon.out 2>&1 &'"
lab_logout c
lab_wait_for 30 lab_in jump01 test -s /home/alice/daemon.out || bad "root's daemon still reaches $DB"
check "and ends with it: root's daemon has lost access" lab_in jump01 grep -q '^[0-9]' /home/alice/daemon.out

echo "== a login of while all of the agent was down is found"
lab_kill9 jump01
lab_login e jump01 alice
may_not e "without the agent" ''
lab_daemon jump01
found() { lab_ctl --json who alice 2>/dev/null | grep -E '"service": *"found"' >/dev/null; }
check "found" lab_wait_for 30 found
lab_wait_for 30 lab_run e "$probe" >/dev/null || true
may e "alice, found" ''
may e "alice, found, as root" sudo
lab_logout e
not_there() { ! lab_ctl --json who alice 2>/dev/null | grep -E '"vm": *"jump01"' >/dev/null; }
check "and it ends" lab_wait_for 30 not_there

echo "== services: a uid, a unit, as long as the policy names them"
# commit EMERGENCY APPLICATION - the lab's policy with these rules in front, and three groups
commit() {
	sed -e '/^group eng /i group www { uid 33; }\ngroup lp { uid 7; }\ngroup feed { unit "feed.service"; }' \
		-e "/^section infrastructure/i section emergency { $1 }" \
		-e "/^section application/a $2" "$LAB_TOP/lab/policy.idfw" | lab_put svm /run/lab/policy.idfw
	lab_ctl policy commit /run/lab/policy.idfw >/dev/null
	lab_wait_for 30 lab_in_sync || bad "the policy is not everywhere"
}
by_uid() { # UID CMD... - as that uid, outside all sessions
	lab_in jump01 setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"
}
uid_may() {
	local line
	if line=$(by_uid "$1" /run/lab/stream.py until $DB 5432 open 20000); then ok "$2"; else bad "$2: $line"; fi
}
uid_may_not() {
	local line
	if line=$(by_uid "$1" /run/lab/stream.py probe $DB 5432 700); then bad "$2: $line"; else ok "$2: $line"; fi
}
# shellcheck disable=SC2016
feed='until /run/lab/stream.py probe '$DB' 5432; do sleep 0.1; done; echo open >/run/lab/feed.open
	exec /run/lab/stream.py until '$DB' 5432 shut 60000'
uid_may_not 33 "uid 33, not named yet"
commit "" 'rule www-db allow from www to db service postgres; rule feed-db allow from feed to db service postgres;'
uid_may 33 "uid 33"
uid_may_not 7 "uid 7, whom no rule lets"
no_one "a process of root beside it" env
lab_spawn jump01 feed sh -c "$feed"
check "the unit reaches $DB, as root" lab_wait_for 30 lab_in jump01 test -s /run/lab/feed.open
uid_may 33 "uid 33, with the unit beside it"
lab_login f jump01 alice
may f "alice, with both beside her" ''
commit "rule no-lp drop from lp to db service postgres;" 'rule all-db allow from any to db service postgres;'
uid_may 33 "uid 33, as everybody"
uid_may_not 7 "uid 7, forbidden"
may f "alice, as everybody" ''
may f "alice's sudo -u with uid 7: alice" sudo -u "'#7'"
lab_signal jump01 feed KILL
lab_ctl policy commit /etc/idfw/policy.idfw >/dev/null
lab_wait_for 30 lab_in_sync || bad "the policy is not everywhere"
uid_may_not 33 "uid 33, not named any more"
may f "alice, all the same" ''
lab_logout f
