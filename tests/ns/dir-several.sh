#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several directories at once: two Active Directories (Samba) and an OpenLDAP (slapd). Who answers for
# a name, names that are mapped, one of them down.
set -euo pipefail
# shellcheck source=tests/ns/slapd-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-lib.sh"
# shellcheck source=tests/ns/samba-lib.sh
. "$top_srcdir/tests/ns/samba-lib.sh"
A=127.0.0.11 B=127.0.0.12 L=127.0.0.13 SLAPD_PID=
LBASE=dc=l,dc=example

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 30 "$W"/{out,err} >&2 || true
	dir_stop
	[ -z "${SVM_PID:-}" ] || kill -KILL "$SVM_PID" 2>/dev/null || true
	for d in "${!SAMBA_PID[@]}"; do samba_kill "$d"; done
	[ -z "$SLAPD_PID" ] || kill -KILL "$SLAPD_PID" 2>/dev/null || true
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- the directories ----
slapd_certificate IP:$A IP:$B IP:$L
samba_provision a.example $A &
first=$!
samba_provision b.example $B BEE
wait $first
slapd_modify() { timeout 120 ldapmodify -x -H ldaps://$L -D "cn=admin,$LBASE" -w admin "$@" >/dev/null; }
{
	slapd_head
	slapd_database "$LBASE" "$W/l"
} >"$W/slapd.conf"
"$SLAPD" -d 0 -f "$W/slapd.conf" -h ldaps://$L >>"$W/slapd.log" 2>&1 9>&- &
SLAPD_PID=$!
samba_run a.example $A
samba_run b.example $B

# entries of the lines "user NAME [UPN]" and "group NAME MEMBER-DN|..."
ldif() { # BASE
	local kind name rest
	while read -r kind name rest; do
		printf 'dn: CN=%s,CN=Users,%s\nchangetype: add\nobjectClass: %s\nsAMAccountName: %s\n' \
			"$(sed 's/[,+\\"#]/\\&/g' <<<"$name")" "$1" "$kind" "$name"
		case $kind in
		user) [ -z "$rest" ] || printf 'userPrincipalName: %s\n' "$rest" ;;
		group)
			echo 'groupType: -2147483644'
			tr '|' '\n' <<<"$rest" | sed -n 's/..*/member: &/p'
			;;
		esac
		echo
	done
}
ldif DC=a,DC=example <<-'E' | samba_modify a.example
	user alice
	user anna anna@shared.example
	group eng CN=alice,CN=Users,DC=a,DC=example|CN=anna,CN=Users,DC=a,DC=example
	group below
	group above CN=below,CN=Users,DC=a,DC=example
	group around CN=above,CN=Users,DC=a,DC=example
	group via-group
E
ldif DC=b,DC=example <<-'E' | samba_modify b.example
	user alice
	user berta berta@shared.example
	user Ärzte
	user #a(b)&c
	group eng CN=berta,CN=Users,DC=b,DC=example|CN=Ärzte,CN=Users,DC=b,DC=example
	group odd CN=\#a(b)&c,CN=Users,DC=b,DC=example
E
# member add|delete GROUP SID - a group of A, an account or group of B
member() {
	printf 'dn: CN=%s,CN=Users,DC=a,DC=example\nchangetype: modify\n%s: member\nmember: <SID=%s>\n' \
		"$2" "$1" "$3" | samba_modify a.example
}
berta=$(samba_sid b.example berta)
member add below "$berta"
member add via-group "$(samba_sid b.example odd)"
# what counts for its own accounts only, or for nobody: a builtin group, a distribution list
printf 'dn: CN=Print Operators,CN=Builtin,DC=a,DC=example\nchangetype: modify\nadd: member\nmember: <SID=%s>\n\n' "$berta" |
	samba_modify a.example
printf 'dn: CN=mailing,CN=Users,DC=a,DC=example\nchangetype: add\nobjectClass: group\nsAMAccountName: mailing\n%s\n\n' \
	'groupType: 4' | samba_modify a.example
member add mailing "$berta"
# a cycle: around is above, and below
printf 'dn: CN=below,CN=Users,DC=a,DC=example\nchangetype: modify\nadd: member\nmember: %s\n' \
	CN=around,CN=Users,DC=a,DC=example | samba_modify a.example
{
	printf 'dn: %s\nobjectClass: domain\ndc: l\n\n' $LBASE
	for u in alice lena; do
		printf 'dn: cn=%s,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: %s\n\n' $u $LBASE $u
	done
	printf 'dn: cn=odd,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: #a*(b)+c,"d=e"\n\n' $LBASE
	printf 'dn: cn=eng,%s\nobjectClass: groupOfNames\nmember: cn=lena,%s\nmember: cn=odd,%s\n\n' \
		$LBASE $LBASE $LBASE
} | slapd_modify -a
echo "$SAMBA_PASS" >"$W/password"
echo admin >"$W/l.password"
chmod 400 "$W"/{password,l.password}

block() { # LABEL TYPE IP BASE BIND-USER PASSWORD-FILE [MORE]
	cat <<-E
		directory $1 {
			type $2; uri "ldaps://$3"; base "$4"; bind-user "$5";
			password-file "$W/$6"; ca "$W/ca.crt"; poll 200ms; deadline 40s; ${7:-}
		}
	E
}
block_a() { block a ad $A DC=a,DC=example administrator@a.example password "${1:-}"; }
block_b() { block b ad $B DC=b,DC=example administrator@b.example password "${1:-}"; }
block_l() { block l openldap $L $LBASE "cn=admin,$LBASE" l.password; }
# is TEXT LABEL GROUP NAME [SID [LABEL]] - found there, in such a group
is() {
	local text=$1 label=$2 group=$3
	shift 3
	if ask "$*" && grep -qxF "in $1 $label" < <(news) && [[ " $LINE " == *" $group "* ]]; then
		ok "$text"
	else
		bad "$text: ${LINE:-no answer}; $(news | grep '^in' || true)"
	fi
}
up() { # LABEL...
	local l
	for l; do
		MARK=0
		wait_line 150 "^state @$l up" || bad "$l is not up"
		wait_line 150 "^changed @$l all" || bad "$l: nobody is looked up" # told once, at the start
	done
}

