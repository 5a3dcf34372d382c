#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest whose root is the attacker (tests/ns/hostile_guest.c) beside honest ones on the same gi-mux and
# svm-idfw. It floods, lies, claims thousands of sessions, replays, sends rubbish, connects a thousand
# times, does not read. Meanwhile another guest's logins are served and a transfer runs; afterwards
# nothing about the others has changed, what was refused is in the audit trail, and gi-mux and
# svm-idfw are not larger than a bound.
set -euo pipefail
: "${IDFW_LAB:=h$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

EVIL=/run/idfw/vm/evil01/evil01.sock_5005
GROWTH_KIB=65536 # what an attack may cost gi-mux and svm-idfw for good, each

# a fourth VM; what it may claim: its address, carol
lab_in host install -d -o _idfw -m 755 "${EVIL%/*}"
{
	lab_conf_host
	echo "vm evil01 { listen \"unix:$EVIL\"; addresses 10.77.66.10; }"
} | lab_put host /etc/idfw/gi-mux.conf
lab_signal host gi-mux HUP
lab_wait_for 30 lab_in host test -S "$EVIL"
{
	cat "$LAB_TOP/lab/policy.idfw"
	echo 'logins evil allow user carol on vm evil01;'
} | lab_put svm /etc/idfw/policy.idfw
lab_ctl policy commit /etc/idfw/policy.idfw >/dev/null
lab_wait_for 30 lab_in_sync

hostile() { lab_in host /run/lab/build/tests/ns/hostile_guest --socket "$EVIL" "$@"; }
logins_beside() { # COUNT - of bob on jump01, one after the other, each until it is enforced
	lab_in jump01 /run/lab/build/tests/bench/login login --socket /run/idfw/pam.sock --user bob --uid 2002 \
		--count "$1"
}

# what the honest guests' kernels hold, without counters and the order of elements; who is where on them
state() {
	local m
	for m in "${LAB_VMS[@]}"; do
		lab_in "$m" nft -n list ruleset | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/' |
			sed -E 's/0x[0-9a-f]{8}/MARK/g; s/(timeout|expires) [0-9a-z]+//g' |
			tr -d ' \t' | sed "s/^elements=//; s/^/$m /" | tr ',' '\n' | sort
	done
	lab_ctl --json who | grep -v '"vm": *"evil01"' | sed -E 's,"(as_of_ms|age_s)": *[^,}]+,,g' | sort || true
}
# a mark is new with each login: the shape of what holds them stays
same() { diff <(echo "$were") <(state) >"$LAB_DIR/changed"; }

pss() { # MACHINE DAEMON - KiB, with its children
	# shellcheck disable=SC2016
	lab_in "$1" sh -c 'for p in "$1" $(cat "/proc/$1/task/$1/children"); do
		sed -n "s/^Pss: *\([0-9]*\) kB/\1/p" "/proc/$p/smaps_rollup"; done' pss "$(lab_pid "$1" "$2")" |
		awk '{ s += $1 } END { print s }'
}
bounded() { # MACHINE DAEMON WAS
	local now
	if lab_wait_for 30 small "$@"; then
		ok "$2 has $now KiB, $3 before"
	else
		bad "$2 has $now KiB, $3 before"
	fi
}
small() {
	now=$(pss "$1" "$2")
	[ $((now - $3)) -le $GROWTH_KIB ]
}
mux_counter() { # NAME - of evil01, since gi-mux began
	local was line
	was=$(grep -c 'vm evil01: .* turned_away=' "$LAB_DIR/log/host-gi-mux.log" || true)
	lab_signal host gi-mux USR1
	lab_wait_for 30 more_lines "$was"
	line=$(grep 'vm evil01: .* turned_away=' "$LAB_DIR/log/host-gi-mux.log" | tail -n 1)
	sed -n "s/.* $1=\([0-9]*\).*/\1/p" <<<"$line"
}
more_lines() { [ "$(grep -c 'vm evil01: .* turned_away=' "$LAB_DIR/log/host-gi-mux.log")" -gt "$1" ]; }
got() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$LAB_DIR/evil.json"; }
audited_evil() { # KIND WORDS
	lab_ctl --json audit --limit 10000 | grep -E "\"kind\": *\"$1\"" | grep -E '"vm": *"evil01"' |
		grep -E -e "$2" >/dev/null
}

not_let_in() { # USER - on evil01; what is opened inside another session has no identity of its own
	! lab_ctl --json who "$1" | grep -E '"vm": *"evil01"' | grep -v '"directory": *"nested"' |
		grep -E '"refused": *false' >/dev/null
}

