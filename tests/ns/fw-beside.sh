#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-beside.sh - our table beside an administrator's own: a typical /etc/nftables.conf with NAT, the real
# ufw (iptables-nft), and rules of the shape that firewalld 1.3 writes (written here: the real one needs
# dbus). A real gi-netagent enforces; packets show that what either forbids is forbidden and what both
# allow passes; reloading theirs ("flush ruleset" included) and ours changes nothing of the other; none of
# theirs raises an alarm; and when the package goes, theirs is byte for byte what it was before.
# shellcheck source=tests/ns/netagent-lib.sh
. "$(dirname "$0")/netagent-lib.sh"
PY=$(python3 -c 'import sys; print(sys.executable)')
NET=$(dirname "$0")/fw_net.py
command -v ufw >/dev/null || skip "needs ufw"
prerm=$(readlink -f "${top_srcdir:-.}/etc/package-prerm.example")

unshare -n sleep 600 &
other=$!
na_pids+=("$other")
await 60 eval '[ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
on_other() { nsenter --net="/proc/$other/ns/net" "$@"; }
# answers of kernels are rare by default
limits=(net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0)
sysctl -qw "${limits[@]}"
on_other sysctl -qw "${limits[@]}"
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
serve() { # WORDS BEFORE PYTHON... - as a server of the test's
	local out
	out=$(mktemp "$dir/serve.XXXXXX")
	"$@" >"$out" 2>&1 &
	na_pids+=($!)
	await 60 grep -q '^ready' "$out" || fail "$*: $(cat "$out")"
}
serve "$PY" "$NET" serve 22 80 443 9999
serve "$PY" "$NET" feed 5433
serve nsenter --net="/proc/$other/ns/net" "$PY" "$NET" serve 5432 80 443 9999
serve nsenter --net="/proc/$other/ns/net" "$PY" "$NET" feed 5433

