# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/dir-lib.sh - drives tests/ns/dir_check, for dir-*.sh.
# The caller sets W (its directory), DIR_RUN (array: how to run a program where the directory is seen).

FAILED=0
ok() { printf '   ok    %s\n' "$*"; }
bad() {
	printf '   FAIL  %s\n' "$*"
	FAILED=$((FAILED + 1))
}
now_ms() { date +%s%3N; }

# dir_start CONF - dir_check in the background; its lines go to $W/out, its log to $W/err
dir_start() {
	rm -f "$W/in"
	mkfifo "$W/in"
	: >"$W/out"
	exec {DIR_FD}<>"$W/in"
	"${DIR_RUN[@]}" "$DIR_CHECK" -c "$1" <"$W/in" >>"$W/out" 2>>"$W/err" {DIR_FD}>&- 9>&- &
	DIR_PID=$!
	MARK=0
}

# dir_stop - it is told to end, and the child ends with it: what it has to say yet is not the next
# one's. DIR_PID may be no more than a shell before it, so a signal alone would not do; others that were
# started meanwhile have its input open, so closing it would not do either.
dir_stop() {
	local end=$(($(now_ms) + 20000))
	[ -n "${DIR_PID:-}" ] || return 0
	kill -0 "$DIR_PID" 2>/dev/null && echo end >&"$DIR_FD"
	exec {DIR_FD}>&-
	while kill -0 "$DIR_PID" 2>/dev/null && [ "$(now_ms)" -lt $end ]; do sleep 0.01; done
	kill "$DIR_PID" 2>/dev/null || true
	wait "$DIR_PID" 2>/dev/null || true
	DIR_PID=
}

# mark: what was printed up to here is old; news: what came since, whole lines only (a long one may be
# half written); wait_line SECONDS REGEX: such a line that matches, into LINE. Who looks at news for one
# line reads it from <(news): under pipefail a writer whose reader has seen enough would be a failure.
mark() { MARK=$(wc -l <"$W/out"); }
news() { head -n "$(wc -l <"$W/out")" "$W/out" | tail -n +$((MARK + 1)); }
wait_news() { # SECONDS GREP-ARGS...
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until LINE=$(grep -m 1 "$@" < <(news)); do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.02
	done
}
wait_line() { wait_news "$1" -E "$2"; }
soon() { # CMD... - it is true, within a minute
	local end=$(($(now_ms) + 60000))
	until "$@"; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.05
	done
}

# ask NAME [SID [LABEL]], or one word "in LABEL NAME" - a lookup; its answer, and no other's, is in LINE
ask() {
	local word
	read -ra word <<<"$*"
	[ "${word[0]}" != in ] || word[0]="${word[2]}|${word[1]}"
	mark
	echo "$*" >&"$DIR_FD"
	wait_news 90 -F "answer ${word[0]} "
}

# says TEXT REGEX NAME [SID] - the answer of that lookup matches
says() {
	local text=$1 want=$2
	shift 2
	if ask "$@" && [[ $LINE =~ $want ]]; then ok "$text"; else bad "$text: ${LINE:-no answer}"; fi
}

# is_state TEXT REGEX NAME - what that lookup says of the account's state; "" of one that is well
is_state() { # TEXT WORDS NAME - "" is an account that is well
	local got
	ask "$3"
	got=$(news | sed -n "s/^account $3 //p")
	[[ ${got:-} =~ ^$2$ ]] && ok "$1${got:+: $got}" || bad "$1: ${got:-well}"
}

# finds TEXT REGEX NAME [SID] - soon: one that meets a short deadline or a connection that is being made
# may be answered "unavailable", and is asked for again
finds() {
	local text=$1 want=$2
	shift 2
	soon found "$want" "$@" && ok "$text" || bad "$text: ${LINE:-no answer}"
}
found() { ask "${@:2}" && [[ $LINE =~ $1 ]]; }

