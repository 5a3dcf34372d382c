#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-ends.sh - rules on the source VM (by uid) and on the destination VM (by the address that the
# session comes from), groups by VM address, by network and by identity as destination; what reject
# answers; a running flow is cut at the destination as well
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
vm_new c
link a b 1
link c b 2
background b serve 5432 22
background b feed 9000
tool_start a
tool_start b
say "destination: two VMs, sessions of eng on one"
tool_ok b <<'END'
ruleset
generation 1
version 1
default in reject
group eng s; group admins g; group me n 10.9.0.0/16 fd09::/16
rule app/db in accept from eng to me tcp:5432 udp:5432 icmp:8 icmpv6:128
rule app/feed in accept from eng tcp:9000
rule infra/ssh in accept from admins tcp:22
base 4 1; base 6 2; live 1; live 2
addr 10.9.1.1 0x31; addr fd09:1::1 0x31; live 0x31; sg eng 0x31
ga admins 10.9.2.1; ga admins fd09:2::1
push
END
for n in 1 2; do
	for addr in 10.9.$n.2 fd09:$n::2; do
		[ $n = 1 ] && vm=a yes=open no=refused || vm=c yes=refused no=open
		expect $vm $yes tcp $addr 5432
		expect $vm $no tcp $addr 22
	done
done
for proto in udp icmp; do
	for n in 1 2; do
		for addr in 10.9.$n.2 fd09:$n::2; do
			[ $n = 1 ] && vm=a want=open || vm=c want=prohibited
			expect $vm $want $proto $addr 5432
		done
	done
done
background a drain 10.9.1.2 9000 "$TMP/flow"
flow_runs "$TMP/flow" || fail "flow does not run"
tool_ok b <<'END'
delta
del live 0x31
del addr 10.9.1.1 0x31
commit
END
flow_stopped "$TMP/flow" || fail "the destination did not cut the flow"
expect a refused tcp 10.9.1.2 5432
say "source: only members of eng, only to where a member has a session, else reset at once"
tool_ok b <<'END'
ruleset
generation 2
version 1
default in accept
base 4 1; base 6 2; live 1; live 2
push
END
tool_ok a <<'END'
ruleset
generation 1
version 1
default out reject
group eng s; group away i; group vms g
rule app/chat out accept from eng to away tcp:5432 udp:5432
rule app/ssh out accept from vms to vms,away tcp:22
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; live 0x11; sg eng 0x11
ia away 10.9.1.2; ga vms 10.9.1.1; ga vms fd09:1::1; ga vms fd09:1::2
push
END
expect a open tcp 10.9.1.2 5432 uid 1001
expect a refused tcp 10.9.1.2 5432 uid 1002
expect a prohibited udp 10.9.1.2 5432 uid 1002
expect a refused tcp fd09:1::2 5432 uid 1001
expect a open tcp fd09:1::2 22 uid 1002
expect a open tcp 10.9.1.2 22
tool_ok a <<'END'
delta
del ia away 10.9.1.2
add ia away fd09:1::2
commit
END
expect a refused tcp 10.9.1.2 5432 uid 1001
expect a open tcp fd09:1::2 5432 uid 1001
