#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ways in besides ssh: login on a terminal, su, sudo. Each gives the session's access while it
# lasts, says which service it was, and takes it back. What the module does without its agent, and for users of the system.
set -euo pipefail
: "${IDFW_LAB:=p$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

# through SERVICE CMD...: a session of alice on jump01 that CMD opens and that lasts as long as it
through() {
	local service=$1
	shift
	echo "== $service"
	check "no access before" loses alice
	lab_spawn jump01 "by-$service" "$@"
	check "access within" gains alice
	check "known as a session of $service" lab_wait_for 30 known_by "$service"
	lab_signal jump01 "by-$service" TERM
	check "gone" lab_wait_for 30 not_live alice
	check "no access after" loses alice
}
known_by() { lab_ctl --json who alice | grep -E "\"service\": *\"$1\"" >/dev/null; }

through su-l su - alice -s /bin/sh -c 'exec sleep 600'
through sudo sudo -u alice sleep 600
# a terminal, and somebody who types nothing
through login bash -c 'exec script -qec "login -f alice" /dev/null < <(exec sleep 600)'

echo "== the service without the session module's answer: the agent is stopped"
agent_signal() {
	local keeper
	keeper=$(lab_pid jump01 gi-netagent)
	# shellcheck disable=SC2046
	lab_in jump01 kill "-$1" "$keeper" $(lab_in jump01 pgrep -P "$keeper")
}
agent_signal STOP
start=$(lab_now_ms)
check "su works, after the time-out of 2000 ms at each end at most" lab_in jump01 timeout 60 su - bob -s /bin/sh -c true
tell "$(since "$start")"
agent_signal CONT

echo "== required: no agent, no login"
lab_kill9 jump01
lab_pam jump01 "socket=/run/idfw/pam.sock timeout_ms=300 required" required
rc=0
lab_in jump01 su - bob -s /bin/sh -c true 2>/dev/null || rc=$?
check "su is refused" [ $rc != 0 ]
lab_pam jump01 "socket=/run/idfw/pam.sock timeout_ms=30000 required" required
lab_daemon jump01
lab_wait_for 30 lab_in_sync || bad "not in sync"
check "su works again with the agent" lab_in jump01 su - bob -s /bin/sh -c true

echo "== a user of the system is recorded, the directory is not asked"
lab_spawn jump01 by-daemon su daemon -s /bin/sh -c 'exec sleep 600'
by_system() { lab_ctl --json who daemon 2>/dev/null | grep -E '"directory": *"system"' >/dev/null; }
check "daemon is system" lab_wait_for 30 by_system
