#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-ways.sh - the real agent: every way that a file gets opened or made, who is left out, more
# openers than may be held, a lease, and what a supervisor's death may not lose
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
umount "$mnt"
mkfs.ext4 -q -F -N 8000 "$mnt.img"
mount -o loop "$mnt.img" "$mnt"
chmod 777 "$mnt"
fa_put clean hello
fa_put bad FA-BAD
mkdir "$mnt/out" "$mnt/many"
fa_put out/bad FA-BAD
for f in leased leased2 other late; do fa_put $f fine; done
fa_put mapped "$(head -c 4000 /dev/zero | tr '\0' x)"
"$fa_file" many "$mnt/many" 1300 fine >/dev/null

# ---- programs: scripts, their interpreters, a binary's own loader ----
cp /bin/true "$mnt/true"
{ cat /bin/true; echo FA-BAD; } >"$mnt/badtrue"
printf '#!/bin/sh\nexit 0\n' >"$mnt/script"
printf '#!/bin/sh\n# FA-BAD\nexit 0\n' >"$mnt/badscript"
printf '#!%s\nexit 0\n' "$mnt/badtrue" >"$mnt/interp"
{ cat /lib64/ld-linux-x86-64.so.2; echo FA-BAD; } >"$mnt/ld" 2>/dev/null || :
python3 - "$mnt" <<'PY'
import sys
old, new = b"/lib64/ld-linux-x86-64.so.2", sys.argv[1].encode() + b"/ld"
data = open(sys.argv[1] + "/true", "rb").read()
if old in data and len(new) <= len(old):
    open(sys.argv[1] + "/loaded", "wb").write(data.replace(old, new.ljust(len(old), b"\0")))
PY
chmod -R 755 "$mnt"
runs() { # PROGRAM - yes, or no
	if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi
}
[ ! -e "$mnt/loaded" ] || check "its loader is clean so far" yes "$(runs "$mnt/loaded")"
conf() {
	fa_conf "$@" 'debug-rate 100000;' 'on-failure deny;' 'held-max 1024;'
	# 1,300 openers say much: a disk that is busy with others' matters would stop the worker
	sed -i 's/debug-level 7/debug-level 6/' "$dir/conf"
}
conf 'exclude-paths "'"$mnt"'/out";'
svc_start bad=deny read=all
fa_start
svc_up
check "a program runs" yes "$(runs "$mnt/true")"
check "a bad one does not" no "$(runs "$mnt/badtrue")"
check "a script runs" yes "$(runs "$mnt/script")"
check "a bad script does not" no "$(runs "$mnt/badscript")"
check "nor when its shell reads it" no "$(runs sh "$mnt/badscript")"
check "nor one with a bad interpreter" no "$(runs "$mnt/interp")"
[ ! -e "$mnt/loaded" ] || check "nor one with a bad loader" no "$(runs "$mnt/loaded")"
# what has no file cannot be seen: known, and written down (docs/scan.md)
check "a memfd is not watched" yes "$(runs "$fa_file" memfd "$mnt/true")"

# ---- ways to open and to make a file ----
for how in '' async sqpoll; do
	got=$("$fa_file" uring "$mnt/clean" $how) || :
	case $got in
	none*) ok "no io_uring here: $got" ;;
	*)
		check "io_uring $how reads a clean file" hello "$got"
		check "io_uring $how does not open a bad one" EPERM "$("$fa_file" uring "$mnt/bad" $how || :)"
		;;
	esac
done
check "by its handle" EPERM "$("$fa_file" handle "$mnt/bad" || :)"
check "by its handle, clean" ok "$("$fa_file" handle "$mnt/clean")"
svc_mark
check "made without a name" ok "$("$fa_file" linktmp "$mnt/linked" FA-BAD)"
svc_says '^event .* op 3 size 6 .*/#[0-9]* .deleted.$' "looked at when it is closed, by the name it was opened by"
check "it has a name by now" yes "$([ -e "$mnt/linked" ] && echo yes || echo no)"
check "and denied" EPERM "$(fa_open "$mnt/linked")"

