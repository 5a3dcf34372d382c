# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# file-lib.sh - verbs of the file agent's tests. Sourced; makes private mount and pid namespaces
# (re-executes the test), an ext4 image of its own at $mnt, a configuration, and starts the agent
# that $fa_agent names. Permission marks are only ever set on that image. A watchdog kills the
# agent, and with it every hold, $fa_watchdog seconds after the start, whatever the test does.
set -eu

skip() { echo "SKIP: $*"; exit 77; }

fa_build=$(readlink -f "${top_builddir:-.}")
# shellcheck disable=SC2034 # used by the tests
fa_src=$(readlink -f "${top_srcdir:-.}")
if [ -z "${IDFW_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root"
	for p in unshare mkfs.ext4 mount; do
		command -v $p >/dev/null || skip "needs $p"
	done
	# of pids, too: one that is killed twice may be another test's by then; init is not the test: what it adopts is nobody's
	# shellcheck disable=SC2016
	IDFW_INSIDE=1 exec unshare -m -p -f --kill-child --mount-proc --propagation private sh -c 'bash "$0" "$@"; exit $?' "$0" "$@"
fi

fa_base=$(mktemp -d /tmp/fa.XXXXXX)
dir=$fa_base/t fa_rootdir=$fa_base/rootdir # the second is on the file system of /
mkdir "$dir" "$fa_rootdir"
mount -t tmpfs -o mode=755 tmpfs "$dir" # images too: a disk that is busy with others' matters holds nobody here
chmod 755 "$fa_base"
mnt=$dir/mnt
fa_agent=${fa_agent:-$fa_build/tests/ns/fa_agent}
fa_watchdog=${fa_watchdog:-600}
fa_pids=() # ours, to be ended
fa_sup='' fa_fails=0 fa_dog=''

fa_is_agent() { # PID - it runs our program
	case $(readlink "/proc/$1/exe" 2>/dev/null) in
	*/fa_agent | */lt-fa_agent | */gi-fileagent | */lt-gi-fileagent) return 0 ;;
	esac
	return 1
}
fa_worker() { # pid of the worker, as the supervisor noted it; an orphan's, too
	local p=''
	read -r p _ 2>/dev/null <"$dir/run/fileagent.lock" || :
	[ -z "$p" ] || ! fa_is_agent "$p" || echo "$p"
}
fa_kill_agents() {
	local p
	for p in $(fa_worker) $(cat "$dir/sups" 2>/dev/null); do
		! fa_is_agent "$p" || kill -9 "$p" 2>/dev/null || :
	done
}
fa_cleanup() {
	local p
	trap - ERR
	fa_kill_agents
	for p in "${fa_pids[@]}" $fa_dog; do
		kill -9 "$p" 2>/dev/null || :
	done
	wait 2>/dev/null || :
	awk -v top="$fa_base/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | tac |
		while read -r p; do umount -l "$p" 2>/dev/null || :; done
	rm -rf --one-file-system "$fa_base"
}
trap fa_cleanup EXIT
trap 'echo "FAIL: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND"' ERR
set -E
trap 'exit 1' INT TERM

ok() { echo "ok: $*"; }
fail() {
	echo "FAIL: $*"
	fa_fails=$((fa_fails + 1))
}
check() { # NAME WANTED GOT
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: wanted $2, got $3"; fi
}
fa_end() {
	! grep -E 'Sanitizer|runtime error' "$dir/agent.log" || fail "a sanitizer speaks"
	[ "$fa_fails" = 0 ] && return
	echo "--- agent"; grep -vE ' (info|debug): ' "$dir/agent.log" | tail -40
	echo "--- its last lines"; tail -60 "$dir/agent.log"
	echo "$fa_fails failed"
	exit 1
}
await() { # await SECONDS CMD... - until it succeeds
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt "$end" ] || return 1
		sleep 0.01
	done
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }

fa_image() { # [PATH] - an ext4 image of our own, mounted there
	local at=${1:-$mnt}
	mkdir -p "$at"
	truncate -s 64M "$at.img"
	mkfs.ext4 -q -F "$at.img"
	mount -o loop "$at.img" "$at" || skip "no loop devices"
	[ "$(stat -c %d "$at")" != "$(stat -c %d /)" ] || { echo "FAIL: the image is not mounted"; exit 1; }
	chmod 777 "$at"
}

