#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-cgroup.sh - the subject of an outbound flow is the session's cgroup: root in it is the session's
# user, root elsewhere is nobody, the deepest cgroup that is somebody counts, a uid only where no
# cgroup does. Who owns a running flow, who takes its port over, and who is judged again by the
# peer's next packet go by it as well. Both families, TCP, UDP, ICMP.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

cg_start
for c in s1/in/er s1/other s2 empty; do cg_new "$c"; done # levels 2, 3, 4
deep=$CGROOT/s1/in/er/four/five
mkdir -p "$deep"
s1=$(cg_id s1) s2=$(cg_id s2) other=$(cg_id s1/other)

vm_new a
vm_new b
link a b 1
background b serve 5432
background b feed 9100
background b udpfeed 5300
tool_start a
ruleset() { # ruleset GENERATION
	cat <<-END
		ruleset
		generation $1
		version 1
		default out drop
		group eng s; group ops s
		rule app/db out accept from eng tcp:5432 udp:5432 icmp:8 icmpv6:128
		rule app/feed out accept from eng,ops tcp:9100 udp:5300
	END
}
(
	ruleset 1
	cat <<-END
		base 4 1; base 6 2; live 1; live 2
		cgroup $s1 0x31; live 0x31; sg eng 0x31
		cgroup $s2 0x32; live 0x32; sg ops 0x32
		cgroup $other 0x33; live 0x33; sg ops 0x33
		uid 1002 0x41; live 0x41; sg eng 0x41
		push
	END
) | tool_ok a

say "who is in the session's cgroup is the session's user, whatever his uid; the deepest counts"
for addr in 10.9.1.2 fd09:1::2; do
	for proto in tcp udp icmp; do
		CG=$CGROOT/s1 expect_all <<-END
			a open $proto $addr 5432
			a open $proto $addr 5432 uid 1001
		END
		CG=$deep expect a open $proto $addr 5432 uid 1001
		CG=$CGROOT/s1/other expect a silent $proto $addr 5432
		CG=$CGROOT/s2 expect_all <<-END
			a silent $proto $addr 5432
			a silent $proto $addr 5432 uid 1002
		END
		CG=$CGROOT/empty expect_all <<-END
			a silent $proto $addr 5432
			a open $proto $addr 5432 uid 1002
		END
		expect_all <<-END
			a silent $proto $addr 5432
			a silent $proto $addr 5432 uid 1001
			a open $proto $addr 5432 uid 1002
		END
	done
done

say "a port that a session gave back: the next one to take it is judged for himself"
for addr in 10.9.1.2 fd09:1::2; do
	for proto in udp icmp; do
		CG=$CGROOT/s1 expect a open $proto $addr 5432 sport 3333
		expect a silent $proto $addr 5432 sport 3333
		CG=$CGROOT/s2 expect a silent $proto $addr 5432 sport 3333
		CG=$CGROOT/s1/other expect a silent $proto $addr 5432 sport 3333
		CG=$CGROOT/s2 expect a silent $proto $addr 5432 uid 1002 sport 3333
		CG=$CGROOT/s1 expect a open $proto $addr 5432 uid 1001 sport 3333
	done
done
expect a open udp 10.9.1.2 5432 uid 1002 sport 3333
on a conntrack -L -p udp --orig-port-src 3333 2>/dev/null | grep -q 'mark=65 ' || fail "the flow kept the first session's mark"
CG=$CGROOT/s2 expect a silent udp 10.9.1.2 5432 uid 1002 sport 3333

flows() { # flows NAME WHO...: server-fed transfers over both families, TCP and UDP
	local name=$1 addr
	shift
	for addr in 10.9.1.2 fd09:1::2; do
		background a drain $addr 9100 "$TMP/$name.$addr" "$@"
		background a udpdrain $addr 5300 "$TMP/u$name.$addr" "$@"
	done
}
all_run() {
	local f
	for f in "$TMP/$1".* "$TMP/u$1".*; do flow_runs "$f" || fail "${f##*/} does not run"; done
}
all_whole() {
	local f
	all_run "$1"
	for f in "$TMP/$1".*; do flow_whole "$f"; done
}
all_stopped() {
	local f
	for f in "$TMP/$1".* "$TMP/u$1".*; do flow_stopped "$f" || fail "${f##*/} goes on"; done
}
CG=$CGROOT/s1 flows first
CG=$CGROOT/s2 flows second
flows byuid uid 1002
for f in first second byuid; do all_run $f; done

say "a session ends: its flows, and what is left behind in its cgroup"
tool_ok a <<-END
	delta
	del cgroup $s1 0
	del live 0x31
	del sg eng 0x31
	commit
END
all_stopped first
CG=$CGROOT/s1 expect a silent tcp 10.9.1.2 5432
CG=$CGROOT/s1 expect a open tcp 10.9.1.2 5432 uid 1002
CG=$CGROOT/s1/other expect a open tcp 10.9.1.2 9100 uid 1001
all_whole second

say "an epoch of a cgroup, and whole rulesets: flows go on, the map has its two names in turns"
tool_ok a <<-END
	delta
	del live 0x32
	del sg ops 0x32
	add live 0x52
	add sg eng 0x52
	add cgroup $s2 0x52
	add remark 0x32 0x52
	commit
END
CG=$CGROOT/s2 expect a open tcp fd09:1::2 5432
for gen in 2 3; do
	(
		ruleset $gen
		cat <<-END
			base 4 1; base 6 2; live 1; live 2
			cgroup $s2 0x6$gen; live 0x6$gen; sg eng 0x6$gen; remark 0x32 0x6$gen; remark 0x52 0x6$gen
			remark 0x62 0x63; uid 1002 0x41; live 0x41; sg eng 0x41
			push
		END
	) | tool_ok a
	on a nft list maps | grep -c 'map cg_mark' | grep -qx 1 || fail "not one map of cgroups"
	CG=$CGROOT/s2 expect a open tcp fd09:1::2 5432
	CG=$CGROOT/s1/other expect a silent tcp fd09:1::2 9100
done
all_whole second
all_whole byuid
tool a <<<marks >/dev/null
grep -q "^elem 11 $(printf %016x "$s2") 0x63$" "$TMP/a.out" || fail "marks do not tell the cgroup: $(cat "$TMP/a.out")"

say "flows of everybody are judged again as somebody's: by the peer's next packet, TCP and UDP"
(
	sed 's/from eng,ops//' <<<"$(ruleset 4)"
	cat <<-END
		base 4 1; base 6 2; live 1; live 2; cgroup $s2 0x64; live 0x64
		push
	END
) | tool_ok a
CG=$CGROOT/s2 flows base
flows nobody
all_run base
all_run nobody
(
	ruleset 5
	cat <<-END
		base 4 3; base 6 4; live 3; live 4; remark 1 3; remark 2 4
		cgroup $s2 0x65; live 0x65; sg eng 0x65; remark 0x64 0x65
		push
	END
) | tool_ok a
all_stopped nobody
all_whole base

say "the same without DESTROYSETELEM"
tool_ok a <<-END
	old-kernel
	delta
	add cgroup $s1 0x71
	add live 0x71
	add sg eng 0x71
	commit
END
CG=$CGROOT/s1 expect a open tcp 10.9.1.2 5432
tool_ok a <<-END
	delta
	del cgroup $s1 0
	del cgroup $other 0
	del live 0x71
	del sg eng 0x71
	commit
END
CG=$CGROOT/s1 expect a silent tcp 10.9.1.2 5432
