#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who changed a file and had ended before anybody could look, with the real gi-fileagent on an
# image: rm, chmod and mv one after the other while the processors are busy, then with the worker
# standing still until all of them are gone. Each must be known: session, user and program.
fa_agent=${fa_agent:-$(readlink -f "${top_builddir:-.}/fileagent/gi-fileagent")}
. "$(dirname "$0")/file-lib.sh"
. "$(dirname "$0")/fa-reports-lib.sh"
rounds=${FA_ROUNDS:-20}

fa_image
mkdir -p "$mnt/w" "$dir/run/sessions"
chmod 777 "$mnt/w"
chmod 755 "$dir/run" "$dir/run/sessions"
fa_conf "fim site { paths $mnt/w; }"
service_start
fa_start
fa_says 'fim site: baseline built' "the baseline is built"
! fa_has 'tells of no forks' || skip "needs perf events"

spin() { # N - so many busy loops until the end
	for _ in $(seq "$1"); do
		while :; do :; done &
		fa_pids+=($!)
		spinners+=($!)
	done
}
spinners=()
unspin() {
	kill "${spinners[@]}" 2>/dev/null || :
	wait "${spinners[@]}" 2>/dev/null || :
	spinners=()
}
fill() { # what changes next is in the baseline before
	mark
	for i in $(seq "$rounds"); do echo "$i" >"$mnt/w/$1$i"; done
	reported "CREATE $mnt/w/$1$rounds " "$rounds files are there"
}
# known NAME RECORD PROGRAM - of the changes since the mark: who it was each time
known() {
	counted "$1: each $3 is reported" "$rounds" " $2 "
	check "$1: whose session" "$rounds" "$(reports " $2 .* session=4711 user=alice ")"
	check "$1: its program" "$rounds" "$(reports " $2 .* comm=$3( |$)")"
}
# change NAME PREFIX [stop] - chmod all, then mv all, then rm all; one after the other each
change() {
	mark
	for i in $(seq "$rounds"); do "${@:3}" chmod 600 "$mnt/w/$2$i"; done
	reported "ATTRIB $mnt/w/$2$rounds " "the last chmod"
	known "$1" ATTRIB chmod
	mark
	for i in $(seq "$rounds"); do "${@:3}" mv "$mnt/w/$2$i" "$mnt/w/$2$i.moved"; done
	reported "RENAME $mnt/w/$2$rounds " "the last mv"
	known "$1" RENAME mv
	mark
	for i in $(seq "$rounds"); do "${@:3}" rm "$mnt/w/$2$i.moved"; done
	reported "DELETE $mnt/w/$2$rounds.moved" "the last rm"
	known "$1" DELETE rm
}
stopped() { # COMMAND... - the worker sees nothing of it but what is left behind
	kill -STOP "$fa_wpid"
	"$@"
	kill -CONT "$fa_wpid"
}

echo "# in no session"
fill none
mark
stopped rm "$mnt/w/none1"
reported "DELETE $mnt/w/none1 .* uid=4294967295 session=0 user= comm=rm" "its name alone, and nobody's session"

session_open 4711 alice 1001
echo "# busy processors"
fill busy
spin 6
change busy busy
unspin

echo "# the worker stands still meanwhile"
fill still
change stopped still stopped

echo "# parents that end before their children: who made whom counts"
orphan() { # nobody has it but init when it makes its change
	(setsid sh -c "sh -c 'sleep 0.1; chmod 751 $mnt/w/none2; : >$dir/orphan' & :" &)
	await 30 test -e "$dir/orphan" || fail "no orphan"
}
mark
stopped orphan
reported "ATTRIB $mnt/w/none2 .* session=4711 user=alice comm=chmod" "an orphan's child that has ended"
session_close
fa_stop
fa_end
