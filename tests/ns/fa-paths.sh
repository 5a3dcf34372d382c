#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Ways to a file: renamed, nameless, by handle, executed, through overlayfs, tmpfs, chroot, another
# mount namespace, a file system mounted later; and what is done to a file that is opened that way.
# shellcheck source=tests/ns/file-lib.sh
. "$(dirname "$0")/file-lib.sh"

fa_image
fa_image "$dir/layers"
mkdir "$mnt/later" "$dir/over" "$dir/over2" "$dir/tmp"
for d in "$mnt" "$dir/layers"; do
	mkdir "$d/lower" "$d/upper" "$d/work"
	printf 'VIRUS\n' >"$d/lower/VIRUS"
	printf 'clean\n' >"$d/lower/clean"
done
for f in clean VIRUS QUARANTINE DELETE REPLACE big; do fa_put "$f" "$f"; done
printf 'QUARANTINE\n' >"$mnt/big"
truncate -s 1T "$mnt/big"
overlay() { # LAYERS AT
	mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$2" || skip "no overlayfs"
}
overlay "$dir/layers" "$dir/over"
overlay "$mnt" "$dir/over2"
mount -t tmpfs -o size=1m tmpfs "$dir/tmp"
printf 'VIRUS\n' >"$dir/tmp/VIRUS"
fa_watch='path "'$mnt'"; submounts yes;'
fa_conf 'watch over { path "'"$dir"'/over"; }' 'watch tmp { path "'"$dir"'/tmp"; }' 'quarantine-max 1MiB;'
fa_start
is_there() { if [ -e "$1" ]; then echo yes; else echo no; fi; }

mv "$mnt/VIRUS" "$mnt/renamed"
check "renamed: denied" EPERM "$(fa_open "$mnt/renamed")"
mv "$mnt/renamed" "$mnt/VIRUS"
check "executed: denied" 126 "$(code=0; "$mnt/VIRUS" 2>/dev/null || code=$?; echo $code)"
check "overlayfs: denied" EPERM "$(fa_open "$dir/over/VIRUS")"
check "overlayfs: clean opens" ok "$(fa_open "$dir/over/clean")"
check "overlayfs over a watched file system: denied" EPERM "$(fa_open "$dir/over2/VIRUS")"
check "overlayfs over a watched file system: clean opens" ok "$(fa_open "$dir/over2/clean")"
check "tmpfs: denied" EPERM "$(fa_open "$dir/tmp/VIRUS")"
mkdir "$dir/root"
cat >"$dir/ways.py" <<'PY'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
way, path = sys.argv[1:3]
try:
    if way == "nameless":
        fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR, 0o600)
        os.write(fd, b"VIRUS\n")
        os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    elif way == "handle":
        class H(ctypes.Structure):
            _fields_ = [("n", ctypes.c_uint), ("t", ctypes.c_int), ("b", ctypes.c_ubyte * 128)]
        h, m = H(128, 0), ctypes.c_int()
        assert libc.name_to_handle_at(-100, path.encode(), ctypes.byref(h), ctypes.byref(m), 0) == 0
        top = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        if libc.open_by_handle_at(top, ctypes.byref(h), os.O_RDONLY) < 0:
            raise OSError(ctypes.get_errno(), "")
    elif way == "chroot":
        os.chroot(os.path.dirname(path))
        os.open("/" + os.path.basename(path), os.O_RDONLY)
    elif way == "truncate":
        os.open(path, os.O_RDWR | os.O_TRUNC)
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
PY
for way in nameless handle chroot; do
	check "$way: denied" EPERM "$(timeout -s KILL 20 python3 "$dir/ways.py" $way "$mnt/VIRUS" || echo hang)"
done

# ---- a file system that comes later, below a watched path ----
truncate -s 16M "$dir/later.img"
mkfs.ext4 -q -F "$dir/later.img"
mount -o loop "$dir/later.img" "$mnt/later"
printf 'VIRUS\n' >"$mnt/later/VIRUS"
later_denied() { [ "$(fa_open "$mnt/later/VIRUS")" = EPERM ]; }
if await 30 later_denied; then ok "mounted later: denied"; else fail "mounted later: not watched"; fi
umount "$mnt/later" && ok "unmounting is not in the way"

# ---- what was opened through somebody else's mounts is found through ours ----
elsewhere() { # NAME - opens it in a namespace where it has another name
	unshare -m --propagation private bash -c "mount --bind '$mnt' '$dir/root' && umount -l '$mnt' &&
		exec timeout -s KILL 20 python3 '$dir/open.py' '$dir/root/$1'" || echo hang
}
for f in QUARANTINE DELETE; do
	check "elsewhere: $f: denied" EPERM "$(elsewhere $f)"
	check "elsewhere: $f: gone here" no "$(is_there "$mnt/$f")"
done
check "elsewhere: kept" QUARANTINE "$(cat "$dir"/quarantine/*.data)"
check "elsewhere: REPLACE: denied" EPERM "$(elsewhere REPLACE)"
check "elsewhere: REPLACE: clean here" "clean now" "$(cat "$mnt/REPLACE")"

# ---- larger than the quarantine: stays, denied ----
fa_mark_log
check "1 TiB: denied" EPERM "$(fa_open "$mnt/big")"
fa_says 'the quarantine is full' "1 TiB: said"
check "1 TiB: stays" yes "$(is_there "$mnt/big")"
fa_stop
umount "$dir/over" "$dir/over2" "$dir/tmp"
umount "$dir/layers"
fa_end
