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
	organizationName = optional
	commonName = supplied
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
mkdir "$W"/{db,closed}
cat >"$W/slapd.conf" <<-E
	include /etc/ldap/schema/core.schema
	include /etc/ldap/schema/cosine.schema
	include /etc/ldap/schema/inetorgperson.schema
	modulepath /usr/lib/ldap
	moduleload back_mdb
	moduleload syncprov
	moduleload ppolicy
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
	overlay ppolicy
	ppolicy_default "cn=passwords,$BASE"
	ppolicy_use_lockout
	database mdb
	suffix "dc=closed"
	directory $W/closed
	restrict bind
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
	person locked locked $'userPassword: Svc-Passw0rd\npwdAccountLockedTime: 000001010000Z\n'
	person reset reset $'userPassword: Svc-Passw0rd\npwdReset: TRUE\n'
	printf 'dn: cn=%s,%s\nobjectClass: device\nobjectClass: pwdPolicy\npwdAttribute: userPassword\n%s: %s\n%s: TRUE\n\n' \
		short $BASE pwdMaxAge 1 pwdLockout passwords $BASE pwdLockout TRUE pwdMustChange
	person expired expired "userPassword: Svc-Passw0rd
pwdPolicySubentry: cn=short,$BASE
"
	person alice alice
	printf 'dn: cn=eng,ou=groups,%s\nobjectClass: groupOfNames\nmember: cn=alice,ou=people,%s\n\n' $BASE $BASE
} | LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapmodify -a -x -H ldaps://127.0.0.1 -D "cn=admin,$BASE" -w admin >/dev/null

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
			deadline 40s;
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
head -c 1024 /dev/zero | tr '\0' x >"$W/long"
cp "$W/password" "$W/open"
cp "$W/client.key" "$W/open.key"
chmod 400 "$W/password" "$W/wrong" "$W/empty" "$W/long"
chmod 440 "$W/open" "$W/open.key"

