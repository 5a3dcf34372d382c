#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Overlays, with the real gi-fileagent on images: watched together with the file system of its
# layers, by name or as a submount, the layers' watch is the one that holds: nobody waits for
# himself, nothing infected is given out, nothing is asked twice. Alone, the overlay's own.
. "$(dirname "$0")/fa-scan-lib.sh"
fa_image
fa_image "$dir/other"
for d in "$mnt" "$dir/other"; do
	mkdir "$d/lower" "$d/upper" "$d/work" "$d/up2" "$d/work2" "$d/up3" "$d/work3"
	echo clean >"$d/lower/clean"
	printf "FA-BAD\n" >"$d/lower/bad"
done
over() { # LOWER LAYERS AT [UPPER WORK]
	mkdir -p "$3"
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/${4:-upper},workdir=$2/${5:-work}" "$3" || skip "no overlayfs"
}
over "$mnt/lower" "$mnt" "$dir/over"
over "$dir/other/lower" "$dir/other" "$dir/alone"
over "$dir/over" "$dir/other" "$dir/twice" up2 work2 # its lower layer is an overlay on the image
over "$dir/other/lower" "$mnt" "$dir/mixed" up3 work3 # only its upper layer is on the image
mkdir "$mnt/sub"
mount --bind "$dir/over" "$mnt/sub"

watched() { # NAME DIR - clean opens and bad does not, at once
	check "$1: clean opens" ok "$(fa_open "$2/clean")"
	check "$1: bad does not" EPERM "$(fa_open "$2/bad")"
	echo saved >"$2/new"
	check "$1: what was saved opens" ok "$(fa_open "$2/new")"
}
fa_deadlines='deadline-base 60s; deadline-max 60s;' # who waits for one is late
svc_start bad=deny
echo "# the overlay and its layers"
fa_conf 'on-failure allow;' "watch over { path \"$dir/over\"; }" "watch alone { path \"$dir/alone\"; }" "watch twice { path \"$dir/twice\"; }"
fa_start
svc_up
fa_says "over: an overlay: watched by its layers" "it is said"
fa_says "twice: an overlay: watched by its layers" "of an overlay on an overlay, too"
watched "overlay" "$dir/over"
watched "overlay on an overlay" "$dir/twice"
watched "the layers themselves" "$mnt/lower"
watched "an overlay whose layers nobody watches" "$dir/alone"
check "its layers are not" ok "$(fa_open "$dir/other/lower/bad")"
check "the same worker through all of it" "$fa_wpid" "$(fa_worker)"
fa_stop

echo "# an overlay with one layer on a watched file system, and one on another"
fa_conf 'on-failure allow;' "watch mixed { path \"$dir/mixed\"; }" "watch alone { path \"$dir/alone\"; }"
fa_start
svc_up
watched "layers apart" "$dir/mixed"
watched "another overlay on that layer" "$dir/alone"
check "a layer itself is not" ok "$(fa_open "$dir/other/lower/bad")"
check "the same worker through all of it" "$fa_wpid" "$(fa_worker)"
fa_stop

echo "# as a submount"
fa_watch="path \"$mnt\"; submounts yes;"
fa_conf 'on-failure allow;'
fa_start
svc_up
watched "submount" "$mnt/sub"
check "the same worker" "$fa_wpid" "$(fa_worker)"
fa_stop
svc_stop
fa_scan_end
