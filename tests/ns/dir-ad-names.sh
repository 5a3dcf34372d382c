# shellcheck shell=bash
# shellcheck disable=SC2154 # alice and other SIDs are of dir-ad.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/dir-ad-names.sh - part of dir-ad.sh, with its domain: names in all spellings, who was deleted
# and made again, deep nesting, primary groups, well-known SIDs.

# a user and a group with all that a DN and a filter are made of, and letters of others
ODD_USER='CN=\#Erin \"X\" \+\=\;\<y\> \\ (z)* & Ünal\ ,OU=People,'$LAB_BASE
ODD_GROUP='CN=\ Süd\, \"☃\" \+ (\#1) \\ *\ ,OU=Groups,'$LAB_BASE
user() { # NAME [LINE...]
	printf 'dn: CN=%s,OU=People,%s\nchangetype: add\nobjectClass: user\nsAMAccountName: %s\n' "$1" "$LAB_BASE" "$1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@"
	echo
}
group() { # NAME MEMBER-DN...
	printf 'dn: CN=%s,OU=Groups,%s\nchangetype: add\nobjectClass: group\nsAMAccountName: %s\n' "$1" "$LAB_BASE" "$1"
	shift
	[ $# = 0 ] || printf 'member: %s\n' "$@"
	echo
}
{
	printf 'dn: %s\nchangetype: add\nobjectClass: user\nsAMAccountName: Erin.Ünal\nuserPrincipalName: Erin.Ünal@Corp.Example\n\n' \
		"$ODD_USER"
	printf 'dn: %s\nchangetype: add\nobjectClass: group\nsAMAccountName: Süd (Ost) #1 & Co\nmember: %s\n\n' \
		"$ODD_GROUP" "$ODD_USER"
	user frank
	user greta
	# twenty groups, each in the next one, the last in the first
	group deep1 "CN=frank,OU=People,$LAB_BASE"
	for i in {2..20}; do group deep$i "CN=deep$((i - 1)),OU=Groups,$LAB_BASE"; done
	printf 'dn: CN=deep1,OU=Groups,%s\nchangetype: modify\nadd: member\nmember: CN=deep20,OU=Groups,%s\n\n' \
		"$LAB_BASE" "$LAB_BASE"
	group prime "CN=frank,OU=People,$LAB_BASE"
	group project "CN=greta,OU=People,$LAB_BASE"
	group everybody "CN=S-1-5-11,CN=ForeignSecurityPrincipals,$LAB_BASE" # Authenticated Users
} | lab_ldapmodify
primary() { # NAME GROUP - makes it the primary group
	local rid
	rid=$(LDAPTLS_CACERT=/etc/idfw/tls/ca.crt lab_in svm ldapsearch -LLL -x -H ldaps://dc1.corp.example \
		-D svc-idfw@corp.example -w Svc-Idfw-Passw0rd -s base -b "CN=$2,OU=Groups,$LAB_BASE" primaryGroupToken |
		sed -n 's/^primaryGroupToken: //p')
	attribute "$1" primaryGroupID "$rid"
}

echo '== names'
says 'DOMAIN\name in mixed case' " found $alice alice " 'Corp\ALICE'
says 'a UPN in mixed case' " found $alice alice " 'Alice@Corp.EXAMPLE'
says 'DNS\name' " found $alice alice " 'corp.example\Alice'
odd=' found [^ ]+ Erin.Ünal Domain_Users Süd_\(Ost\)_#1_&_Co Users$'
says 'name, DN and group with everything, not ASCII' "$odd" Erin.Ünal
says 'in other letters' "$odd" eRIN.ünal
says 'by its domain' "$odd" 'CORP\erin.Ünal'
says 'by its UPN' "$odd" erin.Ünal@corp.example
says 'another name that has letters without their dots is nobody' ' not-found ' 'Erin.Unal*'
sees 'it gets another name and place' 20000 '^concerns .*Erin' rename "$ODD_USER" 'CN=\, \ ' "$LAB_BASE"
says 'and is the same in its group' "$odd" Erin.Ünal

echo '== who was deleted, and somebody else of that name'
greta=$(sid_of greta)
says 'greta' " found $greta greta .* project" greta
sees 'is deleted' 20000 '^concerns .*greta' delete "CN=greta,$P"
says 'not there, also by her SID' ' not-found ' greta "$greta"
user greta | lab_ldapmodify
ask greta "$greta"
if [[ $LINE =~ ^answer\ greta\ found\ (S-1-5-21-[0-9-]+)\ greta\ Domain_Users\ Users$ ]] && [ "${BASH_REMATCH[1]}" != "$greta" ]; then
	ok 'another greta: another SID, none of the groups'
else
	bad "another greta: $LINE"
fi

echo '== groups: deep, primary, of everybody'
ask frank
if [ "$(grep -o ' deep[0-9]*' <<<"$LINE" | sort -u | wc -l)" = 20 ]; then ok 'twenty deep, in a cycle'; else bad "twenty deep: $LINE"; fi
says 'no group by way of a well-known SID: it is in nobody'\''s tokenGroups' '^answer frank found [^ ]+ frank (Domain_Users )?Users deep1 .* deep9 prime$' frank
sees 'another primary group' 20000 '^concerns .*frank' primary frank prime
says 'it counts, and so does the one before' '^answer frank found [^ ]+ frank Domain_Users Users deep1 .* prime$' frank
delete "CN=frank,$P"
delete "CN=greta,$P"
