# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-reports-lib.sh - what the file agent's reports and replies say: fa_service's lines. Sourced
# behind file-lib.sh.
# shellcheck disable=SC2154 # dir, fa_build: of file-lib.sh

service_start() { # ARGS... - plays mux and scan service; commands by the function order
	mkfifo "$dir/commands" 2>/dev/null || :
	"$fa_build/tests/ns/fa_service" "$dir/mux" commands="$dir/commands" "$@" >>"$dir/service.log" 2>&1 &
	fa_service=$!
	fa_pids+=("$fa_service")
	await 30 grep -q ready "$dir/service.log" || fail "fa_service does not start"
	exec 8>"$dir/commands"
}
service_stop() {
	kill -9 "$fa_service"
	wait "$fa_service" 2>/dev/null || :
}
mark() { fa_mark=$(wc -l <"$dir/service.log"); } # what follows looks behind this line
since() { tail -n +$((fa_mark + 1)) "$dir/service.log"; }
since_has() { since | grep -qE -- "$1"; }
reports() { since | grep -cE -- "$1" || :; } # how many lines
reported() { # REGEX NAME
	if await 30 since_has "$1"; then ok "$2"; else
		fail "$2 ($1)"
		since | tail -3
	fi
}
# counted NAME N REGEX - so many lines come, and no more
counted() {
	await 30 come "$2" "$3" || :
	check "$1" "$2" "$(reports "$3")"
}
come() { [ "$(reports "$2")" -ge "$1" ]; }
order() { printf '%s\n' "$*" >&8; }
: >"$dir/service.log"
fa_mark=0

# session_open ID USER UID - as gi-netagent writes it; this shell is the leader
session_open() {
	python3 - "$dir/run/sessions/$$" "$1" "$2" "$3" "$$" <<'PY'
import os, sys
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128]); n >>= 7
    return out + bytes([n])
def num(f, n): return varint(f << 3) + varint(n)
def text(f, s): return varint(f << 3 | 2) + varint(len(s)) + s.encode()
path, id, user, uid, pid = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
start = int(open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[19])
with open(path + ".new", "wb") as f:
    f.write(num(1, id) + text(2, user) + num(3, uid) + text(4, "test") + num(8, pid) + num(9, start))
os.chmod(path + ".new", 0o644)
os.rename(path + ".new", path)
PY
}
session_close() { rm -f "$dir/run/sessions/$$"; }
