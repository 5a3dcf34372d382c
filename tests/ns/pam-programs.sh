#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pam_gi.so in the programs that people log in by: sshd, login, su, sudo. Each is run for real,
# with a PAM stack of its own; what the SVM hears is checked.
. "$(dirname "$0")/netagent-lib.sh"

for p in sshd ssh ssh-keygen su login script; do
	command -v $p >/dev/null || [ -x /usr/sbin/$p ] || skip "needs $p"
done
ip link set lo up
svm_start
agent_start
svm_says '^snapshot'
for s in sshd login su su-l sudo; do
	pam $s required timeout_ms=20000
done
echo "auth required pam_permit.so" >"$dir/pam.d/other"

# heard SERVICE USER - one session of that program, opened and closed
heard() {
	local id
	svm_says "^event [0-9]+ open .*user=$2 .*service=$1 " "$1: $2 comes"
	id=$(svm_field "open .*user=$2 .*service=$1 " id)
	svm_says "^event [0-9]+ close id=$id reason=1" "$1: and goes"
}

echo "# su"
svm_mark
su -s /bin/sh -c 'exit 7' daemon && rc=0 || rc=$?
check "su runs the command" 7 $rc
heard su daemon

echo "# su -: the session's leader is su, not the shell: kill -9 of it ends the session"
svm_mark
su - daemon -s /bin/sh -c 'exec sleep 60' >/dev/null 2>&1 &
na_pids+=($!)
svm_says "^event [0-9]+ open .*user=daemon .*service=su-l .*leader=$! " "leader is su"
id=$(svm_field 'service=su-l ' id)
kill9 $!
svm_says "close id=$id reason=2" "its end is the session's"

echo "# login"
svm_mark
script -qec 'login -f daemon' /dev/null </dev/null >"$dir/login.out" 2>&1 || :
svm_says '^event [0-9]+ open .*user=daemon .*service=login tty=[a-z/0-9]+ ' "login: daemon comes, with a tty"
svm_says ' close id=[0-9]+ reason=[12]$' "login: and goes"

if command -v sudo >/dev/null; then
	echo "# sudo"
	svm_mark
	sudo -n -u daemon true && ok "sudo runs the command" || fail "sudo"
	heard sudo daemon
else
	echo "# sudo is not installed here"
fi

echo "# sshd: key authentication, two connections, one of them killed"
mount -t tmpfs pam-programs /run # ours alone
mkdir /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$dir/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
cp "$dir/key.pub" "$dir/authorized"
cat >"$dir/sshd_config" <<CONF
Port 2222
ListenAddress 127.0.0.1
HostKey $dir/hostkey
AuthorizedKeysFile $dir/authorized
StrictModes no
UsePAM yes
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
ExposeAuthInfo yes
PidFile none
CONF
/usr/sbin/sshd -D -e -f "$dir/sshd_config" >"$dir/sshd.log" 2>&1 &
na_pids+=($!)
sshd_up() { (exec 3<>/dev/tcp/127.0.0.1/2222); }
await 60 sshd_up
ssh_to() {
	ssh -q -p 2222 -i "$dir/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o IdentitiesOnly=yes -o BatchMode=yes root@127.0.0.1 "$@"
}
svm_mark
check "ssh runs the command" hello "$(ssh_to echo hello)"
svm_says '^event [0-9]+ open .*user=root uid=0 service=sshd tty=ssh rhost=127\.0\.0\.1 auth=publickey ssh-ed25519 [^ ]+ leader=' \
	"sshd: who, from where, and how"
svm_says ' close id=[0-9]+ reason=1$' "sshd: and goes"
svm_mark
(ssh_to 'exec sleep 60' || :) &
na_pids+=($!)
svm_says ' open .*service=sshd '
lead=$(svm_field 'service=sshd' leader)
id=$(svm_field 'service=sshd' id)
grep -q sshd "/proc/$lead/comm" && ok "its leader is an sshd" || fail "its leader is $(cat "/proc/$lead/comm")"
kill -9 "$lead"
svm_says "close id=$id reason=2" "kill -9 of that sshd ends the session"

echo "# the agent is gone: all of them still let in, within the module's time"
for s in sshd login su su-l sudo; do
	pam $s timeout_ms=300
done
agent_stop
su -s /bin/sh -c 'exit 7' daemon && rc=0 || rc=$?
check "su" 7 $rc
check "ssh" hello "$(ssh_to echo hello)"
na_end
