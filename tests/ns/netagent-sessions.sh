#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gi-netagent's sessions, end to end on its own side: real PAM, real daemon, scripted SVM.
# Opens, closes, leaders that are killed, kicks, wait, kill -9 of the agent, the SVM gone and back,
# addresses, peers that may not speak.
. "$(dirname "$0")/netagent-lib.sh"

ip link set lo up
ip link add v0 type veth peer name v1
ip addr add 10.9.9.1/24 dev v0
ip link set v0 up
ip link set v1 up

svm_start
agent_start

echo "# connect"
svm_says '^hello last=[0-9]+ software=idfw gi-netagent .* boot=0123456789abcdef0123456789abcdef$' "Hello"
svm_says '^snapshot .*first=1 last=1 n=0 addrs 10\.9\.9\.1' "Snapshot with the address"
svm_says '^marks gen=0 ver=0 n=0 last=1' "Marks: no rules yet"

echo "# what each process may do"
status() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$(role_pid "$1")/status"; }
for role in agent pusher; do
	check "$role: no new privileges" 1 "$(status $role NoNewPrivs)"
	check "$role: a filter" 2 "$(status $role Seccomp)"
	check "$role: no bounding set" 0000000000000000 "$(status $role CapBnd)"
done
check "agent: no capability" "0000000000000000 0000000000000000" \
	"$(status agent CapEff) $(status agent CapPrm)"
check "agent: its own user" "$(id -u nobody)" "$(status agent Uid)"
check "pusher: CAP_NET_ADMIN alone" "0000000000001000 0000000000001000" \
	"$(status pusher CapEff) $(status pusher CapPrm)"

echo "# addresses"
ip addr add fd99::9/64 dev v0 nodad
svm_says '^event [0-9]+ 10\.9\.9\.1 fd99::9$' "a new address is an event"
ip addr del 10.9.9.1/24 dev v0
svm_says '^event [0-9]+ fd99::9$' "an address that went is one"
echo 100 >/proc/sys/net/ipv6/conf/v0/dad_transmits
ip addr add 10.8.8.8/32 dev lo
ip addr add fe80::9/64 dev v0 nodad
ip addr add 169.254.9.9/16 dev v0 scope link
ip addr add fd99::a/64 dev v0
ip -6 addr show dev v0 tentative | grep -q fd99::a || fail "fd99::a is not tentative"
ip addr add fd99::b/64 dev v0 nodad preferred_lft 0
svm_says '^event [0-9]+ fd99::9 fd99::b$' \
	"deprecated ones count; of lo, link-local and tentative ones do not"
ip addr del fd99::a/64 dev v0

echo "# looked at later: who connects and says nothing; a second agent on the same spool"
python3 - "$dir/run/pam.sock" >"$dir/silent.out" 2>&1 <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(120)
s.connect(sys.argv[1])
print(s.recv(4096).replace(b"\0", b" ").decode())
PY
na_pids+=($!)
sed "s,/run/pam.sock,/run/pam2.sock," "$dir/conf" >"$dir/conf2"
"$na_build/netagent/gi-netagent" -c "$dir/conf2" >"$dir/agent2.log" 2>&1 &
second=$!
na_pids+=("$second")

echo "# open and close"
svm_mark
login t root && ok "opened" || fail "opened"
svm_says "open id=[0-9]+ user=root uid=0 service=t .*leader=$leader" "SessionOpen with its leader"
id=$(svm_field ' open ' id)
file="$dir/run/sessions/$leader"
check "its file is there when PAM comes back" "640 nobody" "$(stat -c '%a %U' "$file")"
grep -aq root "$file" && ok "and tells whose it is" || fail "and tells whose it is"
logout "$leader"
svm_says "close id=$id reason=1" "close_session is END_CLOSE"
[ ! -e "$file" ] && ok "its file is gone" || fail "its file is left"
login t daemon
svm_says 'user=daemon uid=1 ' "sessions of every uid are reported"
logout "$leader"

