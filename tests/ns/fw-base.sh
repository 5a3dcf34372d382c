#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-base.sh - gi-netagent --base and --remove-rules with real packets: what the closed base lets
# through, and nothing more; a base that is there, or another ruleset, is left alone; the first ruleset
# takes over without a moment in which what both forbid is let through, and a connection of the base goes
# on; a mistake in the configuration opens nothing; after the removal the administrator's own ruleset is
# what it was, and every failure has its exit code.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"
AGENT="$top_builddir/netagent/gi-netagent"
[ -x "$AGENT" ] || fail "there is no $AGENT"

vm_new a
vm_new b
link a b 1
background a serve 22 5432
background b serve 22 5432 5005
background b dhcpd v1
background a feed 23 24

conf() { printf '%s\n' "$@" >"$TMP/conf"; }
agent() { # WANTED-CODE ARGS... - its words in $TMP/said
	local want=$1 rc=0
	shift
	on a "$AGENT" "$@" -c "$TMP/conf" >"$TMP/said" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "gi-netagent $*: exit code $rc, wanted $want: $(cat "$TMP/said")"
	say "gi-netagent $*: $rc"
}
remove_rules() { # WANTED-CODE
	local rc=0
	on a "$AGENT" --remove-rules >"$TMP/said" 2>&1 || rc=$?
	[ "$rc" = "$1" ] || fail "gi-netagent --remove-rules: exit code $rc, wanted $1: $(cat "$TMP/said")"
}
said() { grep -q -- "$1" "$TMP/said" || fail "it does not say \"$1\": $(cat "$TMP/said")"; }
dump() { on a nft -s list ruleset; }
offered() { # WANTED
	local got
	got=$(net a dhcp v1)
	[ "$got" = "$1" ] || fail "DHCP, DHCPv6: $got, wanted $1"
	say "DHCP, DHCPv6: $got"
}

