# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# netagent-lib.sh - verbs of the gi-netagent tests. Sourced; makes private mount, network and pid
# namespaces (re-executes the test), a real gi-netagent in them, and netagent_svm, which plays the
# mux and the SVM by script. Everything ends with the test: traps, and PDEATHSIG behind them.
set -eu

skip() { echo "SKIP: $*"; exit 77; }

na_build=$(readlink -f "${top_builddir:-.}")
if [ -z "${IDFW_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root"
	for p in pamtester unshare nsenter ip nft python3; do
		command -v $p >/dev/null || skip "needs $p"
	done
	# processes of its own, too: an agent that starts looks for logins that it missed, and would take
	# those of a test beside it
	IDFW_INSIDE=$$ exec unshare -m -n -p -f --kill-child --mount-proc --propagation private bash "$0" "$@"
fi

dir=$(mktemp -d /tmp/netagent.XXXXXX)
chmod 755 "$dir"
na_pids=() # ours, to be ended
na_keeper='' na_svm='' na_fails=0

# a tree of cgroups of the test's own; "" where there is no cgroup v2
cg=$(awk '/ - cgroup2 / && $4 == "/" { print $5 }' /proc/self/mountinfo | tail -1)
cg=${cg:+$cg/idfw-test-$IDFW_INSIDE}
[ -z "$cg" ] || mkdir "$cg" 2>/dev/null || cg=
cg_remove() { # and what runs there
	[ -n "$cg" ] && [ -d "$cg" ] || return 0
	for _ in {1..200}; do
		find "$cg" -name cgroup.kill -path "*/idfw/*" -exec sh -c 'echo 1 >"$1"' _ {} \; 2>/dev/null || :
		find "$cg" -depth -type d -exec rmdir {} + 2>/dev/null || :
		[ -d "$cg" ] || return 0
		sleep 0.02
	done
	echo "left behind: $cg"
}
cg_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; } # PID - its path
cg_id() { stat -c %i "${cg%/idfw-test-*}$1"; }     # PATH, as a process shows it
na_cleanup() {
	local p
	for p in $na_keeper $na_svm "${na_pids[@]}"; do
		kill -9 "$p" 2>/dev/null || :
	done
	wait 2>/dev/null || :
	cg_remove
	umount -l /etc/pam.d "$dir/spool" 2>/dev/null || :
	rm -rf "$dir"
}
trap na_cleanup EXIT
trap 'echo "FAIL: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND"' ERR
set -E
trap 'exit 1' INT TERM

ok() { echo "ok: $*"; }
fail() {
	echo "FAIL: $*"
	na_fails=$((na_fails + 1))
}
check() { # NAME WANTED GOT
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: wanted $2, got $3"; fi
}
na_end() {
	! grep -E 'Sanitizer|runtime error' "$dir/agent.log" || fail "a sanitizer speaks"
	[ "$na_fails" = 0 ] && return
	echo "--- svm"; cat "$dir/svm.log"
	echo "--- agent"; tail -50 "$dir/agent.log"
	echo "$na_fails failed"
	exit 1
}
await() { # await SECONDS CMD... - until it succeeds
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.01
	done
}
now_ms() { awk '{ print int($1 * 1000) }' /proc/uptime; } # of a clock that nobody sets

# ---- PAM ----
mkdir "$dir/pam.d" "$dir/spool" "$dir/run"
mount --bind "$dir/pam.d" /etc/pam.d
pam() { # SERVICE ARGS... - a stack whose session line is pam_gi.so
	local s=$1
	shift
	{
		printf 'auth required pam_permit.so\naccount required pam_permit.so\n'
		echo "session required $na_build/pam_gi/.libs/pam_gi.so socket=$dir/run/pam.sock $*"
	} >"$dir/pam.d/$s"
}
pam t required timeout_ms=20000
pam w required wait timeout_ms=20000

cat >"$dir/session.py" <<'PY'
import ctypes, signal, sys
pam = ctypes.CDLL("libpam.so.0")
CONV = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
class Conv(ctypes.Structure):
    _fields_ = [("conv", CONV), ("data", ctypes.c_void_p)]