echo "# kill -9 of the leader"
svm_mark
login t root
svm_says ' open id='
id=$(svm_field ' open ' id)
kill9 "$leader"
svm_says "close id=$id reason=2" "END_LEADER"
check "no session, no file" "" "$(ls -A "$dir/run/sessions")"

echo "# wait until enforced"
svm_mark
pam q required wait timeout_ms=400
t0=$(now_ms)
login q root && fail "required and nobody says ready: let in" || ok "required, not enforced in time: refused"
ms=$(($(now_ms) - t0))
[ $ms -ge 350 ] && ok "after $ms ms" || fail "without waiting: after $ms ms"
pam q wait timeout_ms=400
login q root && ok "not required: let in" || fail "not required: let in"
logout "$leader"
svm 'ready on'
login w root && ok "enforced: let in" || fail "enforced: let in"
svm 'ready off'
logout "$leader"

echo "# kick"
svm_mark
login t root
svm_says ' open id='
id=$(svm_field ' open ' id)
svm "kick $id"
svm_says "close id=$id reason=5" "a kick is END_KICK"
logout "$leader"
grep -q 'closed 0' "$dir/login.out" && ok "close after a kick is fine" || fail "close after a kick"
check "no second close" 1 "$(svm_count "close id=$id ")"
svm 'kick 4711'

await 60 grep -q 'spool-dir .*: Device or resource busy' "$dir/agent2.log" &&
	ok "a second agent does not get the spool" || fail "second agent: $(cat "$dir/agent2.log")"
kill9 "$second"

await 60 grep -q . "$dir/silent.out" || fail "a silent peer is kept" # before its agent is killed
check "a silent peer is dropped" "IDFW=1 STATUS=refused TEXT=sent nothing in time " "$(cat "$dir/silent.out")"

echo "# kill -9 of the agent: sessions that live stay, with their numbers; the dead are ended"
svm_mark
login t root
lives=$leader
svm_says ' open id='
id1=$(svm_field ' open ' id)
login t daemon
svm_says ' open .*user=daemon'
id2=$(svm_field 'user=daemon' id)
kill -STOP "$na_keeper"
kill -9 "$(role_pid agent)"
kill9 "$leader"
svm_mark
rm "$dir/run/sessions/$lives"
echo junk >"$dir/run/sessions/1"
kill -CONT "$na_keeper"
svm_says "event [0-9]+ close id=$id2 reason=2" "the one whose leader died is ended"
svm_says "^snapshot .* n=1 .* ids $id1\$" "the one that lives is told with its number"
check "nothing is replayed that was acknowledged" 0 "$(svm_count '^event .* open ')"
files_are() { [ "$(ls -A "$dir/run/sessions")" = "$1" ]; }
await 60 files_are "$lives" || :
check "the files are those of the sessions that live" "$lives" "$(ls -A "$dir/run/sessions")"
logout "$lives"
svm_says "close id=$id1 reason=1" "and can be closed by number"

echo "# a pid that is somebody else's now is not mistaken for the leader: unit test_session"

echo "# SVM gone: events are kept and come exactly once"
leaders_ended() { grep -c ' of daemon .*without closing' "$dir/agent.log" || :; }
one_more_than() { [ "$(leaders_ended)" -gt "$1" ]; }
svm_mark
acked=$(grep -E '^event' "$dir/svm.log" | tail -1 | cut -d' ' -f2)
svm_stop
login t root && ok "login without an SVM" || fail "login without an SVM"
a=$leader
before=$(leaders_ended)
login t daemon
kill9 "$leader"
await 60 one_more_than "$before" || fail "the end of the second one is not seen"
svm_mark
svm_start "$acked"
svm_says '^snapshot' "back"
check "three events" 3 "$(svm_count '^event')"
check "in order from the acknowledged on" "$((acked + 1)) $((acked + 2)) $((acked + 3))" \
	"$(svm_since | awk '/^event/ { printf "%s%s", sep, $2; sep = " " }')"
