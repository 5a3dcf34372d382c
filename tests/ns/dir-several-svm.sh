# shellcheck shell=bash
# shellcheck disable=SC2154 # its directories and top_builddir are of dir-several.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/ns/dir-several-svm.sh - part of dir-several.sh, with its directories: svm-idfw itself. Names with
# a domain in a policy, the directory of a VM's bare names (SIGHUP, restart), names that are more than
# one, names that would like to be something else on a terminal.
S=$W/svm SVM_PID=
mkdir -p "$S/run" "$S/state"
chmod 711 "$W" "$S"
chown nobody "$S/run" "$S/state"
cp "$W/srv.key" "$S/key"
for f in password l.password; do install -m 400 -o nobody "$W/$f" "$S/$f"; done
chmod 644 "$W"/{ca,srv}.crt

svm_conf() { # MORE: vm blocks [of b]
	{
		cat <<-E
			listen "unix:$S/run/listen"; ca "$W/ca.crt"; cert "$W/srv.crt"; key "$S/key";
			mux-names t; state-dir "$S/state"; policy "$S/policy"; user "nobody";
			control-socket "$S/run/ctl";
		E
		block_a 'on-disabled keep;' # they have no passwords
		block_b "netbios \"BEE\"; on-disabled keep; ${2:-}"
		block_l
		echo "$1"
	} | sed "s,$W/\([l.]*password\),$S/\1," >"$S/conf"
	chmod 644 "$S/conf"
}
svm_start() {
	"$top_builddir/svm-idfw/svm-idfw" -c "$S/conf" >>"$W/err" 2>&1 9>&- &
	SVM_PID=$!
}
svm_stop() {
	[ -n "$SVM_PID" ] || return 0
	kill -TERM "$SVM_PID" 2>/dev/null || true
	wait "$SVM_PID" 2>/dev/null || true
	SVM_PID=
}
ctl() { timeout 120 "$top_builddir/idfwctl/idfwctl" -s "$S/run/ctl" "$@"; }
until_true() { # TEXT CMD... - within 90 s
	local text=$1 end=$(($(now_ms) + 90000))
	shift
	until "$@" >"$S/out" 2>&1; do
		[ "$(now_ms)" -lt $end ] && kill -0 "$SVM_PID" || {
			bad "$text: $(tail -n 3 "$S/out")"
			return 0
		}
		sleep 0.05
	done
	ok "$text"
}
# ctl_says TEXT CODE REGEX ARGS... - idfwctl ends with CODE and says that
ctl_says() {
	local text=$1 code=$2 want=$3 rc=0
	shift 3
	ctl "$@" >"$S/out" 2>&1 || rc=$?
	if [ $rc = "$code" ] && grep -qE "$want" "$S/out"; then ok "$text"; else bad "$text: exit $rc, $(cat "$S/out")"; fi
}
# its TEXT DIRECTORY "GROUP, GROUP" ARGS... - dir lookup finds it there, with these groups of the policy
its() {
	local text=$1 label=$2 want=$3
	shift 3
	ctl dir lookup "$@" >"$S/out" 2>&1 || true
	if grep -qE "^[^ ].* in $label: found" "$S/out" && grep -qxF "policy groups: $want" "$S/out"; then
		ok "$text"
	else
		bad "$text: $(grep -E ': |policy' "$S/out" | paste -sd'|')"
	fi
}
# who_is SESSION LABEL "GROUP GROUP" - as a live session has it
who_is() {
	ctl --json who | grep "\"session\": *$1," | grep -q "\"groups\": *\[${3:+\"${3// /\", *\"}\"}\].*\"account_in\": *\"$2\""
}
live() { # "ID,'VM','USER'"... - sessions that the database has of before
	for row; do
		echo "INSERT INTO session(id,vm,agent_id,user,boot_id,uid,service,tty,rhost,auth,leader_pid,leader_start,opened_ms,seen_ms)
		SELECT v.*,x'000102030405060708090a0b0c0d0e0f',5000,'ssh','','','',1,1,1,1
		FROM (SELECT $(sed "s/,/,${row%%,*}+100,/2;" <<<"$row" | awk -F, '{ print $1","$2","$3","$4 }')) v;"
	done | sqlite3 "$S/state/svm.db"
}
names_policy() {
	cat <<-'E'
		group all-eng { directory "eng"; }
		group a-eng { directory "A.Example\\ENG"; }
		group b-eng { directory "eng@b.example"; }
		group l-eng { directory "l\\eng"; }
		group b-alice { user "bee\\Alice"; }
		group a-alice { user "alice@a.example"; }
		group b-odd { directory "BEE\\odd"; }
		section infrastructure { rule ping allow from any to any service icmp; }
		section application {
			rule r allow from all-eng, a-eng, b-eng, l-eng, b-alice, a-alice, b-odd to vm db service tcp 5432;
		}
	E
}

