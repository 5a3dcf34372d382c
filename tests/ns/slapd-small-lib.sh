# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/slapd-small-lib.sh - small slapds, one an address, each with alice and a group named after
# it; for dir-servers.sh and dir-hostile.sh. To be sourced behind `set -euo pipefail`.
# shellcheck source=tests/ns/slapd-lib.sh
. "${top_srcdir:?}/tests/ns/slapd-lib.sh"
BASE=dc=corp,dc=example
declare -A SLAPD_PID=()

modify() { # IP LDAPMODIFY-ARGS
	LDAPTLS_CACERT=$W/ca.crt timeout 120 ldapmodify -x -H "ldaps://$1" -D "cn=admin,$BASE" -w admin "${@:2}" >/dev/null
}
slapd_start() { # IP
	{
		slapd_head memberof syncprov
		slapd_database $BASE "$W/db.$1"
		printf 'overlay %s\n' memberof syncprov
	} >"$W/slapd.$1.conf"
	"${SLAPD:?}" -d 0 -f "$W/slapd.$1.conf" -h "ldaps://$1" >>"$W/slapd.$1.log" 2>&1 &
	SLAPD_PID[$1]=$!
	local end=$(($(now_ms) + 90000))
	until modify "$1" </dev/null 2>/dev/null; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.02
	done
}
slapd_fill() { # IP - once
	{
		printf 'dn: %s\nobjectClass: domain\ndc: corp\n\n' $BASE
		person svc $'userPassword: Svc-Passw0rd\n'
		person alice
		printf 'dn: cn=on-%s,%s\nobjectClass: groupOfNames\nmember: cn=alice,%s\n\n' "$1" $BASE $BASE
	} | modify "$1" -a
}
slapd_kill() { # IP
	kill -KILL "${SLAPD_PID[$1]}" || true
	wait "${SLAPD_PID[$1]}" 2>/dev/null || true
	unset "SLAPD_PID[$1]"
}
slapd_kill_all() {
	local ip
	for ip in "${!SLAPD_PID[@]}"; do slapd_kill "$ip"; done
}
person() { printf 'dn: cn=%s,%s\nobjectClass: inetOrgPerson\nsn: x\nuid: %s\n%s\n' "$1" $BASE "$1" "${2:-}"; }

# conf NAME URIS [DEADLINE] - $W/NAME.conf
conf() {
	[ -e "$W/password" ] || {
		echo Svc-Passw0rd >"$W/password"
		chmod 400 "$W/password"
	}
	cat >"$W/$1.conf" <<-E
		directory corp {
			type openldap;
			uri $2;
			base "$BASE";
			bind-user "cn=svc,$BASE";
			password-file "$W/password";
			ca "$W/ca.crt";
			poll 200ms;
			deadline ${3:-40s};
		}
	E
}
