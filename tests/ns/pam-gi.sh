#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pam_gi.so under a real libpam (pamtester) against agents of every manner: what the module sends,
# whom it lets in, and how long it takes at most. Root; namespaces of its own.
set -eu
skip() { echo "SKIP: $*"; exit 77; }

if [ -z "${IDFW_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root"
	for p in pamtester python3 unshare; do
		command -v $p >/dev/null || skip "needs $p"
	done
	# and of pids: one that is killed twice may be another test's by then
	IDFW_INSIDE=1 exec unshare -m -p -f --kill-child --mount-proc --propagation private bash "$0" "$@"
fi

so=$(readlink -f "${top_builddir:-.}/pam_gi/.libs/pam_gi.so")
dir=$(mktemp -d /tmp/pam_gi.XXXXXX)
agent=
holder=
stop_agent() {
	for pid in $agent $holder; do
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	agent='' holder=''
}
trap 'stop_agent; umount -l /etc/pam.d 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
mkdir "$dir/pam.d"
mount --bind "$dir/pam.d" /etc/pam.d
sock=$dir/s

fails=0
check() { # NAME WANTED GOT
	if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAIL: $1: wanted $2, got $3"; fails=$((fails + 1)); fi
}
waited() { # NAME LEAST MS
	if [ "$3" -ge "$2" ]; then echo "ok: $1: $3 ms"
	else echo "FAIL: $1: $3 ms are less than $2"; fails=$((fails + 1)); fi
}
now_ms() { awk '{ print int($1 * 1000) }' /proc/uptime; } # of a clock that nobody sets

# An agent: accepts, writes what it got to $dir/got, then does what its manner says.
cat >"$dir/agent.py" <<'PY'
import os, signal, socket, sys
manner, path, got = sys.argv[1:4]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen(0 if manner == "stopped" else 8)
print("ready", flush=True)
if manner == "stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
kept = []
while True:
    c, _ = s.accept()
    block = c.recv(8192)
    with open(got, "ab") as f:
        f.write(block.replace(b"\0", b"\n") + b"--\n")
    if manner == "ok":
        c.send(b"IDFW=1\0STATUS=ok\0SESSION=4711\0")
    elif manner == "refused":
        c.send(b"IDFW=1\0STATUS=refused\0TEXT=not today\0")
    elif manner == "timeout":
        c.send(b"IDFW=1\0STATUS=timeout\0SESSION=4711\0")
    elif manner == "degraded":
        c.send(b"IDFW=1\0STATUS=degraded\0SESSION=4711\0")
    elif manner == "garbage":
        c.send(os.urandom(512))
    elif manner == "oversize":
        c.send(b"IDFW=1\0STATUS=ok\0X=" + b"x" * 9000 + b"\0")
    if manner in ("silent",):
        kept.append(c)
    else:
        c.close()
PY
start_agent() {
	stop_agent
	rm -f "$sock" "$dir/got" "$dir/ready"
	mkfifo "$dir/ready"
	python3 "$dir/agent.py" "$1" "$sock" "$dir/got" >"$dir/ready" &
	agent=$!
	head -n1 "$dir/ready" >/dev/null
	# a stopped agent with a full backlog: connections take the one place there is
	[ "$1" = stopped ] || return 0
	python3 - "$sock" >"$dir/ready" <<'PY' &
import socket, sys, time
held = []
for _ in range(4):
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.setblocking(False)
    held.append(c)
    try:
        c.connect(sys.argv[1])
    except BlockingIOError:
        break
print("full", flush=True)
time.sleep(60)
PY
	holder=$!
	head -n1 "$dir/ready" >/dev/null
}
pam() { # the session lines of service "t"
	{ printf 'auth required pam_permit.so\naccount required pam_permit.so\n'
	for line; do echo "session $line"; done; } >"$dir/pam.d/t"
}
login() { # sets rc (0, 1, hangs) and ms
	local t0
	t0=$(now_ms) rc=0
	timeout 40 pamtester "$@" >"$dir/out" 2>&1 || rc=$?
	ms=$(($(now_ms) - t0))
	case $rc in 0) ;; 124) rc=hangs ;; *) rc=1 ;; esac
}
long=60000 # who waits as long is found hanging

