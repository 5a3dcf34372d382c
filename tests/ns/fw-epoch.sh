#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-epoch.sh - a mark epoch: an entitlement changes while two server-fed transfers run. The kept
# one loses no byte, the other is cut at its next packet, no conntrack entry is touched. On the
# source VM by uid, on the destination VM by address, and for flows with the base mark.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b feed 5432 9100 9200
background b udpfeed 5300 5301
tool_start a
tool_start b
tool_ok a <<'END'
ruleset
generation 1
version 1
group eng s; group ops s
rule app/db out accept from eng tcp:5432 udp:5300
rule app/feed out accept from ops tcp:9000-9199 udp:5301
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; live 0x11; sg eng 0x11; sg ops 0x11
push
END
entries() { on "$1" conntrack -L -f ipv4 -p tcp 2>/dev/null | grep -c "mark=$2 "; }

for addr in 10.9.1.2 fd09:1::2; do
	background a drain $addr 5432 "$TMP/kept.$addr" uid 1001
	background a drain $addr 9100 "$TMP/lost.$addr" uid 1001
	background a udpdrain $addr 5300 "$TMP/ukept.$addr" uid 1001
	background a udpdrain $addr 5301 "$TMP/ulost.$addr" uid 1001
done
for f in "$TMP"/kept.* "$TMP"/lost.* "$TMP"/ukept.* "$TMP"/ulost.*; do flow_runs "$f" || fail "$f does not run"; done
[ "$(entries a 17)" = 2 ] || fail "two IPv4 flows with mark 17 wanted"
say "alice leaves ops: new mark, old one remarked, in one transaction"
tool_ok a <<'END'
delta
del live 0x11
del sg eng 0x11
del sg ops 0x11
add live 0x21
add uid 1001 0x21
add sg eng 0x21
add remark 0x11 0x21
commit
END
for addr in 10.9.1.2 fd09:1::2; do
	flow_stopped "$TMP/ulost.$addr" || fail "the lost UDP flow over $addr goes on"
	flow_runs "$TMP/ukept.$addr" || fail "the kept UDP flow over $addr stopped"
	flow_stopped "$TMP/lost.$addr" || fail "the lost entitlement's flow over $addr goes on"
	flow_runs "$TMP/kept.$addr" || fail "the kept flow over $addr stopped: $(cat "$TMP/kept.$addr")"
	flow_whole "$TMP/kept.$addr"
done
[ "$(entries a 33)" = 1 ] || fail "the kept flow has not taken the new mark"
[ "$(entries a 17)" = 1 ] || fail "the cut flow's entry is not as it was"
expect a open tcp 10.9.1.2 5432 uid 1001
expect a silent tcp 10.9.1.2 9100 uid 1001

say "the same on the destination VM, by the address the session comes from"
tool_ok b <<'END'
ruleset
generation 1
version 1
group eng s; group ops s
rule app/db in accept from eng tcp:5432
rule app/feed in accept from ops tcp:9200
base 4 1; base 6 2; live 1; live 2
addr 10.9.1.1 0x31; addr fd09:1::1 0x31; live 0x31; sg eng 0x31; sg ops 0x31
push
END
tool_ok a <<'END'
ruleset
generation 2
version 1
default out accept
base 4 1; base 6 2; live 1; live 2
push
END
for addr in 10.9.1.2 fd09:1::2; do
	background a drain $addr 5432 "$TMP/bkept.$addr" uid 1001
	background a drain $addr 9200 "$TMP/blost.$addr" uid 1001
done
for f in "$TMP"/bkept.* "$TMP"/blost.*; do flow_runs "$f" || fail "$f does not run"; done
tool_ok b <<'END'
delta
del live 0x31
del sg eng 0x31
del sg ops 0x31
add live 0x41
add addr 10.9.1.1 0x41
add addr fd09:1::1 0x41
add sg eng 0x41
add remark 0x31 0x41
commit
END
for addr in 10.9.1.2 fd09:1::2; do
	flow_stopped "$TMP/blost.$addr" || fail "the lost flow over $addr goes on at the destination"
	flow_runs "$TMP/bkept.$addr" || fail "the kept flow over $addr stopped at the destination"
	flow_whole "$TMP/bkept.$addr"
done

say "a static rule goes while its flows run: those that the user's own rules allow live on"
tool_ok a <<'END'
ruleset
generation 3
version 1
group eng s; group static n 10.9.1.0/24 fd09:1::/64
rule infra/all out accept to static tcp:5432
base 4 1; base 6 2; live 1; live 2
uid 1001 0x51; live 0x51; sg eng 0x51
push
END
for addr in 10.9.1.2 fd09:1::2; do
	background a drain $addr 5432 "$TMP/mine.$addr" uid 1001
	background a drain $addr 5432 "$TMP/others.$addr" uid 1002
	flow_runs "$TMP/mine.$addr" && flow_runs "$TMP/others.$addr" || fail "flows over $addr do not run"
done
tool_ok a <<'END'
ruleset
generation 4
version 1
group eng s
rule app/db out accept from eng tcp:5432
base 4 3; base 6 4; live 3; live 4; remark 1 3; remark 2 4
uid 1001 0x51; live 0x51; sg eng 0x51
push
END
for addr in 10.9.1.2 fd09:1::2; do
	flow_stopped "$TMP/others.$addr" || fail "a flow over $addr that no rule allows any more goes on"
	flow_runs "$TMP/mine.$addr" || fail "a flow over $addr that the user's rules allow was cut"
	flow_whole "$TMP/mine.$addr"
done
[ "$(entries a 81)" -ge 1 ] || fail "the surviving flow did not take its subject's mark"