# ---- packets: both, ours alone, theirs alone, neither ----
patience() { # WANT - what is shut is waited for a moment, an answer for long: one number, or one a port
	local w all=()
	for w in $1; do
		case $w in
		shut) all+=(0.4) ;;
		*:shut) all+=("${w%:*}:0.4") ;;
		*:*) all+=("${w%:*}:30") ;;
		*) all+=(30) ;;
		esac
	done
	echo "${all[@]}"
}
probes() { # lines "here|there;WANTED;PROBE-ARGUMENTS", all at the same time
	local where want rest got n=0 jobs=()
	while IFS=';' read -r where want rest; do
		n=$((n + 1))
		(
			trap - EXIT
			FW_NET_PATIENCE=$(patience "$want")
			export FW_NET_PATIENCE
			# shellcheck disable=SC2086
			case $where in
			here) got=$("$PY" "$NET" probe $rest 2>&1) ;;
			there) got=$(on_other "$PY" "$NET" probe $rest 2>&1) ;;
			esac
			got=${got//silent/shut} # dropped by one or rejected by the other
			got=${got//prohibited/shut}
			echo "$want;${got##*$'\n'};$where: $rest" >"$dir/probe.$n"
		) &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	for ((; n > 0; n--)); do
		IFS=';' read -r want got rest <"$dir/probe.$n"
		check "$rest: $want" "$want" "$got"
		rm "$dir/probe.$n"
	done
}
packets() { # WHAT - with IN and OUT: what theirs makes of what ours allows
	local a b
	echo "# $1"
	for a in "10.9.1.1 10.9.1.2" "fd09:1::1 fd09:1::2"; do
		b=${a#* } a=${a% *}
		cat <<-E
			there;22:open 80:$IN 443:shut 9999:shut;tcp $a 22,80,443,9999
			here;5432:open 80:$OUT 443:shut 9999:shut;tcp $b 5432,80,443,9999 uid 1001
			here;shut;tcp $b 5432,443 uid 1003
			here;open;tcp $a 9999
		E
	done >"$dir/probes"
	probes <"$dir/probes"
}
svm_ruleset() { # VERSION
	svm ruleset "generation 1" "version $1" "default out drop" "default in drop" "group eng s" \
		"rule app/db out accept from eng tcp:5432-5433" "rule app/out out accept from eng tcp:80" \
		"rule app/in in accept tcp:22 tcp:80 tcp:5433 tcp:8080" \
		"base 4 16; base 6 16; live 16" "uid 1001 17; live 17 3600; sg eng 17" push
	if await 60 svm_has "^applied gen=1 ver=$1 result=0"; then ok "ruleset, version $1"; else fail "ruleset, version $1"; fi
	svm "lease 1 $1" # from here on it is known how long leases last
}
# theirs: all but our table; ours: all but what differs from one push to the next
theirs() {
	nft -s list ruleset 2>/dev/null | awk '/^table / { skip = $0 ~ /^table inet idfw / } !skip'
}
table() {
	nft -s list table inet idfw | sed -E 's/ expires [^,} ]*//g
		/map cg_mark/,/^\t\}/d; s/@cg_mark2?/@cg_mark/; /map stamp/,/^\t\}/d
		/^$/d'
}
is_whole() { table 2>/dev/null | cmp -s - "$dir/ours"; }
same() { # WHAT FILE COMMAND
	if "$3" | cmp -s - "$dir/$2"; then ok "$1"; else
		fail "$1"
		"$3" | diff "$dir/$2" - | head -20
	fi
}
owned() { nft list table inet idfw | grep -q 'flags.*owner'; }
counted() { cut -d' ' -f1 "$1"; }
more() { [ "$(counted "$1")" -gt "$2" ]; }
goes_on() { # FILE - more counters come, and none was missed
	local n
	n=$(counted "$1")
	await 60 more "$1" $((n + 5)) && [ "$(cut -d' ' -f2 "$1")" = run ]
}
running() { # NAME - a transfer each way, whose every byte is checked
	(trap - EXIT; exec "$PY" "$NET" drain 10.9.1.2 5433 "$dir/run.$1.out" uid 1001) >"$dir/run.log" 2>&1 &
	na_pids+=($!)
	(trap - EXIT; exec nsenter --net="/proc/$other/ns/net" "$PY" "$NET" drain fd09:1::1 5433 "$dir/run.$1.in") >"$dir/run.log" 2>&1 &
	na_pids+=($!)
	await 60 test -s "$dir/run.$1.out" && await 60 test -s "$dir/run.$1.in" || fail "no transfer: $(cat "$dir/run.log")"
}
still() { # NAME WHAT
	if goes_on "$dir/run.$1.out" && goes_on "$dir/run.$1.in"; then ok "$2"; else fail "$2: $(cat "$dir/run.$1".*)"; fi
}
chmod 1777 "$dir"

