# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lab/functions.sh - the lab's verbs, to be sourced (bash, root, set -e safe).
#
# A lab is a data centre on one machine. Each of its machines is one set of namespaces (mount,
# network, UTS, pid) held by a process 1 (lab/machine); nothing is named in /run/netns and nothing
# is mounted outside, so the end of those processes is the end of everything but $LAB_DIR.
#
#   client 10.77.7.10 --+
#   jump01 10.77.1.10 --+           each on a wire of its own, fd77:N::10 as well;
#   web01  10.77.2.10 --+-- host    host (10.77.N.1) routes between them and runs gi-mux
#   db01   10.77.3.10 --+
#   dc     10.77.8.10 --+           dc: Samba AD, domain CORP.EXAMPLE
#   svm    10.77.9.10 --+           svm: svm-idfw, svm-scan
#
# Settings: IDFW_LAB (name, default "lab"; several can run side by side), IDFW_LAB_DIR (its files,
# default /tmp/idfw-lab-NAME), IDFW_BUILD (build tree, default ./build).

LAB=${IDFW_LAB:-lab}
LAB_DIR=${IDFW_LAB_DIR:-/tmp/idfw-lab-$LAB}
LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
LAB_BUILD=${IDFW_BUILD:-$LAB_TOP/build}

LAB_VMS=(jump01 web01 db01)
LAB_FILE_VMS=(web01) # these have a disk of their own at /home, and gi-fileagent watches it
LAB_MACHINES=(host client jump01 web01 db01 dc svm)
declare -A LAB_NET=([client]=7 [jump01]=1 [web01]=2 [db01]=3 [dc]=8 [svm]=9)
declare -A LAB_PASSWORD=([alice]=Al1ce-Passw0rd [bob]=B0b-Passw0rd [carol]=Car0l-Passw0rd)
LAB_BASE=DC=corp,DC=example
export LAB_ADMIN_PASS=Adm1n-Passw0rd

lab_say() { printf 'lab: %s\n' "$*" >&2; }
lab_die() {
	lab_say "$*"
	exit 1
}
lab_now_ms() { date +%s%3N; }

