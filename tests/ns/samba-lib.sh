# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/samba-lib.sh - small Active Directories (Samba) on loopback addresses, for tests that
# slapd-lib.sh began: a domain controller each in $W/DOMAIN, with that library's certificate.
SAMBA=$(PATH=$PATH:/usr/sbin command -v samba) || {
	echo 'needs samba'
	exit 77
}
export LDAPTLS_CACERT=$W/ca.crt
declare -A SAMBA_PID=() SAMBA_IP=()
SAMBA_PASS=Adm1n-Passw0rd

# samba_conf DIR NAME DOMAIN NETBIOS SERVICES INTERFACE CERTIFICATE KEY - DIR/smb.conf, all its state below DIR
samba_conf() {
	local d=$1
	mkdir -p "$d"/{private,state,lock,cache,bind-dns,run/ncalrpc,run/winbindd,run/ntp_signd}
	cat >"$d/smb.conf" <<-E
		[global]
			netbios name = $2
			realm = ${3^^}
			workgroup = $4
			server role = active directory domain controller
			server services = $5
			interfaces = $6
			bind interfaces only = yes
			private dir = $d/private
			state directory = $d/state
			lock directory = $d/lock
			cache directory = $d/cache
			pid directory = $d/run
			ncalrpc dir = $d/run/ncalrpc
			winbindd socket directory = $d/run/winbindd
			ntp signd socket directory = $d/run/ntp_signd
			binddns dir = $d/bind-dns
			logging = file
			log file = $d/samba.log
			tls enabled = yes
			tls certfile = $7
			tls keyfile = $8
			tls cafile = $W/ca.crt
			ldb:nosync = true
			vfs objects = dfs_samba4 acl_xattr xattr_tdb
			load printers = no
			disable spoolss = yes
		[sysvol]
			path = $d/state/sysvol
			read only = no
		[netlogon]
			path = $d/state/sysvol/$3/scripts
			read only = no
	E
}

# samba_provision DOMAIN IP [NETBIOS] - a new domain; several may be made at one time
samba_provision() {
	local dom=$1 ip=$2 d=$W/$1 nb=${3:-}
	nb=${nb:-${dom%%.*}} nb=${nb^^}
	mkdir -p "$d"
	cp "$W/srv.key" "$d/srv.key"
	chmod 600 "$d/srv.key"
	samba_conf "$d" "DC-$nb" "$dom" "$nb" ldap "$ip/8" "$W/srv.crt" "$d/srv.key"
	timeout 600 samba-tool domain provision -s "$d/smb.conf" --realm="${dom^^}" --domain="$nb" \
		--host-name="dc-${nb,,}" --host-ip="$ip" --adminpass="$SAMBA_PASS" --server-role=dc \
		--dns-backend=NONE >"$d/provision.log" 2>&1 || {
		tail -n 20 "$d/provision.log" >&2
		return 1
	}
}

# samba_run DOMAIN IP - until it answers
samba_run() {
	local end=$(($(now_ms) + 180000))
	"$SAMBA" -s "$W/$1/smb.conf" -F --no-process-group -M single >>"$W/$1/out" 2>&1 9>&- &
	SAMBA_PID[$1]=$! SAMBA_IP[$1]=$2
	until samba_modify "$1" </dev/null 2>/dev/null; do
		[ "$(now_ms)" -lt $end ] || {
			tail -n 20 "$W/$1"/{out,samba.log} >&2
			return 1
		}
		sleep 0.1
	done
}

# samba_modify DOMAIN ARGS... - ldapmodify as its administrator, LDIF from standard input
samba_modify() {
	timeout 120 ldapmodify -x -o nettimeout=30 -H "ldaps://${SAMBA_IP[$1]}" -D "administrator@$1" \
		-w "$SAMBA_PASS" "${@:2}" >/dev/null
}

# samba_sid DOMAIN NAME - as S-1-...
samba_sid() {
	local value
	value=$(timeout 120 ldapsearch -x -LLL -o ldif-wrap=no -H "ldaps://${SAMBA_IP[$1]}" -D "administrator@$1" \
		-w "$SAMBA_PASS" -b "DC=${1//./,DC=}" "(sAMAccountName=$2)" objectSid | sed -n 's/^objectSid:: //p')
	base64 -d <<<"$value" | od -An -v -tu1 -w200 | awk 'BEGIN { CONVFMT = OFMT = "%.0f" } {
		n = $2; id = 0
		for (i = 3; i <= 8; i++) id = id * 256 + $i
		s = "S-" $1 "-" id
		for (k = 0; k < n; k++) s = s "-" ($(9+4*k) + 256 * ($(10+4*k) + 256 * ($(11+4*k) + 256 * $(12+4*k))))
		print s }'
}

samba_signal() { kill "-$2" "${SAMBA_PID[$1]}"; }
samba_kill() {
	kill -KILL "${SAMBA_PID[$1]}" 2>/dev/null || true
	wait "${SAMBA_PID[$1]}" 2>/dev/null || true
	unset "SAMBA_PID[$1]"
}
