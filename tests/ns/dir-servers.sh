#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A directory of two servers (slapd): one is killed, stands still in mid-connection, stalls inside the
# TLS handshake; lookups are answered by the other one, and the preferred one is gone back to.
set -euo pipefail
# shellcheck source=tests/ns/slapd-small-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-small-lib.sh"
A=127.0.0.1 B=127.0.0.2

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 30 "$W"/{out,err,slapd.*.log} >&2 || true
	dir_stop
	slapd_kill_all
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- the servers ----
slapd_certificate "IP:$A" "IP:$B"
for ip in $A $B; do
	slapd_start "$ip"
	slapd_fill "$ip"
done
conf two "\"ldaps://$A\", \"ldaps://$B\""

ON_A="^state up ldaps://$A answers\$"
ON_B="^state up ldaps://$B answers; ldaps://$A left out since 20[0-9-]+T[0-9:]+Z: "

echo '== the preferred one is killed'
dir_start "$W/two.conf"
if wait_line 60 "$ON_A"; then ok 'the preferred one answers'; else bad "no start: $LINE"; fi
says 'it is it' " found - alice on-$A\$" alice
mark
logins 'killed: the second answers' "$ON_B" slapd_kill $A
if wait_line 20 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
says 'by the second' " found - alice on-$B\$" alice

echo '== back to the preferred one'
mark
logins 'started: it answers' "$ON_A" slapd_start $A
if wait_line 20 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
says 'by it' " found - alice on-$A\$" alice

echo '== it stands still in mid-connection'
logins 'stopped: the second answers' "$ON_B" kill -STOP "${SLAPD_PID[$A]}"
says 'by the second' " found - alice on-$B\$" alice

echo '== none is left'
comes 'the second killed, the first stands still: down' '^state down ' slapd_kill $B
says 'lookups are answered at once' ' unavailable ' alice
comes 'the second is back, the first stalls in the TLS handshake: up' "$ON_B.*did not answer within" slapd_start $B
says 'and lookups work' " found - alice on-$B\$" alice
dir_stop

echo '== a start while the preferred one stalls in the TLS handshake'
comes 'the second answers' "$ON_B.*did not answer within" dir_start "$W/two.conf"
says 'lookups work' " found - alice on-$B\$" alice
child_kill() { kill -KILL "$(pgrep -P "$DIR_PID" -f "ldaps://$B\$")" || true; }
kill -CONT "${SLAPD_PID[$A]}"
comes 'the child of the second is killed: the first' "^state up ldaps://$A answers" child_kill
says 'by it' " found - alice on-$A\$" alice
dir_stop

echo '== mistakes in the configuration'
conf twice "\"ldaps://$A\", \"ldaps://$A\""
conf plain "\"ldaps://$A\", \"http://$B\""
for try in 'twice names a server twice' 'plain uri must begin with ldaps://'; do
	"$DIR_CHECK" -c "$W/${try%% *}.conf" </dev/null >"$W/said" 2>&1 || true
	if grep -q "${try#* }" "$W/said"; then ok "${try%% *}"; else bad "${try%% *}: $(cat "$W/said")"; fi
done

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
