#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One supervisor after the other, with somebody who tries an infected file all the time: it must
# never open, whoever of the agent is alive.
# shellcheck source=tests/ns/file-lib.sh
. "$(dirname "$0")/file-lib.sh"

fa_image
for f in clean VIRUS DELETE; do fa_put "$f" "$f"; done
cat >"$dir/try.py" <<'PY'
import os, sys, time
opened = denied = 0
slowest = 0.0
while not os.path.exists(sys.argv[2]):
    t = time.monotonic()
    try:
        os.close(os.open(sys.argv[1], os.O_RDONLY))
        opened += 1
    except OSError:
        denied += 1
    slowest = max(slowest, time.monotonic() - t)
    time.sleep(0.0005)
print("opened", opened)
print("denied", "many" if denied > 100 else denied)
print("slowest_ms", int(slowest * 1000))
PY
serves() { [ "$(fa_open "$mnt/VIRUS")" = EPERM ]; }
fa_conf "on-failure deny;"
FA_TEST_VERSION=0.0.1 fa_start
await 30 serves || fail "it does not serve"
python3 "$dir/try.py" "$mnt/VIRUS" "$dir/enough" >"$dir/try.out" 2>&1 &
try=$!
fa_pids+=("$try")

# ---- a second one ----
code=0
timeout 60 "$fa_agent" -c "$dir/conf" >>"$dir/agent.log" 2>&1 || code=$?
check "a second supervisor: refused" 1 "$code"
fa_says 'another gi-fileagent is running here' "a second supervisor: in words"
cat >"$dir/connect.py" <<'PY'
import os, socket, sys
os.setgroups([])
os.setresuid(65534, 65534, 65534)
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1])
    print("yes")
except OSError:
    print("no")
PY
check "nobody but root reaches the socket" no "$(python3 "$dir/connect.py" "$dir/run/fileagent.sock")"

# ---- SIGUSR2: it ends alone; the next one finds a worker of another version ----
fa_mark_log
kill -USR2 "$fa_sup"
fa_wait "$fa_sup"
check "SIGUSR2: exit code" 0 "$fa_code"
fa_says 'worker: alone' "SIGUSR2: the worker goes on"
check "alone: infected is denied" EPERM "$(fa_open "$mnt/VIRUS")"
check "alone: clean opens" ok "$(fa_open "$mnt/clean")"
old=$(fa_worker)
fa_start
fa_says 'of another version' "another version: said"
await 30 fa_new_worker "$old" && ok "another version: another worker" || fail "another version: the old worker stays"
await 30 serves || fail "it does not serve"
check "actions work" EPERM "$(fa_open "$mnt/DELETE" | sed s/EBUSY/EPERM/)"
check "actions work: deleted" no "$([ -e "$mnt/DELETE" ] && echo yes || echo no)"

# ---- the same version: the same worker ----
old=$(fa_worker)
kill -USR2 "$fa_sup"
fa_wait "$fa_sup"
fa_start
check "the same version: the same worker" "$old" "$(fa_worker)"
check "the same version: clean opens" ok "$(fa_open "$mnt/clean")"

# ---- kill -9, and the worker stopped on top ----
kill -9 "$fa_sup"
wait "$fa_sup" 2>/dev/null || :
kill -STOP "$old"
fa_start
check "a stopped worker is taken over" "$old" "$(fa_worker)"
fa_says 'is taken over' "a stopped worker: said"
check "a stopped worker: serves" EPERM "$(fa_open "$mnt/VIRUS")"

# ---- what was configured while nobody looked ----
kill -9 "$fa_sup"
wait "$fa_sup" 2>/dev/null || :
fa_image "$dir/two"
printf 'VIRUS\n' >"$dir/two/VIRUS"
fa_conf "on-failure deny; watch two { path \"$dir/two\"; }"
fa_start
check "a new watch holds after a takeover" EPERM "$(fa_open "$dir/two/VIRUS")"
kill -9 "$fa_sup"
wait "$fa_sup" 2>/dev/null || :
fa_conf "on-failure deny;"
fa_start
check "a watch that went holds no more" ok "$(fa_open "$dir/two/VIRUS")"

touch "$dir/enough"
await 60 grep -q slowest "$dir/try.out" || fail "the one who tries hangs"
cat "$dir/try.out"
check "never opened, through all of it" "opened 0" "$(grep opened "$dir/try.out")"
check "and tried often" "denied many" "$(grep denied "$dir/try.out")"
fa_stop
umount "$dir/two"
fa_end