# ---- trap 4: a write lease ----
cat >"$dir/lease.py" <<'PY'
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
while True: # the agent had it open, too, and may have for a moment
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        time.sleep(0.01)
print("leased", flush=True)
signal.pause()
PY
fa_mark_log
python3 "$dir/lease.py" "$mnt/leased" >"$dir/lease.out" &
lease=$!
fa_pids+=("$lease")
await 30 grep -q leased "$dir/lease.out" || fail "no lease"
kill -USR1 "$svc" # who leases it has opened it, so it is marked: a new epoch takes that away
fa_says 'other engines' "new epoch"
check "leased: that opener gets an error" EPERM "$(fa_open "$mnt/leased" | sed 's/EAGAIN\|EWOULDBLOCK/EPERM/')"
check "leased: others are served" ok "$(fa_open "$mnt/other")"
check_counter_min events_lost 1
lost=$(counter events_lost)
mkdir "$mnt/links"
for i in $(seq 0 19); do ln "$mnt/leased" "$mnt/links/f$i"; done
kill -STOP "$(fa_worker)" # for less than 2 s: many are read in one round then
"$fa_file" crowd "$mnt/links" 20 >"$dir/leased" &
fa_pids+=($!)
sleep 0.3
kill -CONT "$(fa_worker)"
await 120 test -s "$dir/leased" || fail "the crowd before a lease hangs"
check "20 openers of one that is leased" "0 in, 20 not" "$(cat "$dir/leased")"
check_counter events_lost $((lost + 20)) # each of them is counted
kill "$lease"
wait "$lease" 2>/dev/null || :
# the same behind a close: that event is lost to us, so everything is looked at anew
cat >"$dir/close.py" <<'PY'
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
fd = os.open(sys.argv[1], os.O_RDWR)
other = os.open(sys.argv[1], os.O_RDWR)
os.write(other, b"more")
print("open", flush=True)
signal.sigwait([signal.SIGUSR1])
os.close(other)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
signal.pause()
PY
python3 "$dir/close.py" "$mnt/leased2" >"$dir/close.out" 2>&1 &
lease=$!
fa_pids+=("$lease")
await 30 grep -q open "$dir/close.out" || fail "it does not open"
agent_has() { # NAME - a process of the agent has it open
	find "/proc/$fa_sup/fd" "/proc/$(fa_worker)/fd" -lname "$mnt/$1" | grep -q .
}
closed_by_agent() { ! agent_has "$1"; }
await 30 closed_by_agent leased2 || fail "the agent does not close it"
fa_mark_log
kill -STOP "$(fa_worker)" # for less than 2 s
kill -USR1 "$lease"
await 1 grep -q leased "$dir/close.out" || fail "no lease: $(tail -1 "$dir/close.out")"
kill -CONT "$(fa_worker)"
fa_says 'events of closed files were lost' "leased behind a close: all is looked at anew"
kill "$lease"

# ---- trap 3: more openers than are held at once: they wait in the kernel, none is denied ----
lost=$(counter events_lost)
svc_mute
svc_mark
"$fa_file" crowd "$mnt/many" 1300 >"$dir/crowd" 2>&1 &
fa_pids+=($!)
check_counter held 1024
check "who comes now waits, too" "" "$(timeout 0.5 cat "$mnt/late" 2>/dev/null || :)"
svc_mute
await 120 test -s "$dir/crowd" || fail "the crowd hangs"
check "1,300 openers" "1300 in, 0 not" "$(cat "$dir/crowd")"
check "no event was lost" "$lost" "$(counter events_lost)"
check_counter held 0
check_counter held_max 1024

# ---- left out by exclude-paths, until the next reload ----
check "left out: opens" ok "$(fa_open "$mnt/out/bad")"
svc_mark
echo 'FA-BAD 2' >"$mnt/out/new"
conf
fa_mark_log
kill -HUP "$fa_sup"
fa_says 'notice: configuration read anew' "reload"
check "not left out any more: open" EPERM "$(fa_open "$mnt/out/bad")"
check "what was saved before was not seen" 0 "$(svc_count '/new$')"
echo 'FA-BAD 3' >"$mnt/out/new2"
svc_says '^event .* op 3 .*/new2$' "not left out any more: save"

# ---- users and programs ----
cp "$fa_file" "$dir/backup"
conf 'exclude-uids 1234;' 'exclude-programs "'"$dir"'/backup";'
fa_mark_log
kill -HUP "$fa_sup"
fa_says 'notice: configuration read anew' "reload"
check "a user left out" ok "$(setpriv --reuid 1234 --regid 1234 --clear-groups "$fa_file" open "$mnt/bad" || :)"
check "a program left out" ok "$("$dir/backup" open "$mnt/bad" || :)"
check "the others are not" EPERM "$(fa_open "$mnt/bad")"
cp "$fa_file" "$dir/own" # a name of one's own for what is left out elsewhere
check "another program's name under its path" EPERM "$(unshare -m --propagation private sh -c \
	'mount --bind "$1/own" "$1/backup" && "$1/backup" open "$2"' - "$dir" "$mnt/bad" || :)"

# ---- trap 7: a store through a mapping leaves the mark alone, so its close has to take it away ----
fa_put stored 'clean before'
fa_open "$mnt/stored" >/dev/null # marked; the kernel marks nothing that is open for writing
sleep 0.1
"$fa_file" mmap "$mnt/stored" 'FA-BAD in it' >"$dir/stored" &
mapper=$!
fa_pids+=("$mapper")
await 30 grep -q mapped "$dir/stored" || fail "nothing is mapped"
svc_mark
kill -TERM "$mapper"
wait "$mapper" || :
svc_says '^done ' "stored through a mapping: found at its close" 30
check "and nobody is let in by its mark" EPERM "$(fa_open "$mnt/stored")"

# ---- a mark that was to go when the supervisor died goes with the next one ----
cat "$mnt/mapped" >/dev/null # marked first: the kernel marks nothing that is open for writing
sleep 0.1
"$fa_file" mmap "$mnt/mapped" 'FA-BAD in a mapping' >"$dir/mapped" &
mapper=$!
fa_pids+=("$mapper")
await 30 grep -q mapped "$dir/mapped"
kill -STOP "$fa_sup"
svc_mark
kill -TERM "$mapper"
wait "$mapper" || :
svc_says '^done ' "the mapping is bad"
kill -9 "$fa_sup"
fa_wait "$fa_sup"
fa_mark_log
fa_run
fa_says 'taken over|took over' "the next supervisor takes over"
fa_says 'watches, .* fim rules' "and is up"
check "what was stored through a mapping" EPERM "$(fa_open "$mnt/mapped")"
fa_stop
fa_scan_end
