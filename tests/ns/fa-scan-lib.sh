# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-scan-lib.sh - verbs of the worker's tests, on top of file-lib.sh: the real gi-fileagent and
# fa_service, which plays mux and scan service. Sourced.
set -eu
fa_agent=$(readlink -f "${top_builddir:-.}")/fileagent/gi-fileagent
# shellcheck source=tests/ns/file-lib.sh
. "${top_srcdir:-.}/tests/ns/file-lib.sh"
fa_file=$fa_build/tests/ns/fa_file
svc='' svc_n=0

fa_open() { # PATH [SECONDS] - as file-lib.sh's, but fast enough to measure what an opener waits
	local code=0
	timeout -s KILL "${2:-90}" "$fa_file" open "$1" || code=$?
	[ "$code" -lt 2 ] || echo hang
}

svc_start() { # NAME=VALUE... - the service; pid in $svc. What it says from now on: svc_has
	rm -f "$dir/counters"
	svc_n=$((svc_n + 1))
	svc_log=$dir/svc.$svc_n
	: >"$svc_log"
	"$fa_build/tests/ns/fa_service" "$dir/mux" counters="$dir/counters" "$@" >"$svc_log" 2>&1 &
	svc=$!
	fa_pids+=("$svc")
	await 30 grep -q ready "$svc_log" || fail "the test's service does not start"
	svc_line=0
}
svc_stop() { # SIGNAL
	kill "-${1:-KILL}" "$svc"
	wait "$svc" 2>/dev/null || :
}
svc_mark() { svc_line=$(wc -l <"$svc_log"); }
svc_since() { tail -n +$((svc_line + 1)) "$svc_log"; }
svc_has() { svc_since | grep -qE -- "$1"; }
svc_says() { if await "${3:-30}" svc_has "$1"; then ok "${2:-service: $1}"; else fail "${2:-service} ($1)"; fi; }
svc_count() { svc_since | grep -cE -- "$1" || :; }
svc_mute() { # and back
	local was
	was=$(svc_count '^mute')
	kill -USR2 "$svc"
	await 30 svc_more '^mute' "$was"
}
svc_more() { [ "$(svc_count "$1")" -gt "$2" ]; }
svc_up() { # the agent is connected and has its settings
	await 30 svc_has '^hello' || fail "the agent does not connect"
}

# counters come every two seconds, when they changed
counter() { sed -n "s/^$1 //p" "$dir/counters" 2>/dev/null; }
counter_is() { [ "$(counter "$1")" = "$2" ]; }
counter_min() { [ "$(counter "$1")" -ge "$2" ] 2>/dev/null; }
check_counter() { # NAME VALUE
	if await 60 counter_is "$1" "$2"; then ok "$1 $2"; else fail "$1: wanted $2, got $(counter "$1")"; fi
}
check_counter_min() { # NAME VALUE
	if await 60 counter_min "$1" "$2"; then ok "$1 at least $2"; else fail "$1: wanted at least $2, got $(counter "$1")"; fi
}
gone() { [ ! -e "$1" ]; }
fa_scan_end() {
	if [ "$fa_fails" != 0 ]; then echo "--- service"; tail -40 "$svc_log"; fi
	fa_end
}
