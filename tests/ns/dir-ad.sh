#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# svm-idfw's directory part against a real Active Directory (Samba): lookups in all name forms,
# changes seen in time, a server that dies or stalls, and faults explained in words.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root'
	exit 77
}
: "${IDFW_LAB:=ad$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
LAB_VMS=() LAB_FILE_VMS=() LAB_MACHINES=(host dc svm) LAB_NET=([dc]=8 [svm]=9)
W=$(mktemp -d) DIR_PID=
DIR_CHECK=/run/lab/build/tests/ns/dir_check
DIR_RUN=(lab_in svm setpriv --reuid 990 --regid 990 --clear-groups)
# shellcheck source=tests/ns/dir-lib.sh
. "$top_srcdir/tests/ns/dir-lib.sh"

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 15 "$W"/{out,err} >&2 || true
	dir_stop
	lab_down || rc=1
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# conf NAME SED - a variant of the good configuration, in the svm machine
conf() {
	sed -e "${2:-}" <<-'E' | lab_in svm sh -c 'cat >/etc/idfw/dir-'"$1"'.conf'
		directory corp {
			type ad;
			uri "ldaps://dc1.corp.example";
			base "DC=corp,DC=example";
			bind-user "svc-idfw@corp.example";
			password-file "/etc/idfw/dir.password";
			ca "/etc/idfw/tls/ca.crt";
			poll 500ms;
			deadline 40s;
		}
	E
}
password() { # FILE TEXT MODE
	# shellcheck disable=SC2016
	lab_in svm sh -c 'printf "%s\n" "$2" >"$1" && chown 990 "$1" && chmod "$3" "$1"' _ "$@"
}
# the numbers of a user's SID, as the directory gives them
sid_of() {
	ask "$1"
	set -- $LINE
	echo "$4"
}

mkdir -m 711 "$LAB_DIR"
lab_files
lab_keys
for m in "${LAB_MACHINES[@]}"; do lab_machine_start "$m"; done
for m in "${LAB_MACHINES[@]}"; do lab_wait_for 90 lab_machine_ready "$m" || lab_die "$m did not come up"; done
lab_network
lab_dc_start
lab_ldapmodify <<-E
dn: CN=Müller\\, Hans (IT) *,OU=People,$LAB_BASE
	changetype: add
	objectClass: user
	sAMAccountName: hans.müller
	userPrincipalName: h.mueller@elsewhere.example

dn: CN=R&D (East)\\, \\+,OU=Groups,$LAB_BASE
	changetype: add
	objectClass: group
	sAMAccountName: R&D (East)
	member: CN=Müller\\, Hans (IT) *,OU=People,$LAB_BASE

dn: CN=passing,OU=Groups,$LAB_BASE
	changetype: add
	objectClass: group
	sAMAccountName: passing
	member: CN=bob,OU=People,$LAB_BASE
E
password /etc/idfw/dir.password Svc-Idfw-Passw0rd 400
conf good
dir_start /etc/idfw/dir-good.conf

echo '== lookups'
sees 'connects and says so' 30000 '^state up' true
says 'nested groups, primary group, no distribution list' \
	' found S-1-5-21-[0-9-]+ alice Domain_Users Users all-staff eng res-build$' alice
alice=$(sid_of alice)
says 'the same by CORP\name' "found $alice alice " 'corp\alice'
says 'the same by UPN' "found $alice alice " alice@corp.example
says 'the same with a known SID' "found $alice alice .* eng " alice "$alice"
says 'a SID that is of another name does not decide' ' found S-1-5-21-[0-9-]+ bob ' bob "$alice"
says 'name and group that need escaping' ' found [^ ]+ hans.müller Domain_Users R&D_\(East\) Users$' hans.müller
says 'a UPN of another suffix' ' found [^ ]+ hans.müller ' h.mueller@elsewhere.example
upn() { # TEXT NAME UPN
	ask "$2"
	grep -qxF "upn $2 $3" < <(news) && ok "$1" || bad "$1: $(grep "^upn $2" "$W/out")"
}
upn 'with its UPN' alice alice@corp.example
upn 'a UPN of its own' hans.müller h.mueller@elsewhere.example
says 'a disabled account is found, with its groups' ' found [^ ]+ dave Domain_Users Users$' dave
says 'unknown' ' not-found - -$' nobody
says 'another domain' ' not-found ' 'OTHER\alice'
says 'another suffix' ' not-found ' alice@other.example
says 'a group is no account' ' not-found ' eng
says 'a wildcard is a name' ' not-found ' '*'
says 'a filter is a name' ' not-found ' 'alice)(objectClass=*'

