#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An account is disabled while it is used. The directory is down: logins are recorded, cached groups
# serve, others get theirs when it is back.
set -euo pipefail
: "${IDFW_LAB:=g$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

echo "== an account is disabled: its live session loses what its groups gave, and has it back when enabled"
control() { # USER NUMBER
	lab_ldapmodify <<-L
		dn: CN=$1,OU=People,$LAB_BASE
		changetype: modify
		replace: userAccountControl
		userAccountControl: $2
	L
}
lab_login desk jump01 alice
transfer desk jump01 alice
control alice 514
when=$(lab_now_ms)
cut_at jump01 alice "$when" "disabling"
check "audited, with the words why" lab_wait_for 30 audited account alice 'account alice is disabled in the directory'
check "her session is live" live alice
reaches_not desk $DB 5432 "a new connection"
check "what is open to everybody stays" lab_run desk 'timeout 25 bash -c "exec 3<>/dev/tcp/10.77.8.10/636"'
who_says() { lab_ctl who alice | grep "$1" >/dev/null; }
check "who says disabled" lab_wait_for 30 who_says disabled
control alice 512
check "enabled: alice gains access again, without a new login" lab_run desk "/run/lab/stream.py until $DB 5432 open 20000"
check "who says enforced" lab_wait_for 30 who_says enforced
lab_logout desk
check "alice went" lab_wait_for 30 not_live alice

echo "== asked by hand"
dir_says() { # STATUS REGEX VERB... - what "dir VERB" ends with and prints
	local out rc=0 want=$1 regex=$2
	shift 2
	out=$(lab_ctl dir "$@" 2>&1) || rc=$?
	[ "$rc" = "$want" ] && grep -qE "$regex" <<<"$out" || {
		printf '%s\n' "exit $rc" "$out" >&2
		return 1
	}
}
check "dir status: up, by this server" dir_says 0 'ldaps://dc1.corp.example +answers' status
check "dir lookup: her SID" dir_says 0 '^  sid +S-1-5-21-' lookup alice
check "and what the policy makes of her groups" dir_says 0 '^policy groups: .*eng' lookup 'CORP\alice'
nest() { # what a trace has to show: levels, a cycle, a distribution list
	lab_ldapmodify <<-L
		dn: CN=ring-a,OU=Groups,$LAB_BASE
		changetype: add
		objectClass: group
		sAMAccountName: ring-a
		member: CN=eng,OU=Groups,$LAB_BASE

		dn: CN=ring-b,OU=Groups,$LAB_BASE
		changetype: add
		objectClass: group
		sAMAccountName: ring-b
		member: CN=ring-a,OU=Groups,$LAB_BASE

		dn: CN=ring-a,OU=Groups,$LAB_BASE
		changetype: modify
		add: member
		member: CN=ring-b,OU=Groups,$LAB_BASE

		dn: CN=mail-list,OU=Groups,$LAB_BASE
		changetype: add
		objectClass: group
		sAMAccountName: mail-list
		groupType: 2
		member: CN=alice,OU=People,$LAB_BASE

		dn: CN=vacant,OU=Groups,$LAB_BASE
		changetype: add
		objectClass: group
		sAMAccountName: vacant
	L
}
nest
check "dir lookup --trace: the way" dir_says 0 'alice -> eng -> ring-a -> ring-b' lookup alice --trace
check "the primary group" dir_says 0 '^Domain Users +primary +alice -> Domain Users' lookup alice --trace
check "a distribution list does not count" dir_says 0 '^mail-list +distribution, not counted' lookup alice --trace
check "the cycle" dir_says 0 '^cycle: ring-(a -> ring-b -> ring-a|b -> ring-a -> ring-b)$' lookup alice --trace
names() { # JQ-LIKE: names of the groups that count, with [trace]
	lab_ctl --json dir lookup alice "$@" | grep '"type":"group"' | grep -v '"counts":false' |
		sed 's/.*"name":"\([^"]*\)".*/\1/' | sort | tr '\n' ' '
}
plain=$(names) traced=$(names --trace)
check "the trace has the lookup's groups: $traced" [ -n "$plain" -a "$plain" = "$traced" ]
reached() { ! lab_ctl --json dir lookup alice --trace | grep '"counts":true' | grep '"path":\[\]' >/dev/null; }
check "and a way to each" reached
check "nobody of that name: status 4" dir_says 4 'no account "nobody' lookup nobody-of-that-name
says_not() { # REGEX VERB... - exit 0, and nothing like it
	local out
	out=$(lab_ctl dir "${@:2}" 2>&1) && ! grep -qE "$1" <<<"$out"
}
{
	echo 'group typo { directory "No-Such-Group"; } group users { directory "Domain Users"; }'
	echo 'group vacant { directory "vacant"; }'
	cat "$LAB_TOP/lab/policy.idfw"
} | lab_put svm /run/lab/policy.idfw
lab_ctl policy commit /run/lab/policy.idfw >/dev/null
check "dir groups: which the policy names" dir_says 0 '^corp +eng +security +0 +0 +eng$' groups
check "groups in groups, and the longest way" dir_says 0 '^corp +ring-a +2 +1 +eng -> ring-a$' groups --nested
check "the cycle alone" dir_says 0 '^corp: ring-(a -> ring-b -> ring-a|b -> ring-a -> ring-b)$' groups --cycles --directory corp
check "named and not there" dir_says 0 '^ +no-such-group +name +in no directory +typo$' groups --unused
check "named and empty" dir_says 0 '^corp +vacant +security +has no members +vacant$' groups --unused
check "there and not named" dir_says 0 '^corp +ring-b +security +not named$' groups --unused
check "what is named, a primary group too, is not said to be unused" says_not '^corp +(eng|Domain Users|mail-list) ' groups --unused
lab_ctl policy commit /etc/idfw/policy.idfw >/dev/null
check "a directory that is not configured: status 2" dir_says 2 'no directory "dorp" is configured' sync --directory dorp
check "dir sync: looked at once" dir_says 0 '^  changes ' sync
check "dir sync --full: compared, nothing was missed" dir_says 0 '^  groups +[0-9]+ compared, 0 found changed' sync --full
check "who asked is recorded" lab_wait_for 30 audited directory '' '"sync": *"full", *"by": *"root"'
check "dir status: how changes are seen" dir_says 0 '^  seen +asked for \(uSNChanged\), every [0-9]+ ms$' status
check "and what is remembered, since when" dir_says 0 '^  groups +[0-9]+ with [0-9]+ memberships; compared 20' status
su_session alice
check "alice is in eng" gains alice
check "and is looked up by it" dir_says 0 '^  accounts +1 with sessions, 1 looked up' sync --full
check "svm-idfw knows the same of her" dir_says 0 '^svm-idfw knows the same' lookup alice
su_end alice
check "alice went" lab_wait_for 30 not_live alice