# lab_wait_for SECONDS CMD... - until CMD succeeds, looking every 20 ms.
lab_wait_for() {
	local end=$(($(lab_now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(lab_now_ms)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# ---- machines ----------------------------------------------------------------------------------

# A process of ours is its pid and its start time: a pid alone may be somebody else's by now.
lab_starttime() {
	local stat
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	[ "$1" != Z ] && printf '%s\n' "${20}"
}

# lab_holder MACHINE - pid of the process that holds the machine, if it runs.
lab_holder() {
	local pid start
	{ read -r pid start <"$LAB_DIR/pid/$1"; } 2>/dev/null || return 1
	[ "$(lab_starttime "$pid")" = "$start" ] || return 1
	printf '%s\n' "$pid"
}

# lab_in MACHINE CMD... - run a command in the machine, as its root.
lab_in() {
	local pid
	pid=$(lab_holder "$1") || {
		lab_say "$1 is not up"
		return 125
	}
	local m=$1 ns=(--mount="/proc/$pid/ns/mnt" --net="/proc/$pid/ns/net" --uts="/proc/$pid/ns/uts"
		--pid="/proc/$pid/ns/pid_for_children")
	shift
	if [ -z "$LAB_CGROUP" ]; then
		nsenter "${ns[@]}" -- "$@"
		return
	fi
	# shellcheck disable=SC2016
	sh -c 'echo $$ >"$1/cgroup.procs" || exit 125; shift; exec "$@"' in "$LAB_CGROUP/$m" \
		nsenter "${ns[@]}" --cgroup="/proc/$pid/ns/cgroup" -- "$@"
}

# Each machine is a cgroup (v2) and its root is what the machine sees as /: sessions of two machines
# never meet. Without cgroup v2 the lab works as well, and its agents know sessions by their uid.
LAB_CGROUP=$(awk '/ - cgroup2 / && $4 == "/" { print $5 }' /proc/self/mountinfo | tail -n 1)
[ -z "$LAB_CGROUP" ] || LAB_CGROUP=$LAB_CGROUP/idfw-lab-$LAB
[ -d "$LAB_CGROUP" ] || [ -w "${LAB_CGROUP%/*}" ] || LAB_CGROUP=
lab_cgroup_rm() { # DIR - and all below it; 0 when nothing is left
	[ -n "$1" ] && [ -d "$1" ] || return 0
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
	[ ! -d "$1" ]
}

# lab_machine_start MACHINE - namespaces and process 1; the machine is ready when its file says so.
lab_machine_start() {
	local m=$1
	[ -z "$LAB_CGROUP" ] || mkdir -p "$LAB_CGROUP/$m"
	# The shell writes down who it is before it becomes the holder, and only then looks whether the
	# lab goes down: lab_down says so before it reads who is there. One of the two sees the other.
	# shellcheck disable=SC2016
	setsid bash -c '
		record=$1 down=$2 cgroup=$3; shift 3
		stat=$(<"/proc/$$/stat"); read -r -a field <<<"${stat##*) }"
		echo "$$ ${field[19]}" >"$record" || exit
		[ ! -e "$down" ] || exit
		[ -z "$cgroup" ] || echo "$$" >"$cgroup/cgroup.procs"
		export LAB_OWN_CGROUP=$cgroup
		exec unshare --mount --net --uts --pid ${cgroup:+--cgroup} --fork --kill-child --mount-proc "$@"' \
		holder "$LAB_DIR/pid/$m" "$LAB_DIR/down" "${LAB_CGROUP:+$LAB_CGROUP/$m}" \
		"$LAB_TOP/lab/machine" "$m" "$LAB_DIR" "$LAB_BUILD" \
		</dev/null >>"$LAB_DIR/log/machine-$m.log" 2>&1 9>&- &
	disown
}

lab_machine_ready() { [ -e "$LAB_DIR/m/$1/ready" ]; }

# lab_machine_stop MACHINE - power off: SIGKILL to the holder, the kernel ends all that is inside.
lab_machine_stop() {
	local pid
	pid=$(lab_holder "$1") || return 0
	kill -KILL "$pid" 2>/dev/null || true
	lab_wait_for 30 lab_gone "$1" || {
		lab_say "$1 (pid $pid) does not end"
		return 1
	}
	[ -z "$LAB_CGROUP" ] || lab_wait_for 30 lab_cgroup_rm "$LAB_CGROUP/$1" ||
		lab_say "left behind: cgroup $LAB_CGROUP/$1"
}
lab_gone() { ! lab_holder "$1" >/dev/null; }

# ---- files of the machines -----------------------------------------------------------------------

lab_files() {
	local m names
	mkdir -p "$LAB_DIR"/{pid,log,m/host/vm}
	for m in "${LAB_MACHINES[@]}"; do
		install -d -o 990 -g 990 -m 755 "$LAB_DIR/m/$m/var"
	done
	for m in "${LAB_VMS[@]}"; do
		install -d -o 990 -g 990 -m 750 "$LAB_DIR/m/host/vm/$m"
		# they boot with it, and so with the base ruleset
		[ -n "${LAB_BARE:-}" ] || lab_conf_vm "$m" >"$LAB_DIR/m/$m/gi-netagent.conf"
	done
	for m in "${LAB_FILE_VMS[@]}"; do
		truncate -s 128M "$LAB_DIR/m/$m/home.img"
		mkfs.ext4 -q -F -m 0 -L "$m-home" "$LAB_DIR/m/$m/home.img"
	done
	{
		echo '127.0.0.1 localhost'
		echo '::1 localhost'
		for m in "${!LAB_NET[@]}"; do
			names="$m.corp.example $m"
			[ "$m" != dc ] || names="dc1.corp.example dc1 dc"
			echo "10.77.${LAB_NET[$m]}.10 $names"
			echo "fd77:${LAB_NET[$m]}::10 $names"
		done
	} >"$LAB_DIR/hosts"
	lab_krb5_conf >"$LAB_DIR/krb5.conf"
}

lab_krb5_conf() {
	cat <<-'E'
		[libdefaults]
			default_realm = CORP.EXAMPLE
			dns_lookup_realm = false
			dns_lookup_kdc = false
			dns_canonicalize_hostname = false
			rdns = false
			udp_preference_limit = 0
		[realms]
			CORP.EXAMPLE = {
				kdc = 10.77.8.10:88
				kpasswd_server = 10.77.8.10:464
			}
		[domain_realm]
			.corp.example = CORP.EXAMPLE
			corp.example = CORP.EXAMPLE
	E
}

# lab_pam VM [OPTIONS [CONTROL]] - the stacks of the services through which people come in. The password is
# the directory's; the session goes to pam_gi (when it is built) with OPTIONS.
lab_pam() {
	local module=
	[ ! -e "$LAB_BUILD/pam_gi/.libs/pam_gi.so" ] || module=/run/lab/build/pam_gi/.libs/pam_gi.so
	# shellcheck disable=SC2016
	lab_in "$1" bash -c '
		for s in sshd login su sudo; do
			{
				[ -z "$1" ] || echo "auth optional $1 $2"
				[[ $s != su* ]] || echo "auth sufficient pam_rootok.so"
				echo "auth required pam_krb5.so minimum_uid=1000 ignore_root"
				echo "account required pam_permit.so"
				[ -z "$1" ] || echo "account optional $1 $2"
				[[ $s = su* ]] || echo "session required pam_loginuid.so"
				[ -z "$1" ] || echo "session $3 $1 $2"
			} >/etc/pam.d/$s
		done' pam "$module" "${2-$LAB_PAM_OPTIONS}" "${3-optional}"
}
LAB_PAM_OPTIONS='socket=/run/idfw/pam.sock timeout_ms=2000 wait'

# ---- keys ----------------------------------------------------------------------------------------

lab_keys() {
	local c=$LAB_DIR/tls
	install -d -m 700 "$c"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=lab CA' \
		-addext keyUsage=critical,keyCertSign,cRLSign -keyout "$c/ca.key" -out "$c/ca.crt" 2>/dev/null
	lab_certificate dc dc1.corp.example DNS:dc1.corp.example,DNS:dc1,IP:10.77.8.10,IP:fd77:8::10
	lab_certificate host host1 DNS:host1
	lab_certificate svm svm DNS:svm,IP:10.77.9.10,IP:fd77:9::10
	lab_certificate scan scan DNS:scan,IP:10.77.9.10,IP:fd77:9::10
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$c/ssh_host_ed25519_key"
}

# lab_certificate FILE CN SAN - signed by the lab's CA, for both ends of a TLS connection.
lab_certificate() {
	local c=$LAB_DIR/tls
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
		-keyout "$c/$1.key" -out "$c/$1.csr" 2>/dev/null
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" >"$c/$1.ext"
	openssl x509 -req -in "$c/$1.csr" -CA "$c/ca.crt" -CAkey "$c/ca.key" -CAcreateserial -days 30 \
		-extfile "$c/$1.ext" -out "$c/$1.crt" 2>/dev/null
	rm -f "$c/$1.csr" "$c/$1.ext"
}

# ---- network -------------------------------------------------------------------------------------

lab_network() {
	local m
	lab_in host sh -c 'ip link set lo up
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	for m in "${!LAB_NET[@]}"; do
		lab_wire "$m"
	done
}

# lab_wire MACHINE - its wire to the host, made where its ends are, and the addresses on both
lab_wire() {
	local m=$1 n=${LAB_NET[$1]} host
	host=$(lab_holder host)
	nsenter --net="/proc/$host/ns/net" ip -batch - <<-E
		link add $m type veth peer name eth0 netns $(lab_holder "$m")
		addr add 10.77.$n.1/24 dev $m
		addr add fd77:$n::1/64 dev $m nodad
		link set $m up
	E
	lab_in "$m" ip -batch - <<-E
		link set lo up
		link set eth0 up
		addr add 10.77.$n.10/24 dev eth0
		addr add fd77:$n::10/64 dev eth0 nodad
		route add default via 10.77.$n.1
		route add default via fd77:$n::1
	E
}

# lab_reboot VM - pull the plug and start it again: another boot, the same disk
lab_reboot() {
	lab_machine_stop "$1"
	rm -f "$LAB_DIR/m/$1/ready" "$LAB_DIR/pid/$1"
	# its end of the wire goes with its namespace, sooner or later: make it now
	lab_in host ip link del dev "$1" 2>/dev/null || true
	lab_machine_start "$1"
	lab_wait_for 60 lab_machine_ready "$1" || lab_die "$1 does not come up again"
	lab_wire "$1"
	lab_services_of "$1"
	lab_configure_vm "$1" # its /etc is in memory
}

# ---- processes in machines -----------------------------------------------------------------------

# lab_spawn MACHINE NAME CMD... - in the background, its own session; log in $LAB_DIR/log/MACHINE-NAME.log.
# As a service manager does it, in a cgroup of its own: system.slice/NAME.service.
lab_spawn() {
	local m=$1 name=$2
	shift 2
	# shellcheck disable=SC2016
	lab_in "$m" sh -c 'name=$1; unit=/run/lab/cgroup/system.slice/$name.service; shift
		if [ -d /run/lab/cgroup ]; then
			rmdir "$unit" 2>/dev/null
			mkdir -p "$unit" && echo $$ >"$unit/cgroup.procs"
		fi
		setsid "$@" & echo $! >"/run/lab/pid/$name"' spawn "$name" "$@" \
		</dev/null >>"$LAB_DIR/log/$m-$name.log" 2>&1 9>&-
}

# lab_pid MACHINE NAME - the pid, as the machine counts, of what lab_spawn started and still runs.
lab_pid() {
	# shellcheck disable=SC2016
	lab_in "$1" sh -c 'read -r pid <"/run/lab/pid/$1" && kill -0 "$pid" && echo "$pid"' pid "$2" 2>/dev/null
}

# lab_signal MACHINE NAME SIGNAL - and, for TERM and KILL, wait until it ended.
lab_signal() {
	local pid
	pid=$(lab_pid "$1" "$2") || return 0
	lab_in "$1" kill "-$3" "$pid" || return 0
	case $3 in
	TERM | KILL)
		lab_wait_for 30 lab_ended "$1" "$2" || lab_die "$2 on $1 does not end"
		# its unit is gone, if nothing else runs in it
		lab_in "$1" rmdir "/run/lab/cgroup/system.slice/$2.service" 2>/dev/null || true
		;;
	esac
}
lab_ended() { ! lab_pid "$1" "$2" >/dev/null; }

lab_tcp_open() {
	# shellcheck disable=SC2016
	lab_in "$1" timeout "${4:-3}" bash -c 'exec 3<>"/dev/tcp/$1/$2"' _ "$2" "$3" 2>/dev/null
}

# ---- the directory -------------------------------------------------------------------------------

# Provisioning costs seconds and gives the same result each time: it is kept in the build tree.
lab_dc_start() {
	local key cache=$LAB_BUILD/lab-dc.tar
	key=$({ cat "$LAB_TOP"/lab/{dc,directory.py} && samba --version; } | sha256sum)
	if [ "$(cat "$cache.key" 2>/dev/null)" != "$key" ]; then
		lab_in dc /run/lab/bin/dc provision
		rm -f "$cache.key"
		lab_in dc tar -C /var/lib/idfw -cf - samba >"$cache.$$"
		mv "$cache.$$" "$cache"
		echo "$key" >"$cache.key"
	else
		lab_in dc tar -C /var/lib/idfw -xf - <"$cache"
	fi
	lab_dc_run
}
lab_dc_run() {
	lab_spawn dc samba /run/lab/bin/dc run
	lab_wait_for 90 lab_dc_answers || {
		tail -n 20 "$LAB_DIR"/log/dc-samba.log "$LAB_DIR"/m/dc/var/samba/log/samba.log >&2
		lab_die 'the domain controller does not answer'
	}
}
lab_dc_answers() {
	lab_in dc env LDAPTLS_CACERT=/etc/idfw/tls/ca.crt timeout 10 ldapsearch -x -LLL -o nettimeout=5 \
		-H ldaps://dc1.corp.example -s base -b '' defaultNamingContext >/dev/null 2>&1 &&
		lab_tcp_open dc 10.77.8.10 88
}

# lab_ldapmodify - LDIF on stdin, as Administrator.
lab_ldapmodify() {
	lab_in dc env LDAPTLS_CACERT=/etc/idfw/tls/ca.crt timeout 60 ldapmodify -x -o nettimeout=30 \
		-H ldaps://dc1.corp.example -D Administrator@corp.example -w "$LAB_ADMIN_PASS" >/dev/null
}
lab_ad_member() {
	lab_ldapmodify <<-E
		dn: CN=$2,OU=Groups,$LAB_BASE
		changetype: modify
		$1: member
		member: CN=$3,OU=People,$LAB_BASE
	E
}
# lab_ad_group_add GROUP USER, lab_ad_group_del GROUP USER - as an administrator would.
lab_ad_group_add() { lab_ad_member add "$1" "$2"; }
lab_ad_group_del() { lab_ad_member delete "$1" "$2"; }

# ---- people --------------------------------------------------------------------------------------

# lab_ssh VM USER [CMD...] - log in from the client desk with the user's AD password.
lab_ssh() {
	local vm=$1 user=$2
	shift 2
	SSHPASS=${LAB_PASSWORD[$user]} lab_in client sshpass -e ssh "${LAB_SSH_OPTIONS[@]}" "$user@$vm" "$@"
}
LAB_SSH_OPTIONS=(-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
	-o PreferredAuthentications=keyboard-interactive -o NumberOfPasswordPrompts=1 -o ConnectTimeout=30)

# A login that stays: lab_login NAME VM USER opens it, lab_run NAME CMD... runs commands in it,
# lab_logout NAME ends it as "exit" does. The shell there reads its commands from our pipe.
declare -A LAB_LOGIN_FD=() LAB_LOGIN_PID=()

lab_login() {
	local name=$1 vm=$2 user=$3 fd base=$LAB_DIR/login/$1
	mkdir -p "$LAB_DIR/login"
	rm -f "$base.in"
	mkfifo "$base.in"
	echo 'end-0 0' >"$base.out"
	echo 0 >"$base.sent"
	exec {fd}<>"$base.in"
	lab_ssh "$vm" "$user" bash <"$base.in" >>"$base.out" 2>&1 {fd}>&- &
	LAB_LOGIN_PID[$name]=$!
	LAB_LOGIN_FD[$name]=$fd
	lab_run "$name" true || {
		lab_say "login of $user on $vm failed: $(tail -n 3 "$base.out")"
		return 1
	}
}

# lab_send NAME CMD... - start a command in the login and do not wait; lab_answer NAME waits for it.
lab_send() {
	local name=$1 count
	count=$(($(<"$LAB_DIR/login/$1.sent") + 1))
	shift
	printf '%s\necho "end-%d $?"\n' "$*" $count >&"${LAB_LOGIN_FD[$name]}"
	echo $count >"$LAB_DIR/login/$name.sent"
}
lab_answered() { grep -qE "^end-$2 [0-9]+\$" "$LAB_DIR/login/$1.out"; }
# lab_answer NAME - prints what the last command printed; its exit status, or 255 when none came.
lab_answer() {
	local count out=$LAB_DIR/login/$1.out status
	count=$(<"$LAB_DIR/login/$1.sent")
	lab_wait_for 60 lab_answered "$1" "$count" || return 255
	sed -n "/^end-$((count - 1)) /,/^end-$count /p" "$out" | grep -v '^end-' || true
	status=$(sed -n "s/^end-$count //p" "$out")
	return "$status"
}
lab_run() {
	lab_send "$@"
	lab_answer "$1"
}

lab_logout() {
	local fd=${LAB_LOGIN_FD[$1]}
	echo exit >&"$fd"
	wait "${LAB_LOGIN_PID[$1]}" || true
	exec {fd}>&-
	unset "LAB_LOGIN_FD[$1]" "LAB_LOGIN_PID[$1]"
}

# lab_pull NAME HOST PORT - in the login, start a transfer that outlives it; lab_pull_* read its log.
lab_pull() {
	lab_run "$1" "rm -f pull.log; setsid nohup /run/lab/stream.py pull $2 $3 pull.log 60 </dev/null >pull.out 2>&1 & echo \$! >pull.pid"
}
# lab_pull_waits VM USER - its process is there and waits for more: nothing but the network ended it
lab_pull_waits() { lab_in "$1" sh -c "kill -0 \"\$(cat '/home/$2/pull.pid')\"" 2>/dev/null; }
# lab_pulled VM USER - lines that have arrived so far
lab_pulled() { lab_in "$1" sh -c "cat '/home/$2/pull.log' 2>/dev/null | wc -l"; }
lab_pull_runs() { [ "$(lab_pulled "$1" "$2")" -ge 10 ]; }
# lab_pull_last VM USER - unix ms of the last line's arrival
lab_pull_last() { lab_in "$1" sh -c "tail -n 1 '/home/$2/pull.log'" | cut -d ' ' -f 1; }

# lab_logs - the last lines of each log, to stderr
lab_logs() {
	local f
	for f in "$LAB_DIR"/log/*; do
		[ ! -s "$f" ] || printf -- '---- %s\n%s\n' "${f##*/}" "$(tail -n 20 "$f")" >&2
	done
}

# ---- up and down ---------------------------------------------------------------------------------

lab_services_of() {
	local port
	lab_pam "$1"
	lab_spawn "$1" sshd /usr/sbin/sshd -D -e
	case $1 in
	db01) lab_spawn db01 stream /run/lab/stream.py serve 5432 9998 9999 ;;
	web01) lab_spawn web01 stream /run/lab/stream.py serve 80 ;;
	esac
	for port in ${LAB_PORTS[$1]}; do
		lab_wait_for 30 lab_tcp_open "$1" 127.0.0.1 "$port" || lab_die "nobody listens on $1:$port"
	done
}
declare -A LAB_PORTS=([jump01]=22 [web01]="22 80" [db01]="22 5432")

