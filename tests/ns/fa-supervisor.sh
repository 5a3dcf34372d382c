#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The supervisor with a small worker: what is held, denied, acted upon; start, reload, refusals, end.
# shellcheck source=tests/ns/file-lib.sh
. "$(dirname "$0")/file-lib.sh"

fa_image
for f in clean VIRUS MARK DELETE QUARANTINE REPLACE STALE; do fa_put "$f" "$f"; done
fa_put twice QUARANTINE
ln "$mnt/twice" "$mnt/again"
mkdir "$mnt/skip" "$mnt/sub"
fa_put skip/VIRUS VIRUS
fa_put ours.txt VIRUS
printf '#!/bin/sh\n# no\n' >"$mnt/run.sh"
chmod 755 "$mnt/run.sh"
fa_watch='path "'$mnt'"; exclude "'$mnt'/skip"; on-block EIO;'
fa_conf

# ---- it starts, as whom ----
fa_start
check "the worker has no capability" 0000000000000000 "$(sed -n 's/^CapPrm:\t//p' "/proc/$fa_wpid/status")"
check "the worker is not root" 65534 "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$fa_wpid/status")"
check "socket for the successor" "600 0" "$(stat -c '%a %u' "$dir/run/fileagent.sock")"
check "quarantine is root's alone" "700 0" "$(stat -c '%a %u' "$dir/quarantine")"

# ---- opens ----
check "a clean file opens" ok "$(fa_open "$mnt/clean")"
check "an infected file does not, with the errno of on-block" EIO "$(fa_open "$mnt/VIRUS")"
check "an excluded path opens" ok "$(fa_open "$mnt/skip/VIRUS")"
mkdir "$dir/bind1" && mount --bind "$mnt" "$dir/bind1"
check "nor through a bind mount" EIO "$(fa_open "$dir/bind1/VIRUS")"
check "an excluded path is excluded there, too" ok "$(fa_open "$dir/bind1/skip/VIRUS")"
umount "$dir/bind1"
check "nor in another mount namespace, where names mean nothing" EPERM "$(unshare -m --propagation private bash -c '
	mkdir '"$dir"'/bind && mount --bind '"$mnt"' '"$dir"'/bind &&
	mount --bind '"$mnt/sub"' '"$mnt/skip"' && mount --bind '"$dir"'/bind '"$mnt/skip"' &&
	python3 '"$dir"'/open.py '"$mnt"'/skip/VIRUS')"
"$mnt/run.sh" && ok "a clean program runs"
fa_mark_log
check "marked: the first open is asked" ok "$(fa_open "$mnt/MARK")"
check "marked: the second is not" ok "$(fa_open "$mnt/MARK")"
await 30 fa_has 'open .*/MARK' || :
check "one event for two opens" 1 "$(fa_since | grep -c 'open .*/MARK' || :)"
printf 'VIRUS\n' >"$mnt/MARK" # the ignore mark goes with the write
check "a write takes the mark away" EIO "$(fa_open "$mnt/MARK")"

# ---- actions ----
check "delete: denied" EIO "$(fa_open "$mnt/DELETE" | sed s/EPERM/EIO/)"
check "delete: gone" no "$([ -e "$mnt/DELETE" ] && echo yes || echo no)"
fa_mark_log
check "stale: denied" EPERM "$(fa_open "$mnt/STALE")"
check "stale: nothing was done" yes "$([ -e "$mnt/STALE" ] && echo yes || echo no)"
fa_says 'reply -116' "stale: ESTALE"
chmod 4750 "$mnt/REPLACE"; chown 1234:4321 "$mnt/REPLACE"; chmod 4750 "$mnt/REPLACE"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.keep", b"this")' "$mnt/REPLACE"
check "replace: denied once" EPERM "$(fa_open "$mnt/REPLACE")"
check "replace: then clean" "clean now" "$(cat "$mnt/REPLACE")"
check "replace: mode and owner stay" "4750 1234 4321" "$(stat -c '%a %u %g' "$mnt/REPLACE")"
check "replace: extended attributes stay" this "$(python3 -c \
	'import os, sys; print(os.getxattr(sys.argv[1], "user.keep").decode())' "$mnt/REPLACE" || :)"
