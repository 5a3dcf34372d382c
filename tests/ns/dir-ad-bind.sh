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
	lab_in dc samba-tool domain exportkeytab /tmp/out.keytab -s /etc/idfw/smb.conf --principal="$2" >/dev/null
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

echo '== GSSAPI'
# no machine's krb5.conf: the setting alone decides
lab_in svm rm -f /etc/krb5.conf
krb5_conf /etc/idfw/krb5.conf
keytab /etc/idfw/dir.keytab svc-idfw
krb gssapi
dir_start /etc/idfw/dir-gssapi.conf
sees 'keytab, port 389, sealed by Kerberos' 20000 '^state up' true
says 'lookup' " found $alice alice .* eng " alice
krb_again() {
	lab_signal dc samba KILL
	lab_dc_run
}
sees 'the DC starts again: a new connection' 30000 '^state up' krb_again
says 'lookup' " found $alice alice .* eng " alice
dir_stop
