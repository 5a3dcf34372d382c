#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-tamper.sh - others change our table: a real gi-netagent sees it, repairs it at once and says
# so. Elements, rules, chains, policies, flags, the whole table; a loop of changes; notifications
# that got lost; changes that came before we listened; chains of others that could bypass ours and
# such that cannot. What the kernel drops at the end of a lease is not repaired.
# shellcheck source=tests/ns/netagent-lib.sh
. "$(dirname "$0")/netagent-lib.sh"
na_owner=off # or nobody could
PY=$(python3 -c 'import sys; print(sys.executable)')
NET=$(dirname "$0")/fw_net.py

unshare -n sleep 3600 &
other=$!
na_pids+=("$other")
await 60 eval '[ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
on_other() { nsenter --net="/proc/$other/ns/net" "$@"; }
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v1 netns "$other"
ip addr add 10.9.1.1/24 dev v0
ip link set v0 up
on_other ip addr add 10.9.1.2/24 dev v1
on_other ip link set lo up
on_other ip link set v1 up
on_other "$PY" "$NET" serve 5432 22 >"$dir/serve.out" 2>&1 &
na_pids+=($!)
await 60 grep -q '^ready' "$dir/serve.out"
try() { "$PY" "$NET" probe tcp 10.9.1.2 "$2" uid "$1" 2>&1; } # UID PORT
is_open() { [ "$(try "$1" "$2")" = open ]; }
probe() { # WANTED UID PORT; on a busy machine an answer may come too late once
	if [ "$1" = open ]; then
		await 60 is_open "$2" "$3" && ok "uid $2 to port $3 is open" || fail "uid $2 to port $3: $(try "$2" "$3")"
	else
		check "uid $2 to port $3 is $1" "$1" "$(try "$2" "$3")"
	fi
}
is_live() { nft get element inet idfw live "{ $1 }" >/dev/null 2>&1; }
# all but what differs from one push to the next: counters, what is left of a lease, the name of the
# map of cgroups
table() {
	nft list table inet idfw | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/; s/ expires [^,} ]*//g
		/map cg_mark/,/^\t\}/d; s/@cg_mark2?/@cg_mark/; /map stamp/,/^\t\}/d; /^$/d'
}
is_whole() { table | cmp -s - "$dir/whole"; }
repaired() { # KIND WHAT
	if await 60 is_whole; then ok "repaired: $2"; else fail "not repaired: $2"; table | diff "$dir/whole" - | head -20; fi
	svm_says "^alarm kind=$1 over=0 .*; repaired" "alarm $1: $2"
}

svm_start
agent_start
svm_says '^snapshot'
svm_mark
svm ruleset "generation 1" "version 1" "default out drop" "default in drop" "group eng s" \
	"group db n 10.9.1.0/24" "rule app/db out accept from eng to db tcp:5432" \
	"base 4 1" "base 6 2" "live 1" "live 2" "live 17 36000" "uid 1001 17" "sg eng 17" push
svm_says '^applied gen=1 ver=1 result=0'
svm_mark
svm "delta 1 2" "add live 18 36000" "add uid 1002 18" "add sg eng 18" commit
svm_says '^applied gen=1 ver=2 result=0'
svm "lease 1 2"
probe open 1001 5432
probe silent 1003 5432
table >"$dir/whole"
sleep 1.2
check "our own changes raise nothing" 0 "$(svm_count '^alarm')"

tamper() { # KIND WHAT NFT...
	svm_mark
	nft "${@:3}" || fail "nft ${*:3}"
	repaired "$1" "$2"
}
echo "# one change each, by another process"
tamper 1 "a live mark was deleted" delete element inet idfw live '{ 17 }'
svm_says '^alarm kind=1 over=0 an element of live in table idfw was changed \(nft, pid [0-9]+\); repaired'
tamper 1 "a mark was added" add element inet idfw live '{ 0x999 }'
tamper 1 "a uid was added" add element inet idfw uid_mark '{ 1003 : 17 }'
probe silent 1003 5432
tamper 1 "a chain's policy" add chain inet idfw output '{ policy accept; }'
tamper 1 "a rule was put first" insert rule inet idfw output accept
probe silent 1003 5432
tamper 1 "a chain was emptied" flush chain inet idfw output
tamper 1 "a chain of theirs" add chain inet idfw pre '{ type filter hook prerouting priority -300; }'
tamper 1 "the table sleeps" add table inet idfw '{ flags dormant; }'
tamper 1 "an interval set" add element inet idfw "$(nft list sets table inet idfw | sed -n 's/.*set \(net4_[0-9a-f]*\).*/\1/p')" '{ 10.8.0.0/16 }'
tamper 2 "the table was deleted" delete table inet idfw
tamper 2 "flush ruleset" flush ruleset
probe open 1001 5432
probe silent 1003 5432

