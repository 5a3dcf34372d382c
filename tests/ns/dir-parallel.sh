#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several lookups at a time (slapd behind tests/ns/ldap_proxy): connections are opened when they are
# needed, one that breaks, stands still or hangs does not stop the others, logins of one account share
# a lookup.
set -euo pipefail
# shellcheck source=tests/ns/slapd-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-lib.sh"
BASE=dc=corp,dc=example
SLAPD_PID='' PROXY_PID='' PROXY_FD=''

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 25 "$W"/{err,slapd.log,proxy} >&2 || true
	dir_stop
	[ -z "$PROXY_PID" ] || kill "$PROXY_PID" 2>/dev/null || true
	[ -z "$SLAPD_PID" ] || kill -KILL "$SLAPD_PID" 2>/dev/null || true
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- the server, and the way to it ----
slapd_certificate IP:127.0.0.1
{
	slapd_head back_monitor syncprov
	slapd_database $BASE "$W/db"
	printf '%s\n' 'index objectClass,uid,member eq' 'overlay syncprov' 'database monitor'
} >"$W/slapd.conf"
person() { printf 'dn: cn=%s,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: %s\n%s\n' "$1" $BASE "$1" "${2:-}"; }
{
	printf 'dn: %s\nobjectClass: domain\ndc: corp\n\n' $BASE
	person svc $'userPassword: Svc-Passw0rd\n'
	for i in {1..500}; do person "user$i"; done
	printf 'dn: cn=staff,%s\nobjectClass: groupOfNames\n' $BASE
	for i in {1..500}; do printf 'member: cn=user%s,%s\n' "$i" $BASE; done
} >"$W/ldif"
"$SLAPD" -T add -q -f "$W/slapd.conf" -l "$W/ldif"
"$SLAPD" -d stats -f "$W/slapd.conf" -h ldaps://127.0.0.1:1636 >>"$W/slapd.log" 2>&1 &
SLAPD_PID=$!
mkfifo "$W/proxy.in"
exec {PROXY_FD}<>"$W/proxy.in"
"${top_builddir:?}/tests/ns/ldap_proxy" 127.0.0.1 636 127.0.0.1 1636 <"$W/proxy.in" >"$W/proxy" {PROXY_FD}>&- &
PROXY_PID=$!
proxy() { echo "$*" >&"$PROXY_FD"; }
# ways: CONNS (accepted so far), OPEN and BUSY_MAX of the proxy, which has done what it was told before
ways() {
	local n end=$(($(now_ms) + 60000))
	n=$(grep -c '^stat' "$W/proxy") || true
	proxy stat
	until [ "$(grep -c '^stat .*requests=.' "$W/proxy")" -gt "$n" ] || [ "$(now_ms)" -gt $end ]; do sleep 0.01; done
	CONNS=$(sed -n '$s/.* conns=\([0-9]*\) .*/\1/p' "$W/proxy")
	OPEN=$(sed -n '$s/.* open=\([0-9]*\) .*/\1/p' "$W/proxy")
	BUSY_MAX=$(sed -n '$s/.* busy_max=\([0-9]*\) .*/\1/p' "$W/proxy")
}
searches() { # that slapd has done so far; asking is one itself
	LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapsearch -LLL -x -H ldaps://127.0.0.1:1636 -D "cn=svc,$BASE" \
		-w Svc-Passw0rd -s base -b 'cn=Search,cn=Operations,cn=Monitor' monitorOpCompleted |
		sed -n 's/^monitorOpCompleted: //p'
}
end=$(($(now_ms) + 90000))
until searches >/dev/null 2>&1 && grep -q ready "$W/proxy"; do
	[ "$(now_ms)" -lt $end ] || exit 1
	sleep 0.02
done

