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
slapd_certificate "IP:$A" "IP:$B" DNS:corp.example DNS:ldap1.corp.example DNS:ldap2.corp.example \
	DNS:both.corp.example
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
if wait_line 90 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
says 'by the second' " found - alice on-$B\$" alice

echo '== back to the preferred one'
mark
logins 'started: it answers' "$ON_A" slapd_start $A
if wait_line 90 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
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
both_go() { # or the first is gone back to before that
	kill -CONT "${SLAPD_PID[$A]}"
	child_kill
}
comes 'the child of the second is killed: the first' "^state up ldaps://$A answers" both_go
says 'by it' " found - alice on-$A\$" alice
dir_stop

echo '== two servers behind one name'
# the machine's own mount namespace: nobody else sees it
printf '%s both.corp.example\n' $A $B >"$W/hosts"
mount --bind "$W/hosts" /etc/hosts
conf both '"ldaps://both.corp.example"'
slapd_kill $A
comes 'one is down: the other answers' '^state up' dir_start "$W/both.conf"
slapd_start $A
connections() { ss -Htn state established dst "$1" dport = 636 | wc -l; }
end=$(($(now_ms) + 90000))
until [ $(($(connections $A) + $(connections $B))) -ge 4 ] || [ "$(now_ms)" -gt $end ]; do
	printf '%s\n' {a,A}{l,L}{i,I}{c,C}{e,E} >&"$DIR_FD" # at one time: more connections are needed
	sleep 0.2
done
if [ "$(connections $A)" = 0 ] && [ "$(connections $B)" -ge 4 ]; then
	ok "lookups are where changes are looked for: $(connections $B) connections"
else
	bad "$(connections $A) connections to the one, $(connections $B) to the other"
fi
mark
printf '%s\n' {a,A}{l,L}{i,I}{c,C}{e,E} >&"$DIR_FD"
all_on_b() { [ "$(news | grep -c "^answer .* found - alice on-$B\$")" -ge 32 ]; }
if soon all_on_b && ! grep -q "^answer .* on-$A\$" < <(news); then
	ok 'all answers are of one server'
else
	bad "answers of the one, changes of the other: $(news | sort | uniq -c)"
fi
comes 'it dies: the other one, and whoever is known is looked up again' '^changed all' slapd_kill $B
says 'by it' " found - alice on-$A\$" alice
dir_stop
slapd_start $B

echo '== servers by DNS: _ldaps._tcp, the certificate has the domain'"'"'s name'
cat >"$W/dns" <<-E
	SRV _ldaps._tcp.corp.example 1 10 0 636 ldap2.corp.example
	SRV _ldaps._tcp.corp.example 1 5 0 636 ldap1.corp.example
	SRV _ldaps._tcp.corp.example 1 1 0 636 ldap3.elsewhere.example
	A ldap1.corp.example 1 $A
	A ldap2.corp.example 1 $B
E
/usr/bin/python3 "$top_srcdir/tests/ns/dns_answers.py" 127.0.0.53 "$W/dns" >"$W/dns.out" 2>&1 &
dns_ready() { grep -q ready "$W/dns.out"; }
soon dns_ready || bad 'no name server'
conf dns '"ldaps://none"'
sed -i 's/uri .*/discover corp.example; dns-server 127.0.0.53;/' "$W/dns.conf"
sed 's/discover c/discover-tls starttls; &/' "$W/dns.conf" >"$W/dns-none.conf"
comes 'the one with the lower priority answers' '^state up ldaps://ldap1.corp.example:636 answers$' dir_start "$W/dns.conf"
says 'by it' " found - alice on-$A\$" alice
if grep -q 'DNS names 1 servers that are not below corp.example' "$W/err"; then ok 'who is not below the domain is not asked'; else bad "$LINE"; fi
logins 'it is killed: the other one' "^state up ldaps://ldap2.corp.example:636 answers; ldaps://ldap1.corp.example:636 left out" slapd_kill $A
says 'by that' " found - alice on-$B\$" alice
dir_stop
comes 'without _ldap._tcp there is nobody for StartTLS' '^state down .*corp.example' dir_start "$W/dns-none.conf"
if grep -qx 'SRV _ldap._tcp.corp.example' "$W/dns.asked"; then ok 'that is what is asked for then'; else bad "$(sort -u "$W/dns.asked")"; fi
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
