#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# File integrity monitoring, with the real gi-fileagent on an image: writes, renames, deletions,
# mode and owner, hard links, mapped stores, directories; the worker killed in between; a damaged
# baseline. fa_service plays mux and service and prints what is reported.
fa_agent=${top_builddir:-.}/fileagent/gi-fileagent
fa_agent=$(readlink -f "$fa_agent")
. "$(dirname "$0")/file-lib.sh"
. "$(dirname "$0")/fa-reports-lib.sh"

fa_image
mkdir -p "$mnt/w/sub" "$mnt/w/x" "$mnt/o" "$dir/run/sessions"
chmod 755 "$dir/run" "$dir/run/sessions"
echo one >"$mnt/w/a"
echo two >"$mnt/w/sub/b"
echo target >"$mnt/w/linked"
ln "$mnt/w/linked" "$mnt/o/other-name"
fa_rule="fim site { paths $mnt/w; exclude $mnt/w/x; }"
fa_conf "$fa_rule"
service_start
fa_start
fa_says 'fim site: baseline built' "the baseline is built"
check "and nothing is reported of it" 0 "$(reports 'fim')"

sum() { sha256sum "$1" | cut -c1-8; }
old=$(sum "$mnt/w/a")

echo "# writes"
mark
echo changed >"$mnt/w/a"
reported "fim [0-9]+ site WRITE $mnt/w/a before=$old after=$(sum "$mnt/w/a") mode=644,644" "a write, before and after"
reported "WRITE .* by pid=[0-9]+ uid=0 session=0" "and who did it"
mark
echo new >"$mnt/w/new"
reported "CREATE $mnt/w/new before= after=$(sum "$mnt/w/new") mode=0,644" "a new file, once, with its content"
mark
echo outside >"$mnt/o/f"
echo excluded >"$mnt/w/x/f"
start=$(now_ms)
python3 - "$mnt/w/a" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for i in range(2000):
    os.pwrite(fd, b"%d" % i, 0)
os.close(fd)
for i in range(300):
    with open(sys.argv[1], "a") as f:
        f.write("x")
PY
last=$(sum "$mnt/w/a")
reported "WRITE $mnt/w/a .*after=$last" "a storm of writes: its end is reported"
most=$((5 + 3 * ($(now_ms) - start) / 1000)) # on a busy machine it takes its time
records=$(reports "WRITE $mnt/w/a")
[ "$records" -le $most ] && [ "$records" -lt 100 ] && ok "in few records: $records" || fail "$records records of a storm"
check "nothing of what is outside, or excluded" 0 "$(since | grep -cE "fim .*$mnt/(o|w/x)/f" || :)"

echo "# a store into a mapping, seen when it is unmapped"
mark
python3 - "$mnt/w/a" <<'PY'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
os.close(fd)
m[0:4] = b"MMAP"
m.close()
PY
reported "WRITE $mnt/w/a before=$last after=$(sum "$mnt/w/a")" "mapped store"

echo "# mode, owner"
mark
chmod 4755 "$mnt/w/new"
reported "ATTRIB $mnt/w/new .*mode=644,4755 uid=0,0" "chmod"
mark
chown 12 "$mnt/w/sub/b"
reported "ATTRIB $mnt/w/sub/b .*uid=0,12" "chown"

echo "# renames"
mark
mv "$mnt/w/new" "$mnt/w/sub/moved"
reported "RENAME $mnt/w/new to $mnt/w/sub/moved .*comm=mv" "within"
mark
mv "$mnt/w/sub/moved" "$mnt/o/gone"
reported "RENAME $mnt/w/sub/moved to $mnt/o/gone" "out"
mark
echo evil >"$mnt/o/gone"
mv "$mnt/o/gone" "$mnt/w/back"
reported "RENAME $mnt/o/gone to $mnt/w/back before= after=$(sum "$mnt/w/back")" "in"
old=$(sum "$mnt/w/a")
mark
echo replaced >"$mnt/w/.a.tmp"
mv "$mnt/w/.a.tmp" "$mnt/w/a"
reported "RENAME $mnt/w/.a.tmp to $mnt/w/a before=$old after=$(sum "$mnt/w/a")" "over another: what was there before"

