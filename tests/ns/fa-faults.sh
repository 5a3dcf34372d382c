#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Faults with openers waiting, strict and lenient: a worker that hangs, ends, stands still; a
# supervisor that is stopped or killed; both. Strict: nobody gets in unscanned. Both: nobody waits
# much beyond the deadline (1.5 s here, 2 s until a worker that stands still is replaced).
# shellcheck source=tests/ns/file-lib.sh
. "$(dirname "$0")/file-lib.sh"

mkfs_args="-N 20000"
mkdir "$mnt"
truncate -s 128M "$mnt.img"
# shellcheck disable=SC2086 # words
mkfs.ext4 -q -F $mkfs_args "$mnt.img"
mount -o loop "$mnt.img" "$mnt" || skip "no loop devices"
[ "$(stat -c %d "$mnt")" != "$(stat -c %d /)" ] || exit 1
for f in clean VIRUS HANG CRASH LOST SLOW; do fa_put "$f" "$f"; done
for i in 1 2 3 4 5; do fa_put "hang$i" HANG; done

fa_deadlines='deadline-base 1500ms; deadline-max 5s;'
faults() { # POLICY UNSCANNED - what an opener gets without a verdict
	local name=$1 got=$2 i t
	fa_conf "on-failure $name;"
	fa_start

	t=$(now_ms)
	check "$name: hanging: at the deadline" "$got" "$(fa_open "$mnt/HANG")"
	t=$(($(now_ms) - t))
	[ $t -ge 1490 ] && ok "$name: hanging: not before it" || fail "$name: hanging: after $t ms"

	check "$name: the worker ends with it" "$got" "$(fa_open "$mnt/CRASH")"
	await 30 fa_new_worker "$fa_wpid" || fail "$name: no new worker"
	if await 30 worker_serves; then ok "$name: the next one serves"; else fail "$name: the next one does not serve"; fi
	check "$name: clean files open" ok "$(fa_open "$mnt/clean")"
	fa_wpid=$(fa_worker)
	check "$name: the worker ends before it knows the number" "$got" "$(fa_open "$mnt/LOST")"
	await 30 fa_new_worker "$fa_wpid" || fail "$name: no new worker"
	await 30 worker_serves || fail "$name: it does not serve"

	fa_wpid=$(fa_worker)
	fa_mark_log
	for i in 1 2 3 4 5; do fa_opener "h$i" "$mnt/hang$i"; done
	await 30 opens_seen 5 || fail "$name: five are not held"
	kill -9 "$fa_wpid"
	for i in 1 2 3 4 5; do check "$name: kill -9 of the worker, opener $i" "$got" "$(fa_result "h$i")"; done
	await 30 worker_serves || fail "$name: it does not serve"

	# it has not even read the event: nothing is passed, the next worker judges
	fa_wpid=$(fa_worker)
	kill -STOP "$fa_wpid"
	fa_opener v "$mnt/VIRUS"
	fa_opener c "$mnt/clean"
	check "$name: stopped worker: infected is denied" EPERM "$(fa_result v)"
	check "$name: stopped worker: clean opens" ok "$(fa_result c)"
	await 30 worker_serves || fail "$name: it does not serve"

	kill -STOP "$fa_sup"
	check "$name: stopped supervisor: infected is denied" EPERM "$(fa_open "$mnt/VIRUS")"
	check "$name: stopped supervisor: clean opens" ok "$(fa_open "$mnt/clean")"
	kill -CONT "$fa_sup"

	# the supervisor goes, with one held for ever: the next one answers it
	fa_mark_log
	fa_wpid=$(fa_worker)
	fa_opener h "$mnt/HANG"
	await 30 opens_seen 1 || fail "$name: it is not held"
	kill -9 "$fa_sup"
	wait "$fa_sup" 2>/dev/null || :
	await 30 fa_has 'worker: alone' || fail "$name: the worker did not notice"
	check "$name: no supervisor: infected is denied" EPERM "$(fa_open "$mnt/VIRUS")"
	check "$name: no supervisor: clean opens" ok "$(fa_open "$mnt/clean")"
	check "$name: no supervisor: who was held still is" "" "$(cat "$dir/h.out")"
	fa_start
	check "$name: the next supervisor answers it" "$got" "$(fa_result h)"
	check "$name: the worker is the same" "$fa_wpid" "$(fa_worker)"
	fa_stop
}
worker_serves() { [ "$(fa_open "$mnt/VIRUS")" = EPERM ]; }
opens_seen() { [ "$(fa_since | grep -c 'worker: open .*hang\|worker: open .*HANG')" -ge "$1" ]; }