check "replace: nothing is left beside" "" "$(find "$mnt" -name '.idfw-*')"
check "quarantine: denied" EPERM "$(fa_open "$mnt/QUARANTINE")"
check "quarantine: gone" no "$([ -e "$mnt/QUARANTINE" ] && echo yes || echo no)"
q=$(echo "$dir"/quarantine/*.data)
check "quarantine: content" QUARANTINE "$(cat "$q")"
check "quarantine: mode" 600 "$(stat -c %a "$q")"
check "quarantine: described" 1 "$(grep -c "^path=$mnt/QUARANTINE\$" "${q%.data}.meta")"
fa_mark_log
check "hard link: denied" EPERM "$(fa_open "$mnt/twice")"
fa_says '1 other names' "hard link: said how many are left"
check "hard link: the other name is left" yes "$([ -e "$mnt/again" ] && echo yes || echo no)"
check "hard link: the other name is denied, too" EPERM "$(fa_open "$mnt/again")"

# ---- trap 4: a write lease held by somebody does not hold us ----
cat >"$dir/lease.py" <<'PY'
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
while True:  # until nobody else has it open: the agent has, for the moment of our own open
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        time.sleep(0.01)
print("leased", flush=True)
signal.pause()
PY
python3 "$dir/lease.py" "$mnt/clean" >"$dir/lease.out" &
fa_pids+=($!)
await 30 grep -q leased "$dir/lease.out" || fail "no lease"
check "leased: that opener gets an error" EPERM "$(fa_open "$mnt/clean" | sed 's/EAGAIN\|EWOULDBLOCK/EPERM/')"
check "leased: others are served" ok "$(fa_open "$mnt/ours.txt" | sed s/EIO/ok/)"
kill "${fa_pids[-1]}"

# ---- reload ----
fa_mark_log
fa_watch='path "'$mnt'"; on-block EBUSY;'
fa_conf
kill -HUP "$fa_sup"
fa_says 'reload: 1 watches' "reload: taken"
fa_says 'worker: conf' "reload: the worker has it"
check "reload: what was excluded is watched" EBUSY "$(fa_open "$mnt/skip/VIRUS")"
fa_mark_log
fa_conf 'on-block ENOSUCH;'
kill -HUP "$fa_sup"
fa_says 'on-block: "ENOSUCH" is none of' "reload: mistakes are said"
fa_says 'the old configuration goes on' "reload: the old one goes on"
check "reload: and holds" EBUSY "$(fa_open "$mnt/VIRUS")"
fa_image "$dir/two"
printf 'VIRUS\n' >"$dir/two/VIRUS"
check "another file system is not watched" ok "$(fa_open "$dir/two/VIRUS")"
fa_mark_log
fa_watch='path "'$dir/two'";'
fa_conf
kill -HUP "$fa_sup"
fa_says 'reload: 1 watches' "reload: another watch"
check "reload: the new one is watched" EPERM "$(fa_open "$dir/two/VIRUS")"
check "reload: the old one is not" ok "$(fa_open "$mnt/VIRUS")"
fa_stop
check "SIGTERM: exit code" 0 "$fa_code"
no_worker() { [ -z "$(fa_worker)" ]; }
await 30 no_worker || :
check "SIGTERM: no worker is left" "" "$(fa_worker)"
check "SIGTERM: nothing is watched" ok "$(fa_open "$dir/two/VIRUS")"

# ---- refusals ----
mkdir "$dir/viabind"
mount --bind "$fa_rootdir" "$dir/viabind"
for p in / "$fa_rootdir" "$dir/viabind"; do
	fa_watch='path "'$p'";'
	for opt in "" allow-root; do
		fa_conf "${opt:+allow-root-filesystem yes;}"
		fa_mark_log
		code=0
		timeout 60 "$fa_agent" -c "$dir/conf" >>"$dir/agent.log" 2>&1 || code=$?
		check "refused: $p ${opt:-told never}" 78 "$code"
		fa_says 'is on the file system of /' "refused: in words"
	done
	fa_conf
	code=0
	timeout 60 "$fa_agent" -c "$dir/conf" --i-know-it-is-the-root >>"$dir/agent.log" 2>&1 || code=$?
	check "refused: $p told by the command line alone" 78 "$code"
done
umount "$dir/viabind"
umount "$dir/two"
case $("$fa_agent" -v) in
"gi-fileagent 0."*" ("*") "* | "gi-fileagent 0."*" ("*")") ok "-v says version and compiler" ;;
*) fail "-v: $("$fa_agent" -v)" ;;
esac
fa_end
