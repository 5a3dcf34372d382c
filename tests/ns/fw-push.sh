#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-push.sh - the pusher against the kernel: read-back, stale and oversized deltas, elements that
# somebody else removed, a restart of the pusher, what older rulesets left, rendered goldens load
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

vm_new a
vm_new b
link a b 1
for f in "$top_srcdir"/tests/golden/fw/*.nft; do
	on b nft -c -f "$f" || fail "$f does not pass nft -c"
done
TOOL_ARGS=plain # others change its table here
tool_start a
said() { # said VM PATTERN: among the last answer's lines
	tail -n "${3:-20}" "$TMP/$1.out" | grep -q "$2" || fail "push tool in $1 did not say $2"
}
ask() { # ask VM COMMAND
	: >"$TMP/$1.before"
	echo "$2" | tool_ok "$1"
}
ask a running
said a "running 0 0"
ask a marks
got=$(printf 'delta\ncommit\n' | tool a)
case $got in error*) ;; *) fail "a delta without a ruleset: $got" ;; esac
tool_ok a <<'END'
ruleset
generation 4294967303
version 8589934593
group eng s; group old sgi 10.0.0.0/8
rule r/one out accept from eng to old tcp:5432
rule r/two out accept from old tcp:80
base 4 1; live 1
push
END
ask a running
said a "running 4294967303 8589934593"
say "a delta of the largest size, in one transaction"
{
	echo delta
	for i in $(seq 256); do
		echo "add live $((i + 100))"
		echo "add uid $((i + 1000)) $((i + 100))"
		echo "add addr fd00::$i $((i + 100))"
		echo "add addr 10.1.1.$((i % 256)) $((i + 100))"
	done
	echo commit
} | tool_ok a
[ "$(on a nft list map inet idfw uid_mark | grep -o ' : 0x' | wc -l)" = 256 ] || fail "not all uids arrived"
ask a running
said a "running 4294967303 8589934594"
say "each value replaced by another"
{
	echo delta
	for i in $(seq 256); do
		echo "add uid $((i + 1000)) $((i + 9100))"
		echo "add addr fd00::$i $((i + 9100))"
		echo "add addr 10.1.1.$((i % 256)) $((i + 9100))"
		echo "del live $((i + 100))"
	done
	echo commit
} | tool_ok a
ask a marks
said a "elem 1 000003e9 0x238d" 3000
say "somebody else removed elements; they are removed, replaced and added all the same"
on a nft delete element inet idfw uid_mark "{ 1001, 1002 }"
on a nft delete element inet idfw live "{ 1 }"
tool_ok a <<'END'
delta
del uid 1001 1
add uid 1002 7
del live 1
add live 2
del live 4242
commit
END
on a nft get element inet idfw uid_mark "{ 1002 }" >/dev/null || fail "1002 is not there"
say "an element that does not fit is refused before the kernel sees it"
tool_ok a <<'END'
delta
add live 3
add base 4 9
commit
END
on a nft list set inet idfw base | grep -q 'elements = { 0x00000009 }' || fail "base marks are not followed"
say "a smaller ruleset leaves nothing of the larger one"
tool_ok a <<'END'
ruleset
generation 4294967304
version 1
group eng s
rule r/one out accept from eng tcp:5432
base 4 1; live 1
push
END
on a nft list table inet idfw >"$TMP/now"
for gone in sg_old ga4_old ia6_old net4_ out_tcp_80 r/two; do
	grep -q "$gone" "$TMP/now" && fail "$gone is still there"
done
say "whatever somebody did to our sets, the next whole ruleset mends it"
same() {
	tool_ok a <<'END'
ruleset
generation 4294967305
version 1
group eng s; group n n 10.7.0.0/16 10.9.0.0/24
rule r/one out accept from eng to n tcp:5432
base 4 1; live 1; live 5; sg eng 5; uid 7 5
push
END
	# the stamp of its shape is one of the kernel's handles: other each time
	on a nft list table inet idfw | sed -E 's/(0x0000000[67]) : 0x[0-9a-f]{8}/\1 : shape/g'
}
same >/dev/null
same >"$TMP/want" # the map of cgroups has two names in turns, and is the newest
net4=$(sed -n 's/.*set \(net4_[0-9a-f]*\).*/\1/p' "$TMP/want")
on a nft add element inet idfw "$net4" "{ 10.0.0.0/20 }"
on a nft delete element inet idfw "$net4" "{ 10.9.0.0/24 }"
on a nft add element inet idfw "$net4" "{ 10.9.0.0/20 }"
on a nft delete element inet idfw live "{ 5 }"
on a nft add element inet idfw live "{ 6, 7, 8 }"
on a nft delete element inet idfw uid_mark "{ 7 }"
on a nft add element inet idfw uid_mark "{ 7 : 8, 0 : 8 }"
on a nft flush chain inet idfw out_judge
on a nft add chain inet idfw foreign
on a nft insert rule inet idfw output accept
same >/dev/null
same >"$TMP/got"
diff "$TMP/want" "$TMP/got" || fail "not mended"
say "a second pusher, as after a restart: it reads what runs, and takes over with a whole ruleset"
# shellcheck disable=SC2154 # set by tool_start
eval "exec $TOOLFD_a>&-"
rm "$TMP/a.in"
tool_start a
ask a running
said a "running 4294967305 1"
ask a marks
said a "elem 5 04 0x1"
got=$(printf 'delta\nadd live 2\ncommit\n' | tool a)
case $got in error*) ;; *) fail "a delta on an unknown state: $got" ;; esac
tool_ok a <<'END'
ruleset
generation 4294967304
version 2
group eng s
rule r/one out accept from eng tcp:5432
base 4 1; live 1; uid 1001 0x11; live 0x11; sg eng 0x11
push
END
say "a kernel before 6.3: what is known not to be there is left out, the rest goes as usual"
tool_ok a <<'END'
old-kernel
delta
add live 0x61
add uid 7 0x61
add uid 8 0x61
commit
END
tool_ok a <<'END'
delta
del live 0x62
del uid 9 0
del uid 8 0
add uid 7 0x63
add base 4 0x64
commit
END
on a nft get element inet idfw uid_mark "{ 7 : 0x63 }" >/dev/null || fail "value not replaced"
on a nft get element inet idfw uid_mark "{ 8 }" >/dev/null 2>&1 && fail "8 is still there"
on a nft list set inet idfw base | grep -q '{ 0x00000064 }' || fail "base marks are not followed"
say "somebody deletes the table: the delta fails and says so, a whole ruleset mends it"
on a nft delete table inet idfw
got=$(printf 'delta\nadd live 9\ncommit\n' | tool a)
[ "$got" = "error -2 No such file or directory" ] || fail "a delta without a table: $got"
got=$(printf 'running\n' | tool a)
said a "running 0 0"
tool_ok a <<'END'
ruleset
generation 4294967304
version 2
group eng s
rule r/one out accept from eng tcp:5432
base 4 1; live 1; uid 1001 0x11; live 0x11; sg eng 0x11
push
END
background b serve 5432
expect a open tcp 10.9.1.2 5432 uid 1001
expect a silent tcp 10.9.1.2 5432 uid 1002
say "a table of another shape, as another version left it: replaced as a whole"
on a nft -f - <<'END'
delete table inet idfw
table inet idfw {
	set live { type mark; elements = { 0x7, 0x8 }; }
	map cg_mark { type uid : mark; }
	chain output { type filter hook output priority 0; policy drop; ct mark @live accept; }
}
END
tool_ok a <<'END'
ruleset
generation 4294967306
version 3
group eng s
rule r/one out accept from eng tcp:5432
base 4 1; live 1; uid 1001 0x11; live 0x11 3600; sg eng 0x11; cgroup 7 0x11
push
END
expect a open tcp 10.9.1.2 5432 uid 1001
expect a silent tcp 10.9.1.2 5432 uid 1002
on a nft list map inet idfw cg_mark | grep -q '7 : 0x00000011' || fail "the map of cgroups is not filled"
on a nft get element inet idfw live '{ 8 }' >/dev/null 2>&1 && fail "the other table's mark is live"
tool_ok a <<'END'
delta
del cgroup 7 0
add cgroup 8 0x11
commit
END
on a nft list map inet idfw cg_mark | grep -q '{ 8 : 0x00000011' || fail "a delta after it does not fit"
