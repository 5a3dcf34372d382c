#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whose session it was, with the real gi-fileagent on an image and real process trees: below a
# leader, through changes of uid (setpriv, as su does), adopted by init, another session, short
# lives, a leader that comes later.
fa_agent=$(readlink -f "${top_builddir:-.}/fileagent/gi-fileagent")
. "$(dirname "$0")/file-lib.sh"
. "$(dirname "$0")/fa-reports-lib.sh"
command -v setpriv >/dev/null || skip "needs setpriv"

fa_image
mkdir -p "$mnt/w" "$dir/run/sessions"
chmod 777 "$mnt/w"
chmod 755 "$dir/run" "$dir/run/sessions"
fa_conf "fim site { paths $mnt/w; }"
service_start
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
# until this test is over: whoever is to be looked at is there, whatever else runs on this machine
stay="while [ -d '$dir' ]; do sleep 0.2; done"
# adopted by init before there was an agent: only /proc tells of them
early="until [ -e \"\$2\" ]; do [ -d '$dir' ] || exit; sleep 0.05; done; exec 9>\"\$1\"; echo x >&9; exec 9>&-; $stay"
for uid in 1001 1003 0; do
	(as "$uid" setsid sh -c "echo >&8; $early" sh "$mnt/w/early$uid" "$dir/go$uid" 8>>"$dir/others" &)
done
await 30 sh -c '[ "$(wc -l <"$1")" = 3 ]' sh "$dir/others" || fail "they do not start"
fa_start
fa_says 'fim site: baseline built' "the baseline is built"
fa_perf() { ! grep -q 'tells of no forks' "$dir/agent.log"; }
slow='exec 9>"$1"; echo x >&9; exec 9>&-; until [ -e "'$dir'/looked" ]; do sleep 0.02; done'
made() { # REGEX NAME CMD... - CMD makes a file, and ends when that is reported
	rm -f "$dir/looked"
	mark
	"${@:3}" &
	fa_pids+=($!)
	reported "$1" "$2"
	: >"$dir/looked"
	wait "${fa_pids[-1]}" || :
}

echo "# no session"
made "CREATE $mnt/w/none .* uid=0 session=0 user= comm=sh exe=/[^ ]*sh$" "a process without one: its program is known" \
	sh -c "$slow" sh "$mnt/w/none"

echo "# below a leader"
session_open 4711 alice 1001
made "CREATE $mnt/w/child .* uid=0 session=4711 user=alice" "a child" \
	sh -c "$slow" sh "$mnt/w/child"
made "CREATE $mnt/w/grandchild .* session=4711 user=alice" "a grandchild" \
	sh -c 'sh -c "$1" sh "$2"; true' sh "$slow" "$mnt/w/grandchild"
made "CREATE $mnt/w/as-user .* uid=1001 session=4711 user=alice" "another uid, the same session" \
	as 1001 sh -c "$slow" sh "$mnt/w/as-user"
made "CREATE $mnt/w/as-other .* uid=1002 session=4711 user=alice" "as su to somebody else does it" \
	as 1002 sh -c 'sh -c "$1" sh "$2"; true' sh "$slow" "$mnt/w/as-other"

echo "# adopted by init before the agent's time"
mark
: >"$dir/go1001"
reported "CREATE $mnt/w/early1001 .* uid=1001 session=4711 user=alice" "the only session of its uid"
mark
: >"$dir/go1003"
reported "CREATE $mnt/w/early1003 .* uid=1003 session=0 user= " "no session of that uid: nobody"
mark
: >"$dir/go0"
reported "CREATE $mnt/w/early0 .* uid=0 session=0 user= " "root's daemons are the system's"

echo "# adopted by init under the agent's eyes"
orphan='sleep 0.3; exec 9>"$1"; echo x >&9; exec 9>&-; '$stay # its parent ends at once
for uid in 1001 1003 0; do
	mark
	(as "$uid" setsid sh -c "$orphan" sh "$mnt/w/orphan$uid" &)
	if fa_perf; then
		reported "CREATE $mnt/w/orphan$uid .* uid=$uid session=4711 user=alice" "uid $uid: whose session made it"
	fi
done

echo "# the session is over"
session_close
made "CREATE $mnt/w/after .* session=0 user= " "new processes have none" \
	sh -c "$slow" sh "$mnt/w/after"
session_open 4712 bob 1002
made "CREATE $mnt/w/next .* session=4712 user=bob" "the same leader, another session" \
	sh -c "$slow" sh "$mnt/w/next"

echo "# many short lives"
mark
for i in $(seq 50); do sh -c "echo x >$mnt/w/short$i"; done
reported "CREATE $mnt/w/short50 " "all of them are reported"
counted "each once" 50 "CREATE $mnt/w/short"
check "and nobody else is blamed" 0 "$(since | grep "CREATE $mnt/w/short" | grep -cvE 'session=(4712|0) ' || :)"
echo "of 50 that ended at once, $(reports "CREATE $mnt/w/short.* session=4712") are known"
session_close
fa_stop
fa_end