say "before: an administrator's own ruleset, which lets everything of this test through"
on a nft -f - <<-'E'
	table inet filter {
		set office { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
		chain input {
			type filter hook input priority filter; policy accept;
			tcp dport 9999 counter drop comment "not here"
			ip saddr @office counter accept
		}
	}
	table ip nat {
		chain postrouting {
			type nat hook postrouting priority srcnat; policy accept;
			oifname "wan0" masquerade
		}
	}
E
dump >"$TMP/own"
expect a open tcp 10.9.1.2 5432
offered "offered offered"

say "closed"
conf 'mux "vsock:2:5005";'
agent 0 --base
said "base ruleset (closed) is loaded"
expect_all <<-E
	b open tcp 10.9.1.1 22
	b open tcp fd09:1::1 22
	b silent tcp 10.9.1.1 5432
	b silent tcp fd09:1::1 5432
	b silent udp 10.9.1.1 22
	b silent udp fd09:1::1 546
	b silent icmp 10.9.1.1
	b silent icmp fd09:1::1
	a refused tcp 10.9.1.2 22,5432,5005
	a refused tcp fd09:1::2 22,5432
	a prohibited udp 10.9.1.2 5432
	a prohibited udp fd09:1::2 5432
	a prohibited icmp 10.9.1.2
	a open tcp 127.0.0.1 5432
	a open udp ::1 5432
E
expect a prohibited udp 10.9.1.2 5432 sport 68
expect b silent udp fd09:1::1 5432 sport 547
offered "offered offered"
say "what is forbidden is forbidden for root and for anybody; neighbours are found anew"
expect a refused tcp 10.9.1.2 22 uid 1002
on a ip neigh flush dev v1
on b ip neigh flush dev v1
expect b open tcp fd09:1::1 22

say "a second one leaves it alone, whatever it would say"
dump >"$TMP/base"
conf 'base open;'
agent 0 --base
said "left alone"
dump | cmp - "$TMP/base" || fail "--base changed a ruleset that was there"
say "it has no owner, and is there for whoever comes: flags $(on a nft list table inet idfw | sed -n 's/.*flags //p')"
on a nft list table inet idfw | grep -q 'flags.*owner' && fail "it has an owner"
say "one that is empty, was emptied, or put to sleep (which takes a plain one), is none"
remove_rules 0
said "is removed"
on a nft add table inet idfw
conf ''
agent 0 --base
said "base ruleset (closed) is loaded"
expect a refused tcp 10.9.1.2 22
on a nft flush table inet idfw
on a nft flush map inet idfw stamp
agent 0 --base
said "base ruleset (closed) is loaded"
expect a refused tcp 10.9.1.2 22
on a nft 'add table inet idfw { flags dormant; }'
expect a open tcp 10.9.1.2 22
agent 0 --base
said "is loaded"
expect a refused tcp 10.9.1.2 22

say "what base-allow lists, and the mux by TCP"
remove_rules 0
conf 'mux "tcp:10.9.1.2:5005";' \
	'base-allow "in tcp:23 from 10.9.1.2", "out udp:5432 to fd09:1::/64", "out icmp:8", icmpv6;'
agent 0 --base --print
grep -q 'chain in_tcp_23' "$TMP/said" || fail "--print does not print it"
on a nft list tables | grep -q idfw && fail "--print loads"
on a nft -c -f "$TMP/said" || fail "what it prints is no ruleset"
agent 0 --base
expect_all <<-E
	a open tcp 10.9.1.2 5005
	a refused tcp fd09:1::2 5005
	a open udp fd09:1::2 5432
	a prohibited udp 10.9.1.2 5432
	a open icmp 10.9.1.2
	a prohibited icmp fd09:1::2
	b open icmp fd09:1::1
	b silent tcp 10.9.1.1 22
	b open tcp 10.9.1.1 23
	b silent tcp fd09:1::1 23
E
remove_rules 0
conf 'base-allow none;'
agent 0 --base
expect b silent tcp 10.9.1.1 22
offered "offered offered"
remove_rules 0
conf 'base open;'
agent 0 --base
expect_all <<-E
	b open tcp 10.9.1.1 5432
	b open udp fd09:1::1 5432
	a open tcp fd09:1::2 22
	a open icmp 10.9.1.2
E

say "make uninstall takes the table away where idfw was in use, and nowhere else"
uninstall() { on a env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$top_builddir" uninstall-rules "$@" 2>"$TMP/said"; }
mkdir "$TMP/idfw"
: >"$TMP/idfw/gi-netagent.conf"
uninstall sysconfdir="$TMP/nothing" DESTDIR=
uninstall sysconfdir="$TMP" DESTDIR="$TMP/package"
on a nft list tables | grep -q idfw || fail "it was taken away by a package's build, or a trial's end"
uninstall sysconfdir="$TMP" DESTDIR=
said "is removed"
on a nft list tables | grep -q idfw && fail "make uninstall left the table"

say "a mistake in the configuration opens nothing, and is told"
remove_rules 0
conf 'base open' 'base-allow tcp:22;'
agent 78 --base
said "error: expected ;"
said "built-in base (closed, ssh may come in)"
expect a refused tcp 10.9.1.2 5432
expect b open tcp 10.9.1.1 22
remove_rules 0
rm "$TMP/conf"
agent 78 --base
said "No such file"
expect a refused tcp 10.9.1.2 5432
expect b open tcp 10.9.1.1 22
remove_rules 0
remove_rules 0
said "there is no table"

say "wrong usage, no privilege"
conf ''
agent 2 --base --remove-rules
agent 2 --print
agent 2 --base nonsense
unprivileged=(setpriv --bounding-set -all --inh-caps -all --reuid 1002 --clear-groups)
chmod 755 "$TMP"
rc=0
on a "${unprivileged[@]}" "$AGENT" --base -c "$TMP/conf" 2>"$TMP/said" || rc=$?
[ $rc = 1 ] || fail "--base without privilege: exit code $rc"
said "THE BASE RULESET IS NOT LOADED"
rc=0
on a "${unprivileged[@]}" "$AGENT" --remove-rules 2>"$TMP/said" || rc=$?
[ $rc = 1 ] || fail "--remove-rules without privilege: exit code $rc"

say "a table that a living process holds is neither replaced nor removed"
mkfifo "$TMP/holder"
on a nft -i <"$TMP/holder" >/dev/null 2>&1 &
holder=$!
PIDS+=("$holder")
exec 8>"$TMP/holder"
echo 'add table inet idfw { flags owner; }' >&8
for _ in $(seq 2000); do
	! on a nft list tables | grep -q idfw || break
	sleep 0.01
done
agent 0 --base
said "held by a process"
remove_rules 1
said "stop gi-netagent first"
exec 8>&-
wait "$holder" || true
remove_rules 0

say "the administrator's own ruleset is what it was, byte for byte"
dump | diff "$TMP/own" - || fail "the administrator's ruleset was changed"

say "the first ruleset takes over, again and again, while somebody tries what both forbid"
ruleset() { # MARK-OF-THE-BASE: as svm-idfw takes it over
	cat <<-END
		ruleset
		generation 1
		version 1
		default out reject; default in drop
		rule app/feed in accept tcp:23
		rule app/ssh in accept tcp:22
		base 4 0x1001; base 6 0x1001; live 0x1001; remark $1 0x1001
	END
}
chmod 1777 "$TMP"
conf 'base-allow tcp:22-24;'
for round in 1 2; do
	agent 0 --base
	mark=$(on a nft list set inet idfw live | grep -o '0x[0-9a-f]*')
	for addr in 10.9.1.1 fd09:1::1; do
		background b drain $addr 23 "$TMP/both.$round.$addr"
		background b drain $addr 24 "$TMP/base.$round.$addr"
		flow_runs "$TMP/both.$round.$addr" || fail "no connection under the base"
		flow_runs "$TMP/base.$round.$addr" || fail "no connection under the base"
	done
	background a storm 10.9.1.2 5432 600 "$TMP/storm.$round.a4"
	background a storm fd09:1::2 5432 600 "$TMP/storm.$round.a6"
	background b storm 10.9.1.1 5432 600 "$TMP/storm.$round.b4"
	tool_start a
	(ruleset "$mark"; echo push) | tool_ok a
	for f in "$TMP/storm.$round".{a4,a6,b4}; do
		[ ! -s "$f" ] || fail "${f##*/} was over before the takeover"
		touch "$f.stop"
	done
	for addr in 10.9.1.1 fd09:1::1; do
		flow_runs "$TMP/both.$round.$addr" || fail "a connection that both allow does not go on"
		flow_whole "$TMP/both.$round.$addr"
		flow_stopped "$TMP/base.$round.$addr" || fail "a connection of the base alone goes on"
	done
	expect b open tcp 10.9.1.1 22
	expect b silent tcp 10.9.1.1 24
	for f in "$TMP/storm.$round".{a4,a6,b4}; do
		for _ in $(seq 3000); do
			[ ! -s "$f" ] || break
			sleep 0.02
		done
		read -r sent answered _ <"$f"
		say "${f##*/}: $sent tries, $answered got through"
		[ "$sent" -ge 1 ] || fail "nobody tried"
		[ "$answered" = 0 ] || fail "$answered packets got through while the ruleset took over"
	done
	agent 0 --base
	said "left alone"
	tool_kill a
	remove_rules 0
	last=$round
done
say "a base that is loaded on a running machine: what it allows goes on, what it does not is cut"
f=$TMP/both.$last
conf 'base-allow "in tcp:23 from 10.9.1.2";'
agent 0 --base
flow_runs "$f.10.9.1.1" || fail "a connection that it allows does not go on"
flow_whole "$f.10.9.1.1"
flow_stopped "$f.fd09:1::1" || fail "a connection that it does not allow goes on"
remove_rules 0
dump | diff "$TMP/own" - || fail "the administrator's ruleset was changed"
