# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/dir-ad-bind.sh - part of dir-ad.sh: GSSAPI with a keytab against a Samba DC, and the faults
# of accounts, keytabs, clocks and seals in words. Sourced: conf, password, ok, bad, explains are its.

# krb NAME SED - the good configuration with a keytab, on port 389 and without a CA
krb() {
	conf "$1" "s,ldaps://,ldap://,; /ca \"/d
		s/bind-user .*/bind gssapi; bind-user \"svc-idfw@CORP.EXAMPLE\";/
		s,password-file .*,keytab \"/etc/idfw/dir.keytab\"; krb5-config \"/etc/idfw/krb5.conf\";,"
	lab_in svm sed -i -e "${2:-}" "/etc/idfw/dir-$1.conf"
}
# keytab FILE PRINCIPAL - from the DC to the svm machine, for svm-idfw's user
keytab() {
	lab_in dc rm -f /tmp/out.keytab
	lab_in dc samba-tool domain exportkeytab /tmp/out.keytab -s /etc/idfw/smb.conf --principal="$2" >/dev/null 2>&1
	lab_in dc cat /tmp/out.keytab | lab_in svm sh -c "cat >$1 && chown 990 $1 && chmod 400 $1"
}
user_set() { # USER ATTRIBUTE VALUE
	lab_ldapmodify <<-E
		dn: CN=$1,OU=People,$LAB_BASE
		changetype: modify
		replace: $2
		$2: $3
	E
}
user_add() { # USER
	local pw
	pw=$(printf '"Fault-Passw0rd"' | iconv -t utf-16le | base64)
	lab_ldapmodify <<-E
		dn: CN=$1,OU=People,$LAB_BASE
		changetype: add
		objectClass: user
		sAMAccountName: $1
		userPrincipalName: $1@corp.example
		userAccountControl: 512
		unicodePwd:: $pw
	E
}
krb5_conf() { # FILE SED
	lab_krb5_conf | sed -e "${2:-}" | lab_in svm sh -c "cat >$1"
}

# key FILE PRINCIPAL - a keytab made from a password that is not the account's
key() {
	printf 'addent -password -p %s -k 7 -e aes256-cts-hmac-sha1-96\nNot-Its-Passw0rd\nwkt /etc/idfw/%s\n' "$2" "$1" |
		lab_in svm sh -c "rm -f /etc/idfw/$1; ktutil >/dev/null; chown 990 /etc/idfw/$1; chmod 400 /etc/idfw/$1"
}

echo '== GSSAPI'
# no machine's krb5.conf: the setting alone decides
lab_in svm rm -f /etc/krb5.conf
krb5_conf /etc/idfw/krb5.conf
keytab /etc/idfw/dir.keytab svc-idfw
krb gssapi
# its clock can be set: half a day on, the first ticket is over
lab_in svm sh -c 'echo 0 0 >/etc/idfw/clock'
AS_USER=("${DIR_RUN[@]}")
DIR_RUN+=(env LD_PRELOAD=/run/lab/build/tests/ns/.libs/libclockshift.so CLOCK_SHIFT=/etc/idfw/clock CLOCK_SHIFT_ALL=1)
dir_start /etc/idfw/dir-gssapi.conf
sees 'keytab, port 389, sealed by Kerberos' 20000 '^state up' true
finds 'lookup' " found ${alice:?} alice .* eng " alice
sees 'the DC dies' 20000 '^state down' lab_signal dc samba KILL
lab_in svm sh -c 'echo 43200000 0 >/etc/idfw/clock'
sees 'it comes back when the ticket is over: another is asked for' 30000 '^state up' lab_dc_run
finds 'lookup' " found ${alice:?} alice .* eng " alice
dir_stop

echo '== GSSAPI: faults, in words'
krb5_conf /etc/idfw/krb5-strict.conf 's/^\[libdefaults\]/&\n\tkdc_timesync = 0/'
krb skew 's,/krb5.conf,/krb5-strict.conf,'
lab_in svm sh -c 'echo 3600000 0 >/etc/idfw/clock'
explains 'the clock is an hour off' /etc/idfw/dir-skew.conf \
	'clocks differ too much for Kerberos: 20..-..-..T..:..:..Z here, 20..-..-..T..:..:..Z on dc1.corp.example; .*; try: timedatectl'
