# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/slapd-lib.sh - how a test with slapd begins: a network and process space of its own, its
# directory W, dir-lib.sh, and slapd's certificate. To be sourced behind `set -euo pipefail`.
[ "$(id -u)" = 0 ] || {
	echo 'needs root (namespaces)'
	exit 77
}
# shellcheck disable=SC2034 # for who sources this
SLAPD=$(PATH=$PATH:/usr/sbin command -v slapd) || {
	echo 'needs slapd'
	exit 77
}
# what is started here ends with the script
if [ -z "${DIR_TEST_INSIDE:-}" ]; then
	exec env DIR_TEST_INSIDE=1 unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0"
fi
ip link set lo up
W=$(mktemp -d) DIR_PID=''
# shellcheck disable=SC2034 # for dir-lib.sh
DIR_CHECK=${top_builddir:?}/tests/ns/dir_check DIR_RUN=(env)
# shellcheck source=tests/ns/dir-lib.sh
. "${top_srcdir:?}/tests/ns/dir-lib.sh"

# slapd_certificate NAME... - ca.crt, srv.crt and srv.key in W, for these names (IP:127.0.0.1)
slapd_certificate() {
	local names
	names=$(IFS=, && echo "$*")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/CN=test CA' \
		-addext keyUsage=critical,keyCertSign -keyout "$W/ca.key" -out "$W/ca.crt" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ldap -keyout "$W/srv.key" \
		-out "$W/srv.csr" 2>/dev/null
	openssl x509 -req -in "$W/srv.csr" -CA "$W/ca.crt" -CAkey "$W/ca.key" -CAcreateserial -days 3 \
		-extfile <(echo "subjectAltName=$names") -out "$W/srv.crt" 2>/dev/null
}

# slapd_head [MODULE...] - the first lines of a slapd.conf: schemas, modules, TLS, who may read
slapd_head() {
	cat <<-E
		include /etc/ldap/schema/core.schema
		include /etc/ldap/schema/cosine.schema
		include /etc/ldap/schema/inetorgperson.schema
		modulepath /usr/lib/ldap
	E
	printf 'moduleload %s\n' back_mdb "$@"
	cat <<-E
		TLSCACertificateFile $W/ca.crt
		TLSCertificateFile $W/srv.crt
		TLSCertificateKeyFile $W/srv.key
		security simple_bind=112
		access to attrs=userPassword by anonymous auth by * none
		access to * by users read by anonymous auth
	E
}
# slapd_database SUFFIX DIR - the next ones: a database, empty; its overlays and indexes may follow
slapd_database() {
	mkdir -p "$2"
	cat <<-E
		database mdb
		suffix "$1"
		rootdn "cn=admin,$1"
		rootpw admin
		directory $2
		maxsize 67108864
		dbnosync
	E
}
