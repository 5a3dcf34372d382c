#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Servers found by DNS: two real domain controllers (Samba) of one domain, one of them in our site.
# The preferred one is killed and stands still, a change reaches us by the other one, a forged record
# names somebody else, and the name server is dead.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root (namespaces)'
	exit 77
}
# a network, mount and process space of our own: what is started here ends with this script
if [ -z "${DIR_TEST_INSIDE:-}" ]; then
	exec env DIR_TEST_INSIDE=1 unshare --mount --net --uts --pid --fork --kill-child --mount-proc bash "$0"
fi
W=$(mktemp -d) DIR_PID=''
# shellcheck disable=SC2034 # for dir-lib.sh
DIR_CHECK=${top_builddir:?}/tests/ns/dir_check DIR_RUN=(env "DIR_CHECK_STATE=$W/state")
# shellcheck source=tests/ns/dir-lib.sh
. "${top_srcdir:?}/tests/ns/dir-lib.sh"
# shellcheck source=tests/ns/samba-lib.sh
. "$top_srcdir/tests/ns/samba-lib.sh"
D=/var/lib/samba BASE=DC=corp,DC=example PASS=Adm1n-Passw0rd
declare -A DC_PID=()

clean() {
	local rc=$?
	trap '' HUP INT TERM
	[ $rc = 0 ] || tail -n 30 "$W"/{out,err,*.log} >&2 || true
	dir_stop
	for n in "${!DC_PID[@]}"; do kill -KILL "${DC_PID[$n]}" 2>/dev/null || true; done
	rm -rf "$W"
	exit $rc
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ---- the domain controllers: 10.78.0.1 and 10.78.0.2; 10.78.0.3 is somebody else ----
ip link set lo up
for n in 1 2 3; do ip addr add 10.78.0.$n/24 dev lo; done
for d in /var/lib/samba /run/samba /var/cache/samba /var/log/samba; do
	mkdir -p $d
	mount -t tmpfs tmpfs $d
done
mkdir -m 755 "$W/state"
printf '127.0.0.1 localhost\n10.78.0.1 dc1.corp.example dc1\n10.78.0.2 dc2.corp.example dc2\n' >"$W/hosts"
cat >"$W/krb5.conf" <<-'E'
	[libdefaults]
		default_realm = CORP.EXAMPLE
		dns_lookup_realm = false
		dns_lookup_kdc = false
		dns_canonicalize_hostname = false
		rdns = false
	[realms]
		CORP.EXAMPLE = {
			kdc = 10.78.0.1:88
		}
	[domain_realm]
		.corp.example = CORP.EXAMPLE
E
export KRB5_CONFIG=$W/krb5.conf
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/CN=test CA' \
	-addext keyUsage=critical,keyCertSign -keyout "$W/ca.key" -out "$W/ca.crt" 2>/dev/null
certificate() { # NAME SAN
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$W/$1.key" \
		-out "$W/$1.csr" 2>/dev/null
	openssl x509 -req -in "$W/$1.csr" -CA "$W/ca.crt" -CAkey "$W/ca.key" -CAcreateserial -days 3 \
		-extfile <(echo "subjectAltName=$2") -out "$W/$1.crt" 2>/dev/null
}
for n in 1 2; do certificate dc$n DNS:dc$n.corp.example,DNS:corp.example; done
certificate web DNS:web.corp.example

# they know each other by name; we know nobody but by DNS
# shellcheck disable=SC2016
ON_DC=(unshare --mount --propagation private sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' _ "$W/hosts")
dc_conf() { # N
	samba_conf "$D/dc$1" "DC$1" corp.example CORP 'rpc, ldap, cldap, kdc, drepl, dns' "10.78.0.$1/32" "$W/dc$1.crt" "$W/dc$1.key"
}
dc_start() { # N
	"${ON_DC[@]}" samba -s $D/dc"$1"/smb.conf -F --no-process-group -M single >>"$W/dc$1.log" 2>&1 &
	DC_PID[$1]=$!
}
dc_up() { # N
	local end=$(($(now_ms) + 180000))
	until LDAPTLS_CACERT=$W/ca.crt "${ON_DC[@]}" timeout 30 ldapsearch -x -LLL -o nettimeout=15 -H ldaps://dc"$1".corp.example \
		-s base -b '' defaultNamingContext >/dev/null 2>&1; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.05
	done
}
dc_kill() { # N
	kill -KILL "${DC_PID[$1]}"
	wait "${DC_PID[$1]}" 2>/dev/null || true
	unset "DC_PID[$1]"
}
as_admin() { "${ON_DC[@]}" timeout 300 samba-tool "$@" -U "CORP\\Administrator" --password=$PASS >>"$W/tool.log" 2>&1; }

# accounts, the site of the second one, and what DNS says: who is forged is in a site of his own
dc_fill() {
	/usr/bin/python3 "$top_srcdir/lab/directory.py" $D/dc1/smb.conf dc1.corp.example
	/usr/bin/python3 - $D/dc1/smb.conf <<-'E'
		import sys
		from samba.auth import system_session
		from samba.ndr import ndr_pack
		from samba.param import LoadParm
		from samba.provision.sambadns import ARecord, SRVRecord
		from samba.samdb import SamDB
		from samba.sites import create_site
		lp = LoadParm()
		lp.load(sys.argv[1])
		sam = SamDB(session_info=system_session(), lp=lp)
		create_site(sam, sam.get_config_basedn(), "Berlin")
		def srv(*hosts):
		    return [SRVRecord(h + ".example", 389) for h in hosts]
		def add(name, zone, forest, records):
		    sam.add({"dn": "DC=%s,DC=%s,CN=MicrosoftDNS,DC=%sDnsZones,%s" % (name, zone, forest, sam.domain_dn()),
		             "objectClass": "dnsNode", "dnsRecord": [ndr_pack(r) for r in records]})
		sam.dns_replace("_ldap._tcp.dc._msdcs.corp.example", srv("dc1.corp", "dc2.corp"))
		for site, hosts in (("Berlin", srv("dc2.corp")), ("Forged", srv("web.corp", "dc1.elsewhere"))):
		    add("_ldap._tcp.%s._sites.dc" % site, "_msdcs.corp.example", "Forest", hosts)
		add("web", "corp.example", "Domain", [ARecord("10.78.0.3")])
	E
}
dc_provision() {
	timeout 600 samba-tool domain provision -s $D/dc1/smb.conf --realm=CORP.EXAMPLE --domain=CORP --host-name=dc1 \
		--host-ip=10.78.0.1 --adminpass=$PASS --server-role=dc --dns-backend=SAMBA_INTERNAL >"$W/provision.log" 2>&1
	dc_fill
	dc_start 1
	dc_up 1
	as_admin domain join corp.example DC -s $D/dc2/smb.conf --server=dc1.corp.example --site=Berlin \
		--dns-backend=SAMBA_INTERNAL
	kill "${DC_PID[1]}"
	wait "${DC_PID[1]}" || true
}
# provisioning costs seconds and gives the same each time: it is kept in the build tree
dc_all() {
	local key cache=$top_builddir/dir-discover.tar start
	start=$(now_ms)
	key=$({ cat "$0" "$top_srcdir/tests/ns/samba-lib.sh" "$top_srcdir/lab/directory.py" && samba --version; } | sha256sum)
	for n in 1 2; do dc_conf $n; done
	if [ "$(cat "$cache.key" 2>/dev/null)" = "$key" ]; then
		tar -C $D -xf "$cache"
	else
		dc_provision
		tar -C $D -cf "$cache.$$" dc1 dc2
		mv "$cache.$$" "$cache"
		echo "$key" >"$cache.key.$$"
		mv "$cache.key.$$" "$cache.key"
	fi
	for n in 1 2; do dc_conf $n; done
	for n in 1 2; do dc_start $n; done
	for n in 1 2; do dc_up $n; done
	echo "   two domain controllers ($(($(now_ms) - start)) ms)"
}
dc_all
echo Svc-Idfw-Passw0rd >"$W/password"
chmod 400 "$W/password"
conf() { # NAME LINES [DEADLINE]
	cat >"$W/$1.conf" <<-E
		directory corp {
			type ad;
			discover corp.example;
			$2
			base "$BASE";
			bind-user "svc-idfw@corp.example";
			password-file "$W/password";
			ca "$W/ca.crt";
			poll 200ms;
			deadline ${3:-40s};
		}
	E
}
BOTH='dns-server 10.78.0.1, 10.78.0.2;'
conf berlin "$BOTH site Berlin;"
DC1=ldaps://dc1.corp.example:636 DC2=ldaps://dc2.corp.example:636
ON_DC1="^state up $DC1 answers; $DC2 left out since " ON_DC2="^state up $DC2 answers\$"
group_add() { # N USER
	LDAPTLS_CACERT=$W/ca.crt "${ON_DC[@]}" timeout 120 ldapmodify -x -H ldaps://dc"$1".corp.example -D Administrator@corp.example \
		-w $PASS >/dev/null <<-E
			dn: CN=eng,OU=Groups,$BASE
			changetype: modify
			add: member
			member: CN=$2,OU=People,$BASE
		E
}

echo '== found by DNS, the site first'
dir_start "$W/berlin.conf"
if wait_line 150 "$ON_DC2"; then ok 'the one of the site answers'; else bad "no start: $LINE"; fi
says 'lookups work' ' found S-1-5-21-[0-9-]+ alice .* eng ' alice
says 'bob is not in eng' ' bob Domain_Users Users$' bob
both() { grep -q 'DNS names 2 servers of corp.example' "$W/err"; }
if both; then ok 'both are known'; else bad "not both: $(tail -3 "$W/err")"; fi

echo '== the one of the site is killed; a group changes at the other one'
mark
logins 'killed: the other one answers' "$ON_DC1" dc_kill 2
if wait_line 90 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
comes 'bob joins eng' '^changed ' group_add 1 bob
says 'bob is in eng' ' bob .* eng ' bob

echo '== it is back, and has what changed'
back() {
	dc_start 2
	dc_up 2
	as_admin drs replicate --local -s $D/dc2/smb.conf dc2.corp.example dc1.corp.example $BASE
}
mark
logins 'the one of the site answers again' "$ON_DC2" back
if wait_line 90 '^changed all'; then ok 'whoever is known is looked up again'; else bad 'nobody is looked up again'; fi
says 'bob is in eng there, too' ' bob .* eng ' bob
comes 'carol joins eng there' '^changed ' group_add 2 carol
says 'carol is in eng' ' carol .* eng ' carol

echo '== it stands still'
logins 'stopped: the other one answers' "$ON_DC1" kill -STOP "${DC_PID[2]}"
dir_stop

echo '== a start while the name servers are silent'
kill -CONT "${DC_PID[2]}"
/usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.78.0.9", 53))
open(sys.argv[1], "w").close()
time.sleep(3600)' "$W/silent" &
soon [ -e "$W/silent" ]
conf dead 'dns-server 10.78.0.9; site Berlin;'
comes 'who is known from before answers' "^state up $DC2 answers" dir_start "$W/dead.conf"
if wait_line 150 "^state up $DC2 answers; servers as DNS named them at 20.* no name server answers"; then
	ok 'and it is said'
else
	bad "$LINE"
fi
if grep -q '2 servers of corp.example are known from before' "$W/err"; then ok 'both are known'; else bad "$(tail "$W/err")"; fi
says 'lookups work' ' bob .* eng ' bob
dir_stop

echo '== a forged record names a host of the company, with a good certificate'
openssl s_server -accept 10.78.0.3:636 -cert "$W/web.crt" -key "$W/web.key" -quiet < <(sleep 1000) >"$W/web.log" 2>&1 &
listens() { echo >/dev/tcp/10.78.0.3/636; } 2>/dev/null
soon listens
conf forged "$BOTH site Forged;"
rm -r "$W/state" && mkdir "$W/state"
comes 'it is left out, a real one answers' "^state up ldaps://dc[12].corp.example:636 answers; .*web.corp.example:636 left out since" \
	dir_start "$W/forged.conf"
if grep -q 'certificate does not carry corp.example' "$W/err"; then ok 'and why'; else bad "$LINE"; fi
if grep -q 'DNS names 1 servers that are not below corp.example' "$W/err"; then
	ok 'another domain is not asked'
else
	bad "elsewhere.example: $(tail "$W/err")"
fi
if grep -aq svc-idfw "$W/web.log"; then bad 'it was told the password'; else ok 'it was told nothing'; fi
dir_stop
sed -i '/^ldaps/s/ [^ ]*$/ 10.78.0.3/' "$W/state/directory-corp.servers"
conf moved 'dns-server 10.78.0.9;' 4s
comes 'known addresses are somebody else now: down' '^state down ' dir_start "$W/moved.conf"
if grep -aq svc-idfw "$W/web.log"; then bad 'it was told the password'; else ok 'it was told nothing'; fi
dir_stop
conf allowed "$BOTH site Forged; discover-allow web.corp.example;"
told() { grep -aq svc-idfw "$W/web.log"; }
dir_start "$W/allowed.conf"
if soon told; then ok 'with discover-allow it is believed'; else bad "discover-allow: $(tail "$W/err")"; fi
dir_stop

echo '== all that are known fail, and DNS knows another one'
dns_says() { # HOST... - the name server of the second one, at once
	/usr/bin/python3 - $D/dc2/smb.conf "$@" <<-'E'
		import sys
		from samba.auth import system_session
		from samba.param import LoadParm
		from samba.provision.sambadns import SRVRecord
		from samba.samdb import SamDB
		lp = LoadParm()
		lp.load(sys.argv[1])
		sam = SamDB(session_info=system_session(), lp=lp)
		sam.dns_replace("_ldap._tcp.dc._msdcs.corp.example",
		                [SRVRecord(h + ".corp.example", 389) for h in sys.argv[2:]])
	E
}
rm -r "$W/state" && mkdir "$W/state"
dns_says dc1
conf one 'dns-server 10.78.0.2;'
dir_start "$W/one.conf"
if wait_line 150 '^state up' && grep -q 'DNS names 1 servers of corp.example' "$W/err"; then ok 'one is known'; else bad "$LINE"; fi
dns_says dc1 dc2
comes 'it is killed: DNS is asked, the other one answers' "^state up $DC2 answers; $DC1 left out" dc_kill 1
says 'lookups work' ' bob .* eng ' bob
dir_stop

[ $FAILED = 0 ] || {
	echo "$FAILED failed"
	exit 1
}
echo ok
