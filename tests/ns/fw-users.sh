#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-users.sh - two users on one VM are told apart, for TCP, UDP, ICMP, IPv4 and IPv6 alike; each
# accepted flow has a non-zero mark; neighbour discovery works under a policy of drop
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
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; uid 1002 0x12; live 0x11; live 0x12
sg eng 0x11
push
END
on a ip neigh flush dev v1
on a ip -6 neigh flush dev v1
for addr in 10.9.1.2 fd09:1::2; do
	for proto in tcp udp icmp; do
		expect a open $proto $addr 5432 uid 1001
		echo a silent $proto $addr 5432 uid 1002 >>"$TMP/refused"
		echo a silent $proto $addr 5432 >>"$TMP/refused"
	done
	echo a silent tcp $addr 22 uid 1001 >>"$TMP/refused"
done
expect_all <"$TMP/refused"
# (c): what was accepted has the subject's mark; what was not has no entry that lives on
for fam in ipv4 ipv6; do
	on a conntrack -L -f $fam 2>/dev/null >"$TMP/ct"
	grep -q 'mark=17' "$TMP/ct" || fail "no $fam flow with alice's mark"
	grep 'ASSURED\|dport=5432' "$TMP/ct" | grep -v 'mark=17' && fail "an accepted $fam flow has another mark"
done
# in the other direction as well: the reply packets ran into the input chain
on a nft list chain inet idfw output | grep -q established && fail "bare established"
say "bob gets in once his mark is a member, alice is out when hers is not"
tool_ok a <<'END'
delta
add sg eng 0x12
del sg eng 0x11
commit
END
for addr in 10.9.1.2 fd09:1::2; do
	expect a open tcp $addr 5432 uid 1002
	expect a silent tcp $addr 5432 uid 1001
done
say "unrelated to users: loopback"
background a serve 7777
expect a open tcp 127.0.0.1 7777 uid 1002
expect a open udp ::1 7777