echo '== svm-idfw: names with a domain in a policy'
names_policy >"$S/policy"
svm_conf 'vm bee { directory b; }'
svm_start
# what the database has of before: sessions of one name on two VMs, and of a name with its domain
until_true 'it runs' ctl policy show
svm_stop
live "1,'plain','alice'" "2,'bee','Alice'" "3,'bee','LENA@l.example'" "4,'bee','nobody-else'"
svm_start
until_true 'alice there is the first block'\''s' who_is 1 a 'all-eng a-eng a-alice'
until_true 'alice on a VM of b is another account' who_is 2 b 'b-alice'
until_true 'a name with a domain is its domain'\''s there, too' who_is 3 l 'all-eng l-eng'
until_true 'whom b does not know is nobody' who_is 4 '' ''
its 'a group of its directory only' b 'all-eng, b-eng' berta
its 'looked up for a VM' b b-alice alice --vm bee
its 'a group with what a filter and a DN are made of' b b-odd '#a(b)&c'
ctl_says 'a VM of nobody' 4 'no VM "nosuch"' dir lookup alice --vm nosuch
svm_stop
svm_start
until_true 'after a restart it is still another account' who_is 2 b 'b-alice'
until_true 'and so is the first one' who_is 1 a 'all-eng a-eng a-alice'

echo '== svm-idfw: SIGHUP'
svm_conf 'vm plain { directory b; } vm bee { directory l; }'
kill -HUP "$SVM_PID"
until_true 'alice is b'\''s there now' who_is 1 b 'b-alice'
until_true 'and l'\''s here' who_is 2 l ''
until_true 'a name with a domain stays whose it is' who_is 3 l 'all-eng l-eng'
svm_conf 'vm plain { directory x; } vm bee { directory b; }'
kill -HUP "$SVM_PID"
until_true 'a directory that is none is refused' grep -q 'vm plain: there is no directory "x"' "$W/err"
who_is 2 l '' && who_is 1 b 'b-alice' && ok 'and changes nothing' || bad "changed: $(ctl who)"
svm_conf 'vm-directory "pl* -> a", "*n -> b", "be* -> b"; vm bee { directory l; }'
kill -HUP "$SVM_PID"
until_true 'by the names of VMs' who_is 1 a 'all-eng a-eng a-alice'
its 'the same for one that has never been there' b b-alice alice --vm green
who_is 2 l '' && ok 'a vm block counts before' || bad "not l: $(ctl who)"
svm_conf ''
kill -HUP "$SVM_PID"
until_true 'without a directory the order of the blocks decides' who_is 2 a 'all-eng a-eng a-alice'

