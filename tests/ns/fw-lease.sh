#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-lease.sh - a lease is ended by the kernel alone: no process of ours is alive when access by a
# group of short lease closes, for running and for new flows, while flows by a group that holds go on
# without a lost byte. Renewals keep everything up. What the kernel dropped confuses no delta, no
# renewal and no whole ruleset, and a drain that is over is not begun anew.
# Waits for what has to happen; nothing here is about how long it takes.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

cg_start
cg_new s1
s1=$(cg_id s1)
vm_new a
vm_new b
link a b 1
background b serve 5432 5433
background b feed 9100 9200
background b udpfeed 5300 5301
background a feed 9300 9400
background a udpfeed 5310 5410
background a serve 5432 5433
ruleset() {
	cat <<-END
		ruleset
		generation $1
		version 1
		default out drop
		group short s; group hold s; group last s
		rule app/short out accept from short tcp:9100 tcp:5432 udp:5300 udp:5432 icmp:8 icmpv6:128
		rule app/hold out accept from hold tcp:9200 tcp:5433 udp:5301 udp:5433
		rule app/last out accept from last tcp:5434
		rule app/in in accept from short tcp:9300 udp:5310 udp:5432 icmp:8 icmpv6:128
		rule app/inhold in accept from hold tcp:9400 udp:5410 udp:5433
		base 4 1; base 6 2; live 1; live 2
	END
}
marks() { # marks LEASE: a session, a uid and a remote address, each with what outlasts its lease
	cat <<-END
		cgroup $s1 0x31; live 0x31 $1; sg short 0x31; sg hold 0x31
		remark 0x31 0x32; live 0x32 3600; sg hold 0x32
		uid 1002 0x41; live 0x41 $1; sg short 0x41; sg hold 0x41
		uid 1003 0x91; live 0x91 $1; sg short 0x91
		remark 0x41 0x42; live 0x42 3600; sg hold 0x42
		addr 10.9.1.2 0x51; addr fd09:1::2 0x51; live 0x51 $1; sg short 0x51; sg hold 0x51
		remark 0x51 0x52; live 0x52; sg hold 0x52
	END
}
live() { on a nft get element inet idfw live "{ $1 }" >/dev/null 2>&1; }
until_lapsed() { # until_lapsed MARK...
	local m
	for m in "$@"; do
		for _ in $(seq 600); do
			live "$m" || break
			sleep 0.1
		done
		live "$m" && fail "mark $m is still live"
	done
	return 0
}
flows() {
	local addr
	for addr in 10.9.1.2 fd09:1::2; do
		CG=$CGROOT/s1 background a drain $addr 9100 "$TMP/short.cg.$addr"
		CG=$CGROOT/s1 background a udpdrain $addr 5300 "$TMP/short.ucg.$addr"
		background a drain $addr 9100 "$TMP/short.uid.$addr" uid 1002
		CG=$CGROOT/s1 background a drain $addr 9200 "$TMP/hold.cg.$addr"
		CG=$CGROOT/s1 background a udpdrain $addr 5301 "$TMP/hold.ucg.$addr"
		background a drain $addr 9200 "$TMP/hold.uid.$addr" uid 1002
		CG=$CGROOT/s1 background a udptwo $addr 5432 5433 "$TMP/two.out.$addr"
		CG=$CGROOT/s1 background a icmpping $addr "$TMP/short.echo.$addr"
	done
	for addr in 10.9.1.1 fd09:1::1; do
		background b drain $addr 9300 "$TMP/short.in.$addr"
		background b drain $addr 9400 "$TMP/hold.in.$addr"
		background b udpdrain $addr 5310 "$TMP/short.uin.$addr"
		background b udpdrain $addr 5410 "$TMP/hold.uin.$addr"
		background b udptwo $addr 5432 5433 "$TMP/two.in.$addr"
		background b icmpping $addr "$TMP/short.echoin.$addr"
	done
	# a socket that is not connected sends to a port of each group: one goes, the other stays
	for f in "$TMP"/two.*; do
		case $f in
		*.1) ln -s "$f" "$TMP/short.${f##*/}" ;;
		*.2) ln -s "$f" "$TMP/hold.${f##*/}" ;;
		esac
	done
}
run() { for f in "$TMP/$1".*; do flow_runs "$f" || fail "${f##*/} does not run"; done; }

tool_start a
(ruleset 1; marks 600; echo push) | tool_ok a
flows
(ruleset 1; marks 12; echo push) | tool_ok a
say "renewals: nothing lapses in more than one lease"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	sleep 1
	tool_ok a <<<renew
done
for m in 0x31 0x32 0x41 0x51; do live $m || fail "$m lapsed under renewal"; done
on a conntrack -L 2>/dev/null | grep -q 'mark=50 ' && fail "a flow took the lapse's mark under renewal"
for what in short hold; do # to look at all of them takes longer than a lease
	while_renewed a run $what || fail "nothing lapses under renewal"
done