echo Svc-Passw0rd >"$W/password"
chmod 400 "$W/password"
conf() { # NAME CONNECTIONS DEADLINE
	cat >"$W/$1.conf" <<-E
		directory corp {
			type openldap;
			uri "ldaps://127.0.0.1";
			base "$BASE";
			bind-user "cn=svc,$BASE";
			password-file "$W/password";
			ca "$W/ca.crt";
			poll 60s;
			deadline $3;
			connections $2;
		}
	E
}
conf four 4 10s # a connection that stands still is given up after two fifths of it
conf one 1 120s
conf many 32 40s
conf hangs 4 8s
# ask_many COUNT TIMES - lookups of user1 ... userCOUNT, TIMES over
ask_many() {
	local t
	for ((t = 0; t < $2; t++)); do seq -f 'user%.0f' "$1"; done >"$W/names"
	mark
	cat "$W/names" >&"$DIR_FD"
}
answers() { news | grep -cE "^answer $1" || true; } # REGEX: since the mark
FOUND='user[0-9]+ found - user[0-9]+ staff$'
wait_answers() { # COUNT REGEX
	local end=$(($(now_ms) + 120000))
	until [ "$(answers "$2")" -ge "$1" ] || [ "$(now_ms)" -gt $end ]; do sleep 0.05; done
}
is() { # TEXT HAVE WANT
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: $2, not $3"; fi
}
no_outage() {
	if grep -q '^state down' < <(news); then bad 'it went down'; else ok 'no outage is reported'; fi
}
up() { # CONF
	dir_start "$W/$1.conf"
	sees 'connects' 30000 '^state up' true
}

echo '== connections are opened when lookups wait'
up four
says 'a lookup' ' found - user1 staff$' user1
ways
is 'one for changes, one for lookups' "$CONNS" 2
proxy delay 20000
before=$(searches)
ask_many 200 1
wait_answers 200 "$FOUND"
is '200 accounts: all answered' "$(answers "$FOUND")" 200
s=$(($(searches) - before - 1))
if [ "$s" -lt 200 ]; then ok "several with one search: $s in all"; else bad "each by itself: $s searches"; fi
most=0 end=$(($(now_ms) + 60000)) # on a busy machine those that there are may be done with them first
while ways && most=$((BUSY_MAX > most ? BUSY_MAX : most)) && ((CONNS < 5 || most < 4)); do
	[ "$(now_ms)" -lt $end ] || break
	ask_many 400 1
	wait_answers 400 "$FOUND"
done
is 'four are at work' "$CONNS" 5
if [ $most -ge 4 ]; then ok 'at one time'; else bad "at one time: only $most"; fi

echo '== a change is told before anything else is asked'
joins() {
	printf 'dn: cn=staff,%s\nchangetype: modify\nadd: member\nmember: cn=svc,%s\n' $BASE $BASE |
		LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapmodify -x -H ldaps://127.0.0.1:1636 -D "cn=admin,$BASE" -w admin >/dev/null
}
proxy delay 0
sees 'who joins is told' 30000 '^changed' joins
first=$(sed -n '/ MOD dn="cn=staff/,$ { s/.* SRCH base="\([^"]*\)".*/\1/; T; p; q }' "$W/slapd.log")
is 'first the group is read' "$first" "cn=staff,$BASE"

echo '== one stands still, two break'
proxy delay 20000
proxy hang 5
ways
n=0 u=0 asked=0 end=$(($(now_ms) + 120000))
while [ "$CONNS" = 5 ] && [ "$OPEN" = 5 ] && [ "$(now_ms)" -lt $end ]; do # until it had one of them
	ask_many 400 1
	wait_answers 400 'user'
	n=$((n + $(answers "$FOUND"))) u=$((u + $(answers 'user[0-9]+ unavailable'))) asked=$((asked + 400))
	ways
done
if [ $asked -gt 0 ] && [ $((n + u)) = $asked ] && [ "$u" -le 1 ] && [ "$CONNS:$OPEN" != 5:5 ]; then # of several that it had each is asked for alone
	ok "one stands still: $n are answered, what it had is unavailable"