echo "# a loop of changes: all is well after it"
svm_mark
began=$SECONDS
for _ in $(seq 40); do
	nft delete element inet idfw uid_mark '{ 1001 : 17 }' 2>/dev/null || :
	nft insert rule inet idfw output accept 2>/dev/null || :
done
repaired 1 "eighty changes in a row"
n=$(svm_count '^alarm') most=$((SECONDS - began + 5))
[ "$n" -le $most ] && ok "an alarm a second, not more" || fail "$n alarms, not $most"
probe silent 1003 5432
probe open 1001 5432

echo "# notifications that got lost: a comparison finds what was changed"
svm_mark
kill -STOP "$(role_pid pusher)"
nft add table ip flood
nft add set ip flood s '{ type ipv4_addr; }'
for i in $(seq 40); do
	"$PY" - "$i" >"$dir/flood.nft" <<'PY'
import sys
i = int(sys.argv[1])
print("add element ip flood s {", ",".join("10.%d.%d.%d" % (i, a, b) for a in range(10) for b in range(250)), "}")
PY
	nft -f "$dir/flood.nft"
done
# small ones for what is left of the listener's buffer: the next is to find no room
for i in $(seq 60); do nft add element ip flood s "{ 192.168.1.$i }"; done
nft insert rule inet idfw output accept
kill -CONT "$(role_pid pusher)"
repaired 3 "a rule, unseen"
nft delete table ip flood
probe silent 1003 5432

echo "# chains of others"
svm_mark
nft -f - <<'N'
table inet theirs {
	chain fw { type filter hook input priority 0; policy drop; ct state established,related accept; tcp dport 22 accept; iif lo accept; }
	chain later { type filter hook output priority 100; meta mark set 7; }
	chain route { type filter hook forward priority -10; ct mark set 1; }
}
N
sleep 1.5
check "an ordinary firewall is theirs to have" 0 "$(svm_count '^alarm kind=4')"
bypass() { # NAME RULE CHAIN-TEXT
	svm_mark
	nft -f - <<-N
		table $1 evil {
			chain $2 { $3 }
		}
	N
	svm_says "^alarm kind=4 over=0 $1 evil .*\($2, priority .*" "bypass: $3"
	nft delete table "$1" evil
	svm_says '^alarm kind=4 over=1' "and over"
}
bypass inet output 'type filter hook output priority -10; ct mark set 1;'
bypass ip prerouting 'type filter hook prerouting priority -300; notrack;'
bypass ip6 input 'type filter hook input priority 0; meta mark set 1;'
svm_mark
nft -f - <<'N'
table ip evil {
	chain sub { ct mark set 0x11; }
	chain o { type route hook output priority -150; tcp dport 9999 jump sub; }
}
N
svm_says '^alarm kind=4 over=0 ip evil o \(output, priority -150\) sets the ct mark' "by a jump"
echo "# it is there when a new pusher starts, and is told to a new connection"
role_kill pusher
svm_says '^applied gen=0 ver=0 result=1'
svm_mark
nft delete table ip evil
svm_says '^alarm kind=4 over=1' "the new one says when it is over"

echo "# nothing is known to the new pusher: it cannot repair, and says so; the SVM's ruleset can"
svm_mark
nft insert rule inet idfw output accept
svm_says '^alarm kind=1 over=0 .*not repaired: no ruleset is known'
svm ruleset "generation 1" "version 3" "default out drop" "default in drop" "group eng s" \
	"group db n 10.9.1.0/24" "rule app/db out accept from eng to db tcp:5432" \
	"base 4 1" "base 6 2" "live 1" "live 2" "live 17 8" "uid 1001 17" "sg eng 17" push
svm_says '^applied gen=1 ver=3 result=0'
probe silent 1003 5432
beats() { # CMD... - after one more heartbeat
	svm "lease 1 3"
	sleep 0.1
	"$@"
}
await 60 beats is_open 1001 5432 && ok "open while it is renewed" || fail "not open under heartbeats"

echo "# a lease that the kernel ended stays ended, whatever is repaired"
lapsed() { ! is_live 17; }
await 60 lapsed && ok "lapsed" || fail "still live"
svm_mark
nft insert rule inet idfw output accept
svm_says '^alarm kind=1 over=0 .*; repaired'
nft delete table inet idfw
svm_says '^alarm kind=2 over=0 .*; repaired'
is_live 17 && fail "a repair renewed a lease" || ok "no repair renews a lease"
probe silent 1001 5432
await 60 beats is_live 17 && ok "the SVM does" || fail "not live after a heartbeat"
await 60 beats is_open 1001 5432 && ok "and open" || fail "not open after a heartbeat"
na_end