lab_login alice jump01 alice
reaches alice $DB 5432 "alice before it all"
transfer alice jump01 alice
logins_beside 1 >/dev/null # bob is known to the directory's cache from here on
lab_wait_for 30 not_live bob 2>/dev/null
# what bob's login has left behind takes its moment to go
settled() {
	were=$(state)
	sleep 0.5
	lab_in_sync && same
}
lab_wait_for 60 settled || bad "it does not come to rest before it all"
mux_was=$(pss host gi-mux) svm_was=$(pss svm svm-idfw)

# attack MODE MS ARGS... - beside it bob logs in and out on jump01
attack() {
	local mode=$1 ms=$2 job
	shift 2
	echo "== $mode"
	hostile --mode "$mode" --for-ms "$ms" "$@" >"$LAB_DIR/evil.json" &
	job=$!
	logins_beside 20 >"$LAB_DIR/bob.json" || bad "bob's logins: $(cat "$LAB_DIR/bob.json")"
	wait "$job" || bad "hostile_guest failed"
	tell "$(cat "$LAB_DIR/evil.json")"
	grep -h 'evil01: [^u]' "$LAB_DIR/log/host-gi-mux.log" | tail -n 3 | cut -c 26-200 || true
	grep -h 'evil01' "$LAB_DIR/log/svm-svm-idfw.log" | tail -n 6 | cut -c 26-250 || true
	check "bob's logins were enforced: $(sed 's/.*"p50/"p50/' "$LAB_DIR/bob.json")" \
		grep -q '"n":20,.*"bad":0' "$LAB_DIR/bob.json"
	check "nothing about the others has changed" lab_wait_for 30 same
	cut -c 1-200 "$LAB_DIR/changed"
	bounded host gi-mux "$mux_was"
	bounded svm svm-idfw "$svm_was"
	lab_wait_for 30 lab_in_sync || bad "a VM is not in sync"
}

attack flood 3000
check "it was held back, audited" lab_wait_for 30 audited_evil refused 'events'
attack lies 3000 --user carol --address 10.77.1.10 --address 10.77.3.10 --address fd77:3::10 --address 10.77.66.10
check "audited: addresses of others" lab_wait_for 30 audited_evil refused '10\.77\.1\.10'
check "audited: sessions that are not" lab_wait_for 30 audited_evil refused 'session'
attack lies 3000 --user alice --address 10.77.66.10 # she may do much elsewhere, and nothing there
check "audited: alice may not be there" lab_wait_for 30 audited_evil refused '"user": *"alice".*does not let this user in here'
check "none of her sessions there has her identity" not_let_in alice
# limits of its own; a configuration with a mistake changes nothing
evil_limits() { # ITEMS
	{
		lab_conf_svm
		echo "vm evil01 { $1 }"
	} | lab_put svm /etc/idfw/svm-idfw.conf
	lab_signal svm svm-idfw HUP
}
evil_row() { { lab_ctl --json status || true; } | grep -E '"type": *"vm".*"vm": *"evil01"' | grep -E -e "$1" >/dev/null; }
evil_limits 'sessions-max 1000;'
check "svm-idfw takes over its own limit" lab_wait_for 30 evil_row '"sessions": *1000,.*"own_sessions": *true'
evil_limits 'sessions-max 0;'
check "but no mistake" lab_wait_for 30 grep -q 'sessions-max must be between 1 and' "$LAB_DIR/log/svm-svm-idfw.log"
check "the old one goes on" evil_row '"sessions": *1000,.*"own_sessions": *true'
attack snapshot 3000 --user carol --count 20000
check "audited: too many sessions" lab_wait_for 30 audited_evil refused 'sessions-max 1000 of vm evil01'
attack replay 3000 --user carol
attack rubbish 3000
check "audited: why it was dropped" lab_wait_for 30 audited_evil guest-down 'length|frame|body|decode|may not|[Mm]alformed'
attack connect 60000 --count 1000 # it ends when it has tried that often
turned_away() { [ "$(mux_counter turned_away)" -gt 900 ]; }
check "it was turned away" lab_wait_for 30 turned_away
told_when_in() { # it comes in once more, if it may already
	hostile --mode rubbish --for-ms 1500 >/dev/null
	audited_evil refused 'turned away by its mux'
}
check "audited: that it was" lab_wait_for 60 told_when_in
attack deaf 3000

echo "== afterwards"
unbroken jump01 alice "through all of it"
reaches alice $DB 5432 "alice, a new connection"
lab_logout alice
check "alice's access is closed" loses alice
lab_in db01 nft -n list ruleset | grep -F 10.77.66 && bad "db01 has heard of the hostile guest"
grep -q 'Sanitizer\|assert' "$LAB_DIR/log/host-gi-mux.log" && bad "gi-mux complained"
grep -q 'Sanitizer\|assert' "$LAB_DIR/log/svm-svm-idfw.log" && bad "svm-idfw complained"
exit 0
