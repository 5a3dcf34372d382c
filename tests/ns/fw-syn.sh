#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-syn.sh - a new inbound TCP flow must start with SYN: anything else to an open port is dropped
# before any rule, so that a revoked flow cannot be picked up from the far end
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b serve 22
tool_start b
for addr in 10.9.1.2 fd09:1::2; do
	got=$(FW_NET_PATIENCE=30 net a raw $addr 22 a)
	[ "$got" = rst ] || fail "control: without rules a bare ACK gets a reset, here: $got"
done
tool_ok b <<'END'
ruleset
generation 1
version 1
rule infra/ssh in accept tcp:22
base 4 1; base 6 2; live 1; live 2
push
END
for addr in 10.9.1.2 fd09:1::2; do
	for flags in a sa ra fa r f; do
		got=$(net a raw $addr 22 $flags sport $((30000 + RANDOM)))
		[ "$got" = silent ] || fail "$flags to $addr: $got"
	done
	got=$(FW_NET_PATIENCE=30 net a raw $addr 22 s sport $((20000 + RANDOM % 9000)))
	[ "$got" = synack ] || fail "SYN to $addr: $got"
	expect a open tcp $addr 22
done
on b nft list chain inet idfw in_tcp_22 | grep -q 'counter packets [1-9]' || fail "no packet was judged"
