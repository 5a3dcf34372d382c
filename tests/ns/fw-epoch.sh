#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-epoch.sh - a mark epoch: an entitlement changes while two server-fed transfers run. The kept
# one loses no byte, the other is cut at its next packet, no conntrack entry is touched. On the
# source VM by uid, on the destination VM by address, and for flows with the base mark. At the end marks
# that nothing leads to any more: a client that keeps its port is judged anew, what runs stays cut.
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

say "a mark that nothing leads to any more (too many epochs): inbound, who keeps his port is judged anew"
background b serve 7000 7001 # TCP and UDP
tool_ok a <<'END'
ruleset
generation 5
version 1
default out accept
base 4 3; base 6 4; live 3; live 4
push
END
dest() { # dest GENERATION DIGIT REVOKE: all marks anew, no old one leads anywhere
	cat <<-END | tool_ok b
		ruleset
		generation $1
		version 1
		revoke $3
		group eng s
		rule app/eng in accept from eng tcp:5432 udp:7000
		rule app/all in accept udp:7001 icmp:8 icmpv6:128
		base 4 0x${2}1; base 6 0x${2}2; live 0x${2}1; live 0x${2}2
		addr 10.9.1.1 0x${2}3; addr fd09:1::1 0x${2}3; live 0x${2}3; sg eng 0x${2}3
		push
	END
}
n=20 sport=4445
for mode in drop reset; do
	dest $n 6 $mode
	for addr in 10.9.1.2 fd09:1::2; do
		background a udpping $addr 7000 "$TMP/k.eng.$mode.$addr" sport 4444
		background a udpping $addr 7001 "$TMP/k.all.$mode.$addr" sport 4444
		background a icmpping $addr "$TMP/k.echo.$mode.$addr"
		# shellcheck disable=SC2046
		background a drain $addr 5432 "$TMP/k.tcp.$mode.$addr" $([ $addr != 10.9.1.2 ] || echo sport $sport)
	done
	dest $((n + 1)) 7 $mode
	for addr in 10.9.1.2 fd09:1::2; do
		for f in eng all echo; do
			flow_runs "$TMP/k.$f.$mode.$addr" || fail "k.$f.$mode.$addr is shut out by its old mark"
		done
		flow_stopped "$TMP/k.tcp.$mode.$addr" || fail "a connection with a dead mark goes on"
	done
	if [ $mode = drop ]; then
		got=$(FW_NET_PATIENCE=30 net a raw 10.9.1.2 5432 s sport $sport)
		[ "$got" = segment ] || fail "a SYN from a port that has an old entry: $got"
	fi
	say "$mode: who is not entitled any more is not let in by that, whoever else has his address is"
	tool_ok b <<-END
		delta
		del live 0x73
		del sg eng 0x73
		del addr 10.9.1.1 0
		del addr fd09:1::1 0
		commit
	END
	all_stopped "k.eng.$mode" || fail "what is not allowed goes on"
	for addr in 10.9.1.2 fd09:1::2; do
		for f in all echo; do flow_runs "$TMP/k.$f.$mode.$addr" || fail "k.$f.$mode.$addr was cut"; done
	done
	tool_ok b <<-END
		delta
		add live 0x83
		add sg eng 0x83
		add addr 10.9.1.1 0x83
		add addr fd09:1::1 0x83
		commit
	END
	for addr in 10.9.1.2 fd09:1::2; do
		flow_runs "$TMP/k.eng.$mode.$addr" || fail "k.eng.$mode.$addr is shut out by its old mark"
	done
	flow_stop '/k[.]'
	n=$((n + 2)) sport=$((sport + 1))
done

say "everybody's marks by deltas: the helper set of current ones holds these and no other"
bases() { # WANTED
	local got
	got=$(on a nft list set inet idfw base | tr -d '\t\n' | sed -E 's/.*elements = \{([^}]*)\}.*/\1/; s/0x0*//g; s/ //g')
	[ "$got" = "$1" ] || fail "base holds $got, not $1"
}
tool_ok a <<'END'
ruleset
generation 6
version 1
base 4 0xa1; base 6 0xa1; live 0xa1
push
END
for kernel in '' 'old-kernel\n'; do
	printf "${kernel}delta\nadd base %s\nadd base %s\nadd live 0xa2\ncommit\n" "4 0xa2" "6 0xa2" | tool_ok a
	bases a2
	printf 'delta\nadd base %s\nadd live 0xa3\ncommit\n' "6 0xa3" | tool_ok a
	bases a2,a3
	printf 'delta\nadd base %s\ncommit\n' "4 0xa3" | tool_ok a
	bases a3
	printf 'delta\nadd base %s\nadd base %s\nadd live 0xa1\ncommit\n' "6 0xa1" "4 0xa3" | tool_ok a
	bases a1,a3
	printf 'delta\nadd base %s\nadd base %s\ncommit\n' "6 0xa1" "4 0xa1" | tool_ok a
	bases a1
done
