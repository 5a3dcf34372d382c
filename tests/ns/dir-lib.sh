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

# dir_stop - ended by us, whatever it does; the child dies with it
dir_stop() {
	[ -n "${DIR_PID:-}" ] || return 0
	kill "$DIR_PID" 2>/dev/null || true
	wait "$DIR_PID" 2>/dev/null || true
	exec {DIR_FD}>&-
	DIR_PID=
}

# mark: what was printed up to here is old; wait_line SECONDS REGEX: a new line that matches, into LINE
mark() { MARK=$(wc -l <"$W/out"); }
wait_line() {
	local end=$(($(now_ms) + $1 * 1000))
	until LINE=$(tail -n +$((MARK + 1)) "$W/out" | grep -m 1 -E "$2"); do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# ask NAME [SID] - a lookup; its answer is in LINE
ask() {
	mark
	echo "$*" >&"$DIR_FD"
	wait_line 30 '^answer '
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
	got=$(tail -n +$((MARK + 1)) "$W/out" | sed -n "s/^account $3 //p")
	[[ ${got:-} =~ ^$2$ ]] && ok "$1${got:+: $got}" || bad "$1: ${got:-well}"
}

# sees TEXT MS REGEX CMD... - such a line within MS after CMD
sees() {
	local text=$1 ms=$2 want=$3 start took
	shift 3
	mark
	start=$(now_ms)
	"$@"
	if wait_line 30 "$want" && took=$(($(now_ms) - start)) && [ "$took" -le "$ms" ]; then
		ok "$text (${took} ms)"
	else
		bad "$text: ${LINE:-nothing} after $(($(now_ms) - start)) ms"
	fi
}

# concerned - whom the reports since mark concern: names, sorted, each once
concerned() {
	tail -n +$((MARK + 1)) "$W/out" | sed -n 's/^concerns//p' | tr ' ' '\n' | sed '/^$/d' | sort -u | paste -sd' '
}
# concerns TEXT "NAME..." CMD... - after CMD just these accounts (of those found before) are to be looked up
# again: no other, nor everybody
concerns() {
	local text=$1 want=$2 end
	shift 2
	mark
	"$@"
	end=$(($(now_ms) + 30000))
	until [ "$(concerned)" = "$want" ] && tail -n +$((MARK + 1)) "$W/out" | grep -q '^concerns'; do
		[ "$(now_ms)" -lt $end ] || break
		sleep 0.02
	done
	sleep 0.6 # longer than a poll: is there more?
	if [ "$(concerned)" = "$want" ]; then ok "$text: ${want:-nobody}"; else bad "$text: $(concerned), not ${want:-nobody}"; fi
}

# explains TEXT CONF REGEX - started with CONF it says down, and why
explains() {
	dir_start "$2"
	if wait_line 30 '^state' && [[ $LINE =~ $3 ]]; then ok "$1: ${LINE#state down }"; else bad "$1: ${LINE:-nothing}"; fi
	dir_stop
}

# logins TEXT REGEX CMD... - after CMD such a line, and lookups before and after it have real answers
ASKED=0
logins() {
	local text=$1 want=$2 start end line='' from first wrong
	shift 2
	from=$(($(wc -l <"$W/out") + 1)) first=$ASKED
	start=$(now_ms) end=$(($(now_ms) + 150000))
	"$@"
	until [ -n "$line" ] || [ "$(now_ms)" -gt $end ]; do
		ASKED=$((ASKED + 1))
		echo "nobody$ASKED" >&"$DIR_FD"
		sleep 0.05
		line=$(tail -n +$from "$W/out" | grep -m 1 -E "$want") || true
	done
	if [ -n "$line" ]; then ok "$text ($(($(now_ms) - start)) ms)"; else bad "$text: nothing like $want"; fi
	until [ "$(tail -n +$from "$W/out" | grep -c '^answer nobody')" = $((ASKED - first)) ] ||
		[ "$(now_ms)" -gt $end ]; do sleep 0.02; done
	wrong=$(tail -n +$from "$W/out" | grep -E '^state down|^answer nobody.* unavailable' | head -3) || true
	line=$(tail -n +$from "$W/out" | grep -c '^answer nobody[0-9]* not-found') || true
	if [ -z "$wrong" ] && [ "$line" = $((ASKED - first)) ]; then
		ok "all of $line logins meanwhile are answered"
	else
		bad "of $((ASKED - first)) logins meanwhile $line are answered; $wrong"
	fi
}

# in time: what the documents promise; a busy machine may need longer, so that is only shown
comes() { # TEXT REGEX CMD...
	local text=$1 want=$2 start
	shift 2
	mark
	start=$(now_ms)
	"$@"
	if wait_line 150 "$want"; then ok "$text ($(($(now_ms) - start)) ms)"; else bad "$text: ${LINE:-nothing}"; fi
}
