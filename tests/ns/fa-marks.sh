#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Ignore marks outlive nobody who was to take them away, with the real gi-fileagent on an image: the
# supervisor is stopped and killed with an unmark unread; the service has other signatures while no
# supervisor lives; a file is written to while none lives; and the next one takes over.
. "$(dirname "$0")/fa-scan-lib.sh"
fa_image
# a store into a mapping leaves the mark alone: only the agent can take it away
cat >"$dir/store.py" <<'PY'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
m[0:4] = b"MMAP"
m.flush()
m.close()
os.close(fd)
PY
for f in unread epoch stored secret next; do echo "content of $f" >"$mnt/$f"; done
chmod 600 "$mnt/secret" # which the worker's user may not read
fa_conf 'on-failure allow;'
sed -i "s|state-dir \"[^\"]*\"|state-dir \"$mnt/state\"|" "$dir/conf"
svc_start bad=deny
fa_start
svc_up

marked() { # FILE - the kernel asks no more about it
	for _ in $(seq 600); do
		cat "$1" "$1" >/dev/null
		! mark_of "$1" || return 0
		sleep 0.05
	done
	return 1
}
mark_of() { # FILE - by what the kernel says of the groups that the worker holds
	local ino
	ino=$(printf '%x' "$(stat -c %i "$1")")
	grep -hE "^fanotify ino:$ino " "/proc/$fa_wpid/fdinfo/"* 2>/dev/null | grep -q .
}
unmarked() { ! mark_of "$1"; }

for f in unread epoch stored secret next; do
	marked "$mnt/$f" || fail "$f is not marked"
done
ok "all of them are marked"
unread=$mnt/unread

echo "# the supervisor dies with an unmark unread"
kill -STOP "$fa_sup"
python3 "$dir/store.py" "$unread"
svc_says '^event .* op 3 .*/unread$' "the change is seen"
if mark_of "$unread"; then ok "the mark is still there: the unmark waits"; else fail "no mark any more"; fi
kill -9 "$fa_sup"
wait "$fa_sup" 2>/dev/null || :
if await 30 unmarked "$unread"; then ok "gone with the supervisor"; else fail "the mark outlived its supervisor"; fi
svc_mark
cat "$unread" >/dev/null
svc_says '^event .*/unread$' "and the file is looked at"

echo "# the next one takes over: nothing is left of before"
old=$fa_wpid
fa_start
check "the same worker" "$old" "$fa_wpid"
for f in epoch stored secret next; do
	marked "$mnt/$f" || fail "$f is not marked again"
done
ok "marks are set again"

echo "# other signatures while no supervisor lives"
kill -9 "$fa_sup"
wait "$fa_sup" 2>/dev/null || :
fa_says 'the supervisor is gone' "it is gone"
for f in epoch next; do
	if await 30 unmarked "$mnt/$f"; then ok "$f: no mark without a supervisor"; else fail "$f: still marked"; fi
done
kill -USR1 "$svc"
svc_says '^epoch' "another epoch"
svc_mark
cat "$mnt/epoch" >/dev/null
svc_says '^event .*/epoch$' "what old signatures passed is asked about"

echo "# and its own files are still left out: nobody waits for himself"
for d in state state/reports; do
	if mark_of "$mnt/$d"; then ok "$d is left out by the kernel"; else fail "$d is not left out"; fi
done
for i in $(seq 20); do echo "$i" >"$mnt/w$i"; done
check "opens go on" ok "$(fa_open "$mnt/next")"
fa_start
check "the same worker after all" "$old" "$fa_wpid"
check "and it serves" ok "$(fa_open "$mnt/stored")"
fa_stop
svc_stop
fa_scan_end
