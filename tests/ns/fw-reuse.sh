#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-reuse.sh - a port or an ICMP identifier that one user has given back is taken by another while
# conntrack still knows the flow: the flow's mark is not the new user's, who is judged for himself.
# Also: what began on loopback cannot be turned into a flow of the other orientation.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b serve 5432 22
tool_start a
tool_ok a <<'END'
ruleset
generation 1
version 1
default out drop
group eng s
group db n 10.9.1.2/32 fd09:1::2/128
rule app/db out accept from eng to db tcp:5432 udp:5432 icmp:8 icmpv6:128
rule app/in in accept udp:9999
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; uid 1002 0x12; uid 1003 0x13; live 0x11; live 0x12; live 0x13
sg eng 0x11; sg eng 0x13
push
END
mark_of() { # mark_of FAMILY ARGS...: of the one flow
	on a conntrack -L -f "$@" 2>/dev/null | sed -n 's/.* mark=\([0-9]*\) .*/\1/p'
}
for addr in 10.9.1.2 fd09:1::2; do
	for proto in udp icmp; do
		expect a open $proto $addr 5432 uid 1001 sport 3333
		expect a silent $proto $addr 5432 uid 1002 sport 3333
		expect a silent $proto $addr 5432 sport 3333
		expect a open $proto $addr 5432 uid 1001 sport 3333
	done
done
say "who is entitled himself takes the flow over, and it ends with him"
expect a open udp 10.9.1.2 5432 uid 1003 sport 3333
[ "$(mark_of ipv4 -p udp --orig-port-src 3333)" = 19 ] || fail "the flow kept the first user's mark"

say "a delta changes the owner as well"
tool_ok a <<'END'
delta
del live 0x11
del sg eng 0x11
add live 0x21
add sg eng 0x21
add uid 1001 0x21
add uid 1002 0x12
add remark 0x11 0x21
commit
END
say "the first packet after an epoch is judged for who sent it, too"
expect a silent udp fd09:1::2 5432 uid 1002 sport 3333
expect a open udp fd09:1::2 5432 uid 1001 sport 3333
expect a open udp 10.9.1.2 5432 uid 1001 sport 3334
expect a open udp 10.9.1.2 5432 uid 1001 sport 3334
expect a silent udp 10.9.1.2 5432 uid 1002 sport 3334
own() { on a nft list set inet idfw own | grep -o '0x[0-9a-f]* \. 0x[0-9a-f]*' | sort | tr '\n' ';'; }
pair() { printf '0x%08x . 0x%08x;' "$1" "$1"; }
[ "$(own)" = "$(pair 1)$(pair 2)$(pair 0x12)$(pair 0x13)$(pair 0x21)" ] || fail "own: $(own)"
tool_ok a <<'END'
delta
del uid 1003 0x13
del live 0x13
del sg eng 0x13
commit
END
[ "$(own)" = "$(pair 1)$(pair 2)$(pair 0x12)$(pair 0x21)" ] || fail "the mark did not go: $(own)"
expect a silent udp 10.9.1.2 5432 uid 1003 sport 3333
say "and the flow of somebody who is gone does not stand in the way of the next"
expect a open udp 10.9.1.2 5432 uid 1001 sport 3333

say "TCP: a connection that conntrack thinks is established, and the server has forgotten"
for uid in 1002 1001; do
	on a conntrack -D -p tcp --orig-port-src 3335 >/dev/null 2>&1 || true
	on a conntrack -I -s 10.9.1.1 -d 10.9.1.2 -p tcp --sport 3335 --dport 5432 --state ESTABLISHED \
		-t 300 -m 33 >/dev/null 2>&1
	[ "$uid" = 1001 ] && want=open || want=silent
	expect a $want tcp 10.9.1.2 5432 uid $uid sport 3335
done

say "a packet on loopback with a foreign source (anybody can, in IPv6): its replies do not get out"
net a onlo fd09:1::2 5432 fd09:1::1 9999 uid 1002
mark=$(mark_of ipv6 -p udp --orig-port-src 5432 --orig-port-dst 9999)
[ "$mark" = 4294967295 ] || fail "flow on loopback has mark $mark"
expect a silent udp fd09:1::2 5432 uid 1002 sport 9999
say "nor does an entry that was made on loopback stand in the way of who may"
net a onlo 10.9.1.1 4444 10.9.1.2 5432 uid 1002
[ "$(mark_of ipv4 -p udp --orig-port-src 4444)" = 4294967295 ] || fail "no entry by loopback"
expect a silent udp 10.9.1.2 5432 uid 1002 sport 4444
expect a open udp 10.9.1.2 5432 uid 1001 sport 4444
