#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A clock that is set, and a machine that was suspended, as the agent sees them (clock_shift.c): no
# deadline moves and no session ends; after a sleep it connects anew at once and tells its sessions.
. "$(dirname "$0")/netagent-lib.sh"
shift_lib=$na_build/tests/ns/.libs/libclockshift.so
[ -e "$shift_lib" ] || skip "needs $shift_lib"
clocks() { # REAL_MS BOOT_MS
	echo "$1 $2" >"$dir/shift.new"
	mv "$dir/shift.new" "$dir/shift"
}
clocks 0 0
export CLOCK_SHIFT=$dir/shift
svm_start
LD_PRELOAD=$shift_lib agent_start
svm_says '^snapshot'
login t root
svm_says " open .*leader=$leader "
id=$(svm_field ' open ' id) stays=$leader

day=86400000
for by in $day -$day; do
	echo "# the clock is set by a day: $by"
	clocks "$by" 0
	svm_mark
	pam q required wait timeout_ms=400
	t0=$(now_ms)
	login q daemon && fail "let in" || ok "a login that waits is refused by its own deadline"
	ms=$(($(now_ms) - t0))
	[ $ms -ge 350 ] && ok "after $ms ms" || fail "without waiting: after $ms ms"
	login t daemon && ok "logged in" || fail "refused"
	svm_says " open .*user=daemon .*leader=$leader .*"
	kill9 "$leader"
	svm_says "close id=[0-9]+ reason=2" "the end of a leader is seen"
	check "no session ended for it" 0 "$(svm_count "close id=$id ")"
	check "no new connection for it" 0 "$(svm_count '^connected')"
done

echo "# suspended for an hour"
svm_mark
clocks 3600000 3600000
svm_says '^connected' "connects anew"
svm_says "^snapshot .* n=1 .* ids $id\$" "and tells its sessions"
log_says 'suspended for 3600 s'
svm_mark
clocks 3600000 3600000
login t daemon
svm_says " open .*user=daemon "
logout "$leader"
check "once" 0 "$(svm_count '^connected')"
logout "$stays"
svm_says "close id=$id reason=1"
agent_stop
na_end