# fa_conf LINE... - the configuration: what every test needs, and these lines. The watch is fa_watch.
fa_watch='path "'$mnt'";'
fa_deadlines='deadline-base 30s; deadline-max 40s;' # a loaded machine does not run into them
fa_conf() {
	{
		printf 'mux "unix:%s/mux"; user "nobody"; run-dir "%s/run"; state-dir "%s/state";\n' "$dir" "$dir" "$dir"
		printf 'quarantine-dir "%s/quarantine"; boot-id-file "%s/boot_id"; debug-level 7;\n' "$dir" "$dir"
		printf '%s\n' "$fa_deadlines"
		printf '%s\n' "$@"
		printf 'watch image { %s }\n' "$fa_watch"
	} >"$dir/conf"
}
echo 01234567-89ab-cdef-0123-456789abcdef >"$dir/boot_id"

fa_run() { # ARGS... - the agent in the background; pid in $fa_sup
	ASAN_OPTIONS=detect_leaks=0 "$fa_agent" -c "$dir/conf" "$@" >>"$dir/agent.log" 2>&1 &
	fa_sup=$!
	echo "$fa_sup" >>"$dir/sups"
	# it outlives us: the openers must not
	if [ -z "$fa_dog" ]; then
		(
			trap - EXIT ERR INT TERM
			sleep "$fa_watchdog"
			echo "watchdog: $fa_watchdog s are over" >>"$dir/agent.log"
			fa_kill_agents
		) >/dev/null 2>&1 &
		fa_dog=$!
	fi
}
fa_start() { # ARGS... - and waits until the image is watched
	fa_mark_log
	fa_run "$@"
	await 30 fa_has 'watches, .* fim rules' || fail "the agent does not start"
	await 30 fa_has 'worker: up|taken over' || fail "no worker"
	# shellcheck disable=SC2034 # used by the tests
	fa_wpid=$(fa_worker)
}
fa_stop() { # orderly
	kill -TERM "$fa_sup"
	fa_wait "$fa_sup"
	fa_sup=
}
fa_wait() { # PID - its exit code in $fa_code
	fa_code=0
	# shellcheck disable=SC2034 # used by the tests
	wait "$1" 2>/dev/null || fa_code=$?
}
fa_new_worker() { # OLD - there is another one
	local p
	p=$(fa_worker)
	[ -n "$p" ] && [ "$p" != "$1" ]
}
fa_mark_log() { fa_line=$(wc -l <"$dir/agent.log"); } # what follows looks behind this line
fa_since() { tail -n +$((fa_line + 1)) "$dir/agent.log"; }
fa_has() { fa_since | grep -qE -- "$1"; }
fa_says() { if await 30 fa_has "$1"; then ok "${2:-log: $1}"; else fail "${2:-log} ($1)"; fi; }
: >"$dir/agent.log"
fa_line=0

# ---- files and openers ----
fa_put() { # NAME CONTENT - written before the agent looks (bind it into place if it runs)
	printf '%s\n' "$2" >"$mnt/$1"
	chmod 755 "$mnt/$1"
}
# opens PATH for reading in a process of its own; prints "ok", or the errno's name
cat >"$dir/open.py" <<'PY'
import errno, os, sys
try:
    os.close(os.open(sys.argv[1], os.O_RDONLY))
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
PY
fa_open() { timeout -s KILL "${2:-90}" python3 "$dir/open.py" "$1" || echo hang; }
fa_opener() { # NAME PATH [SECONDS] - in the background; result in $dir/NAME.out, its pid in $fa_opened
	fa_open "$2" "${3:-120}" >"$dir/$1.out" &
	fa_opened=$!
	fa_pids+=("$fa_opened")
}
fa_opener_done() { [ -s "$dir/$1.out" ]; }
fa_result() { # NAME - waits for the opener
	await 120 fa_opener_done "$1" || echo hang >"$dir/$1.out"
	cat "$dir/$1.out"
}