echo "# directories"
mark
mkdir "$mnt/w/d"
echo inside >"$mnt/w/d/f"
reported "CREATE $mnt/w/d " "a new directory"
reported "CREATE $mnt/w/d/f before= after=$(sum "$mnt/w/d/f")" "and a file in it"
mark
mv "$mnt/w/d" "$mnt/w/e"
reported "RENAME $mnt/w/d to $mnt/w/e" "a directory is renamed"
echo more >>"$mnt/w/e/f"
reported "WRITE $mnt/w/e/f before=[0-9a-f]+ after=$(sum "$mnt/w/e/f")" "its files are known at their new place"
mkdir "$mnt/o/tree"
echo planted >"$mnt/o/tree/f"
mark
mv "$mnt/o/tree" "$mnt/w/tree"
reported "RENAME $mnt/o/tree to $mnt/w/tree" "a tree is moved in"
reported "CREATE $mnt/w/tree/f .*after=$(sum "$mnt/w/tree/f")" "and what is in it is seen"

echo "# hard links"
mark
old=$(sum "$mnt/w/linked")
echo through >"$mnt/o/other-name"
reported "WRITE $mnt/w/linked before=$old after=$(sum "$mnt/w/linked")" "written by its name outside the rule"
mark
ln "$mnt/w/back" "$mnt/w/back2"
reported "CREATE $mnt/w/back2 before= after=$(sum "$mnt/w/back")" "a new link"

echo "# deletions"
mark
old=$(sum "$mnt/w/back2")
rm "$mnt/w/back2"
reported "DELETE $mnt/w/back2 before=$old after= .*comm=rm" "rm"
mark
rm -r "$mnt/w/tree"
reported "DELETE $mnt/w/tree/f" "rm -r: its files"
reported "DELETE $mnt/w/tree " "and itself"

echo "# a session"
mark
session_open 4711 alice 1001
# it is there until it has been looked at, whatever else runs on this machine
sh -c "echo s >$mnt/w/by-alice; until [ -e $dir/looked ]; do sleep 0.05; done" &
fa_pids+=($!)
reported "CREATE $mnt/w/by-alice .* session=4711 user=alice" "whose session it was"
: >"$dir/looked"
wait "${fa_pids[-1]}"
session_close

echo "# kill -9 of the worker: nothing is lost, little is told twice"
sleep 1 # what was said last has to be in the journal: looks of it are over
mark
old=$(sum "$mnt/w/a")
kill -STOP "$fa_wpid"
echo unseen >"$mnt/w/a"
rm "$mnt/w/back"
echo fresh >"$mnt/w/fresh"
kill -9 "$fa_wpid" 2>/dev/null || : # or the supervisor has replaced it already
await 30 fa_new_worker "$fa_wpid" || fail "no new worker"
fa_wpid=$(fa_worker)
reported "(WRITE|BASELINE) $mnt/w/a before=$old after=$(sum "$mnt/w/a")" "a change while nobody looked"
reported "(DELETE|BASELINE) $mnt/w/back before=[0-9a-f]+ after= " "a deletion"
reported "(CREATE|BASELINE) $mnt/w/fresh before= after=$(sum "$mnt/w/fresh")" "a new file"

echo "# stopped, changed, started"
fa_stop
mark
old=$(sum "$mnt/w/sub/b")
echo offline >"$mnt/w/sub/b"
chmod 600 "$mnt/w/linked"
fa_start
reported "BASELINE $mnt/w/sub/b before=$old after=$(sum "$mnt/w/sub/b")" "changed while nobody watched"
reported "BASELINE $mnt/w/linked .*mode=644,600" "mode changed while nobody watched"
check "and nothing else" 2 "$(since | grep -c BASELINE)"
check "who is not known" 0 "$(since | grep -c 'BASELINE.* by ' || :)"

echo "# the baseline is damaged"
fa_stop
for f in "$dir"/state/fim/seg-*; do
	printf 'garbage' | dd of="$f" bs=1 seek=20 conv=notrunc status=none
done
mark
fa_mark_log
fa_start
fa_says 'the baseline was damaged' "said"
reported "BASELINE $mnt/w before= after= " "and reported"
fa_says 'fim site: baseline built' "and built anew"
mark
echo again >"$mnt/w/a"
reported "WRITE $mnt/w/a before=[0-9a-f]+ after=$(sum "$mnt/w/a")" "it goes on"
fa_stop
fa_end