echo '== whom changes concern: the groups are read'
counts_as() { sed -n 's/.* counts changes as \([0-9a-f-]*\).*/\1/p' "$W/err" | tail -1; }
# invocation [NEW] - of the DC's database, as the DC has it; NEW: as a restore from a backup writes it
invocation() {
	lab_in dc /usr/bin/python3 - "$@" <<-'E'
		import sys, ldb
		from samba.auth import system_session
		from samba.dcerpc import misc
		from samba.ndr import ndr_pack, ndr_unpack
		from samba.param import LoadParm
		from samba.samdb import SamDB
		lp = LoadParm()
		lp.load("/etc/idfw/smb.conf")
		sam = SamDB(session_info=system_session(), lp=lp)
		dn = sam.get_dsServiceName()
		if len(sys.argv) > 1:
		    m = ldb.Message(ldb.Dn(sam, dn))
		    m["invocationId"] = ldb.MessageElement(ndr_pack(misc.GUID(sys.argv[1])), ldb.FLAG_MOD_REPLACE, "invocationId")
		    sam.modify(m, ["relax:0"])
		have = sam.search(base=dn, scope=ldb.SCOPE_BASE, attrs=["invocationId"])[0]["invocationId"][0]
		print(ndr_unpack(misc.GUID, have))
	E
}
if [ -n "$(counts_as)" ] && [ "$(counts_as)" = "$(invocation)" ]; then
	ok "whose numbers they are: $(counts_as)"
else
	bad "it counts as $(invocation), we have $(counts_as)"
fi
known() { grep -q ' groups with [0-9]* members are known' "$W/err"; }
if lab_wait_for 90 known; then ok 'all groups are known'; else bad 'the groups are not known'; fi
for n in bob carol dave; do ask "$n"; done

echo '== the state of an account'
is_state 'disabled' 'disabled[^ ]* 0' dave
is_state 'well' '' alice
attribute() { # USER NAME VALUE
	lab_ldapmodify <<-E
		dn: CN=$1,OU=People,$LAB_BASE
		changetype: modify
		replace: $2
		$2: $3
	E
}
sees 'bob is disabled: he is named' 20000 '^concerns bob$' attribute bob userAccountControl 514
is_state 'bob is disabled' 'disabled 0' bob
sees 'and enabled again' 20000 '^concerns bob$' attribute bob userAccountControl 512
is_state 'bob is well' '' bob
# 2030-01-01: 100 ns since 1601
sees 'bob gets a time to expire' 20000 '^concerns bob$' attribute bob accountExpires 135379296000000000
is_state 'it is told' ' 1893456000000' bob
attribute bob accountExpires 132223104000000000
is_state 'one that is over' 'expired 1577836800000' bob
attribute bob accountExpires 9223372036854775807
is_state 'never' '' bob
attribute bob pwdLastSet 0
is_state 'a password that must be changed' 'must-change 0' bob
attribute bob pwdLastSet -1
is_state 'and was' '' bob
lockout() { printf 'dn: %s\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: %s\n' "$LAB_BASE" "$1" | lab_ldapmodify; }
lockout 2
wrong_password() {
	LDAPTLS_CACERT=/etc/idfw/tls/ca.crt lab_in svm ldapwhoami -H ldaps://dc1.corp.example \
		-x -D bob@corp.example -w wrong-password >/dev/null 2>&1 || true
}
wrong_password
sees 'two wrong passwords lock it' 20000 '^concerns .*bob' wrong_password
is_state 'bob is locked' 'locked 0' bob
sees 'and it is unlocked' 20000 '^concerns .*bob' attribute bob lockoutTime 0
is_state 'not any more' '' bob
lockout 0 # wrong keys of svc-idfw come below, tried again until we have seen what is said

