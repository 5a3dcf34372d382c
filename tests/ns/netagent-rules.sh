#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gi-netagent's rules with real packets: a ruleset and deltas from the (scripted) SVM through the
# parsing process and the pusher into the kernel of this namespace; a really allowed and a really
# blocked connection after each step; kill -9 of each process; garbage.
. "$(dirname "$0")/netagent-lib.sh"
PY=$(python3 -c 'import sys; print(sys.executable)') # wrappers would cost 100 ms a call
NET=$(dirname "$0")/fw_net.py

# the other VM: a network namespace held by a process of ours
unshare -n sleep 3600 &
other=$!
na_pids+=("$other")
await 60 eval '[ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
on_other() { nsenter --net="/proc/$other/ns/net" "$@"; }
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v1 netns "$other"
ip addr add 10.9.1.1/24 dev v0
ip addr add fd09:1::1/64 dev v0 nodad
ip link set v0 up
on_other ip addr add 10.9.1.2/24 dev v1
on_other ip addr add fd09:1::2/64 dev v1 nodad
on_other ip link set lo up
on_other ip link set v1 up
on_other "$PY" "$NET" serve 5432 22 >"$dir/serve.out" 2>&1 &
na_pids+=($!)
on_other "$PY" "$NET" feed 5433 >"$dir/feed.out" 2>&1 &
na_pids+=($!)
await 60 grep -q '^ready' "$dir/serve.out"
await 60 grep -q '^ready' "$dir/feed.out"
ip neigh flush dev v0

probe() { # WANTED UID PORT [ADDR]
	local got
	[ "$1" = silent ] || local -x FW_NET_PATIENCE=30 # an answer is waited for
	got=$("$PY" "$NET" probe tcp "${4:-10.9.1.2}" "$3" uid "$2" 2>&1)
	check "uid $2 to ${4:-10.9.1.2} port $3 is $1" "$1" "$got"
}
applied() { svm_says "^applied gen=$1 ver=$2 result=$3" "version $2: result $3"; }

svm_start
agent_start
svm_says '^snapshot'

echo "# no ruleset: nothing is touched, nothing is opened or closed"
check "no table" "" "$(nft list tables)"
probe open 1001 5432

echo "# a ruleset"
ruleset() { # VERSION ELEMENTS...
	svm ruleset "generation 1" "version $1" "default out drop" "default in drop" "group eng s" \
		"group db n 10.9.1.2/32 fd09:1::2/128" \
		"rule app/db out accept from eng to db tcp:5432-5433" \
		"base 4 1" "base 6 2" "live 1" "live 2" "${@:2}" push
}
svm_mark
ruleset 1
applied 1 1 0
probe silent 1001 5432
probe silent 1001 22

echo "# a login's delta"
svm_mark
svm "delta 1 2" "add live 17" "add uid 1001 17" "add sg eng 17" commit
applied 1 2 0
for a in 10.9.1.2 fd09:1::2; do
	probe open 1001 5432 $a
	probe silent 1002 5432 $a
	probe silent 1001 22 $a
done

echo "# a delta that does not follow changes nothing"
svm_mark
svm "delta 7 8" "add live 18" "add uid 1002 18" "add sg eng 18" commit
applied 1 8 1
probe silent 1002 5432
probe open 1001 5432

echo "# a delta that the kernel's side refuses changes nothing: an element of an unknown group"
svm_mark
svm 'raw 6214080110021803220c120a080610071a0400000001'
applied 1 3 2
probe open 1001 5432
probe silent 1002 5432

echo "# kill -9 of the pusher: rules stay, a whole ruleset is asked for, and taken"
svm_mark
role_kill pusher
svm_says '^applied gen=0 ver=0 result=1 .*pusher' "STALE is said by itself"
probe open 1001 5432
probe silent 1002 5432
svm_mark
svm "delta 2 3" "add live 18" "add uid 1002 18" "add sg eng 18" commit
applied 1 3 1
svm_mark
ruleset 3 "live 17" "uid 1001 17" "sg eng 17" "live 18" "uid 1002 18" "sg eng 18"
applied 1 3 0
probe open 1001 5432
probe open 1002 5432

