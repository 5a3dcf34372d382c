#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-service.sh - a scan service that is slow, silent, stopped, killed, hostile: lenient and strict
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
for i in 1 2 3 4 5 6 7 8 9; do fa_put "f$i" "file $i"; done
fa_put bad 'FA-BAD'
took() { # CMD... - runs it; milliseconds in $ms, output in $out
	local t
	t=$(now_ms)
	out=$("$@")
	ms=$(($(now_ms) - t))
}

# ---- lenient ----
fa_deadlines='deadline-base 500ms; deadline-max 5s;'
fa_conf 'on-failure allow;'
svc_start bad=deny mute=yes
fa_start
svc_up
took fa_open "$mnt/f1"
check "silent service: let through" ok "$out"
if [ "$ms" -ge 450 ]; then ok "after its deadline: $ms ms"; else fail "after $ms ms"; fi
svc_says '^cancel .* reason 1'
svc_says '^passed deadline allowed .*/f1$'
check "the next one" ok "$(fa_open "$mnt/f2")"
svc_says '^passed service down allowed .*/f2$' "it does not wait, too"
check_counter breaker_opened 1
svc_mark
svc_mute
svc_says '^verdict' "the probe is answered"
fa_says 'answers again'
svc_says '^event .* op 4 .*/f[12]$' "what was let through is looked at"
check_counter rescans_waiting 0
check_counter_min rescans_done 2
# within 500 ms: on a busy machine not the first time
decides() { [ "$(fa_open "$1")" = "$2" ]; }
if await 30 decides "$mnt/bad" EPERM; then ok "and the service decides again"; else fail "and it does not decide"; fi

# stopped: the same, by a socket that nobody reads
kill -STOP "$svc"
check "stopped service: let through" ok "$(fa_open "$mnt/f3")"
kill -CONT "$svc"
check_counter_min rescans_done 3

# killed with openers waiting: another one takes over within the deadline
deadline() { # TIME ON-FAILURE - read anew
	fa_deadlines="deadline-base $1; deadline-max 60s;"
	fa_conf "on-failure $2;"
	fa_mark_log
	kill -HUP "$fa_sup"
	fa_says 'configuration read anew'
}
deadline 60s allow
svc_mute
svc_mark
fa_opener k1 "$mnt/f4"
fa_opener k2 "$mnt/bad"
svc_says '^event .*/f4$'
svc_says '^event .*/bad$'
svc_stop
svc_start bad=deny
check "killed, another one comes: judged" ok "$(fa_result k1)"
check "killed, another one comes: denied" EPERM "$(fa_result k2)"

# killed, none comes
fa_mark_log
svc_stop
await 30 fa_has 'no connection'
check "no service: let through" ok "$(fa_open "$mnt/f5")"
check "what was known to be bad stays denied" EPERM "$(fa_open "$mnt/bad")"
echo 'FA-BAD saved meanwhile' >"$mnt/meanwhile"
# saved under another name first, as editors do; and one that got a removed file's inode. The
# pauses are for the agent to have seen the close: without them less is tested, and all is well
echo 'FA-BAD renamed' >"$mnt/renamed.tmp"
sleep 0.1
mv "$mnt/renamed.tmp" "$mnt/renamed"
check "renamed, no service: let through" ok "$(fa_open "$mnt/renamed")"
reused=no
for i in $(seq 20); do
	echo "brief $i" >"$mnt/brief"
	sleep "0.$((10 + i * 4))"
	was=$(stat -c %i "$mnt/brief")
	rm "$mnt/brief"
	echo 'FA-BAD reused' >"$mnt/reused"
	[ "$(stat -c %i "$mnt/reused")" != "$was" ] || reused=yes
	[ $reused = no ] || break
	rm "$mnt/reused"
done
check "an inode is used again" yes $reused
sleep 0.1
svc_start bad=delete
svc_says '^event .* op 4 .*/meanwhile$' "saved without a service: looked at later"
for i in meanwhile renamed reused; do
	if await 30 gone "$mnt/$i"; then ok "and deleted: $i"; else fail "it stays: $i"; fi
done
check_counter_min rescans_gone 1
svc_says '^passed service down allowed .*/f5$' "nobody waited for it: reported" 30
fa_stop
svc_stop

# ---- strict: nothing passes unscanned ----
fa_deadlines='deadline-base 500ms; deadline-max 5s;'
fa_conf 'on-failure deny;'
svc_start bad=deny mute=yes
fa_start
svc_up
took fa_open "$mnt/f6"
check "strict, silent: denied" EBUSY "$out"
if [ "$ms" -ge 450 ]; then ok "at its deadline: $ms ms"; else fail "after $ms ms"; fi
svc_says '^passed deadline denied .*/f6$'
check "strict, the next one" EBUSY "$(fa_open "$mnt/f7")"
svc_says '^passed service down denied .*/f7$' "it does not wait, too"
svc_mute
fa_says 'answers again'
deadline 60s deny
check "judged again" ok "$(fa_open "$mnt/f6")"
deadline 500ms deny
svc_mute
svc_mark
fa_opener k3 "$mnt/f8"
svc_says '^event .*/f8$'
svc_stop
check "strict, killed with an opener: denied" EBUSY "$(fa_result k3)"
check "strict, no service: denied" EBUSY "$(fa_open "$mnt/f9")"

# ---- a service that talks rubbish is a service that is down ----
for seed in 1 2 3; do
	fa_mark_log
	svc_start hostile=$seed
	svc_says '^hello' "connected" 30
	check "strict, hostile service $seed: denied" EBUSY "$(fa_open "$mnt/f9")"
	svc_stop
done
svc_start
svc_says '^hello' "a good one again" 30
if await 30 decides "$mnt/f9" ok; then ok "judged"; else fail "not judged"; fi
fa_stop
fa_scan_end
