#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-ports.sh - dispatch by port: single ports, ranges (their ends, and whether the kernel compares
# them in the right byte order), ICMP types, the policy's order across lists, both directions
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b serve 255 256 300 511 512 1001 1499 1500 1501 2000 7
background b feed 310
tool_start a
tool_ok a <<'END'
ruleset
generation 1
version 1
group b n 10.9.1.2/32 fd09:1::2/128
rule r/first out accept to b tcp:1499
rule r/no out drop tcp:1500 tcp:1400-1499
rule r/range out accept to b tcp:256-511 udp:256-511 tcp:1001-2000
rule r/late out accept tcp:1500 tcp:7
rule r/ping out accept icmp:13 icmpv6:128
base 4 1; base 6 2; live 1; live 2
push
END
for addr in 10.9.1.2 fd09:1::2; do
	expect a open tcp $addr 256,300,511,1001,1499,1501,2000,7
	expect a silent tcp $addr 255,512,1500
	expect a open udp $addr 511
	expect a silent udp $addr 512
	expect a silent udp $addr 7
done
expect a open icmp fd09:1::2
expect a silent icmp 10.9.1.2
say "a range is found by packets of the reply direction too: base epoch with a server-fed flow"
background a drain 10.9.1.2 310 "$TMP/flow"
flow_runs "$TMP/flow" || fail "flow does not run"
tool_ok a <<'END'
delta
del live 1
add live 3
add base 4 3
add remark 1 3
commit
END
flow_runs "$TMP/flow" || fail "the flow did not find its range again"
flow_whole "$TMP/flow"
on a conntrack -L -p tcp --dport 310 2>/dev/null | grep -q 'mark=3 ' || fail "no new mark"
say "destination: the same in the input direction"
tool_start b
tool_ok a <<'END'
ruleset
generation 2
version 1
default out accept
base 4 1; base 6 2; live 1; live 2
push
END
tool_ok b <<'END'
ruleset
generation 1
version 1
rule r/no in drop tcp:1500
rule r/range in accept tcp:256-511 udp:1-511
rule r/ping in accept icmp
base 4 1; base 6 2; live 1; live 2
push
END
expect a open tcp 10.9.1.2 256
expect a silent tcp fd09:1::2 512
expect a open udp fd09:1::2 511
expect a silent udp 10.9.1.2 512
expect a open icmp 10.9.1.2
expect a silent icmp fd09:1::2
