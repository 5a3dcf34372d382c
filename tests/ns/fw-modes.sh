#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-modes.sh - what becomes of running flows when access ends: drop (silence), reset (both ends are
# told, idle connections are destroyed, also of cgroups inside the one that ended, and nobody else's),
# drain (they may finish for a while, new ones are refused at once, nobody takes their ports over, and
# the kernel ends them). At the end each mode with TCP, UDP and echo requests, out and in.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

cg_start
cg_new s1
cg_new s2
cg_new s1/box # as a user's container makes it
s1=$(cg_id s1) s2=$(cg_id s2)
S1=$CGROOT/s1 S2=$CGROOT/s2
vm_new a
vm_new b
link a b 1
background b serve 5432 80
background b feed 9100 9200
background b udpfeed 5300
background a serve 6000
tool_start a
ruleset() { # ruleset GENERATION MODE
	cat <<-END
		ruleset
		generation $1
		version 1
		revoke $2
		default out drop
		group eng s; group ops s
		rule app/open out accept tcp:80
		rule app/feed out accept from ops tcp:9200
		rule app/db out accept from eng tcp:5432 udp:5432 tcp:9100 udp:5300 icmp:8 icmpv6:128
		base 4 1; base 6 2; live 1; live 2
	END
}
subjects() {
	cat <<-END
		cgroup $s1 0x${1}1; live 0x${1}1; sg eng 0x${1}1
		cgroup $s2 0x${1}2; live 0x${1}2; sg eng 0x${1}2; sg ops 0x${1}2
		uid 1003 0x${1}3; live 0x${1}3; sg eng 0x${1}3
	END
}
state_is() { # state_is FILE WORD...: it becomes one of them
	local f=$1 s w
	shift
	for _ in $(seq 1500); do
		s=$(cut -d' ' -f2 "$f")
		for w in "$@"; do
			if [ "$s" = "$w" ]; then
				say "${f##*/} is $s"
				return 0
			fi
		done
		sleep 0.02
	done
	fail "${f##*/} is $s, not one of $*"
}
connections() { on "$1" ss -Htn state established "( sport = :$2 )" | wc -l; }
until_connections() { # until_connections VM PORT N
	for _ in $(seq 1500); do
		[ "$(connections "$1" "$2")" = "$3" ] && return 0
		sleep 0.02
	done
	fail "$1 has $(connections "$1" "$2") connections at port $2, not $3"
}

say "reset"
(ruleset 1 reset; subjects 1; echo push) | tool_ok a
for addr in 10.9.1.2 fd09:1::2; do
	CG=$S1 background a drain $addr 9100 "$TMP/cut.tcp.$addr"
	CG=$S1 background a udpping $addr 5432 "$TMP/ping.$addr"
	CG=$S1 background a udpdrain $addr 5300 "$TMP/fed.$addr"
	CG=$S1 background a hold tcp $addr 5432 "$TMP/idle.tcp.$addr"
	CG=$S1 background a hold tcp $addr 5432 "$TMP/idle.uid.$addr" uid 1001
	CG=$S1 background a hold udp $addr 5432 "$TMP/idle.udp.$addr"
	CG=$S1 background a hold tcp $addr 80 "$TMP/open.$addr"
	CG=$S1/box background a hold tcp $addr 5432 "$TMP/box.tcp.$addr"
	CG=$S1/box background a hold udp $addr 5432 "$TMP/box.udp.$addr"
	CG=$S1/box background a hold tcp $addr 80 "$TMP/open.box.$addr"
	background a hold tcp $addr 80 "$TMP/open.none.$addr"
	CG=$S2 background a hold tcp $addr 5432 "$TMP/other.tcp.$addr"
	CG=$S2 background a hold udp $addr 5432 "$TMP/other.udp.$addr"
	CG=$S2 background a hold tcp $addr 5432 "$TMP/other.3.$addr" uid 1003
	CG=$S2 background a drain $addr 9100 "$TMP/kept.$addr"
	background a hold tcp $addr 5432 "$TMP/uid.tcp.$addr" uid 1003
	background a hold udp $addr 5432 "$TMP/uid.udp.$addr" uid 1003
	background a hold tcp $addr 80 "$TMP/uidopen.$addr" uid 1003
