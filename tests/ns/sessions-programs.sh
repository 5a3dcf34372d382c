#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The table of docs/sessions.md with the real programs: what sshd, su, sudo, login, at, cron, tmux and
# a shared ssh connection are to the agent: which sessions, whose, nested in what, when they end, and
# in whose cgroup their processes are.
. "$(dirname "$0")/netagent-lib.sh"
[ -n "$cg" ] || skip "needs a writable cgroup v2"
for p in /usr/sbin/sshd ssh scp sftp su sudo login script tmux atd at cron; do
	command -v $p >/dev/null || skip "needs $p"
done
base=${cg##*/}

# ---- a small machine ----
ip link set lo up
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/sshd /run/sudo
mount -t tmpfs -o mode=755 none /home
mkdir "$dir/etc"
for f in passwd shadow group gshadow; do
	grep -vE '^(alice|bob):' "/etc/$f" >"$dir/etc/$f" || :
done
id=2001
for u in alice bob; do
	echo "$u:x:$id:$id:$u:/home/$u:/bin/bash" >>"$dir/etc/passwd"
	echo "$u:*:19000:0:99999:7:::" >>"$dir/etc/shadow"
	echo "$u:x:$id:" >>"$dir/etc/group"
	install -d -o $id -g $id -m 700 "/home/$u" "/home/$u/.ssh"
	id=$((id + 1))
done
printf '%s\n' 'alice ALL=(ALL) NOPASSWD: ALL' 'root ALL=(ALL) NOPASSWD: ALL' >"$dir/etc/sudoers"
echo 'Defaults !use_pty, !lecture' >>"$dir/etc/sudoers"
chmod 440 "$dir/etc/sudoers"
chmod 640 "$dir/etc/shadow" "$dir/etc/gshadow"
for f in passwd shadow group gshadow sudoers; do
	mount --bind "$dir/etc/$f" "/etc/$f"
done
stack() { # SERVICE MODULE-LINE
	printf 'auth required pam_permit.so\naccount required pam_permit.so\n%s\n' "$2" >"$dir/pam.d/$1"
}
gi="session optional $na_build/pam_gi/.libs/pam_gi.so socket=$dir/run/pam.sock timeout_ms=20000"
for s in sshd su su-l sudo sudo-i login atd cron systemd-user; do
	stack $s "$gi"
done
ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
for u in alice bob; do
	install -o $u -g $u -m 600 "$dir/key.pub" "/home/$u/.ssh/authorized_keys"
done
printf '%s\n' 'Port 2222' 'ListenAddress 127.0.0.1' "HostKey $dir/host_key" 'UsePAM yes' 'PidFile none' \
	'Subsystem sftp internal-sftp' >"$dir/sshd_config"
/usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>"$dir/sshd.log" &
sshd=$!
na_pids+=("$sshd")
sshd_up() { (exec 3<>/dev/tcp/127.0.0.1/2222); }
await 60 sshd_up
o=(-F none -i "$dir/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes)
s() { ssh -p 2222 "${o[@]}" "$@"; } # USER@HOST CMD...
ns=$(readlink /proc/self/ns/mnt)
running() { # CMDLINE - pids, of ours alone: another of these tests may run beside
	local p
	for p in $(pgrep -f -x "$1"); do
		[ "$(readlink "/proc/$p/ns/mnt")" != "$ns" ] || echo "$p"
	done | grep .
}
stop() { kill "$(running "$1" | head -1)"; } # CMDLINE
# stays NAME CMD... - in the background, until it is killed; its pid in $stays
stays() {
	"$@" </dev/null >"$dir/stays.out" 2>&1 &
	stays=$!
	na_pids+=("$stays")
}
# told WHAT REGEX - the SVM hears of such a session; id, cgroup and parent of it
told() {
	svm_says "^event .* open .*$2" "$1"
	id=$(svm_field "^event .* open .*$2" id)
	parent=$(svm_field "^event .* open .*$2" parent)
	cgroup=$(svm_field "^event .* open .*$2" cgroup)
}
# in_session WHAT CMDLINE SESSION - its process is in that session's cgroup
in_session() {
	await 60 running "$2" || fail "$1: $2 does not run"
	check "$1" "/$base/idfw/s$3" "$(cg_of "$(running "$2" | head -1)")"
}
ends() { svm_says "close id=$2 reason=$3" "$1"; } # WHAT ID REASON

svm_start
agent_start
svm_says '^snapshot'

echo "# ssh host command, and what ssh is"
svm_mark
s alice@127.0.0.1 true
told "ssh host command" 'user=alice uid=2001 service=sshd .*parent=0 '
ends "closed with it" "$id" 1
svm_mark
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 sleep 1001
told "a login that stays" 'user=alice .*service=sshd .*parent=0 '
one=$id one_ssh=$stays
in_session "its processes are in its cgroup" 'sleep 1001' "$one"

echo "# two logins of one user"
svm_mark
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 sleep 1002
told "another session" 'user=alice .*service=sshd .*parent=0 '
two=$id two_ssh=$stays
in_session "another cgroup" 'sleep 1002' "$two"
svm_mark
kill "$two_ssh"
ends "one ends" "$two" 1
check "the other does not" 0 "$(svm_count "close id=$one ")"

echo "# killed, not closed"
svm_mark
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 sleep 1003
told "a login" 'user=alice .*service=sshd '
leader=$(svm_field ' open ' leader)
svm_mark
kill -9 "$leader"
ends "kill -9 of its sshd" "$id" 2

echo "# scp, sftp"
svm_mark
scp -q -P 2222 "${o[@]}" /etc/hostname alice@127.0.0.1:copied
told "scp" 'user=alice .*service=sshd '
ends "over with the copy" "$id" 1
svm_mark
echo pwd | sftp -q -P 2222 "${o[@]}" alice@127.0.0.1 >/dev/null
told "sftp" 'user=alice .*service=sshd '
ends "over with the transfer" "$id" 1

echo "# several sessions in one connection"
svm_mark
stays ssh -p 2222 "${o[@]}" -M -S "$dir/mux.ssh" alice@127.0.0.1 sleep 1004
await 60 test -S "$dir/mux.ssh"
await 60 running 'sleep 1004'
ssh -S "$dir/mux.ssh" alice@127.0.0.1 true
stays ssh -S "$dir/mux.ssh" alice@127.0.0.1 sleep 1005
await 60 running 'sleep 1005'
told "one login" 'user=alice .*service=sshd '
check "and one alone" 1 "$(svm_count '^event .* open ')"
in_session "the first channel" 'sleep 1004' "$id"
in_session "the other one" 'sleep 1005' "$id"
svm_mark
ssh -S "$dir/mux.ssh" -O exit alice@127.0.0.1 2>/dev/null
ends "over with the connection" "$id" 1

nested() { # WHAT USER SERVICE SLEEP CMD - inside a login of alice
	svm_mark
	stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 "$5"
	told "ssh" 'user=alice .*service=sshd '
	local outer=$id
	told "$1: a session of its own" "user=$2 .*service=$3 "
	check "$1: nested, without a cgroup" "$outer 0" "$parent $cgroup"
	in_session "$1: its processes are alice's" "sleep $4" "$outer"
	svm_mark
	stop "sleep $4"
	ends "$1: ends by itself" "$id" 1
	ends "and then the login" "$outer" 1
}
echo "# ssh, then su and sudo"
nested "su" bob su 1010 'su bob -c "sleep 1010"; true'
nested "su -" bob su-l 1011 'su - bob -c "sleep 1011"; true'
nested "sudo cmd" root sudo 1012 'sudo sleep 1012; true'
nested "sudo -i" root sudo-i 1013 'sudo -i sleep 1013; true'
nested "sudo -u bob" bob sudo 1014 'sudo -u bob sleep 1014; true'

echo "# what outlives the login: in its cgroup, and in no session"
svm_mark
s alice@127.0.0.1 'nohup sleep 1020 >/dev/null 2>&1 & setsid sleep 1021 >/dev/null 2>&1 & tmux -S /home/alice/t new -d "sleep 1022"; sudo setsid sleep 1023 >/dev/null 2>&1 </dev/null & sleep 0.5' &
waiter=$!
told "ssh" 'user=alice .*service=sshd '
outer=$id
ends "logged out" "$outer" 1
wait $waiter || :
for n in 1020 1021 1022 1023; do
	in_session "$(sed 's/1020/nohup/;s/1021/setsid/;s/1022/tmux/;s/1023/a root daemon/' <<<$n) stays in the cgroup of the session that is over" \
		"sleep $n" "$outer"
done
echo "# and does not become somebody by a new PAM session, nor by a later login that attaches to it"
svm_mark
s alice@127.0.0.1 'tmux -S /home/alice/t new-window -d "sudo -u bob sleep 1024"; tmux -S /home/alice/t new-window -d "sleep 1025"'
told "sudo in what was left behind" 'user=bob .*service=sudo '
check "nested in the session that is over" "$outer 0" "$parent $cgroup"
in_session "what the later login starts in tmux is still there, too" 'sleep 1025' "$outer"
for n in 1020 1021 1022 1023 1024 1025; do
	stop "sleep $n" || :
done
cgroup_gone() { [ ! -e "$cg/idfw/s$outer" ]; }
await 60 cgroup_gone && ok "the cgroup goes with the last of them" || fail "cgroup left"

echo "# su and sudo by a process that is in no session"
svm_mark
stays su bob -c 'sleep 1030'
told "su by root" 'user=bob uid=2002 service=su .*parent=0 '
in_session "a session of bob" 'sleep 1030' "$id"
svm_mark
stop 'sleep 1030'
ends "closed" "$id" 1

svm_mark
stays sudo -u bob sleep 1031
told "sudo by root" 'user=bob uid=2002 service=sudo .*parent=0 '
in_session "a session of bob" 'sleep 1031' "$id"
stop 'sleep 1031'
ends "closed" "$id" 1

has_child() { [ -n "$(cat "/proc/$1/task/$1/children" 2>/dev/null)" ]; }
echo "# login on a terminal"
svm_mark
# whoever runs the tests may have told them to ignore it
stays env --default-signal=HUP script -qec 'login -f alice' /dev/null
told "login" 'user=alice .*service=login tty=.*parent=0 '
leader=$(svm_field ' open ' leader)
check "its leader is in a cgroup of its own" "/$base/idfw/s$id" "$(cg_of "$leader")"
svm_mark
# before its shell runs, login takes no notice of a hangup
await 60 has_child "$leader"
kill -HUP "$stays"
kill -HUP "$leader" 2>/dev/null || :
svm_says "close id=$id reason=[12]" "over with the terminal"

echo "# at, cron: sessions of whose job it is"
mount -t tmpfs -o mode=755 none /var/spool/cron
mkdir -p /var/spool/cron/{atjobs,atspool,crontabs}
install -o daemon -g daemon -m 600 /dev/null /var/spool/cron/atjobs/.SEQ
chown daemon:daemon /var/spool/cron/at*
chmod 1770 /var/spool/cron/at*
chgrp crontab /var/spool/cron/crontabs
echo '@reboot sleep 1041' >/var/spool/cron/crontabs/alice
chown alice:crontab /var/spool/cron/crontabs/alice
chmod 600 /var/spool/cron/crontabs/alice
svm_mark
cron -f >/dev/null 2>&1 &
na_pids+=($!)
told "cron" 'user=alice .*service=cron .*parent=0 '
in_session "its job" 'sleep 1041' "$id"
svm_mark
stop 'sleep 1041'
ends "over with the job" "$id" 1
atd -f >/dev/null 2>&1 &
na_pids+=($!)
atd=$!
catches_hup() { test -s /run/atd.pid && grep -q '^SigCgt:.*[13579bdf]$' "/proc/$atd/status"; }
await 60 catches_hup # it is how at tells it of a job
svm_mark
echo 'sleep 1040' >"$dir/job"
setpriv --reuid alice --regid alice --clear-groups sh -c "cd /home/alice; at now <'$dir/job'" 2>"$dir/at.out" ||
	fail "at: $(cat "$dir/at.out")"
told "at" 'user=alice .*service=atd .*parent=0 '
in_session "its job" 'sleep 1040' "$id"
svm_mark
stop 'sleep 1040'
ends "over with the job" "$id" 1

echo "# systemd --user with pam_gi in its stack: its unit is its cgroup, nothing is moved"
manager=$cg/user.slice/user-2001.slice/user@2001.service
mkdir -p "$manager/init.scope"
svm_mark
# shellcheck disable=SC2016
stays sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$manager/init.scope" python3 "$dir/session.py" systemd-user alice
told "the user's manager" 'user=alice .*service=systemd-user .*parent=0 '
check "its unit" "$(stat -c %i "$manager")" "$cgroup"
check "and it stays there" "/$base/user.slice/user-2001.slice/user@2001.service/init.scope" "$(cg_of "$stays")"
logout "$stays"

echo "# pam_gi missing in a stack"
stack su 'session required pam_permit.so'
svm_mark
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 'su bob -c "sleep 1050"; true'
told "ssh" 'user=alice .*service=sshd '
in_session "su without it: nothing is told, it is alice all the same" 'sleep 1050' "$id"
check "no second session" 1 "$(svm_count '^event .* open ')"
stop 'sleep 1050'
stack sshd 'session required pam_permit.so'
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 sleep 1051
await 60 running 'sleep 1051'
case $(cg_of "$(running 'sleep 1051')") in
*/idfw/s*) fail "sshd without it: in a session's cgroup" ;;
*) ok "sshd without it: in no session" ;;
esac
kill "$stays"
stack sshd "$gi"
stack su "$gi"

echo "# a daemon that is started inside a session stays in it, and so do its children: also an sshd"
svm_mark
stays ssh -p 2222 "${o[@]}" alice@127.0.0.1 \
	"sudo sh -c 'sed s/2222/2223/ $dir/sshd_config >$dir/sshd2; exec /usr/sbin/sshd -D -f $dir/sshd2'"
told "ssh" 'user=alice .*service=sshd '
outer=$id
second_up() { (exec 3<>/dev/tcp/127.0.0.1/2223); }
await 60 second_up
svm_mark
ssh -p 2223 "${o[@]}" bob@127.0.0.1 true
told "a login through it" 'user=bob .*service=sshd '
check "is nested in that session" "$outer 0" "$parent $cgroup"
kill "$stays"

echo "# the login that was there all the time, with the agent restarted in between"
svm_mark
role_kill agent
svm_says "^in-snapshot open id=$one user=alice " "goes on"
svm_mark
kill "$one_ssh"
ends "and ends" "$one" 1
agent_stop
na_end
