#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How sessions end and what a restart makes of them, on the agent's side: the cgroup of logind's is
# gone; what is opened below it is nested; logins of while the whole agent was down are found by their
# audit session id, with their whole tree, once; what an ended session has left behind is not, root's
# neither; services that the SVM watches come and go with their cgroups; policy refuses a user.
. "$(dirname "$0")/netagent-lib.sh"
[ -n "$cg" ] || skip "needs a writable cgroup v2"
base=${cg##*/}

svm_start
agent_start
svm_says '^snapshot'

echo "# logind's scope goes: the session is over"
mount -t tmpfs none /run/systemd 2>/dev/null || { mkdir -p /run/systemd && mount -t tmpfs none /run/systemd; }
mkdir -p /run/systemd/sessions "$cg/user.slice/user-1.slice/session-5.scope"
scope=$cg/user.slice/user-1.slice/session-5.scope
cat >"$dir/logind.py" <<-'PY'
	import os, sys
	open("/run/systemd/sessions/5", "w").write("# private\nLEADER=%d\n" % os.getpid())
	open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
	sys.argv = sys.argv[2:]
	exec(open(sys.argv[0]).read())
PY
scope_login() {
	: >"$dir/login.out"
	python3 "$dir/logind.py" "$scope" "$dir/session.py" t daemon >"$dir/login.out" 2>&1 &
	leader=$!
	na_pids+=("$leader")
	await 60 grep -q 'opened 0' "$dir/login.out"
}
leave() { echo "$1" >"$cg/cgroup.procs"; } # what logind does not do: so that the scope can go first
for restarted in no yes; do
	svm_mark
	scope_login
	svm_says " open .*leader=$leader .* cgroup=$(stat -c %i "$scope") "
	id=$(svm_field ' open ' id)
	if [ $restarted = no ]; then # in a container of that session
		mkdir "$scope/box"
		# shellcheck disable=SC2016
		sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$scope/box" \
			python3 "$dir/session.py" t daemon >"$dir/box.out" 2>&1 &
		inner=$!
		na_pids+=("$inner")
		svm_says " open .*leader=$inner .*parent=$id " "opened in a cgroup below the scope: nested in that session"
		logout "$inner"
		rmdir "$scope/box"
	else
		role_kill agent
	fi
	leave "$leader"
	svm_mark
	rmdir "$scope"
	svm_says "close id=$id reason=6" "END_CGROUP (agent restarted: $restarted)"
	kill9 "$leader"
	mkdir "$scope"
done
umount /run/systemd

echo "# services"
svm_mark
mkdir -p "$cg/system.slice/nginx.service" "$cg/app.slice/app-deep.slice/worker@1.service" "$cg/system.slice/other.service"
svm 'watch nginx.service worker@1.service absent.service /pods/one ../../etc'
svm_says " open .*user=nginx.service .*leader=0 kind=1 cgroup=$(stat -c %i "$cg/system.slice/nginx.service") " "in system.slice"
svm_says " open .*user=worker@1.service .* kind=1 cgroup=$(stat -c %i "$cg/app.slice/app-deep.slice/worker@1.service") " \
	"in a slice below a slice"
check "no other" 2 "$(svm_count '^event .* open ')"
log_says '../../etc" is no name'
nginx=$(svm_field 'user=nginx' id)
svm_mark
mkdir -p "$cg/pods/one"
svm_says " open .*user=/pods/one .*kind=1 cgroup=$(stat -c %i "$cg/pods/one") " "a path that comes"
svm_mark
rmdir "$cg/system.slice/nginx.service"
svm_says "close id=$nginx reason=6" "stopped: END_CGROUP"
mkdir "$cg/system.slice/nginx.service"
svm_says " open .*user=nginx.service .* cgroup=$(stat -c %i "$cg/system.slice/nginx.service") " \
	"started again: another cgroup, another session"
nginx=$(svm_field 'user=nginx' id)
# a service is nobody's outer session: sshd may be one
svm_mark
: >"$dir/login.out"
# shellcheck disable=SC2016
sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$cg/system.slice/nginx.service" \
	python3 "$dir/session.py" t daemon >"$dir/login.out" 2>&1 &
leader=$!
na_pids+=("$leader")
svm_says " open .*user=daemon .*leader=$leader .* cgroup=[1-9][0-9]* parent=0 " "a login out of a service is not nested"
logout "$leader"
echo "# services, the agent killed meanwhile"
kill -STOP "$na_keeper"
kill -9 "$(role_pid agent)"
rmdir "$cg/app.slice/app-deep.slice/worker@1.service"
svm_mark
kill -CONT "$na_keeper"
svm_says "^event [0-9]+ close id=[0-9]+ reason=6" "one that stopped meanwhile is ended"
svm_says "^in-snapshot open id=$nginx user=nginx.service " "one that runs goes on"
svm_mark
svm watch
svm_says "close id=$nginx reason=1" "not watched any more"

echo "# policy does not let the user in"
svm 'refuse on'
svm_mark
pam r wait timeout_ms=20000
pam rr required wait timeout_ms=20000
login r daemon && ok "without required: logged in, without access" || fail "without required: refused"
logout "$leader"
login rr daemon && fail "required: let in" || ok "required: refused"
grep -q 'opened 14' "$dir/login.out" && ok "PAM_SESSION_ERR" || fail "$(cat "$dir/login.out")"
log_says 'policy does not let this user in'
svm 'refuse off'
wait "$leader" 2>/dev/null || :

audit() { # a process that logs in as pam_loginuid has it: sets its loginuid first
	cat >"$dir/audit.py" <<-'PY'
		import os, subprocess, sys
		open("/proc/self/loginuid", "w").write("1")
		# the oldest of those that stay is root's, as after sudo: it looks like a session's leader
		kids = [subprocess.Popen(["sleep", "1000"])] + [
		    subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], preexec_fn=lambda: os.setuid(1)) for _ in range(2)]
		print("kids", *[k.pid for k in kids], flush=True)
		if len(sys.argv) > 1:
		    sys.argv = sys.argv[1:]
		    exec(open(sys.argv[0]).read())
		    for k in kids: k.kill()
		else:
		    kids[0].wait()
	PY
}
audit
if ! sh -c 'echo 1 >/proc/self/loginuid' 2>/dev/null || [ ! -e /proc/self/sessionid ]; then
	echo "(not tested here: sessions that are found need audit's loginuid)"
	agent_stop
	na_end
	exit
