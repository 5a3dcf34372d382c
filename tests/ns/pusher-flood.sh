#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A flood of requests does not keep the pusher from renewing leases: heartbeats that come between them
# count, though it never finds its socket empty (tests/ns/pusher_flood.c).
set -eu
if [ -z "${IDFW_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || {
		echo 'SKIP: needs root'
		exit 77
	}
	IDFW_INSIDE=1 exec unshare -n -m -p -f --kill-child --mount-proc --propagation private bash "$0"
fi
coproc FLOOD { exec "${top_builddir:-.}/tests/ns/pusher_flood"; }
end() { # and its pusher with it
	kill -9 "$FLOOD_PID" 2>/dev/null || :
}
trap end EXIT
fail() {
	echo "FAIL: $*"
	nft list set inet idfw live || :
	exit 1
}
left() { # seconds of the lease
	nft list set inet idfw live | tr ',}' '\n\n' |
		sed -n 's/.*0x0*11 .*expires \(\([0-9]*\)m\)\{0,1\}\(\([0-9]*\)s\).*/\2 \4/p' |
		awk '{ print NF == 2 ? $1 * 60 + $2 : $1 }'
}
read -r -t 60 line <&"${FLOOD[0]}" && [ "$line" = pushed ] || fail "no ruleset"
for _ in $(seq 600); do # more than 2 of its 100 seconds are over
	[ "$(left)" -ge 98 ] || break
	sleep 0.1
done
before=$(left)
[ "$before" -lt 98 ] || fail "the lease does not run: $before s"
echo go >&"${FLOOD[1]}"
until now=$(left) && [ "${now:-0}" -ge 98 ]; do
	kill -0 "$FLOOD_PID" || fail "it has ended"
	[ "${now:-0}" -gt 60 ] || fail "not renewed for the length of a flood: ${now:-nothing} s are left"
	sleep 0.1
done
echo "ok: $before s before the flood, $now s in it"