check "before the Snapshot" event "$(svm_since | grep -E '^(event|snapshot)' | head -1 | cut -d' ' -f1)"
svm_mark
svm drop
svm_says '^snapshot' "a dropped connection comes back by itself"
check "nothing twice" 0 "$(svm_count '^event')"

echo "# not acknowledged: sent again, also by a new process"
svm 'ack off'
svm_mark
logout "$a"
svm_says ' close id=' "sent"
seq=$(svm_since | awk '/^event/ { print $2 }' | tail -1)
role_kill agent
svm_says '^snapshot' "the next agent is here"
sent_twice() { [ "$(svm_count "^event $seq close")" = 2 ]; }
await 60 sent_twice && ok "sent again" || fail "sent again"
svm 'ack on'
svm_mark
svm drop
svm_says '^snapshot'

echo "# who may not speak"
chmod 666 "$dir/run/pam.sock"
got=$(python3 - "$dir/run/pam.sock" <<'PY'
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
try:
    s.send(b"IDFW=1\0EVENT=open\0USER=root\0UID=0\0")
except OSError:
    pass # refused before we spoke
print(s.recv(4096).replace(b"\0", b" ").decode())
PY
)
check "a peer that is not root is refused" "IDFW=1 STATUS=refused TEXT=peer is not root " "$got"
log_says 'uid 65534 dropped: peer is not root'
for bytes in 'b""' 'b"garbage"' 'b"IDFW=1\0"' 'b"IDFW=1\0EVENT=open\0USER=a\0UID=x\0"' 'b"x"*4097' 'b"x"*60000'; do
	python3 - "$dir/run/pam.sock" <<-PY || fail "garbage on the PAM socket: $bytes"
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(60)
		s.connect(sys.argv[1])
		s.send($bytes)
		r = s.recv(4096)
		assert r == b"" or b"STATUS=refused" in r, r
	PY
done
ok "garbage on the PAM socket is refused"
got=$(python3 - "$dir/run/pam.sock" <<'PY'
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = []
for _ in range(1100):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1]) # waits for room in the backlog
    s.settimeout(30)
    held.append(s)
print(s.recv(4096).replace(b"\0", b" ").decode())
PY
)
check "so many at once" "IDFW=1 STATUS=refused TEXT=too many connections at once " "$got"
svm_mark
pid=$(role_pid agent)
# not protobuf; a Hello, an Event (not the SVM's to send); an EventAck of what was never sent; lengths
for bad in 'raw ff' 'raw 0a00' 'raw 3200' 'raw 3a0408ffff3f' 'head ffffffff' 'head 00000000'; do
	svm "$bad"
	svm_says '^disconnected by the agent' "the link drops: $bad"
	svm_says '^snapshot' "and comes back"
	svm_mark
done
check "the agent lives through it" "$pid" "$(role_pid agent)"
login t root && ok "and serves" || fail "and serves"
logout "$leader"

echo "# without sessions-dir logins go on"
rm -r "$dir/run/sessions"
login t root && ok "logged in" || fail "logged in"
log_says 'sessions-dir .*: No such file or directory; file reports will not name'
logout "$leader"

echo "# kill -9 of the keeper: the others end too, the next one goes on"
login t root
svm_says ' open id='
id=$(svm_field ' open ' id)
others="$(role_pid agent) $(role_pid pusher)"
kill -9 "$na_keeper"
wait "$na_keeper" 2>/dev/null || :
svm_mark
agent_start
svm_says "^snapshot .* ids $id\$" "sessions go on"
gone() { local p; for p; do [ ! -e "/proc/$p" ] || return 1; done; }
# shellcheck disable=SC2086
await 60 gone $others && ok "no process is left behind" || fail "processes are left behind"
logout "$leader"
svm_says "close id=$id reason=1"
agent_stop
[ ! -e "$dir/run/pam.sock" ] && ok "the socket is gone after an orderly end" || fail "socket left"
na_end