echo '== changes concern whom they concern'
add() { printf 'dn: %s\nchangetype: modify\nadd: member\nmember: %s\n' "$1" "$2" | lab_ldapmodify; }
remove() { printf 'dn: %s\nchangetype: modify\ndelete: member\nmember: %s\n' "$1" "$2" | lab_ldapmodify; }
rename() { # DN NEWRDN [NEWSUPERIOR]
	printf 'dn: %s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\n%s' "$1" "$2" "${3:+newsuperior: $3
}" | lab_ldapmodify
}
delete() { printf 'dn: %s\nchangetype: delete\n' "$1" | lab_ldapmodify; }
G=OU=Groups,$LAB_BASE P=OU=People,$LAB_BASE
concerns 'bob joins eng' bob lab_ad_group_add eng bob
says 'bob is in eng, and in what eng is in' ' bob .*all-staff eng passing res-build' bob
concerns 'bob leaves eng: who was in it' 'alice bob' lab_ad_group_del eng bob
says 'bob is out' ' bob Domain_Users Users passing$' bob
concerns 'a group joins eng: who is in it' bob add "CN=eng,$G" "CN=passing,$G"
says 'bob is in eng by it' ' bob .* eng passing' bob
concerns 'it leaves again' 'alice bob' remove "CN=eng,$G" "CN=passing,$G"
ask bob
concerns 'a cycle is made: who is in it' 'alice carol' add "CN=eng,$G" "CN=res-build,$G"
concerns 'and undone' alice remove "CN=eng,$G" "CN=res-build,$G"
user_change() {
	lab_ldapmodify <<-E
		dn: CN=alice,OU=People,$LAB_BASE
		changetype: modify
		replace: description
		description: changed $RANDOM
	E
}
concerns 'only the user changed' alice user_change
concerns 'an account gets another name and place' carol rename "CN=carol,$P" CN=caroline "$LAB_BASE"
group_rename() {
	lab_ldapmodify <<-E
		dn: CN=ops,OU=Groups,$LAB_BASE
		changetype: modify
		replace: sAMAccountName
		sAMAccountName: operations
	E
}
says 'carol is in ops' ' carol .* ops ' carol
concerns 'ops gets another name' carol group_rename
says 'the cached name is gone' ' carol .* operations ' carol
concerns 'and another place' carol rename "CN=ops,$G" CN=ops2 "$P"
concerns 'a group is deleted' bob delete "CN=passing,$G"
says 'bob is out of it' ' bob Domain_Users Users$' bob
concerns 'an account is deleted' dave delete "CN=dave,$P"
says 'it is not there' ' not-found ' dave
concerns 'so is one with a name that needs escaping' hans.müller delete "CN=R&D (East)\\, \\+,$G"
sees 'an organizational unit gets another name: everybody' 20000 '^changed all' rename "$G" OU=Teams
sees 'and its old one again' 20000 '^changed all' rename "OU=Teams,$LAB_BASE" OU=Groups

echo '== a group of 40 members, seven at a time'
dir_stop
{
	printf 'dn: CN=large,%s\nchangetype: add\nobjectClass: group\nsAMAccountName: large\n' "$G"
	for i in {1..40}; do printf 'member: CN=crowd%s,%s\n' "$i" "$G"; done
} >"$W/large"
for i in {1..40}; do
	printf 'dn: CN=crowd%s,%s\nchangetype: add\nobjectClass: group\nsAMAccountName: crowd%s\n\n' "$i" "$G" "$i"
done | lab_ldapmodify
lab_ldapmodify <"$W/large"
conf small 's,poll,range 7; page 10; &,'
: >"$W/err"
dir_start /etc/idfw/dir-small.conf
lab_wait_for 90 known && ok 'all groups are known' || bad 'the groups are not known'
for n in alice bob; do ask "$n"; done
concerns 'bob joins it' bob lab_ad_group_add large bob
says 'bob is in it' ' bob .*large' bob
concerns 'alice joins it' alice lab_ad_group_add large alice
ask alice
concerns 'bob leaves it: who was in it' 'alice bob' lab_ad_group_del large bob
dir_stop
conf good
dir_start /etc/idfw/dir-good.conf
wait_line 90 '^state up' || bad 'not up again'

# shellcheck source=tests/ns/dir-ad-names.sh
. "$top_srcdir/tests/ns/dir-ad-names.sh"