echo "# kill -9 of the agent: rules stay, the kernel's marks are told, deltas go on after a ruleset"
svm_mark
role_kill agent
svm_says '^marks gen=1 ver=3 n=[1-9]' "Marks of what the kernel holds"
probe open 1001 5432
svm_mark
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 0
probe open 1001 5432
probe silent 1002 5432

echo "# root beside us cannot change the table, nor flush it; no killed child of ours gives it away"
refused() { # NFT...
	if nft "$@" 2>"$dir/nft.err"; then fail "taken: nft $*"; else ok "refused: nft $*"; fi
	grep -q "not permitted" "$dir/nft.err" || fail "nft: $(cat "$dir/nft.err")"
}
untouched() {
	refused insert rule inet idfw output accept
	refused add element inet idfw uid_mark '{ 1002 : 17 }'
	refused delete table inet idfw
	nft flush ruleset
	probe open 1001 5432
	probe silent 1002 5432
}
untouched
role_kill pusher
untouched
svm_mark
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 0
role_kill agent
untouched
svm_says '^marks gen=1 ver=4'

echo "# kill -9 of all: an orphan that enforces; a change is told when the next ones adopt it"
mkdir -m 1777 "$dir/flows" # the client under another uid writes its count there
"$PY" "$NET" drain 10.9.1.2 5433 "$dir/flows/kept" uid 1001 >/dev/null 2>&1 &
na_pids+=($!)
kept_runs() { # it has moved on since it was last asked
	local n=0 last=${kept_n:-0}
	read -r n _ <"$dir/flows/kept" || return 1
	kept_n=$n
	[ "$n" -gt "$last" ]
}
await 60 kept_runs && ok "a transfer runs" || fail "no transfer"
kill9 "$na_keeper"
is_orphan() { nft insert rule inet idfw in_judge counter; }
await 60 is_orphan && ok "others may change it now" || fail "still owned"
probe open 1001 5432
probe silent 1002 5432
await 60 kept_runs && ok "the transfer goes on" || fail "the transfer stands still"
svm_mark
agent_start
svm_says '^marks gen=1 ver=4 n=[1-9]' "the same marks are told"
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 0
svm_says '^alarm kind=3 over=0 table idfw was changed while none of us held it; repaired'
untouched
kept_n=0
await 60 kept_runs && await 60 kept_runs && ok "no flow was cut" || fail "the transfer stands still"
kill9 "$na_keeper"
svm_mark
agent_start
svm_says '^marks gen=1 ver=4 n=[1-9]'
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 0
untouched
check "what nobody changed raises nothing" 0 "$(svm_count '^alarm')"

echo "# somebody else's table: told, and what to do; taken over when it is free"
agent_stop
nft delete table inet idfw
cat >"$dir/owner.nft" <<'N'
table inet idfw { flags owner; chain output { type filter hook output priority 0; policy accept; }; }
N
mkfifo "$dir/owner.in"
nft -i <"$dir/owner.in" >/dev/null 2>&1 &
owner=$!
na_pids+=("$owner")
exec 8>"$dir/owner.in"
tr '\n' ' ' <"$dir/owner.nft" >&8; echo >&8
await 60 nft list table inet idfw && ok "there is one" || fail "nft -i has made none"
svm_mark
agent_start
svm_says '^alarm kind=5 over=0 table idfw belongs to another process'
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 2
kill9 "$owner"
exec 8>&-
svm_says '^alarm kind=5 over=1'
svm_says '^applied gen=0 ver=0 result=1' "a whole ruleset is asked for"
svm_mark
ruleset 4 "live 17" "uid 1001 17" "sg eng 17"
applied 1 4 0
untouched

