#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The file path end to end, in a lab: what the demo shows, then each process of it killed with -9
# and stopped, with openers waiting: in a strict place no unscanned content is ever given out, in the
# other nobody hangs; everything comes back by itself.
set -euo pipefail
: "${IDFW_LAB:=files$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
# shellcheck source=lab/files.sh
. "$LAB_TOP/lab/files.sh"
step() { printf '== %s\n' "$*"; }
lab_test

if [ -z "${FAULTS_ONLY:-}" ]; then
	files_clean
	files_infected
	files_release
	files_policy
	files_test
fi

# ---- faults ----------------------------------------------------------------------------------------

# agent_pids: the two processes of gi-fileagent, as web01 counts; the supervisor first
agent_pids() {
	local sup
	sup=$(lab_pid web01 gi-fileagent) || return 1
	# shellcheck disable=SC2016
	lab_in web01 sh -c 'echo "$1"; for p in /proc/[0-9]*; do
		case $(readlink "$p/exe") in */gi-fileagent) [ "${p#/proc/}" = "$1" ] || echo "${p#/proc/}" ;; esac
	done' pids "$sup"
}
worker_signal() { # SIGNAL - there may be none for a moment
	local pid
	pid=$(agent_pids | sed -n 2p) && [ -n "$pid" ] && lab_in web01 kill "-$1" "$pid"
}
part_signal() { # PART SIGNAL
	case $1 in
	supervisor) lab_in web01 kill "-$2" "$(agent_pids | sed -n 1p)" ;;
	worker) lab_wait_for 30 worker_signal "$2" ;;
	mux) lab_signal host gi-mux "$2" ;;
	service) lab_signal svm svm-scan "$2" ;;
	esac
}
part_restart() { # PART: what systemd would do; a worker is its supervisor's
	case $1 in
	supervisor) lab_daemon web01 gi-fileagent ;;
	mux) lab_daemon host ;;
	service) lab_daemon svm svm-scan ;;
	esac
}

lab_put web01 /run/lab/opener.py <"$LAB_TOP/tests/ns/opener.py"
openers() { # DIR SECONDS LOG
	lab_in web01 timeout 120 setpriv --reuid 2001 --regid 2001 --clear-groups \
		python3 /run/lab/opener.py "$1" "$2" >"$LAB_DIR/$3" 2>&1 &
}
answered() { # a clean file can be read in the strict place
	lab_in web01 sh -c 'echo clean >/home/strict/probe && cat /home/strict/probe >/dev/null' 2>/dev/null
}

# fault PART SIGNAL: while four openers work, two in each place
fault() {
	local i jobs=() given
	for i in 1 2; do
		openers /home/strict 4 "strict$i"
		jobs+=($!)
		openers /home/alice 4 "lenient$i"
		jobs+=($!)
	done
	sleep 1
	part_signal "$1" "$2"
	if [ "$2" = STOP ]; then
		sleep 2
		part_signal "$1" CONT || true # a worker that was stopped has been replaced by now
	else
		sleep 0.5
		part_restart "$1"
	fi
	for i in "${jobs[@]}"; do
		wait "$i" || bad "$1 $2: an opener did not end"
	done
	for i in strict1 strict2 lenient1 lenient2; do
		grep -q '^done [1-9]' "$LAB_DIR/$i" || bad "$1 $2, $i: $(tail -n 1 "$LAB_DIR/$i")"
		! grep -q ^slow "$LAB_DIR/$i" || bad "$1 $2, $i: $(grep ^slow "$LAB_DIR/$i" | head -n 1)"
	done
	given=$(cat "$LAB_DIR"/strict[12] | awk '/^given/ { n += $2 } END { print n + 0 }')
	if [ "$given" = 0 ]; then
		ok "$1 $2: $(cat "$LAB_DIR"/strict[12] | awk '/^done/ { n += $2 } END { print n }') opens in the strict place, nothing given out"
	else
		bad "$1 $2: infected content was given out $given times in the strict place"
	fi
	lab_wait_for 30 answered || bad "$1 $2: opens are not answered afterwards"
	lab_wait_for 30 lab_scan_ready || bad "$1 $2: the file path does not come back"
}

step "faults with openers waiting"
for part in worker supervisor mux service; do
	fault $part KILL
done
for part in worker service mux; do
	fault $part STOP
done
check "and EICAR still disappears" lab_in web01 sh -c "printf %s%s '$EICAR_A' '$EICAR_B' >/home/strict/last.com"
gone_at web01 /home/strict/last.com >/dev/null || bad "it is still there"
lab_wait_for 30 lab_in_sync || bad "the identity path is not in sync"