faults deny EBUSY
faults allow ok

# ---- a worker that ends again and again: the supervisor answers meanwhile ----
fa_conf "on-failure deny;"
fa_start
for i in 1 2 3 4 5 6; do fa_open "$mnt/CRASH" >/dev/null; done
for i in 1 2 3 4 5; do
	got=$(fa_open "$mnt/VIRUS")
	[ "$got" = EPERM ] || [ "$got" = EBUSY ] || fail "crash loop: VIRUS gives $got"
done
ok "crash loop: nothing is passed"
fa_stop

# ---- trap 1: 17,000 unread notifications do not let an opener through ----
fa_conf
fa_start
cat >"$dir/many.py" <<'PY'
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (17500, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.mkdir(sys.argv[1])
fds = [os.open("%s/%d" % (sys.argv[1], i), os.O_WRONLY | os.O_CREAT, 0o600) for i in range(17000)]
print("open", flush=True)
sys.stdin.readline()
for fd in fds:
    os.close(fd)
print("closed", flush=True)
PY
mkfifo "$dir/many.in"
python3 "$dir/many.py" "$mnt/many" <"$dir/many.in" >"$dir/many.out" 2>&1 &
fa_pids+=($!)
exec 8>"$dir/many.in"
if await 60 grep -q open "$dir/many.out"; then
	kill -STOP "$(fa_worker)"
	echo >&8
	await 60 grep -q closed "$dir/many.out" || fail "the writer hangs"
	check "17,000 unread notifications: infected is denied" EPERM "$(fa_open "$mnt/VIRUS")"
else
	fail "17,000 files: $(tail -1 "$dir/many.out")"
fi
exec 8>&-

# ---- trap 5: nobody else holds the groups ----
holders=0
for p in /proc/[0-9]*; do
	p=${p#/proc/}
	if [ "$p" != "$fa_sup" ] && [ "$p" != "$(fa_worker)" ] && fa_is_agent "$p" &&
		[ -n "$(find "/proc/$p/fd" -lname 'anon_inode:\[fanotify\]' 2>/dev/null)" ]; then
		case $(tr '\0' ' ' <"/proc/$p/cmdline") in *"$dir/conf"*) holders=$((holders + 1)) ;; esac
	fi
done
check "no third process holds the groups" 0 "$holders"
check "the worker has the three groups" 3 "$(find "/proc/$(fa_worker)/fd" -lname 'anon_inode:\[fanotify\]' | wc -l)"

# ---- trap 6: numbers are used again and again; each answer finds its opener ----
cat >"$dir/mix.py" <<'PY'
import os, sys
bad = 0
for i in range(400):
    for name, want in (("clean", True), ("VIRUS", False)):
        try:
            os.close(os.open(sys.argv[1] + "/" + name, os.O_RDONLY))
            got = True
        except PermissionError:
            got = False
        bad += got != want
print(bad)
PY
await 30 worker_serves || fail "it does not serve"
mix=()
for i in 1 2 3 4; do
	python3 "$dir/mix.py" "$mnt" >"$dir/mix$i.out" 2>&1 &
	mix+=($!)
done
fa_pids+=("${mix[@]}")
for i in 1 2 3 4; do
	wait "${mix[$((i - 1))]}" || :
	check "3,200 mixed opens, part $i: wrong answers" 0 "$(cat "$dir/mix$i.out")"
done

# ---- trap 2: both die at once: the kernel lets everybody through. It is known, and written down ----
fa_mark_log
fa_opener both "$mnt/HANG"
await 30 opens_seen 1 || fail "it is not held"
fa_wpid=$(fa_worker)
kill -9 "$fa_sup" "$fa_wpid"
check "both killed: the kernel lets go" ok "$(fa_result both)"
fa_end