done
CG=$S1 background a serve 6001
CG=$S1 background a hold tcp 127.0.0.1 6000 "$TMP/lo.4"
CG=$S1 background a hold tcp 10.9.1.1 6000 "$TMP/lo.own"
until_connections b 9100 4
until_connections b 5432 12
unreachables() { on b awk '$1 == "Icmp:" && $5 ~ /^[0-9]+$/ { print $5 }' /proc/net/snmp; }
before=$(unreachables)
tool_ok a <<-END
	delta
	del cgroup $s1 0
	del live 0x11
	del sg eng 0x11
	commit
END
for addr in 10.9.1.2 fd09:1::2; do
	state_is "$TMP/cut.tcp.$addr" ECONNRESET ECONNABORTED
	state_is "$TMP/ping.$addr" EDESTADDRREQ ECONNREFUSED EHOSTUNREACH EACCES ECONNABORTED
	state_is "$TMP/idle.tcp.$addr" ECONNABORTED
	state_is "$TMP/idle.uid.$addr" ECONNABORTED
	state_is "$TMP/idle.udp.$addr" ECONNABORTED
	state_is "$TMP/box.tcp.$addr" ECONNABORTED
	state_is "$TMP/box.udp.$addr" ECONNABORTED
done
until_connections b 9100 2
until_connections b 5432 6
for _ in $(seq 1000); do
	[ "$(unreachables)" -gt "$before" ] && break
	sleep 0.02
done
[ "$(unreachables)" -gt "$before" ] || fail "who feeds a UDP flow is not told"
for f in "$TMP"/open.* "$TMP"/other.* "$TMP"/uid.* "$TMP"/uidopen.* "$TMP"/lo.*; do
	[ "$(cut -d' ' -f2 "$f")" = run ] || fail "${f##*/} was not meant: $(cat "$f")"
done
for addr in 10.9.1.2 fd09:1::2; do flow_runs "$TMP/kept.$addr" && flow_whole "$TMP/kept.$addr"; done
expect b silent tcp 10.9.1.1 6001
expect a open tcp 127.0.0.1 6001

say "reset, by uid: not what the same uid has in another session"
tool_ok a <<-END
	delta
	del uid 1003 0
	del live 0x13
	del sg eng 0x13
	commit
END
for addr in 10.9.1.2 fd09:1::2; do
	state_is "$TMP/uid.tcp.$addr" ECONNABORTED
	state_is "$TMP/uid.udp.$addr" ECONNABORTED
	for f in other.tcp other.udp other.3 uidopen; do
		[ "$(cut -d' ' -f2 "$TMP/$f.$addr")" = run ] || fail "$f.$addr was not meant"
	done
done
until_connections b 5432 4

say "reset, when a group is left: the other group's flow runs on without a lost byte"
for addr in 10.9.1.2 fd09:1::2; do CG=$S2 background a drain $addr 9200 "$TMP/ops.$addr"; done
tool_ok a <<-END
	delta
	del live 0x12
	del sg eng 0x12
	del sg ops 0x12
	add live 0x22
	add sg ops 0x22
	add cgroup $s2 0x22
	add remark 0x12 0x22
	commit
END
for addr in 10.9.1.2 fd09:1::2; do
	state_is "$TMP/kept.$addr" ECONNRESET
	flow_runs "$TMP/ops.$addr" || fail "ops.$addr does not run"
	flow_whole "$TMP/ops.$addr"
done
until_connections b 9100 0
say "... and by a whole ruleset without that session: the idle ones, too"
(ruleset 2 reset; echo push) | tool_ok a
for addr in 10.9.1.2 fd09:1::2; do
	state_is "$TMP/ops.$addr" ECONNRESET ECONNABORTED
	state_is "$TMP/other.tcp.$addr" ECONNABORTED
	[ "$(cut -d' ' -f2 "$TMP/open.$addr")" = run ] || fail "open.$addr was not meant"
done
until_connections b 5432 0

say "drop: nobody is told anything"
(ruleset 3 drop; subjects 3; echo push) | tool_ok a
CG=$S1 background a drain 10.9.1.2 9100 "$TMP/drop.tcp"
CG=$S1 background a hold tcp 10.9.1.2 5432 "$TMP/drop.idle"
tool_ok a <<-END
	delta
	del cgroup $s1 0
	del live 0x31
	del sg eng 0x31
	commit