echo '== who answers'
{
	echo 'map-names "*@old.example -> *@b.example", "oldlena -> lena@l.example";'
	block_a
	block_b
	block_l
} >"$W/all.conf"
dir_start "$W/all.conf"
up a b l
is 'a bare name: the first block that has it' a eng alice
if wait_line 90 '^collision alice a b$' && wait_line 90 '^collision alice a l$'; then
	ok 'and the others, that have one too, are told'
else
	bad 'no word about alice in b and l'
fi
is 'a bare name of the second one' b eng berta
is 'a bare name of the third one' l eng lena
is 'by domain' b Domain_Users alice@b.example
is 'by domain, without case' b Domain_Users Alice@B.Example
is 'by NetBIOS name, which only the directory knows' b Domain_Users 'BEE\alice'
is 'by DNS\name' a eng 'a.example\alice'
is 'by domain in OpenLDAP' l eng lena@l.example
is 'a UPN of a domain that no block claims' b eng berta@shared.example
is 'mapped' b eng berta@old.example
is 'mapped, without case' b eng BERTA@OLD.example
is 'mapped by its whole name' l eng oldlena
says 'nobody has it' ' not-found ' nobody
says 'it is not where its domain is' ' not-found ' berta@a.example
says 'a domain of nobody' ' not-found ' 'NOBODY\alice'
is 'not ASCII' b eng 'Ärzte'
is 'not ASCII, in small letters' b eng 'ärzte'
is 'with what a filter and a DN are made of' b odd '#a(b)&c'
is 'with what a filter and a DN are made of, OpenLDAP' l eng '#a*(b)+c,"d=e"'
says 'a wildcard is a name' ' not-found ' '#a*'
says 'a name is no domain' ' not-found ' '#a*(b)\c'

says 'a bare name on a VM of the second one' '^answer alice\|b found [^ ]+ alice Domain_Users Users$' 'in b alice'
says 'and on one of the third' '^answer alice\|l found - alice$' 'in l alice'
says 'whom that one does not have is not another one'\''s' '^answer lena\|b not-found ' 'in b lena'
says 'a name with a domain there' '^answer alice@a.example\|b found [^ ]+ alice .* eng$' 'in b alice@a.example'

echo '== one of them is down'
gone() { samba_kill a.example; }
sees 'the first is killed' 20000 '^state @a down' gone
says 'a bare name is nobody else, and not nobody' '^answer alice unavailable ' alice
says 'nor whom the second may have' '^answer berta unavailable ' berta
is 'but who is known as its account is looked up there' b eng berta "$berta" b
says 'unless it is somebody else' '^answer alice unavailable ' alice "$berta" b
is 'names with a domain go on' b eng berta@b.example
is 'names with a domain go on, OpenLDAP' l eng lena@l.example
says 'its own are unavailable' '^answer alice@a.example unavailable ' alice@a.example
sees 'it comes back' 30000 '^state @a up' samba_run a.example $A
is 'and answers' a eng alice
dir_stop

# shellcheck source=tests/ns/dir-several-svm.sh
. "$top_srcdir/tests/ns/dir-several-svm.sh"

echo '== default'
{
	block_a
	block_b 'default yes; realm "shared.example"; netbios "OTHER";'
} >"$W/default.conf"
dir_start "$W/default.conf"
up a b
is 'a bare name: the block with default' b Domain_Users alice
says 'no other one' '^answer anna not-found' anna
is 'realm' b eng berta@shared.example
says 'realm: no other one' '^answer anna@shared.example not-found' anna@shared.example
is 'a second NetBIOS name' b Domain_Users 'other\alice'
dir_stop

echo '== groups in a directory that is trusted (foreign security principals)'
{
	block_a
	block_b 'trusts a;'
	block_l
} >"$W/trusts.conf"
dir_start "$W/trusts.conf"
up a b l
own='Domain_Users Users'
says 'of the account, nested, with a cycle; no builtin one, no distribution list' " berta $own above around below eng\$" berta@b.example
says 'of its group' " #a\(b\)&c $own odd via-group\$" '#a(b)&c'
says 'of somebody who is in none' " alice $own\$" alice@b.example
says 'they trust nobody back' " anna $own eng\$" anna
sees 'it leaves a group there: it is told' 20000 '^changed @a ' member delete below "$berta"
says 'and has none there' " berta $own eng\$" berta@b.example
sees 'a group there gets a member: it is told' 20000 '^changed @a ' member add above "$berta"
says 'and it has that' " berta $own above around below eng\$" berta@b.example
sees 'the trusted one is killed' 20000 '^state @a down' gone
says 'who is not known is unavailable: a group may be missing' '^answer berta@b.example unavailable ' berta@b.example
is 'others go on' l eng lena@l.example
dir_stop

echo '== Global Catalog'
A=$A:3269 block_a >"$W/gc.conf"
samba_run a.example $A
dir_start "$W/gc.conf"
sees 'its port' 60000 '^state up' true
says 'an account' ' alice Domain_Users Users eng$' alice
says 'its UPN' ' anna Domain_Users Users eng$' anna@shared.example
dir_stop

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