say "everything of ours is killed; the kernel closes what has a short lease"
tool_kill a
until_lapsed 0x31 0x41 0x51 0x91
all_stopped short || fail "something goes on"
run hold
for f in "$TMP"/hold.*.*; do case $f in *.ucg.* | *.uin.* | *.two.*) ;; *) flow_whole "$f" ;; esac; done
for addr in 10.9.1.2 fd09:1::2; do
	CG=$CGROOT/s1 expect_all <<-END
		a silent tcp $addr 5432
		a silent udp $addr 5432
		a silent icmp $addr
		a open tcp $addr 5433
		a open udp $addr 5433
	END
	expect_all <<-END
		a silent tcp $addr 5432 uid 1002
		a open tcp $addr 5433 uid 1002
	END
done
expect b silent tcp 10.9.1.1 9300
expect b open tcp fd09:1::1 9400
# nothing outlasts 0x91, but its group still names it: not even a packet without an answer leaves
for addr in 10.9.1.2 fd09:1::2; do
	expect a silent udp $addr 5432 uid 1003 sport 3334
	case $addr in *:*) family=ipv6 ;; *) family=ipv4 ;; esac
	on a conntrack -L -f $family -p udp --orig-port-src 3334 2>/dev/null | grep -q . &&
		fail "it got out over $addr"
done
say "a port of a lapsed session's flow: its owner is known by what stands in for it"
CG=$CGROOT/s1 expect a open udp 10.9.1.2 5433 sport 3333
CG=$CGROOT/s1 expect a open udp 10.9.1.2 5433 sport 3333
expect a silent udp 10.9.1.2 5433 sport 3333

say "a new pusher and the same whole ruleset: all is as before"
tool_start a
(ruleset 1; marks 600; echo push) | tool_ok a
CG=$CGROOT/s1 expect a open tcp 10.9.1.2 5432
run hold
(ruleset 1; marks 6; echo push) | tool_ok a
say "what lapsed beside a living pusher: a heartbeat brings it back, a removal is no error"
until_lapsed 0x31 0x41
while_renewed a live 0x31 || fail "a renewal does not bring a lapsed mark back"
live 0x32 || fail "what was not due is gone"
CG=$CGROOT/s1 while_renewed a expect a open tcp fd09:1::2 5432 || exit 1
until_lapsed 0x31 0x41
tool_ok a <<-END
	delta
	del live 0x41
	del sg short 0x41
	del sg hold 0x41
	add live 0x43 3600
	add live 0x31 3600
	add uid 1002 0x43
	add sg short 0x43
	add remark 0x41 0x43
	commit
END
expect a open tcp 10.9.1.2 5432 uid 1002
CG=$CGROOT/s1 expect a open tcp 10.9.1.2 5432
say "a lease that is changed, in place: longer, then none"
lease_of() { on a nft list set inet idfw live | tr ',}' '\n\n' | sed -n "s/.*\($1.*\)/\1/p"; }
case $(lease_of 0x00000031) in *"timeout 1h"*) ;; *) fail "lease not changed: $(lease_of 0x00000031)" ;; esac
tool_ok a <<-END
	delta
	add live 0x31
	commit
END
case $(lease_of 0x00000031) in *[1-9][hms]*) fail "lease not taken off: $(lease_of 0x00000031)" ;; 0x*) ;; *) fail "it is gone" ;; esac

say "the same on older kernels: neither an update in place nor removals of what is not there"
tool_ok a <<-END
	old-kernel
	delta
	add live 0x31 3
	add live 0x43 3
	add live 0x44 3600
	commit
END
while_renewed a live 0x31 || fail "not renewed"
until_lapsed 0x31 0x43
while_renewed a live 0x43 || fail "a renewal does not bring a lapsed mark back"
until_lapsed 0x31 0x43
tool_ok a <<-END
	delta
	del live 0x43
	del uid 1002 0
	del sg short 0x43
	add live 0x31 3600
	commit
END
live 0x31 || fail "not live again"
expect a silent tcp 10.9.1.2 5432 uid 1002

say "a drain: renewals leave it alone, and a ruleset that still asks for it does not begin it anew"
tool_ok a <<-END
	delta
	add live 0x61 2 ends
	add live 0x62 2
	commit
END
for _ in 1 2 3 4 5 6 7 8; do
	sleep 0.4
	tool_ok a <<<renew
done
until_lapsed 0x61
while_renewed a live 0x62 || fail "what is not a drain lapsed under renewal"
(ruleset 1; echo "live 0x61 2 ends; live 0x62 2"; marks 30; echo push) | tool_ok a
live 0x61 && fail "the drain began anew"
while_renewed a live 0x62 || fail "0x62 is not live"

say "three lapses in a row, the fourth is one too many"
(
	ruleset 2
	cat <<-END
		cgroup $s1 0x71; remark 0x71 0x72; remark 0x72 0x73; remark 0x73 0x74; remark 0x74 0x75
		live 0x74; live 0x75; sg short 0x74; sg hold 0x75
		push
	END
) | tool_ok a
CG=$CGROOT/s1 expect a open tcp 10.9.1.2 5432
tool_ok a <<<"delta
del live 0x74
commit"
CG=$CGROOT/s1 expect_all <<-END
	a silent tcp 10.9.1.2 5432
	a silent tcp 10.9.1.2 5433
END
