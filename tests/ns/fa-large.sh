#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-large.sh - sparse and large files by range, the service's bound, and a flood of closed files
fa_watchdog=900
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
umount "$mnt"
truncate -s 300M "$mnt.img"
mkfs.ext4 -q -F -N 40000 "$mnt.img"
mount -o loop "$mnt.img" "$mnt"
chmod 777 "$mnt"
truncate -s 2G "$mnt/sparse"
head -c 5000000 /dev/zero >"$mnt/five"
printf 'FA-BAD' | dd of="$mnt/five" bs=1 seek=4999000 conv=notrunc status=none
truncate -s 100M "$mnt/toolarge"
mkdir "$mnt/many"
fa_conf 'deadline-rate 1000000000;'
svc_start bad=deny read=all max=99000000
fa_start
svc_up
check "bad in its last bytes" EPERM "$(fa_open "$mnt/five")"
svc_says '^whole .* 5000000$'
check "over the service's bound: on-failure" ok "$(fa_open "$mnt/toolarge")"
svc_says '^passed too large allowed .*/toolarge$' "" 30
check "nothing of it was sent" 0 "$(svc_count '^event .*/toolarge$')"
fa_stop
svc_stop

# ---- 2 GiB of nothing: let through at its deadline or judged before; small ones do not wait for it ----
fa_put small fine
fa_deadlines='deadline-base 500ms; deadline-max 600s; deadline-rate 4000000;'
fa_conf
svc_start bad=deny read=all
fa_start
svc_up
fa_opener big "$mnt/sparse" 600
svc_says '^event .* size 2147483648 '
t=$(now_ms)
check "a small file beside it" ok "$(fa_open "$mnt/small")"
ms=$(($(now_ms) - t))
if [ "$ms" -lt 500 ] || ! fa_opener_done big; then ok "in $ms ms"; else fail "the small one waits $ms ms"; fi
await 600 fa_opener_done big || fail "the opener of the large one hangs"
check "2 GiB, all of it read" ok "$(fa_result big)"
svc_says '^whole .* 2147483648$' "to its end" 60
fa_stop
svc_stop

# ---- more closed files than the kernel's queue holds: the marks go, held openers stay held ----
limit=$(cat /proc/sys/fs/fanotify/max_queued_events 2>/dev/null || echo 16384)
if [ "$limit" -gt 20000 ]; then
	ok "the queue is longer here: $limit"
else
	fa_deadlines='deadline-base 60s; deadline-max 60s;' # nobody waits for that
	fa_conf
	fa_put marked fine
	fa_put mapped "fine, too"
	fa_put bad FA-BAD
	svc_start bad=deny credits=1
	fa_start
	svc_up
	check "before it is mapped" ok "$(fa_open "$mnt/mapped")"
	check_counter_min marks_added 1 # none is made while it is open for writing
	sleep 0.1
	"$fa_file" mmap "$mnt/mapped" FA-BAD >"$dir/mmap" &
	mapper=$!
	fa_pids+=("$mapper")
	await 30 grep -q mapped "$dir/mmap" || fail "nothing is mapped"
	check "it has its mark" ok "$(fa_open "$mnt/mapped")"
	check marked ok "$(fa_open "$mnt/marked")"
	svc_mark
	kill -STOP "$svc" # the one credit is gone with the first file: the others wait in the kernel
	# 8192 of them (FA_SCAN_WRITES_MAX) the agent takes out of the queue, to look at them later
	"$fa_file" many "$mnt/many" $((limit + 8192 + 1500)) fine >/dev/null
	# nobody reads of its close: no mark is to be left that lets it through unseen
	kill -TERM "$mapper"
	wait "$mapper" || :
	fa_opener mapped "$mnt/mapped"
	kill -CONT "$svc"
	await 120 fa_opener_done mapped || fail "the opener of what was mapped hangs"
	check "a store through a mapping with the queue full" EPERM "$(fa_result mapped)"
	# the words about it may be over the log's rate, with a line for each file
	check_counter_min events_overflow 1
	svc_mark
	check "after it: bad is denied" EPERM "$(fa_open "$mnt/bad")"
	check "what was marked" ok "$(fa_open "$mnt/marked")"
	svc_says '^event .*/marked$' "is looked at anew"
	fa_stop
fi
fa_scan_end
