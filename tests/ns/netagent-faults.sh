#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gi-netagent when things around it break: the spool's disk is full, the spool is damaged or lost,
# each process is killed under load, the mux never answers.
. "$(dirname "$0")/netagent-lib.sh"
ip link set lo up

# sessions N - N logins and logouts, one after the other, each its own process
sessions() {
	local i
	for i in $(seq "$1"); do
		pamtester t root open_session close_session >/dev/null || return 1
	done
}
seqs() { grep -E '^event' "$dir/svm.log" | cut -d' ' -f2; }
each_once_up_to() { # N - the SVM has 1..N, none missing; a number again only if it was not acknowledged
	[ "$(seqs | sort -n | uniq)" = "$(seq "$1")" ]
}

echo "# the disk is full: said once, events still go up live, logins go on"
mount -t tmpfs -o size=256k,mode=755 netagent-spool "$dir/spool"
svm_start
agent_start
svm_says '^snapshot'
sessions 3 && ok "3 logins"
dd if=/dev/zero of="$dir/spool/ballast" bs=4k >/dev/null 2>&1 || :
svm_mark
sessions 100 && ok "100 logins on a full disk" || fail "logins on a full disk"
all_there() { each_once_up_to 206; }
await 60 all_there && ok "all events came, in time" || fail "events: $(seqs | tail -3 | tr '\n' ' ')"
check "said once" 1 "$(grep -c 'takes no more events' "$dir/agent.log")"
svm_mark
login t root
svm_says ' open id='
id=$(svm_field ' open ' id)
rm "$dir/spool/ballast"
log_says 'takes events again'
role_kill agent
svm_says "^snapshot .* ids $id\$" "a session of the full time lives through a restart afterwards"
logout "$leader"
svm_says "close id=$id reason=1"

echo "# full, and no SVM: refused when memory is full as well is a unit test; here: kept, then sent"
acked=$(seqs | tail -1)
svm_stop
dd if=/dev/zero of="$dir/spool/ballast" bs=4k >/dev/null 2>&1 || :
sessions 50 && ok "50 logins"
svm_start "$acked"
svm_says '^snapshot'
all_there() { each_once_up_to "$((acked + 100))"; }
await 60 all_there && ok "all came" || fail "events: $(seqs | tail -3 | tr '\n' ' ')"
rm "$dir/spool/ballast"
agent_stop
svm_stop

echo "# the spool is gone, in the same boot: numbers go on behind what the SVM knows"
rm -rf "$dir/spool/"*
acked=$(seqs | tail -1)
svm_mark
svm_start "$acked"
agent_start
svm_says '^snapshot'
sessions 1
svm_says "^event $((acked + 1)) " "next number"
agent_stop

