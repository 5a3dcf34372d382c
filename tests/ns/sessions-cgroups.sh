#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A session is a cgroup, on the agent's side: made before it is told, kept through restarts of each
# process, removed when empty; what is opened inside one is nested; what logind made is taken; and
# where no cgroup can be made, it is said once and the uid counts. Real PAM, real daemon, real
# cgroups in a tree of the test's own; logind's part is played.
. "$(dirname "$0")/netagent-lib.sh"
[ -n "$cg" ] || skip "needs a writable cgroup v2"
base=${cg##*/}

# enter CGROUP; "${in[@]}" CMD... & - as a child of somebody there would be
enter() {
	# shellcheck disable=SC2016
	in=(sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "${cg%/idfw-test-*}$1")
}
# login_inside CGROUP SERVICE USER - a session opened by a process there
login_inside() {
	: >"$dir/login.out"
	enter "$1"
	"${in[@]}" python3 "$dir/session.py" "$2" "$3" >"$dir/login.out" 2>&1 &
	leader=$!
	na_pids+=("$leader")
	await 60 grep -q 'opened 0' "$dir/login.out"
}
gone() { [ ! -e "${cg%/idfw-test-*}$1" ]; }

svm_start
agent_start
svm_says '^snapshot'

echo "# what the placer may do"
status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(role_pid placer)/status"; }
check "no capability" "0000000000000000 0000000000000000 0000000000000000" \
	"$(status CapEff) $(status CapPrm) $(status CapBnd)"
check "no new privileges, a filter" "1 2" "$(status NoNewPrivs) $(status Seccomp)"

echo "# a login gets a cgroup of its own, before the SVM hears of it"
svm_mark
login t root
svm_says " open .*leader=$leader " "told"
id=$(svm_field ' open ' id)
place=$(cg_of "$leader")
check "the leader is in it" "/$base/idfw/s$id" "$place"
check "its id is the directory's inode number" "$(cg_id "$place")" "$(svm_field ' open ' cgroup)"
check "a login, from PAM, inside nothing" "0 0 0" \
	"$(svm_field ' open ' kind) $(svm_field ' open ' parent) $(svm_field ' open ' found)"
alice=$leader alice_id=$id alice_place=$place

echo "# a login that is announced (pam_gi in the account stack): the placer is ready for it"
pam soon required timeout_ms=20000
echo "account optional $na_build/pam_gi/.libs/pam_gi.so socket=$dir/run/pam.sock" >>"$dir/pam.d/soon"
! grep -q 'a login may come' "$dir/agent.log" || fail "ready for nothing"
svm_mark
login soon root
log_says 'a login may come: ready for it$'
svm_says " open .*leader=$leader " "told"
logout "$leader"
svm_mark
python3 - "$dir/run/pam.sock" <<-'PY'
	import socket, sys
	for _ in range(200):
	    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	    s.connect(sys.argv[1])
	    s.send(b"IDFW=1\0EVENT=soon\0")
	    s.close()
PY
login t root
svm_says " open .*leader=$leader " "a login behind a flood of them"
check "only the login is one" 1 "$(svm_count '^event .* open ')"
check "it is in its place" "/$base/idfw/s$(svm_field ' open ' id)" "$(cg_of "$leader")"
logout "$leader"
check "the placer is where it was" "$(cg_of "$na_keeper")" "$(cg_of "$(role_pid placer)")"

echo "# two logins of one user are two cgroups"
svm_mark
login t root
svm_says " open .*leader=$leader "
[ "$(svm_field ' open ' cgroup)" != "$(cg_id "$alice_place")" ] && ok "another one" || fail "the same one"
second=$leader second_place=$(cg_of "$leader")

echo "# what is opened inside a session is nested, also two deep"
svm_mark
login_inside "$alice_place" t daemon
svm_says " open .*user=daemon .*leader=$leader .* cgroup=0 parent=$alice_id " "no cgroup of its own"
check "and it stays where it was" "$alice_place" "$(cg_of "$leader")"
mkdir "${cg%/idfw-test-*}$alice_place/deeper"
nested=$leader
svm_mark
login_inside "$alice_place/deeper" t bin
svm_says " open .*user=bin .* cgroup=0 parent=$alice_id " "in a cgroup that was made inside"
svm_mark
logout "$leader"
svm_says 'close .* reason=1' "a nested one ends by itself"
rmdir "${cg%/idfw-test-*}$alice_place/deeper"

echo "# an end: the cgroup goes when it is empty, not before"
logout "$second"
await 60 gone "$second_place" && ok "gone with its last process" || fail "$second_place is left"
enter "$alice_place"
"${in[@]}" sleep 1000 &
left=$!
na_pids+=("$left")
await 60 grep -q sleep "/proc/$left/comm"
kill9 "$nested"
svm_mark
logout "$alice"
svm_says "close id=$alice_id reason=1" "the session is over"
gone "$alice_place" && fail "the cgroup went with a process in it" || ok "what is left behind keeps its cgroup"
svm_mark
login_inside "$alice_place" t daemon
svm_says " open .*user=daemon .* cgroup=0 parent=$alice_id " \
	"who opens a session from there does not become somebody: nested in what is over"
logout "$leader"

echo "# the same after a restart of everything"
agent_stop
agent_start
svm_says '^snapshot .* n=0 '
svm_mark
login_inside "$alice_place" t daemon
svm_says " open .*user=daemon .* cgroup=0 parent=$alice_id " "still remembered"
logout "$leader"
kill9 "$left"
await 60 gone "$alice_place" && ok "swept when its last process ends" || fail "$alice_place is left"

echo "# a session keeps its cgroup when any of the agent's processes is killed"
svm_mark
login t root
svm_says " open .*leader=$leader "
id=$(svm_field ' open ' id) cgroup=$(svm_field ' open ' cgroup)
for role in agent placer; do
	svm_mark
	role_kill $role
	await 60 agent_is_up
	[ $role = placer ] && svm drop
	svm_says "^in-snapshot open id=$id .* cgroup=$cgroup " "$role killed: as it was"
done
check "and its leader is still there" "/$base/idfw/s$id" "$(cg_of "$leader")"
logout "$leader"
echo "# a login while the placer is started again has its cgroup, too"
agent_stop # the keeper's patience with its children begins anew
agent_start
svm_mark
kill -9 "$(role_pid placer)"
login t daemon || fail "refused"
svm_says " open .*user=daemon .*leader=$leader .* cgroup=[1-9]" "it waited for the next one"
logout "$leader"
check "no alarm for that" 0 "$(svm_count '^alarm')"
echo "# a placer that does not answer: the login goes on, by uid, and it is said until it is over"
stopped=$(role_pid placer)
kill -STOP "$stopped"
svm_mark
login t daemon && ok "logged in" || fail "refused"
svm_says " open .*user=daemon .*leader=$leader .* cgroup=0"
svm_says '^alarm kind=6 over=0 .*does not answer'
kill -CONT "$stopped"
logout "$leader"
login t daemon
svm_says '^alarm kind=6 over=1'
logout "$leader"

echo "# a leader that logind put into a scope: that is the cgroup"
scope=/$base/user.slice/user-0.slice/session-77.scope
mkdir -p "${cg%/idfw-test-*}$scope" /run/systemd
mount -t tmpfs none /run/systemd
mkdir /run/systemd/sessions
cat >"$dir/logind.py" <<-'PY'
	import os, sys
	open("/run/systemd/sessions/77", "w").write("# private\nUID=0\nLEADER=%d\nTYPE=tty\n" % os.getpid())
	sys.argv = sys.argv[1:]
	exec(open(sys.argv[0]).read())
PY
svm_mark
enter "$scope"
"${in[@]}" python3 "$dir/logind.py" "$dir/session.py" t root >"$dir/login.out" 2>&1 &
leader=$!
na_pids+=("$leader")
svm_says " open .*leader=$leader .* cgroup=$(cg_id "$scope") parent=0 " "taken as it is"
in_scope=$(svm_field ' open ' id) scoped=$leader
svm_mark
login_inside "$scope" t daemon
svm_says " open .*user=daemon .* cgroup=0 parent=$in_scope " "su inside it is nested"
logout "$leader"
svm_mark
logout "$scoped"
svm_says "close id=$in_scope "
for restarted in no yes; do
	svm_mark
	if [ $restarted = yes ]; then
		agent_stop
		agent_start
		svm_says '^snapshot .* n=0 '
		svm_mark
	fi
	login_inside "$scope" t daemon
	svm_says " open .*user=daemon .* cgroup=0 parent=$in_scope " \
		"su in what it left behind is nested in what is over (agent restarted: $restarted)"
	logout "$leader"
done

echo "# a scope whose session we do not know is not given to who runs su in it"
other=/$base/user.slice/user-0.slice/session-78.scope
mkdir "${cg%/idfw-test-*}$other"
echo 'LEADER=1' >/run/systemd/sessions/78
sed -i '1i x=1' /run/systemd/sessions/78
svm_mark
login_inside "$other" t daemon
svm_says " open .*user=daemon .*leader=$leader "
check "a cgroup of its own" "/$base/idfw/s$(svm_field ' open ' id)" "$(cg_of "$leader")"
logout "$leader"

echo "# no cgroups: said once, the uid counts"
agent_stop
umount /run/systemd
cg_was=$cg cg=/proc/nowhere
svm_mark
agent_start
svm_says '^alarm kind=6 over=0 .*cgroup v2 is not mounted' "Alarm NO_CGROUPS"
svm_mark
login t root && ok "logged in" || fail "refused"
svm_says " open .* cgroup=0 parent=0 " "without a cgroup"
logout "$leader"
check "said once" 0 "$(svm_count '^alarm')"
svm drop
svm_says '^alarm kind=6 over=0' "and to each new connection"
agent_stop
cg=$cg_was
echo "# session-cgroups off: nothing is made, nothing is said"
na_cgroups=off
agent_off() { [ -n "$(role_pid agent)" ]; }
agent_conf
sed -i /cgroup-root/d "$dir/conf" # as most have it
svm_mark
ASAN_OPTIONS=detect_leaks=0 "$na_build/netagent/gi-netagent" -d -c "$dir/conf" >>"$dir/agent.log" 2>&1 &
na_keeper=$!
await 60 agent_off
svm_says '^snapshot'
login t root && ok "logged in" || fail "refused"
svm_says " open .* cgroup=0 parent=0 "
logout "$leader"
check "no placer" "" "$(role_pid placer)"
check "no alarm" 0 "$(svm_count '^alarm')"
agent_stop
na_end