else
	bad "one stands still: of $asked $n are answered, $u unavailable; $OPEN connections"
fi
no_outage
ask_many 100 1
proxy cut 3
proxy cut 4
wait_answers 100 'user'
is 'two are reset: all are answered' "$(answers "$FOUND")" 100
no_outage
dir_stop

echo '== further ones stall in the TLS handshake'
ways
for ((i = 3; i < 20; i++)); do proxy hang $((CONNS + i)); done
up four
ask_many 100 1
wait_answers 100 'user'
is 'the first one does it all' "$(answers "$FOUND")" 100
no_outage
dir_stop
proxy calm

echo '== the server takes no further one'
ways
proxy max $((CONNS + 25))
up many
ask_many 500 1
wait_answers 500 'user'
is 'those that there are do it all' "$(answers "$FOUND")" 500
no_outage
dir_stop
proxy max 0

echo '== a lookup hangs, others do not'
up hangs
killed() { grep -q 'did not answer within 8000 ms' "$W/err"; }
stopped() { grep -q '^State:.*t' "$thread/status"; }
busy() { ways && [ "$BUSY_MAX" -ge 1 ]; }
# hang - its thread is stopped while it waits for the server; not 0: the answer was sooner
hang() {
	local child thread end
	proxy delay 3000000
	mark
	echo user1 >&"$DIR_FD"
	soon busy || bad 'it asks nothing'
	child=$(pgrep -P "$DIR_PID")
	thread=$(grep -lx dir-lookup "/proc/$child/task/"*/comm | sed -n 1p)
	thread=${thread%/comm}
	"$top_builddir/tests/ns/thread_stop" "${thread##*/}" &
	HOLDER=$!
	soon stopped || bad 'the thread goes on'
	proxy delay 0
	n=0 end=$(($(now_ms) + 90000))
	until killed || [ "$(now_ms)" -gt $end ]; do
		n=$((n + 1))
		echo "user$((n % 400 + 2))" >&"$DIR_FD"
		sleep 0.05
		! grep -q '^answer user1 found' < <(news) || return 1
	done
}
HOLDER=''
for _ in 1 2 3 4 5; do
	[ -z "$HOLDER" ] || kill "$HOLDER" || true
	! hang || break
done
if killed; then ok 'the child is killed'; else bad 'the child is not killed'; fi
n=$(answers "$FOUND")
if [ "$n" -ge 5 ]; then ok "others were answered meanwhile: $n"; else bad "others: $n answers"; fi
if wait_line 90 '^answer user1 unavailable'; then ok 'it is answered'; else bad 'it is not answered'; fi
if wait_line 90 '^state up'; then finds 'and lookups work' ' found - user1 staff$' user1; else bad 'not up again'; fi
dir_stop

echo '== logins of one account share a lookup'
up one
before=$(searches)
says 'one account' ' found - user1 staff$' user1
each=$(($(searches) - before - 1))
proxy delay 40000000 # the first waits until all are asked for
before=$(searches)
ask_many 500 10
echo 'say read' >&"$DIR_FD"
wait_line 60 '^said read' || bad 'not read'
proxy delay 5000
# known as the last one: whoever was asked for again comes before it
echo 'nobody S-1-5-18' >&"$DIR_FD"
wait_line 60 '^answer nobody not-found' || bad 'no answer to the last one'
s=$(($(searches) - before - 2))
seen=$(news | grep -E "^answer $FOUND" | sort -u | wc -l)
is '5,000 logins of 500 accounts: all are answered' "$seen" 500
# one lookup runs, and one behind it for all that came meanwhile (the engine does not even ask for that)
n=$(answers user)
if [ "$n" -le 1000 ] && [ "$s" -le $((each * n)) ]; then
	ok "by $n lookups, $s searches"
else
	bad "by $n lookups, $s searches; one is $each"
fi
dir_stop

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