DIR_RUN=("${AS_USER[@]}")
krb5_conf /etc/idfw/krb5-dead.conf 's/:88/:89/'
# accounts of our own: others' are renamed and disabled before we come
user_add krb-other
user_add krb-off
user_set krb-off userAccountControl 514
keytab /etc/idfw/other-account.keytab krb-other
keytab /etc/idfw/off.keytab krb-off
key stale.keytab svc-idfw@CORP.EXAMPLE
key ghost.keytab ghost@CORP.EXAMPLE
key other.keytab svc-idfw@OTHER.EXAMPLE
lab_in svm sh -c 'cp /etc/idfw/dir.keytab /etc/idfw/open.keytab; chmod 644 /etc/idfw/open.keytab'
while IFS='|' read -r name edit want; do
	krb "$name" "$edit"
	explains "$name" "/etc/idfw/dir-$name.conf" "$want"
done <<-'E'
	keytab-missing|s,dir.keytab,none.keytab,|cannot read keytab /etc/idfw/none.keytab: No such file
	keytab-open|s,dir.keytab,open.keytab,|keytab /etc/idfw/open.keytab is open to others \(mode 644\); try: chmod 400
	keytab-of-another|s,dir.keytab,other-account.keytab,|keytab /etc/idfw/other-account.keytab has no key of svc-idfw@CORP.EXAMPLE, but of krb-other@CORP.EXAMPLE; .*; try: klist -kt /etc/idfw/other-account.keytab
	small-realm|s,@CORP.EXAMPLE,@corp.example,|has no key of svc-idfw@corp.example, but of svc-idfw@CORP.EXAMPLE; principals are written with the realm, in capitals
	key-version|s,dir.keytab,stale.keytab,|the KDC refuses the key of svc-idfw@CORP.EXAMPLE in keytab /etc/idfw/stale.keytab \(version 7\): .*; try: klist -kt
	no-account|s,dir.keytab,ghost.keytab,; s,svc-idfw@,ghost@,|Kerberos refuses ghost@CORP.EXAMPLE: the KDC does not know this account
	disabled|s,dir.keytab,off.keytab,; s,svc-idfw@,krb-off@,|Kerberos refuses krb-off@CORP.EXAMPLE: the account is disabled, expired or locked
	other-realm|s,dir.keytab,other.keytab,; s,@CORP,@OTHER,|no KDC of realm OTHER.EXAMPLE is known; name it in krb5.conf
	no-kdc|s,/krb5.conf,/krb5-dead.conf,|no KDC of realm CORP.EXAMPLE answers on port 88; .*; try: KRB5_TRACE=/dev/stderr kinit -kt
	address|s,dc1.corp.example,10.77.8.10,|the KDC knows no service ldap/10.77.8.10; write the server's own DNS name
	over-tls|s;"ldap://.*;"ldaps://dc1.corp.example"\; ca "/etc/idfw/tls/ca.crt"\;;|does not take GSSAPI over TLS; write ldap:// in uri
E

echo '== GSSAPI: DNS says that the server is called otherwise'
lab_in dc samba-tool spn add ldap/evil.corp.example 'DC1$' -s /etc/idfw/smb.conf >/dev/null
lab_in svm sh -c 'cp /etc/hosts /tmp/hosts; sed -i "s/[[:space:]]dc1\.corp\.example/ evil.corp.example&/" /etc/hosts'
krb5_conf /etc/idfw/krb5-dns.conf '/dns_canonicalize_hostname/d; s/^\[libdefaults\]/&\n\tdns_canonicalize_hostname = true/'
krb dns 's,/krb5.conf,/krb5-dns.conf,'
explains 'forged' /etc/idfw/dir-dns.conf 'DNS led Kerberos to ldap/evil.corp.example@CORP.EXAMPLE instead of ldap/dc1.corp.example; '
lab_in svm sh -c 'cat /tmp/hosts >/etc/hosts'

echo '== GSSAPI: a server that does not seal'
user_add slapd
user_set slapd servicePrincipalName ldap/svm.corp.example
keytab /etc/idfw/slapd.keytab ldap/svm.corp.example
lab_in svm sh -c 'cat >/etc/idfw/slapd.conf' <<-'E'
	sasl-host svm.corp.example
	sasl-secprops noplain,noanonymous,maxssf=0
	access to * by * read
E
lab_spawn svm slapd env KRB5_KTNAME=/etc/idfw/slapd.keytab KRB5_CONFIG=/etc/idfw/krb5.conf \
	/usr/sbin/slapd -d 0 -f /etc/idfw/slapd.conf -h ldap://10.77.9.10:1389
