# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lab/checks.sh - what the demo and the tests ask of a lab: who reaches what, when a transfer was
# cut, what the audit trail says. Each prints its finding; FAILED counts the bad ones.
# shellcheck disable=SC2034 # some are read by those who source this

DB=10.77.3.10 DB6=fd77:3::10 WEB=10.77.2.10
FAILED=0

tell() { printf '   %s\n' "$*"; }
ok() { printf '   ok    %s\n' "$*"; }
bad() {
	printf '   FAIL  %s\n' "$*"
	FAILED=$((FAILED + 1))
}
# check TEXT CMD... - CMD decides
check() {
	local text=$1
	shift
	if "$@"; then ok "$text"; else bad "$text"; fi
}
since() { echo "$(($(lab_now_ms) - $1)) ms"; }

# reaches LOGIN HOST PORT WHAT / reaches_not ...: a new connection from within the login
reaches() {
	local start line
	start=$(lab_now_ms)
	if line=$(lab_run "$1" "/run/lab/stream.py probe $2 $3"); then
		ok "$4: \"$line\" received ($(since "$start"))"
	else
		bad "$4: $line"
	fi
}
reaches_not() {
	local line
	if line=$(lab_run "$1" "/run/lab/stream.py probe $2 $3 700"); then
		bad "$4: \"$line\" received"
	else
		ok "$4: $line"
	fi
}

# runs_on VM USER: the user's transfer gets lines now; to be asked before what shall cut it
runs_on() {
	local was
	was=$(lab_pulled "$1" "$2")
	lab_wait_for 30 more_pulled "$1" "$2" $((was + 3)) || bad "$2's transfer on $1 stands still"
}
more_pulled() { [ "$(lab_pulled "$1" "$2")" -ge "$3" ]; }
stands_still() { # VM USER - not a line in half a second, while one is sent each 20 ms
	local was
	was=$(lab_pulled "$1" "$2")
	sleep 0.5
	[ "$(lab_pulled "$1" "$2")" = "$was" ]
}
# cut_at VM USER WHEN WHAT: the user's transfer, which ran on, has stopped, and its process still waits
# for more: it was the network that was cut. How long after WHEN the last line came is shown, and no
# limit: that is the machine's as well
cut_at() {
	local lines last
	if ! lab_wait_for 30 stands_still "$1" "$2"; then
		bad "$4: lines come all the same, $(since "$3") after it"
		return
	fi
	lines=$(lab_pulled "$1" "$2") last=$(lab_pull_last "$1" "$2")
	if [ "$lines" -ge 10 ] && lab_pull_waits "$1" "$2"; then
		if [ "$last" -lt "$3" ]; then
			ok "$4: the last of $lines lines had come $(($3 - last)) ms before it was done"
		else
			ok "$4: the last of $lines lines came $((last - $3)) ms after it"
		fi
	else
		bad "$4: $lines lines, last $((last - $3)) ms after it," \
			"$(lab_pull_waits "$1" "$2" || echo its process ended)"
	fi
}

# A process that the user left behind on the VM tries again.
leftover_reaches_not() {
	local line id
	id=$(lab_in "$1" id -u "$2")
	if line=$(lab_in "$1" setpriv --reuid "$id" --regid "$id" --clear-groups \
		/run/lab/stream.py probe $DB 5432 700); then
		bad "$2's leftover process on $1 still reaches $DB:5432: $line"
	else
		ok "$2's leftover process on $1 gets no new connection: $line"
	fi
}

# left_begin LOGIN - of alice on jump01: a shell that outlives it and takes commands from a file
left_begin() {
	lab_run "$1" 'mkfifo left.in; setsid nohup bash -c "exec 3<>left.in; while read -r line <&3; do eval \"\$line\" >left.out 2>&1; echo \$? >left.rc; done" >/dev/null 2>&1 &'
}
left() { # CMD - what it prints there; its status
	lab_in jump01 rm -f /home/alice/left.rc
	# opening it for writing waits until the shell there has it open
	# shellcheck disable=SC2016
	lab_in jump01 sh -c 'echo "$1" >/home/alice/left.in' left "$1"
	lab_wait_for 30 lab_in jump01 test -s /home/alice/left.rc || return 99
	lab_in jump01 cat /home/alice/left.out
	return "$(lab_in jump01 cat /home/alice/left.rc)"
}