echo '== svm-idfw: a domain of nobody, and names that are more than one'
names_policy | sed 's/BEE/BEA/; s/"alice@a/"alice@aa/' >"$S/wrong"
ctl_says 'told with line and column' 1 '^policy:7:25: error: no directory has the domain "BEA"' policy commit "$S/wrong"
ctl_says 'and asked beforehand' 1 '^policy:7:25: error: no directory has' policy check --server "$S/wrong"
ctl_says 'a principal name of nobody is a warning' 1 '^policy:6:22: warning: no directory has the domain "aa.example"' policy check --server "$S/wrong"
its 'the policy of before is in force' b b-odd '#a(b)&c'
collides() { ctl dir collisions >"$S/collisions" 2>&1 && grep -E '^group +eng +a +CN=eng,CN=Users,DC=a,DC=example' "$S/collisions"; }
until_true 'eng is three groups' collides
names_policy | sed 's/directory "eng";/directory "a.example\\\\eng", "BEE\\\\eng", "l\\\\eng";/' >"$S/policy2"
ctl_says 'each with its domain' 0 'generation 2' policy commit "$S/policy2"
none() { ctl dir collisions >"$S/collisions" 2>&1 && ! grep -E '^group +eng' "$S/collisions"; }
until_true 'is no collision' none
its 'and means all three' b 'all-eng, b-eng' berta

echo '== svm-idfw: names for a terminal'
{
	for name in plain-hostile 'x\1B]0\3Bowned\07\1B[2J' "eng$(printf '\342\200\256')"; do
		printf 'dn:: %s\nobjectClass: groupOfNames\nmember: cn=lena,%s\n\n' \
			"$(printf '%s' "cn=$name,$LBASE" | base64 -w0)" $LBASE
	done
} | slapd_modify -a
its 'an account in such groups has its own' l 'all-eng, l-eng' lena
ctl dir lookup lena --trace >>"$S/out" 2>&1 || bad "trace: $(cat -v "$S/out")"
ctl --json dir lookup lena >>"$S/out" 2>&1 || true
grep -q plain-hostile "$S/out" || bad 'the groups are not there'
if grep -qaP '\x1b|\x07' "$S/out" || grep -v '^{' "$S/out" | grep -qaP '\xe2\x80\xae'; then
	bad "raw: $(cat -v "$S/out")"
else
	ok 'nothing of it comes out'
fi
grep -qP '\x1b|\x07' "$W/err" && bad 'it is in the log' || ok 'nor into the log'
svm_stop

echo '== svm-idfw: whose groups count'
kept() { [ "$(cat "$S/state/directory-$1.domain")" = "$2" ]; }
first=$(samba_sid a.example alice)
until_true 'the domain of each is remembered' kept a "${first%-*}"
until_true 'of the second, too' kept b "${berta%-*}"
svm_stop
# as if the first block had said that it is the second one's domain, before that one ever did
echo "${berta%-*}" >"$S/state/directory-a.domain"
rm "$S/state/directory-b.domain"
names_policy >"$S/policy"
live "5,'bee','berta'"
from=$(($(wc -l <"$W/err") + 1))
logged() { tail -n +$from "$W/err" | grep -q -- "$1"; }
svm_conf 'vm bee { directory b; }'
svm_start
until_true 'another block'\''s domain is refused' logged "directory b: says that its domain is ${berta%-*}, which is directory a's"
until_true 'and what it says of accounts there' logged "directory b: what it says about ${berta%-*}-.* does not count, that is of directory a"
until_true 'whose account is nobody'\''s' who_is 5 '' ''
until_true 'whom it knew before keeps what he had' who_is 2 b 'b-alice'
until_true 'the first one says another domain than it did' logged 'directory a: says that its domain is .*, and said another one'
kept a "${berta%-*}" && [ ! -e "$S/state/directory-b.domain" ] && ok 'nothing is remembered of that' || bad "$(tail "$S"/state/*.domain)"
svm_stop
svm_conf 'vm bee { directory b; }' 'sids any;'
svm_start
until_true 'with sids any he is who he is' who_is 5 b 'all-eng b-eng'
svm_stop
rm "$S/state/directory-a.domain"
svm_conf 'vm bee { directory b; }'
svm_start
until_true 'without that memory each is its own domain again' kept b "${berta%-*}"
until_true 'the first, too' kept a "${first%-*}"
until_true 'and everybody who he is' who_is 5 b 'all-eng b-eng'
svm_stop
