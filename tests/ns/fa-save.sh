#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-save.sh - files that are written: at close, through mappings, while they are scanned, for ever;
# delete, quarantine, replace
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
fa_put clean hello
fa_put mapped "$(head -c 4000 /dev/zero | tr '\0' x)"
fa_put changing hello
fa_put infected 'before FA-BAD after'
chmod 640 "$mnt/infected"
fa_conf
svc_start bad=delete
fa_start
svc_up

# ---- delete at close; nobody reads it in between ----
start=$(now_ms)
echo 'FA-BAD' >"$mnt/saved"
if await 30 gone "$mnt/saved"; then ok "gone $(($(now_ms) - start)) ms after it was saved"; else fail "it stays"; fi
svc_says '^done .* result 1 denied 0 pid [1-9]'
echo fine >"$mnt/fine"
svc_says '^event .* op 3 .*/fine$'
svc_mark
check "what was looked at when it was saved" ok "$(fa_open "$mnt/fine")"
check "is not looked at again" 0 "$(svc_count '^event')"

# ---- a mark does not outlive a write (the kernel), nor a store through a mapping (we) ----
check clean ok "$(fa_open "$mnt/clean")"
check_counter_min marks_added 2
svc_mark
echo more >>"$mnt/clean"
svc_says '^event .* op 3 .*/clean$' "written: looked at"
check mapped ok "$(fa_open "$mnt/mapped")"
"$fa_file" mmap "$mnt/mapped" 'FA-BAD in a mapping' >"$dir/mapped" &
mapper=$!
fa_pids+=("$mapper")
await 30 grep -q mapped "$dir/mapped"
cat "$mnt/mapped" >/dev/null
svc_mark
kill -TERM "$mapper"
wait "$mapper" || :
svc_says '^event .* op 3 .*/mapped$' "stored through a mapping: looked at when it is unmapped"
if await 30 gone "$mnt/mapped"; then ok "and deleted"; else fail "the mapped file stays"; fi

# ---- changed while it is scanned: the verdict is about something else ----
svc_mute
svc_mark
fa_opener c "$mnt/changing"
svc_says '^event .*/changing$'
# written to by who has it open already, so without an event: only the comparison can tell
exec 9<>"$dir/none"
python3 - "$mnt/changing" <<'PY' &
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.truncate(sys.argv[1].encode(), ctypes.c_long(3))
PY
wait $!
exec 9<&-
svc_mute
check "still let through" ok "$(fa_result c)"
check "after a second look" 2 "$(svc_count '^event .* op 1 .*/changing$')"
check_counter_min changed_during_scan 1

# ---- writers that never stop cost one scan at a time, and nobody hangs ----
svc_mark
"$fa_file" writer "$mnt/busy" 2 >"$dir/writes" &
writer=$!
"$fa_file" keepwriting "$mnt/log" 2 >/dev/null &
keeper=$!
fa_pids+=("$writer" "$keeper")
await 30 test -s "$mnt/log"
sleep 0.3
check "reading what is being written" ok "$(fa_open "$mnt/log")"
wait "$writer" "$keeper" || :
writes=$(cat "$dir/writes")
asked=$(svc_count '^event .*/busy$')
if [ "$asked" -le "$((writes * 2))" ]; then ok "$writes saves, $asked questions"; else fail "$writes saves, $asked questions"; fi
fa_stop
svc_stop

# ---- quarantine and replace ----
for how in quarantine replace; do
	fa_mark_log
	svc_start bad=$how
	fa_start
	svc_up
	case $how in
	quarantine)
		echo 'FA-BAD again' >"$mnt/taken"
		if await 30 gone "$mnt/taken"; then ok "quarantined"; else fail "it stays"; fi
		svc_says '^done .* result 1'
		check_counter_min verdict_quarantine 1
		;;
	replace)
		ino=$(stat -c %i "$mnt/infected")
		check "the opener may try again" EAGAIN "$(fa_open "$mnt/infected")"
		check "and finds it clean" 'cleaned!' "$(cat "$mnt/infected")"
		check "mode is kept" 640 "$(stat -c %a "$mnt/infected")"
		[ "$(stat -c %i "$mnt/infected")" != "$ino" ] || fail "the same inode"
		;;
	esac
	fa_stop
	svc_stop
done
fa_scan_end