# sees TEXT MS REGEX CMD... - such a line after CMD; with `true` as CMD it may have come since the mark
# before (that of dir_start, say). MS is what a quiet machine keeps; a busy one may need longer, so that
# is only told.
sees() {
	local text=$1 ms=$2 want=$3 start took
	shift 3
	[ "$1" = true ] || mark
	start=$(now_ms)
	"$@"
	if wait_line 150 "$want"; then
		took=$(($(now_ms) - start))
		ok "$text ($took ms$([ $took -le "$ms" ] || echo ", not $ms"))"
	else
		bad "$text: nothing like $want"
	fi
}

# looked - all that the server has told up to now is looked at, and was printed
looked() {
	local MARK try=0
	mark # of its own
	until [ $try = 20 ]; do
		try=$((try + 1))
		echo 'sync 0' >&"$DIR_FD"
		if wait_line 5 '^(synced 0|refused sync)' && [[ $LINE = synced* ]]; then return; fi
		sleep 0.1
	done
	bad "no look at the changes: ${LINE:-nothing}"
}

# concerned - whom the reports since mark concern: names, sorted, each once
concerned() { news | sed -n 's/^concerns//p' | tr ' ' '\n' | sed '/^$/d' | sort -u | paste -sd' '; }
# concerns TEXT "NAME..." CMD... - after CMD just these accounts (of those found before) are to be looked up
# again: no other, nor everybody
concerns() {
	local text=$1 want=$2
	shift 2
	looked # not what was told of what came before
	mark
	"$@"
	soon is_concerned "$want" || true
	looked
	sleep 0.3 # a server that tells by itself (syncrepl) may have more to tell
	looked
	if is_concerned "$want"; then ok "$text: ${want:-nobody}"; else bad "$text: $(concerned), not ${want:-nobody}"; fi
}
is_concerned() { [ "$(concerned)" = "$1" ] && grep -q '^concerns' < <(news); }

# explains TEXT CONF REGEX - started with CONF it says down, and why
explains() {
	dir_start "$2"
	if wait_line 90 '^state' && [[ $LINE =~ $3 ]]; then ok "$1: ${LINE#state down }"; else bad "$1: ${LINE:-nothing}"; fi
	dir_stop
}

# logins TEXT REGEX CMD... - after CMD such a line, and lookups before and after it have real answers
ASKED=0
logins() {
	local text=$1 want=$2 start end line='' MARK first wrong
	shift 2
	mark # of its own
	first=$ASKED
	start=$(now_ms) end=$(($(now_ms) + 150000))
	"$@"
	until [ -n "$line" ] || [ "$(now_ms)" -gt $end ]; do
		ASKED=$((ASKED + 1))
		echo "nobody$ASKED" >&"$DIR_FD"
		sleep 0.05
		line=$(grep -m 1 -E "$want" < <(news)) || true
	done
	if [ -n "$line" ]; then ok "$text ($(($(now_ms) - start)) ms)"; else bad "$text: nothing like $want"; fi
	until [ "$(news | grep -c '^answer nobody')" = $((ASKED - first)) ] || [ "$(now_ms)" -gt $end ]; do sleep 0.02; done
	wrong=$(news | grep -E '^state down|^answer nobody.* unavailable' | sed -n 1,3p) || true
	line=$(news | grep -c '^answer nobody[0-9]* not-found') || true
	if [ -z "$wrong" ] && [ "$line" = $((ASKED - first)) ]; then
		ok "all of $line logins meanwhile are answered"
	else
		bad "of $((ASKED - first)) logins meanwhile $line are answered; $wrong"
	fi
}

# comes TEXT REGEX CMD... - such a line after CMD, and how long that took
comes() {
	local text=$1 want=$2 start
	shift 2
	mark
	start=$(now_ms)
	"$@"
	if wait_line 150 "$want"; then ok "$text ($(($(now_ms) - start)) ms)"; else bad "$text: nothing like $want"; fi
}
