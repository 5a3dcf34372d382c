#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-open.sh - what happens to who opens, executes and saves: verdicts, sharing, the two caches, names
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
fa_put clean hello
fa_put bad 'this is FA-BAD'
fa_put shared hello
cp /bin/true "$mnt/true"
printf '#!/bin/sh\n# FA-BAD\nexit 0\n' >"$mnt/badprog"
chmod 755 "$mnt/badprog"
fa_put linked 'FA-BAD too'
ln "$mnt/linked" "$mnt/link2"
fa_put moved hello
: >"$mnt/empty"
fa_conf
svc_start bad=deny
fa_start
svc_up

# ---- allow, and the kernel's mark ----
check "a clean file opens" ok "$(fa_open "$mnt/clean")"
svc_says '^event .* op 1 size 6 head 6 .*/clean$' "its content went to the service"
check_counter marks_added 1
svc_mark
for _ in 1 2 3 4 5; do cat "$mnt/clean" >/dev/null; done
check "opened again: nothing is asked" 0 "$(svc_count '^event')"
was=$(counter events_open)
for _ in 1 2 3; do cat "$mnt/clean" >/dev/null; done
cat "$mnt/empty"
check_counter answered_empty 1
check "the kernel's mark keeps the event itself away" $((was + 1)) "$(counter events_open)"

# ---- deny ----
check "a bad file does not open" EPERM "$(fa_open "$mnt/bad")"
svc_says '^done .* result 1 denied 1 pid [1-9]'
check "nor the next time" EPERM "$(fa_open "$mnt/bad")"
"$mnt/true" || fail "a clean program does not start"
if "$mnt/badprog" 2>/dev/null; then fail "a bad program starts"; else ok "a bad program does not start"; fi
svc_says '^event .* op 2 .*/true$' "an exec is told as one"

# ---- names ----
check "bad by one name" EPERM "$(fa_open "$mnt/linked")"
check "bad by its other name" EPERM "$(fa_open "$mnt/link2")"
mv "$mnt/bad" "$mnt/renamed"
check "bad by its new name" EPERM "$(fa_open "$mnt/renamed")"
cat "$mnt/moved" >/dev/null
svc_mark
mv "$mnt/moved" "$mnt/moved2"
check "clean by its new name" ok "$(fa_open "$mnt/moved2")"
check "a file without a name" EPERM "$("$fa_file" tmpfile "$mnt" 'FA-BAD' || :)"
check "a clean one" ok "$("$fa_file" tmpfile "$mnt" 'fine')"

# ---- one scan for all ----
svc_mute
svc_mark
for i in 1 2 3 4; do fa_opener "s$i" "$mnt/shared"; done
svc_says '^event .*/shared$'
check_counter held 4 # none of them comes when it is over
svc_mute
for i in 1 2 3 4; do check "opener $i" ok "$(fa_result "s$i")"; done
check "four openers, one question" 1 "$(svc_count '^event .*/shared$')"
check_counter answered_shared 3

# ---- by their own identity ----
uring=$("$fa_file" uring "$mnt/clean") || :
case $uring in
none*) ok "no io_uring here: $uring" ;;
*)
	check "io_uring reads a clean file" hello "$uring"
	check "io_uring does not open a bad one" EPERM "$("$fa_file" uring "$mnt/renamed" || :)"
	;;
esac

# ---- another epoch: nothing that was known counts ----
svc_mark
kill -USR1 "$svc"
svc_says '^epoch'
await 30 fa_has 'other engines' || fail "the agent does not see the epoch"
check "still clean" ok "$(fa_open "$mnt/clean")"
svc_says '^event .*/clean$' "asked anew"
fa_stop
fa_scan_end
