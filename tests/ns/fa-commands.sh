#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An operator's commands to gi-fileagent: scan now with progress, findings and stop; explain; the
# EICAR test end to end; the quarantine listed, restored, purged. fa_service plays mux and service.
fa_agent=$(readlink -f "${top_builddir:-.}/fileagent/gi-fileagent")
. "$(dirname "$0")/file-lib.sh"
. "$(dirname "$0")/fa-reports-lib.sh"

fa_image
mkdir -p "$mnt/t/deep/er" "$mnt/x"
for i in 1 2 3 4 5; do echo "clean $i" >"$mnt/t/c$i"; done
echo "FA-""BAD one" >"$mnt/t/deep/er/bad"
ln -s /etc/passwd "$mnt/t/link"
mkfifo "$mnt/t/fifo"
fa_conf "exclude-paths $mnt/x; fim site { paths $mnt/t; }"
service_start bad=quarantine
fa_start
await 30 since_has '^hello' || fail "the agent does not connect"

service_again() { # ARGS... - another one, and the agent has found it
	service_stop
	mark
	service_start "$@"
	await 30 since_has '^hello' || fail "the agent does not come back"
}

echo "# scan now"
mark
order "scan $mnt/t"
reported 'reply 1 .*last status=1 1 found, 0 could not be scanned' "a tree is scanned"
reported 'reply 1 \{"type":"found","path":"'"$mnt"'/t/deep/er/bad","verdict":"quarantine","engine":"test","signature":"Test.Bad"' "the finding is a row"
reported 'reply 1 \{"type":"progress",.*"files":6,.*"total_files":6,"found":1,"failed":0' "progress knows its end"
check "asked for each file, as demanded" 6 "$(reports "event [0-9]+ op 5 .*$mnt/t/")"
check "no link was followed" 0 "$(reports 'event .*passwd')"
[ ! -e "$mnt/t/deep/er/bad" ] && ok "and it is gone" || fail "it is still there"
mark
order "scan $mnt/t/c1"
reported 'reply 2 .*last status=0' "one file"
mark
order "scan /etc/passwd"
reported 'reply 3 .*"text":"it is not in a watched place"' "not below what is watched: refused, and said why"
check "not opened" 0 "$(reports 'event .*passwd')"
mark
order "scan $mnt/none"
reported 'reply 4 .*last status=1' "a path that is not there"

echo "# the quarantine"
mark
order list
reported 'reply 5 \{"id":"[0-9a-f]{32}","time_ms":[0-9]+,"path":"'"$mnt"'/t/deep/er/bad","size":11,' "listed"
reported 'reply 5 .*last status=0' "to its end"
id=$(since | sed -nE 's/^reply 5 \{"id":"([0-9a-f]+)".*/\1/p')
mark
order "restore $id"
reported "reply 6 \\{\"id\":\"$id\",\"path\":\"$mnt/t/deep/er/bad\"\\}" "restored"
check "it is back" 11 "$(stat -c %s "$mnt/t/deep/er/bad")"
mark
order "restore $id"
reported 'reply 7  last status=4 no such file in quarantine' "not twice"
mark
order purge
reported 'reply 8 \{"purged":0\}' "nothing is left to purge"

echo "# explain"
mark
order "explain $mnt/t/c1"
reported 'reply 9 \{"type":"explain","path":"'"$mnt"'/t/c1","watched":true,"excluded":null,"watch":"image","policy":"allow","fim":"site","cached":"allow","epoch":"6531","size":8,"sha256":"'"$(sha256sum "$mnt/t/c1" | cut -d' ' -f1)" "a file that was judged"
mark
echo x >"$mnt/x/f"
order "explain $mnt/x/f"
reported 'reply 10 .*"watched":false,"excluded":"path".*nobody is held' "an excluded one"
mark
order "explain $mnt/none"
reported 'reply 11  last status=4 no such file' "one that is not there"
mark
order "explain /etc/passwd"
reported 'reply 12 .*"watched":false,"excluded":null,.*no watch is above this path' "one outside"

echo "# scan now is stopped"
mark
for i in $(seq 100); do echo "more $i" >"$mnt/t/m$i"; done
await 30 since_has 'event .*/t/m100$'
service_again delay=300
order "scan $mnt/t"
reported 'event .*op 5' "under way"
order "stop 1"
reported 'reply 1  last status=1 stopped' "it ends"
reported 'reply 2  last status=0' "and whoever stopped it is told"
mark
order "stop 77"
reported 'reply 3  last status=4' "what is not under way cannot be stopped"
mark
order "scan $mnt/t"
reported 'event .*op 5' "another one"
service_again bad=quarantine eicar=yes # commands end with the link

echo "# the EICAR test"
mark
order test
reported 'reply 1 \{"type":"step","step":"watched","ok":true,"text":"'"$mnt"'"\}' "watched"
reported 'reply 1 \{"type":"step","step":"save","ok":true,"text":"'"$mnt"'/.idfw-test-' "saved"
reported 'reply 1 \{"type":"step","step":"gone","ok":true,"text":"it was gone [0-9]+ ms' "gone, never readable"
reported 'reply 1 \{"type":"step","step":"clean","ok":true,"text":"nothing of it is left, in quarantine' "cleaned up"
reported 'reply 1  last status=0' "the test passes"
check "no directory is left" 0 "$(find "$mnt" -name '.idfw-test-*' | wc -l)"
mark
order list
reported 'reply 2  last status=0' "listed"
check "nothing of it in quarantine" 0 "$(reports 'reply 2 .*idfw-test')"
service_again # finds nothing
mark
order test
await 30 since_has 'reply 1  last' || fail "no end"
reported 'reply 1 \{"type":"step","step":"gone","ok":false,"text":"it is there and can be read' "an engine without that signature: the step says so"
reported 'reply 1  last status=1 the test has failed' "the test fails"
check "no directory is left" 0 "$(find "$mnt" -name '.idfw-test-*' | wc -l)"

fa_stop
fa_end
