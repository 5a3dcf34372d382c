# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lab/files.sh - the file path's steps, for the demo and the tests (after lab/functions.sh and
# lab/checks.sh): what happens to a file that somebody saves on web01, and to whom.

# EICAR, the file that every scanner knows and that harms nothing; in two halves, so that this
# script is not one.
# shellcheck disable=SC2016 # it is what it is
EICAR_A='X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-' EICAR_B='ANTIVIRUS-TEST-FILE!$H+H*'

# save_eicar LOGIN FILE - as the user, by her shell; prints unix ms right after the close
save_eicar() {
	lab_run "$1" "printf %s%s '$EICAR_A' '$EICAR_B' >$2; date +%s%3N"
}
# gone_at VM FILE - waits until the name is gone (30 s: hundreds of others may be before it, each
# put into quarantine with an fsync), prints unix ms
gone_at() {
	# shellcheck disable=SC2016
	lab_in "$1" bash -c 'for ((end = SECONDS + 30, gone = 0; SECONDS < end && ! gone; )); do
			if [ -e "$1" ]; then sleep 0.005; else gone=1; fi; done
		date +%s%3N; [ ! -e "$1" ]' gone "$2"
}
quarantined() { lab_ctl --json quarantine list "$1" 2>/dev/null | grep -F "\"$2\"" >/dev/null; }
scan_audited() { # VM USER PATH
	lab_ctl --json audit --limit 10000 | grep -F "$3" | grep -F "\"$2\"" | grep -F "\"$1\"" |
		grep -e Eicar >/dev/null
}
# session_of VM USER - the number that idfwctl shows and takes
session_of() {
	lab_ctl --json who "$2" | grep -E "\"vm\": *\"$1\"" | sed -n '1s/.*"session": *\([0-9]*\).*/\1/p'
}
# reads LOGIN FILE - what cat says, or its error
reads() { lab_run "$1" "cat $2 2>&1"; }

files_clean() {
	step "alice logs in on web01, whose /home a file agent watches: a clean file is just a file"
	lab_login walice web01 alice || bad "no login"
	check "she writes and reads it" lab_run walice 'echo "quarterly figures" >notes.txt && grep -q figures notes.txt'
	check "she runs a program of her own" lab_run walice 'cp /bin/true tool && ./tool'
	tell "idfwctl scan explain web01 /home/alice/notes.txt:"
	lab_ctl scan explain web01 /home/alice/notes.txt | sed 's/^/   /' || bad "no explanation"
}

files_infected() {
	local saved gone text
	step "she saves EICAR: it disappears before anybody could read it, and her session loses its network"
	transfer walice web01 alice
	saved=$(save_eicar walice eicar.com)
	text=$(reads walice eicar.com) && bad "she could read it: $text"
	if gone=$(gone_at web01 /home/alice/eicar.com); then
		ok "gone $((gone - saved)) ms after she closed it; reading it at once: $text"
	else
		bad "eicar.com is still there"
	fi
	cut_at web01 alice "$saved" "her transfer"
	reaches_not walice "$DB" 5432 "alice on web01, new connection"
	check "it is in quarantine" lab_wait_for 30 quarantined web01 /home/alice/eicar.com
	lab_ctl quarantine list web01 | sed 's/^/   /'
	check "audited with VM, user, path and signature" lab_wait_for 30 scan_audited web01 alice /home/alice/eicar.com
	lab_ctl audit --limit 8 | sed 's/^/   /'
	check "a second copy cannot be read either, right after it was written" lab_run walice \
		"printf %s%s '$EICAR_A' '$EICAR_B' >x.com; ! cat x.com >/dev/null 2>&1"
}

files_release() {
	local id
	step "another machine is not concerned; an administrator releases the session again"
	lab_login jalice jump01 alice || bad "no login"
	reaches jalice "$DB" 5432 "alice on jump01"
	lab_logout jalice
	id=$(session_of web01 alice)
	check "idfwctl release $id" lab_ctl release "$id" --reason "talked to her"
	reaches walice "$DB" 5432 "alice on web01, released"
}

files_policy() {
	local text
	step "the scan service is killed: what happens is the chosen policy, for each place"
	lab_run walice 'echo one >lenient.txt; echo two >/home/strict/strict.txt; cat lenient.txt /home/strict/strict.txt' |
		sed 's/^/   /'
	lab_kill9 svm svm-scan
	lab_run walice 'sleep 0.2; echo more >>lenient.txt; echo more >>/home/strict/strict.txt' || true
	check "/home: on-failure allow: she reads her file" lab_run walice "grep -q more lenient.txt"
	if text=$(reads walice /home/strict/strict.txt); then
		bad "/home/strict: on-failure deny, and she could read: $text"
	else
		ok "/home/strict: on-failure deny: $text"
	fi
	lab_daemon svm svm-scan
	lab_wait_for 30 lab_scan_ready || bad "the scan service does not come back"
	check "it is back: she reads the strict file again" lab_wait_for 30 reads walice /home/strict/strict.txt
	tell "idfwctl scan status:"
	lab_ctl scan status | sed 's/^/   /' || true
	lab_wait_for 30 counted passed_service_down || bad "not counted as passed"
}
counted() { lab_ctl --json scan status | grep -E "\"$1\": *[1-9]" >/dev/null; }

files_test() {
	step "idfwctl scan test web01: EICAR end to end; idfwctl fim: who changed what below /home/www"
	check "scan test" lab_ctl scan test web01
	lab_run walice 'echo "<h1>hello</h1>" >/home/www/index.html; chmod 600 /home/www/index.html; rm /home/www/index.html' || true
	check "recorded with her session" lab_wait_for 30 fim_recorded
	lab_ctl fim | tail -n 5 | sed 's/^/   /'
	lab_logout walice
}
# her shell wrote it; rm may be gone before it is looked at (docs/scan.md, "Who did it")
fim_recorded() {
	local rows
	rows=$(lab_ctl --json fim 2>/dev/null | grep -F /home/www/index.html) || return 1
	grep -F '"alice"' <<<"$rows" | grep '"op":"create"' >/dev/null && grep -q '"op":"delete"' <<<"$rows"
}