echo "# what is sent"
pam "required $so socket=$sock timeout_ms=$long"
start_agent ok
login -I rhost=client.example -I tty=pts/7 -E SSH_CONNECTION='fd77::7 50000 fd77::1 22' \
	-E 'SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAA' t root open_session close_session
check "open and close succeed" 0 $rc
check "the blocks" "$(printf '%s\n' IDFW=1 EVENT=open USER=root UID=0 SERVICE=t TTY=pts/7 \
	RHOST=client.example 'AUTH=publickey ssh-ed25519 AAAA' PEER=fd77::7 TIMEOUT_MS=N -- \
	IDFW=1 EVENT=close USER=root UID=0 SERVICE=t TTY=pts/7 RHOST=client.example \
	'AUTH=publickey ssh-ed25519 AAAA' PEER=fd77::7 SESSION=4711 TIMEOUT_MS=N --)" \
	"$(sed 's/^TIMEOUT_MS=[0-9]*$/TIMEOUT_MS=N/' "$dir/got")"
check "nothing printed" "" "$(grep -v '^pamtester: ' "$dir/out" || :)"
pam "required $so socket=$sock timeout_ms=$long wait"
rm -f "$dir/got"
login t root open_session
check "wait is said" WAIT=1 "$(grep WAIT "$dir/got")"

echo "# whom it lets in: not required (alone in its stack) / required"
for manner in none ok degraded timeout refused silent closed garbage oversize stopped; do
	case $manner in
	ok | degraded) need=0 ;;
	*) need=1 ;;
	esac
	case $manner in
	silent | stopped | none) limit=300 low=280 ;;
	*) limit=$long low=0 ;;
	esac
	if [ $manner = none ]; then stop_agent; rm -f "$sock"; else start_agent $manner; fi
	pam "required $so socket=$sock timeout_ms=$limit"
	login t root open_session
	check "$manner, not required: let in" 0 $rc
	waited "$manner, delay" $low "$ms"
	pam "required $so socket=$sock timeout_ms=$limit required"
	login t root open_session
	check "$manner, required" $need $rc
	waited "$manner, delay" $low "$ms"
	login t root close_session
	check "$manner, close never fails" 0 $rc
done
stop_agent

echo "# an agent that goes away under an event, and the next one on the same listener"
start_agent closed
rm -f "$dir/got"
pam "required $so socket=$sock timeout_ms=$long required"
login t root open_session
check "asked three times in all" 3 "$(grep -c '^EVENT=open' "$dir/got")"
check "and says so" 2 "$(grep -c '^RETRY=1' "$dir/got")"
stop_agent

echo "# an agent that is being started: a login waits for it, no longer than timeout_ms"
for before in nothing leftover; do
	stop_agent
	rm -f "$sock"
	[ $before = nothing ] || python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$sock" # nobody listens
	pam "required $so socket=$sock timeout_ms=$long required"
	login t root open_session &
	waiting=$!
	sleep 0.3
	kill -0 $waiting || check "$before: it waits" yes no
	start_agent ok
	wait $waiting || :
	check "$before: asked when it is there" 1 "$(grep -c '^EVENT=open' "$dir/got")"
	check "$before: as the first time" 0 "$(grep -c '^RETRY=1' "$dir/got" || :)"
	check "$before: let in" "pamtester: successfully opened a session" "$(cat "$dir/out")"
done
stop_agent
rm -f "$sock"
login t root close_session
check "a logout does not wait" 0 $rc

echo "# wrong arguments change nothing"
pam "required $so socket=relative timeout_ms=abc requierd"
login t root open_session
check "let in" 0 $rc
pam "required $so socket=$sock timeout_ms=0"
login t root open_session
check "timeout 0, let in" 0 $rc

[ $fails = 0 ] || { echo "$fails failed"; exit 1; }
