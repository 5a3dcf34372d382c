#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-revoke.sh - a flow that the server keeps feeding: `conntrack -D` does not stop it where rules
# accept on a bare `established`; one element that leaves the live set does, in both directions,
# and nothing brings it back. The other user's flow runs on.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b feed 9000 9001
background b udpfeed 9002
tool_start a

say "control: the usual ruleset, and the usual way of revoking"
on a nft -f - <<'END'
table inet usual {
	chain output {
		type filter hook output priority 0; policy drop;
		ct state established accept
		meta skuid 1001 accept
		meta l4proto ipv6-icmp accept
	}
}
END
background a drain 10.9.1.2 9000 "$TMP/usual" uid 1001
flow_runs "$TMP/usual" || fail "control flow does not run"
handle=$(on a nft -a list chain inet usual output | sed -n 's/.*skuid 1001.*# handle //p')
on a nft delete rule inet usual output handle "$handle"
on a conntrack -D -p tcp --dport 9000 >"$TMP/deleted" 2>&1 || true
grep -q 'dport=9000' "$TMP/deleted" || fail "control: no conntrack entry deleted"
flow_runs "$TMP/usual" || fail "control: conntrack -D alone stopped the flow: the test below proves nothing"
say "control: rule and conntrack entry are gone, the flow still runs"
on a nft delete table inet usual

# input is open on purpose: the mark alone has to do it
tool_ok a <<'END'
ruleset
generation 1
version 1
default in accept
group eng s
rule infra/static out accept tcp:9001
rule app/feed out accept from eng tcp:9000 udp:9002 icmp:8 icmpv6:128
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; uid 1002 0x12; live 0x11; live 0x12
sg eng 0x11; sg eng 0x12
push
END
on a conntrack -F 2>/dev/null
for fam in 10.9.1.2 fd09:1::2; do
	background a drain $fam 9000 "$TMP/alice.$fam" uid 1001
	background a drain $fam 9000 "$TMP/bob.$fam" uid 1002
	background a drain $fam 9001 "$TMP/static.$fam" uid 1001
	background a udpdrain $fam 9002 "$TMP/ualice.$fam" uid 1001
	background a udpdrain $fam 9002 "$TMP/ubob.$fam" uid 1002
	expect a open icmp $fam 0 uid 1001 sport 4001
	for f in alice bob static ualice ubob; do flow_runs "$TMP/$f.$fam" || fail "$f does not run"; done
done
say "(a) both users' flows are established; (e) alice's mark leaves the live set, nothing else"
tool_ok a <<'END'
delta
del live 0x11
commit
END
for fam in 10.9.1.2 fd09:1::2; do
	flow_stopped "$TMP/alice.$fam" || fail "alice's flow over $fam goes on"
	flow_stopped "$TMP/ualice.$fam" || fail "alice's UDP flow over $fam goes on"
	flow_runs "$TMP/ubob.$fam" || fail "bob's UDP flow over $fam was cut too"
	expect a silent icmp $fam 0 uid 1001 sport 4001
	expect a open icmp $fam 0 uid 1002 sport 4002
	flow_runs "$TMP/bob.$fam" || fail "bob's flow over $fam was cut too"
	flow_runs "$TMP/static.$fam" || fail "alice's flow over $fam that is everybody's was cut"
done
say "alice is logged out for good; the entries are deleted: nothing comes back"
tool_ok a <<'END'
delta
del uid 1001 0x11
del sg eng 0x11
commit
END
on a conntrack -D -p tcp -m 17 >/dev/null 2>&1 || true
on a conntrack -D -f ipv6 -p tcp -m 17 >/dev/null 2>&1 || true
for fam in 10.9.1.2 fd09:1::2; do
	flow_stopped "$TMP/alice.$fam" || fail "alice's flow over $fam came back"
	flow_runs "$TMP/bob.$fam" || fail "bob's flow over $fam was cut too"
	flow_runs "$TMP/static.$fam" || fail "alice's flow over $fam that is everybody's was cut"
done
expect a silent tcp 10.9.1.2 9000 uid 1001
expect a open tcp 10.9.1.2 9000 uid 1002
