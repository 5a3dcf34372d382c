#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-own.sh - a table with an owner: nobody else changes it or flushes it, it enforces as an orphan
# when its owner was killed, the next one adopts it and no flow is cut; somebody else's table
# and an orphan of another shape are met as push.h says
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
background b serve 5432 7
background b feed 9100
tool_start a
said() { tail -n 20 "$TMP/a.out" | grep -q "$1" || fail "push tool did not say $1"; }
flags() { on a nft list table inet idfw | head -3; }
ruleset() { # VERSION
	tool_ok a <<END
ruleset
generation 7
version $1
group eng s
rule app/db out accept from eng tcp:5432 tcp:9100
base 4 1; base 6 2; live 1; live 2
uid 1001 0x11; live 0x11; sg eng 0x11
push
END
}
judged() {
	expect a open tcp 10.9.1.2 5432 uid 1001
	expect a silent tcp 10.9.1.2 5432 uid 1002
	expect a silent tcp 10.9.1.2 7 uid 1001
}
refused() { # NFT... - by somebody else
	local before
	before=$(on a nft list table inet idfw)
	if on a nft "$@" 2>"$TMP/nft.err"; then fail "nft $*: was taken"; fi
	grep -q "not permitted" "$TMP/nft.err" || fail "nft $*: $(cat "$TMP/nft.err")"
	[ "$(on a nft list table inet idfw)" = "$before" ] || fail "nft $*: changed something"
}

ruleset 1
echo owned | tool_ok a
said "owned us"
judged
background a drain 10.9.1.2 9100 "$TMP/kept" uid 1001
flow_runs "$TMP/kept" || fail "no flow"

say "another process, root as we are"
refused add element inet idfw uid_mark "{ 1002 : 0x11 }"
refused add rule inet idfw output accept
refused insert rule inet idfw output accept
refused flush chain inet idfw output
refused delete table inet idfw
on a nft add table inet other
on a nft flush ruleset
on a nft list table inet other >/dev/null 2>&1 && fail "nothing was flushed"
judged
got=$(on a "$TOOL" <<'END'
owned
delta
ruleset
generation 8
version 1
push
END
)
case $got in
*"owned other"*"error -1 table idfw belongs to another process"*) ;;
*) fail "a second owner: $got" ;;
esac
judged

say "kill -9 of the owner: an orphan, which enforces"
tool_kill a
judged
on a nft flush ruleset # anybody may
on a nft list table inet idfw >/dev/null 2>&1 && fail "an orphan was not flushed"
say "there is none: a new one is made"
tool_start a
ruleset 2
judged
kept=$TMP/kept # nobody kept its mark up while there was no table
flow_runs "$kept" 20 || {
	kept=$TMP/kept.2
	background a drain 10.9.1.2 9100 "$kept" uid 1001
	flow_runs "$kept" || fail "no flow"
}

say "adopted before anybody is asked, and no flow is cut"
tool_kill a
flow_runs "$kept" || fail "cut by our death"
on a nft add element inet idfw uid_mark "{ 1002 : 0x11 }" || fail "not an orphan"
expect a open tcp 10.9.1.2 5432 uid 1002
tool_start a
echo owned | tool_ok a
said "owned us"
refused add element inet idfw uid_mark "{ 1003 : 0x11 }"
ruleset 3
judged
flow_runs "$kept" || fail "cut by the adoption"

say "an orphan that others turned into another shape: emptied and filled in one transaction"
tool_kill a
on a nft -f - <<'END'
flush table inet idfw
delete chain inet idfw out_live
delete set inet idfw live
add set inet idfw live { type ipv4_addr; }
add chain inet idfw more
add rule inet idfw more oifname "lo" accept
add rule inet idfw output jump more
add rule inet idfw output tcp dport 7 accept
add rule inet idfw input ct state established accept
END
expect a open tcp 10.9.1.2 7 uid 1001
expect a silent tcp 10.9.1.2 5432 uid 1001
tool_start a
echo owned | tool_ok a
said "owned us"
background a storm 10.9.1.2 5432 600 "$TMP/storm" uid 1002
ruleset 4
judged
[ ! -s "$TMP/storm" ] || fail "the storm was over before the takeover"
touch "$TMP/storm.stop"
for _ in $(seq 1200); do
	[ ! -s "$TMP/storm" ] || break
	sleep 0.05
done
read -r sent answered _ <"$TMP/storm"
[ "$sent" -gt 0 ] && [ "$answered" = 0 ] || fail "storm: $answered of $sent packets came through"
say "storm: none of $sent packets came through while it gave way"
on a nft list chain inet idfw more >/dev/null 2>&1 && fail "their chain is still there"
say passed