# beside NAME - theirs is loaded; load_NAME loads it again as its service would
version=0
beside() {
	local alarms
	theirs >"$dir/own.$1"
	list_all >"$dir/before.$1"
	check "$1: there is something" yes "$([ -s "$dir/own.$1" ] && echo yes)"
	svm_start
	agent_start
	await 60 svm_has '^snapshot' || fail "no agent"
	svm_mark
	version=$((version + 1))
	svm_ruleset $version
	table >"$dir/ours"
	packets "$1: theirs was first"
	same "$1: theirs is untouched" "own.$1" theirs
	running "$1"
	sleep 1.5 # alarms come once a second
	check "$1: no alarm" 0 "$(svm_count '^alarm')"

	svm_mark
	"load_$1"
	svm "lease 1 $version"
	if await 60 is_whole; then ok "$1: ours stands after theirs was loaded again"; else
		fail "$1: ours does not stand"
		table | diff "$dir/ours" - | head -20
	fi
	same "$1: theirs, loaded again, is theirs" "own.$1" theirs
	packets "$1: theirs was loaded again"
	still "$1" "$1: transfers went on"
	alarms=$(svm_count '^alarm kind=4')
	check "$1: no alarm that somebody could bypass ours" 0 "$alarms"
	if owned || ! flushes "$1"; then
		check "$1: no alarm at all" 0 "$(svm_count '^alarm')"
	else
		svm_says '^alarm kind=[12] over=0 .*repaired' "$1: the flush of all rulesets is repaired and told"
	fi

	version=$((version + 1))
	svm_ruleset $version
	same "$1: theirs is untouched by a new ruleset of ours" "own.$1" theirs
	packets "$1: ours was loaded again"
	still "$1" "$1: transfers went on"

	echo "# $1: the package goes"
	svm_stop
	PATH="$dir/bin:$na_build/netagent:$PATH" sh "$prerm" upgrade
	check "$1: an upgrade leaves the rules in force" yes "$(is_whole && echo yes)"
	echo "$na_keeper" >"$dir/bin/keeper"
	PATH="$dir/bin:$na_build/netagent:$PATH" sh "$prerm" remove 2>"$dir/prerm.out" || fail "prerm: $(cat "$dir/prerm.out")"
	wait "$na_keeper" || :
	na_keeper=
	same "$1: the machine's own firewall is what it was before" "before.$1" list_all
	probes <<-E
		there;22:open 443:open 80:$IN;tcp 10.9.1.1 22,443,80
		there;22:open 443:open 80:$IN;tcp fd09:1::1 22,443,80
		here;open;tcp fd09:1::2 443,5432 uid 1003
	E
}
list_all() { nft -s list ruleset 2>/dev/null; }
# what the prerm asks systemd for
mount -t tmpfs tmpfs /run
mkdir -p "$dir/bin" /run/systemd/system
cat >"$dir/bin/systemctl" <<-'E'
	#!/bin/sh
	[ "$*" = "stop gi-netagent.service gi-netagent-base.service" ] || exit 1
	read -r pid <"${0%/*}/keeper" || exit 1
	children=$(cat "/proc/$pid/task/$pid/children")
	kill -TERM "$pid"
	for pid in $pid $children; do # as systemd: when all of them have ended
		while kill -0 "$pid" 2>/dev/null && ! grep -q "^State:.Z" "/proc/$pid/status" 2>/dev/null; do sleep 0.02; done
	done
E
chmod 755 "$dir/bin/systemctl"

echo "# ---- a typical /etc/nftables.conf: input, output, NAT"
cat >"$dir/nftables.conf" <<-'N'
	#!/usr/sbin/nft -f
	flush ruleset
	define office = { 10.0.0.0/8 }
	table inet filter {
		set admins {
			type ipv4_addr
			flags interval
			elements = $office
		}
		chain input {
			type filter hook input priority filter; policy drop;
			ct state vmap { established : accept, related : accept, invalid : drop }
			iif "lo" accept
			icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
			ip saddr @admins tcp dport 22 accept
			ip6 saddr fd00::/8 tcp dport 22 accept
			tcp dport { 443, 5433 } ct state new limit rate over 1000/second drop
			tcp dport { 443, 5433 } accept
			counter comment "not here"
		}
		chain forward {
			type filter hook forward priority filter; policy drop;
		}
		chain output {
			type filter hook output priority filter; policy drop;
			ct state established,related accept
			oif "lo" accept
			icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
			tcp dport { 443, 5432, 5433 } accept
		}
	}
	table ip nat {
		chain prerouting {
			type nat hook prerouting priority dstnat; policy accept;
			tcp dport { 8080, 8081 } redirect to :22
		}
		chain postrouting {
			type nat hook postrouting priority srcnat; policy accept;
			oifname "v0" ip daddr 10.9.1.2 masquerade
		}
	}
N
load_nft() { nft -f "$dir/nftables.conf"; }
flushes() { [ "$1" = nft ]; }
load_nft
IN=shut OUT=shut
beside nft

echo "# what is translated: ours looks at the port that was connected to, theirs at the one behind it"
svm_start
agent_start
await 60 svm_has '^snapshot' || fail "no agent"
svm_mark
svm_ruleset 1
probes <<-E
	there;8080:open 8081:shut;tcp 10.9.1.1 8080,8081
	here;open;tcp 10.9.1.2 5432 uid 1001
