#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-nouid.sh - packets that no socket owns (here: the final ACK, sent from TIME_WAIT) carry no uid.
# They pass for a flow whose mark is live and are refused once it is not.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
tool_start a
cat >"$TMP/half.py" <<'END'
import os, socket, sys
role, addr, port, go = sys.argv[1:5]
fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
if role == "client":
    os.setuid(1001)  # before: a socket belongs to who made it
s = socket.socket(fam, socket.SOCK_STREAM)
if role == "server":  # closes its half when told so, after the client has gone
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, int(port)))
    s.listen(1)
    print("ready", flush=True)
    c = s.accept()[0]
    c.recv(1)
    open(go).read()
    c.close()
else:
    s.connect((addr, int(port)))
    s.close()
END
tool_ok a <<'END'
ruleset
generation 1
version 1
group eng s
rule app/db out accept from eng tcp:5432
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; live 0x11; sg eng 0x11
push
END
half() { # half ADDR: client's end is closed and its process gone, server's is open; $GO tells it
	GO="$TMP/go.$RANDOM"
	mkfifo "$GO"
	on b "$PY" "$TMP/half.py" server "$1" 5432 "$GO" >"$TMP/server" &
	PIDS+=($!)
	for _ in $(seq 1500); do grep -q ready "$TMP/server" && break || sleep 0.01; done
	on a "$PY" "$TMP/half.py" client "$1" 5432 -
	for _ in $(seq 1500); do on b ss -Htan | grep -q CLOSE-WAIT && return 0 || sleep 0.01; done
	fail "the server is not half closed"
}
for addr in 10.9.1.2 fd09:1::2; do
	half $addr
	echo go >"$GO"
	for _ in $(seq 1500); do
		on b ss -Htan | grep -q '5432.*LAST-ACK\|LAST-ACK.*5432\|CLOSE-WAIT' || break
		sleep 0.01
	done
	on b ss -Htan | grep -q 'LAST-ACK' && fail "the final ACK of a live flow did not pass over $addr"
	say "live: the final ACK without a uid passed over $addr"
done
half 10.9.1.2
tool_ok a <<'END'
delta
del live 0x11
commit
END
echo go >"$GO"
for _ in $(seq 1500); do on b ss -Htan | grep -q CLOSE-WAIT || break; sleep 0.02; done # it has closed its half
sleep 0.3
on b ss -Htan | grep -q 'LAST-ACK' || fail "a packet without a uid passed for a flow that is not live"
say "not live: refused, the server still waits for it"
tool_ok a <<'END'
delta
add live 0x11
commit
END
for _ in $(seq 1500); do on b ss -Htan | grep -q 'LAST-ACK' || break; sleep 0.01; done
on b ss -Htan | grep -q 'LAST-ACK' && fail "live again, and still refused"
say "live again: passed"