# lab_up - all machines, the directory and the services; the product's daemons are lab_daemons.
lab_up() {
	local m
	[[ $LAB =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || lab_die "bad name for a lab: $LAB"
	[ "$(id -u)" = 0 ] || lab_die 'needs root (namespaces, mounts)'
	mkdir -m 711 "$LAB_DIR" || lab_die "$LAB_DIR is there: lab $LAB is up, or run: dev lab down"
	[ -d "$LAB_BUILD" ] || lab_die "no build tree $LAB_BUILD"
	lab_files
	lab_keys
	for m in "${LAB_MACHINES[@]}"; do
		lab_machine_start "$m"
	done
	for m in "${LAB_MACHINES[@]}"; do
		lab_wait_for 60 lab_machine_ready "$m" || {
			cat "$LAB_DIR/log/machine-$m.log" >&2
			lab_die "machine $m did not come up"
		}
	done
	lab_network
	lab_dc_start
	for m in "${LAB_VMS[@]}"; do
		lab_services_of "$m"
	done
}

# lab_down - ends everything of this lab, whatever state it is in; says what would not go.
lab_down() {
	local m
	[ -d "$LAB_DIR" ] || return 0
	[ -O "$LAB_DIR" ] || lab_die "$LAB_DIR is not ours"
	: >"$LAB_DIR/down"
	for m in "$LAB_DIR"/pid/*; do
		[ ! -e "$m" ] || lab_machine_stop "${m##*/}" || true
	done
	for m in "$LAB_DIR"/m/*/home.img; do
		[ ! -e "$m" ] || lab_wait_for 30 lab_disk_free "$m" || lab_say "left behind: a loop device of $m"
	done
	lab_wait_for 30 lab_cgroup_rm "$LAB_CGROUP" || true
	lab_wait_for 30 lab_files_rm || lab_say "left behind: $LAB_DIR"
	lab_left
}
# a machine that was being started may still write into it, and looks for "down" until it is gone
lab_files_rm() {
	{
		find "$LAB_DIR" -mindepth 1 -maxdepth 1 ! -name down -exec rm -rf --one-file-system {} + &&
			rm -rf --one-file-system "$LAB_DIR"
	} 2>/dev/null
}
lab_disk_free() { [ -z "$(losetup -j "$1")" ]; }

# lab_left - 0 when nothing of this lab is left: no file, no mount, no disk, no process. What has been
# killed takes its moment.
lab_left() {
	lab_wait_for 30 lab_none_found || {
		lab_say "left behind:$(lab_found)"
		return 1
	}
}
lab_none_found() { [ -z "$(lab_found)" ]; }
lab_found() {
	local pids found=''
	pids=$(lab_processes | tr '\n' ' ')
	[ ! -e "$LAB_DIR" ] || found+=" files:$LAB_DIR"
	! grep -qF "/${LAB_DIR##*/}/" /proc/self/mountinfo || found+=" mounts"
	[ -z "$LAB_CGROUP" ] || [ ! -e "$LAB_CGROUP" ] || found+=" cgroup:$LAB_CGROUP"
	[ -z "$pids" ] || found+=" processes:$pids"
	printf '%s' "$found"
}

# lab_processes - pids of processes whose mount namespace has this lab's machines' directories.
lab_processes() {
	local p
	for p in /proc/[0-9]*; do
		! grep -qsF "/${LAB_DIR##*/}/m/" "$p/mountinfo" || echo "${p#/proc/}"
	done
}

# shellcheck source=lab/product.sh
. "$LAB_TOP/lab/product.sh"