lab_wait_for 90 lab_tcp_open svm 10.77.9.10 1389 || lab_die 'slapd does not come up'
krb noseal 's,dc1.corp.example,svm.corp.example:1389,'
explains 'no seal' /etc/idfw/dir-noseal.conf 'ldap://svm.corp.example:1389 does not seal with Kerberos \(128 bits at least\), .*; nothing was sent'
lab_signal svm slapd KILL

echo '== accounts that may not bind, in words'
user_add fault
password /etc/idfw/fault.password Fault-Passw0rd 400
conf fault 's/svc-idfw@/fault@/; s,dir.password,fault.password,'
domain_set() { # ATTRIBUTE VALUE
	printf 'dn: %s\nchangetype: modify\nreplace: %s\n%s: %s\n' "$LAB_BASE" "$1" "$1" "$2" | lab_ldapmodify
}
refused() { explains "$1" /etc/idfw/dir-fault.conf "refuses fault@corp.example: $2"; }
dir_start /etc/idfw/dir-fault.conf
sees 'it may' 20000 '^state up' true
dir_stop
user_set fault userAccountControl 514
refused disabled 'the account is disabled; try: Enable-ADAccount fault \(samba-tool user enable\)'
user_set fault userAccountControl 512
user_set fault accountExpires 130000000000000000
refused expired 'the account has expired; try: Clear-ADAccountExpiration fault'
user_set fault accountExpires 0
user_set fault pwdLastSet 0
refused 'must change' 'the password must be changed before its first use; try: Set-ADUser fault'
user_set fault pwdLastSet -1
domain_set lockoutThreshold 1
lab_in dc env LDAPTLS_CACERT=/etc/idfw/tls/ca.crt ldapwhoami -x -H ldaps://dc1.corp.example -D fault@corp.example -w wrong >/dev/null 2>&1 || true
refused locked 'the account is locked; try: Unlock-ADAccount fault'
domain_set lockoutThreshold 0
conf bare 's/svc-idfw@corp.example/svc-idfw/'
explains 'a bare name' /etc/idfw/dir-bare.conf 'refuses svc-idfw: that is neither UPN \(svc-idfw@corp.example\), CORP.svc-idfw nor DN'
conf nobase 's/base "/base "OU=none,/'
explains 'a base that is not there' /etc/idfw/dir-nobase.conf 'base "OU=none,DC=corp,DC=example" is not in this directory'
conf emptybase 's/base "/base "OU=Groups,/'
explains 'nobody below base' /etc/idfw/dir-emptybase.conf 'no account with sAMAccountName is found below base "OU=Groups,DC=corp,DC=example"'

echo '== dir test'
tested() { # TEXT REGEX...
	local text=$1 r
	shift
	for r in "$@"; do
		grep -qE -- "$r" "$W/try" || {
			bad "$text: no $r in: $(cat "$W/try")"
			return
		}
	done
	ok "$text"
}
krb gssapi
lab_in svm sh -c '{ echo "listen \"tcp:10.77.9.10:5443\"; ca \"/etc/idfw/tls/ca.crt\"; cert \"/etc/idfw/tls/svm.crt\"; key \"/etc/idfw/tls/svm.key\"; mux-names host1;"
	cat /etc/idfw/dir-gssapi.conf; sed "s/^directory corp/directory simple/" /etc/idfw/dir-good.conf; } >/etc/idfw/whole.conf'
lab_in svm timeout 120 /run/lab/build/svm-idfw/svm-idfw --test-directory /etc/idfw/whole.conf --account alice >"$W/try" 2>&1 ||
	bad "dir test: exit code $?"
tested 'GSSAPI and simple, as _idfw' '^  ok      user: _idfw' '^  ok      kerberos: ticket of svc-idfw@CORP.EXAMPLE' \
	'^  ok      bind: gssapi as svc-idfw@CORP.EXAMPLE; the server takes us for ' \
	'^  ok      server: Active Directory, Samba.*, dc1.corp.example, domain DC=corp,DC=example; paging yes, extended DN yes, syncrepl no, notification yes, DirSync yes' \
	'^  ok      account: alice \(alice@corp.example\) is in [0-9]+ groups, [0-9]+ ms: .*' \
	'^  ok      tls: TLS1.[23], certificate of CN=dc1.corp.example' '^  ok      bind: simple as svc-idfw@corp.example'
