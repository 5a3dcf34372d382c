# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # work, m, build are of the script that sources this
# tests/bench/files-idfw.sh - gi-fileagent, gi-mux and svm-scan as one subject of tests/bench/files:
# the whole chain with its TLS, all on the core that is given. idfw: with ClamAV and the signatures
# that clamonacc has; idfw-hash: with a list of all there is, so that no scanner is asked.

idfw_certificate() { # FILE CN
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$tls/$1.key" \
		-out "$tls/$1.csr" 2>/dev/null
	printf 'subjectAltName=DNS:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" >"$tls/$1.ext"
	openssl x509 -req -in "$tls/$1.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
		-extfile "$tls/$1.ext" -out "$tls/$1.crt" 2>/dev/null
}
idfw_tls() {
	tls=$work/tls
	[ ! -d "$tls" ] || return 0
	mkdir -p "$tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=bench CA' \
		-addext keyUsage=critical,keyCertSign,cRLSign -keyout "$tls/ca.key" -out "$tls/ca.crt" 2>/dev/null
	idfw_certificate scan scan
	idfw_certificate host host1
	chown -R nobody "$tls"
}

idfw_conf() { # LINES...: what svm-scan finds things with
	install -d -o nobody -m 755 "$work/idfw" "$work/idfw"/{scan,tmp}
	install -d -m 755 "$work/idfw"/{run,state}
	# as below /run, where it is by default: engines make and remove a directory a file
	mount -t tmpfs -o uid=nobody,mode=755 none "$work/idfw/tmp"
	chmod 755 "$work"
	printf '%s\n' 'listen "tcp:127.0.0.1:5444";' "ca \"$tls/ca.crt\";" "cert \"$tls/scan.crt\";" \
		"key \"$tls/scan.key\";" 'mux-names host1;' 'user "nobody";' "state-dir \"$work/idfw/scan\";" \
		"tmp-dir \"$work/idfw/tmp\";" "control-socket \"$work/idfw/scan.sock\";" "$@" >"$work/svm-scan.conf"
	printf '%s\n' 'svm "tcp:127.0.0.1:5443";' 'svm-name "nobody";' 'scan "tcp:127.0.0.1:5444";' \
		'scan-name "scan";' 'host-name "host1";' "ca \"$tls/ca.crt\";" "cert \"$tls/host.crt\";" \
		"key \"$tls/host.key\";" 'user "nobody";' 'socket-mode "0666";' "vm bench {" \
		"	listen \"unix:$work/idfw/m_5005\";" "	file-listen \"unix:$work/idfw/m_5006\";" '}' >"$work/gi-mux.conf"
	printf '%s\n' "mux \"unix:$work/idfw/m_5006\";" 'user "nobody";' "run-dir \"$work/idfw/run\";" \
		"state-dir \"$work/idfw/state\";" "quarantine-dir \"$work/idfw/quarantine\";" \
		"watch bench { path \"$m\"; }" >"$work/gi-fileagent.conf"
}
idfw_connected() {
	"$build/idfwctl/idfwctl" --scan-socket "$work/idfw/scan.sock" --json scan status |
		grep '"vm": *"bench"' | grep -q '"connected": *true'
}
idfw_counter() { # NAME...: their sum, as gi-fileagent told them last
	"$build/idfwctl/idfwctl" --scan-socket "$work/idfw/scan.sock" --json scan status |
		python3 -c 'import json, sys
def values(x):
    if isinstance(x, dict):
        yield from ((k, v) for k, v in x.items() if isinstance(v, int))
        x = list(x.values())
    for y in x if isinstance(x, list) else []:
        yield from values(y)
rows = [p for line in sys.stdin for p in values(json.loads(line))]
assert all(any(k == n for k, _ in rows) for n in sys.argv[1:]), "a counter is not there"
print(sum(v for k, v in rows if k in sys.argv[1:]))' "$@"
}
idfw_run() { # CORE
	start "$1" svm-scan "$build/svm-scan/svm-scan" -c "$work/svm-scan.conf"
	start "$1" gi-mux "$build/mux/gi-mux" -c "$work/gi-mux.conf"
	start "$1" gi-fileagent "$build/fileagent/gi-fileagent" -c "$work/gi-fileagent.conf"
	until_true 20 idfw_connected || {
		tail -n 20 "$work"/{svm-scan,gi-mux,gi-fileagent}.log >&2
		return 1
	}
}
start_idfw() {
	idfw_tls
	signatures "$work/clamdb"
	idfw_conf "clamav-db \"$work/clamdb\";"
	idfw_run "$1"
}
start_idfw-hash() { # whatever is on the image is on the list: no scanner sees it
	idfw_tls
	signatures "$work/clamdb"
	[ -s "$work/hashes" ] || find "$m" -type f -exec sha256sum {} + | awk '{ print "allow", $1 }' >"$work/hashes"
	idfw_conf "clamav-db \"$work/clamdb\";" "hash-list \"$work/hashes\";"
	idfw_run "$1"
}
stop_idfw() {
	stop_all
	umount "$work/idfw/tmp"
	rm -rf "$work/idfw"
}
stop_idfw-hash() { stop_idfw; }
