#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# State directories: each daemon that starts as root makes its own below a directory of root's, gives
# it to its user, and follows no link that this user could have put in the way: root would give
# away, or write into, what the link leads to. And what is installed says the same.
set -eu
src=$(readlink -f "${top_srcdir:-.}")
build=$(readlink -f "${top_builddir:-.}")
[ "$(id -u)" = 0 ] || { echo "SKIP: needs root"; exit 77; }
if [ -z "${IDFW_INSIDE:-}" ]; then # whatever starts by mistake starts here
	IDFW_INSIDE=1 exec unshare -m -n -p -f --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
dir=$(mktemp -d /tmp/statedirs.XXXXXX)
trap 'rm -rf --one-file-system "$dir"' EXIT
chmod 755 "$dir"
fails=0
ok() { echo "ok: $*"; }
fail() {
	echo "FAIL: $*"
	fails=$((fails + 1))
}
check() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: wanted $2, got $3"; fi; }
owner() { stat -c '%U %a' "$1" 2>/dev/null || echo none; }

command -v openssl >/dev/null || { echo "SKIP: needs openssl"; exit 77; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=t \
	-keyout "$dir/key" -out "$dir/cert" 2>/dev/null
tls="listen \"unix:$dir/listen\"; ca \"$dir/cert\"; cert \"$dir/cert\"; key \"$dir/key\"; mux-names t;"
: >"$dir/policy"
: >"$dir/hashes"
echo 01234567-89ab-cdef-0123-456789abcdef >"$dir/boot_id"

# conf PROGRAM STATE-DIR - a configuration with that state directory, all else in $dir
conf() {
	case $1 in
	gi-netagent) echo "mux \"unix:$dir/mux\"; pam-socket \"$dir/pam\"; sessions-dir \"$dir/sessions\"; spool-dir \"$2\"; session-cgroups off; boot-id-file \"$dir/boot_id\"; user \"nobody\";" ;;
	gi-fileagent) echo "mux \"unix:$dir/mux\"; run-dir \"$dir/run\"; quarantine-dir \"$dir/quarantine\"; state-dir \"$2\"; boot-id-file \"$dir/boot_id\"; user \"nobody\";" ;;
	svm-scan) echo "$tls state-dir \"$2\"; tmp-dir \"$dir/tmp\"; hash-list \"$dir/hashes\"; control-socket \"$dir/scan.sock\"; user \"nobody\";" ;;
	svm-idfw) echo "$tls state-dir \"$2\"; policy \"$dir/policy\"; control-socket \"$dir/svm.sock\"; user \"nobody\";" ;;
	esac >"$dir/conf"
	chmod 644 "$dir/conf"
}
run() { # PROGRAM DIR - until DIR is given away, or the daemon ends
	local p
	"$build/${1#gi-}/$1" -c "$dir/conf" >"$dir/log" 2>&1 &
	p=$!
	for _ in $(seq 3000); do
		[ "$(owner "$2" | cut -d' ' -f1)" != nobody ] || break
		kill -0 "$p" 2>/dev/null || break
		sleep 0.01
	done
	kill -TERM "$p" 2>/dev/null || :
	for _ in $(seq 3000); do
		kill -0 "$p" 2>/dev/null || break
		sleep 0.01
	done
	kill -9 "$p" 2>/dev/null || :
	wait "$p" 2>/dev/null || :
}
for p in gi-netagent gi-fileagent svm-scan svm-idfw; do
	echo "# $p"
	conf "$p" "$dir/$p/deep/state"
	run "$p" "$dir/$p/deep/state"
	check "makes its state directory and gives it away" "nobody" "$(owner "$dir/$p/deep/state" | cut -d' ' -f1)"
	check "what is above it stays root's" "root 755" "$(owner "$dir/$p/deep")"

	mkdir -p "$dir/theirs-$p" "$dir/victim-$p"
	ln -s "$dir/victim-$p" "$dir/theirs-$p/state"
	chown -h nobody "$dir/theirs-$p" "$dir/theirs-$p/state"
	conf "$p" "$dir/theirs-$p/state"
	run "$p" "$dir/victim-$p"
	check "a link that its user could have made is not followed" "root 755" "$(owner "$dir/victim-$p")"
	check "nothing is made there" "" "$(ls "$dir/victim-$p")"
	if grep -q 'symbolic links' "$dir/log"; then ok "and that is said"; else
		fail "not said"
		tail -3 "$dir/log"
	fi
done

echo "# what is installed"
tmpfiles=$src/etc/idfw.tmpfiles
entry() { awk -v p="$1" '$1 == "d" && $2 == p { print $4, $3 }' "$tmpfiles"; }
check "the directory of all state is root's" "root 0755" "$(entry @localstatedir@/lib/idfw)"
check "quarantine is root's alone" "root 0700" "$(entry @localstatedir@/lib/idfw/quarantine)"
for leaf in $(grep -rhoE 'IDFW_STATEDIR "/[a-z]+"' "$src"/*/*.c | grep -oE '/[a-z]+"' | tr -d '"' | sort -u); do
	[ "$leaf" != /quarantine ] || continue
	check "state$leaf is given to _idfw" "_idfw 0700" "$(entry "@localstatedir@/lib/idfw$leaf")"
done
check "nobody moves root's sockets away" "root 1775" "$(entry /run/idfw)"
# systemd would give a StateDirectory= and all in it to the unit's user, who is root at the start
check "no unit has a StateDirectory=" "" "$(grep -l '^StateDirectory=' "$src"/etc/systemd/*.service || :)"
[ "$fails" = 0 ]
