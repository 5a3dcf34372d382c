#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-places.sh - the same file by other ways: overlayfs, bind mounts, other mount namespaces
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
mkdir "$mnt/lower" "$mnt/upper" "$mnt/work" "$mnt/merged" "$mnt/excluded"
fa_put lower/bad 'FA-BAD below'
fa_put lower/clean fine
fa_put bad 'FA-BAD'
fa_put excluded/bad 'FA-BAD but left out'
fa_conf 'exclude-paths "'"$mnt"'/excluded";'
svc_start bad=deny
fa_start
svc_up

check "left out by its path" ok "$(fa_open "$mnt/excluded/bad")"

# ---- overlayfs on the image ----
if mount -t overlay overlay -o "lowerdir=$mnt/lower,upperdir=$mnt/upper,workdir=$mnt/work" "$mnt/merged" 2>/dev/null; then
	check "clean by overlayfs" fine "$(cat "$mnt/merged/clean")"
	check "bad by overlayfs" EPERM "$(fa_open "$mnt/merged/bad")"
	echo 'FA-BAD above' >"$mnt/merged/new"
	check "bad, saved by overlayfs" EPERM "$(fa_open "$mnt/merged/new")"
	umount "$mnt/merged"
else
	ok "no overlayfs here"
fi

# ---- another mount of a part of it, and a mount namespace of somebody else's ----
mkdir "$mnt/again"
mount --bind "$mnt/lower" "$mnt/again"
check "bad by a bind mount" EPERM "$(fa_open "$mnt/again/bad")"
umount "$mnt/again"
check "bad in another mount namespace" EPERM "$(unshare -m python3 "$dir/open.py" "$mnt/bad")"
# a path of somebody else's mounts means nothing: no exclusion holds there
got=$(unshare -m sh -c 'mount --bind "$1/lower" "$1/excluded" && python3 "$2" "$1/excluded/bad"' - "$mnt" "$dir/open.py")
check "bad under an excluded path of other mounts" EPERM "$got"
got=$(unshare -r -m --propagation private sh -c 'mkdir -p "$1" && mount --bind "$2/lower" "$1" && python3 "$3" "$1/bad"' - "$dir/own" "$mnt" "$dir/open.py" 2>/dev/null) || got=none
case $got in
none) ok "no user namespaces here" ;;
*) check "bad in a user's own namespace" EPERM "$got" ;;
esac

# ---- logging to a watched place, at full level, is no cycle ----
fa_stop
mkfifo "$dir/log"
while read -r line; do echo "$line" >>"$mnt/agentlog"; done <"$dir/log" &
fa_pids+=($!)
fa_conf 'debug-rate 1000;'
svc_mark
IDFW_FA_TEST=$dir "$fa_agent" -c "$dir/conf" >"$dir/log" 2>&1 &
fa_sup=$!
fa_pids+=("$fa_sup")
svc_says '^hello' "connected" 30
fa_put after fine
check "still opened" ok "$(fa_open "$mnt/after")"
check "still denied" EPERM "$(fa_open "$mnt/bad")"
await 30 grep -q 'worker: up' "$mnt/agentlog" || fail "the log is not written"
fa_stop
fa_scan_end