END
flow_stopped "$TMP/drop.tcp" || fail "it goes on"
for f in drop.tcp drop.idle; do [ "$(cut -d' ' -f2 "$TMP/$f")" = run ] || fail "$f was told: $(cat "$TMP/$f")"; done

draining() { # still, or was when it was looked
	on a nft get element inet idfw live '{ 0x41 }' >/dev/null 2>&1 ||
		on a nft get element inet idfw live '{ 0x43 }' >/dev/null 2>&1
}
drains() { # drains FILE: it runs, or the time to do so was over before it could be seen
	for _ in $(seq 100); do
		flow_runs "$1" 20 && return 0
		draining || return 0
	done
	return 1
}
for how in delta ruleset; do
	for mode in drop reset; do
		say "drain in a ruleset that revokes by $mode, begun by a $how"
		(ruleset 4 $mode; subjects 4; echo push) | tool_ok a
		for addr in 10.9.1.2 fd09:1::2; do
			CG=$S1 background a drain $addr 9100 "$TMP/d.tcp.$addr"
			CG=$S1 background a udpping $addr 5432 "$TMP/d.udp.$addr" sport 3333
			background a udpping $addr 5432 "$TMP/d.uid.$addr" uid 1003 sport 3334
		done
		CG=$S1 expect a open udp 10.9.1.2 5432 sport 3335
		expect a open udp 10.9.1.2 5432 uid 1003 sport 3336
		if [ $how = delta ]; then
			tool_ok a <<-END
				delta
				del cgroup $s1 0
				del uid 1003 0
				add live 0x41 8 ends
				add live 0x43 8 ends
				commit
			END
		else
			(
				ruleset 5 $mode
				echo "live 0x41 8 ends; live 0x43 8 ends; sg eng 0x41; sg eng 0x43"
				echo push
			) | tool_ok a
		fi
		CG=$S1 expect_all <<-END
			a silent tcp 10.9.1.2 5432
			a silent udp fd09:1::2 5432
			a silent icmp 10.9.1.2
		END
		expect_all <<-END
			a silent udp 10.9.1.2 5432 uid 1001 sport 3335
			a silent udp 10.9.1.2 5432 uid 1001 sport 3336
		END
		for f in "$TMP"/d.tcp.* "$TMP"/d.udp.* "$TMP"/d.uid.*; do
			drains "$f" || fail "${f##*/} does not drain: $(cat "$f")"
		done
		tool_ok a <<<renew
		for _ in $(seq 1200); do
			draining || break
			sleep 0.05
		done
		if [ $mode = reset ]; then
			for f in "$TMP"/d.tcp.*; do state_is "$f" ECONNRESET; done
			for f in "$TMP"/d.udp.* "$TMP"/d.uid.*; do state_is "$f" ECONNREFUSED EHOSTUNREACH EACCES EPERM; done
		else
			for f in "$TMP"/d.*; do flow_stopped "$f" || fail "${f##*/} goes on"; done
		fi
		on a nft list set inet idfw drain_cg | grep -q elements && fail "owners of what drained are left"
		flow_stop 'd\.\(tcp\|udp\|uid\)\.'
		rm -f "$TMP"/d.*
	done
done

