#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-replace.sh - whole rulesets replaced under load: a kept flow loses nothing, one that the new
# rules do not allow is cut, and no packet ever gets the wrong verdict, interval sets included
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b feed 5432 9100
background b serve 7 8
tool_start a
state() { # state GENERATION EXTRA-RULE MARK OLD
	local i nets=""
	for i in $(seq 60); do nets="$nets 10.$((20 + $1)).$i.0/24"; done
	cat <<END
ruleset
generation $1
version 1
default out accept
group eng s; group good n 10.9.1.2/32 $nets fd09:1::2/128; group bad n 10.9.1.2/32 $nets
rule app/seven out accept to good udp:7
rule app/eight out drop to bad udp:8 udp:9
rule app/db out accept from eng tcp:5432
$2
rule app/feed out drop tcp:9100
base 4 1; base 6 2; live 1; live 2
uid 1001 $3; live $3; sg eng $3
$4
push
END
}
state 1 "rule app/extra out accept from eng tcp:9100" 0x11 "" | tool_ok a
background a drain 10.9.1.2 5432 "$TMP/kept" uid 1001
background a drain 10.9.1.2 9100 "$TMP/lost" uid 1001
flow_runs "$TMP/kept" && flow_runs "$TMP/lost" || fail "flows do not run"
FW_NET_PATIENCE=60 background a storm 10.9.1.2 7 600 "$TMP/good" 1001
background a storm 10.9.1.2 8 600 "$TMP/bad" 1001
enough() { [ "$(cat "$TMP/good.sent")" -gt 1000 ] && [ "$(cat "$TMP/bad.sent")" -gt 1000 ]; }
last=1
until [ $last -ge 40 ] && { enough || [ $last -ge 200 ]; }; do # traffic while they are replaced
	last=$((last + 1))
	state $last "rule app/extra out accept from eng tcp:9100" 0x11 "" | tool_ok a
done
flow_runs "$TMP/kept" && flow_runs "$TMP/lost" || fail "a flow that all rulesets allow was cut"
for f in good bad; do
	[ ! -s "$TMP/$f" ] || fail "$f was over before the last ruleset"
	touch "$TMP/$f.stop"
done
for f in good bad; do
	for _ in $(seq 6000); do [ -e "$TMP/$f" ] && break || sleep 0.01; done
done
read -r sent answered refused eperm <"$TMP/good"
say "$((last - 1)) rulesets replaced; allowed: $answered of $sent answered, $refused refused, $eperm dropped"
[ "$sent" -gt 1000 ] || fail "too little traffic to prove anything"
# Every datagram is a new flow. One that is being judged at the very instant of a commit is dropped
# (out_judge, gen_: old rules must not use new marks) and has to be sent again; nothing else is lost.
# It is sent from one place, one behind the other: at most one a commit, however slow the machine.
[ "$refused" = 0 ] && [ $((sent - answered)) -le $((last - 1)) ] || fail "allowed packets were dropped"
read -r sent answered refused eperm <"$TMP/bad"
say "blocked: $answered of $sent answered, $eperm dropped"
[ "$sent" -gt 1000 ] && [ "$answered" = 0 ] || fail "a blocked packet got through"
[ "$(on a nft list sets | grep -c 'set net4_')" = 1 ] || fail "old interval sets are still there"
[ "$(on a nft list table inet idfw | grep -c 'set gen_')" = 1 ] || fail "old stamps are still there"
say "a new policy takes 9100 away: new marks, flows are judged again"
state $((last + 1)) "" 0x21 "remark 0x11 0x21" | tool_ok a
flow_stopped "$TMP/lost" || fail "a flow that the new rules do not allow goes on"
flow_runs "$TMP/kept" || fail "a flow that the new rules allow was cut"
flow_whole "$TMP/kept"
