#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How svm-idfw says who it is to a directory (slapd): simple and by client certificate, over LDAPS and
# StartTLS; what TLS, certificates, files and binds can have wrong, each in words. GSSAPI: dir-ad.sh.
set -euo pipefail
# shellcheck source=tests/ns/slapd-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-lib.sh"
BASE=dc=corp,dc=example PIDS=()

clean() {
	local rc=$? p
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 15 "$W"/{out,err,*.log} >&2 || true
	dir_stop
	for p in "${PIDS[@]}"; do kill -KILL "$p" 2>/dev/null || true; done
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- certificates ----
slapd_certificate IP:127.0.0.1
cat >"$W/ca.conf" <<-E
	[ca]
	default_ca = c
	[c]
	database = $W/index
	new_certs_dir = $W
	unique_subject = no
	rand_serial = yes
	default_md = sha256
	policy = p
	copy_extensions = copy
	[p]
	commonName = supplied
	organizationName = optional
E
: >"$W/index"
# certificate NAME SUBJECT [FROM TO [CA]] - NAME.crt and NAME.key; dates as YYYYMMDDHHMMSSZ
certificate() {
	local ca=${5:-ca}
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$W/$1.key" -out "$W/$1.csr" 2>/dev/null
	openssl ca -batch -notext -config "$W/ca.conf" -cert "$W/$ca.crt" -keyfile "$W/$ca.key" \
		-startdate "${3:-$(date -u -d '1 hour ago' +%Y%m%d%H%M%SZ)}" -enddate "${4:-$(date -u -d '3 days' +%Y%m%d%H%M%SZ)}" \
		-in "$W/$1.csr" -out "$W/$1.crt" 2>"$W/ca.log"
	chmod 400 "$W/$1.key"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/O=Elsewhere/CN=another CA' \
	-addext keyUsage=critical,keyCertSign -keyout "$W/other.key" -out "$W/other.crt" 2>/dev/null
certificate client /O=corp/CN=svc-idfw
certificate nobody /O=corp/CN=nobody # only its key is used
certificate stranger /O=corp/CN=svc-idfw '' '' other
certificate expired /CN=ldap 20200101000000Z 20210101000000Z
certificate early /CN=ldap 20480101000000Z 20490101000000Z

# ---- the servers: one with TLS, one without, and TLS with certificates that are not good ----
mkdir "$W/db"
cat >"$W/slapd.conf" <<-E
	include /etc/ldap/schema/core.schema
	include /etc/ldap/schema/cosine.schema
	include /etc/ldap/schema/inetorgperson.schema
	modulepath /usr/lib/ldap
	moduleload back_mdb
	moduleload syncprov
	TLSCACertificateFile $W/ca.crt
	TLSCertificateFile $W/srv.crt
	TLSCertificateKeyFile $W/srv.key
	TLSVerifyClient try
	authz-regexp "cn=svc-idfw,o=corp" "cn=svc,ou=people,$BASE"
	security simple_bind=112
	access to attrs=userPassword by anonymous auth by * none
	access to dn.subtree="ou=groups,$BASE" by dn.exact="cn=blind,ou=people,$BASE" none by users read
	access to dn.subtree="ou=people,$BASE" by dn.exact="cn=blind,ou=people,$BASE" none by users read by anonymous auth
	access to * by users read by anonymous auth
	database mdb
	suffix "$BASE"
	rootdn "cn=admin,$BASE"
	rootpw admin
	directory $W/db
	maxsize 67108864
	dbnosync
	index objectClass,uid,member,entryCSN,entryUUID eq
	overlay syncprov
E
grep -v '^.*TLS' "$W/slapd.conf" | sed '/^database/,$d' >"$W/plain.conf"
{ # asks everyone for a certificate
	grep TLS "$W/slapd.conf"
	echo 'TLSVerifyClient demand'
} >"$W/strict.conf"
server() { # LOG COMMAND...
	local log=$1
	shift
	"$@" >>"$W/$log.log" 2>&1 </dev/null &
	PIDS+=($!)
}
# listens ADDRESS PORT
listens() {
	local end=$(($(now_ms) + 60000))
	until (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.02
	done
}
server slapd "$SLAPD" -d 0 -f "$W/slapd.conf" -h 'ldap://127.0.0.1 ldaps://127.0.0.1 ldaps://127.0.0.2'
server plain "$SLAPD" -d 0 -f "$W/plain.conf" -h ldap://127.0.0.1:1389
server strict "$SLAPD" -d 0 -f "$W/strict.conf" -h 'ldap://127.0.0.1:4389 ldaps://127.0.0.1:4636'
server expired openssl s_server -quiet -accept 127.0.0.1:2636 -cert "$W/expired.crt" -key "$W/expired.key"
server early openssl s_server -quiet -accept 127.0.0.1:3636 -cert "$W/early.crt" -key "$W/early.key"
for p in 389 636 1389 2636 3636 4389 4636; do listens 127.0.0.1 $p; done
person() { printf 'dn: cn=%s,ou=people,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: %s\n%s\n' "$1" "$BASE" "$2" "${3:-}"; }
{
	printf 'dn: %s\nobjectClass: domain\ndc: corp\n\n' $BASE
	printf 'dn: ou=%s,'$BASE'\nobjectClass: organizationalUnit\n\n' people groups empty
	person svc svc $'userPassword: Svc-Passw0rd\n'
	person blind blind $'userPassword: Svc-Passw0rd\n'
	person alice alice
	printf 'dn: cn=eng,ou=groups,%s\nobjectClass: groupOfNames\nmember: cn=alice,ou=people,%s\n\n' $BASE $BASE
} | LDAPTLS_CACERT=$W/ca.crt timeout 60 ldapmodify -a -x -H ldaps://127.0.0.1 -D "cn=admin,$BASE" -w admin >/dev/null

# conf NAME SED - a variant of the good configuration; cert NAME SED - of the one with a certificate
conf() {
	sed -e "${2:-}" >"$W/$1.conf" <<-E
		directory corp {
			type openldap;
			uri "ldaps://127.0.0.1";
			base "$BASE";
			bind-user "cn=svc,ou=people,$BASE";
			password-file "$W/password";
			ca "$W/ca.crt";
			poll 500ms;
			deadline 5s;
		}
	E
}
cert() {
	conf "$1" "/bind-user/c bind certificate;
		/password-file/c client-certificate \"$W/client.crt\"; client-key \"$W/client.key\";"
	sed -i -e "${2:-}" "$W/$1.conf"
}
echo Svc-Passw0rd >"$W/password"
echo wrong >"$W/wrong"
: >"$W/empty"
cp "$W/password" "$W/open"
cp "$W/client.key" "$W/open.key"
chmod 400 "$W/password" "$W/wrong" "$W/empty"
chmod 440 "$W/open" "$W/open.key"

works() { # TEXT CONF
	dir_start "$W/$2.conf"
	if wait_line 30 '^state up'; then says "$1" ' found - alice eng$' alice; else bad "$1: ${LINE:-$(tail -n 1 "$W/out")}"; fi
	dir_stop
}

echo '== ways to bind'
conf simple
conf simple-starttls 's,ldaps:,ldap:,'
cert cert
cert cert-starttls 's,ldaps:,ldap:,'
works 'simple, LDAPS' simple
works 'simple, StartTLS' simple-starttls
works 'client certificate, LDAPS' cert
works 'client certificate, StartTLS' cert-starttls

echo '== faults, in words: NAME KIND SED|what is said'
while IFS='|' read -r name kind edit want; do
	$kind "$name" "$edit"
	explains "$name" "$W/$name.conf" "$want"
done <<-E
	no-address|conf|s,//127.0.0.1,//ldap.nowhere.invalid,|cannot find the address of ldap.nowhere.invalid: .*; try: getent hosts ldap.nowhere.invalid
	refused|conf|s,//127.0.0.1,//127.0.0.1:637,|127.0.0.1 refuses connections on port 637; .*; try: openssl s_client -connect 127.0.0.1:637
	no-tls|conf|s,//127.0.0.1,//127.0.0.1:389,|127.0.0.1 port 389 answers, but does not complete a TLS handshake
	no-starttls|conf|s,ldaps://127.0.0.1,ldap://127.0.0.1:1389,|127.0.0.1 port 1389 does not offer StartTLS; .*; try: openssl s_client -connect 127.0.0.1:1389 -starttls ldap
	unknown-ca|conf|s,/ca.crt,/other.crt,|\(CN=ldap\) is issued by "CN=test CA", and not signed by the CA in $W/other.crt; try: openssl s_client -connect 127.0.0.1:636 -CAfile $W/other.crt
	unknown-ca-starttls|conf|s,/ca.crt,/other.crt,; s,ldaps:,ldap:,|is issued by "CN=test CA", .*; try: openssl s_client -connect 127.0.0.1:389 -starttls ldap
	name|conf|s,//127.0.0.1,//127.0.0.2,|the certificate of 127.0.0.2 does not carry that name, but 127.0.0.1; use one of its names in uri
	expired|conf|s,//127.0.0.1,//127.0.0.1:2636,|has expired on 2021-01-01T00:00:00Z, and it is 20..-..-..T..:..:..Z here; give the server a new one; try: openssl
	not-yet-valid|conf|s,//127.0.0.1,//127.0.0.1:3636,|is not valid before 2048-01-01T00:00:00Z, and it is 20..-..-..T..:..:..Z here; is this clock right; try: timedatectl
	ca-missing|conf|s,/ca.crt,/none.crt,|cannot read ca $W/none.crt: No such file or directory; .*; try: ls -l $W/none.crt
	password-missing|conf|s,/password",/none",|cannot read password-file $W/none: No such file or directory; it must belong to the user that svm-idfw runs as \(uid 0\)
	password-open|conf|s,/password",/open",|password-file $W/open is open to others \(mode 440\); try: chmod 400 $W/open
	password-empty|conf|s,/password",/empty",|password-file $W/empty has no password in it
	wrong-password|conf|s,/password",/wrong",|refuses cn=svc,ou=people,dc=corp,dc=example: wrong user name or password .*; try: ldapwhoami -x -W -H ldaps://127.0.0.1 -D 'cn=svc
	no-such-account|conf|s/cn=svc/cn=none/|refuses cn=none,ou=people,dc=corp,dc=example: wrong user name or password
	plain-name|conf|s/bind-user .*/bind-user svc;/|refuses svc: that is neither UPN \(svc@corp.example\), CORP.svc nor DN
	key-open|cert|s,/client.key,/open.key,|client-key $W/open.key is open to others \(mode 440\)
	key-of-another|cert|s,/client.key,/nobody.key,|libldap refuses the TLS settings; .* is the key the certificate's
	cert-missing|cert|s,/client.crt,/none.crt,|cannot read client-certificate $W/none.crt: No such file
	cert-refused|cert|s,/client\.,/stranger.,g; s,//127.0.0.1,//127.0.0.1:4636,|ends the connection when it has seen client-certificate $W/stranger.crt: .*; try: openssl x509 -noout -subject -issuer -dates -in $W/stranger.crt
	cert-refused-starttls|cert|s,/client\.,/stranger.,g; s,ldaps://127.0.0.1,ldap://127.0.0.1:4389,|ends the connection when it has seen client-certificate $W/stranger.crt
	cert-not-wanted|cert|s,/client\.,/stranger.,g|ldaps://127.0.0.1 does not ask for a client certificate, .*; try: ldapsearch -x -H ldaps://127.0.0.1 -s base -b '' supportedSASLMechanisms
	cert-not-shown|conf|s,//127.0.0.1,//127.0.0.1:4636,|does the server want a client certificate
E

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