echo '== the server dies and comes back'
sees 'killed: down' 30000 '^state down .*dc1.corp.example refuses connections on port 636' lab_signal dc samba KILL
says 'lookups are answered at once' ' unavailable ' alice
# its numbers go on behind those that we know, so they alone do not show it
RESTORED=5ca1ab1e-0000-4000-8000-00000000beef
[ "$(invocation $RESTORED)" = $RESTORED ] || bad 'cannot be restored'
sees 'back, with a restored database: up' 30000 '^state up' lab_dc_run
anew() { [ "$(counts_as)" = $RESTORED ] && grep -q 'restored from a backup' "$W/err"; }
if lab_wait_for 90 anew && wait_line 90 '^changed all'; then ok 'all is compared'; else bad "not compared: $(tail -3 "$W/err")"; fi
says 'and lookups work' " found $alice alice .* eng " alice

echo '== the server stalls'
dir_stop
conf stalls 's/deadline .*/deadline 2s;/'
dir_start /etc/idfw/dir-stalls.conf
sees 'connects' 30000 '^state up' true
finds 'a lookup' " found $alice alice .* eng " alice
lab_signal dc samba STOP
stalled() { echo bob >&"$DIR_FD"; }
sees 'a lookup is answered within the deadline' 30000 '^answer bob unavailable' stalled
killed() { grep -q 'did not answer within 2000 ms' "$W/err"; }
lab_wait_for 90 killed && ok 'a stalled TLS handshake: the child is killed' || bad 'the child was not killed'
sees 'it goes on: up' 30000 '^state up' lab_signal dc samba CONT
finds 'and lookups work' " found $alice alice .* eng " alice
dir_stop

echo '== StartTLS, and a bind by DOM\user and DN'
conf starttls 's,ldaps://,ldap://,; s,"svc-idfw@.*","CORP\\\\svc-idfw",'
dir_start /etc/idfw/dir-starttls.conf
sees 'StartTLS, CORP\svc-idfw' 30000 '^state up' true
says 'lookup' " found $alice " alice
dir_stop
conf dn 's;"svc-idfw@.*;"CN=svc-idfw,OU=People,DC=corp,DC=example"\;;'
dir_start /etc/idfw/dir-dn.conf
sees 'bind by DN' 30000 '^state up' true
dir_stop

# shellcheck source=tests/ns/dir-ad-bind.sh
. "$top_srcdir/tests/ns/dir-ad-bind.sh"

echo '== faults, in words'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/CN=another CA' \
	-keyout "$W/ca.key" -out "$W/ca.crt" 2>/dev/null
lab_in svm sh -c 'cat >/etc/idfw/other-ca.crt' <"$W/ca.crt"
password /etc/idfw/wrong.password Wrong-Passw0rd 400
password /etc/idfw/open.password Svc-Idfw-Passw0rd 644
password /etc/idfw/empty.password '' 400
conf ca 's,/etc/idfw/tls/ca.crt,/etc/idfw/other-ca.crt,'
conf host 's,dc1.corp.example,dc,'
conf pw 's,dir.password,wrong.password,'
conf mode 's,dir.password,open.password,'
conf empty 's,dir.password,empty.password,'
conf missing 's,dir.password,missing.password,'
conf user 's,svc-idfw@,nobody@,'
conf port 's,corp.example";$,corp.example:637";,'
conf notls 's,ldaps://dc1.corp.example",ldaps://dc1.corp.example:389",'
conf name 's,dc1.corp.example",dc9.corp.example",'
explains 'wrong CA' /etc/idfw/dir-ca.conf 'not signed by the CA in /etc/idfw/other-ca.crt'
explains 'wrong host name' /etc/idfw/dir-host.conf 'the certificate of dc does not carry that name'
explains 'wrong password' /etc/idfw/dir-pw.conf 'refuses svc-idfw@corp.example: wrong user name or password .*/etc/idfw/wrong.password'
explains 'no such bind account' /etc/idfw/dir-user.conf 'refuses nobody@corp.example'
explains 'password file open to others' /etc/idfw/dir-mode.conf 'open.password is open to others \(mode 644\)'
explains 'empty password file' /etc/idfw/dir-empty.conf 'has no password in it'
explains 'no password file' /etc/idfw/dir-missing.conf 'cannot read password-file .*missing.password'
explains 'nobody listens' /etc/idfw/dir-port.conf 'refuses connections on port 637'
explains 'no TLS on that port' /etc/idfw/dir-notls.conf 'does not complete a TLS handshake'
lab_in svm sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
explains 'no such host' /etc/idfw/dir-name.conf 'cannot find the address of dc9.corp.example'

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