echo "# the spool is damaged: said, passed over"
sessions_file() { ls "$dir"/spool/*/seg-* | tail -1; }
printf 'rubbish' >>"$(sessions_file)"
agent_start
log_says 'cannot be read and are passed over'
svm_mark
sessions 1
svm_says ' close id=' "and goes on"

echo "# another boot: what the earlier one left is sent first, under its own id"
svm 'ack off'
svm_mark
sessions 2
old_is_there() { [ "$(svm_count '^event')" = 4 ]; }
await 60 old_is_there
first=$(svm_since | awk '/^event/ { print $2 }' | head -1)
agent_stop
svm_stop
echo fedcba98-7654-3210-fedc-ba9876543210 >"$dir/boot_id"
svm_mark
svm_start $((first - 1))
agent_start
svm_says '^hello .*boot=01234567' "the earlier boot's Hello"
await 60 old_is_there && ok "its four events" || fail "its events: $(svm_count '^event')"
svm_says '^hello last=[01] .*boot=fedcba98' "then ours"
svm_says '^snapshot .* n=0 '
check "in this order" "hello event event event event hello snapshot" \
	"$(svm_since | grep -oE '^(hello|event|snapshot)' | head -7 | paste -sd' ')"
check "the earlier spool is gone" 1 "$(find "$dir/spool" -mindepth 1 -type d | wc -l)"
svm_mark
sessions 1
svm_says '^event [0-9]+ close'

echo "# kill -9 at any moment, under load: no event is lost, each session is closed"
agent_stop
svm_stop
rm -rf "$dir/spool/"*
: >"$dir/svm.log"
svm_mark
svm_start 0
agent_start
svm_says '^snapshot'
(
	for i in $(seq 150); do
		pamtester t root open_session close_session >/dev/null 2>&1 || echo refused
	done
) >"$dir/load.out" &
load=$!
na_pids+=("$load")
for i in 1 2 3 4 5 6; do
	sleep 0.15
	role_kill "$([ $((i % 3)) = 0 ] && echo pusher || echo agent)"
	[ $((i % 2)) = 0 ] || svm drop
done
wait $load || :
check "no login was refused" "" "$(cat "$dir/load.out")"
last_seq() { seqs | sort -n | tail -1; }
balanced() {
	[ "$(grep -E '^event' "$dir/svm.log" | sort -u -k2,2n | grep -c ' open ')" = \
		"$(grep -E '^event' "$dir/svm.log" | sort -u -k2,2n | grep -c ' close ')" ]
}
await 60 balanced && ok "as many ends as beginnings" || fail "ends and beginnings differ"
each_once_up_to "$(last_seq)" && ok "no number is missing up to $(last_seq)" || fail "numbers are missing"
check "150 sessions" 150 "$(grep -oE ' open id=[0-9]+' "$dir/svm.log" | sort -u | wc -l)"

echo "# a mistake in the configuration, made while it runs, replaces nothing"
echo 'mux nonsense' >"$dir/conf"
role_kill agent
role_kill pusher
svm_mark
svm drop
svm_says '^snapshot' "both are back with what they had"
sessions 1 && ok "and serve"
"$na_build/netagent/gi-netagent" -t -c "$dir/conf" >/dev/null 2>&1 && rc=0 || rc=$?
check "a new start refuses it" 78 $rc

echo "# a mux that does not answer: dropped after the deadline, logins do not care"
svm_mark
svm 'mute on' drop
svm_says '^connected'
sessions 1 && ok "login"
agent_stop

echo "# a leader of another pid namespace has no pid here: its session is recorded all the same"
svm 'mute off'
agent_conf
unshare -p -f --kill-child --mount-proc "$na_build/netagent/gi-netagent" -d -c "$dir/conf" \
	>>"$dir/agent.log" 2>&1 &
na_keeper=$!
svm_mark
svm drop
svm_says '^snapshot'
login t root && ok "let in" || fail "let in"
svm_says ' open .*leader=0 ' "no leader"
id=$(svm_field ' open ' id)
logout "$leader"
svm_says "close id=$id reason=1" "closed by PAM"
kill9 "$na_keeper"
na_keeper=

echo "# nothing at all but PAM: the agent is stopped, the module's timeout holds"
opens_are() { [ "$(svm_count ' open id=')" = "$1" ]; }
agent_start
kill -STOP "$(role_pid agent)"
pam q timeout_ms=300
t0=$(now_ms)
pamtester q root open_session >/dev/null && ok "let in" || fail "let in"
ms=$(($(now_ms) - t0))
[ $ms -ge 280 ] && ok "after $ms ms" || fail "without waiting: after $ms ms"
svm_mark
login q root && ok "let in" || fail "let in"
kill -CONT "$(role_pid agent)"
svm_says ' open id=[0-9]+ .* leader=[0-9]+ ' "both are recorded afterwards"
await 60 opens_are 2 || fail "not both"
check "the one whose process has ended is over at once" 1 "$(svm_count ' close id=[0-9]+ reason=2')"
svm_mark
kill9 "$leader"
svm_says ' close id=[0-9]+ reason=2' "the other when its process ends"
agent_stop

echo "# somebody's link in place of the spool's directory: its target is not given away"
mkdir "$dir/victim" "$dir/theirs"
ln -s ../victim "$dir/theirs/link"
chown -h nobody "$dir/theirs" "$dir/theirs/link"
sed -i "s,^spool-dir .*,spool-dir \"$dir/theirs/link\";," "$dir/conf"
timeout 60 "$na_build/netagent/gi-netagent" -c "$dir/conf" >>"$dir/agent.log" 2>&1 && rc=0 || rc=$?
check "refused" 1 $rc
check "and left alone" 0 "$(stat -c %u "$dir/victim")"
na_end
