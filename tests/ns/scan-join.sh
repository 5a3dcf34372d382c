#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# svm-scan and svm-idfw, the real ones, joined: what svm-scan records is in the audit trail once,
# whichever of them is killed or away meanwhile; idfwctl asks each at its own socket.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
# loopback of its own: fixed ports, beside any other test
[ -n "${JOIN_NS:-}" ] || exec env JOIN_NS=1 unshare -n -m -p -f --kill-child --mount-proc --propagation private bash "$0"
ip link set lo up
build=$(realpath "${top_builddir:-.}") fails=0
dir=$(mktemp -d /tmp/idfw-join-XXXXXX)
chmod 755 "$dir"
declare -A pid
clean() {
	for p in "${pid[@]}"; do
		kill -9 "$p" 2>/dev/null || :
		wait "$p" 2>/dev/null || :
	done
	[ $fails = 0 ] || grep -v "control: " "$dir"/*.log | tail -n 60
	rm -rf "$dir"
}
trap clean EXIT
check() { # TEXT CMD...
	local text=$1
	shift
	if "$@"; then echo "ok: $text"; else echo "FAIL: $text"; fails=$((fails + 1)); fi
}
wait_for() { # CMD...: up to 30 s
	for _ in $(seq 300); do
		"$@" && return
		sleep 0.1
	done
	return 1
}
cert() { # NAME SAN
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$dir/$1.key" \
		-out "$dir/$1.csr" 2>/dev/null
	printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$1" >"$dir/ext"
	openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
		-extfile "$dir/ext" -out "$dir/$1.pem" 2>/dev/null
	chmod 400 "$dir/$1.key"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 2 -keyout "$dir/ca.key" \
	-out "$dir/ca.pem" 2>/dev/null
cert svm
cert scan1
mkdir "$dir/run"
chmod 777 "$dir/run"
echo 'default in drop; default out drop;' >"$dir/policy.idfw"
echo 'rule marker { strings: $a = "join-test-marker" condition: $a }' >"$dir/rules.yar"
echo "deny $(printf x | sha256sum | cut -c1-64) one" >"$dir/hashes"
cat >"$dir/svm.conf" <<CONF
listen "tcp:127.0.0.1:5443"; ca "$dir/ca.pem"; cert "$dir/svm.pem"; key "$dir/svm.key";
mux-names host1; scan-names scan1; state-dir "$dir/state"; policy "$dir/policy.idfw";
control-socket "$dir/run/svm.sock"; user "nobody";
CONF
cat >"$dir/scan.conf" <<CONF
listen "tcp:127.0.0.1:5444"; ca "$dir/ca.pem"; cert "$dir/scan1.pem"; key "$dir/scan1.key";
mux-names host1; audit "tcp:127.0.0.1:5443"; audit-name "svm"; user "nobody"; workers 1;
state-dir "$dir/scan"; tmp-dir "$dir/run/tmp"; control-socket "$dir/run/scan.sock";
yara-rules "$dir/rules.yar"; hash-list "$dir/hashes"; sandbox relaxed;
CONF
start() { # NAME PROGRAM
	rm -f "$dir/run/$1.sock"
	"$build/$2" -c "$dir/$1.conf" 2>>"$dir/$1.log" &
	pid[$1]=$!
	wait_for test -S "$dir/run/$1.sock" || { echo "FAIL: $1 does not start"; fails=1; exit 1; }
}
stop() { # NAME
	kill -9 "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null || :
	unset "pid[$1]"
}
ctl() { "$build/idfwctl/idfwctl" -s "$dir/run/svm.sock" --scan-socket "$dir/run/scan.sock" "$@"; }
service_rows() { ctl --json audit --kind scan-service 2>/dev/null | wc -l; }
acked() { ctl --json scan status | grep '"outbox_waiting":0' >/dev/null; }
up() { ctl --json scan status | grep '"svm_idfw":"up"' >/dev/null; }
at_least() { [ "$(service_rows)" -ge "$1" ]; }
reload() { # a new epoch: a record of the service
	echo "rule marker { strings: \$a = \"join-test-marker-$1\" condition: \$a }" >"$dir/rules.yar"
	ctl scan reload
}
engines_ready() { ctl scan status >/dev/null; }

start svm svm-idfw/svm-idfw
start scan svm-scan/svm-scan
check "svm-scan is connected" wait_for up
check "all is well, says scan status" wait_for engines_ready
check "svm-idfw shows its link" wait_for sh -c "'$build/idfwctl/idfwctl' -s '$dir/run/svm.sock' status | grep -q '^scan1 '"
check "a reload" reload 1
check "is in the audit trail" wait_for at_least 1

echo "== svm-idfw is away: svm-scan keeps its records"
stop svm
check "a reload all the same" reload 2
check "scan status says so" sh -c "! '$build/idfwctl/idfwctl' --scan-socket '$dir/run/scan.sock' scan status >'$dir/out' 2>&1"
check "with words" grep -q 'svm-idfw   down' "$dir/out"
start svm svm-idfw/svm-idfw
check "it comes again" wait_for up
check "nothing waits any more" wait_for acked
check "the records came" wait_for at_least 2
before=$(service_rows)

echo "== svm-scan is killed: what was acknowledged is not sent again"
stop scan
start scan svm-scan/svm-scan
check "it comes again" wait_for up
check "nothing waits" wait_for acked
check "another reload" reload 3
check "is recorded" wait_for at_least $((before + 1))
ctl --json audit --kind scan-service | sed 's/.*"detail"://' | sort | uniq -d >"$dir/twice"
check "no record is there twice" [ ! -s "$dir/twice" ]
check "none was refused as a duplicate or a hole" sh -c "! grep -E 'missing|dropped' '$dir/svm.log'"

[ $fails = 0 ] || { echo "$fails failed"; exit 1; }