echo "# logout: one delta, and a running transfer is cut"
"$PY" "$NET" drain 10.9.1.2 5433 "$dir/flows/1" uid 1001 >/dev/null 2>&1 &
na_pids+=($!)
flow_at_least() { [ "$(cut -d' ' -f1 "$dir/flows/1")" -ge "$1" ]; }
await 60 flow_at_least 20 && ok "a transfer runs" || fail "no transfer: $(cat "$dir/flows/1")"
svm_mark
svm "delta 4 5" "del live 17" "del uid 1001 17" "del sg eng 17" commit
applied 1 5 0
probe silent 1001 5432
stands_still() { # for half a second; what was under way before it is read when it is its reader's turn
	local n
	n=$(cut -d' ' -f1 "$dir/flows/1")
	sleep 0.5
	[ "$(cut -d' ' -f1 "$dir/flows/1")" = "$n" ]
}
await 60 stands_still && ok "the transfer is cut" || fail "the transfer goes on"

echo "# heartbeats renew a lease, whatever version they name; nothing else does"
svm_mark
svm "delta 5 6" "add live 19" "add uid 1001 19" "add sg eng 19" \
	"add live 20 6" "add uid 1003 20" "add sg eng 20" commit
applied 1 6 0
is_live() { nft get element inet idfw live "{ $1 }" >/dev/null 2>&1; }
for v in 6 5 99 6 6 6 6 6 6 6 6 6 6 6 6 6; do
	sleep 0.5
	svm "lease 1 $v"
done
is_live 20 && ok "live for longer than its lease" || fail "lapsed under renewal"
(while :; do svm "lease 1 6"; sleep 0.3; done) & # for as long as the probe takes
beats=$!
na_pids+=("$beats")
probe open 1003 5432
kill9 "$beats"

echo "# the SVM is gone: the kernel goes on, and ends what nobody renews"
svm_stop
probe open 1001 5432
probe silent 1002 5432
lapsed() { ! is_live 20; }
await 60 lapsed && ok "lapsed" || fail "still live"
probe silent 1003 5432
probe open 1001 5432

echo "# a session ends where the policy says reset: its idle connection is destroyed, no other"
svm_mark
svm_start 0
svm_says '^marks gen=1 ver=6'
svm_mark
ruleset 7 "revoke reset" "live 19" "uid 1001 19" "sg eng 19" "live 21" "uid 1004 21" "sg eng 21"
applied 1 7 0
for u in 1001 1004; do
	"$PY" "$NET" hold tcp 10.9.1.2 5432 "$dir/flows/hold$u" uid $u >/dev/null 2>&1 &
	na_pids+=($!)
	await 60 test -s "$dir/flows/hold$u" || fail "no connection of $u"
done
svm_mark
svm "delta 7 8" "del live 21" "del uid 1004 21" "del sg eng 21" commit
applied 1 8 0
await 60 grep -q ECONNABORTED "$dir/flows/hold1004" && ok "destroyed" || fail "idle: $(cat "$dir/flows/hold1004")"
check "the other one is not meant" "1 run 0 0" "$(cat "$dir/flows/hold1001")"

echo "# a large ruleset: 20,000 sessions"
svm_mark
{
	printf '%s\n' ruleset "generation 2" "version 1" "default out drop" "group eng s" \
		"group db n 10.9.1.2/32" "rule app/db out accept from eng to db tcp:5432" \
		"base 4 1" "base 6 2" "live 1" "live 2"
	seq 1 20000 | sed 's/.*/live 10&\nuid 20& 10&\nsg eng 10&/'
	printf '%s\n' "live 17" "uid 1001 17" "sg eng 17" push
} >&7
await 60 svm_has '^applied gen=2 ver=1 result=0' && ok "applied" || fail "not applied"
probe open 1001 5432
probe silent 1002 5432
svm_mark
for i in $(seq 1 500); do
	printf '%s\n' "delta $i $((i + 1))" "add live $((900000 + i))" "add uid $((900000 + i)) $((900000 + i))" commit
done >&7
await 60 svm_has '^applied gen=2 ver=501 result=0' && ok "500 deltas in a row" || fail "500 deltas in a row"
check "each acknowledged once" 500 "$(svm_count '^applied gen=2 ver=[0-9]+ result=0')"
agent_stop
probe open 1001 5432
na_end