E
agent_stop
svm_stop
await 60 "$na_build/netagent/gi-netagent" --remove-rules || fail "the table cannot be removed"
nft flush ruleset

echo "# ---- ufw, the real one"
cp -a /etc/ufw "$dir/ufw"
cp -a /etc/default/ufw "$dir/ufw.default"
sed -i 's/^IPT_SYSCTL=.*/IPT_SYSCTL=/' "$dir/ufw.default"
mount --bind "$dir/ufw" /etc/ufw
mount --bind "$dir/ufw.default" /etc/default/ufw
ufw_does() { ufw "$@" >"$dir/ufw.out" 2>&1 || fail "ufw $*: $(cat "$dir/ufw.out")"; }
ufw_does default deny incoming
ufw_does default deny outgoing
for port in 22 443 5433; do ufw_does allow $port/tcp; done
for port in 443 5432 5433; do ufw_does allow out $port/tcp; done
ufw_does --force enable
load_ufw() { ufw_does reload; }
beside ufw
ufw_does --force disable
nft flush ruleset

echo "# ---- firewalld 1.3, its shape: one table, its chains 10 behind the usual places"
cat >"$dir/firewalld.nft" <<-'N'
	add table inet firewalld
	delete table inet firewalld
	table inet firewalld {
		ct helper helper-ftp-tcp { type "ftp" protocol tcp; l3proto inet; }
		chain mangle_PREROUTING {
			type filter hook prerouting priority mangle + 10; policy accept;
			jump mangle_PREROUTING_POLICIES
		}
		chain mangle_PREROUTING_POLICIES {
			iifname "v0" jump mangle_PRE_policy_allow-host-ipv6
			iifname "v0" jump mangle_PRE_public
			iifname "v0" return
			jump mangle_PRE_policy_allow-host-ipv6
			jump mangle_PRE_public
			return
		}
		chain mangle_PRE_public { }
		chain mangle_PRE_policy_allow-host-ipv6 { }
		chain nat_PREROUTING {
			type nat hook prerouting priority dstnat + 10; policy accept;
		}
		chain nat_POSTROUTING {
			type nat hook postrouting priority srcnat + 10; policy accept;
		}
		chain nat_OUTPUT {
			type nat hook output priority -90; policy accept;
		}
		chain filter_PREROUTING {
			type filter hook prerouting priority filter + 10; policy accept;
			icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
			meta nfproto ipv6 fib saddr . mark . iif oif missing drop
		}
		chain filter_INPUT {
			type filter hook input priority filter + 10; policy accept;
			ct state { established, related } accept
			ct status dnat accept
			iifname "lo" accept
			ct state invalid drop
			jump filter_INPUT_ZONES
			reject with icmpx admin-prohibited
		}
		chain filter_FORWARD {
			type filter hook forward priority filter + 10; policy accept;
			ct state { established, related } accept
			ct status dnat accept
			iifname "lo" accept
			ct state invalid drop
			ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24, 2002:a00::/24 } reject with icmpv6 addr-unreachable
			reject with icmpx admin-prohibited
		}
		chain filter_OUTPUT {
			type filter hook output priority filter + 10; policy accept;
			ct state { established, related } accept
			oifname "lo" accept
			ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24, 2002:a00::/24 } reject with icmpv6 addr-unreachable
		}
		chain filter_INPUT_ZONES {
			iifname "v0" goto filter_IN_public
			goto filter_IN_public
		}
		chain filter_IN_public {
			jump filter_IN_public_allow
			meta l4proto { icmp, ipv6-icmp } accept
			reject with icmpx admin-prohibited
		}
		chain filter_IN_public_allow {
			tcp dport 22 accept
			ip6 daddr fe80::/64 udp dport 546 accept
			tcp dport 443 accept
			tcp dport 5433 accept
		}
	}
N
load_firewalld() { nft -f "$dir/firewalld.nft"; }
load_firewalld
IN=shut OUT=open
beside firewalld
na_end