transfer() {
	lab_pull "$1" $DB 5432
	lab_wait_for 30 lab_pull_runs "$2" "$3" || bad "$3's transfer from db01 does not run"
}

# unbroken VM USER [WHAT]: the transfer goes on, lost no line and had no gap but a busy machine's
unbroken() {
	local report
	lab_wait_for 30 more_pulled "$1" "$2" 50 || bad "$2's transfer${3:+ $3}: it never ran for a second"
	runs_on "$1" "$2"
	if report=$(lab_in "$1" cat "/home/$2/pull.log" | awk '
		{ if (NR > 1 && $3 != n + 1) lost++; if (NR > 1 && $1 - t > gap) gap = $1 - t; t = $1; n = $3 }
		END { printf "%d lines, %d lost, longest gap %d ms", NR, lost, gap
		      exit !(!lost && gap < 10000) }'); then
		ok "$2's transfer${3:+ $3}: $report"
	else
		bad "$2's transfer${3:+ $3}: $report"
	fi
}

# audited KIND USER REASON: the audit trail has it
audited() {
	lab_ctl --json audit --limit 10000 | grep -E "\"kind\": *\"$1\"" |
		grep -E "\"user\": *\"$2\"" | grep -e "$3" >/dev/null
}

# ---- for tests -----------------------------------------------------------------------------------

# lab_test - a lab of the test's own, up with its daemons, and down at its end however that comes.
lab_test() {
	[ "$(id -u)" = 0 ] || {
		echo 'needs root (namespaces, mounts)'
		exit 77
	}
	trap lab_test_end EXIT
	trap 'exit 1' HUP INT TERM PIPE
	lab_up
	lab_daemons
}
lab_test_end() {
	local rc=$?
	trap '' HUP INT TERM PIPE # also when nobody reads us any more
	set +e
	[ "$rc.$FAILED" = 0.0 ] || lab_logs
	lab_down || rc=1
	[ "$FAILED" = 0 ] || rc=1
	echo "$FAILED checks failed, status $rc"
	exit "$rc"
}

# su_session USER: a session through PAM that needs no directory to authenticate (root's su)
su_session() {
	lab_spawn jump01 "su-$1" su - "$1" -s /bin/sh -c 'exec sleep 600'
}
su_end() { lab_signal jump01 "su-$1" KILL; }

# as USER HOST PORT [MS]: a process of the user on jump01 tries a new connection, within a session
# of his if there is one: the newest cgroup with a process of his (older ones: left behind)
as() {
	local id
	id=$(lab_in jump01 id -u "$1")
	# shellcheck disable=SC2016
	lab_in jump01 sh -c 'for d in $(find /run/lab/cgroup/ -mindepth 1 -type d 2>/dev/null | sort -V); do
			for p in $(cat "$d/cgroup.procs"); do
				[ "$(stat -c %u "/proc/$p" 2>/dev/null)" = "$1" ] && in=$d
			done
		done
		[ -z "${in:-}" ] || echo $$ >"$in/cgroup.procs"
		id=$1; shift
		exec setpriv --reuid "$id" --regid "$id" --clear-groups /run/lab/stream.py "$@"' \
		as "$id" "${@:2}"
}
# again and again: a session that has just begun may have no process of the user yet
gains() {
	local end
	end=$(($(lab_now_ms) + ${2:-30000}))
	until as "$1" until $DB 5432 open 500 >/dev/null; do
		[ "$(lab_now_ms)" -lt "$end" ] || return 1
	done
}
loses() { as "$1" until $DB 5432 shut "${2:-30000}" >/dev/null; }
live() { lab_ctl --json who "$1" | grep -E "\"vm\": *\"jump01\"" >/dev/null; }
not_live() { ! live "$1"; }
ended_in_last() {
	lab_ctl --json last --user "$1" --limit 1 | grep -E '"closed_ms": *[0-9]' >/dev/null
}
