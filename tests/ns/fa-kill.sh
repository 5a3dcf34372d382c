#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-kill.sh - the real worker and its supervisor killed, stopped and replaced with openers waiting;
# configuration and log that change live
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
for i in 1 2 3 4 5 6 7 8 9; do fa_put "f$i" "file $i"; done
fa_put bad FA-BAD
fa_put bad2 FA-BAD

waiting() { # NAME FILE - an opener that the mute service holds
	svc_mark
	fa_opener "$1" "$mnt/$2"
	svc_says "^event .*/$2\$" "$2 is held"
}

# ---- strict: nobody gets through unscanned ----
fa_deadlines='deadline-base 3s; deadline-max 5s;'
fa_conf 'on-failure deny;'
svc_start bad=deny mute=yes
fa_start
svc_up
old=$(fa_worker)
waiting k1 bad
kill -9 "$old"
check "strict, worker killed: denied" EBUSY "$(fa_result k1)"
await 30 fa_new_worker "$old" || fail "no new worker"
await 30 fa_has 'worker: up.*' || fail "it is not up"
await 30 svc_has '^hello' || fail "it does not connect"

waiting k2 bad
kill -STOP "$(fa_worker)"
check "strict, worker stopped: denied" EBUSY "$(fa_result k2)"
await 30 svc_has '^hello' || fail "it does not connect"

# the supervisor ends; nobody is to wait for a deadline here
fa_deadlines='deadline-base 60s; deadline-max 60s;'
fa_conf 'on-failure deny;'
fa_mark_log
kill -HUP "$fa_sup"
fa_says 'configuration read anew'
# the supervisor ends: the worker goes on alone, the next one takes over, the opener stays held
old=$(fa_worker)
waiting k3 f3
waiting k4 bad2
kill -9 "$fa_sup"
fa_wait "$fa_sup"
sleep 0.2 # whoever is let go would be by now, or is seen below
check "supervisor killed: nobody is let go" "" "$(cat "$dir/k3.out" "$dir/k4.out")"
fa_mark_log
fa_run
fa_says 'taken over|took over' "the next supervisor takes over"
same_worker() { [ "$(fa_worker)" = "$old" ]; } # whoever takes over writes that file anew
await 30 same_worker || :
check "the same worker" "$old" "$(fa_worker)"
svc_mute
check "clean: judged by the same worker" ok "$(fa_result k3)"
check "bad: denied" EPERM "$(fa_result k4)"
check "and it goes on" EPERM "$(fa_open "$mnt/bad")"
cat "$mnt/f4" "$mnt/f4" >/dev/null
check_counter_min marks_added 1
fa_stop
svc_stop

# ---- lenient: nobody hangs ----
fa_deadlines='deadline-base 60s; deadline-max 60s;' # nobody waits for that
fa_conf 'on-failure allow;'
svc_start bad=deny mute=yes
fa_mark_log
fa_start
svc_up
old=$(fa_worker)
waiting k5 f5
kill -9 "$old"
check "lenient, worker killed: let through" ok "$(fa_result k5)"
await 30 fa_new_worker "$old" || fail "no new worker"
await 30 svc_has '^hello' || fail "it does not connect"
svc_mute
svc_says '^event .* op 4 .*/f5$' "the next worker looks at it" 30
svc_says '^passed worker ended allowed .*/f5$' "and reports it" 30

# ---- live: level and destination of the log, without a restart ----
await 30 fa_has 'worker: up.*' || fail "it is not up"
old=$(fa_worker)
sed -i 's/debug-level 7;/debug-level 3;/' "$dir/conf"
kill -HUP "$fa_sup"
unlogged() { # a denial; that the level counts is not said at that level
	fa_mark_log
	check "level 3: denied all the same" EPERM "$(fa_open "$mnt/bad")" >>"$dir/denied"
	sleep 0.3
	! fa_has 'worker.*/bad: Test.Bad'
}
: >"$dir/denied"
if await 30 unlogged; then ok "nothing is logged"; else fail "it logs beyond its level"; fi
check "level 3: denied all the same" 0 "$(grep -c FAIL "$dir/denied" || :)"
sed -i 's/debug-level 3;/debug-level 7; debug-dest mux; debug-rate 5;/' "$dir/conf"
svc_mark
kill -HUP "$fa_sup"
svc_says '^log 5 0 configuration read anew' "the log comes through the mux"
svc_mark
since=$(now_ms)
for i in $(seq 100); do "$fa_file" open "$mnt/bad" >/dev/null || :; done
svc_says '^log 5 .*/bad: Test.Bad: denied$'
sleep 1
lines=$(svc_count '^log')
most=$((15 + 6 * ($(now_ms) - since) / 1000)) # on a busy machine a hundred denials take seconds
if [ "$lines" -le $most ] && [ "$lines" -lt 250 ]; then ok "100 denials, $lines lines"; else fail "100 denials, $lines lines: no limit"; fi
check "the same worker all the while" "$old" "$(fa_worker)"
fa_stop
fa_scan_end
