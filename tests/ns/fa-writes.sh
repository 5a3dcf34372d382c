#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-writes.sh - written files wait for those who work: on a busy processor, in bursts and among
# writers that never pause. Nothing that waits can be read unseen, nothing waits for ever.
set -eu # before anything else: without the library $mnt would be empty
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"
fa_image
mkdir -m 777 "$mnt"/{a,b,c,d,e}

busy() { # both processors have work, and files are opened and written all the while
	local i
	for i in 1 2; do
		(
			trap - EXIT ERR INT TERM
			while :; do :; done
		) &
		fa_pids+=("$!")
		busy_pids+=("$!")
	done
	for i in 1 2 3; do
		"$fa_file" writer "$mnt/busy$i" 500 >/dev/null &
		fa_pids+=("$!")
		busy_pids+=("$!")
	done
	await 30 test -s "$mnt/busy3"
}
busy_pids=()
idle() {
	kill -9 "${busy_pids[@]}" 2>/dev/null || :
	wait "${busy_pids[@]}" 2>/dev/null || :
	busy_pids=()
}
seen() { # DIR N - so many of its files were asked about
	[ "$(svc_count "^event .* op 3 .*/$1/f[0-9]+\$")" -ge "$2" ]
}
save_bad() { echo 'FA-BAD' >"$1"; }

# ---- nobody pauses: all is scanned, late ----
fa_conf 'write-scan-delay 60ms;'
sed -i 's/debug-level 7/debug-level 5/' "$dir/conf"
svc_start bad=delete
fa_start
svc_up
busy
late() { # until one had to go although others worked
	"$fa_file" many "$mnt/a" 200 clean >/dev/null
	sleep 0.2
	counter_min deferred_late 1
}
if await 60 late; then ok "some went although nobody paused"; else fail "deferred_late is $(counter deferred_late)"; fi
svc_mark
"$fa_file" many "$mnt/b" 300 clean >/dev/null
if await 60 seen b 300; then ok "all 300 of a burst are looked at while others work"; else fail "only $(svc_count '/b/f[0-9]+$') were"; fi
check_counter_min deferred 1

# ---- infected, in the midst of a burst: never readable, and gone ----
"$fa_file" many "$mnt/c" 200 clean >/dev/null
save_bad "$mnt/c/read"
save_bad "$mnt/c/left"
"$fa_file" many "$mnt/d" 200 clean >/dev/null &
fa_pids+=("$!")
got=''
while [ -e "$mnt/c/read" ]; do
	got+="$(fa_open "$mnt/c/read") "
done
case " $got " in *" ok "*) fail "it was read: $got" ;; *) ok "not readable: ${got:-gone at once}" ;; esac
if await 30 gone "$mnt/c/left"; then ok "what nobody opens goes, too"; else fail "it stays"; fi
wait $! || :
check_counter events_lost 0 # an opener who was answered out of turn is none
fa_stop
svc_stop

# ---- one that waits is opened: its verdict comes at once, not behind those that came before ----
fa_conf 'write-scan-delay 30s;'
sed -i 's/debug-level 7/debug-level 5/' "$dir/conf"
svc_start bad=delete
fa_start
svc_up
rm -rf "$mnt/e" && mkdir -m 777 "$mnt/e"
tries=0
while [ $((tries += 1)) -le 10 ]; do # a pause that we did not make spoils a try: again
	svc_mark
	"$fa_file" many "$mnt/e" 1000 clean >/dev/null
	echo clean >"$mnt/e/f9999"
	result=$(fa_open "$mnt/e/f9999")
	waiting=$((1000 - $(svc_count '^event .* op 3 .*/e/f[0-9]{1,3}$')))
	[ "$result" = ok ] || break
	[ "$waiting" -lt 100 ] || break
	await 30 seen e 1000
done
check "who opens one of them" ok "$result"
if [ "$waiting" -ge 100 ]; then ok "while $waiting others wait"; else fail "they went before him"; fi
idle

# ---- the worker ends with files that wait: whoever opens one is held, and it is judged ----
svc_mark
old=$(fa_worker)
"$fa_file" many "$mnt/d" 500 clean >/dev/null
save_bad "$mnt/d/bad"
kill -9 "$old"
await 30 fa_new_worker "$old" || fail "no new worker"
await 30 svc_has '^hello' || fail "it does not connect"
if [ -e "$mnt/d/bad" ]; then
	case $(fa_open "$mnt/d/bad") in
	EPERM | ENOENT) ok "denied by the next worker" ;;
	*) fail "it was read" ;;
	esac
else
	ok "it was gone before"
fi
if await 30 gone "$mnt/d/bad"; then ok "and deleted"; else fail "it stays"; fi
fa_stop
svc_stop
fa_scan_end