# Both directions, TCP, UDP (a connected sender and one that is not), echo requests; and what everybody
# may goes on, also by the same socket.
background b serve 5433
background a serve 6002
background a feed 6100
every() { # every MARK-DIGIT
	cat <<-END
		ruleset
		generation 1$1
		version 1
		revoke $2
		default out drop
		group eng s
		rule app/eng out accept from eng tcp:9100 tcp:9101 udp:5432 icmp:8 icmpv6:128
		rule app/all out accept udp:5433
		rule app/in in accept from eng tcp:6100 tcp:6101 udp:6000 icmp:8 icmpv6:128
		rule app/inall in accept udp:6002
		base 4 1; base 6 2; live 1; live 2
	END
}
whom() {
	cat <<-END
		cgroup $s1 0x${1}1; live 0x${1}1; sg eng 0x${1}1
		addr 10.9.1.2 0x${1}4; addr fd09:1::2 0x${1}4; live 0x${1}4; sg eng 0x${1}4
	END
}
n=7
for mode in drop reset drain; do
	say "$mode: in and out, TCP, UDP, echo"
	how=$mode
	[ $mode = drain ] && how=drop
	(every $n $how; whom $n; echo push) | tool_ok a
	for f in 4 6; do
		there=10.9.1.2 here=10.9.1.1
		[ $f = 6 ] && there=fd09:1::2 here=fd09:1::1
		CG=$S1 background a drain $there 9100 "$TMP/e.out.tcp.$f"
		CG=$S1 background a udpping $there 5432 "$TMP/e.out.udp.$f"
		CG=$S1 background a icmpping $there "$TMP/e.out.icmp.$f"
		CG=$S1 background a udptwo $there 5432 5433 "$TMP/two.out.$f"
		background b drain $here 6100 "$TMP/e.in.tcp.$f"
		background b udpping $here 6000 "$TMP/e.in.udp.$f"
		background b icmpping $here "$TMP/e.in.icmp.$f"
		background b udptwo $here 6000 6002 "$TMP/two.in.$f"
	done
	for f in "$TMP"/two.*.1; do ln -s "$f" "$TMP/e.${f##*/}"; done
	for f in "$TMP"/e.* "$TMP"/two.*; do flow_runs "$f" || fail "${f##*/} does not run"; done
	if [ $mode = drain ]; then
		tool_ok a <<-END
			delta
			del cgroup $s1 0
			del addr 10.9.1.2 0
			del addr fd09:1::2 0
			add live 0x${n}1 8 ends
			add live 0x${n}4 8 ends
			commit
		END
		draining() { on a nft get element inet idfw live "{ 0x${n}1 }" >/dev/null 2>&1; }
		CG=$S1 expect a silent udp 10.9.1.2 5432
		expect b silent udp 10.9.1.1 6000
		expect b silent icmp fd09:1::1
		for f in "$TMP"/e.*; do
			drains "$f" || fail "${f##*/} does not drain: $(cat "$f")"
		done
	else
		tool_ok a <<-END
			delta
			del cgroup $s1 0
			del addr 10.9.1.2 0
			del addr fd09:1::2 0
			del live 0x${n}1
			del live 0x${n}4
			del sg eng 0x${n}1
			del sg eng 0x${n}4
			commit
		END
	fi
	all_stopped e || fail "something goes on"
	if [ $mode = reset ]; then
		for f in 4 6; do
			for d in in out; do
				state_is "$TMP/e.$d.tcp.$f" ECONNRESET ECONNABORTED
				state_is "$TMP/e.$d.udp.$f" ECONNREFUSED EHOSTUNREACH EACCES EPERM EDESTADDRREQ
			done
		done
	else
		for f in "$TMP"/e.*.tcp.*; do [ "$(cut -d' ' -f2 "$f")" = run ] || fail "${f##*/} was told"; done
	fi
	for f in "$TMP"/two.*.2; do flow_runs "$f" || fail "${f##*/} was cut with the other"; done
	flow_stop '/\(e\|two\)\.\(in\|out\)'
	rm -f "$TMP"/e.* "$TMP"/two.*
	n=$((n + 1))
done

# Who only listens has no packet left that could be answered: the first one to it has to tell it. The
# other end does not look for its sockets here: no cgroup or uid ends, an address does.
say "reset: who only listens is told, also when nobody looks for sockets"
background b feed 9101
background a feed 6101
for way in in out; do
	(every 1$n reset; whom $n; echo push) | tool_ok a
	if [ $way = in ]; then feeder=a port=6101; else feeder=b port=9101; fi
	for f in 4 6; do
		there=10.9.1.2 here=10.9.1.1
		[ $f = 6 ] && there=fd09:1::2 here=fd09:1::1
		if [ $way = in ]; then
			background b drain $here $port "$TMP/l.$f"
		else
			CG=$S1 background a drain $there $port "$TMP/l.$f"
		fi
	done
	until_connections $feeder $port 2
	tool_ok a <<-END
		delta
		del live 0x${n}1
		del live 0x${n}4
		commit
	END
	for f in 4 6; do state_is "$TMP/l.$f" ECONNRESET; done
	until_connections $feeder $port 0
	rm -f "$TMP"/l.*
	n=$((n + 1))
done
