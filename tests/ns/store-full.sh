#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# svm-idfw's database on a file system of 6 MiB that gets full: said, nothing acknowledged, nothing
# lost or doubled when there is room again.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
	echo 'needs root (mounts)'
	exit 77
}
# the mount is in a namespace of its own: it ends with this script
if [ -z "${STORE_TEST_INSIDE:-}" ]; then
	exec env STORE_TEST_INSIDE=1 unshare --mount --propagation private bash "$0"
fi
dir=$(mktemp -d)
trap 'umount "$dir" 2>/dev/null; rmdir "$dir"' EXIT
trap 'exit 1' HUP INT TERM
mount -t tmpfs -o size=6m store-full "$dir"
dd if=/dev/zero of="$dir/filler" bs=1M count=4 status=none
rc=0
"${top_builddir:?}/tests/ns/store_full" "$dir/svm.db" "$dir/filler" || rc=$?
[ $rc = 0 ] || echo "FAIL $rc"
exit $rc
