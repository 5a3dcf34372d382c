#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A directory server that stalls, lies, sends half answers, endless ones, huge ones and rubbish
# (ldap_liar.py, between us and a real slapd): the directory child may die of it, svm-idfw's side must
# not; every lookup is answered, no group comes out of rubbish, memory stays bounded, and as soon as
# the server is honest again so are the answers.
set -euo pipefail
# shellcheck source=tests/ns/slapd-small-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-small-lib.sh"
REAL=127.0.0.1 LIAR=127.0.0.2 ELSEWHERE=127.0.0.9 LIAR_PID='' ELSE_PID=''
MESSAGE_KIB=$((16 * 1024)) # what is on its way when the connection is given up, and much more
MEMORY_KIB=$((300 * 1024)) # a bound that only what is never gathered keeps

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 40 "$W"/{out,err,liar.out,liar.err} >&2 || true
	dir_stop
	for p in $LIAR_PID $ELSE_PID; do
		kill -KILL "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	slapd_kill_all
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

slapd_certificate "IP:$REAL" "IP:$LIAR"
slapd_start $REAL
slapd_fill $REAL
lies() { # MODE... - from now on
	echo "$*" >"$W/mode.new"
	mv "$W/mode.new" "$W/mode"
}
lies honest
python3 "$top_srcdir/tests/ns/ldap_liar.py" "$W" $LIAR 636 $REAL >"$W/liar.out" 2>"$W/liar.err" &
LIAR_PID=$!
# nobody is to come here: a referral is never followed
python3 -c 'import socket, sys
s = socket.create_server((sys.argv[1], 389))
print("listens", flush=True)
while True:
    s.accept()
    print("somebody came", flush=True)' $ELSEWHERE >"$W/elsewhere.out" &
ELSE_PID=$!
conf lies "\"ldaps://$LIAR\"" 4s

ALICE="found - alice on-$REAL"
# honest_again: the good answer comes, however long the pauses have become
honest_again() {
	local end=$(($(now_ms) + 90000))
	lies honest
	until ask alice && [[ $LINE =~ $ALICE$ ]]; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.1
	done
}
# lied MODE... - it was used on us
lied() {
	local end=$(($(now_ms) + 60000))
	until grep -qxF "did $*" "$W/liar.out"; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.02
	done
}
# survives ANSWER MODE... - while it lies so, lookups are answered, by ANSWER (a regular expression) or
# "unavailable" or what is true; afterwards all is well
survives() {
	local want=$1 n text
	shift
	text="$*"
	lies "$@"
	lied "$@" || bad "$text: nobody asked it"
	for n in 1 2; do
		if ! ask alice; then
			bad "$text: lookup $n is not answered"
		elif ! [[ $LINE =~ ^answer\ alice\ ($ALICE|unavailable - -|$want)$ ]]; then
			bad "$text: $LINE"
		fi
	done
	text="$text: ${LINE#answer alice }"
	if honest_again; then ok "$text; then honest again"; else bad "$text; never well again: $LINE"; fi
}

# two fifths of the deadline are waited; what is left has to do for another account, on a busy machine too
echo '== one that stands still for one account'
conf stalls "\"ldaps://$LIAR\"" 10s
dir_start "$W/stalls.conf"
wait_line 60 '^state up' || bad "no start: $LINE"
lies stalls alice
from=$(($(wc -l <"$W/out") + 1))
if ask alice && [ "$LINE" = 'answer alice unavailable - -' ]; then ok 'alice waits in vain'; else bad "alice stalls: $LINE"; fi
says 'svc is answered' '^answer svc found' svc
if grep -q '^broke' "$W/liar.out"; then ok 'it was asked for alice'; else bad 'it was not asked for alice'; fi
states=$(tail -n +$from "$W/out" | grep '^state') || true
if [ -z "$states" ] && ! grep -q 'did not answer within 10000 ms' "$W/err"; then
	ok 'no outage, and the child lives'
else
	bad "alice stalls: $states; $(grep 'did not answer' "$W/err" | tail -1)"
