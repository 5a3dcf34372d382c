#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-related.sh - ICMP errors belong to a flow: those of a live flow arrive, those of another are
# dropped before judging, so that a rule that allows ICMP gives no new life to a TCP flow
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b serve 5432
tool_start a
tool_ok a <<'END'
ruleset
generation 1
version 1
group eng s
rule infra/icmp out accept icmp icmpv6
rule infra/icmp-in in accept icmp icmpv6
rule app/db out accept from eng tcp:5432 udp:53
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; live 0x11; sg eng 0x11
push
END
say "port unreachable, for a flow that is live: nobody serves 53"
expect a refused udp 10.9.1.2 53 uid 1001
expect a refused udp fd09:1::2 53 uid 1001
expect a silent udp 10.9.1.2 53 uid 1002
say "a TCP flow loses its entitlement; the server sends an ICMP error for it"
expect a open tcp 10.9.1.2 5432 uid 1001 sport 33333
on a conntrack -L -f ipv4 -p tcp --orig-port-src 33333 2>/dev/null | grep -q 'mark=17 ' || fail "no flow"
tool_ok a <<'END'
delta
del live 0x11
del sg eng 0x11
add live 0x21
add uid 1001 0x21
add remark 0x11 0x21
commit
END
expect a open icmp 10.9.1.2 # ICMP as such is allowed
errors() { on a awk '$1 == "Icmp:" && $5 ~ /^[0-9]+$/ { print $5 }' /proc/net/snmp; }
before=$(errors)
for _ in 1 2 3; do net b icmperr 10.9.1.1 33333 5432; done
expect a open icmp 10.9.1.2 # what was sent before this answer has come
[ "$(errors)" = "$before" ] || fail "the error got through"
on a conntrack -L -f ipv4 -p tcp --orig-port-src 33333 2>/dev/null | grep -q 'mark=17 ' ||
	fail "the flow was given a new mark by the rules for ICMP"
say "control: the same error for a live flow does get through"
tool_ok a <<'END'
delta
add live 0x11
commit
END
net b icmperr 10.9.1.1 33333 5432
for _ in $(seq 1500); do
	[ "$(errors)" = "$before" ] || break
	sleep 0.02
done
[ "$(errors)" = $((before + 1)) ] || fail "the control error did not arrive: $(errors), before $before"
