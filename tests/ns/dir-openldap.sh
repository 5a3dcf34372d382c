#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# svm-idfw's directory part against a real OpenLDAP (slapd, memberof, syncprov): the memberOf climb,
# changes seen in time, a server that dies or stalls, faults explained in words.
set -euo pipefail
# shellcheck source=tests/ns/slapd-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-lib.sh"
SLAPD_PID=''
BASE=dc=corp,dc=example

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 15 "$W"/{out,err,slapd.log} >&2 || true
	dir_stop
	[ -z "$SLAPD_PID" ] || kill -KILL "$SLAPD_PID" || true
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- the server ----
slapd_certificate IP:127.0.0.1
# posixGroup as RFC 2307bis has it (auxiliary), beside a structural one as RFC 2307 has it
cat >"$W/posix.schema" <<-'E'
	attributetype ( 1.3.6.1.1.1.1.12 NAME 'memberUid' EQUALITY caseExactIA5Match
	 SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
	attributetype ( 2.16.840.1.113730.3.8.3.1 NAME 'ipaUniqueID' EQUALITY caseIgnoreMatch
	 SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
	attributetype ( 1.3.6.1.4.1.5322.21.2.1 NAME 'krbPrincipalName' EQUALITY caseExactIA5Match
	 SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
	attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch
	 SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
	attributetype ( 1.3.6.1.1.1.1.10 NAME 'shadowExpire' EQUALITY integerMatch
	 SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )
	attributetype ( 2.16.840.1.113719.1.301.4.14.1 NAME 'krbPrincipalExpiration'
	 EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
	objectclass ( 1.3.6.1.1.1.2.2 NAME 'posixGroup' SUP top AUXILIARY
	 MUST gidNumber MAY memberUid )
	objectclass ( 1.3.6.1.1.1.2.99 NAME 'plainGroup' SUP top STRUCTURAL MUST cn )
	objectclass ( 1.3.6.1.1.1.2.98 NAME 'testAccount' SUP top AUXILIARY
	 MAY ( uidNumber $ gidNumber $ ipaUniqueID $ krbPrincipalName $ nsAccountLock $
	 shadowExpire $ krbPrincipalExpiration ) )
	objectclass ( 2.16.840.1.113730.3.8.4.11 NAME 'ipaUserGroup' SUP top AUXILIARY )
E
{
	slapd_head memberof syncprov ppolicy | sed "/inetorgperson/a include $W/posix.schema
		/access to [*] by users/i access to dn.exact=\"cn=secret,ou=groups,$BASE\" by group.exact=\"cn=readers,ou=groups,$BASE\" read by * none"
	slapd_database $BASE "$W/db"
	cat <<-E
		index objectClass,uid,member,uniqueMember,memberUid,gidNumber,entryCSN,entryUUID eq
		limits dn.exact="cn=svc,ou=people,$BASE" size=unlimited
		overlay memberof
		memberof-refint TRUE
		overlay syncprov
		overlay ppolicy
		ppolicy_default "cn=passwords,$BASE"
	E
} >"$W/slapd.conf"
slapd_start() {
	"$SLAPD" -d 0 -f "$W/slapd.conf" -h "ldap://127.0.0.1 ldaps://127.0.0.1 ldaps://127.0.0.2" >>"$W/slapd.log" 2>&1 &
	SLAPD_PID=$!
	local end=$(($(now_ms) + 120000))
	until modify </dev/null 2>/dev/null; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.02
	done
}
slapd_kill() {
	kill -KILL "$SLAPD_PID"
	wait "$SLAPD_PID" 2>/dev/null || true
}
modify() {
	LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapmodify -x -H ldaps://127.0.0.1 -D "cn=admin,$BASE" -w admin "$@" >/dev/null
}
member() { # add|delete GROUP DN
	modify <<-E
		dn: cn=$2,ou=groups,$BASE
		changetype: modify
		$1: member
		member: $3
	E
}
person() { printf 'dn: cn=%s,ou=people,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: %s\n%s\n' "$1" "$BASE" "$2" "${3:-}"; }
group() { printf 'dn: cn=%s,ou=groups,%s\nobjectClass: groupOfNames\nmember: %s\n\n' "$1" "$BASE" "$2"; }

slapd_start
{
	printf 'dn: %s\nobjectClass: domain\ndc: corp\n\n' $BASE
	printf 'dn: ou=%s,'$BASE'\nobjectClass: organizationalUnit\n\n' people groups
	person svc svc $'userPassword: Svc-Passw0rd\n'
	printf 'dn: cn=passwords,%s\nobjectClass: device\nobjectClass: pwdPolicy\npwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: 2\n\n' $BASE
	person 'Dora D' dora $'objectClass: testAccount\nuserPassword: Dora-Passw0rd\n'
	person 'Alice A' alice
	person 'Bob B' bob
	person 'M\C3\BCller\2C Hans (IT) *' 'o.h(ans)'
	person 'Twin 1' twin
	person 'Twin 2' twin
	printf 'dn: cn=ghost,ou=groups,%s\nobjectClass: groupOfNames\nobjectClass: uidObject\nuid: ghost\nmember: %s\n\n' \
		$BASE "cn=Bob B,ou=people,$BASE"
	group eng "cn=Alice A,ou=people,$BASE"
	group all-staff "cn=eng,ou=groups,$BASE"
	group res-build "cn=all-staff,ou=groups,$BASE"
	group 'R&D \2B (East)\2C *' "cn=M\\C3\\BCller\\2C Hans (IT) *,ou=people,$BASE"
	group ring-a "cn=Bob B,ou=people,$BASE"
	group ring-b "cn=ring-a,ou=groups,$BASE"
} | modify -a
member add ring-a "cn=ring-b,ou=groups,$BASE"
below="cn=Bob B,ou=people,$BASE"
for i in {01..30}; do
	group "deep$i" "$below"
	below="cn=deep$i,ou=groups,$BASE"
done | modify -a

# ---- the configuration ----
conf() { # NAME SED
	sed -e "${2:-}" >"$W/$1.conf" <<-E
		directory corp {
			type openldap;
			uri "ldaps://127.0.0.1";
			base "$BASE";
			bind-user "cn=svc,ou=people,$BASE";
			password-file "$W/password";
			ca "$W/ca.crt";
			poll 500ms;
			deadline 40s;
		}
	E
}
echo Svc-Passw0rd >"$W/password"
echo wrong >"$W/wrong"
chmod 400 "$W/password" "$W/wrong"
conf good
dir_start "$W/good.conf"

echo '== lookups'
told() { grep -c ' tells of changes (syncrepl)' "$W/err"; }
sees 'connects and says so' 30000 '^state up' true
says 'nested groups' ' found - alice all-staff eng res-build$' alice
says 'the same by CORP\name' ' found - alice .*eng' 'CORP\alice'
says 'the same by UPN' ' found - alice .*eng' alice@corp.example
says '30 levels and a cycle' ' bob deep01 deep02 .*deep29 deep30 ghost ring-a ring-b$' bob
says 'name and group that need escaping' ' found - o.h\(ans\) R&D_\+_\(East\),_\*$' 'o.h(ans)'
traces() { # TEXT NAME GROUPS REGEX... - its ways; as many groups as the lookup has
	local text=$1 name=$2 n=$3 want
	shift 3
	mark
	echo "trace $name" >&"$DIR_FD"
	wait_line 60 "^traced $name " || LINE=nothing
	for want in "$@"; do
		grep -qE "$want" < <(news) || LINE="no $want"
	done
	if [[ $LINE == "traced $name $n " ]]; then ok "$text"; else
		bad "$text: $LINE"
		news
	fi
}
traces 'a trace: the way to each group' alice 3 '^way alice eng all-staff res-build$' '^way alice eng$'
traces 'a trace of 30 levels and a cycle' bob 33 '^way bob deep01 deep02 .* deep29 deep30$' '^way bob ring-a ring-b$' \
	'^cycle ring-(a ring-b|b ring-a)$' '^way bob ghost$'
lists() { # TEXT "SHOW [REF...]" GROUPS REGEX... - what `dir groups` says; "!REGEX": that it does not
	local text=$1 words=$2 n=$3 want
	shift 3
	mark
	echo "groups $words" >&"$DIR_FD"
	wait_line 60 "^listed ${words%% *} " || LINE=nothing
	for want in "$@"; do
		if [ "${want#!}" = "$want" ]; then
			grep -qE "$want" < <(news) || LINE="no $want"
		elif grep -qE "${want#!}" < <(news); then
			LINE="${want#!}"
		fi
	done
	if [[ $LINE =~ ^"listed ${words%% *} "$n\  ]]; then ok "$text"; else
		bad "$text: $LINE"
		news
	fi
}
lists 'all groups, and which of them is named' '0 eng' 37 '^group eng 0 0 64 0$' '^group res-build 1 2 0$' \
	'^group ring-a 1 0 32$' '^group deep30 1 29 0$' '^group R&D \+ \(East\), \* 0 0 0$'
lists 'what is not named, itself or by a group that it is in' '1 no-such-group all-staff' 36 \
	'^group all-staff 1 1 64 1$' '^group res-build 1 2 0$' '!^group eng '
lists 'groups in groups: the longest way to each' '2' 33 '^nest deep01 deep02 .* deep29 deep30$' \
	'^nest eng all-staff res-build$' '^nest eng all-staff$' '!^nest .* ghost'
lists 'cycles' '3' 0 '^cycle ring-(a ring-b|b ring-a)$'
says 'unknown' ' not-found - -$' nobody
says 'another domain' ' not-found ' 'OTHER\alice'
says 'two accounts of one name: none' ' not-found ' twin
says 'a wildcard is a name' ' not-found ' '*'
says 'a group is no account' ' not-found ' ghost

echo '== changes concern whom they concern'
for n in alice bob twin; do ask "$n"; done
whole() { grep -c ' groups with [0-9]* members are known' "$W/err"; }
known() { [ "$(whole)" -ge 1 ]; }
if soon known; then ok 'all groups are known'; else bad 'the groups are not known'; fi
sync_now() { echo "sync $1" >&"$DIR_FD"; }
ask_sync() { mark && sync_now "$1" && wait_line 60 '^synced'; }
sees 'asked to look now' 30000 '^synced 0 syncrepl whole 37 ' sync_now 0
{ group secret "cn=svc,ou=people,$BASE" && group readers "cn=Dora D,ou=people,$BASE" && echo; } | modify -a
told_of() { ask_sync 0 && [[ $LINE = "synced 0 syncrepl whole $1 "* ]]; }
if soon told_of 38; then ok 'one of them may be read: it is told'; else bad "not told: $LINE"; fi
sees 'everything is compared: nothing was missed' 30000 '^synced 1 syncrepl whole 38 0$' sync_now 1
# a group that may be read now though it was not written: no server tells of that
concerns 'the account may read more groups' '' member add readers "cn=svc,ou=people,$BASE"
sees 'everything is compared: the group is found' 30000 '^synced 1 syncrepl whole 39 1$' sync_now 1
if grep -q '^changed all' < <(news); then ok 'and everybody is looked up'; else bad 'nobody is looked up'; fi
rename() { # DN NEWRDN [NEWSUPERIOR]
	printf 'dn: %s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\n%s' "$1" "$2" "${3:+newsuperior: $3
}" | modify
}
delete() { printf 'dn: %s\nchangetype: delete\n' "$1" | modify; }
concerns 'bob joins eng' bob member add eng "cn=Bob B,ou=people,$BASE"
if [ "$(told)" -ge 1 ]; then ok 'told by syncrepl'; else bad 'not told by syncrepl'; fi
says 'bob is in eng, and in what eng is in' ' bob all-staff .*eng ghost res-build ring-a' bob
concerns 'bob leaves eng: who was in it' 'alice bob' member delete eng "cn=Bob B,ou=people,$BASE"
says 'bob is out' ' bob deep01 .* deep30 ghost ring-a ring-b$' bob
concerns 'a group that nobody is in joins eng' '' modify -a < <(group lonely "cn=svc,ou=people,$BASE" && echo)
concerns 'ring-b joins eng: who is in ring-b' bob member add eng "cn=ring-b,ou=groups,$BASE"
says 'bob is in eng by it' ' bob all-staff .*eng ghost' bob
concerns 'and leaves it' 'alice bob' member delete eng "cn=ring-b,ou=groups,$BASE"
ask bob
concerns 'a cycle is made' bob member add deep01 "cn=deep30,ou=groups,$BASE"
concerns 'a group gets another name' bob rename "cn=deep30,ou=groups,$BASE" cn=deepest
says 'by which bob has it' ' bob deep01 .*deep29 deepest ghost ring-a ring-b$' bob
concerns 'and another place' bob rename "cn=deepest,ou=groups,$BASE" cn=deep30 "ou=people,$BASE"
concerns 'an account gets another name' alice rename "cn=Alice A,ou=people,$BASE" 'cn=Alice B'
says 'alice is still in eng' ' found - alice all-staff eng res-build$' alice
concerns 'a group is deleted' alice delete "cn=all-staff,ou=groups,$BASE"
says 'alice is out of it and of what it was in' ' found - alice eng$' alice
person 'Gone G' gone | modify -a
ask gone
concerns 'an account is deleted' gone delete "cn=Gone G,ou=people,$BASE"
says 'it is not there' ' not-found ' gone
{
	printf 'dn: ou=moving,%s\nobjectClass: organizationalUnit\n\n' $BASE
	printf 'dn: cn=Mo M,ou=moving,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: mo\n\n' $BASE
	printf 'dn: cn=movers,ou=moving,%s\nobjectClass: groupOfNames\nmember: cn=Mo M,ou=moving,%s\n\n' $BASE $BASE
} | modify -a
says 'an account and a group below an organizational unit' ' found - mo movers$' mo
sees 'which gets another name: everybody' 30000 '^changed all' rename "ou=moving,$BASE" ou=moved
movers() { printf 'dn: cn=movers,ou=moved,%s\nchangetype: modify\n%s\n' $BASE "$1" | modify; }
comes 'what is below it is known by its new name' '^concerns .*mo' movers "replace: member
member: cn=Mo M,ou=moved,$BASE"
says 'and its groups' ' found - mo movers$' mo
comes 'bob joins one of them' '^concerns .*bob' movers "add: member
member: cn=Bob B,ou=people,$BASE"
says 'bob is in it' ' bob .*movers' bob
comes 'and leaves it' '^concerns .*bob' movers "delete: member
member: cn=Bob B,ou=people,$BASE"

echo '== the state of an account'
dora() { # ATTRIBUTE [VALUE] - replaced, or gone
	modify <<-E
		dn: cn=Dora D,ou=people,$BASE
		changetype: modify
		replace: $1
		${2:+$1: $2}
	E
}
is_state 'well' '' dora
dora nsAccountLock TRUE
is_state 'nsAccountLock' 'disabled 0' dora
dora nsAccountLock FALSE
is_state 'and not' '' dora
dora shadowExpire 21915
is_state 'shadowExpire, days' ' 1893456000000' dora
dora krbPrincipalExpiration 20200101000000Z
is_state 'krbPrincipalExpiration, the earlier one' 'expired 1577836800000' dora
dora shadowExpire -1
dora krbPrincipalExpiration
is_state 'never' '' dora
dora pwdReset TRUE
is_state 'pwdReset' 'must-change 0' dora
dora pwdReset
for _ in 1 2; do
	LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapwhoami -x -H ldaps://127.0.0.1 -D "cn=Dora D,ou=people,$BASE" -w wrong >/dev/null 2>&1 || true
done
is_state 'locked by two wrong passwords' 'locked 0' dora
dora pwdAccountLockedTime 000001010000Z
is_state 'locked for good: disabled' 'disabled 0' dora
dora pwdAccountLockedTime
is_state 'well again' '' dora

echo '== many groups, many lookups, a child that dies'
{
	person 'Many M' many
	for i in {1001..1600}; do
		group "a-group-with-a-rather-long-name-so-that-the-answer-needs-several-frames-$i" "cn=Many M,ou=people,$BASE"
	done
} | modify -a
groups_of_many() {
	ask many
	# shellcheck disable=SC2086
	set -- $LINE
	echo $(($# - 5))
}
n=$(groups_of_many)
if [ "$n" = 600 ]; then ok 'an account in 600 groups: all of them'; else bad "600 groups: $n"; fi
mark
for i in {1..1000}; do echo "nobody$i"; done >&"$DIR_FD"
nobodies() { [ "$(news | grep -c '^answer nobody')" -ge 1000 ]; }
soon nobodies || true
n=$(news | grep -c '^answer nobody[0-9]* not-found') || true
if [ "$n" = 1000 ]; then ok '1000 lookups at once: all answered'; else bad "1000 lookups: $n answers"; fi
child_kill() { kill -KILL "$(pgrep -P "$DIR_PID" -f -- ' --directory ')"; }
sees 'the child is killed: down' 30000 '^state down the directory child ended' child_kill
sees 'and started again: up' 30000 '^state up' true
says 'and lookups work' ' found - alice eng$' alice

echo '== the server dies and comes back'
sees 'killed: down' 30000 '^state down 127.0.0.1 refuses connections on port 636' slapd_kill
says 'lookups are answered at once' ' unavailable ' alice
sees 'back: up' 30000 '^state up' slapd_start
concerns 'and a change is seen' alice member add ring-a "cn=Alice B,ou=people,$BASE"
says 'alice is in it and what it is in' ' found - alice eng ring-a ring-b$' alice
concerns 'and another' 'alice bob' member delete ring-a "cn=Alice B,ou=people,$BASE"
called() { printf 'dn: cn=Twin 2,ou=people,%s\nchangetype: modify\nreplace: uid\nuid: triplet\n' $BASE | modify; }
sees 'an account gets another name' 30000 '^changed account=' called
says 'and is found by it' ' found - triplet$' triplet
says 'so is the one that had the same' ' found - twin$' twin
if [ "$(told)" -ge 2 ]; then ok 'told by syncrepl again'; else bad 'not told by syncrepl'; fi
says 'and lookups work' ' found - alice eng$' alice

echo '== the database is restored, and the server has lost count'
restore() { # with bob in eng instead of alice, and without any of the old change numbers
	slapd_kill
	"$SLAPD" -T cat -o ldif_wrap=no -f "$W/slapd.conf" -l "$W/backup"
	sed -i -e '/^entryCSN:/d; /^contextCSN:/d; /^memberOf:/d' \
		-e '/^dn: cn=eng,/,/^$/s/^member: cn=Alice B,/member: cn=Bob B,/' "$W/backup"
	rm "$W"/db/*
	sleep 1.1 # slapd compares whole seconds
	sed -i 's/^overlay syncprov$/&\nsyncprov-reloadhint TRUE/' "$W/slapd.conf"
	"$SLAPD" -T add -q -w -f "$W/slapd.conf" -l "$W/backup"
	slapd_start
}
n=$(told)
sees 'everybody is looked up again' 30000 '^changed all' restore
lost_count() { grep -q ' lost count of its changes: all is read again' "$W/err"; }
if soon lost_count; then ok 'it said that it has'; else bad 'it did not say so'; fi
again() { [ "$(told)" -ge $((n + 2)) ]; } # the old number, then the new one
# it was down for the restart, and not once it was up
if soon again && wait_line 60 '^state up' && ! grep -q '^state down' < <(news | sed -n '/^state up/,$p'); then
	ok 'it began anew on the same connection'
else
	bad 'it did not begin anew on the same connection'
fi
says 'bob is in eng now' ' bob deep01 .*deep30 eng ghost' bob
says 'alice is not' ' found - alice$' alice
sees 'a change is told again' 30000 '^concerns .*alice' member add eng "cn=Alice B,ou=people,$BASE"
says 'alice is in it again' ' found - alice eng$' alice
sees 'and another' 30000 '^concerns .*bob' member delete eng "cn=Bob B,ou=people,$BASE"

echo '== the server stalls'
dir_stop
conf stalls 's/deadline .*/deadline 5s;/'
dir_start "$W/stalls.conf"
sees 'connects' 30000 '^state up' true
finds 'a lookup' ' found - alice eng$' alice
kill -STOP "$SLAPD_PID"
stalled() { echo alice >&"$DIR_FD"; }
sees 'a lookup is answered within the deadline' 10000 '^answer alice unavailable' stalled
late() { grep -q 'did not answer within 5000 ms' "$W/err"; }
if soon late; then ok 'a stalled TLS handshake: the child is killed'; else bad 'the child was not killed'; fi
sees 'it goes on: up' 30000 '^state up' kill -CONT "$SLAPD_PID"
finds 'and lookups work' ' found - alice eng$' alice
dir_stop

echo '== schemas'
plain() { printf 'dn: cn=%s,ou=groups,%s\nobjectClass: %s\n' "$1" "$BASE" "$2"; }
{
	person pia pia $'objectClass: testAccount\ngidNumber: 4711\nkrbPrincipalName: pia@IPA.EXAMPLE\n'
	printf '%s\nobjectClass: posixGroup\ngidNumber: 4711\n\n' "$(plain primary plainGroup)"
	printf '%s\nobjectClass: posixGroup\ngidNumber: 4712\nmemberUid: pia\nmemberUid: other\n\n' "$(plain by-uid plainGroup)"
	printf '%s\nuniqueMember: cn=pia,ou=people,%s\n\n' "$(plain unique groupOfUniqueNames)" $BASE
	printf '%s\nuniqueMember: cn=unique,ou=groups,%s\nuniqueMember: cn=unique-top,ou=groups,%s\n\n' \
		"$(plain unique-top groupOfUniqueNames)" $BASE $BASE
	printf '%s\nobjectClass: posixGroup\ngidNumber: 4713\nmember: cn=by-uid,ou=groups,%s\n\n' "$(plain bis groupOfNames)" $BASE
	printf '%s\nobjectClass: ipaUserGroup\nmember: cn=pia,ou=people,%s\n\n' "$(plain ipa groupOfNames)" $BASE
	printf '%s\nmember: cn=pia,ou=people,%s\n\n' "$(plain role groupOfNames)" $BASE # memberOf names it, too
} | modify -a
conf 2307 's/poll/schema rfc2307; &/'
conf ipa 's/poll/schema freeipa; &/'
conf own 's/poll/group-class groupOfUniqueNames; member uniqueMember; member-uid none; gid-number none; member-of none; &/'
conf nobase "s/poll/group-base \"ou=none,$BASE\"; &/"
while read -r name want text; do
	dir_start "$W/$name.conf"
	if wait_line 90 '^state up'; then says "$text" " found - pia $want\$" pia; else bad "$text: ${LINE:-not up}"; fi
	[ "$name" != ipa ] || says 'by the Kerberos principal' ' found - pia ipa$' pia@IPA.EXAMPLE
	dir_stop
done <<-'E'
	good bis.by-uid.ipa.primary.role.unique.unique-top rfc2307bis: member, uniqueMember, memberUid, nested, a cycle, the primary group
	2307 by-uid.primary rfc2307: memberUid and the primary group
	ipa ipa freeipa: memberOf of ipaUserGroup, and no role
	own unique.unique-top names of its own
E
conf people "s/base \"/&ou=people,/"
dir_start "$W/people.conf"
wait_line 90 '^state up' || bad 'not up'
says 'below base' ' found - pia ' pia
concerns 'moved out of base' pia rename "cn=pia,ou=people,$BASE" cn=pia "$BASE"
says 'an account that was moved out of base is not there' ' not-found ' pia
dir_stop

echo '== many at once are as each alone'
{
	for i in {1..24}; do person "Batch $i" "b$i" $'objectClass: testAccount\ngidNumber: '"$((4720 + i % 3))"$'\n'; done
	for i in {1..5}; do
		printf 'dn: cn=team%s,ou=groups,%s\nobjectClass: groupOfNames\n' "$i" $BASE
		for ((k = i; k <= 24; k += 5)); do printf 'member: cn=BATCH %s,ou=people,%s\n' "$k" $BASE; done
		printf 'member: cn=team%s,ou=groups,%s\n\n' $((i % 5 + 1)) $BASE
	done
	group above 'cn=team1,ou=groups,dc=corp,dc=example'
	printf '%s\nobjectClass: posixGroup\ngidNumber: 4720\nmemberUid: b7\nmemberUid: B8\nmemberUid: b9\n\n' "$(plain numbered plainGroup)"
	printf '%s\nuniqueMember: cn=Batch 11,ou=people,%s\nuniqueMember: cn=team3,ou=groups,%s\n\n' \
		"$(plain uniques groupOfUniqueNames)" $BASE $BASE
} | modify -a
answered() { [ "$(news | grep -c '^answer')" = "$1" ]; }
batch() { # CONF NAME... - answers of all at once, and of each alone
	local name
	dir_start "$W/$1.conf"
	shift
	wait_line 90 '^state up' || bad 'not up'
	mark
	printf '%s\n' "$@" >&"$DIR_FD"
	soon answered $# || true
	news | grep -E '^(answer|upn|account) ' | sort >"$W/at-once"
	dir_stop
	dir_start "$W/one.conf"
	wait_line 90 '^state up' || bad 'not up'
	for name in "$@"; do ask "$name"; done
	grep -E '^(answer|upn|account) ' "$W/out" | sort >"$W/alone"
	dir_stop
}
same() { # TEXT
	if [ "$(grep -c ^answer "$W/at-once")" -ge 10 ] && cmp -s "$W/at-once" "$W/alone"; then ok "$1"; else
		bad "$1"
		diff "$W/at-once" "$W/alone" | head -5 || true
	fi
}
conf one 's/poll/connections 1; &/'
names=(alice bob twin triplet dora many pia 'o.h(ans)' nobody ghost 'CORP\b3' alice@corp.example 'b 1')
batch one "${names[@]}" b{1..24}
same 'accounts of all kinds'
said() { # TEXT NAME GROUPS
	if grep -q "^answer $2 found - $2 $3\$" "$W/at-once"; then ok "$1"; else bad "$1: $(grep "^answer $2 " "$W/at-once")"; fi
}
said 'with all their groups' b7 'above numbered team1 team2 team3 team4 team5 uniques'
conf one 's/poll/connections 1; schema rfc2307; &/'
batch one "${names[@]}" b{1..24}
same 'by name and number alone'
# the letters of this one do not tell whose it is: then everybody is asked for alone
modify -a < <(person 'M\C3\BCller' mueller && group umlaut "cn=M\\C3\\9CLLER,ou=people,$BASE")
conf one 's/poll/connections 1; &/'
batch one mueller b{1..24}
same 'a DN that is spelt in two ways'
said 'and its group' mueller umlaut
explains 'group-base that is not there' "$W/nobase.conf" 'group-base "ou=none,dc=corp,dc=example" is not there'

echo '== everything is compared'
conf compare 's/poll/compare 1s; &/'
dir_start "$W/compare.conf"
sees 'connects' 30000 '^changed all' true
mark
sees 'and after a while everybody is looked up again' 30000 '^changed all' true
dir_stop

echo '== without syncrepl'
slapd_kill
sed -i '/^security/a access to dn.base="" attrs=supportedControl by * none' "$W/slapd.conf"
slapd_start
: >"$W/err"
dir_start "$W/good.conf"
wait_line 90 '^state up' || bad 'not up'
if soon known && grep -q 'is asked for changes (contextCSN)' "$W/err"; then ok 'it is asked'; else bad "$(tail -n 3 "$W/err")"; fi
for n in alice bob 'o.h(ans)' dora; do ask "$n"; done
# a slapd that was killed has a contextCSN of before: the first write tells of all since, the next ones do not
comes 'an account is written' '^concerns .*dora' dora description written
concerns 'bob joins eng: who is in it now and before' 'alice bob' member add eng "cn=Bob B,ou=people,$BASE"
says 'bob is in it' ' bob .* eng ' bob
concerns 'bob leaves it' 'alice bob' member delete eng "cn=Bob B,ou=people,$BASE"
concerns 'an account is deleted' dora delete "cn=Dora D,ou=people,$BASE"
dir_stop

echo '== StartTLS'
conf starttls 's,ldaps:,ldap:,'
dir_start "$W/starttls.conf"
sees 'connects' 30000 '^state up' true
says 'lookup' ' found - alice eng$' alice
dir_stop

echo '== faults, in words'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/CN=another CA' \
	-keyout "$W/other.key" -out "$W/other.crt" 2>/dev/null
conf ca "s,/ca.crt,/other.crt,"
conf host 's,127.0.0.1,127.0.0.2,'
conf pw 's,/password,/wrong,'
conf base 's/base "dc=corp,dc=example"/base "dc=other"/'
conf type 's/openldap/ad/'
explains 'wrong CA' "$W/ca.conf" 'not signed by the CA in .*/other.crt'
explains 'wrong host name' "$W/host.conf" 'does not carry that name, but 127.0.0.1;'
explains 'wrong password' "$W/pw.conf" 'refuses cn=svc,ou=people,dc=corp,dc=example: wrong user name or password'
explains 'wrong base' "$W/base.conf" 'base "dc=other" is not in this directory'
explains 'wrong type' "$W/type.conf" 'no Active Directory'

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