conv = Conv(CONV(lambda n, m, r, d: 19), None)
h = ctypes.c_void_p()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
assert pam.pam_start(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(conv), ctypes.byref(h)) == 0
assert pam.pam_acct_mgmt(h, 0) == 0
rc = pam.pam_open_session(h, 0)
print("opened", rc, flush=True)
if rc == 0:
    signal.sigwait([signal.SIGTERM])
    print("closed", pam.pam_close_session(h, 0), flush=True)
pam.pam_end(h, 0)
PY
# login SERVICE USER - a session that stays open until logout; its leader's pid in $leader
login() {
	: >"$dir/login.out"
	python3 "$dir/session.py" "$1" "$2" >"$dir/login.out" 2>&1 &
	leader=$!
	na_pids+=("$leader")
	await 60 grep -q opened "$dir/login.out" || { fail "login did not come back"; return 1; }
	grep -q 'opened 0' "$dir/login.out"
}
kill9() { # PID - of a child of ours
	kill -9 "$1"
	wait "$1" 2>/dev/null || :
}
logout() { # PID
	kill -TERM "$1"
	wait "$1" 2>/dev/null || :
}

# ---- the SVM's part ----
svm_start() { # [ACKED]
	rm -f "$dir/cmd"
	mkfifo "$dir/cmd"
	"$na_build/tests/ns/netagent_svm" "$dir/mux" "$@" <"$dir/cmd" >>"$dir/svm.log" &
	na_svm=$!
	exec 7>"$dir/cmd"
	await 60 test -S "$dir/mux"
}
svm_stop() {
	exec 7>&-
	kill -9 "$na_svm" 2>/dev/null || :
	wait "$na_svm" 2>/dev/null || :
	na_svm=
}
svm() { printf '%s\n' "$@" >&7; }
svm_mark() { na_mark=$(wc -l <"$dir/svm.log"); } # what follows looks behind this line
svm_since() { tail -n +$((na_mark + 1)) "$dir/svm.log"; }
svm_has() { svm_since | grep -qE -- "$1"; }
svm_says() { # REGEX - generous: the machine may be busy
	if await 60 svm_has "$1"; then ok "${2:-svm hears: $1}"; else fail "${2:-svm hears} ($1)"; fi
}
svm_count() { svm_since | grep -cE -- "$1" || :; }
svm_field() { svm_since | grep -E -- "$1" | tail -1 | sed -nE "s/.* $2=([^ ]*).*/\1/p"; }

# ---- the agent ----
agent_conf() {
	cat >"$dir/conf" <<-E
		mux "unix:$dir/mux";
		pam-socket "$dir/run/pam.sock";
		spool-dir "$dir/spool";
		sessions-dir "$dir/run/sessions";
		spool-max ${na_spool_max:-64MiB};
		user "nobody";
		boot-id-file "$dir/boot_id";
		cgroup-root "$cg";
		session-cgroups ${na_cgroups:-auto};
		table-owner ${na_owner:-auto};
	E
}
echo 01234567-89ab-cdef-0123-456789abcdef >"$dir/boot_id"
agent_start() {
	agent_conf
	# its leak check needs ptrace, which the seccomp filter forbids
	ASAN_OPTIONS=detect_leaks=0 "$na_build/netagent/gi-netagent" -d -c "$dir/conf" >>"$dir/agent.log" 2>&1 &
	na_keeper=$!
	await 60 test -S "$dir/run/pam.sock"
	await 60 agent_is_up
}
agent_is_up() { [ -n "$(role_pid agent)" ] && [ -n "$(role_pid pusher)" ]; }
agent_stop() {
	kill -TERM "$na_keeper"
	wait "$na_keeper" || :
	na_keeper=
}
role_pid() { # agent|pusher - of our keeper
	local p
	for p in $(cat "/proc/$na_keeper/task/$na_keeper/children"); do
		! tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline" | grep -q -- "--$1" || echo "$p"
	done
}
role_kill() { # agent|pusher - kill -9, wait for the next one
	local old=
	# it may be between two lives just now
	until [ -n "$old" ] && kill -9 "$old" 2>/dev/null; do
		sleep 0.02
		old=$(role_pid "$1")
	done
	await 60 role_is_new "$1" "$old" || fail "$1 was not started again"
}
role_is_new() { local p; p=$(role_pid "$1"); [ -n "$p" ] && [ "$p" != "$2" ]; }
log_says() { if await 60 grep -qE -- "$1" "$dir/agent.log"; then ok "log: $1"; else fail "log: $1"; fi; }
: >"$dir/svm.log"
na_mark=0