fi
looked() { grep -c 'logins looked at, ' "$dir/agent.log" || :; } # 1.5 s after each agent's start
looked_since() { [ "$(looked)" -gt "$1" ]; }
found() { sed -nE 's/.*logins looked at, ([0-9]+) of them.*/\1/p' "$dir/agent.log" | tail -1; } # by the last look; told later
echo "# logins of while all of the agent was down"
login t root
known=$leader
python3 "$dir/audit.py" "$dir/session.py" t daemon >"$dir/known.out" 2>&1 &
told=$!
na_pids+=("$told")
await 60 grep -q 'opened 0' "$dir/known.out"
agent_stop
python3 "$dir/audit.py" >"$dir/missed.out" 2>&1 &
missed=$!
na_pids+=("$missed")
await 60 grep -q kids "$dir/missed.out"
read -r _ kid0 kid1 kid2 <"$dir/missed.out"
na_pids+=("$kid0" "$kid1" "$kid2")
# a container's own login: by its uids and cgroups it is somebody else's, whatever that uid is here
unshare -p -f --kill-child python3 "$dir/audit.py" >"$dir/box.out" 2>&1 &
box=$!
na_pids+=("$box")
await 60 grep -q kids "$dir/box.out"
boxed=$(cat "/proc/$box/task/$box/children")
boxed="$boxed $(cat /proc/${boxed% }/task/${boxed% }/children)"
# shellcheck disable=SC2086
places() { for p in $boxed; do cg_of "$p"; done; }
placed=$(places)
svm_mark
agent_start
svm_says " open .*user=daemon uid=1 service=found .*leader=$missed kind=0 cgroup=[1-9][0-9]* parent=0 found=1" \
	"found, by the leader that the kernel knows"
id=$(svm_field 'service=found' id)
all_in() { # SESSION PID... - and their children
	local s=$1 p
	shift
	for p; do
		[ "$(cg_of "$p")" = "/$base/idfw/s$s" ] || return 1
		# shellcheck disable=SC2046
		all_in "$s" $(cat "/proc/$p/task/$p/children") || return 1
	done
}
await 60 all_in "$id" "$missed" && ok "its whole tree is in its cgroup" || fail "$(cg_of "$missed") $(cg_of "$kid1")"
check "those that were known are not found, nor a container's" "1, 1" "$(found), $(svm_count '^event .* open ')"
check "that one's processes are where they were" "$placed" "$(places)"
kill9 "$box"
echo "# found once: also by the next agent"
svm_mark
looks=$(looked)
role_kill agent
svm_says "^in-snapshot open id=$id .* found=1" "goes on as it is"
await 60 looked_since "$looks" && ok "the next agent looked" || fail "the next agent does not look"
check "not found again" "0, 0" "$(found), $(svm_count '^event .* open ')"
echo "# its end; what it leaves behind is no session, whoever is started again"
svm_mark
kill9 "$missed"
svm_says "close id=$id reason=2"
# also from a cgroup of its own inside the session's, as a container's
deep=$cg/idfw/s$id/box
mkdir "$deep"
echo "$kid0" >"$deep/cgroup.procs"
agent_stop
looks=$(looked)
agent_start
svm_says '^snapshot .* n=2 '
await 60 looked_since "$looks" && ok "the next agent looked" || fail "the next agent does not look"
check "nothing is found" "0, 0" "$(found), $(svm_count '^event .* open ')"
echo "# the same by an agent that has forgotten all: ours tell by their names whose they were"
agent_stop
rm -rf "${dir:?}/spool/"*
looks=$(looked)
svm_mark
agent_start
svm_says '^snapshot .* n=0 ' "it knows of no session"
await 60 looked_since "$looks" && ok "the next agent looked" || fail "the next agent does not look"
check "nothing is found" "0, 0" "$(found), $(svm_count '^event .* open ')"
: >"$dir/login.out"
# shellcheck disable=SC2016
sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$deep" \
	python3 "$dir/session.py" t daemon >"$dir/login.out" 2>&1 &
inner=$!
na_pids+=("$inner")
svm_says " open .*user=daemon .*leader=$inner .* cgroup=0 parent=$id " "su in what is left is nested in what is over"
logout "$inner"
kill9 "$kid0"
kill9 "$kid1"
kill9 "$kid2"
logout "$told"
logout "$known"
agent_stop
na_end