fi
dir_stop
lies honest

echo '== a server that lies'
dir_start "$W/lies.conf"
if honest_again; then ok 'through it as without it'; else bad "no start: $LINE"; fi
parent=$DIR_PID
survives - stall
survives - half
survives - rubbish
survives - deep
survives - wrongid
survives - notice
survives - referral $ELSEWHERE
survives - limit
survives 'not-found - -' twice
survives 'not-found - -|found - (alice|-) .*' controls
if grep -aq 'not-found\|unavailable\|found' <(grep -a '[[:cntrl:]]' "$W/out"); then
	bad 'a control character came through'
else
	ok 'no control character comes through'
fi
if [ "$(cat "$W/elsewhere.out")" = listens ]; then
	ok 'no referral was followed'
else
	bad "a referral was followed: $(cat "$W/elsewhere.out")"
fi

# connections, binds and the look for changes are well; lookups break
echo '== one that breaks lookups'
lies lookups alice
from=$(($(wc -l <"$W/out") + 1))
for n in 1 2 3; do
	if ask alice && [ "$LINE" = 'answer alice unavailable - -' ] && ask svc && [[ $LINE =~ 'svc found' ]]; then
		ok 'alice breaks connections, svc is answered'
	else
		bad "alice breaks connections: $LINE"
	fi
done
lies lookups
ask alice || bad 'lookups break: not answered'
broke=$(grep -c '^broke' "$W/liar.out") || true
end=$(($(now_ms) + 60000))
until [ "$(grep -c '^broke' "$W/liar.out")" -ge $((broke + 5)) ] || [ "$(now_ms)" -gt $end ]; do sleep 0.02; done
# it may be down for one reason and then for another
is_down() { grep -q '^state down' < <(tail -n +$from "$W/out"); }
soon is_down || true
states=$(tail -n +$from "$W/out" | grep '^state' | cut -d' ' -f2 | uniq | paste -sd' ') || true
if [ "$states" = down ]; then ok 'all lookups break: down, and not up in between'; else bad "all lookups break: ${states:-nothing}"; fi
if honest_again; then ok 'honest again'; else bad "never well again: $LINE"; fi

echo '== one that sends too much'
survives - length
most=$(sed -n 's/^sent //p' "$W/liar.out" | sort -n | tail -1)
if [ "${most:-$MESSAGE_KIB}" -lt $MESSAGE_KIB ]; then
	ok "of a message of 512 MiB it took $most KiB"
else
	bad "of a message of 512 MiB it took ${most:-?} KiB"
fi
survives 'not-found - -' endless # many of one name are nobody
survives - fat 30000000
survives - many 30000
if kill -0 "$parent" 2>/dev/null; then ok 'the service lives'; else bad 'the service died'; fi

echo '== bytes changed at random'
for seed in 1 2 3 4 5 6 7 8; do
	lies fuzz $seed
	lied fuzz $seed || bad "fuzz $seed: nobody asked it"
	for n in {1..12}; do
		if ! ask alice; then
			bad "fuzz $seed: lookup $n is not answered"
		elif [[ $LINE = *found*on-* ]] && ! [[ $LINE =~ $ALICE$ ]]; then
			echo "   note  another name for the group: $LINE"
		fi
	done
done
if honest_again; then ok "$((8 * 12)) lookups answered; honest again"; else bad "never well again: $LINE"; fi
if kill -0 "$parent" 2>/dev/null; then ok 'the service lives'; else bad 'the service died'; fi
echo "   $(grep -c 'child ended unexpectedly' "$W/err" || true) children ended by themselves," \
	"$(grep -c 'did not answer within' "$W/err" || true) were killed at the deadline"
exec {DIR_FD}>&-
if wait_line 90 '^children max-rss' && [ "${LINE##* }" -le $MEMORY_KIB ]; then
	ok "the largest child had ${LINE##* } KiB"
else
	bad "${LINE:-nothing about memory}: not below $MEMORY_KIB KiB"
fi
DIR_PID=

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