echo "== the directory is down: logins are recorded, cached groups serve, others wait for it"
su_session alice
check "alice is in eng" gains alice
su_end alice
check "alice went" lab_wait_for 30 not_live alice
lab_ad_group_add eng carol
lab_signal dc samba KILL
check "that is seen" lab_wait_for 30 audited directory "" '"state": *"down"'
su_session alice
check "alice, known from before, gains access" gains alice
check "the record of her login says that it is from the cache" lab_wait_for 30 audited login alice '"cached": *true'
su_session carol
check "carol is recorded" lab_wait_for 30 live carol
check "and has no access yet" loses carol
check "dir status says why" dir_says 1 'refuses connections on port 636' status
check "and since when" dir_says 1 '^corp: down since 20[0-9-]+ [0-9:]+, for [0-9]+ ' status
check "so does dir lookup" dir_says 1 'refuses connections on port 636' lookup alice
check "and what serves meanwhile" dir_says 1 '^svm-idfw goes on with what it knew at .* ago\): [0-9]+ groups, for 1 live session$' lookup alice
check "and dir sync" dir_says 1 'refuses connections on port 636' sync --full
check "and dir groups" dir_says 1 'refuses connections on port 636' groups
lab_dc_run
check "carol gains access when the directory is back" gains carol 30000
lab_ad_group_del eng carol
check "and loses it again" loses carol
su_end carol
su_end alice
check "alice went" lab_wait_for 30 not_live alice

echo "== the directory stalls in the middle of a connection: nothing else waits for it"
lab_signal dc samba STOP
by_hand() { lab_ctl dir lookup alice >"$LAB_DIR/by-hand.$1" 2>&1 || echo "exit $?" >>"$LAB_DIR/by-hand.$1"; }
for i in 1 2 3; do by_hand $i & done
by_hand_ended() { # HOW MANY of the three, REGEX
	[ "$(grep -lE "$2" "$LAB_DIR"/by-hand.[123] 2>/dev/null | wc -l)" = "$1" ]
}
check "of three questions by hand two wait for it, one is refused" \
	lab_wait_for 30 by_hand_ended 1 'questions to directories run already'
su_session bob
check "bob is recorded" lab_wait_for 30 live bob
su_session alice
start=$(lab_now_ms)
check "alice gains access" gains alice
tell "$(since "$start"); the questions by hand wait for their deadline of 5 s"
check "the questions by hand have an end" lab_wait_for 40 by_hand_ended 3 '^exit 1$'
check "and say why" by_hand_ended 2 'no answer within|stalled|did not answer|[Tt]imed out'
lab_signal dc samba CONT
lab_ad_group_add eng bob
check "bob gains access when it goes on" gains bob 30000