works() { # TEXT CONF
	dir_start "$W/$2.conf"
	if wait_line 90 '^state up'; then says "$1" ' found - alice eng$' alice; else bad "$1: ${LINE:-$(tail -n 1 "$W/out")}"; fi
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

# a password that is good for one second, counted in whole ones
expires() {
	local end=$(($(now_ms) + 60000))
	while LDAPTLS_CACERT=$W/ca.crt timeout 20 ldapwhoami -x -H ldaps://127.0.0.1 -D "cn=expired,ou=people,$BASE" \
		-w Svc-Passw0rd >/dev/null 2>&1; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.1
	done
}
expires || bad 'the password of expired does not expire'

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
	password-empty|conf|s,/password",/empty",|password-file $W/empty has no password in it; try: ls -l $W/empty
	password-long|conf|s,/password",/long",|the first line of password-file $W/long is longer than 1023 bytes; .*; try: head -n 1 $W/long
	wrong-password|conf|s,/password",/wrong",|refuses cn=svc,ou=people,dc=corp,dc=example: wrong user name or password .*; try: ldapwhoami -x -W -H ldaps://127.0.0.1 -D 'cn=svc
	account-locked|conf|s/cn=svc/cn=locked/|refuses cn=locked,ou=people,dc=corp,dc=example: the account is locked; .*; try: ldapsearch -x -W -H ldaps://127.0.0.1 -D ADMIN -s base -b 'cn=locked,
	password-expired|conf|s/cn=svc/cn=expired/|refuses cn=expired,ou=people,dc=corp,dc=example: the password has expired; set a new one, .*; try: ldappasswd -x -W -S -H ldaps://127.0.0.1 -D 'cn=expired,
	password-reset|conf|s/cn=svc/cn=reset/|refuses cn=reset,ou=people,dc=corp,dc=example: the password must be changed before its first use; .*; try: ldappasswd
	bind-restricted|conf|s/cn=svc.*example/cn=svc,dc=closed/|bind as cn=svc,dc=closed failed: Server is unwilling to perform .*; try: ldapwhoami -x -W -H ldaps://127.0.0.1 -D 'cn=svc,dc=closed
	no-such-account|conf|s/cn=svc/cn=none/|refuses cn=none,ou=people,dc=corp,dc=example: wrong user name or password
	plain-name|conf|s/bind-user .*/bind-user svc;/|refuses svc: that is neither UPN \(svc@corp.example\), CORP.svc nor DN
	key-open|cert|s,/client.key,/open.key,|client-key $W/open.key is open to others \(mode 440\)
	key-of-another|cert|s,/client.key,/nobody.key,|libldap refuses the TLS settings; .* is the key the certificate's
	cert-missing|cert|s,/client.crt,/none.crt,|cannot read client-certificate $W/none.crt: No such file
	cert-refused|cert|s,/client\.,/stranger.,g; s,//127.0.0.1,//127.0.0.1:4636,|ends the connection when it has seen client-certificate $W/stranger.crt: .*; try: openssl x509 -noout -subject -issuer -dates -in $W/stranger.crt
	cert-refused-starttls|cert|s,/client\.,/stranger.,g; s,ldaps://127.0.0.1,ldap://127.0.0.1:4389,|ends the connection when it has seen client-certificate $W/stranger.crt
	cert-not-wanted|cert|s,/client\.,/stranger.,g|ldaps://127.0.0.1 does not ask for a client certificate, .*; try: ldapsearch -x -H ldaps://127.0.0.1 -s base -b '' supportedSASLMechanisms
	no-base|conf|s/base .*/base "ou=none,$BASE";/|base "ou=none,dc=corp,dc=example" is not in this directory, or the account may not see it; try: ldapsearch
	empty-base|conf|s/base .*/base "ou=empty,$BASE";/|no account with sAMAccountName is found below base "ou=empty,dc=corp,dc=example"
	reads-nothing|conf|s/cn=svc/cn=blind/|no account with sAMAccountName is found below base "dc=corp,dc=example": may it read there
	cert-not-shown|conf|s,//127.0.0.1,//127.0.0.1:4636,|does the server want a client certificate
E

echo '== dir test: a configuration is tried before it is used'
cat >"$W/top.conf" <<-E
	listen "tcp:127.0.0.1:5443";
	ca "$W/ca.crt"; cert "$W/srv.crt"; key "$W/srv.key";
	mux-names host1;
	user root;
E
# whole NAME... - a whole svm-idfw.conf with these directories, each with its name as label
whole() {
	local n
	cat "$W/top.conf"
	for n in "$@"; do sed "s/^directory corp/directory $n/" "$W/$n.conf"; done
}
# tries TEXT EXIT REGEX... - with ARGS, of $W/whole.conf; each REGEX is in a line
tries() {
	local text=$1 want=$2 rc=0 r
	shift 2
	IDFW_SVM_IDFW=$top_builddir/svm-idfw/svm-idfw timeout 120 "$top_builddir/idfwctl/idfwctl" \
		dir test "$W/whole.conf" "${ARGS[@]}" >"$W/try" 2>&1 || rc=$?
	[ $rc = "$want" ] || {
		bad "$text: exit code $rc: $(cat "$W/try")"
		return
	}
	for r in "$@"; do
		grep -qE -- "$r" "$W/try" || {
			bad "$text: no $r in: $(cat "$W/try")"
			return
		}
	done
	ok "$text"
}
ARGS=()
whole simple cert >"$W/whole.conf"
tries 'two directories that are good' 0 '^  ok      configuration: ' '^simple ldaps://127.0.0.1$' \
	'^  ok      name: 127.0.0.1 port 636$' '^  ok      connect: ' '^  ok      files: ca, password-file$' \
	'^  ok      tls: TLS1.3, certificate of CN=ldap for 127.0.0.1, issued by CN=test CA, until 20..-..-.. ' \
	'^  ok      bind: simple as cn=svc,.*; the server takes us for dn:cn=svc,ou=people,dc=corp,dc=example$' \
	'^  ok      server: LDAP,.* domain dc=corp,dc=example; paging yes, extended DN no, syncrepl yes' \
	'^  ok      base: dc=corp,dc=example can be read$' '^  ok      account: .* is in [0-9]+ groups, [0-9]+ ms' \
	'^  ok      changes: told at once by syncrepl' '^cert ldaps' '^  ok      files: ca, client-certificate, client-key$' \
	'^  ok      bind: certificate; the server takes us for dn:cn=svc'
ARGS=(--directory cert --account alice --json)
tries 'one of them, an account, JSON' 0 '^\{"type": ?"step", ?"step": ?"configuration", ?"ok": ?true' \
	'"step":"account","ok":true,"text":"alice \(alice@corp.example\) is in 1 groups, [0-9]+ ms: eng","ms":[0-9]+,"directory":"cert","server":"ldaps://127.0.0.1"'
python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]' <"$W/try" || bad 'that is no JSON'
! grep -q '"directory":"simple"' "$W/try" || bad 'another directory was tried'
whole unknown-ca >"$W/whole.conf"
ARGS=()
tries 'what is wrong, and the next command' 1 '^  FAILED  tls: .* is issued by "CN=test CA"' '^          try: openssl s_client -connect 127.0.0.1:636'
ARGS=(--json)
tries 'the same in JSON' 1 '"step":"tls","ok":false,"text":".*","ms":[0-9]+,.*"next":"openssl s_client'
ARGS=(--account nobody)
whole simple >"$W/whole.conf"
tries 'an account that is not there' 1 '^  FAILED  account: nobody: '
ARGS=(--directory none)
tries 'a directory that is not there' 1 '^  FAILED  configuration: there is no directory of that name'
ARGS=()
sed -i 's/bind-user/bind-usr/' "$W/whole.conf"
tries 'a mistake is told with its place' 1 'whole.conf:[0-9]+:[0-9]+: error: unknown name "bind-usr"' '^  FAILED  configuration'
conf stalls 's,//127.0.0.1,//127.0.0.1:5636,; s/deadline .*/deadline 1s;/'
whole stalls >"$W/whole.conf"
server stalls python3 -c 'import socket
s, kept = socket.create_server(("127.0.0.1", 5636)), []
while True: kept.append(s.accept())'
listens 127.0.0.1 5636
tries 'a server that stalls inside the TLS handshake' 1 '^  ok      connect' '^  FAILED  tls: nothing for 1000 ms .*stalls inside the TLS handshake' \
	'^          try: openssl s_client -connect 127.0.0.1:5636$'
whole simple | sed 's/user root/user nobody/' >"$W/whole.conf"
chmod 755 "$W"
tries 'as the user that svm-idfw will be' 1 '^  ok      user: nobody$' '^  FAILED  files: cannot read password-file .*: Permission denied; .* \(uid 65534\)'

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
