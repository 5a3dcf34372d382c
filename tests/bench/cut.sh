#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/bench/cut.sh PROGRAM - two machines (network namespaces) joined by a cable for bench_cut: in
# one the rules and the sessions, in the other the server that goes on feeding. JSON lines.
set -eu
prog=$1
a=cut$$a b=cut$$b
cleanup() {
	ip netns del $a 2>/dev/null || true
	ip netns del $b 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
for ns in $a $b; do
	ip netns add $ns
	ip -n $ns link set lo up
done
ip link add v0 netns $a type veth peer name v0 netns $b
ip -n $a addr add 10.9.1.1/24 dev v0
ip -n $b addr add 10.9.1.2/24 dev v0
ip -n $a link set v0 up
ip -n $b link set v0 up
# entries of one packet each are to be there at the end as well
ip netns exec $a sh -c 'nft "add table inet t; add chain inet t c { type filter hook input priority 0; }
	add rule inet t c ct state new"; sysctl -qw net.netfilter.nf_conntrack_udp_timeout=3600; nft delete table inet t'
ip netns exec $a "$prog" /run/netns/$b
