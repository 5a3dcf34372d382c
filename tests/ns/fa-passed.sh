#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whom the supervisor answers in the worker's place is told, with the real gi-fileagent on an image:
# the worker stands still beyond a deadline and goes on; it is killed while it holds openers; let
# through and denied. Each report has path and session, and comes once.
. "$(dirname "$0")/fa-scan-lib.sh"
. "$(dirname "$0")/fa-reports-lib.sh"

fa_image
mkdir -p "$dir/run/sessions"
chmod 755 "$dir/run" "$dir/run/sessions"
for f in killed strict1 {stopped,strict2}{1,2,3,4,5}; do echo "$f" >"$mnt/$f"; done
long=$mnt/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 200))
mkdir -p "$long"
echo x >"$long/fff$(printf 'f%.0s' $(seq 150))"
# opens FILE, says so, and lives on: there is somebody to be named
cat >"$dir/stay.py" <<'PY'
import errno, os, sys, time
try:
    os.open(sys.argv[1], os.O_RDONLY)
    word = "ok"
except OSError as e:
    word = errno.errorcode[e.errno]
with open(sys.argv[2], "w") as f:
    f.write(word + "\n")
time.sleep(300)
PY
stay() { # NAME FILE
	python3 "$dir/stay.py" "$2" "$dir/$1.out" &
	fa_pids+=($!)
	stayed=$!
	await 30 svc_has "^event .* op [12] .*/${2##*/}\$" || fail "$1 is not held"
}
told() { # NAME PID LINE - the actor's line, then the report
	if svc_since | grep -E -B1 -- "$3" | grep -qE "^passed by pid=$2 uid=0 session=4711 comm=python3"; then ok "$1"; else
		fail "$1 (pid $2)"
		svc_since | grep '^passed'
	fi
}

conf() { # ON-FAILURE DEADLINE - read anew if the agent runs
	fa_deadlines="deadline-base $2; deadline-max 5s;"
	fa_conf "on-failure $1;"
	[ -z "$fa_sup" ] || {
		fa_mark_log
		kill -HUP "$fa_sup"
		fa_says 'configuration read anew'
	}
}
killed() { # NAME FILE ANSWER - the worker is killed while it holds the opener
	svc_mark
	stay "$1" "$2"
	kill -9 "$fa_wpid"
	check "$1: answered" "$3" "$(fa_result "$1")"
	await 30 fa_new_worker "$fa_wpid" || fail "no new worker"
	fa_wpid=$(fa_worker)
	await 30 svc_has '^hello' || fail "it does not connect"
}
# stopped NAME FILE ANSWER WORD - it stands still beyond its deadline, then goes on. A busy machine may
# come too late to stop it, or to let it go on: again, with another file
stopped() {
	local try file told_it=no
	for try in 1 2 3 4 5; do
		file=$2$try
		svc_mark
		rm -f "$dir/$1.out"
		stay "$1" "$file"
		kill -STOP "$fa_wpid" || :
		check "$1: answered" "$3" "$(fa_result "$1")"
		kill -CONT "$fa_wpid" || :
		await 30 svc_has "^passed [a-z]+ [a-z]+.* $4 .*/$1$try\$" || :
		! svc_has "^passed worker stopped $4 .*/$1$try\$" || told_it=yes
		[ $told_it = no ] || break
		if fa_new_worker "$fa_wpid"; then
			fa_wpid=$(fa_worker)
			await 30 svc_has '^hello' || fail "it does not connect"
		fi
	done
	check "$1: told when it goes on" yes $told_it
	told "by whom" "$stayed" '^passed worker stopped'
	sleep 0.5
	check "once, and for one reason" 1 "$(svc_count "^passed [a-z]+ [a-z]+.* .*/$1$try\$")"
	check "the same worker" "$fa_wpid" "$(fa_worker)"
}

session_open 4711 alice 1001
conf allow 4s
svc_start bad=deny mute=yes
fa_start
svc_up

echo "# killed: the next one tells it"
killed killed "$mnt/killed" ok
svc_says '^passed worker ended allowed .*/killed$' "told by the next" 30
told "by whom" "$stayed" '^passed worker ended'

echo "# a path that is longer than the table remembers"
killed long "$(echo "$long"/f*)" ok
svc_says '^passed worker ended allowed .*/ddd.*/eee.*\.\.\.$' "its beginning is told" 30
told "by whom" "$stayed" '^passed worker ended'

echo "# it stands still beyond the deadline"
conf allow 700ms
stopped stopped "$mnt/stopped" ok allowed
fa_stop
svc_stop

echo "# strict: what was denied is told as well"
conf deny 4s
svc_start bad=deny mute=yes
fa_start
svc_up
killed strict1 "$mnt/strict1" EBUSY
svc_says '^passed worker ended denied .*/strict1$' "told by the next" 30
told "by whom" "$stayed" '^passed worker ended'
conf deny 700ms
stopped strict2 "$mnt/strict2" EBUSY denied
session_close
fa_stop
svc_stop
fa_scan_end
